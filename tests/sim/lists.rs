//! Lists of conversations (L1), while things change, and where they were not kept.

use adjourn::actors::NodeOptions;
use adjourn::actors::list::{ListPlace, ListQuery};
use adjourn::domain::event::{Assignee, AssigneeKind, EventKind};
use adjourn::domain::listing::{Of, Section};
use adjourn::domain::notice::Status;
use adjourn::domain::step;
use adjourn::store::{PartitionStats, Store};

use crate::world::*;

fn by(status: Status) -> ListQuery {
    ListQuery { status: Some(status), limit: 7, ..ListQuery::default() }
}

/// All pages of it.
async fn all(world: &World, mut query: ListQuery) -> Vec<String> {
    let mut seen = Vec::new();
    loop {
        let page = world.node.list("acme", &query).await.unwrap();
        assert!(page.items.len() <= query.limit);
        seen.extend(page.items.into_iter().map(|(key, _)| key.conversation().to_owned()));
        let Some(next) = page.next else { return seen };
        query.after = Some(next);
    }
}

async fn assign(world: &World, conversation: &str, agent: &str) {
    let assignee = Assignee { kind: AssigneeKind::Human, id: agent.into(), name: Some(format!("{agent} Blum").into()) };
    let says = world.says(conversation, adjourn::domain::event::MessageSource::Contact);
    world.take(vec![event(&format!("a-{conversation}-{agent}"), conversation, says.time, EventKind::Assigned(assignee))]).await;
}

fn names(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("c{n:02}")).collect()
}

/// Whether each partition's lists may be read.
async fn are_whole(world: &World) -> bool {
    let section = Section { status: Status::Open, of: Of::Anybody, prefix: "".into() };
    let listed =
        world.store.partitions().all().map(|partition| world.store.listed(partition, "acme".into(), [section.clone()].into(), None, 1));
    futures_util::future::join_all(listed).await.into_iter().all(|listed| listed.unwrap().is_some())
}

#[actix::test]
async fn l1_lists_merge_partitions_in_order_and_page() {
    let world = World::start().await;
    for name in names(0..25) {
        world.human(&name).await;
    }
    world.contact("c03").await;
    assert_eq!(all(&world, ListQuery { limit: 10, ..ListQuery::default() }).await, names(0..25));
    assert_eq!(all(&world, by(Status::Open)).await, names(0..25));
    assert_eq!(all(&world, by(Status::Closed)).await, [""; 0]);
    for name in ["c05", "c20", "c21"] {
        assign(&world, name, "ana").await;
    }
    assert_eq!(
        all(&world, ListQuery { assignee: Some(Of::Agent("ana".into())), limit: 2, ..ListQuery::default() }).await,
        ["c05", "c20", "c21"]
    );
    assert_eq!(all(&world, ListQuery { assignee: Some(Of::Nobody), ..by(Status::Open) }).await.len(), 22);
    world.pass(61);
    world.eventually("24 closes", async || all(&world, by(Status::Closed)).await.len() == 24).await;
    assert_eq!(all(&world, by(Status::Open)).await, ["c03"]);
    assert_eq!(all(&world, ListQuery { assignee: Some(Of::Agent("ana".into())), ..by(Status::Closed) }).await, ["c05", "c20", "c21"]);
}

/// Who closes soon comes first, and on one page only.
#[actix::test]
async fn l1_what_closes_soon_comes_soonest_first() {
    let world = World::start().await;
    for name in ["d", "b", "c", "a"] {
        world.human(name).await;
        world.pass(1);
    }
    let before = |minute_of| ListQuery { limit: 1, due_before: Some(minute(minute_of)), ..ListQuery::default() };
    assert_eq!(all(&world, before(200)).await, ["d", "b", "c", "a"]);
    assert_eq!(all(&world, before(62)).await, ["d", "b"], "at 62 is not before 62");
    assert_eq!(all(&world, ListQuery { q: Some("a".into()), ..before(200) }).await, ["a"]);
    world.contact("d").await;
    assert_eq!(all(&world, before(200)).await, ["b", "c", "a"]);
    let first = world.node.list("acme", &before(200)).await.unwrap();
    assert_eq!(first.next, Some(ListPlace { at: Some(minute(61)), conversation: "b".into() }));
    world.human("b").await; // it closes later now
    assert_eq!(all(&world, ListQuery { after: first.next, ..before(200) }).await, ["c", "a", "b"]);
}

/// A build, or an operator, that keeps no lists: looked for by rows, and kept from the next owner on that keeps them.
#[actix::test]
async fn l1_lists_that_were_not_kept_are_made_anew() {
    let without = NodeOptions { lists: false, ..options() };
    let world = World::start_with(without, step).await;
    for name in names(0..25) {
        world.human(&name).await;
    }
    assign(&world, "c05", "ana").await;
    world.contact("c03").await;
    assert!(!are_whole(&world).await);
    assert_eq!(all(&world, by(Status::Open)).await, names(0..25));
    assert_eq!(all(&world, ListQuery { assignee: Some(Of::Agent("ana".into())), ..by(Status::Open) }).await, ["c05"]);

    let World { store, wall, node, .. } = world;
    node.stop().await;
    let world = World::on(store, wall, options(), step);
    world.eventually("the lists", async || are_whole(&world).await).await;
    assert_eq!(all(&world, by(Status::Open)).await, names(0..25));
    world.pass(61);
    world.eventually("24 closes", async || all(&world, by(Status::Closed)).await.len() == 24).await;
    assert_eq!(all(&world, by(Status::Open)).await, ["c03"]);
    assert!(are_whole(&world).await);

    // And nothing is left of them where nobody wants them any more.
    let World { store, wall, node, .. } = world;
    node.stop().await;
    let world = World::on(store, wall, NodeOptions { lists: false, ..options() }, step);
    world.eventually("no lists", async || !are_whole(&world).await).await;
    assert_eq!(all(&world, by(Status::Open)).await, ["c03"]);
    let stats: u64 = world.store.stats().await.unwrap().iter().map(|stats: &PartitionStats| stats.conversations).sum();
    assert_eq!(stats, 25);
}
