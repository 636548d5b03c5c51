//! Acting: close, open, assign, snooze and block over HTTP, answered when it is done.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::*;

/// A request below the conversation, with a body unless that is null.
fn asking(app: &TestApp, method: Method, what: &str, body: &Value) -> RequestBuilder {
    app.asking(method, &format!("{CONVERSATION}/{what}"), body)
}

/// One conversation, with a timer of an hour.
async fn one() -> TestApp {
    let app = TestApp::start().await;
    app.put_settings("acme", json!({"auto_close": {"enabled": true, "period": "1h"}})).await;
    app.apply(&[human("m-1", "c-1")]).await;
    app
}

async fn told(app: &TestApp) -> Vec<String> {
    let items = app.get(&format!("{CONVERSATION}/events")).await.json["items"].take();
    let name = |told: &Value| told["type"].as_str().unwrap().trim_start_matches("adjourn.").trim_end_matches(".v1").to_owned();
    items.as_array().unwrap().iter().map(name).collect()
}

#[actix_rt::test]
async fn l2_l3_l7_l9_closed_with_a_note_and_opened_again() {
    let app = one().await;
    let off = ask_of_it(&app, Method::POST, "close", json!({"note": {"category": "Billing"}})).await;
    assert_eq!((off.status.as_u16(), off.problem()), (422, "notes-off"));
    app.put_settings("acme", json!({"closing_notes": {"mode": "category_and_summary_required"}})).await;
    app.add_category("acme", "Billing").await;
    for (note, problem) in [(json!({}), "category-missing"), (json!({"category": "Billing"}), "summary-missing")] {
        let answer = ask_of_it(&app, Method::POST, "close", json!({"note": note})).await;
        assert_eq!((answer.status.as_u16(), answer.problem()), (422, problem), "{note}");
    }
    let note = json!({"category": "Billing", "summary": "Paid twice, paid back"});
    let closed = ask_of_it(&app, Method::POST, "close", json!({"by": "ana", "note": note})).await;
    assert_eq!(closed.status, 200, "{}", closed.json);
    let shown = &closed.json;
    assert_eq!((&shown["status"], &shown["closed_source"], &shown["closed_by"]), (&json!("closed"), &json!("user"), &json!("ana")));
    assert_eq!((&shown["closing_note"], &shown["scheduled_close_at"]), (&note, &Value::Null));
    assert_eq!(closed.header("etag"), format!("\"{}\"", shown["version"]));
    assert_eq!(app.get(CONVERSATION).await.json, *shown, "it is durable, and as it was answered");

    let opened = ask_of_it(&app, Method::POST, "open", Value::Null).await;
    assert_eq!((opened.status.as_u16(), &opened.json["episode"], &opened.json["opened_source"]), (200, &json!(2), &json!("user")));
    assert_eq!(told(&app).await, ["conversation.opened", "timer.armed", "timer.cancelled", "conversation.closed", "conversation.reopened"]);
    app.stop().await;
}

#[actix_rt::test]
async fn l1_assigned_and_taken_away() {
    let app = one().await;
    let assignee = json!({"kind": "human", "id": "bo", "name": "Bo"});
    assert_eq!(ask_of_it(&app, Method::PUT, "assignee", assignee.clone()).await.json["assignee"], assignee);
    assert_eq!(app.get("/v1/workspaces/acme/conversations?assignee=bo").await.json["items"][0]["id"], "c-1");
    let nobodys = ask_of_it(&app, Method::DELETE, "assignee", Value::Null).await;
    assert_eq!((nobodys.status.as_u16(), &nobodys.json["assignee"]), (200, &Value::Null));
    assert_eq!(app.get("/v1/workspaces/acme/conversations?assignee=none").await.json["items"][0]["id"], "c-1");
    app.stop().await;
}

#[actix_rt::test]
async fn t9_t11_snoozed_and_woken() {
    let app = one().await;
    let until = "2026-11-22T12:00:00.000Z";
    let snoozed = ask_of_it(&app, Method::PUT, "snooze", json!({"until": until})).await;
    assert_eq!((&snoozed.json["status"], &snoozed.json["snoozed_until"]), (&json!("snoozed"), &json!(until)));
    assert_eq!(snoozed.json["scheduled_close_at"], "2026-11-22T13:00:00.000Z");
    let woken = ask_of_it(&app, Method::DELETE, "snooze", Value::Null).await;
    assert_eq!((&woken.json["status"], &woken.json["snoozed_until"]), (&json!("open"), &Value::Null));
    let again = ask_of_it(&app, Method::DELETE, "snooze", Value::Null).await;
    assert_eq!((again.status.as_u16(), again.problem()), (409, "not-snoozed"));
    app.stop().await;
}

#[actix_rt::test]
async fn l4_t17_blocked_until_unblocked() {
    let app = one().await;
    let blocked = ask_of_it(&app, Method::PUT, "block", Value::Null).await;
    assert_eq!((&blocked.json["blocked"], &blocked.json["scheduled_close_at"]), (&json!(true), &Value::Null));
    let before = app.get(CONVERSATION).await.json;
    let refused = ask_of_it(&app, Method::POST, "close", Value::Null).await;
    assert_eq!((refused.status.as_u16(), refused.problem()), (409, "contact-blocked"));
    assert_eq!(app.get(CONVERSATION).await.json, before, "nothing changed");
    let unblocked = ask_of_it(&app, Method::DELETE, "block", Value::Null).await;
    assert_eq!((&unblocked.json["blocked"], &unblocked.json["scheduled_close_at"]), (&json!(false), &json!("2026-11-22T11:00:10.000Z")));
    assert_eq!(ask_of_it(&app, Method::POST, "close", Value::Null).await.status, 200);
    app.stop().await;
}

#[actix_rt::test]
async fn what_cannot_be_done_now_says_why() {
    let app = one().await;
    for (method, what, body, status, problem) in [
        (Method::POST, "open", Value::Null, 409, "already-open"),
        (Method::DELETE, "block", Value::Null, 409, "not-blocked"),
        (Method::PUT, "snooze", json!({"until": "2026-11-22T10:00:10Z"}), 422, "snooze-over"),
        (Method::PUT, "snooze", json!({"until": "2046-11-22T10:00:00Z"}), 422, "snooze-too-long"),
        (Method::PUT, "snooze", json!({"until": "soon"}), 422, "invalid-time"),
        (Method::PUT, "snooze", Value::Null, 400, "malformed-json"),
        (Method::PUT, "assignee", json!({"kind": "human"}), 422, "invalid-command"),
        (Method::POST, "close", json!({"source": "auto_close"}), 422, "unknown-value"),
        (Method::POST, "close", json!({"notes": {}}), 422, "invalid-command"),
        (Method::POST, "close", json!({"note": {"category": "x".repeat(129)}}), 422, "too-long"),
    ] {
        let answer = ask_of_it(&app, method, what, body.clone()).await;
        assert_eq!((answer.status.as_u16(), answer.problem()), (status, problem), "{what} {body}: {}", answer.json);
    }
    assert_eq!(ask_of_it(&app, Method::POST, "close", Value::Null).await.status, 200);
    for (method, what, body) in [(Method::POST, "close", Value::Null), (Method::PUT, "snooze", json!({"until": "2026-11-23T10:00:00Z"}))] {
        let answer = ask_of_it(&app, method, what, body).await;
        assert_eq!((answer.status.as_u16(), answer.problem()), (409, "not-open"), "{what}");
    }
    let unknown = Answer::of(app.client.post(app.url("/v1/workspaces/acme/conversations/nobody/close"))).await;
    assert_eq!((unknown.status.as_u16(), unknown.problem()), (404, "not-found"));
    assert_eq!(app.get("/v1/workspaces/acme/conversations/nobody").await.status, 404, "asking made none");
    let text = Answer::of(asking(&app, Method::POST, "open", &Value::Null).header("content-type", "text/plain").body("{}")).await;
    assert_eq!((text.status.as_u16(), text.problem()), (415, "unsupported-content-type"));
    let other = Answer::of(app.client.get(app.url(&format!("{CONVERSATION}/close")))).await;
    assert_eq!((other.status.as_u16(), other.header("allow")), (405, "POST, OPTIONS"));
    app.stop().await;
}

#[actix_rt::test]
async fn a_command_for_another_version_is_412() {
    let app = one().await;
    let tag = app.get(CONVERSATION).await.header("etag").to_owned();
    let meant = |tag: &str| asking(&app, Method::POST, "close", &Value::Null).header("if-match", tag);
    app.apply(&[with(human("m-2", "c-1"), json!({"time": "2026-11-22T10:00:01Z"}))]).await;
    for stale in [tag.as_str(), "\"999\"", "W/\"1\"", "x"] {
        let answer = Answer::of(meant(stale)).await;
        assert_eq!((answer.status.as_u16(), answer.problem()), (412, "version-mismatch"), "{stale}");
    }
    let tag = app.get(CONVERSATION).await.header("etag").to_owned();
    assert_eq!(Answer::of(meant(&tag)).await.status, 200);
    app.stop().await;
}

/// D6: under one key it is done once, and answered alike.
#[actix_rt::test]
async fn d6_a_key_names_one_command() {
    let app = one().await;
    let close = |key: &str| asking(&app, Method::POST, "close", &Value::Null).header("idempotency-key", key);
    let first = Answer::of(close("\"k-1\"")).await;
    let again = Answer::of(close("k-1")).await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (200, 200), "{}", again.json);
    assert_eq!(first.json, again.json);
    let body = json!({"by": "bo"});
    let reused = Answer::of(asking(&app, Method::POST, "close", &body).header("idempotency-key", "k-1")).await;
    assert_eq!((reused.status.as_u16(), reused.problem()), (409, "not-open"), "another command under a key that was used");
    let claims = with(human("close:k-9", "c-1"), json!({"source": "/adjourn/commands"}));
    let refused = app.post(JSON, claims.to_string()).await;
    assert_eq!((refused.status.as_u16(), refused.problem()), (422, "reserved-source"));
    let other = Answer::of(close("k-2")).await;
    assert_eq!((other.status.as_u16(), other.problem()), (409, "not-open"));
    assert_eq!(Answer::of(asking(&app, Method::POST, "open", &Value::Null).header("idempotency-key", "k-1")).await.status, 200);
    let long = Answer::of(close(&"k".repeat(101))).await;
    assert_eq!((long.status.as_u16(), long.problem()), (400, "invalid-idempotency-key"));
    app.stop().await;
}

/// Of many who ask at once for the same version one gets it.
#[actix_rt::test]
async fn of_two_who_mean_the_same_version_one_is_heard() {
    let app = one().await;
    for round in 0..20 {
        let tag = app.get(CONVERSATION).await.header("etag").to_owned();
        let asked = (0..4).map(|n| {
            let body = json!({"kind": "human", "id": format!("agent-{round}-{n}")});
            Answer::of(asking(&app, Method::PUT, "assignee", &body).header("if-match", &tag))
        });
        let answers = futures_util::future::join_all(asked).await;
        let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 412, 412, 412]);
        let heard = answers.iter().find(|answer| answer.status == 200).unwrap();
        assert_eq!(app.get(CONVERSATION).await.json["assignee"], heard.json["assignee"]);
    }
    app.stop().await;
}
