//! Five forms of one thing, and what the answer says.

use std::io::Write;

use serde_json::json;

use crate::support::*;

#[actix_rt::test]
async fn one_event() {
    let app = TestApp::start().await;
    let answer = app.post(JSON, message("m-1", "c-1").to_string()).await;
    assert_eq!((answer.status.as_u16(), &answer.json), (202, &json!({"accepted": 1, "duplicates": 0, "rejected": []})));
    assert!(!answer.header("x-request-id").is_empty());
    app.stop().await;
}

#[actix_rt::test]
async fn a_batch() {
    let app = TestApp::start().await;
    let answer = app.post(BATCH, json!([message("m-1", "c-1"), message("m-2", "c-2")]).to_string()).await;
    assert_eq!((answer.status.as_u16(), &answer.json["accepted"]), (202, &json!(2)));
    assert_eq!(app.post(BATCH, "[]").await.json["accepted"], 0);
    app.stop().await;
}

#[actix_rt::test]
async fn binary_mode() {
    let app = TestApp::start().await;
    let request = app.posting("application/json", r#"{"source":"contact"}"#);
    let attributes = [
        ("ce-specversion", "1.0"),
        ("ce-id", "m%2D1"),
        ("ce-source", "/ingest"),
        ("ce-type", "inbox.message.v1"),
        ("ce-subject", "c-1"),
        ("ce-workspace", "acme"),
        ("ce-time", "2026-11-22T10:00:00Z"),
        ("prefer", "wait=30"),
    ];
    let request = attributes.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let answer = Answer::of(request).await;
    assert_eq!((answer.status.as_u16(), &answer.json["conversations"][0]["id"]), (200, &json!("c-1")));
    app.stop().await;
}

#[actix_rt::test]
async fn lines() {
    let app = TestApp::start().await;
    let body = format!("{}\r\n\n{}", message("m-1", "c-1"), message("m-2", "c-2"));
    assert_eq!(app.post(NDJSON, body).await.json, json!({"accepted": 2, "duplicates": 0, "rejected": []}));
    app.stop().await;
}

#[actix_rt::test]
async fn packed() {
    let app = TestApp::start().await;
    let body = rmp_serde::to_vec(&json!([message("m-1", "c-1"), 7, message("m-2", "c-2")])).unwrap();
    let answer = app.post(MSGPACK, body).await;
    assert_eq!((answer.status.as_u16(), &answer.json["accepted"]), (202, &json!(2)));
    assert_eq!((&answer.json["rejected"][0]["index"], kind(&answer.json["rejected"][0]["problem"])), (&json!(1), "not-an-object"));
    app.stop().await;
}

#[actix_rt::test]
async fn gzip() {
    let app = TestApp::start_with(&[("limits.body_bytes", "100000"), ("limits.line_bytes", "100000")]).await;
    let zip = |text: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    };
    let send = |body: Vec<u8>| Answer::of(app.posting(JSON, body).header("content-encoding", "gzip"));
    let good = zip(message("m-1", "c-1").to_string().as_bytes());
    assert_eq!(send(good.clone()).await.json["accepted"], 1);
    assert_eq!(send(good[..good.len() - 9].to_vec()).await.problem(), "not-gzip");
    let bomb = send(zip(&vec![b' '; 50_000_000])).await;
    assert_eq!((bomb.status.as_u16(), bomb.problem()), (413, "body-too-large"));
    let brotli = Answer::of(app.posting(JSON, "{}").header("content-encoding", "br")).await;
    assert_eq!((brotli.status.as_u16(), brotli.problem()), (415, "unsupported-encoding"));
    app.stop().await;
}

#[actix_rt::test]
async fn prefer_wait_answers_with_what_came_of_it() {
    let app = TestApp::start().await;
    let failed = event("f-1", "never-opened", "inbox.message_failed.v1", json!({"message_id": "m"}));
    let events = json!([message("m-1", "c-1"), message("m-2", "c-1"), human("m-3", "c-2"), failed]);
    let answer = Answer::of(app.posting(BATCH, events.to_string()).header("prefer", "wait=30")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("preference-applied"), "wait=30");
    let conversations = answer.json["conversations"].as_array().unwrap();
    let ids: Vec<&str> = conversations.iter().map(|c| c["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["c-1", "c-2"], "each once, those never opened left out");
    assert_eq!(conversations[0]["messages"], json!({"incoming": 2, "outgoing": 0}));
    app.stop().await;
}

#[actix_rt::test]
async fn d6_duplicates_are_counted_and_change_nothing() {
    let app = TestApp::start().await;
    app.apply(&[message("m-1", "c-1")]).await;
    let again = app.apply(&[message("m-1", "c-1"), message("m-2", "c-1")]).await;
    assert_eq!((&again.json["accepted"], &again.json["duplicates"]), (&json!(2), &json!(1)));
    assert_eq!(again.json["conversations"][0]["messages"]["incoming"], 2);
    app.stop().await;
}
