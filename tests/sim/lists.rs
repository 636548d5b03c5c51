//! Lists of conversations (L1), while things change, and where they were not kept.

use adjourn::actors::NodeOptions;
use adjourn::actors::reads::list::{ListPlace, ListQuery};
use adjourn::domain::event::{Assignee, AssigneeKind, EventKind};
use adjourn::domain::listing::{Of, Section, SectionQuery};
use adjourn::domain::notice::Status;
use adjourn::domain::step;
use adjourn::store::testing::StoreInTests;
use adjourn::store::{Member, Store};

use crate::patience::eventually;
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
    let query = SectionQuery { workspace: "acme".into(), sections: [section].into(), after: None, limit: 1 };
    let listed = world.store.partitions().all().map(|partition| world.store.listed(partition, query.clone()));
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
    eventually("24 closes", async || all(&world, by(Status::Closed)).await.len() == 24).await;
    assert_eq!(all(&world, by(Status::Open)).await, ["c03"]);
    assert_eq!(all(&world, ListQuery { assignee: Some(Of::Agent("ana".into())), ..by(Status::Closed) }).await, ["c05", "c20", "c21"]);
}

/// Who closes soon comes first; whose time moves between two pages may come again.
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
    eventually("the lists", async || are_whole(&world).await).await;
    assert_eq!(all(&world, by(Status::Open)).await, names(0..25));
    world.pass(61);
    eventually("24 closes", async || all(&world, by(Status::Closed)).await.len() == 24).await;
    assert_eq!(all(&world, by(Status::Open)).await, ["c03"]);
    assert!(are_whole(&world).await);

    // And nothing is left of them where nobody wants them any more.
    let World { store, wall, node, .. } = world;
    node.stop().await;
    let world = World::on(store, wall, NodeOptions { lists: false, ..options() }, step);
    world.ticks(2).await;
    assert_eq!(all(&world, by(Status::Open)).await, ["c03"]);
    world.node.stop().await;
    for partition in world.store.partitions().all() {
        assert_eq!(world.store.seize(partition, Member::default()).await.unwrap().listed, 0);
    }
}

/// Where no list has just what is asked for, pages end where the next begins, however many are brought up at a time.
#[actix::test]
async fn l1_pages_of_what_is_looked_for_among_rows_leave_nobody_out() {
    for lists in [true, false] {
        let world = World::start_with(NodeOptions { lists, ..options() }, step).await;
        for name in names(0..25) {
            world.human(&name).await;
        }
        for name in names(0..25).iter().step_by(2) {
            assign(&world, name, "ana").await;
        }
        world.contact("c03").await;
        let even: Vec<String> = names(0..25).into_iter().step_by(2).collect();
        for limit in [1, 2, 5, 12, 13, 14] {
            let query = ListQuery { limit, ..ListQuery::default() };
            let anas = Some(Of::Agent("ana".into()));
            let soon = Some(minute(62));
            assert_eq!(all(&world, ListQuery { assignee: anas.clone(), due_before: soon, ..query.clone() }).await, even, "{limit}");
            assert_eq!(all(&world, ListQuery { q: Some("blum".into()), ..query.clone() }).await, even, "{limit}");
            assert_eq!(all(&world, ListQuery { q: Some("c1".into()), ..query.clone() }).await, names(10..20), "{limit}");
            assert_eq!(all(&world, ListQuery { due_before: soon, ..query.clone() }).await.len(), 24, "{limit}");
            assert_eq!(all(&world, ListQuery { assignee: Some(Of::Agent("bo".into())), ..query.clone() }).await, [""; 0], "{limit}");
            assert_eq!(all(&world, ListQuery { q: Some("++".into()), ..query.clone() }).await, [""; 0], "{limit}");
            let closed = ListQuery { status: Some(Status::Closed), due_before: soon, ..query };
            assert_eq!(all(&world, closed).await, [""; 0], "{limit}");
        }
        world.node.stop().await;
    }
}

/// One tenant's timers do not keep another's list from coming to an end.
#[actix::test]
async fn l1_what_closes_soon_is_found_behind_others_timers() {
    let world = World::start().await;
    let of = |workspace: &str, n: usize| {
        let mut event = message(&format!("{workspace}-{n}"), "c", minute(0), adjourn::domain::event::MessageSource::User);
        event.conversation = adjourn::domain::ConversationKey::new(workspace, &format!("c{n:05}")).unwrap();
        event
    };
    for chunk in (0..4_000).collect::<Vec<usize>>().chunks(500) {
        for before_and_behind in ["a", "z"] {
            world.take(chunk.iter().map(|n| of(before_and_behind, *n)).collect()).await;
        }
    }
    for name in names(0..7) {
        world.human(&name).await;
    }
    for limit in [1, 3, 7, 8] {
        let soon = ListQuery { limit, due_before: Some(minute(62)), ..ListQuery::default() };
        assert_eq!(all(&world, soon).await, names(0..7), "{limit}");
    }
}
