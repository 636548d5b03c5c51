//! Records that this build cannot read: of a newer one, or broken. Each costs itself and nothing beside it.

use adjourn::store::testing::StoreInTests;
use adjourn::store::*;

use crate::bench::*;
use crate::ground::*;
use crate::witness::Witness;

/// No form has this version yet.
const UNKNOWN: u8 = 99;

fn bytes(ground: &Ground, words: &[&str]) -> Vec<u8> {
    ground.ask(words)
}

/// Sets the version byte of a field of a hash, behind so many bytes.
fn spoil_field(ground: &Ground, key: &str, field: &str, behind: usize) {
    let mut stored = bytes(ground, &["HGET", key, field]);
    stored[behind] = UNKNOWN;
    ::redis::cmd("HSET").arg(key).arg(field).arg(stored).exec(&mut ground.redis()).unwrap();
}

/// Takes the entry of a stream away and puts it back with another `r`, as a newer version would have written it.
fn spoil_entry(ground: &Ground, stream: &str, id: &str, behind: usize) {
    let found: Vec<(String, Vec<(String, Vec<u8>)>)> = ground.ask(&["XRANGE", stream, "-", "+"]);
    ground.run(&["DEL", stream]);
    for (at, fields) in found {
        let mut add = ::redis::cmd("XADD");
        add.arg(stream).arg(&at);
        for (name, mut value) in fields {
            if at == id && name == "r" {
                value[behind] = UNKNOWN;
            }
            add.arg(name).arg(value);
        }
        add.exec(&mut ground.redis()).unwrap();
    }
}

#[tokio::test]
async fn a_row_nobody_can_read_is_told_and_the_others_load() {
    let ground = Ground::new().await;
    ground.owner().await;
    spoil_field(&ground, "adjourn:{p1}:states", "acme/c1", 6);
    ground.run(&["HSET", "adjourn:{p1}:states", "acme/c2", "short"]);
    let witness = Witness::new();
    let rows = ground.store().load(P, vec![key("acme/c1"), key("acme/c2"), key("acme/c3"), key("acme/c4")]).await.unwrap();
    let [Loaded::Corrupt { reason }, Loaded::Corrupt { reason: short }, Loaded::Found { .. }, Loaded::Missing] = &rows[..] else {
        panic!("{rows:?}")
    };
    assert!(reason.contains("form version 99"), "{reason}");
    assert!(short.contains("shorter than a row"), "{short}");
    witness.heard(&["a record cannot be read", "conversation", "acme/c1", "form version 99"]);
    witness.counted("adjourn_records_unreadable_total", "record=\"conversation\"");
    let listed = ground.store().scan(P, None, None, 9).await.unwrap();
    assert_eq!(listed.into_iter().map(|(key, _)| key).collect::<Vec<_>>(), [key("acme/c3")]);
    assert_eq!(ground.store().due(P, at(START), None, 9).await.unwrap().len(), 1, "when to look at it is known");
}

#[tokio::test]
async fn an_entry_nobody_can_read_comes_in_its_place() {
    let ground = Ground::new().await;
    let first = ground.bench.append(&["a"]).await[0];
    ::redis::cmd("XADD").arg("adjourn:{p1}:events").arg("*").arg("e").arg(&[UNKNOWN, 1, 2]).exec(&mut ground.redis()).unwrap();
    ground.bench.append(&["b"]).await;
    let read = ground.bench.read(P, LogId::ZERO).await;
    assert_eq!((read.len(), read[0].id), (3, first));
    let unreadable = read[1].entry.as_ref().unwrap_err();
    assert!(unreadable.reason.contains("form version 99"), "{}", unreadable.reason);
    assert_eq!(unreadable.bytes, [b"e=".as_slice(), &[UNKNOWN, 1, 2], b"\n"].concat());
    assert!(read[0].entry.is_ok() && read[2].entry.is_ok());
}

#[tokio::test]
async fn a_notification_nobody_can_read_is_passed_over_and_the_next_takes_its_place() {
    let ground = Ground::new().await;
    let mut owner = ground.bench.claim().await;
    ground.bench.commit(&mut owner, |batch| batch.notifications = (1..=5).map(|n| notification(n, None)).collect()).await.unwrap();
    for id in ["1-0", "2-0", "4-0"] {
        spoil_entry(&ground, "adjourn:{p1}:notifications", id, 8);
    }
    let witness = Witness::new();
    let page = async |after, limit| {
        let page = ground.store().notifications(P, after, limit).await.unwrap();
        (page.items.iter().map(|item| item.number).collect::<Vec<_>>(), page.oldest)
    };
    assert_eq!(page(0, 1).await, (vec![3], 1));
    assert_eq!(page(0, 2).await, (vec![3, 5], 1));
    assert_eq!(page(3, 9).await, (vec![5], 1));
    witness.heard(&["a record cannot be read", "notification", "partition 1"]);
    witness.counted("adjourn_records_unreadable_total", "record=\"notification\"");
}

#[tokio::test]
async fn settings_applied_that_nobody_can_read_are_as_none_to_who_claims() {
    let ground = Ground::new().await;
    ground.owner().await;
    spoil_field(&ground, "adjourn:{p1}:settings", "acme", 0);
    let witness = Witness::new();
    let applied = ground.store().applied_settings(P, "acme".into()).await;
    assert!(matches!(&applied, Err(StoreError::Unavailable(reason)) if reason.contains("form version 99")), "{applied:?}");
    let claim = ground.store().seize(P, member("b", 2)).await.unwrap();
    assert_eq!(claim.settings, [], "the master's are applied anew");
    witness.heard(&["a record cannot be read", "settings applied", "acme"]);
    witness.counted("adjourn_records_unreadable_total", "record=\"settings applied\"");
}

#[tokio::test]
async fn one_workspace_whose_settings_nobody_can_read_does_not_cost_the_others_theirs() {
    let ground = Ground::new().await;
    for workspace in ["acme", "other"] {
        assert!(ground.store().put_settings(workspace.into(), 0, settings(4)).await.unwrap());
    }
    spoil_field(&ground, "adjourn:settings", "acme", "4:".len());
    let witness = Witness::new();
    assert_eq!(ground.store().all_settings().await.unwrap(), [("other".into(), settings(4))]);
    witness.heard(&["a record cannot be read", "settings", "acme", "form version 99"]);
    witness.counted("adjourn_records_unreadable_total", "record=\"settings\"");
    let asked = ground.store().settings("acme".into()).await;
    let what_to_do = "`HDEL adjourn:settings acme` puts the defaults in their place";
    assert!(matches!(&asked, Err(StoreError::Unavailable(reason)) if reason.contains(what_to_do)), "{asked:?}");
    ground.run(&["HDEL", "adjourn:settings", "acme"]);
    assert_eq!(ground.store().settings("acme".into()).await.unwrap(), None);
}

/// Otherwise its conversation would be held for ever, and nobody would see why.
#[tokio::test]
async fn a_letter_nobody_can_read_or_that_is_lost_is_listed_and_can_be_dismissed() {
    let ground = Ground::new().await;
    let ids = ground.bench.append(&["a", "b", "c"]).await;
    let mut owner = ground.bench.claim().await;
    ground.bench.commit(&mut owner, |batch| batch.dead = ids.iter().map(|id| dead_letter(*id)).collect()).await.unwrap();
    let stored: Vec<(String, Vec<(String, Vec<u8>)>)> = ground.ask(&["XRANGE", "adjourn:{p1}:dead", "-", "+"]);
    spoil_entry(&ground, "adjourn:{p1}:dead", &stored[0].0, 0);
    ground.run(&["XDEL", "adjourn:{p1}:dead", &stored[1].0]);
    let witness = Witness::new();
    let letters = ground.store().dead_letters(P, LogId::ZERO, 9).await.unwrap();
    assert_eq!(letters.iter().map(|letter| letter.id).collect::<Vec<_>>(), ids);
    assert!(letters[0].reason.contains("form version 99") && letters[0].entry.is_err(), "{:?}", letters[0]);
    assert!(letters[1].reason.contains("cannot be read") && letters[1].entry.is_err(), "{:?}", letters[1]);
    assert_eq!(letters[2], dead_letter(ids[2]));
    witness.heard(&["a record cannot be read", "dead letter", &format!("{} of partition 1", ids[0])]);
    witness.counted("adjourn_records_unreadable_total", "record=\"dead letter\"");
    ground.bench.commit(&mut owner, |batch| batch.dead_removed = ids[..2].to_vec()).await.unwrap();
    assert_eq!(ground.store().dead_letters(P, LogId::ZERO, 9).await.unwrap(), [dead_letter(ids[2])]);
}
