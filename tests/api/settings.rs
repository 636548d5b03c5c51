//! Settings: what can be, what cannot, and who was first.

use serde_json::json;

use crate::patience::eventually;
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

#[actix_rt::test]
async fn who_changed_what_and_when_is_told_the_latest_first() {
    let app = TestApp::start().await;
    let history = async |query: &str| app.get(&format!("{PATH}/history{query}")).await.json;
    assert_eq!(history("").await, json!({"items": [], "next": null}));
    let put = |by: &str, body: &'static str| {
        let request = app.client.put(app.url(&format!("{PATH}{by}"))).header("content-type", "application/json");
        Answer::of(request.body(body))
    };
    assert_eq!(put("?by=ana", r#"{"auto_close":{"enabled":true,"period":"12h"},"farewell":"Bye"}"#).await.status, 200);
    assert_eq!(put("", r#"{"auto_close":{"period":"29m"}}"#).await.status, 422);
    app.pass(60_000);
    let added = app.client.post(app.url("/v1/workspaces/acme/categories?by=bo")).header("content-type", "application/json");
    assert_eq!(Answer::of(added.body(r#"{"name":"Billing","description":"Money"}"#)).await.status, 201);
    let removed = Answer::of(app.client.delete(app.url("/v1/workspaces/acme/categories/Billing"))).await;
    assert_eq!(removed.status, 204);

    let all = history("").await;
    let items = all["items"].as_array().unwrap();
    assert_eq!(items.iter().map(|item| item["version"].as_u64().unwrap()).collect::<Vec<_>>(), [3, 2, 1], "what was refused is not in it");
    assert_eq!(items[0]["by"], json!(null));
    assert_eq!(items[0]["changes"], json!({"categories.Billing": {"from": "Money", "to": null}}));
    assert_eq!((&items[1]["by"], &items[1]["at"]), (&json!("bo"), &json!("2026-11-22T10:01:10.000Z")));
    assert_eq!(
        items[2],
        json!({"version": 1, "at": "2026-11-22T10:00:10.000Z", "by": "ana", "changes": {
            "auto_close.enabled": {"from": false, "to": true},
            "auto_close.period": {"from": "24h", "to": "12h"},
            "farewell": {"from": null, "to": "Bye"},
        }})
    );
    let first = history("?limit=2").await;
    assert_eq!((first["items"].as_array().unwrap().len(), &first["next"]), (2, &json!("2")));
    let rest = history("?limit=2&after=2").await;
    assert_eq!((&rest["items"], &rest["next"]), (&json!([items[2]]), &json!(null)));
    app.stop().await;
}

#[actix_rt::test]
async fn whoever_changes_settings_says_so_beside_them() {
    let app = TestApp::start().await;
    let within = app.put_settings("acme", json!({"by": "ana"})).await;
    assert_eq!((within.status.as_u16(), within.problem()), (422, "invalid-settings"), "no setting");
    let put = |query: String| {
        Answer::of(app.client.put(app.url(&format!("{PATH}{query}"))).header("content-type", "application/json").body("{}"))
    };
    for (query, kind) in [(format!("?by={}", "x".repeat(257)), "invalid-parameter"), ("?who=ana".to_owned(), "unknown-parameter")] {
        let refused = put(query).await;
        assert_eq!((refused.status.as_u16(), refused.problem()), (400, kind));
    }
    for query in ["?after=x", "?limit=0", "?by=ana"] {
        assert_eq!(app.get(&format!("{PATH}/history{query}")).await.status, 400, "{query}");
    }
    assert_eq!(app.get(PATH).await.header("etag"), "\"0\"");
    app.stop().await;
}

#[actix_rt::test]
async fn t23_applied_to_running_timers_after_a_preview() {
    let app = TestApp::start().await;
    app.put_settings("acme", json!({"auto_close": {"enabled": true, "period": "1h"}})).await;
    app.apply(&[human("m-1", "c-1")]).await;
    app.put_settings("acme", json!({"auto_close": {"period": "2h"}})).await;
    let post = |query: &str, body: &'static str| {
        let request = app.client.post(app.url(&format!("{PATH}/apply-to-running{query}"))).header("content-type", "application/json");
        Answer::of(request.body(body))
    };
    let preview = post("", r#"{"preview":true}"#).await;
    let effect = json!({"preview": true, "timers": 1, "first_close_at": "2026-11-22T12:00:00.000Z", "due_at_once": 0, "period": "2h",
        "rate": 100, "by_hour": [{"start": "2026-11-22T12:00:00.000Z", "closes": 1}], "later": 0, "complete": true});
    assert_eq!((preview.status.as_u16(), &preview.json), (200, &effect));
    let conversation = async || app.get("/v1/workspaces/acme/conversations/c-1").await.json;
    assert_eq!(
        (conversation().await["scheduled_close_at"].as_str(), app.get(PATH).await.header("etag")),
        (Some("2026-11-22T11:00:00.000Z"), "\"2\"")
    );

    let applied = post("?by=ana", r#"{"rate":7}"#).await;
    assert_eq!((applied.status.as_u16(), applied.header("etag")), (200, "\"3\""), "{}", applied.json);
    assert_eq!((&applied.json["timers"], &applied.json["rate"], &applied.json["preview"]), (&json!(1), &json!(7), &json!(false)));
    assert_eq!(conversation().await["scheduled_close_at"], "2026-11-22T12:00:00.000Z");
    app.pass(1_000);
    let told =
        async || app.get("/v1/workspaces/acme/conversations/c-1/events").await.json["items"].as_array().unwrap().last().unwrap().clone();
    eventually("its timer to be told of", async || told().await["type"] == "adjourn.timer.reset.v1").await;
    assert_eq!(told().await["data"]["cause"], json!({"kind": "settings", "version": 3}));
    let history = app.get(&format!("{PATH}/history?limit=1")).await.json;
    assert_eq!(history["items"][0]["by"], "ana");
    assert_eq!(history["items"][0]["changes"], json!({"apply_to_running": {"from": null, "to": "2h"}}));
    app.stop().await;
}

#[actix_rt::test]
async fn t23_what_makes_no_sense_is_not_applied() {
    let app = TestApp::start().await;
    let post = |tag: &'static str, body: &'static str| {
        let request = app.client.post(app.url(&format!("{PATH}/apply-to-running"))).header("content-type", "application/json");
        Answer::of(request.header("if-match", tag).body(body))
    };
    for (body, status, kind) in [
        (r#"{"rate":0}"#, 422, "wrong-type"),
        (r#"{"rate":10001}"#, 422, "wrong-type"),
        (r#"{"period":"1h"}"#, 422, "invalid-command"),
        ("{", 400, "malformed-json"),
    ] {
        let refused = post("*", body).await;
        assert_eq!((refused.status.as_u16(), refused.problem()), (status, kind), "{body}");
    }
    for body in ["{}", r#"{"preview":true}"#] {
        let outdated = post("\"9\"", body).await;
        assert_eq!((outdated.status.as_u16(), outdated.problem()), (412, "version-mismatch"));
    }
    assert_eq!(app.get(PATH).await.header("etag"), "\"0\"");
    app.stop().await;
}
