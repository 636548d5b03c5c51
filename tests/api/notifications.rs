//! The stream of notifications: from now, from a cursor, filtered, and what a slow or late subscriber sees.

use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::support::*;

/// One event of a stream, as the HTML standard reads it.
#[derive(Clone, PartialEq, Debug, Default)]
struct Heard {
    event: String,
    data: String,
    id: Option<String>,
}

/// A subscriber that reads one event after another.
struct Ear {
    stream: futures_util::stream::BoxStream<'static, reqwest::Result<actix_web::web::Bytes>>,
    text: String,
}

impl Ear {
    async fn open(app: &TestApp, query: &str, last_event_id: Option<&str>) -> Self {
        let request = app.client.get(app.url(&format!("/v1/notifications?{query}")));
        let request = last_event_id.into_iter().fold(request, |request, id| request.header("last-event-id", id));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self { stream: answer.bytes_stream().boxed(), text: String::new() }
    }

    /// The next block, whatever it is; `None`: the stream has ended.
    async fn block(&mut self) -> Option<Heard> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let heard = heard(block);
                self.text = rest.to_owned();
                return Some(heard);
            }
            let piece = self.stream.next().await?.ok()?;
            self.text.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }

    /// The next event that a browser would fire, and the last id it would remember.
    async fn event(&mut self) -> (Heard, Option<String>) {
        let mut last = None;
        loop {
            let heard = self.block().await.expect("the stream goes on");
            last = heard.id.clone().or(last);
            if !heard.data.is_empty() {
                return (heard, last);
            }
        }
    }

    async fn types(&mut self, count: usize) -> Vec<String> {
        let mut types = Vec::new();
        for _ in 0..count {
            types.push(self.event().await.0.event);
        }
        types
    }
}

fn heard(block: &str) -> Heard {
    let mut heard = Heard::default();
    for line in block.lines() {
        match line.split_once(": ") {
            Some(("event", event)) => heard.event = event.to_owned(),
            Some(("data", data)) => heard.data.push_str(data),
            Some(("id", id)) => heard.id = Some(id.to_owned()),
            _ => {}
        }
    }
    heard
}

#[actix_rt::test]
async fn from_now_with_the_cloud_event_as_data() {
    let app = TestApp::start().await;
    app.apply(&[message("m-0", "before")]).await;
    let mut ear = Ear::open(&app, "", None).await;
    app.apply(&[message("m-1", "c-1")]).await;
    let (heard, _) = ear.event().await;
    assert_eq!(heard.event, "adjourn.conversation.opened.v1");
    let data: Value = serde_json::from_str(&heard.data).unwrap();
    assert_eq!((&data["type"], &data["subject"], &data["workspace"]), (&json!(heard.event), &json!("c-1"), &json!("acme")));
    assert_eq!(data["data"]["conversation"]["status"], "open");
    app.stop().await;
}

#[actix_rt::test]
async fn resuming_skips_nothing() {
    let app = TestApp::start().await;
    let mut ear = Ear::open(&app, "", None).await;
    app.apply(&[message("m-1", "c-1")]).await;
    let (first, cursor) = ear.event().await;
    let cursor = first.id.or(cursor).unwrap();
    drop(ear);
    app.apply(&[message("m-2", "c-2"), message("m-3", "c-3")]).await;
    for (query, header) in [("", Some(cursor.as_str())), (&*format!("after={cursor}"), None), ("after=0", Some(cursor.as_str()))] {
        let mut ear = Ear::open(&app, query, header).await;
        let mut subjects = Vec::new();
        for _ in 0..2 {
            let data: Value = serde_json::from_str(&ear.event().await.0.data).unwrap();
            subjects.push(data["subject"].as_str().unwrap().to_owned());
        }
        subjects.sort();
        assert_eq!(subjects, ["c-2", "c-3"], "{query}");
    }
    app.stop().await;
}

#[actix_rt::test]
async fn from_the_oldest_kept() {
    let app = TestApp::start().await;
    app.apply(&[message("m-1", "c-1")]).await;
    assert_eq!(Ear::open(&app, "after=0", None).await.types(1).await, ["adjourn.conversation.opened.v1"]);
    app.stop().await;
}

#[actix_rt::test]
async fn a_cursor_that_was_trimmed_away_is_reset() {
    let app = TestApp::start_with(&[("notifications.keep", "2"), ("partitions", "1")]).await;
    let mut ear = Ear::open(&app, "", None).await;
    app.apply(&[message("m-0", "c-0")]).await;
    let (first, remembered) = ear.event().await;
    let cursor = first.id.or(remembered).unwrap();
    drop(ear);
    for number in 1..9 {
        app.apply(&[message(&format!("m-{number}"), &format!("c-{number}"))]).await;
    }
    let mut late = Ear::open(&app, "", Some(&cursor)).await;
    let (reset, _) = late.event().await;
    assert_eq!(reset.event, "reset");
    let data: Value = serde_json::from_str(&reset.data).unwrap();
    assert_eq!(Some(data["oldest"].as_str().unwrap()), reset.id.as_deref());
    assert_eq!(late.event().await.0.event, "adjourn.conversation.opened.v1", "and it goes on");
    app.stop().await;
}

#[actix_rt::test]
async fn a_cursor_from_before_the_first_notification_can_be_trimmed_away_as_well() {
    let app = TestApp::start_with(&[("notifications.keep", "2")]).await;
    let greeting = Ear::open(&app, "", None).await.block().await.unwrap();
    let cursor = greeting.id.unwrap();
    for number in 0..40 {
        app.apply(&[message(&format!("m-{number}"), &format!("c-{number}"))]).await;
    }
    let mut late = Ear::open(&app, "", Some(&cursor)).await;
    assert_eq!(late.block().await.unwrap().id, None, "before it is told what is gone, it keeps the cursor it came with");
    let types = late.types(9).await;
    assert_eq!(types[0], "reset");
    assert!(types[1..].iter().all(|kept| kept == "adjourn.conversation.opened.v1"), "once for all four partitions: {types:?}");
    let oldest = Ear::open(&app, "after=0", None).await.types(8).await;
    assert!(oldest.iter().all(|kept| kept == "adjourn.conversation.opened.v1"), "who asks for what is kept gets that: {oldest:?}");
    app.stop().await;
}

#[actix_rt::test]
async fn filters() {
    let app = TestApp::start().await;
    let mut closed = Ear::open(&app, "types=adjourn.conversation.closed.v1,adjourn.timer.armed.v1", None).await;
    let mut other = Ear::open(&app, "workspace=other", None).await;
    let close =
        with(event("x-1", "c-1", "inbox.conversation.closed.v1", json!({"source": "user"})), json!({"time": "2026-11-22T10:00:01Z"}));
    app.apply(&[message("m-1", "c-1"), close]).await;
    app.apply(&[with(message("m-2", "c-1"), json!({"workspace": "other"}))]).await;
    assert_eq!(closed.types(1).await, ["adjourn.conversation.closed.v1"]);
    let data: Value = serde_json::from_str(&other.event().await.0.data).unwrap();
    assert_eq!(data["workspace"], "other");
    app.stop().await;
}

#[actix_rt::test]
async fn a_filtered_subscriber_still_learns_where_it_stands() {
    let app = TestApp::start_with(&[("limits.keep_alive", "1s")]).await;
    let mut ear = Ear::open(&app, "workspace=other", None).await;
    let begin = ear.block().await.unwrap().id.unwrap();
    app.apply(&[message("m-1", "c-1")]).await;
    let moved = loop {
        // Blocks without an id are signs of life.
        if let Some(id) = ear.block().await.unwrap().id {
            break id;
        }
    };
    assert_ne!(moved, begin);
    app.stop().await;
}

#[actix_rt::test]
async fn t6_an_auto_close_is_told_once_and_on_time() {
    let app = TestApp::start_with(&[("tick", "1s")]).await;
    app.put_settings("acme", json!({"auto_close": {"enabled": true, "period": "30m"}})).await;
    let mut ear = Ear::open(&app, "types=adjourn.conversation.closed.v1,adjourn.timer.cancelled.v1", None).await;
    app.apply(&[human("m-1", "c-1")]).await;
    app.pass(30 * 60_000 - 10_000 + 40);
    let data: Value = serde_json::from_str(&ear.event().await.0.data).unwrap();
    let data = &data["data"];
    assert_eq!((&data["closed_source"], &data["late_ms"], &data["episode"]), (&json!("auto_close"), &json!(40), &json!(1)));
    assert_eq!(data["cause"]["armed_by"]["id"], "m-1");
    let now = app.get("/v1/workspaces/acme/conversations/c-1").await.json;
    assert_eq!((&now["status"], &now["scheduled_close_at"]), (&json!("closed"), &json!("2026-11-22T10:30:00.000Z")));
    app.stop().await;
}

#[actix_rt::test]
async fn what_makes_no_sense_is_refused() {
    let app = TestApp::start().await;
    for (query, expected) in [
        ("types=adjourn.conversation.exploded.v1", "invalid-parameter"),
        ("after=yesterday", "invalid-cursor"),
        ("workspace=a%20b", "invalid-name"),
        ("type=x", "unknown-parameter"),
    ] {
        let answer = app.get(&format!("/v1/notifications?{query}")).await;
        assert_eq!((answer.status.as_u16(), answer.problem()), (400, expected), "{query}");
    }
    app.stop().await;
}

#[actix_rt::test]
async fn open_streams_are_bounded_and_end_with_the_service() {
    let app = TestApp::start_with(&[("limits.streams", "1")]).await;
    let mut ear = Ear::open(&app, "", None).await;
    let refused = app.get("/v1/notifications").await;
    assert_eq!((refused.status.as_u16(), refused.problem()), (503, "too-many-streams"));
    assert!(!refused.header("retry-after").is_empty());
    app.stop().await;
    while ear.block().await.is_some() {}
}
