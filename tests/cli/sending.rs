//! `events send` and `notifications tail` against a service that breaks off, refuses and forgets.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::fake::{Fake, accepted, answer, stream};
use super::{adjourn, adjourn_reading};

fn lines(count: usize) -> String {
    (0..count).map(|n| format!("{{\"id\":\"e{n}\"}}\n")).collect()
}

fn ids(body: &str) -> Vec<String> {
    let id = |line: &str| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned();
    body.lines().map(id).collect()
}

fn summary(out: &str) -> Value {
    serde_json::from_str(out).unwrap()
}

#[test]
fn what_was_not_taken_is_sent_again() {
    let busy = answer("503 Service Unavailable", "retry-after: 0\r\n", r#"{"title":"Behind"}"#);
    let many = answer("429 Too Many Requests", "retry-after: 0\r\n", "");
    let fake = Fake::start(vec![busy, many, stream(""), accepted(2)]);
    let ran = adjourn_reading(&fake.url, &["events", "send", "-"], lines(2).as_bytes());
    assert_eq!((ran.code, summary(&ran.out)), (0, json!({"accepted": 2, "duplicates": 0, "rejected": 0})), "{}", ran.err);
    let sent: Vec<Vec<String>> = fake.requests().iter().map(|request| ids(&request.body)).collect();
    assert_eq!(sent, [["e0", "e1"]; 4], "refused, refused, not acknowledged, taken");
}

#[test]
fn an_interrupted_file_goes_on_where_it_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("events.ndjson");
    std::fs::write(&file, lines(1_200)).unwrap();
    let file = file.to_str().unwrap();
    let progress = format!("{file}.adjourn-progress");

    let refusal = answer("401 Unauthorized", "", r#"{"title":"No key"}"#);
    let fake = Fake::start(vec![accepted(500), refusal, accepted(500), accepted(200)]);
    let ran = adjourn(&fake.url, &["events", "send", file]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{}", ran.err);
    assert!(std::fs::exists(&progress).unwrap());

    let ran = adjourn(&fake.url, &["events", "send", file]);
    assert_eq!((ran.code, summary(&ran.out)), (0, json!({"accepted": 1_200, "duplicates": 0, "rejected": 0})), "{}", ran.err);
    let sent: Vec<String> = fake.requests()[2..].iter().flat_map(|request| ids(&request.body)).collect();
    assert_eq!(sent, (500..1_200).map(|n| format!("e{n}")).collect::<Vec<_>>());
    assert!(!std::fs::exists(&progress).unwrap(), "nothing is left to go on with");
}

/// What one service took, another has never seen.
#[test]
fn another_service_gets_the_whole_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("events.ndjson");
    std::fs::write(&file, lines(600)).unwrap();
    let file = file.to_str().unwrap();
    let broken = Fake::start(vec![accepted(500), answer("401 Unauthorized", "", "")]);
    assert_eq!(adjourn(&broken.url, &["events", "send", file]).code, 1);
    let other = Fake::start(vec![accepted(500), accepted(100)]);
    let ran = adjourn(&other.url, &["events", "send", file]);
    assert_eq!((ran.code, summary(&ran.out)), (0, json!({"accepted": 600, "duplicates": 0, "rejected": 0})), "{}", ran.err);
    assert_eq!(ids(&other.requests()[0].body)[0], "e0");
}

#[test]
fn a_file_where_nothing_can_be_written_is_sent_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("events.ndjson");
    std::fs::write(&file, lines(600)).unwrap();
    let file = file.to_str().unwrap();
    std::fs::create_dir(format!("{file}.adjourn-progress.part")).unwrap();
    let fake = Fake::start(vec![accepted(500), accepted(100)]);
    let ran = adjourn(&fake.url, &["events", "send", file]);
    assert_eq!((ran.code, summary(&ran.out)["accepted"].as_u64()), (0, Some(600)), "{}", ran.err);
    assert_eq!(ran.err.matches("--progress").count(), 1, "{}", ran.err);
}

#[test]
fn a_progress_of_another_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("events.ndjson");
    std::fs::write(&file, lines(600)).unwrap();
    let file = file.to_str().unwrap();
    let broken = Fake::start(vec![accepted(500), answer("401 Unauthorized", "", "")]);
    assert_eq!(adjourn(&broken.url, &["events", "send", file]).code, 1);
    std::fs::write(file, lines(700)).unwrap();
    let ran = adjourn("http://127.0.0.1:9", &["events", "send", file]);
    assert!(ran.code == 1 && ran.err.contains("another version"), "{}", ran.err);
}

#[test]
fn rejected_lines_are_told_by_their_number() {
    let body = json!({"accepted": 1, "duplicates": 0, "rejected": [
        {"index": 1, "id": "e1", "problem": {"title": "Time ahead", "detail": "by an hour", "action": "Set the clock."}}]});
    let fake = Fake::start(vec![answer("202 Accepted", "", &body.to_string())]);
    let ran = adjourn_reading(&fake.url, &["events", "send", "-"], b"{\"id\":\"e0\"}\n\n{\"id\":\"e1\"}\n");
    assert_eq!((ran.code, summary(&ran.out)), (1, json!({"accepted": 1, "duplicates": 0, "rejected": 1})));
    assert!(ran.err.contains("line 3: Time ahead: by an hour. Set the clock."), "{}", ran.err);
}

#[test]
fn the_times_of_a_play_are_moved_to_now_and_kept_apart() {
    let event = |id: &str, time: &str| json!({"id": id, "time": time, "data": {"until": "2006-06-01T13:00:00Z"}}).to_string() + "\n";
    let input = event("a", "2006-06-01T12:00:00Z") + &event("b", "2006-06-01T12:05:00Z");
    let fake = Fake::start(vec![accepted(1), accepted(1)]);
    let before = Utc::now();
    let ran = adjourn_reading(&fake.url, &["events", "send", "-", "--speed", "1000x", "--shift-to-now"], input.as_bytes());
    assert_eq!(ran.code, 0, "{}", ran.err);
    let sent: Vec<Value> = fake.requests().iter().map(|request| serde_json::from_str(&request.body).unwrap()).collect();
    let instant = |value: &Value| value.as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
    let [first, second] = [&sent[0], &sent[1]].map(|event| instant(&event["time"]));
    assert!(first >= before - TimeDelta::milliseconds(1) && first <= Utc::now());
    assert_eq!(second - first, TimeDelta::milliseconds(300), "five minutes at 1000x");
    assert_eq!(instant(&sent[1]["data"]["until"]) - first, TimeDelta::milliseconds(3_600));
}

#[test]
fn a_broken_stream_is_taken_up_again_after_its_last_id() {
    let told = |text: &str| stream(&format!("retry: 2000\nid: c0\n\n{text}"));
    let first = told("event: x\ndata: {\"n\":1}\n\nevent: x\ndata: {\"n\":2}\nid: c2\n\nevent: x\ndata: {\"n\":");
    let fake = Fake::start(vec![first, told("data: {\"n\":3}\n\n")]);
    let ran = adjourn(&fake.url, &["notifications", "tail", "--workspace", "acme", "--types", "closed", "--after", "0", "--max", "3"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n"), "{}", ran.err);
    let heads: Vec<String> = fake.requests().into_iter().map(|request| request.head.to_lowercase()).collect();
    assert!(heads[0].starts_with("get /v1/notifications?workspace=acme&types=adjourn.conversation.closed.v1&after=0 "), "{}", heads[0]);
    assert!(!heads[0].contains("last-event-id") && heads[1].contains("last-event-id: c2\r\n"), "{}", heads[1]);
}

#[test]
fn exit_codes_say_what_kind_of_refusal() {
    for (status, code) in
        [("404 Not Found", 3), ("409 Conflict", 4), ("412 Precondition Failed", 4), ("422 Unprocessable", 1), ("503 Away", 5)]
    {
        let problem = r#"{"title":"No","detail":"that does not go","action":"Do this instead."}"#;
        let fake = Fake::start(vec![answer(status, "", problem)]);
        let ran = adjourn(&fake.url, &["conversations", "get", "-w", "acme", "c1"]);
        assert_eq!((ran.code, ran.err.as_str()), (code, "adjourn: No: that does not go. Do this instead.\n"), "{status}");
    }
}
