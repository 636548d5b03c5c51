//! What other programs put into the logs (CONTRACT.md, "From Redis directly").

use adjourn::domain::PartitionId;
use adjourn::store::*;
use serde_json::{Value, json};

use crate::bench::*;
use crate::ground::*;
use crate::patience::eventually;

const JSON: &str = "application/cloudevents+json";
const MSGPACK: &str = "application/vnd.msgpack";

/// An event of a conversation, as the contract shows it.
pub fn event_of(conversation: &str, id: &str) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "/outside", "type": "inbox.message.v1", "subject": conversation,
        "workspace": "acme", "time": "2026-11-22T10:00:00Z", "data": { "source": "contact" },
    })
}

/// A conversation of `P`.
fn ours() -> String {
    conversation_of(P)
}

pub fn conversation_of(partition: PartitionId) -> String {
    conversations_of(partition).next().unwrap()
}

pub fn conversations_of(partition: PartitionId) -> impl Iterator<Item = String> {
    let lives_here = move |name: &String| key(&format!("acme/{name}")).partition(partitions()) == partition;
    (0..).map(|n| format!("c{n}")).filter(lives_here)
}

fn add(ground: &Ground, stream: &str, fields: &[(&str, &[u8])]) {
    let mut add = ::redis::cmd("XADD");
    add.arg(stream).arg("*");
    for (name, value) in fields {
        add.arg(name).arg(value);
    }
    add.exec(&mut ground.redis()).unwrap();
}

/// What the owner of `P` makes of it.
async fn read(ground: &Ground, fields: &[(&str, &[u8])]) -> Result<Entry, Unreadable> {
    add(ground, "adjourn:{p1}:events", fields);
    ground.bench.read(P, LogId::ZERO).await.pop().unwrap().entry
}

async fn reason(ground: &Ground, fields: &[(&str, &[u8])]) -> String {
    read(ground, fields).await.unwrap_err().reason.into()
}

#[tokio::test]
async fn an_event_of_another_program_is_read_in_json_and_in_msgpack() {
    let ground = Ground::new().await;
    let event = event_of(&ours(), "x1");
    let packed = rmp_serde::to_vec_named(&event).unwrap();
    let text = serde_json::to_vec(&event).unwrap();
    let charset = format!("{JSON}; charset=utf-8");
    for (kind, bytes) in [(JSON, &text), (MSGPACK, &packed), (&charset, &text), ("application/json", &text)] {
        let read = read(&ground, &[("ct", kind.as_bytes()), ("ce", bytes)]).await.unwrap();
        let Entry::Event(event) = read else { panic!("{read:?}") };
        assert_eq!((event.name.id(), event.name.source()), ("x1", "/outside"), "{kind}");
        assert_eq!(event.conversation, key(&format!("acme/{}", ours())));
    }
}

#[tokio::test]
async fn an_event_of_a_type_without_a_rule_is_ignored_wherever_it_is() {
    let ground = Ground::new().await;
    let mut event = event_of(&conversation_of(OTHER), "x1");
    event["type"] = json!("inbox.typing.v1");
    let read = read(&ground, &[("ct", JSON.as_bytes()), ("ce", &serde_json::to_vec(&event).unwrap())]).await.unwrap();
    assert_eq!(read, Entry::Ignored { type_name: "inbox.typing.v1".into() });
}

#[tokio::test]
async fn what_cannot_be_read_says_why_and_is_kept_as_far_as_it_fits() {
    let ground = Ground::new().await;
    let json = |event: &Value| serde_json::to_vec(event).unwrap();
    let astray = json(&event_of(&conversation_of(OTHER), "x1"));
    let said = reason(&ground, &[("ct", JSON.as_bytes()), ("ce", &astray)]).await;
    assert!(said.contains("belongs to partition 2, not 1: CRC-32"), "{said}");

    let mut nobody = event_of(&ours(), "x1");
    nobody.as_object_mut().unwrap().remove("subject");
    for (fields, words) in [
        (vec![("ct", JSON.as_bytes()), ("ce", b"garbage".as_slice())], "line 1"),
        (vec![("ct", JSON.as_bytes()), ("ce", b"")], "EOF"),
        (vec![("ct", MSGPACK.as_bytes()), ("ce", b"\xc1\xc1")], ""),
        (vec![("ct", JSON.as_bytes()), ("ce", &json(&nobody))], "subject"),
        (vec![("ct", b"text/plain"), ("ce", &json(&event_of(&ours(), "x1")))], "`ct` is text/plain"),
        (vec![("ce", b"{}".as_slice())], "the fields `ct`"),
        (vec![("ct", JSON.as_bytes())], "the fields `ct`"),
        (vec![("", b"")], "the fields `ct`"),
        (vec![("ct", b"\xff\xfe".as_slice()), ("ce", b"{}")], "`ct` is"),
        (vec![("e", b"".as_slice())], "0 bytes"),
        (vec![("e", &[1, 0x95, 0, 0, 0, 0, 0])], ""),
    ] {
        let unreadable = read(&ground, &fields).await.unwrap_err();
        assert!(unreadable.reason.contains(words), "{fields:?}: {}", unreadable.reason);
        assert!(unreadable.bytes.starts_with(fields[0].0.as_bytes()), "{unreadable:?}");
    }

    let large = vec![b'x'; 1 << 20];
    let unreadable = read(&ground, &[("ct", JSON.as_bytes()), ("ce", &large)]).await.unwrap_err();
    assert!((60_000..70_000).contains(&unreadable.bytes.len()), "{} bytes of it are kept", unreadable.bytes.len());
}

#[tokio::test]
async fn a_large_event_of_another_program_is_read_up_to_the_bound_of_its_text() {
    let ground = Ground::new().await;
    for (length, fits) in [(60_000, true), (1 << 20, false)] {
        let mut event = event_of(&ours(), "x1");
        event["data"]["text"] = json!("x".repeat(length));
        let read = read(&ground, &[("ct", JSON.as_bytes()), ("ce", &serde_json::to_vec(&event).unwrap())]).await;
        match read {
            Ok(entry) => assert!(fits && matches!(entry, Entry::Event(_))),
            Err(unreadable) => {
                assert!(!fits && unreadable.reason.contains("`data.text` is longer than 65536 bytes"), "{}", unreadable.reason);
            }
        }
    }
}

/// Security row 15: what could end a line, a text or a key, in every member that names something, at both doors of Redis.
/// It is set aside with a reason that can be shown on a terminal, and nothing else comes of it.
#[tokio::test]
async fn row_15_names_that_end_lines_texts_or_keys_are_set_aside() {
    let ground = Ground::new().await;
    let long = "x".repeat(64 * 1024);
    let mut told = Vec::new();
    for bad in ["a\r\nb", "a\0b", "{p1}", "\u{1b}[31m", &long] {
        for member in ["subject", "workspace", "id", "source", "type"] {
            if bad == "{p1}" && ["id", "source", "type"].contains(&member) {
                continue; // no part of any key, and printable
            }
            let mut event = event_of(&ours(), "x1");
            event[member] = json!(bad);
            told.push(reason(&ground, &[("ct", JSON.as_bytes()), ("ce", &serde_json::to_vec(&event).unwrap())]).await);
            told.push(reason(&ground, &[("ct", MSGPACK.as_bytes()), ("ce", &rmp_serde::to_vec_named(&event).unwrap())]).await);
            add(&ground, "adjourn:{in}:events", &[("ct", JSON.as_bytes()), ("ce", &serde_json::to_vec(&event).unwrap())]);
        }
        told.push(reason(&ground, &[("ct", bad.as_bytes()), ("ce", b"{}")]).await);
        told.push(reason(&ground, &[(bad, b"x".as_slice()), ("ce", b"{}")]).await);
    }
    for reason in told {
        assert!(reason.len() < 1_024 && !reason.chars().any(char::is_control), "{reason:?}");
    }
    let waiting = ground.ask::<usize>(&["XLEN", "adjourn:{in}:events"]);
    ground.bench.claim_of(PartitionId(0)).await;
    eventually("all are moved", async || ground.ask::<u64>(&["XLEN", "adjourn:{in}:events"]) == 0).await;
    let moved = ground.bench.read(PartitionId(0), LogId::ZERO).await;
    assert_eq!((moved.len(), moved.iter().filter(|entry| entry.entry.is_err()).count()), (waiting, waiting));
}

/// It may call itself accepted before: that can only put a close off until it is applied.
#[tokio::test]
async fn a_foreign_field_of_our_own_name_closes_nothing_early() {
    let ground = Ground::new().await;
    let mut owner = ground.bench.claim().await;
    let event = serde_json::to_vec(&event_of(&ours(), "x1")).unwrap();
    let deadline = at(ground.store().clock().await.unwrap().as_millis() - 60_000);
    for (at, holds) in [("5", true), ("nonsense", true), ("nan", false), ("9999999999999999999999", false), ("", true)] {
        add(&ground, "adjourn:{p1}:events", &[("ct", JSON.as_bytes()), ("ce", &event), ("at", at.as_bytes())]);
        let id = ground.bench.read(P, owner.checkpoint).await[0].id;
        let closed = ground.bench.commit(&mut owner, |batch| batch.not_before = Some(deadline)).await;
        assert_eq!(is_refused(&closed), holds, "at {at:?}: {closed:?}");
        ground.bench.commit(&mut owner, |batch| (batch.checkpoint, batch.not_before) = (id, Some(deadline))).await.unwrap();
    }
}

/// Each event goes to its partition once, and what cannot be read to the first one, as it was.
#[tokio::test]
async fn events_without_a_partition_are_moved_where_they_belong() {
    let ground = Ground::new().await;
    let add_event = |partition, id: &str| {
        let event = event_of(&conversation_of(partition), id);
        add(&ground, "adjourn:{in}:events", &[("ct", JSON.as_bytes()), ("ce", &serde_json::to_vec(&event).unwrap())]);
    };
    for partition in partitions().all() {
        add_event(partition, "x1");
        add_event(partition, "x2");
    }
    add(&ground, "adjourn:{in}:events", &[("ct", b"text/plain"), ("ce", b"\xff"), ("more", b"kept")]);
    let mut typing = event_of(&conversation_of(OTHER), "x3");
    typing["type"] = json!("inbox.typing.v1");
    add(&ground, "adjourn:{in}:events", &[("ct", JSON.as_bytes()), ("ce", &serde_json::to_vec(&typing).unwrap())]);
    assert_eq!(ground.ask::<u64>(&["XLEN", "adjourn:{in}:events"]), 10, "nobody has the first partition yet");

    ground.bench.claim_of(PartitionId(0)).await;
    eventually("all are moved", async || ground.ask::<u64>(&["XLEN", "adjourn:{in}:events"]) == 0).await;
    for partition in partitions().all() {
        let names: Vec<String> = ground.bench.read(partition, LogId::ZERO).await.into_iter().map(named).collect();
        match partition.0 {
            0 => assert_eq!(names, ["x1", "x2", "ignored inbox.typing.v1", "unreadable ct=text/plain\nce=\u{fffd}\nmore=kept\n"]),
            _ => assert_eq!(names, ["x1", "x2"]),
        }
    }
}

fn named(entry: LogEntry) -> String {
    match entry.entry {
        Ok(Entry::Event(event)) => event.name.id().to_string(),
        Ok(Entry::Ignored { type_name }) => format!("ignored {type_name}"),
        Ok(other) => format!("{other:?}"),
        Err(unreadable) => format!("unreadable {}", String::from_utf8_lossy(&unreadable.bytes)),
    }
}

/// What cannot be moved yet stays, and what was passed on before it is not passed on again and again.
#[tokio::test]
async fn while_one_log_takes_nothing_the_unreadable_is_passed_on_once() {
    let ground = Ground::new().await;
    ground.run(&["SET", "adjourn:{p1}:events", "of another kind"]);
    add(&ground, "adjourn:{in}:events", &[("garbage", b"1")]);
    let event = event_of(&ours(), "x1");
    add(&ground, "adjourn:{in}:events", &[("ct", JSON.as_bytes()), ("ce", &serde_json::to_vec(&event).unwrap())]);
    ground.bench.claim_of(PartitionId(0)).await;
    let refused = async || {
        let stats: String = ground.ask(&["INFO", "errorstats"]);
        stats.contains("errorstat_WRONGTYPE:count=") && !stats.contains("errorstat_WRONGTYPE:count=1\r")
    };
    eventually("it has tried again", refused).await;
    ground.run(&["DEL", "adjourn:{p1}:events"]);
    eventually("all are moved", async || ground.ask::<u64>(&["XLEN", "adjourn:{in}:events"]) == 0).await;
    assert_eq!(ground.bench.read(PartitionId(0), LogId::ZERO).await.len(), 1);
    assert_eq!(ground.bench.read(P, LogId::ZERO).await.len(), 1);
}
