//! What a workspace has one document of on a shelf: replaced as a whole, by whoever saw the latest.

use adjourn::store::testing::StoreInTests;
use adjourn::store::{Document, EVERYWHERE, Shelf};

use crate::bench::*;

fn document(version: u64, text: &str) -> Document {
    Document { version, bytes: text.as_bytes().to_vec() }
}

pub async fn a_document_changes_only_from_the_version_named(bench: Bench) {
    let store = bench.store();
    let put = async |expected, document| store.put_document(Shelf::Agents, "acme".into(), expected, document).await.unwrap();
    let stored = async |workspace: &str| store.document(Shelf::Agents, workspace.into()).await.unwrap();
    assert_eq!(stored("acme").await, None);
    assert!(!put(1, document(2, "a")).await);
    assert!(put(0, document(1, "a:b\0c\u{fffd}")).await);
    assert!(!put(0, document(1, "b")).await);
    assert_eq!(stored("acme").await, Some(document(1, "a:b\0c\u{fffd}")));
    assert!(put(1, document(10, "")).await);
    assert!(!put(1, document(2, "c")).await);
    assert_eq!((stored("acme").await, stored("other").await), (Some(document(10, "")), None));
}

/// Each by itself, of one workspace, and of none.
pub async fn shelves_do_not_meet(bench: Bench) {
    let store = bench.store();
    let shelves = [Shelf::Agents, Shelf::Learnt, Shelf::Audit, Shelf::Keys, Shelf::KeyUse];
    for (n, shelf) in shelves.into_iter().enumerate() {
        for workspace in ["acme", EVERYWHERE] {
            let document = document(1, &format!("{n} of {workspace}"));
            assert!(store.put_document(shelf, workspace.into(), 0, document).await.unwrap(), "{shelf:?} of `{workspace}`");
        }
    }
    for (n, shelf) in shelves.into_iter().enumerate() {
        for workspace in ["acme", EVERYWHERE] {
            assert_eq!(store.document(shelf, workspace.into()).await.unwrap(), Some(document(1, &format!("{n} of {workspace}"))));
        }
    }
}

pub async fn of_two_who_saw_the_same_document_one_replaces_it(bench: Bench) {
    let store = bench.store();
    for round in 0..10 {
        let puts = (0..4).map(|n| store.put_document(Shelf::Agents, "acme".into(), round, document(round + 1, &n.to_string())));
        let done = futures_util::future::join_all(puts).await;
        assert_eq!(done.into_iter().filter(|done| *done.as_ref().unwrap()).count(), 1);
    }
}

pub async fn documents_survive_and_are_no_settings(mut bench: Bench) {
    assert!(bench.store().put_document(Shelf::Agents, "acme".into(), 0, document(1, "ana")).await.unwrap());
    assert!(bench.store().put_settings("acme".into(), 0, settings(7)).await.unwrap());
    bench.reopen().await;
    assert_eq!(bench.store().document(Shelf::Agents, "acme".into()).await.unwrap(), Some(document(1, "ana")));
    assert_eq!(bench.store().settings("acme".into()).await.unwrap(), Some(settings(7)));
    assert_eq!(bench.store().all_settings().await.unwrap().len(), 1);
}
