//! `adjourn rehearse`, as a user runs it: files in, closes out. Small files are computed by hand; the real slice is
//! compared with a second, naive reading of the rules.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml excuses test functions, not their helpers

use std::collections::BTreeMap;
use std::io::{Read, Write};

use assert_cmd::Command;
use chrono::{DateTime, SecondsFormat, TimeDelta};
use serde_json::{Value, json};

const SLICE: &[u8] = include_bytes!("../src/cli/demo/ubuntu-irc-slice.ndjson.gz");

/// The instant `seconds` after ten o'clock.
fn at(seconds: f64) -> String {
    let ten: DateTime<chrono::Utc> = "2026-11-22T10:00:00Z".parse().unwrap();
    (ten + TimeDelta::milliseconds((seconds * 1_000.0).round() as i64)).to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn minute(minutes: f64) -> String {
    at(minutes * 60.0)
}

fn event(id: &str, time: &str, kind: &str, data: Value) -> Value {
    json!({"specversion": "1.0", "id": id, "source": "/test", "type": format!("inbox.{kind}.v1"), "subject": "c1",
           "workspace": "acme", "time": time, "data": data})
}

fn message(id: &str, minutes: f64, source: &str) -> Value {
    event(id, &minute(minutes), "message", json!({"source": source}))
}

fn of(conversation: &str, mut event: Value) -> Value {
    event["subject"] = conversation.into();
    event
}

fn within(workspace: &str, mut event: Value) -> Value {
    event["workspace"] = workspace.into();
    event
}

fn assigned(id: &str, minutes: f64, kind: &str) -> Value {
    event(id, &minute(minutes), "conversation.assigned", json!({"assignee": {"kind": kind, "id": "ana"}}))
}

fn snoozed(id: &str, minutes: f64, until: f64) -> Value {
    event(id, &minute(minutes), "conversation.snoozed", json!({"until": minute(until)}))
}

fn ndjson(events: &[Value]) -> Vec<u8> {
    events.iter().flat_map(|event| format!("{event}\n").into_bytes()).collect()
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

struct Ran {
    code: i32,
    out: String,
    err: String,
}

/// Runs `adjourn rehearse -` on these bytes.
fn rehearse(input: &[u8], flags: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_adjourn"));
    let output = command.arg("rehearse").arg("-").args(flags).write_stdin(input).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

/// A close as (conversation, episode, at, source).
type Close = (String, u64, String, String);

fn closes_of(out: &str) -> Vec<Close> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    out.lines()
        .map(|line| {
            let close: Value = serde_json::from_str(line).unwrap();
            (text(&close["conversation"]), close["episode"].as_u64().unwrap(), text(&close["at"]), text(&close["source"]))
        })
        .collect()
}

/// What a five-minute period makes of `events` in conversation c1.
#[track_caller]
fn check(events: &[Value], expected: &[(u64, f64, &str)]) {
    let ran = rehearse(&ndjson(events), &["--period", "5m"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let expected: Vec<Close> =
        expected.iter().map(|(episode, minutes, source)| ("c1".into(), *episode, minute(*minutes), (*source).into())).collect();
    assert_eq!(closes_of(&ran.out), expected, "{}", ran.err);
}

#[test]
fn t3_t4_t5_t6_arms_resets_cancels_closes() {
    check(&[message("a", 0.0, "contact"), message("b", 1.0, "user")], &[(1, 6.0, "auto_close")]);
    check(&[message("b", 1.0, "user"), message("c", 4.0, "user")], &[(1, 9.0, "auto_close")]);
    check(&[message("b", 1.0, "user"), message("c", 5.0, "contact")], &[]);
    check(&[message("a", 0.0, "contact")], &[]);
}

#[test]
fn a_line_is_the_contract_s() {
    let ran = rehearse(&ndjson(&[message("a", 0.0, "user")]), &["--period", "5m"]);
    assert_eq!(
        ran.out,
        "{\"conversation\":\"c1\",\"workspace\":\"acme\",\"episode\":1,\"at\":\"2026-11-22T10:05:00.000Z\",\"source\":\"auto_close\"}\n"
    );
}

#[test]
fn d2_stamped_exactly_at_the_deadline_comes_before_the_close() {
    check(&[message("a", 0.0, "user"), message("b", 5.0, "contact")], &[]);
    check(&[message("a", 0.0, "user"), message("b", 5.0, "user")], &[(1, 10.0, "auto_close")]);
    let late = event("b", &at(300.001), "message", json!({"source": "contact"}));
    check(&[message("a", 0.0, "user"), late], &[(1, 5.0, "auto_close")]);
}

#[test]
fn at_equal_time_the_contact_is_later() {
    check(&[message("z", 0.0, "user"), message("a", 0.0, "contact")], &[]);
    check(&[message("a", 0.0, "contact"), message("z", 0.0, "user")], &[]);
}

#[test]
fn d5_the_order_of_the_file_does_not_matter() {
    let mut events = vec![message("a", 0.0, "contact"), message("b", 1.0, "user"), message("c", 7.0, "contact"), message("d", 8.0, "user")];
    let expected = [(1, 6.0, "auto_close"), (2, 13.0, "auto_close")];
    check(&events, &expected);
    events.reverse();
    check(&events, &expected);
}

#[test]
fn d6_repeats_change_nothing() {
    let events = [message("a", 0.0, "user"), message("a", 0.0, "user"), message("b", 9.0, "contact"), message("b", 9.0, "contact")];
    let ran = rehearse(&ndjson(&events), &["--period", "5m"]);
    assert_eq!(closes_of(&ran.out).len(), 1);
    assert!(ran.err.contains("messages       2: contact 1, user 1"), "{}", ran.err);
}

#[test]
fn t7_t8_machines_are_nobody_and_echo_is_a_person() {
    check(&[message("a", 0.0, "user"), message("b", 1.0, "bot"), message("c", 2.0, "workflow")], &[(1, 5.0, "auto_close")]);
    check(&[message("a", 0.0, "broadcast")], &[]);
    check(&[message("a", 0.0, "echo")], &[(1, 5.0, "auto_close")]);
}

#[test]
fn t9_t10_t11_snooze_moves_the_close() {
    check(&[message("a", 0.0, "user"), snoozed("s", 1.0, 60.0)], &[(1, 65.0, "auto_close")]);
    check(&[message("a", 0.0, "user"), snoozed("s", 1.0, 60.0), message("b", 30.0, "user")], &[(1, 65.0, "auto_close")]);
    check(&[message("a", 0.0, "user"), snoozed("s", 1.0, 60.0), message("b", 30.0, "contact")], &[]);
    let unsnoozed = event("u", &minute(20.0), "conversation.unsnoozed", json!({}));
    check(&[message("a", 0.0, "user"), snoozed("s", 1.0, 60.0), unsnoozed], &[(1, 25.0, "auto_close")]);
    check(&[message("a", 0.0, "user"), snoozed("s", 1.0, 60.0), snoozed("t", 2.0, 10.0)], &[(1, 15.0, "auto_close")]);
    check(&[message("a", 0.0, "contact"), snoozed("s", 1.0, 60.0)], &[]);
}

#[test]
fn t14_assigned_to_a_human_leaves_time_to_look() {
    check(&[message("a", 0.0, "user"), assigned("x", 4.0, "human")], &[(1, 9.0, "auto_close")]);
    check(&[message("a", 0.0, "contact"), assigned("x", 4.0, "human")], &[]);
    check(&[assigned("x", 0.0, "human"), message("a", 1.0, "user")], &[(1, 6.0, "auto_close")]);
}

#[test]
fn t15_t16_assigned_to_an_ai_agent_cancels() {
    let ai = assigned("x", 1.0, "ai_agent");
    check(&[message("a", 0.0, "user"), ai.clone()], &[]);
    check(&[message("a", 0.0, "user"), ai.clone(), message("b", 20.0, "user")], &[(1, 25.0, "auto_close")]);
    check(&[message("a", 0.0, "user"), ai.clone(), assigned("y", 20.0, "human")], &[(1, 25.0, "auto_close")]);
    check(&[message("a", 0.0, "user"), ai, event("y", &minute(2.0), "conversation.unassigned", json!({}))], &[]);
}

#[test]
fn t17_a_block_suspends() {
    let block = event("x", &minute(1.0), "contact.blocked", json!({}));
    let unblock = event("y", &minute(60.0), "contact.unblocked", json!({}));
    check(&[message("a", 0.0, "user"), block.clone()], &[]);
    check(&[message("a", 0.0, "user"), block, unblock], &[(1, 65.0, "auto_close")]);
}

#[test]
fn t18_closed_by_others() {
    let closed = |id: &str, minutes, source: &str| event(id, &minute(minutes), "conversation.closed", json!({"source": source}));
    check(&[message("a", 0.0, "user"), closed("x", 2.0, "user")], &[(1, 2.0, "user")]);
    check(&[message("a", 0.0, "user"), closed("x", 5.0, "workflow")], &[(1, 5.0, "workflow")]);
    check(&[message("a", 0.0, "user"), closed("x", 6.0, "api")], &[(1, 5.0, "auto_close")]);
    check(&[message("a", 0.0, "user"), closed("x", 2.0, "user"), message("b", 3.0, "user")], &[(1, 2.0, "user"), (2, 8.0, "auto_close")]);
}

#[test]
fn t19_failures_fall_back() {
    let failed = |minutes, id: &str| event("f", &minute(minutes), "message_failed", json!({"message_id": id}));
    check(&[message("a", 0.0, "user"), message("b", 2.0, "user"), failed(3.0, "b")], &[(1, 5.0, "auto_close")]);
    check(&[message("a", 0.0, "user"), failed(1.0, "a")], &[]);
    // Already past when the failure is heard of: closes at once, and that deadline is what is shown.
    check(&[message("a", 0.0, "user"), message("b", 4.0, "user"), failed(8.0, "b")], &[(1, 5.0, "auto_close")]);
    check(&[message("a", 0.0, "user"), message("b", 4.0, "user"), failed(8.0, "b"), message("c", 8.0, "contact")], &[]);
}

#[test]
fn l5_l6_reopening_is_the_next_episode() {
    let events = [message("a", 0.0, "user"), message("b", 10.0, "contact"), message("c", 11.0, "user"), message("d", 20.0, "user")];
    check(&events, &[(1, 5.0, "auto_close"), (2, 16.0, "auto_close"), (3, 25.0, "auto_close")]);
}

#[test]
fn closes_are_ordered_by_time_workspace_conversation() {
    let user = |id: &str| message(id, 0.0, "user");
    let events = [of("b", user("1")), of("a", user("2")), within("aaa", of("z", user("3"))), of("c", message("4", -1.0, "user"))];
    let ran = rehearse(&ndjson(&events), &["--period", "5m"]);
    let order: Vec<String> = closes_of(&ran.out).into_iter().map(|close| close.0).collect();
    assert_eq!(order, ["c", "z", "a", "b"]);
}

#[test]
fn a_workspace_alone() {
    let events = [message("1", 0.0, "user"), within("other", of("c2", message("2", 0.0, "user")))];
    let ran = rehearse(&ndjson(&events), &["--period", "5m", "--workspace", "other"]);
    assert_eq!(closes_of(&ran.out), [("c2".into(), 1, minute(5.0), "auto_close".into())]);
    let none = rehearse(&ndjson(&events), &["--period", "5m", "--workspace", "nobody"]);
    assert_eq!((none.code, none.out.as_str()), (0, ""));
}

#[test]
fn gz_and_plain_files_and_stdin_are_the_same() {
    let plain = ndjson(&[message("a", 0.0, "user")]);
    let from_stdin = rehearse(&plain, &["--period", "5m"]).out;
    assert_eq!(rehearse(&gzipped(&plain), &["--period", "5m"]).out, from_stdin);
    let directory = tempfile::tempdir().unwrap();
    for (name, bytes) in [("plain", plain.clone()), ("zipped", gzipped(&plain))] {
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_adjourn")).arg("rehearse").arg(&path).args(["--period", "5m"]).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), from_stdin);
    }
}

#[test]
fn bad_lines_are_told_and_skipped() {
    let mut input = b"not json\n\n{\"specversion\":\"1.0\"}\n".to_vec();
    input.extend(ndjson(&[message("a", 0.0, "user"), event("r", &minute(1.0), "reaction", json!({}))]));
    input.extend(b"\xff\xfe\n");
    input.extend(vec![b'x'; 3_000_000]);
    let ran = rehearse(&input, &["--period", "5m"]);
    assert_eq!((ran.code, closes_of(&ran.out).len()), (0, 1), "{}", ran.err);
    for told in ["line 1: ", "line 3: ", "line 6: ", "line 7: longer than", "4 bad lines, 1 events of unknown types"] {
        assert!(ran.err.contains(told), "{told:?} in {}", ran.err);
    }
}

#[test]
fn many_bad_lines_are_counted() {
    let mut input = b"no\n".repeat(25);
    input.extend(ndjson(&[message("a", 0.0, "user")]));
    let ran = rehearse(&input, &["--period", "5m"]);
    assert_eq!(ran.err.lines().filter(|line| line.starts_with("line ")).count(), 10);
    assert!(ran.err.contains("and 15 more bad lines"), "{}", ran.err);
}

#[test]
fn nothing_usable_fails() {
    for input in [&b""[..], b"no\n", b"\x1f\x8bno gzip"] {
        let ran = rehearse(input, &["--period", "5m"]);
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{}", ran.err);
    }
}

#[test]
fn a_cut_gzip_is_no_rehearsal() {
    let whole = gzipped(&ndjson(&[message("a", 0.0, "user")]));
    let ran = rehearse(&whole[..whole.len() - 4], &["--period", "5m"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{}", ran.err);
}

#[test]
fn usage_is_exit_code_2() {
    for flags in [&["--period", "soon"][..], &["--period", "0s"], &[], &["--suggest", "101%"], &["--period", "-1h"]] {
        assert_eq!(rehearse(b"", flags).code, 2, "{flags:?}");
    }
    let missing = Command::new(env!("CARGO_BIN_EXE_adjourn")).args(["rehearse", "/nowhere", "--period", "5m"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(1));
}

#[test]
fn the_summary_counts() {
    let closed = event("x", &minute(61.0), "conversation.closed", json!({"source": "user"}));
    let events = [
        message("a", 0.0, "user"),
        message("b", 8.0, "contact"),
        of("c2", message("c", 0.0, "user")),
        of("c2", message("d", 65.0, "contact")),
        of("c3", message("e", 0.0, "user")),
        message("f", 60.0, "contact"),
        closed,
        of("c4", message("g", 0.0, "bot")),
    ];
    let ran = rehearse(&ndjson(&events), &["--period", "5m"]);
    for told in [
        "conversations  3, in 5 episodes",
        "closes         4: user 1, auto_close 3",
        "auto-closes    3, of which the contact answered 2 (66.7 %), half of them within 3m of the close, 90 % within 1h",
        "messages       7: contact 3, user 3, bot 1",
    ] {
        assert!(ran.err.contains(told), "{told:?} in {}", ran.err);
    }
}

#[test]
fn the_other_outputs_say_the_same() {
    let input = ndjson(&[message("a", 0.0, "user")]);
    let json: Value = serde_json::from_str(&rehearse(&input, &["--period", "5m", "-o", "json"]).out).unwrap();
    assert_eq!(json[0]["at"], minute(5.0));
    let table = rehearse(&input, &["--period", "5m", "-o", "table"]).out;
    assert!(table.contains("CONVERSATION") && table.contains(&minute(5.0)), "{table}");
}

fn suggestion(events: &[Value], share: &str) -> Value {
    let ran = rehearse(&ndjson(events), &["--suggest", share]);
    assert_eq!((ran.code, ran.out.lines().count()), (0, 1), "{}", ran.err);
    serde_json::from_str(&ran.out).unwrap()
}

/// One conversation for each delay: a human message, and the contact's reply that much later.
fn replies(delays_s: &[f64]) -> Vec<Value> {
    let exchange = |(n, delay_s): (usize, &f64)| {
        let conversation = format!("c{n}");
        let reply = event(&format!("r{n}"), &at(*delay_s), "message", json!({"source": "contact"}));
        [of(&conversation, message(&format!("m{n}"), 0.0, "user")), of(&conversation, reply)]
    };
    delays_s.iter().enumerate().flat_map(exchange).collect()
}

#[test]
fn suggest_is_exact_at_the_boundaries() {
    // Exactly at the deadline is in time; a millisecond later takes another minute.
    assert_eq!(suggestion(&replies(&[300.0]), "0%")["period"], "5m");
    assert_eq!(suggestion(&replies(&[300.001]), "0")["period"], "6m");
    // One of twenty is five percent, and one of nineteen is more.
    let mut delays = vec![60.0; 19];
    delays.push(3_600.0);
    let five = suggestion(&replies(&delays), "5%");
    assert_eq!(five, json!({"period": "1m", "max_cut_off": 0.05, "cut_off": 0.05, "replies": 20, "replies_cut_off": 1}));
    assert_eq!(suggestion(&replies(&delays[1..]), "5%")["period"], "60m");
    assert_eq!(suggestion(&replies(&delays), "100%")["period"], "1m");
}

#[test]
fn suggest_counts_from_the_last_human_message_to_the_first_reply() {
    let events = [
        message("a", 0.0, "contact"),
        message("b", 1.0, "user"),
        message("c", 3.0, "echo"),
        message("d", 4.0, "bot"),
        message("e", 5.5, "contact"),
        message("f", 50.0, "contact"),
    ];
    assert_eq!(suggestion(&events, "0%"), json!({"period": "3m", "max_cut_off": 0.0, "cut_off": 0.0, "replies": 1, "replies_cut_off": 0}));
}

#[test]
fn suggest_without_replies_suggests_nothing() {
    let none = suggestion(&[message("a", 0.0, "user")], "5%");
    assert_eq!(none, json!({"period": null, "max_cut_off": 0.05, "cut_off": null, "replies": 0, "replies_cut_off": 0}));
}

/// A second reading of the rules for traces of messages alone, as naive as can be: (time, from the contact) in order.
fn naive_closes(messages: &[(DateTime<chrono::Utc>, bool)], period: TimeDelta) -> Vec<(u64, DateTime<chrono::Utc>)> {
    let (mut open, mut episode, mut last_human) = (false, 0, None);
    let mut closes = Vec::new();
    for (time, contact) in messages {
        if let Some(due) = last_human.map(|at: DateTime<chrono::Utc>| at + period).filter(|due| due < time) {
            closes.push((episode, due));
            open = false;
        }
        if !open {
            (open, episode) = (true, episode + 1);
        }
        last_human = (!contact).then_some(*time);
    }
    closes.extend(last_human.map(|at| (episode, at + period)));
    closes
}

#[test]
fn the_real_slice_closes_as_the_naive_reading_has_it() {
    let mut text = String::new();
    flate2::read::GzDecoder::new(SLICE).read_to_string(&mut text).unwrap();
    let mut conversations: BTreeMap<String, Vec<(DateTime<chrono::Utc>, bool, String)>> = BTreeMap::new();
    for line in text.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let field = |name: &str| event[name].as_str().unwrap().to_owned();
        let contact = match event["data"]["source"].as_str().unwrap() {
            "contact" => true,
            "user" => false,
            _ => continue, // the channel's bots are nobody (T7)
        };
        conversations.entry(field("subject")).or_default().push((field("time").parse().unwrap(), contact, field("id")));
    }
    for (period, minutes) in [("1m", 1), ("5m", 5), ("10m", 10), ("24h", 1_440)] {
        let mut expected: Vec<(String, String, u64)> = Vec::new();
        for (conversation, messages) in &mut conversations {
            messages.sort();
            let messages: Vec<_> = messages.iter().map(|(time, contact, _)| (*time, *contact)).collect();
            let closes = naive_closes(&messages, TimeDelta::minutes(minutes));
            let line = |(episode, at): (u64, DateTime<chrono::Utc>)| {
                (at.to_rfc3339_opts(SecondsFormat::Millis, true), conversation.clone(), episode)
            };
            expected.extend(closes.into_iter().map(line));
        }
        expected.sort();
        assert!(expected.len() > 20, "the slice has conversations that go quiet");
        let ran = rehearse(SLICE, &["--period", period]);
        let closes: Vec<_> = closes_of(&ran.out).into_iter().map(|(conversation, episode, at, _)| (at, conversation, episode)).collect();
        assert_eq!(closes, expected, "{period}");
    }
}
