//! Changes of settings that meet on their way (T22).

use adjourn::actors::node::handle::SettingsRefused;
use adjourn::actors::writes::apply_to_running::ApplyToRunning;
use adjourn::domain::event::MessageSource;
use adjourn::domain::settings::SettingsChange;
use adjourn::domain::{NoticeKind, PartitionId, Settings, Span};
use adjourn::store::{Entry, Store};

use crate::patience::eventually;
use crate::world::{PATIENCE, World, minute};

/// Two PUTs, the second made while the first waits for its partitions; `expected`: with If-Match.
async fn two_at_a_time(expected: bool) -> (World, [Result<Settings, SettingsRefused>; 2]) {
    let world = World::start().await;
    let version = async || world.store.settings("acme".into()).await.unwrap().map_or(0, |settings| settings.version);
    let first = SettingsChange { period: Some(Span::from_mins(30)), ..SettingsChange::default() };
    let second = SettingsChange { enabled: Some(false), ..SettingsChange::default() };
    world.store.faults().stall_commits(2);
    let put = |change: SettingsChange, from: u64| {
        let node = world.node.clone();
        tokio::spawn(async move { node.change_settings("acme", change, expected.then_some(from), PATIENCE).await })
    };
    let one = put(first, 0);
    eventually("the first document", async || version().await == 1).await;
    let other = put(second, 1);
    eventually("the second document", async || version().await == 2).await;
    world.store.faults().release_stalled();
    let answers = [one.await.unwrap(), other.await.unwrap()];
    (world, answers)
}

#[actix::test]
async fn t22_two_changes_at_a_time_are_both_made_once() {
    let (world, [first, second]) = two_at_a_time(false).await;
    assert_eq!((first.unwrap().version, second.unwrap().version), (1, 2));
    let master = world.store.settings("acme".into()).await.unwrap().unwrap();
    assert_eq!((master.version, master.enabled, master.period), (2, false, Span::from_mins(30)), "each holds, and neither came twice");
}

#[actix::test]
async fn t22_a_change_with_if_match_is_not_refused_for_what_came_after_it() {
    let (_world, [first, second]) = two_at_a_time(true).await;
    assert_eq!((first.unwrap().version, second.unwrap().version), (1, 2));
}

#[actix::test]
async fn a_version_that_the_store_had_lost_is_in_the_history_as_one_that_came_back() {
    let world = World::start().await;
    world.switch(false).await;
    // Applied by a partition, and forgotten by the master: a store may lose its last second.
    let lost = Settings { version: 2, period: Span::from_hours(2), ..world.store.settings("acme".into()).await.unwrap().unwrap() };
    let marker = Entry::Settings { workspace: "acme".into(), settings: Box::new(lost.clone()) };
    world.store.append(vec![(PartitionId(0), marker)]).await.unwrap();
    eventually("the master", async || world.store.settings("acme".into()).await.unwrap().is_some_and(|master| master == lost)).await;
    let restored = world.node.settings_history("acme").await.unwrap().changes;
    assert_eq!(restored.iter().map(|change| (change.version, change.restored)).collect::<Vec<_>>(), [(1, false), (2, true)]);
    assert_eq!(restored[1].differences.len(), 1, "{restored:?}");
    world.switch(true).await;
    let changes = world.node.settings_history("acme").await.unwrap().changes;
    assert_eq!(changes[..2], restored);
    assert_eq!((changes.len(), changes[2].version), (3, 3));
}

fn seconds(world: &World, seconds: i64) {
    world.wall.jump(seconds * 1_000);
    world.steady.jump(seconds * 1_000);
}

const MANY: usize = 60;

fn names() -> impl Iterator<Item = String> {
    (0..MANY).map(|nth| format!("c{nth}"))
}

async fn count(world: &World, kind: NoticeKind) -> usize {
    let mut count = 0;
    for name in names() {
        count += world.kinds(&name).await.into_iter().filter(|told| *told == kind).count();
    }
    count
}

/// Sixty timers with a quarter of an hour left, of which a change of the period has made nothing.
async fn with_many_timers() -> World {
    let world = World::start().await;
    world.take(names().map(|name| world.says(&name, MessageSource::User)).collect()).await;
    world.pass(45);
    world
}

async fn set_period(world: &World, minutes: i64) {
    let change = SettingsChange { period: Some(Span::from_mins(minutes)), ..SettingsChange::default() };
    world.node.change_settings("acme", change, None, PATIENCE).await.unwrap();
}

fn at_ten_a_second() -> ApplyToRunning {
    ApplyToRunning { rate: Some(10), by: None, expected: None }
}

#[actix::test]
async fn t23_applied_to_many_it_keeps_to_its_rate_and_goes_on_after_a_crash_and_each_is_told_once() {
    let mut world = with_many_timers().await;
    set_period(&world, 30).await;
    let preview = world.node.preview_apply("acme", &at_ten_a_second()).await.unwrap();
    assert_eq!((preview.timers, preview.due_at_once, preview.first_close_at), (60, 60, Some(minute(45))));
    let (effect, _) = world.node.apply_to_running("acme", at_ten_a_second(), PATIENCE).await.unwrap();
    assert_eq!((effect.timers, effect.complete), (60, true));
    assert_eq!(world.snapshot("c0").await.scheduled_close_at, Some(minute(45)), "in force, whoever was told");
    world.contact("c7").await;
    world.ticks(3).await;
    assert_eq!(count(&world, NoticeKind::Reset).await, 0, "no time has passed");
    for second in 1..=3 {
        seconds(&world, 1);
        world.ticks(4).await;
        let told = count(&world, NoticeKind::Reset).await;
        assert!((1..=10 * second).contains(&told), "{told} after {second} s");
    }
    world.restart().await;
    let before = count(&world, NoticeKind::Reset).await;
    let mut second = 0;
    while count(&world, NoticeKind::Closed).await < MANY - 1 {
        seconds(&world, 1);
        world.ticks(4).await;
        second += 1;
        let told = count(&world, NoticeKind::Reset).await;
        assert!(told <= before + 10 * second, "{told} after {second} s more");
        assert!(second <= MANY, "still not all of them have closed, {second} s later");
    }
    world.pass(300);
    world.ticks(2).await;
    for name in names().filter(|name| name != "c7") {
        assert_eq!(world.kinds(&name).await, [NoticeKind::Opened, NoticeKind::Armed, NoticeKind::Reset, NoticeKind::Closed], "{name}");
    }
    assert_eq!(world.kinds("c7").await, [NoticeKind::Opened, NoticeKind::Armed, NoticeKind::Cancelled], "D2");
}

#[actix::test]
async fn t23_a_longer_period_keeps_open_what_nobody_was_told_of_yet() {
    let world = with_many_timers().await;
    set_period(&world, 120).await;
    let one_a_second = ApplyToRunning { rate: Some(1), by: None, expected: None };
    let (effect, _) = world.node.apply_to_running("acme", one_a_second, PATIENCE).await.unwrap();
    assert_eq!((effect.timers, effect.due_at_once, effect.first_close_at), (60, 0, Some(minute(120))));
    assert_eq!((effect.by_hour.values().sum::<u64>(), effect.by_hour.len()), (60, 1));
    world.pass(16);
    world.ticks(2).await;
    assert_eq!((count(&world, NoticeKind::Closed).await, count(&world, NoticeKind::Reset).await), (0, 60), "their old time told them");
    world.pass(60);
    world.ticks(2).await;
    eventually("the closes", async || count(&world, NoticeKind::Closed).await == MANY).await;
}

#[actix::test]
async fn t23_of_another_workspace_nothing_moves_and_a_preview_changes_nothing() {
    let world = with_many_timers().await;
    let version = world.node.settings("acme").await.unwrap().version;
    let preview = world.node.preview_apply("acme", &at_ten_a_second()).await.unwrap();
    assert_eq!((preview.timers, preview.first_close_at), (0, None), "they have that period");
    world.node.apply_to_running("other", at_ten_a_second(), PATIENCE).await.unwrap();
    seconds(&world, 10);
    world.ticks(2).await;
    assert_eq!((count(&world, NoticeKind::Reset).await, world.node.settings("acme").await.unwrap().version), (0, version));
    let outdated = ApplyToRunning { expected: Some(version + 1), ..at_ten_a_second() };
    let refused = world.node.apply_to_running("acme", outdated, PATIENCE).await;
    assert!(matches!(refused, Err(SettingsRefused::VersionMismatch { current }) if current == version), "{refused:?}");
}
