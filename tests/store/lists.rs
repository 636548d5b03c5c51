//! Lists of conversations: who stands where, in order, from commit to commit.

use std::sync::Arc;

use adjourn::domain::conversation::{Assignment, Closing};
use adjourn::domain::event::{Assignee, AssigneeKind, ClosingSource};
use adjourn::domain::listing::{Move, Of, Section, SectionQuery, Standing};
use adjourn::domain::notice::Status;
use adjourn::domain::order::{Border, Position};
use adjourn::domain::*;
use adjourn::store::testing::StoreInTests;
use adjourn::store::*;

use crate::bench::*;

pub fn standing(status: Status, assignee: Option<&str>) -> Option<Standing> {
    Some(Standing { status, assignee: assignee.map(Into::into) })
}

/// A conversation that stands there.
pub fn conversation_at(version: u64, standing: Option<&Standing>) -> Conversation {
    let mut made = conversation(version);
    let Some(Standing { status, assignee }) = standing else { return made };
    made.episode = 1;
    let position = Position::of(&Accepted { event: event("e"), accepted_at: at(START) });
    match status {
        Status::Open => {}
        Status::Snoozed => made.told.snoozed_until = Some(at(START)),
        Status::Closed => {
            made.closing = Some(Closing {
                source: ClosingSource::User,
                by: None,
                note: None,
                closed_at: at(START),
                border: Border::Event(position.clone()),
                auto: None,
                agent: None,
            });
        }
    }
    let assigned = assignee.clone().map(|id| (position, Assignee { kind: AssigneeKind::Human, id, name: None }));
    made.assignment = Assignment { assigned, unassigned: None };
    assert_eq!(Standing::of(&made).as_ref(), standing);
    made
}

/// Writes the row and says where it goes.
pub fn stands(batch: &mut Batch, name: &str, from: Option<Standing>, to: Option<Standing>) {
    let change = RowChange::Put { conversation: Arc::new(conversation_at(1, to.as_ref())), look_at: None };
    batch.rows.push(RowWrite { key: key(name), indexed_at: None, change });
    batch.moves.push(Move { key: key(name), from, to });
    batch.lists = Lists::Whole;
}

fn of(agent: &str) -> Of {
    Of::Agent(agent.into())
}

async fn listed(bench: &Bench, workspace: &str, sections: &[Section], after: Option<&str>, limit: usize) -> Option<Vec<String>> {
    let query = SectionQuery { workspace: workspace.into(), sections: sections.into(), after: after.map(key), limit };
    let listed = bench.store().listed(P, query).await.unwrap();
    listed.map(|keys| keys.iter().map(|key| key.conversation().to_owned()).collect())
}

fn some(names: &[&str]) -> Option<Vec<String>> {
    Some(names.iter().map(|name| (*name).to_owned()).collect())
}

/// Eight conversations of two workspaces.
async fn furnished(bench: &Bench, owner: &mut Owner) {
    let open = |agent: Option<&str>| standing(Status::Open, agent);
    let all = [
        ("acme/b", open(Some("ana"))),
        ("acme/a", open(Some("ana b"))),
        ("acme/a-b", open(None)),
        ("acme/c", standing(Status::Closed, Some("ana"))),
        ("acme/a.b", open(Some("ana"))),
        ("acme/d", standing(Status::Snoozed, Some("ana"))),
        ("acme/never", None),
        ("acme-2/a", open(Some("ana"))),
    ];
    let fill = |batch: &mut Batch| all.iter().for_each(|(name, to)| stands(batch, name, None, to.clone()));
    bench.commit(owner, fill).await.unwrap();
}

pub async fn a_list_has_who_stands_in_it_in_order(mut bench: Bench) {
    let mut owner = bench.claim().await;
    furnished(&bench, &mut owner).await;
    for _ in 0..2 {
        let open = async |of: Of, after, limit| listed(&bench, "acme", &[section(Status::Open, of)], after, limit).await;
        assert_eq!(open(Of::Anybody, None, 9).await, some(&["a", "a-b", "a.b", "b"]));
        assert_eq!(open(Of::Anybody, None, 2).await, some(&["a", "a-b"]));
        assert_eq!(open(Of::Anybody, Some("acme/a-b"), 9).await, some(&["a.b", "b"]));
        assert_eq!(open(Of::Anybody, Some("acme/b"), 9).await, some(&[]));
        assert_eq!(open(of("ana"), None, 9).await, some(&["a.b", "b"]));
        assert_eq!(open(of("ana b"), None, 9).await, some(&["a"]));
        assert_eq!(open(of("an"), None, 9).await, some(&[]));
        assert_eq!(open(Of::Nobody, None, 9).await, some(&["a-b"]));
        assert_eq!(listed(&bench, "acme-2", &[section(Status::Open, of("ana"))], None, 9).await, some(&["a"]));
        assert_eq!(listed(&bench, "acm", &[section(Status::Open, Of::Anybody)], None, 9).await, some(&[]));
        let other = bench.store().listed(OTHER, whole("acme", &[section(Status::Open, Of::Anybody)])).await.unwrap();
        assert_eq!(other, Some(vec![]), "partitions keep their own");
        bench.reopen().await;
    }
}

pub async fn sections_are_brought_up_together(bench: Bench) {
    let mut owner = bench.claim().await;
    furnished(&bench, &mut owner).await;
    let anas: Vec<Section> = Status::ALL.iter().map(|status| section(*status, of("ana"))).collect();
    assert_eq!(listed(&bench, "acme", &anas, None, 9).await, some(&["a.b", "b", "c", "d"]));
    assert_eq!(listed(&bench, "acme", &anas, Some("acme/b"), 1).await, some(&["c"]));
    let begins = |prefix: &str| Section { prefix: prefix.into(), ..section(Status::Open, Of::Anybody) };
    assert_eq!(listed(&bench, "acme", &[begins("a"), begins("b")], None, 9).await, some(&["a", "a-b", "a.b", "b"]));
    assert_eq!(listed(&bench, "acme", &[begins("a.")], Some("acme/a"), 9).await, some(&["a.b"]));
    assert_eq!(listed(&bench, "acme", &[begins("a.")], Some("acme/b"), 9).await, some(&[]));
    let twice = [begins("a"), section(Status::Open, of("ana"))];
    assert_eq!(listed(&bench, "acme", &twice, None, 9).await, some(&["a", "a-b", "a.b", "b"]), "each once");
    assert_eq!(listed(&bench, "acme", &[], None, 9).await, some(&[]));
}

pub async fn lists_go_with_their_commit(bench: Bench) {
    let mut owner = bench.claim().await;
    furnished(&bench, &mut owner).await;
    let (open, closed) = (|agent| standing(Status::Open, agent), |agent| standing(Status::Closed, agent));
    let before = owner;
    let fill = |batch: &mut Batch| {
        stands(batch, "acme/b", open(Some("ana")), closed(Some("ana")));
        stands(batch, "acme/a-b", open(None), open(Some("ana")));
    };
    bench.commit(&mut owner, fill).await.unwrap();
    let anas = |status| [section(status, of("ana"))];
    let ask =
        async || (listed(&bench, "acme", &anas(Status::Open), None, 9).await, listed(&bench, "acme", &anas(Status::Closed), None, 9).await);
    assert_eq!(ask().await, (some(&["a-b", "a.b"]), some(&["b", "c"])));

    let mut late = Batch { moves: vec![], ..before.batch() };
    stands(&mut late, "acme/c", closed(Some("ana")), open(Some("ana")));
    assert!(is_refused(&bench.store().commit(owner.lease, late).await));
    assert_eq!(ask().await, (some(&["a-b", "a.b"]), some(&["b", "c"])), "a refused commit moves nobody");

    let gone = |batch: &mut Batch| {
        batch.rows.push(remove("acme/c", None));
        batch.moves.push(Move { key: key("acme/c"), from: closed(Some("ana")), to: None });
        batch.lists = Lists::Whole;
    };
    bench.commit(&mut owner, gone).await.unwrap();
    assert_eq!(ask().await, (some(&["a-b", "a.b"]), some(&["b"])));
}

pub async fn lists_are_whole_only_after_a_commit_that_says_so(bench: Bench) {
    let open = [section(Status::Open, Of::Anybody)];
    assert_eq!(listed(&bench, "acme", &open, None, 9).await, some(&[]), "nothing was ever written");
    assert!(bench.store().seize(P, Member::default()).await.unwrap().lists_whole);
    let mut owner = bench.claim().await;
    furnished(&bench, &mut owner).await;
    assert!(bench.store().seize(P, Member::default()).await.unwrap().lists_whole);
    let mut owner = bench.claim().await;
    assert!(listed(&bench, "acme", &open, None, 9).await.is_some());

    bench.commit(&mut owner, |batch| batch.trying = None).await.unwrap();
    assert_eq!(listed(&bench, "acme", &open, None, 9).await, None, "who wrote that knew of no lists");
    assert!(!bench.store().seize(P, Member::default()).await.unwrap().lists_whole);
    let mut owner = bench.claim().await;
    bench.commit(&mut owner, |batch| batch.lists = Lists::Whole).await.unwrap();
    assert_eq!(listed(&bench, "acme", &open, None, 9).await, some(&["a", "a-b", "a.b", "b"]));
}

pub async fn thinned_lists_begin_anew(bench: Bench) {
    let mut owner = bench.claim().await;
    furnished(&bench, &mut owner).await;
    let mut other = bench.claim_of(OTHER).await;
    bench.commit(&mut other, |batch| stands(batch, "acme/z", None, standing(Status::Open, None))).await.unwrap();
    let claimed = async || bench.store().seize(P, Member::default()).await.unwrap();
    assert_eq!(claimed().await.listed, 7);
    let mut owner = bench.claim().await;
    bench.commit(&mut owner, |batch| batch.lists = Lists::Thinned).await.unwrap();
    let open = [section(Status::Open, Of::Anybody)];
    assert_eq!(listed(&bench, "acme", &open, None, 9).await, None);
    let after = claimed().await;
    assert_eq!((after.lists_whole, after.listed), (false, 0));
    let mut owner = bench.claim().await;
    let open_ones = [("acme/b", Some("ana")), ("acme/a", Some("ana b")), ("acme/a-b", None), ("acme/a.b", Some("ana"))];
    let open_ones = open_ones.into_iter().map(|(name, agent)| Move { key: key(name), from: None, to: standing(Status::Open, agent) });
    let others = [("acme/c", Status::Closed), ("acme/d", Status::Snoozed), ("acme-2/a", Status::Open)];
    let others = others.into_iter().map(|(name, status)| Move { key: key(name), from: None, to: standing(status, Some("ana")) });
    let moves: Vec<Move> = open_ones.chain(others).collect();
    bench.commit(&mut owner, |batch| (batch.lists, batch.moves) = (Lists::Whole, moves)).await.unwrap();
    assert_eq!(listed(&bench, "acme", &open, None, 9).await, some(&["a", "a-b", "a.b", "b"]));
    let beside = bench.store().listed(OTHER, whole("acme", &open)).await.unwrap();
    assert_eq!(beside, Some(vec![key("acme/z")]), "others keep theirs");
}

pub async fn a_commit_thins_lists_by_so_many_at_most(bench: Bench) {
    let mut owner = bench.claim().await;
    let many = THINNED_MAX + 3;
    let fill = |batch: &mut Batch| (0..many).for_each(|n| stands(batch, &format!("acme/{n}"), None, standing(Status::Open, None)));
    bench.commit(&mut owner, fill).await.unwrap();
    let left = async || bench.store().seize(P, Member::default()).await.unwrap().listed;
    assert_eq!(left().await, many as u64);
    for expected in [3, 0] {
        let mut owner = bench.claim().await;
        bench.commit(&mut owner, |batch| batch.lists = Lists::Thinned).await.unwrap();
        assert_eq!(left().await, expected);
    }
}
