//! Settings: what can be, what cannot, and who was first.

use serde_json::json;

use crate::support::*;

const PATH: &str = "/v1/workspaces/acme/settings";

#[actix_rt::test]
async fn a_new_workspace_has_the_defaults() {
    let app = TestApp::start().await;
    let answer = app.get(PATH).await;
    assert_eq!(answer.header("etag"), "\"0\"");
    assert_eq!(answer.json["auto_close"], json!({"enabled": false, "period": "24h", "echo_arms": true}));
    app.stop().await;
}

#[actix_rt::test]
async fn t2_what_is_no_period_changes_nothing() {
    let app = TestApp::start().await;
    for period in ["29m", "15d", "-1h", "1 fortnight", "1h30m", "24"] {
        let answer = app.put_settings("acme", json!({"auto_close": {"enabled": true, "period": period}})).await;
        assert_eq!((answer.status.as_u16(), answer.problem()), (422, "invalid-settings"), "{period}");
    }
    assert_eq!(app.get(PATH).await.header("etag"), "\"0\"");
    app.stop().await;
}

#[actix_rt::test]
async fn a_change_answers_when_it_holds() {
    let app = TestApp::start().await;
    let answer = app.put_settings("acme", json!({"auto_close": {"enabled": true, "period": "1h"}})).await;
    assert_eq!((answer.status.as_u16(), answer.header("etag")), (200, "\"1\""), "{}", answer.json);
    assert_eq!(answer.json["late_reply_window"], "10m", "what is left out stays");
    let armed = app.apply(&[human("m-1", "c-1")]).await;
    assert_eq!(armed.json["conversations"][0]["scheduled_close_at"], "2026-11-22T11:00:00.000Z");
    app.stop().await;
}

#[actix_rt::test]
async fn t22_switched_off_is_off_for_everybody() {
    let app = TestApp::start().await;
    app.put_settings("acme", json!({"auto_close": {"enabled": true}})).await;
    let armed = app.apply(&[human("m-1", "c-1")]).await;
    assert_eq!(armed.json["conversations"][0]["scheduled_close_at"], "2026-11-23T10:00:00.000Z");
    app.put_settings("acme", json!({"auto_close": {"enabled": false}})).await;
    assert_eq!(app.get("/v1/workspaces/acme/conversations/c-1").await.json["scheduled_close_at"], json!(null));
    app.stop().await;
}

#[actix_rt::test]
async fn if_match_keeps_the_second_from_undoing_the_first() {
    let app = TestApp::start().await;
    let put = |tag: &'static str| {
        let request = app.client.put(app.url(PATH)).header("content-type", "application/json").header("if-match", tag);
        Answer::of(request.body(r#"{"farewell":"Bye"}"#))
    };
    assert_eq!(put("\"0\"").await.status, 200);
    let second = put("\"0\"").await;
    assert_eq!((second.status.as_u16(), second.problem()), (412, "version-mismatch"));
    app.stop().await;
}

#[actix_rt::test]
async fn what_is_no_change_is_refused_by_name() {
    let app = TestApp::start().await;
    let unknown = app.put_settings("acme", json!({"auto_close": {"perod": "1h"}})).await;
    assert_eq!((unknown.status.as_u16(), unknown.problem()), (422, "invalid-settings"));
    assert!(unknown.json["detail"].as_str().unwrap().contains("auto_close.perod"));
    let text = Answer::of(app.client.put(app.url(PATH)).body("{}")).await;
    assert_eq!((text.status.as_u16(), text.problem()), (415, "unsupported-content-type"));
    let broken = Answer::of(app.client.put(app.url(PATH)).header("content-type", "application/json").body("{")).await;
    assert_eq!((broken.status.as_u16(), broken.problem()), (400, "malformed-json"));
    app.stop().await;
}
