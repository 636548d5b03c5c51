//! Going through all rows of a partition page by page, in whatever order.

use std::collections::{BTreeMap, BTreeSet};

use adjourn::domain::PartitionId;
use adjourn::store::*;

use crate::bench::*;

/// More pages than any walk here may need: one that goes on beyond does not end.
const PAGES_MAX: usize = 10_000;

pub type Version = u64;

/// What a walk of a partition brought; `between` pages whatever one likes happens.
pub async fn walk(bench: &Bench, partition: PartitionId, limit: usize, mut between: impl AsyncFnMut(usize)) -> BTreeMap<String, Version> {
    let (mut found, mut place) = (BTreeMap::new(), None);
    for page in 0..PAGES_MAX {
        let walked = bench.store().walk(partition, place, limit).await.unwrap();
        found.extend(walked.rows.into_iter().map(|(key, row)| (key.to_string(), row.version)));
        match walked.next {
            Some(next) => place = Some(next),
            None => return found,
        }
        between(page).await;
    }
    panic!("a walk by {limit} does not end");
}

fn rows(names: impl Iterator<Item = usize>) -> Vec<RowWrite> {
    names.map(|n| put_version(&format!("acme/{n:04}"), n as u64, None, None)).collect()
}

pub async fn a_walk_comes_by_every_row_and_ends(mut bench: Bench) {
    assert_eq!(walk(&bench, P, 10, async |_| {}).await, BTreeMap::new());
    let mut owner = bench.claim().await;
    let mut expected = BTreeMap::new();
    for upto in [1, 9, 10, 11, 300] {
        let new = rows(expected.len()..upto);
        bench.commit(&mut owner, |batch| batch.rows = new).await.unwrap();
        expected.extend((expected.len()..upto).map(|n| (format!("acme/{n:04}"), n as u64)));
        for limit in [1, 10, MANY] {
            assert_eq!(walk(&bench, P, limit, async |_| {}).await, expected, "{upto} rows by {limit}");
        }
    }
    bench.reopen().await;
    assert_eq!(walk(&bench, P, 10, async |_| {}).await, expected);
    assert_eq!(walk(&bench, OTHER, 10, async |_| {}).await, BTreeMap::new());
}

/// Many come, so that a store's tables grow under the walker, and go again, so that they shrink.
pub async fn a_walk_misses_no_row_that_stays_while_others_come_and_go(bench: Bench) {
    const STAY: usize = 400;
    const COME: usize = 300;
    let mut owner = bench.claim().await;
    let staying = rows(0..STAY);
    bench.commit(&mut owner, |batch| batch.rows = staying).await.unwrap();
    let mut stirred = owner;
    let stir = async |page: usize| {
        let names = || (1_000 + page % 10 * COME..).take(COME);
        let writes = match page / 10 {
            0 => rows(names()),
            1 => names().map(|n| remove(&format!("acme/{n:04}"), None)).collect(),
            // Rewritten in place, as most rows are.
            _ => rows([page % STAY].into_iter()),
        };
        bench.commit(&mut stirred, |batch| batch.rows = writes).await.unwrap();
    };
    let found: BTreeSet<String> = walk(&bench, P, 7, stir).await.into_keys().collect();
    let stayed: BTreeSet<String> = (0..STAY).map(|n| format!("acme/{n:04}")).collect();
    assert_eq!(stayed.difference(&found).collect::<Vec<_>>(), [""; 0]);
}
