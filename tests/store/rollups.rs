//! What reports count of a workspace's day, and what was written: replaced with the commit that changes it.

use std::sync::Arc;

use adjourn::domain::event::OpeningSource;
use adjourn::domain::kept::TextChange;
use adjourn::domain::report::*;
use adjourn::domain::writing::{Said, Speaker};
use adjourn::store::*;

use crate::bench::*;

/// So many were opened in the first quarter of an hour.
pub fn opened(count: u32) -> Rollup {
    let sums = Sums { opened: count, ..Sums::default() };
    Rollup { groups: [(Group::OpenedSource(OpeningSource::Contact), vec![(0, sums)])].into() }
}

pub fn write(workspace: &str, day: i32, count: Option<u32>) -> RollupWrite {
    RollupWrite { workspace: workspace.into(), day: Day(day), rollup: count.map(|count| Arc::new(opened(count))) }
}

async fn read(bench: &Bench, workspace: &str, days: &[i32]) -> Vec<Rollup> {
    let days = days.iter().copied().map(Day).collect();
    bench.store().rollups(P, workspace.into(), days, None).await.unwrap()
}

pub async fn a_day_is_replaced_with_its_commit(mut bench: Bench) {
    let mut owner = bench.claim().await;
    assert_eq!(read(&bench, "acme", &[7, 8]).await, [Rollup::default(), Rollup::default()]);
    bench
        .commit(&mut owner, |batch| batch.rollups = vec![write("acme", 7, Some(1)), write("acme", -8, Some(2)), write("a", 7, Some(3))])
        .await
        .unwrap();
    bench.commit(&mut owner, |batch| batch.rollups = vec![write("acme", 7, Some(4))]).await.unwrap();
    let refused =
        bench.store().commit(owner.lease, Batch { rollups: vec![write("acme", 7, Some(9))], ..Batch::new(CommitId(7), LogId::ZERO) });
    assert!(refused.await.is_err(), "it builds on nothing");
    for _ in 0..2 {
        assert_eq!(read(&bench, "acme", &[8, 7, -8]).await, [Rollup::default(), opened(4), opened(2)]);
        assert_eq!((read(&bench, "a", &[7]).await, read(&bench, "acm", &[7]).await), (vec![opened(3)], vec![Rollup::default()]));
        assert_eq!(bench.store().rollups(OTHER, "acme".into(), vec![Day(7)], None).await.unwrap(), [Rollup::default()]);
        let only = async |by| bench.store().rollups(P, "a".into(), vec![Day(7)], Some(by)).await.unwrap();
        assert_eq!((only(GroupBy::OpenedSource).await, only(GroupBy::Agent).await), (vec![opened(3)], vec![Rollup::default()]));
        bench.reopen().await;
    }
}

pub async fn old_days_are_found_and_go(bench: Bench) {
    let mut owner = bench.claim().await;
    let days = [("b", 20_000), ("acme", -3), ("acme", 19_999), ("a", 19_999)];
    bench
        .commit(&mut owner, |batch| batch.rollups = days.iter().map(|(workspace, day)| write(workspace, *day, Some(1))).collect())
        .await
        .unwrap();
    let before = async |day, limit| bench.store().rollups_before(P, Day(day), limit).await.unwrap();
    let expected: Vec<(Day, Box<str>)> = vec![(Day(-3), "acme".into()), (Day(19_999), "a".into()), (Day(19_999), "acme".into())];
    assert_eq!((before(20_000, 9).await, before(20_000, 2).await, before(-3, 9).await), (expected.clone(), expected[..2].to_vec(), vec![]));
    bench
        .commit(&mut owner, |batch| batch.rollups = expected.iter().map(|(day, workspace)| write(workspace, day.0, None)).collect())
        .await
        .unwrap();
    assert_eq!(before(i32::MAX, 9).await, [(Day(20_000), "b".into())]);
    assert_eq!(read(&bench, "acme", &[-3, 19_999]).await, [Rollup::default(), Rollup::default()]);
}

fn said(text: &str) -> TextChange {
    TextChange { slot: 0, said: Some(Said { by: Speaker::Contact, at: at(7), text: text.into() }) }
}

/// As kept in these slots.
async fn texts(bench: &Bench, name: &str, slots: &[u8]) -> Vec<String> {
    let texts = bench.store().texts(P, key(name), slots.to_vec()).await.unwrap();
    texts.into_iter().map(|said| said.text.to_string()).collect()
}

pub async fn texts_are_kept_by_slot_and_go(mut bench: Bench) {
    let mut owner = bench.claim().await;
    let (a, b) = (key("acme/a"), key("acme/a.b"));
    let put = |slot, text| TextChange { slot, ..said(text) };
    let drop = |slot| TextChange { slot, said: None };
    let written = vec![(a.clone(), put(0, "one")), (a.clone(), put(99, "last")), (b.clone(), put(0, "other")), (a.clone(), put(7, ""))];
    bench.commit(&mut owner, |batch| batch.texts = written).await.unwrap();
    assert_eq!(texts(&bench, "acme/a", &[99, 0, 5, 7]).await, ["last", "one", ""]);
    // The last word on a slot counts, in whatever order a batch has it.
    let changed = vec![(a.clone(), drop(0)), (a.clone(), put(0, "two")), (a.clone(), put(99, "none")), (a.clone(), drop(99)), (b, drop(5))];
    bench.commit(&mut owner, |batch| batch.texts = changed).await.unwrap();
    for _ in 0..2 {
        assert_eq!(texts(&bench, "acme/a", &[0, 99]).await, ["two"]);
        assert_eq!((texts(&bench, "acme/a.b", &[0]).await, texts(&bench, "acme/none", &[0]).await), (vec!["other".to_owned()], vec![]));
        assert!(bench.store().texts(P, a.clone(), vec![]).await.unwrap().is_empty());
        bench.reopen().await;
    }
}
