//! Settings: the master documents, and what each partition has applied of them.

use adjourn::domain::Settings;
use adjourn::domain::categories::Category;
use adjourn::domain::settings::{NotesMode, Running};
use adjourn::domain::time::Span;
use adjourn::store::testing::StoreInTests;
use adjourn::store::{Document, Shelf};

use crate::bench::*;

pub async fn the_master_changes_only_from_the_version_named(bench: Bench) {
    let store = bench.store();
    let put = async |expected, version| store.put_settings("acme".into(), expected, settings(version)).await.unwrap();
    assert_eq!(store.settings("acme".into()).await.unwrap(), None);
    assert!(!put(1, 2).await);
    assert_eq!(store.settings("acme".into()).await.unwrap(), None);
    assert!(put(0, 1).await);
    assert!(!put(0, 5).await);
    assert!(put(1, 2).await);
    assert!(!put(1, 3).await);
    assert_eq!(store.settings("acme".into()).await.unwrap(), Some(settings(2)));
    assert_eq!(store.settings("acm".into()).await.unwrap(), None);
}

pub async fn all_masters_come_in_order_of_workspace(bench: Bench) {
    let mut workspaces = ["b", "a", "a-b", "ab", "a.b", "B"];
    for workspace in workspaces {
        assert!(bench.store().put_settings(workspace.into(), 0, settings(1)).await.unwrap());
    }
    workspaces.sort_unstable();
    let all = bench.store().all_settings().await.unwrap();
    assert_eq!(all, workspaces.map(|workspace| (workspace.into(), settings(1))));
}

pub async fn what_a_partition_applied_is_its_own(bench: Bench) {
    let mut owner = bench.claim().await;
    bench.commit(&mut owner, |batch| batch.settings.push(("a".into(), settings(4)))).await.unwrap();
    let applied = async |partition, workspace: &str| bench.store().applied_settings(partition, workspace.into()).await.unwrap();
    assert_eq!(applied(P, "a").await, Some(settings(4)));
    for (partition, workspace) in [(OTHER, "a"), (P, "a-b"), (P, "")] {
        assert_eq!(applied(partition, workspace).await, None);
    }
    assert_eq!(bench.store().settings("a".into()).await.unwrap(), None);
}

pub async fn a_later_version_takes_the_place_of_an_earlier(bench: Bench) {
    let mut owner = bench.claim().await;
    for version in [1, 2] {
        let both = [("a", version), ("b", 9)].map(|(workspace, version)| (workspace.into(), settings(version)));
        bench.commit(&mut owner, |batch| batch.settings.extend(both)).await.unwrap();
    }
    let mut told = bench.store().seize(P, adjourn::store::Member::default()).await.unwrap().settings;
    told.sort_by(|(a, _), (b, _)| a.cmp(b));
    assert_eq!(told, [("a".into(), settings(2)), ("b".into(), settings(9))]);
}

pub async fn settings_survive(mut bench: Bench) {
    let all_set = Settings {
        version: 3,
        enable_epoch: 2,
        enabled: true,
        period: Span::from_mins(30),
        echo_arms: false,
        late_reply_window: Span::ZERO,
        notes_mode: NotesMode::CategoryAndSummaryRequired,
        notes_auto_generate: true,
        warning_before: Some(Span::from_mins(5)),
        farewell: Some("bye — see you ☺".into()),
        categories: vec![Category { name: "Rechnung".into(), description: Some("€".into()) }],
        running: Some(Running { version: 2, period: Span::from_hours(12), at: at(START), rate: 100 }),
    };
    assert!(bench.store().put_settings("acme".into(), 0, all_set.clone()).await.unwrap());
    let mut owner = bench.claim().await;
    bench.commit(&mut owner, |batch| batch.settings.push(("acme".into(), all_set.clone()))).await.unwrap();
    bench.reopen().await;
    assert_eq!(bench.store().settings("acme".into()).await.unwrap().as_ref(), Some(&all_set));
    assert_eq!(bench.store().applied_settings(P, "acme".into()).await.unwrap().as_ref(), Some(&all_set));
    assert!(!bench.store().put_settings("acme".into(), 2, settings(9)).await.unwrap());
    assert!(bench.store().put_settings("acme".into(), 3, settings(4)).await.unwrap());
}

async fn history(bench: &Bench, workspace: &str) -> Option<Document> {
    bench.store().document(Shelf::SettingsHistory, workspace.into()).await.unwrap()
}

pub async fn a_history_is_written_with_its_settings_or_not_at_all(bench: Bench) {
    let told = |text: &str| Some(text.as_bytes().to_vec());
    let put = async |expected, version, history| {
        bench.store().record_settings("acme".into(), expected, settings(version), history).await.unwrap()
    };
    let document = |version, text: &str| Some(Document { version, bytes: text.as_bytes().to_vec() });
    assert!(!put(1, 2, told("never")).await);
    assert_eq!(history(&bench, "acme").await, None);
    assert!(put(0, 1, told("one")).await);
    assert_eq!(history(&bench, "acme").await, document(1, "one"));
    assert!(!put(0, 1, told("never")).await);
    assert!(put(1, 2, None).await);
    assert_eq!((history(&bench, "acme").await, history(&bench, "other").await), (document(1, "one"), None), "kept as it was");
    assert!(put(2, 3, told("o:n\0e/two")).await);
    assert_eq!(history(&bench, "acme").await, document(3, "o:n\0e/two"));
    assert_eq!(bench.store().settings("acme".into()).await.unwrap(), Some(settings(3)));
}

pub async fn a_history_survives_and_is_no_settings(mut bench: Bench) {
    let long = vec![b'x'; 70_000];
    for workspace in ["acme", "other"] {
        assert!(bench.store().record_settings(workspace.into(), 0, settings(1), Some(long.clone())).await.unwrap());
    }
    bench.reopen().await;
    assert_eq!(history(&bench, "acme").await, Some(Document { version: 1, bytes: long }));
    assert_eq!(bench.store().all_settings().await.unwrap(), ["acme", "other"].map(|workspace| (workspace.into(), settings(1))));
}
