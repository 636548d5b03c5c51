//! The same weather over a node that serves: what it costs is the conversation, the partition or the entry it falls on.

use std::time::Duration;

use adjourn::actors::Fed;
use adjourn::domain::event::MessageSource;
use adjourn::domain::notice::Notice;
use adjourn::domain::{NoticeKind, PartitionId, Settings};
use adjourn::store::testing::StoreInTests;
use adjourn::store::*;
use serde_json::json;

use crate::bench::{OTHER, P, at, key, partitions, settings};
use crate::ground::command;
use crate::outside::{conversation_of, conversations_of, event_of};
use crate::patience::eventually;
use crate::rig::server::{Aof, Options};
use crate::ward::{DUE_BATCH, Ward};

async fn letters(ward: &Ward) -> Vec<DeadLetter> {
    ward.node.dead_letters(99).await.unwrap()
}

fn add(ward: &Ward, partition: PartitionId, fields: &[&str]) {
    let stream = format!("adjourn:{{p{partition}}}:events");
    ward.run(&[&["XADD", &stream, "*"], fields].concat());
}

fn json_at(ward: &Ward, conversation: &str, id: &str, minutes_ahead: i64) -> String {
    let mut event = event_of(conversation, id);
    event["time"] = json!(adjourn::wire::time::format(at(ward.now().as_millis() + minutes_ahead * 60_000)));
    event.to_string()
}

#[actix::test]
async fn what_nobody_can_read_is_a_dead_letter_and_what_stands_beside_it_is_applied() {
    let ward = Ward::new().await;
    let (here, elsewhere) = (conversation_of(P), conversation_of(OTHER));
    ward.human(&here, "h1").await;
    let json = "application/cloudevents+json";
    add(&ward, P, &["garbage", "1"]);
    add(&ward, P, &["e", "c"]); // form version 99
    add(&ward, P, &["ct", json, "ce", &json_at(&ward, &elsewhere, "astray", 0)]);
    add(&ward, P, &["ct", json, "ce", &json_at(&ward, &here, "b1", 0).replace("inbox.message.v1", "inbox.typing.v1")]);
    add(&ward, P, &["ct", json, "ce", &json_at(&ward, &here, "b2", 0).replace("\"contact\"", "\"bot\"")]);
    add(&ward, PartitionId(0), &["garbage", "1"]);
    ward.run(&["XADD", "adjourn:{in}:events", "*", "garbage", "2"]);
    eventually("all are set aside", async || letters(&ward).await.len() == 5).await;
    let reasons: Vec<String> = letters(&ward).await.into_iter().map(|letter| format!("{}: {}", letter.partition, letter.reason)).collect();
    for (reason, words) in
        reasons.iter().zip(["0: the fields", "0: the fields", "1: the fields", "1: form version 99", "1: its conversation belongs"])
    {
        assert!(reason.starts_with(words), "{reasons:?}");
    }
    ward.human(&here, "h2").await;
    let shown = ward.node.conversation(&key(&format!("acme/{here}"))).await.unwrap().unwrap();
    assert_eq!(shown.messages.outgoing, 3, "the bot's counts too");
    ward.pass(61);
    ward.closed(&here).await;
}

/// D2: whom it is about can be read, what it says cannot. It might be the reply.
#[actix::test]
async fn d2_a_reply_that_nobody_can_read_holds_its_conversation_until_somebody_gives_it_up() {
    let ward = Ward::new().await;
    let [here, beside]: [String; 2] = conversations_of(P).take(2).collect::<Vec<_>>().try_into().unwrap();
    ward.human(&here, "h1").await;
    ward.human(&beside, "h2").await;
    let reply = json_at(&ward, &here, "r1", 0).replace(r#""source":"contact""#, r#""source":"contact","message_id":5"#);
    add(&ward, P, &["ct", "application/cloudevents+json", "ce", &reply]);
    eventually("it is set aside", async || letters(&ward).await.len() == 1).await;
    let letter = letters(&ward).await.remove(0);
    assert!(letter.reason.contains("`data.message_id`"), "{}", letter.reason);
    assert_eq!(letter.conversation, Some(key(&format!("acme/{here}"))));
    let known = ward.store.applied(P, vec![letter.id]).await.unwrap();
    assert_eq!(known.marks, [Some(Mark::Failed)], "who waits for it is told that it was not done");
    ward.pass(61);
    ward.closed(&beside).await;
    let why = ward.node.why(&key(&format!("acme/{here}"))).await.unwrap().unwrap();
    assert_eq!((ward.closes(&here).await, why.set_aside), (0, 1));
    assert!(ward.node.act_on_dead_letter(P, letter.id, DeadLetterAction::Dismiss, Duration::from_secs(30)).await.unwrap());
    ward.closed(&here).await;
}

/// D9: it was never accepted, so it might not have been the reply.
#[actix::test]
async fn what_is_stamped_too_far_ahead_is_a_dead_letter_and_holds_no_timer() {
    let ward = Ward::new().await;
    let here = conversation_of(P);
    ward.human(&here, "h1").await;
    let json = "application/cloudevents+json";
    add(&ward, P, &["ct", json, "ce", &json_at(&ward, &here, "ahead", 6)]);
    eventually("it is set aside", async || letters(&ward).await.len() == 1).await;
    assert!(letters(&ward).await[0].reason.contains("ahead"), "{:?}", letters(&ward).await);
    ward.pass(61);
    ward.closed(&here).await;

    let other = conversation_of(OTHER);
    ward.human(&other, "h2").await;
    add(&ward, OTHER, &["ct", json, "ce", &json_at(&ward, &other, "near", 4)]);
    let shown = async || ward.node.conversation(&key(&format!("acme/{other}"))).await.unwrap().unwrap();
    eventually("the reply counts", async || shown().await.messages.incoming == 1).await;
    assert_eq!(shown().await.scheduled_close_at, None);
}

#[actix::test]
async fn a_key_of_another_kind_costs_its_partition_until_it_is_mended() {
    let ward = Ward::new().await;
    let (broken, fine) = (conversation_of(P), conversation_of(OTHER));
    ward.human(&broken, "h1").await;
    ward.human(&fine, "h2").await;
    for name in ["states", "lease"] {
        let spoiled = format!("adjourn:{{p1}}:{name}");
        ward.run(&["RENAME", &spoiled, "aside"]);
        ward.run(&["SET", &spoiled, "of another kind"]);
        ward.human(&fine, &format!("h3-{name}")).await;
        assert_eq!(ward.node.shards().await.unwrap().len(), usize::from(partitions().get()), "{name}");
        ward.run(&["RENAME", "aside", &spoiled]);
        ward.settled().await;
    }
    ward.run(&["RENAME", "adjourn:{p1}:deadlines", "aside"]);
    ward.run(&["SET", "adjourn:{p1}:deadlines", "of another kind"]);
    ward.pass(61);
    ward.closed(&fine).await;
    assert_eq!(ward.closes(&broken).await, 0);
    ward.run(&["RENAME", "aside", "adjourn:{p1}:deadlines"]);
    ward.closed(&broken).await;
}

#[actix::test]
async fn the_broken_settings_of_one_workspace_stop_nobody() {
    let ward = Ward::new().await;
    let broken = b"7:\x63garbage".as_slice();
    ::redis::cmd("HSET").arg("adjourn:settings").arg("broken").arg(broken).exec(&mut ward.server.connection()).unwrap();
    let later = Settings { enabled: true, enable_epoch: 2, ..settings(3) };
    assert!(ward.store.put_settings("acme".into(), 0, later.clone()).await.unwrap());
    let followed = async || ward.store.applied_settings(P, "acme".into()).await.unwrap() == Some(later.clone());
    eventually("the others' settings are followed", followed).await;
    let here = conversation_of(P);
    ward.human(&here, "h1").await;
    ward.pass(60 * 24 + 1);
    ward.closed(&here).await;
}

/// More of them than are looked at in one page, all before whoever is due. They stay, and cost a look at each tick.
#[actix::test]
async fn foreign_members_of_the_index_keep_nobody_from_closing() {
    let ward = Ward::new().await;
    let here = conversation_of(P);
    let mut add = ::redis::cmd("ZADD");
    add.arg("adjourn:{p1}:deadlines");
    for n in 0..3 * DUE_BATCH {
        add.arg(n).arg(format!("nobody {n}")).arg(n).arg(format!("acme/never-heard-of-{n}"));
    }
    add.exec(&mut ward.server.connection()).unwrap();
    ward.human(&here, "h1").await;
    ward.pass(61);
    ward.closed(&here).await;
    let ticks = |partition: PartitionId| ward.node.ticks()[usize::from(partition.0)];
    let (begun, beside) = (ticks(P), ticks(OTHER));
    eventually("ticks pass", async || ticks(OTHER) >= beside + 25).await;
    assert!(ticks(P) - begun < 75, "it ticks {} times while the one beside it ticks 25 times", ticks(P) - begun);
}

#[actix::test]
async fn whoever_follows_the_notifications_skips_none_when_somebody_else_writes_there() {
    let ward = Ward::new().await;
    let here = conversation_of(P);
    ward.human(&here, "h").await;
    let mut feed = ward.node.follow_from_oldest();
    for round in 0..2 {
        for _ in 0..3 {
            ward.run(&["XADD", "adjourn:{p1}:notifications", "*", "somebody", "else"]);
        }
        ward.pass(1);
        ward.human(&here, &format!("h{round}")).await;
    }
    ward.pass(61);
    ward.closed(&here).await;
    let mut told = Vec::new();
    while told.last() != Some(&NoticeKind::Closed) {
        let fed = tokio::time::timeout(Duration::from_secs(20), feed.next()).await.unwrap().unwrap();
        let Fed::Notifications(notifications) = fed else { panic!("what was told is kept") };
        told.extend(notifications.into_iter().map(|notification| match notification.notice {
            Notice::Conversation(told) => told.kind,
            Notice::Settings { .. } => panic!("nobody changed any"),
        }));
    }
    assert_eq!(told, [NoticeKind::Opened, NoticeKind::Armed, NoticeKind::Reset, NoticeKind::Reset, NoticeKind::Closed]);
}

#[actix::test]
async fn a_node_goes_on_over_keys_that_somebody_deletes() {
    let ward = Ward::new().await;
    let here = conversation_of(P);
    for name in ["events", "notifications", "settings", "dead", "letters", "marks", "lease", "deadlines", "rollups", "texts", "lists"] {
        ward.human(&here, name).await;
        ward.run(&["DEL", &format!("adjourn:{{p1}}:{name}")]);
        ward.human(&here, &format!("after {name}").replace(' ', "-")).await;
    }
    for name in ["events", "notifications"] {
        ward.run(&["XTRIM", &format!("adjourn:{{p1}}:{name}"), "MAXLEN", "0"]);
        ward.human(&here, &format!("trimmed-{name}")).await;
    }
    ward.pass(61);
    ward.closed(&here).await;
}

#[actix::test]
async fn redis_killed_under_a_node_costs_nothing_and_repeats_change_nothing() {
    let mut ward = Ward::with(Options::aof(Aof::Always)).await;
    let here = conversation_of(P);
    for n in 0..5 {
        ward.human(&here, &format!("before-{n}")).await;
    }
    ward.take(ward.says(&here, "reply", MessageSource::Contact)).await;
    ward.pass(1);
    ward.human(&here, "last").await;
    ward.server.kill();
    let away = ward.node.ingest(vec![ward.says(&here, "while away", MessageSource::User)]).await;
    assert!(matches!(away, Err(StoreError::Unavailable(_) | StoreError::OutcomeUnknown(_))), "{away:?}");
    ward.server.restart();
    eventually("it takes events again", async || ward.node.ingest(vec![]).await.is_ok() && ward.store.clock().await.is_ok()).await;
    ward.settled().await;
    ward.human(&here, "after").await;
    let caught_up = async || ward.node.stats().await.is_ok_and(|stats| stats.iter().all(|partition| partition.backlog == 0));
    eventually("what came again is applied", caught_up).await;
    let shown = ward.node.conversation(&key(&format!("acme/{here}"))).await.unwrap().unwrap();
    assert_eq!((shown.messages.incoming, shown.messages.outgoing), (1, 7), "what came again counts once");
    ward.pass(61);
    ward.closed(&here).await;
}

#[actix::test]
async fn a_node_goes_on_when_redis_forgets_its_scripts() {
    let ward = Ward::new().await;
    let here = conversation_of(P);
    for n in 0..5 {
        ward.run(&["SCRIPT", "FLUSH"]);
        ward.human(&here, &format!("h{n}")).await;
    }
    ward.run(&["SCRIPT", "FLUSH"]);
    ward.pass(61);
    ward.closed(&here).await;
}

#[actix::test]
async fn on_a_full_memory_what_is_due_closes_and_what_comes_waits() {
    let ward = Ward::new().await;
    let here = conversation_of(P);
    ward.human(&here, "h1").await;
    ward.run(&["CONFIG", "SET", "maxmemory", "100kb"]);
    let refused = ward.node.ingest(vec![ward.says(&here, "late", MessageSource::Contact)]).await;
    assert!(matches!(refused, Err(StoreError::Full { .. })), "{refused:?}");
    ward.pass(61);
    ward.closed(&here).await;
    ward.run(&["CONFIG", "SET", "maxmemory", "0"]);
    let taken = async || ward.node.ingest(vec![ward.says(&here, "later", MessageSource::Contact)]).await.is_ok();
    eventually("events are taken", taken).await;
}

#[actix::test]
async fn a_store_that_was_emptied_closes_and_takes_nothing() {
    let ward = Ward::new().await;
    let here = conversation_of(P);
    ward.human(&here, "h1").await;
    ward.run(&["FLUSHALL"]);
    ward.pass(61);
    let ended =
        async || matches!(ward.node.ingest(vec![ward.says(&here, "h2", MessageSource::User)]).await, Err(StoreError::Unavailable(_)));
    eventually("events are refused", ended).await;
    eventually("no partition runs", async || ward.node.shards_ready() == 0).await;
    let told: u64 = command(&["EXISTS", "adjourn:{p1}:notifications"]).query(&mut ward.server.connection()).unwrap();
    let written: u64 =
        if told == 1 { command(&["XLEN", "adjourn:{p1}:notifications"]).query(&mut ward.server.connection()).unwrap() } else { 0 };
    assert_eq!(written, 0);
}
