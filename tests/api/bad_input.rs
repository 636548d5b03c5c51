//! The table of bad input: what each gets, that nothing changes, and that its neighbours lose nothing.

use std::time::Duration;

use futures_util::stream;
use serde_json::{Value, json};

use crate::support::*;

/// The same event inside a batch, between two good ones: it alone is refused, with its index, and leaves no trace.
async fn refused_alone(bad: Value, status: u16, expected: &str) {
    let app = TestApp::start().await;
    let alone = app.post(JSON, bad.to_string()).await;
    assert_eq!((alone.status.as_u16(), alone.problem()), (status, expected), "{}", alone.json);
    assert_eq!((&alone.json["accepted"], &alone.json["rejected"][0]["index"]), (&json!(0), &json!(0)));

    let answer = app.apply(&[message("good-1", "c-1"), bad, message("good-2", "c-2")]).await;
    assert_eq!((&answer.json["accepted"], &answer.json["duplicates"]), (&json!(2), &json!(0)));
    let rejected = answer.json["rejected"].as_array().unwrap();
    assert_eq!((rejected.len(), &rejected[0]["index"], kind(&rejected[0]["problem"])), (1, &json!(1), expected));
    assert_eq!(answer.json["conversations"].as_array().unwrap().len(), 2);
    assert_eq!(app.get("/v1/workspaces/acme/conversations").await.json["items"].as_array().unwrap().len(), 2, "nothing else came to be");
    app.stop().await;
}

fn bad(members: Value) -> Value {
    with(message("bad-1", "c-bad"), members)
}

#[actix_rt::test]
async fn unknown_source() {
    refused_alone(bad(json!({"data": {"source": "carrier_pigeon"}})), 422, "unknown-value").await;
}

#[actix_rt::test]
async fn missing_time() {
    refused_alone(bad(json!({"time": null})), 422, "missing-member").await;
}

#[actix_rt::test]
async fn time_without_an_offset() {
    refused_alone(bad(json!({"time": "2026-11-22T10:00:00"})), 422, "invalid-time").await;
}

#[actix_rt::test]
async fn d9_time_six_minutes_ahead() {
    refused_alone(bad(json!({"time": "2026-11-22T10:06:10Z"})), 422, "time-ahead").await;
}

#[actix_rt::test]
async fn empty_id() {
    refused_alone(bad(json!({"id": ""})), 422, "not-printable").await;
}

#[actix_rt::test]
async fn id_of_129_characters() {
    refused_alone(bad(json!({"id": "x".repeat(129)})), 422, "not-printable").await;
}

#[actix_rt::test]
async fn id_beyond_ascii() {
    refused_alone(bad(json!({"id": "m-ü"})), 422, "not-printable").await;
}

#[actix_rt::test]
async fn wrong_specversion() {
    refused_alone(bad(json!({"specversion": "0.3"})), 422, "unsupported-specversion").await;
}

#[actix_rt::test]
async fn closed_by_auto_close() {
    let closed = event("bad-1", "c-bad", "inbox.conversation.closed.v1", json!({"source": "auto_close"}));
    refused_alone(closed, 422, "reserved-source").await;
}

#[actix_rt::test]
async fn a_thousand_levels_of_json() {
    let mut deep = json!(1);
    for _ in 0..100 {
        deep = json!([deep]);
    }
    refused_alone(bad(json!({"data": {"source": "user", "text": deep}})), 422, "too-deep").await;
    let app = TestApp::start().await;
    let thousand = message("bad-1", "c-bad").to_string().replace("\"Hello?\"", &format!("{}{}", "[".repeat(1_000), "]".repeat(1_000)));
    let answer = app.post(NDJSON, format!("{thousand}\n{}\n", message("good", "c-1"))).await;
    assert_eq!((&answer.json["accepted"], kind(&answer.json["rejected"][0]["problem"])), (&json!(1), "too-deep"));
    let batch = app.post(BATCH, format!("[{thousand},{}]", message("good", "c-1"))).await;
    assert_eq!((&batch.json["accepted"], kind(&batch.json["rejected"][0]["problem"])), (&json!(1), "too-deep"));
    app.stop().await;
}

#[actix_rt::test]
async fn d9_time_up_to_five_minutes_ahead_is_taken() {
    let app = TestApp::start().await;
    let ahead = with(message("m-1", "c-1"), json!({"time": "2026-11-22T10:05:10Z"}));
    assert_eq!(app.post(JSON, ahead.to_string()).await.json["accepted"], 1);
    app.stop().await;
}

#[actix_rt::test]
async fn t20_unknown_type_is_accepted_counted_and_ignored() {
    let app = TestApp::start().await;
    let reaction = event("r-1", "c-1", "inbox.reaction.v1", json!({"emoji": "👍"}));
    let answer = app.apply(&[reaction]).await;
    assert_eq!((&answer.json["accepted"], &answer.json["conversations"]), (&json!(1), &json!([])));
    assert_eq!(app.get("/v1/workspaces/acme/conversations/c-1").await.problem(), "not-found");
    let (_, metrics) = app.admin("/metrics").await;
    assert!(metrics.contains("adjourn_events_ignored_total{type=\"inbox\"}"), "{metrics}");
    app.stop().await;
}

#[actix_rt::test]
async fn a_hundred_thousand_events() {
    let app = TestApp::start().await;
    for (content_type, body) in [
        (BATCH, json!(vec![json!({"id": "x"}); 100_000]).to_string().into_bytes()),
        (NDJSON, "{\"id\":\"x\"}\n".repeat(100_000).into_bytes()),
        (MSGPACK, rmp_serde::to_vec(&vec![0_u8; 100_000]).unwrap()),
    ] {
        let answer = app.post(content_type, body).await;
        assert_eq!((answer.status.as_u16(), answer.problem()), (413, "too-many-events"), "{content_type}");
    }
    assert_eq!(app.get("/v1/workspaces/acme/conversations").await.json["items"], json!([]));
    app.stop().await;
}

#[actix_rt::test]
async fn a_body_beyond_16_mib() {
    let app = TestApp::start().await;
    let pieces = (0..300).map(|_| Ok::<_, std::io::Error>(vec![b' '; 64 * 1024]));
    for body in [reqwest::Body::from(vec![b' '; 17 << 20]), reqwest::Body::wrap_stream(stream::iter(pieces))] {
        let answer = app.post(BATCH, body).await;
        assert_eq!((answer.status.as_u16(), answer.problem()), (413, "body-too-large"));
    }
    app.stop().await;
}

#[actix_rt::test]
async fn more_at_once_than_memory_for_it() {
    let app = TestApp::start_with(&ROOM_FOR_ONE).await;
    let Unfinished { rest, answer, refused } = app.unfinished().await;
    assert_eq!((refused.problem(), refused.header("retry-after")), ("busy", "1"));
    drop(rest);
    let answer = answer.await.unwrap();
    assert_eq!(answer.status, 202, "{}", answer.json);
    assert_eq!(app.post(NDJSON, vec![b'\n'; 90_000]).await.status, 202, "and there is room again");
    app.stop().await;
}

#[actix_rt::test]
async fn a_line_of_3_mb() {
    let app = TestApp::start().await;
    let long = with(message("long", "c-bad"), json!({"data": {"source": "contact", "text": "x".repeat(3_000_000)}}));
    let answer = app.post(NDJSON, format!("{}\n{long}\n{}\n", message("m-1", "c-1"), message("m-2", "c-2"))).await;
    assert_eq!((answer.status.as_u16(), &answer.json["accepted"]), (202, &json!(2)));
    let rejected = &answer.json["rejected"][0];
    assert_eq!((&rejected["index"], kind(&rejected["problem"])), (&json!(1), "event-too-long"));
    app.stop().await;
}

#[actix_rt::test]
async fn invalid_utf8() {
    let app = TestApp::start().await;
    let bad = message("bad", "c-bad").to_string().into_bytes();
    let bad: Vec<u8> = bad.into_iter().map(|byte| if byte == b'?' { 0xff } else { byte }).collect();
    let good = message("m-1", "c-1").to_string();
    let lines = [&bad[..], b"\n", good.as_bytes(), b"\n"].concat();
    let answer = app.post(NDJSON, lines).await;
    assert_eq!((&answer.json["accepted"], kind(&answer.json["rejected"][0]["problem"])), (&json!(1), "invalid-utf8"));
    let batch = app.post(BATCH, [b"[", &bad[..], b"]"].concat()).await;
    assert_eq!((batch.status.as_u16(), batch.problem()), (400, "invalid-utf8"));
    let alone = app.post(JSON, bad).await;
    assert_eq!((alone.status.as_u16(), alone.problem()), (400, "invalid-utf8"));
    app.stop().await;
}

#[actix_rt::test]
async fn truncated_msgpack() {
    let app = TestApp::start().await;
    let body = rmp_serde::to_vec(&json!([message("m-1", "c-1"), message("m-2", "c-2")])).unwrap();
    let answer = app.post(MSGPACK, body[..body.len() - 5].to_vec()).await;
    assert_eq!((answer.status.as_u16(), answer.problem()), (400, "malformed-msgpack"));
    assert_eq!(app.get("/v1/workspaces/acme/conversations").await.json["items"], json!([]), "nothing was accepted");
    app.stop().await;
}

#[actix_rt::test]
async fn not_a_number() {
    let app = TestApp::start().await;
    let nan = message("bad", "c-bad").to_string().replace("\"Hello?\"", "NaN");
    let alone = app.post(JSON, nan.clone()).await;
    assert_eq!((alone.status.as_u16(), alone.problem()), (400, "malformed-json"));
    // A bad line is rejected by itself, also where there is no other: the body as such was readable.
    let line = app.post(NDJSON, nan.clone()).await;
    assert_eq!((line.status.as_u16(), line.problem()), (422, "malformed-json"));
    assert_eq!((&line.json["accepted"], &line.json["rejected"][0]["index"]), (&json!(0), &json!(0)));
    let answer = app.post(NDJSON, format!("{nan}\n{}", message("m-1", "c-1"))).await;
    assert_eq!((&answer.json["accepted"], kind(&answer.json["rejected"][0]["problem"])), (&json!(1), "malformed-json"));
    app.stop().await;
}

#[actix_rt::test]
async fn all_rejected_is_422_with_every_reason() {
    let app = TestApp::start().await;
    let answer = app.post(NDJSON, "{\n[]\n").await;
    assert_eq!((answer.status.as_u16(), answer.problem()), (422, "all-rejected"));
    let kinds: Vec<&str> = answer.json["rejected"].as_array().unwrap().iter().map(|r| kind(&r["problem"])).collect();
    assert_eq!(kinds, ["malformed-json", "not-an-object"]);
    app.stop().await;
}

#[actix_rt::test]
async fn t9_snooze_until_the_past_is_an_un_snooze() {
    let app = TestApp::start().await;
    let snooze = |id: &str, time: &str, until: &str| {
        with(event(id, "c-1", "inbox.conversation.snoozed.v1", json!({"until": until})), json!({"time": time}))
    };
    let snoozed = app.apply(&[message("m-1", "c-1"), snooze("s-1", "2026-11-22T10:00:01Z", "2026-11-22T11:00:00Z")]).await;
    assert_eq!(snoozed.json["conversations"][0]["status"], "snoozed");
    let awake = app.apply(&[snooze("s-2", "2026-11-22T10:00:02Z", "2026-11-22T09:00:00Z")]).await;
    assert_eq!(awake.json["conversations"][0]["status"], "open", "{}", awake.json);
    app.stop().await;
}

#[actix_rt::test]
async fn snooze_of_a_hundred_years() {
    let snooze = event("s-1", "c-bad", "inbox.conversation.snoozed.v1", json!({"until": "2126-11-22T10:00:00Z"}));
    refused_alone(snooze, 422, "snooze-too-long").await;
}

#[actix_rt::test]
async fn wrong_content_type() {
    let app = TestApp::start().await;
    for content_type in ["text/plain", "application/json", "application/xml"] {
        let answer = app.post(content_type, message("m-1", "c-1").to_string()).await;
        assert_eq!((answer.status.as_u16(), answer.problem()), (415, "unsupported-content-type"), "{content_type}");
    }
    let large = app.post("text/plain", vec![b' '; 8 << 20]).await;
    assert_eq!((large.status.as_u16(), large.problem()), (415, "unsupported-content-type"), "the answer arrives all the same");
    app.stop().await;
}

#[actix_rt::test]
async fn a_body_that_stalls() {
    let app = TestApp::start_with(&[("limits.stall", "1s"), ("limits.total", "2s")]).await;
    let endless = stream::once(async { Ok::<_, std::io::Error>("{") });
    let stalled = reqwest::Body::wrap_stream(futures_util::StreamExt::chain(endless, stream::pending()));
    let answer = app.post(JSON, stalled).await;
    assert_eq!((answer.status.as_u16(), answer.problem()), (408, "body-too-slow"));
    assert_eq!(answer.header("connection"), "close");
    app.stop().await;
}

#[actix_rt::test]
async fn a_body_that_trickles() {
    let app = TestApp::start_with(&[("limits.stall", "1s"), ("limits.total", "2s")]).await;
    let trickle = stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        Some((Ok::<_, std::io::Error>(" "), ()))
    });
    let answer = app.post(JSON, reqwest::Body::wrap_stream(trickle)).await;
    assert_eq!((answer.status.as_u16(), answer.problem()), (408, "body-too-slow"));
    app.stop().await;
}
