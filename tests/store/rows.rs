//! Conversations and the index of when to look at them.

use adjourn::domain::*;
use adjourn::store::*;

use crate::bench::*;

fn found(version: u64, look_at: Option<i64>) -> Loaded {
    Loaded::Found { conversation: Box::new(conversation(version)), look_at: look_at.map(at) }
}

async fn load(bench: &Bench, keys: &[&str]) -> Vec<Loaded> {
    bench.store().load(P, keys.iter().map(|text| key(text)).collect()).await.unwrap()
}

async fn due(bench: &Bench, until: i64, after: Option<(i64, &str)>, limit: usize) -> Vec<(i64, String)> {
    let after = after.map(|(ms, text)| DueKey { at: at(ms), key: key(text) });
    let due = bench.store().due(P, at(until), after, limit).await.unwrap();
    due.into_iter().map(|due| (due.at.as_millis(), due.key.to_string())).collect()
}

async fn scan(bench: &Bench, workspace: Option<&str>, after: Option<&str>, limit: usize) -> Vec<String> {
    let rows = bench.store().scan(P, workspace.map(Into::into), after.map(key), limit).await.unwrap();
    rows.into_iter().map(|(key, _)| key.to_string()).collect()
}

/// A store with these rows and look-at times.
async fn with_rows(bench: &Bench, rows: &[(&str, Option<i64>)]) -> Owner {
    let mut owner = bench.claim().await;
    let writes = rows.iter().map(|(key, look_at)| put(key, None, *look_at));
    bench.commit(&mut owner, |batch| batch.rows.extend(writes)).await.unwrap();
    owner
}

pub async fn rows_load_in_the_order_asked(mut bench: Bench) {
    let mut owner = bench.claim().await;
    let rows = [put_version("acme/a", 1, None, Some(5)), put_version("acme/b", 2, None, None)];
    bench.commit(&mut owner, |batch| batch.rows.extend(rows)).await.unwrap();
    for _ in 0..2 {
        let rows = load(&bench, &["acme/b", "acme/none", "acme/a", "acme/b"]).await;
        assert_eq!(rows, [found(2, None), Loaded::Missing, found(1, Some(5)), found(2, None)]);
        assert_eq!(load(&bench, &[]).await, []);
        bench.reopen().await;
    }
}

pub async fn a_removed_row_is_gone(bench: Bench) {
    let mut owner = with_rows(&bench, &[("acme/a", Some(5)), ("acme/b", None), ("acme/c", Some(5))]).await;
    let removals = [remove("acme/a", Some(5)), remove("acme/b", None), remove("acme/never", None)];
    bench.commit(&mut owner, |batch| batch.rows.extend(removals)).await.unwrap();
    assert_eq!(load(&bench, &["acme/a", "acme/b"]).await, [Loaded::Missing, Loaded::Missing]);
    assert_eq!(due(&bench, 9, None, 9).await, [(5, "acme/c".into())]);
    assert_eq!(scan(&bench, None, None, 9).await, ["acme/c"]);
}

pub async fn the_index_follows_its_row(bench: Bench) {
    let mut owner = bench.claim().await;
    let mut indexed_at = None;
    for (version, look_at) in [Some(5), Some(9), Some(2), Some(2), None, None, Some(7)].into_iter().enumerate() {
        let write = put_version("acme/a", version as u64, indexed_at, look_at);
        bench.commit(&mut owner, |batch| batch.rows.push(write)).await.unwrap();
        let expected: Vec<_> = look_at.map(|ms| (ms, "acme/a".to_owned())).into_iter().collect();
        assert_eq!(due(&bench, 100, None, 9).await, expected);
        assert_eq!(load(&bench, &["acme/a"]).await, [found(version as u64, look_at)]);
        assert_eq!(bench.store().stats().await.unwrap()[usize::from(P.0)].timers, expected.len() as u64);
        indexed_at = look_at;
    }
}

pub async fn due_is_ordered_by_instant_and_key(bench: Bench) {
    let times = [("a/z", 5), ("a-b/c", 5), ("ab/a", 5), ("z/a", -3), ("m/a", 1 << 40), ("b/a", 256), ("c/a", 255), ("d/a", 0)];
    with_rows(&bench, &times.map(|(key, ms)| (key, Some(ms)))).await;
    let order = due(&bench, i64::MAX, None, MANY).await;
    let mut expected = times.map(|(key, ms)| (ms, key.to_owned()));
    expected.sort();
    assert_eq!(order, expected);
    assert_eq!(order[2].1, "a-b/c", "'-' comes before '/'");
}

pub async fn due_ends_with_its_instant_and_its_limit(bench: Bench) {
    with_rows(&bench, &[("w/a", Some(1)), ("w/b", Some(2)), ("w/c", Some(2)), ("w/d", Some(3)), ("w/e", None)]).await;
    assert_eq!(due(&bench, 0, None, 9).await, []);
    assert_eq!(due(&bench, 2, None, 9).await.len(), 3);
    assert_eq!(due(&bench, 9, None, 2).await, [(1, "w/a".into()), (2, "w/b".into())]);
    assert_eq!(due(&bench, 9, None, 0).await, []);
}

pub async fn due_goes_on_after_a_key(bench: Bench) {
    with_rows(&bench, &[("w/a", Some(1)), ("w/b", Some(2)), ("w/c", Some(2)), ("w/d", Some(3))]).await;
    assert_eq!(due(&bench, 9, Some((2, "w/b")), 9).await, [(2, "w/c".into()), (3, "w/d".into())]);
    assert_eq!(due(&bench, 2, Some((2, "w/b")), 9).await, [(2, "w/c".into())]);
    assert_eq!(due(&bench, 9, Some((2, "w/aaa")), 1).await, [(2, "w/b".into())]);
    assert_eq!(due(&bench, 9, Some((3, "w/d")), 9).await, []);
    assert_eq!(due(&bench, 1, Some((2, "w/b")), 9).await, []);
}

pub async fn due_rows_are_counted(bench: Bench) {
    let mut owner = with_rows(&bench, &[("w/a", Some(1)), ("w/b", Some(2)), ("w/c", Some(2)), ("w/d", Some(3)), ("w/e", None)]).await;
    let counts = async |partition| {
        let mut counts = Vec::new();
        for until in [at(0), at(1), at(2), Timestamp::MAX] {
            counts.push(bench.store().count_due(partition, until).await.unwrap());
        }
        counts
    };
    assert_eq!(counts(P).await, [0, 1, 3, 4]);
    bench.commit(&mut owner, |batch| batch.rows = vec![put("w/a", Some(1), None), remove("w/d", Some(3))]).await.unwrap();
    assert_eq!(counts(P).await, [0, 0, 2, 2]);
    assert_eq!(counts(OTHER).await, [0; 4]);
}

pub async fn a_storm_of_due_rows_is_counted_to_ten_thousand_at_least(bench: Bench) {
    let mut owner = bench.claim().await;
    for thousand in 0..11 {
        let rows = (0..1_000).map(|n| put(&format!("w/{thousand}-{n}"), None, Some(5)));
        bench.commit(&mut owner, |batch| batch.rows.extend(rows)).await.unwrap();
    }
    let counted = bench.store().count_due(P, at(5)).await.unwrap();
    assert!((10_000..=11_000).contains(&counted), "{counted}");
}

/// Three workspaces whose names begin alike: '-' and '.' come before the '/' that ends a name, letters after it.
const TRAPS: [&str; 7] = ["a-b/1", "a-b/2", "a./1", "a/1", "a/2", "aa/1", "ab/1"];

async fn with_traps(bench: &Bench) {
    let mut rows = TRAPS.map(|key| (key, None));
    rows.reverse();
    with_rows(bench, &rows).await;
}

pub async fn scan_is_ordered_by_key(bench: Bench) {
    with_traps(&bench).await;
    assert_eq!(scan(&bench, None, None, MANY).await, TRAPS);
    assert_eq!(scan(&bench, None, None, 0).await, [""; 0]);
    let rows = bench.store().scan(P, None, None, 1).await.unwrap();
    assert_eq!(rows, [(key("a-b/1"), conversation(1))]);
}

pub async fn scan_keeps_workspaces_apart(bench: Bench) {
    with_traps(&bench).await;
    assert_eq!(scan(&bench, Some("a"), None, MANY).await, ["a/1", "a/2"]);
    assert_eq!(scan(&bench, Some("a-b"), None, MANY).await, ["a-b/1", "a-b/2"]);
    assert_eq!(scan(&bench, Some("ab"), None, MANY).await, ["ab/1"]);
    assert_eq!(scan(&bench, Some("a-"), None, MANY).await, [""; 0]);
    assert_eq!(scan(&bench, Some("A"), None, MANY).await, [""; 0]);
}

pub async fn scan_goes_on_after_a_key(bench: Bench) {
    with_traps(&bench).await;
    let mut pages = vec![scan(&bench, None, None, 3).await];
    while let Some(last) = pages.last().and_then(|page| page.last()).cloned() {
        pages.push(scan(&bench, None, Some(&last), 3).await);
    }
    assert_eq!(pages.concat(), TRAPS);
    assert_eq!(scan(&bench, Some("a"), Some("a/1"), 9).await, ["a/2"]);
    assert_eq!(scan(&bench, Some("a"), Some("a-b/1"), 1).await, ["a/1"]);
    assert_eq!(scan(&bench, Some("a"), Some("aa/1"), 9).await, [""; 0]);
    assert_eq!(scan(&bench, Some("ab"), Some("a/15"), 9).await, ["ab/1"]);
}

pub async fn partitions_keep_their_rows_apart(bench: Bench) {
    with_rows(&bench, &[("acme/a", Some(5))]).await;
    for partition in partitions().all().filter(|partition| *partition != P) {
        let store = bench.store();
        assert_eq!(store.load(partition, vec![key("acme/a")]).await.unwrap(), [Loaded::Missing]);
        assert_eq!(store.scan(partition, None, None, 9).await.unwrap(), []);
        assert_eq!(store.due(partition, Timestamp::MAX, None, 9).await.unwrap(), []);
    }
}
