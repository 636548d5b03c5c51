//! Changes of settings that meet on their way (T22).

use adjourn::actors::handle::SettingsRefused;
use adjourn::domain::settings::SettingsChange;
use adjourn::domain::{Settings, Span};
use adjourn::store::Store;

use crate::world::{PATIENCE, World};

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
    world.eventually("the first document", async || version().await == 1).await;
    let other = put(second, 1);
    world.eventually("the second document", async || version().await == 2).await;
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
