//! Categories, closing notes, and what goes with a close by timer: a warning before it, a word for the contact after it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::patience::found;
use crate::support::*;

const CATEGORIES: &str = "/v1/workspaces/acme/categories";

/// What was told of the conversation, by type, newest last.
async fn told(app: &TestApp) -> Vec<Value> {
    app.get(&format!("{CONVERSATION}/events")).await.json["items"].as_array().unwrap().clone()
}

#[actix_rt::test]
async fn l10_categories_have_fixed_names_and_descriptions_that_change() {
    let app = TestApp::start().await;
    assert_eq!(app.get(CATEGORIES).await.json, json!({"items": [], "next": null}));
    let billing = json!({"name": "Billing & refunds / €", "description": "Money"});
    let added = ask(&app, Method::POST, CATEGORIES, billing.clone()).await;
    assert_eq!((added.status.as_u16(), &added.json, added.header("etag")), (201, &billing, "\"1\""));
    app.add_category("acme", "Shipping").await;
    let again = ask(&app, Method::POST, CATEGORIES, json!({"name": "Shipping"})).await;
    assert_eq!((again.status.as_u16(), again.problem()), (409, "category-exists"));

    let path = format!("{CATEGORIES}/Billing%20&%20refunds%20%2F%20%E2%82%AC");
    let described = ask(&app, Method::PATCH, &path, json!({"description": "Invoices, refunds"})).await;
    assert_eq!((described.status.as_u16(), &described.json["description"]), (200, &json!("Invoices, refunds")));
    let renamed = ask(&app, Method::PATCH, &path, json!({"name": "Money", "description": null})).await;
    assert_eq!((renamed.status.as_u16(), renamed.problem()), (422, "invalid-command"));
    let nobody = ask(&app, Method::PATCH, &format!("{CATEGORIES}/Nothing"), json!({"description": null})).await;
    assert_eq!((nobody.status.as_u16(), nobody.problem()), (404, "not-found"));

    let names = |answer: &Answer| -> Vec<String> {
        answer.json["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&app.get(CATEGORIES).await), ["Billing & refunds / €", "Shipping"]);
    let stale = app.client.delete(app.url(&path)).header("if-match", "\"1\"");
    assert_eq!(Answer::of(stale).await.status, 412);
    assert_eq!(ask(&app, Method::DELETE, &path, Value::Null).await.status, 204);
    assert_eq!(names(&app.get(CATEGORIES).await), ["Shipping"]);
    assert_eq!(names(&app.get("/v1/workspaces/other/categories").await), [""; 0], "of this workspace alone");
    app.stop().await;
}

#[actix_rt::test]
async fn l10_what_is_no_category_is_refused_by_name() {
    let app = TestApp::start().await;
    for (body, status, problem) in [
        (json!({}), 422, "invalid-command"),
        (json!({"name": "   "}), 422, "missing-member"),
        (json!({"name": "x".repeat(129)}), 422, "too-long"),
        (json!({"name": "a\nb"}), 422, "wrong-type"),
        (json!({"name": "x", "description": "y".repeat(513)}), 422, "too-long"),
        (json!({"name": "x", "color": "red"}), 422, "invalid-command"),
        (json!(["x"]), 422, "invalid-command"),
    ] {
        let answer = ask(&app, Method::POST, CATEGORIES, body.clone()).await;
        assert_eq!((answer.status.as_u16(), answer.problem()), (status, problem), "{body}");
    }
    let text = Answer::of(app.client.post(app.url(CATEGORIES)).body("{}")).await;
    assert_eq!((text.status.as_u16(), text.problem()), (415, "unsupported-content-type"));
    assert_eq!(app.get("/v1/workspaces/acme/settings").await.header("etag"), "\"0\"", "nothing was changed");
    for number in 0..100 {
        app.add_category("acme", &format!("c{number}")).await;
    }
    let one_more = ask(&app, Method::POST, CATEGORIES, json!({"name": "one more"})).await;
    assert_eq!((one_more.status.as_u16(), one_more.problem()), (422, "too-many-categories"));
    app.stop().await;
}

#[actix_rt::test]
async fn l10_a_note_belongs_to_the_close_and_is_shown_with_its_episode() {
    let app = TestApp::start().await;
    app.put_settings("acme", json!({"auto_close": {"enabled": true, "period": "1h"}, "closing_notes": {"mode": "optional"}})).await;
    app.add_category("acme", "Billing").await;
    app.apply(&[human("m-1", "c-1")]).await;
    let note_path = format!("{CONVERSATION}/closing-note");
    let open = ask(&app, Method::PUT, &note_path, json!({"summary": "Paid"})).await;
    assert_eq!((open.status.as_u16(), open.problem()), (409, "not-closed"));
    let close_path = format!("{CONVERSATION}/close");
    let foreign = ask(&app, Method::POST, &close_path, json!({"note": {"category": "Bilking"}})).await;
    assert_eq!((foreign.status.as_u16(), foreign.problem()), (422, "category-unknown"));
    assert_eq!(ask(&app, Method::POST, &close_path, json!({"note": {"category": " Billing "}})).await.status, 200);

    let noted = ask(&app, Method::PUT, &note_path, json!({"category": "Billing", "summary": "Paid back", "by": "bo"})).await;
    assert_eq!((noted.status.as_u16(), &noted.json["closing_note"]), (200, &json!({"category": "Billing", "summary": "Paid back"})));
    assert_eq!(app.get(CONVERSATION).await.json, noted.json);
    ask(&app, Method::POST, &format!("{CONVERSATION}/open"), Value::Null).await;
    assert_eq!(app.get(CONVERSATION).await.json["closing_note"], Value::Null, "the next episode has none yet");

    let told = told(&app).await;
    let of = |kind: &str| told.iter().rfind(|event| event["type"] == format!("adjourn.{kind}.v1")).unwrap()["data"].clone();
    assert_eq!(of("conversation.closed")["note"], json!({"category": "Billing", "summary": null}));
    let added = of("closing_note.added");
    assert_eq!(added["note"], json!({"category": "Billing", "summary": "Paid back"}));
    assert_eq!((&added["episode"], &added["cause"]["by"]), (&json!(1), &json!("bo")));
    app.stop().await;
}

#[actix_rt::test]
async fn closing_soon_comes_before_the_close_and_a_farewell_with_it() {
    let app = TestApp::start().await;
    let settings = json!({"auto_close": {"enabled": true, "period": "1h"}, "warning": {"before": "15m"}, "farewell": "Write any time"});
    assert_eq!(app.put_settings("acme", settings).await.status, 200);
    app.apply(&[human("m-1", "c-1")]).await;
    let types = async |count: usize| found("what is told", async || Some(told(&app).await).filter(|told| told.len() >= count)).await;
    app.pass(45 * 60_000 + 1);
    let told = types(3).await;
    let near = &told[2];
    assert_eq!((&near["type"], &near["data"]["conversation"]["status"]), (&json!("adjourn.timer.closing_soon.v1"), &json!("open")));
    let cause = json!({"kind": "deadline_near", "deadline": "2026-11-22T11:00:00.000Z", "period": "1h",
                       "armed_by": {"id": "m-1", "source": "/ingest/test", "time": "2026-11-22T10:00:00.000Z"}});
    assert_eq!(near["data"]["cause"], cause);
    app.pass(15 * 60_000);
    let told = types(4).await;
    let closed = &told[3];
    assert_eq!((&closed["type"], &closed["data"]["farewell"]), (&json!("adjourn.conversation.closed.v1"), &json!("Write any time")));
    app.stop().await;
}
