//! Hold, extend, exempt and forecast over HTTP, and the story that "why" tells.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::*;

/// One conversation of ana's, with a timer of an hour.
async fn one() -> TestApp {
    let app = TestApp::start().await;
    app.put_settings("acme", json!({"auto_close": {"enabled": true, "period": "1h"}})).await;
    app.apply(&[human("m-1", "c-1")]).await;
    app
}

#[actix_rt::test]
async fn held_extended_exempted_and_released() {
    let app = one().await;
    let held = ask_of_it(&app, Method::PUT, "hold", json!({"reason": "waits for parts", "by": "bo"})).await;
    let hold = json!({"until": null, "reason": "waits for parts", "by": "bo"});
    assert_eq!((held.status.as_u16(), &held.json["hold"], &held.json["scheduled_close_at"]), (200, &hold, &Value::Null));
    assert_eq!(app.get(CONVERSATION).await.json, held.json);
    let why = app.get(&format!("{CONVERSATION}/why")).await.json;
    assert_eq!((&why["reason"], &why["closes_at"]), (&json!("held"), &Value::Null));

    let until = "2026-11-22T15:00:00.000Z";
    let extended = ask_of_it(&app, Method::PUT, "hold", json!({"reason": "tomorrow", "until": until})).await;
    assert_eq!(extended.json["scheduled_close_at"], until);
    let why = app.get(&format!("{CONVERSATION}/why")).await.json;
    assert_eq!((&why["reason"], &why["closes_at"]), (&json!("extended"), &json!(until)));
    assert!(why["explanation"].as_str().unwrap().contains("tomorrow"));
    let released = ask_of_it(&app, Method::DELETE, "hold", Value::Null).await;
    assert_eq!((released.status.as_u16(), released.json.get("hold")), (200, None));
    let again = ask_of_it(&app, Method::DELETE, "hold", Value::Null).await;
    assert_eq!((again.status.as_u16(), again.problem()), (409, "not-held"));

    let exempt = ask_of_it(&app, Method::PUT, "exemption", json!({"reason": "a friend"})).await;
    assert_eq!((&exempt.json["exemption"]["reason"], &exempt.json["scheduled_close_at"]), (&json!("a friend"), &Value::Null));
    assert_eq!(app.get(&format!("{CONVERSATION}/why")).await.json["reason"], "exempt");
    assert_eq!(ask_of_it(&app, Method::DELETE, "exemption", Value::Null).await.status, 200);
    let again = ask_of_it(&app, Method::DELETE, "exemption", Value::Null).await;
    assert_eq!((again.status.as_u16(), again.problem()), (409, "not-exempt"));

    for (what, body, status, problem) in [
        ("hold", json!({}), 422, "invalid-command"),
        ("hold", json!({"reason": ""}), 422, "missing-member"),
        ("hold", json!({"reason": "x".repeat(513)}), 422, "too-long"),
        ("hold", json!({"reason": "x", "until": "2026-11-22T09:00:00Z"}), 422, "hold-over"),
        ("hold", json!({"reason": "x", "until": "2099-11-22T09:00:00Z"}), 422, "snooze-too-long"),
        ("exemption", json!({"reason": "x", "until": until}), 422, "invalid-command"),
    ] {
        let answer = ask_of_it(&app, Method::PUT, what, body.clone()).await;
        assert_eq!((answer.status.as_u16(), answer.problem()), (status, problem), "{what} {body}: {}", answer.json);
    }
    app.stop().await;
}

#[actix_rt::test]
async fn why_tells_the_story_of_the_timer() {
    let app = one().await;
    let second = with(
        human("m-2", "c-1"),
        json!({"time": "2026-11-22T10:00:05Z", "data": {"source": "user", "agent": "bo", "message_id": "wamid.7"}}),
    );
    app.apply(&[second]).await;
    ask_of_it(&app, Method::PUT, "hold", json!({"reason": "waits", "by": "cy"})).await;
    let why = app.get(&format!("{CONVERSATION}/why")).await.json;
    let story = why["story"].as_array().unwrap();
    let told: Vec<(&str, &Value, &Value)> =
        story.iter().map(|happened| (happened["what"].as_str().unwrap(), &happened["closes_before"], &happened["closes_after"])).collect();
    let (first, second) = (json!("2026-11-22T11:00:00.000Z"), json!("2026-11-22T11:00:05.000Z"));
    assert_eq!(told[1..], [("armed", &Value::Null, &first), ("reset", &first, &second), ("suspended", &second, &Value::Null)]);
    assert_eq!(story[2]["cause"]["message_id"], "wamid.7");
    assert_eq!(story[2]["text"], "The message wamid.7 of bo moved the close from 2026-11-22T11:00:00.000Z to 2026-11-22T11:00:05.000Z.");
    assert_eq!((&story[3]["cause"]["by"], &why["story_complete"]), (&json!("cy"), &json!(true)));
    app.stop().await;
}

#[actix_rt::test]
async fn what_closes_soon_is_counted_by_agent() {
    let app = one().await;
    let assigned = |id: &str, conversation: &str, agent: &str| {
        let data = json!({"assignee": {"kind": "human", "id": agent, "name": agent}});
        event(id, conversation, "inbox.conversation.assigned.v1", data)
    };
    app.apply(&[assigned("a-1", "c-1", "ana"), human("m-2", "c-2"), assigned("a-2", "c-2", "ana"), human("m-3", "c-3")]).await;
    app.apply(&[message("m-4", "c-4"), with(human("m-5", "c-5"), json!({"workspace": "other"}))]).await;
    let forecast = app.get("/v1/workspaces/acme/forecast?within=2h").await.json;
    assert_eq!((&forecast["closes"], &forecast["complete"]), (&json!(3), &json!(true)));
    let rows = forecast["rows"].as_array().unwrap();
    assert_eq!((&rows[0]["assignee"]["id"], &rows[0]["closes"]), (&json!("ana"), &json!(2)));
    assert_eq!((&rows[1]["assignee"], &rows[1]["first_close_at"]), (&Value::Null, &json!("2026-11-22T11:00:00.000Z")));
    assert_eq!(app.get("/v1/workspaces/acme/forecast?within=10m").await.json["closes"], 0);
    for bad in ["within=8d", "within=soon", "until=1h"] {
        assert_eq!(app.get(&format!("/v1/workspaces/acme/forecast?{bad}")).await.status, 400, "{bad}");
    }
    app.stop().await;
}
