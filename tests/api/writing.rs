//! Closing notes by whoever writes them: proposed before a close by hand (L11), added after one by timer (L12). What is built in
//! writes here; other writers are in `tests/writers`.

use reqwest::Method;
use serde_json::{Value, json};

use crate::patience::{eventually, found};
use crate::support::*;

async fn suggest(app: &TestApp) -> Answer {
    ask(app, Method::POST, &format!("{CONVERSATION}/closing-note/suggest"), Value::Null).await
}

/// A workspace that wants notes.
async fn start(auto_generate: bool) -> TestApp {
    let app = TestApp::start().await;
    app.add_category("acme", "Shipping").await;
    let notes = json!({"mode": "optional", "auto_generate": auto_generate});
    let settings = json!({"auto_close": {"enabled": true, "period": "1h"}, "closing_notes": notes});
    assert_eq!(app.put_settings("acme", settings).await.status, 200);
    app
}

fn says(id: &str, source: &str, text: &str) -> Value {
    with(message(id, "c-1"), json!({"data": {"source": source, "text": text}}))
}

fn talk() -> [Value; 2] {
    let answer = says("m-2", "user", "Your parcel left the warehouse yesterday.");
    [says("m-1", "contact", "Where is my parcel with the blue shoes?"), with(answer, json!({"time": "2026-11-22T10:00:05Z"}))]
}

/// Told of the conversation by now, of this type.
async fn told(app: &TestApp, name: &str) -> Vec<Value> {
    let all = app.get(&format!("{CONVERSATION}/events")).await.json["items"].as_array().unwrap().clone();
    all.into_iter().filter(|event| event["type"] == format!("adjourn.{name}.v1")).collect()
}

/// Waits for the first.
async fn heard(app: &TestApp, name: &str) -> Value {
    found(name, async || told(app, name).await.into_iter().next()).await
}

#[actix_rt::test]
async fn l11_a_note_is_proposed_from_what_was_written_and_nothing_is_stored() {
    let app = start(false).await;
    app.apply(&talk()).await;
    let proposed = suggest(&app).await;
    assert_eq!((proposed.status.as_u16(), &proposed.json["writer"]), (200, &json!("built-in")), "{}", proposed.json);
    assert!(proposed.json["summary"].as_str().unwrap().contains("Where is my parcel"), "{}", proposed.json);
    let shown = app.get(CONVERSATION).await.json;
    assert_eq!((&shown["status"], &shown["closing_note"]), (&json!("open"), &Value::Null));
    let note = json!({"note": {"category": "Shipping", "summary": "Told where it is."}});
    let closed = ask(&app, Method::POST, &format!("{CONVERSATION}/close"), note).await;
    assert_eq!(closed.json["closing_note"]["summary"], "Told where it is.");
    assert_eq!(suggest(&app).await.status, 200, "of the latest episode, closed or not");
    app.stop().await;
}

#[actix_rt::test]
async fn l11_a_category_is_learnt_from_those_that_people_chose() {
    let app = start(false).await;
    app.add_category("acme", "Billing").await;
    for (number, (text, category)) in [
        ("Where is my parcel?", "Shipping"),
        ("The invoice is wrong, I was charged twice", "Billing"),
        ("My parcel has not arrived", "Shipping"),
        ("Please refund the invoice", "Billing"),
        ("The parcel is late again", "Shipping"),
        ("Charged twice on my card, refund it", "Billing"),
    ]
    .into_iter()
    .enumerate()
    {
        let conversation = format!("taught-{number}");
        app.apply(&[with(message(&format!("t-{number}"), &conversation), json!({"data": {"source": "contact", "text": text}}))]).await;
        let path = format!("/v1/workspaces/acme/conversations/{conversation}/close");
        assert_eq!(ask(&app, Method::POST, &path, json!({"note": {"category": category}})).await.status, 200);
    }
    app.apply(&[says("m-1", "contact", "Where is my parcel? It should have arrived.")]).await;
    // Learnt beside the closes, and soon.
    eventually("what was learnt", async || suggest(&app).await.json["category"] == "Shipping").await;
    app.stop().await;
}

#[actix_rt::test]
async fn l7_l11_what_stands_against_a_proposal_is_said() {
    let app = TestApp::start().await;
    assert_eq!(suggest(&app).await.status, 404);
    app.apply(&talk()).await;
    let off = suggest(&app).await;
    assert_eq!((off.status.as_u16(), off.problem()), (409, "notes-off"));
    assert_eq!(app.put_settings("acme", json!({"closing_notes": {"mode": "optional"}})).await.status, 200);
    let nothing = suggest(&app).await;
    assert_eq!((nothing.status.as_u16(), nothing.problem()), (409, "nothing-kept"), "what came while notes were off is nowhere");
    let body = ask(&app, Method::POST, &format!("{CONVERSATION}/closing-note/suggest"), json!({"x": 1})).await;
    assert_eq!((body.status.as_u16(), body.problem()), (422, "invalid-command"));
    app.stop().await;
}

#[actix_rt::test]
async fn l12_an_auto_close_gets_its_note_afterwards() {
    let app = start(true).await;
    app.apply(&talk()).await;
    app.pass(3_605_000);
    let added = heard(&app, "closing_note.added").await;
    assert_eq!((&added["data"]["episode"], &added["data"]["cause"]["kind"]), (&json!(1), &json!("writer")), "{added}");
    assert_eq!(added["data"]["cause"]["writer"], "built-in");
    let closed = heard(&app, "conversation.closed").await;
    assert!(closed["sequence"].as_str() < added["sequence"].as_str() && closed["data"].get("note").is_none(), "the close did not wait");
    let note = &app.get(CONVERSATION).await.json["closing_note"];
    assert_eq!(note, &added["data"]["note"]);
    assert!(note["summary"].as_str().unwrap().contains("Where is my parcel"), "{note}");
    app.stop().await;
}

#[actix_rt::test]
async fn l12_where_there_is_nothing_to_write_from_that_is_told() {
    let app = start(true).await;
    app.apply(&[with(human("m-1", "c-1"), json!({"data": {"source": "user"}}))]).await;
    app.pass(3_600_000);
    let failed = heard(&app, "closing_note.failed").await;
    assert!(failed["data"]["cause"]["reason"].as_str().unwrap().contains("no messages with text"), "{failed}");
    assert_eq!((&failed["data"]["episode"], &failed["data"]["note"]), (&json!(1), &Value::Null));
    app.stop().await;
}

#[actix_rt::test]
async fn l11_a_users_close_without_a_note_gets_one() {
    let app = start(true).await;
    app.apply(&talk()).await;
    assert_eq!(ask(&app, Method::POST, &format!("{CONVERSATION}/close"), json!({})).await.status, 200);
    assert_eq!(heard(&app, "closing_note.added").await["data"]["episode"], 1);
    app.stop().await;
}
