//! Reading: one conversation, lists, history, and why.

use serde_json::{Value, json};

use crate::support::*;

#[actix_rt::test]
async fn one_conversation_and_its_tag() {
    let app = TestApp::start().await;
    app.apply(&[message("m-1", "c-1")]).await;
    let path = "/v1/workspaces/acme/conversations/c-1";
    let answer = app.get(path).await;
    assert_eq!((answer.status.as_u16(), &answer.json["status"], &answer.json["episode"]), (200, &json!("open"), &json!(1)));
    assert_eq!(answer.header("etag"), format!("\"{}\"", answer.json["version"]));
    let tag = answer.header("etag").to_owned();
    let again = Answer::of(app.client.get(app.url(path)).header("if-none-match", &tag)).await;
    assert_eq!((again.status.as_u16(), again.header("etag")), (304, tag.as_str()));
    let head = Answer::of(app.client.head(app.url(path))).await;
    assert_eq!((head.status.as_u16(), head.header("etag"), &head.json), (200, tag.as_str(), &Value::Null));
    app.stop().await;
}

#[actix_rt::test]
async fn what_was_never_opened_is_not_there() {
    let app = TestApp::start().await;
    app.apply(&[event("b-1", "c-1", "inbox.contact.blocked.v1", json!(null))]).await;
    for path in ["", "/events", "/why"] {
        let answer = app.get(&format!("/v1/workspaces/acme/conversations/c-1{path}")).await;
        assert_eq!((answer.status.as_u16(), answer.problem()), (404, "not-found"), "{path}");
    }
    assert_eq!(app.get("/v1/workspaces/acme/conversations").await.json, json!({"items": [], "next": null}));
    app.stop().await;
}

/// Four conversations: c-1 waits for its contact with a timer, c-2 is ana's, c-3 is snoozed, c-4 is closed.
async fn four() -> TestApp {
    let app = TestApp::start().await;
    app.put_settings("acme", json!({"auto_close": {"enabled": true, "period": "1h"}})).await;
    let later = |event| with(event, json!({"time": "2026-11-22T10:00:01Z"}));
    let assignee = json!({"assignee": {"kind": "human", "id": "ana"}});
    app.apply(&[
        human("m-1", "c-1"),
        message("m-2", "c-2"),
        event("a-2", "c-2", "inbox.conversation.assigned.v1", assignee),
        message("m-3", "c-3"),
        later(event("s-3", "c-3", "inbox.conversation.snoozed.v1", json!({"until": "2026-11-22T12:00:00Z"}))),
        message("m-4", "c-4"),
        later(event("x-4", "c-4", "inbox.conversation.closed.v1", json!({"source": "user"}))),
    ])
    .await;
    app
}

#[actix_rt::test]
async fn filters_and_cursors() {
    let app = four().await;
    let found = async |query: &str| {
        let answer = app.get(&format!("/v1/workspaces/acme/conversations?{query}")).await;
        assert_eq!(answer.status, 200, "{}", answer.json);
        let ids: Vec<String> = answer.json["items"].as_array().unwrap().iter().map(|c| c["id"].as_str().unwrap().to_owned()).collect();
        (ids.join(" "), answer.json["next"].as_str().map(ToOwned::to_owned))
    };
    for (query, expected) in [
        ("", "c-1 c-2 c-3 c-4"),
        ("status=open", "c-1 c-2"),
        ("status=snoozed", "c-3"),
        ("status=closed", "c-4"),
        ("assignee=ana", "c-2"),
        ("assignee=none", "c-1 c-3 c-4"),
        ("due_before=2026-11-22T11:00:00.001Z", "c-1"),
        ("due_before=2026-11-22T11:00:00Z", ""),
        ("q=c-3", "c-3"),
        ("q=-3", ""),
        ("q=c-&status=open", "c-1 c-2"),
        ("q=c-&assignee=none&due_before=2026-11-22T11:00:00.001Z", "c-1"),
        ("status=open&assignee=none", "c-1"),
        ("status=closed&due_before=2026-11-22T11:00:00.001Z", ""),
    ] {
        assert_eq!(found(query).await.0, expected, "{query}");
    }
    let (first, next) = found("limit=3").await;
    assert_eq!(first, "c-1 c-2 c-3");
    assert_eq!(found(&format!("limit=3&after={}", next.unwrap())).await, ("c-4".to_owned(), None));
    let soon = "due_before=2026-11-22T16:00:00Z&limit=1";
    let (first, next) = found(soon).await;
    assert_eq!(first, "c-1");
    assert_eq!(found(&format!("{soon}&after={}", next.unwrap())).await, (String::new(), None), "the end of a snooze closes nobody");
    app.stop().await;
}

/// Of several workspaces and partitions, each under the settings of its own workspace.
#[actix_rt::test]
async fn a_wait_answers_with_every_conversation_once_and_in_order() {
    let app = TestApp::start().await;
    app.put_settings("acme", json!({"auto_close": {"enabled": true, "period": "1h"}})).await;
    app.put_settings("beta", json!({"auto_close": {"enabled": true, "period": "2h"}})).await;
    let of = |workspace: &str, id: &str, conversation: &str| with(human(id, conversation), json!({"workspace": workspace}));
    let mut events: Vec<Value> = (1..=8).rev().map(|n| of("acme", &format!("a-{n}"), &format!("c-{n}"))).collect();
    events.extend([of("beta", "b-1", "c-1"), of("acme", "a-9", "c-1"), event("x-1", "never", "inbox.contact.blocked.v1", json!(null))]);
    let answer = app.apply(&events).await.json;
    let shown = answer["conversations"].as_array().unwrap().iter();
    let shown: Vec<String> =
        shown.map(|c| format!("{} {} {}", c["workspace"], c["id"], c["scheduled_close_at"]).replace('"', "")).collect();
    let mut expected: Vec<String> = (1..=8).map(|n| format!("acme c-{n} 2026-11-22T11:00:00.000Z")).collect();
    expected.push("beta c-1 2026-11-22T12:00:00.000Z".into());
    assert_eq!(shown, expected);
    app.stop().await;
}

#[actix_rt::test]
async fn filters_that_make_no_sense() {
    let app = TestApp::start().await;
    for (query, expected) in [
        ("stauts=open", "unknown-parameter"),
        ("status=asleep", "invalid-parameter"),
        ("limit=501", "invalid-parameter"),
        ("limit=0", "invalid-parameter"),
        ("due_before=tomorrow", "invalid-parameter"),
        ("after=%20", "invalid-parameter"),
        ("after=c-1&due_before=2026-11-22T11:00:00Z", "invalid-parameter"),
        ("after=1795000000000:c-1&due_before=2026-11-22T11:00:00Z", "invalid-parameter"),
        ("after=1795000000000/c-1", "invalid-parameter"),
        ("q=a&q=b", "doubled-parameter"),
    ] {
        let answer = app.get(&format!("/v1/workspaces/acme/conversations?{query}")).await;
        assert_eq!((answer.status.as_u16(), answer.problem()), (400, expected), "{query}");
    }
    let name = app.get("/v1/workspaces/a%2Fb/conversations").await;
    assert_eq!((name.status.as_u16(), name.problem()), (400, "invalid-name"));
    app.stop().await;
}

#[actix_rt::test]
async fn history_is_told_in_the_events_everybody_got() {
    let app = four().await;
    let path = "/v1/workspaces/acme/conversations/c-4/events";
    let all = app.get(path).await.json;
    let types: Vec<&str> = all["items"].as_array().unwrap().iter().map(|e| e["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["adjourn.conversation.opened.v1", "adjourn.conversation.closed.v1"]);
    let first = app.get(&format!("{path}?limit=1")).await.json;
    assert_eq!(first["items"][0], all["items"][0]);
    let rest = app.get(&format!("{path}?limit=1&after={}", first["next"].as_str().unwrap())).await.json;
    assert_eq!((&rest["items"][0], &rest["next"]), (&all["items"][1], &json!(null)));
    app.stop().await;
}

#[actix_rt::test]
async fn why_it_closes_or_not() {
    let app = four().await;
    let why = async |conversation: &str| app.get(&format!("/v1/workspaces/acme/conversations/{conversation}/why")).await.json;
    let armed = why("c-1").await;
    assert_eq!((&armed["reason"], &armed["period"]), (&json!("timer_running"), &json!("1h")));
    assert_eq!((&armed["armed_by"]["id"], &armed["closes_at"]), (&json!("m-1"), &json!("2026-11-22T11:00:00.000Z")));
    assert_eq!(armed["now"], "2026-11-22T10:00:10.000Z");
    assert_eq!(why("c-2").await["reason"], "contact_spoke_last");
    assert_eq!(why("c-4").await["reason"], "not_open");
    assert!(why("c-2").await["explanation"].as_str().unwrap().ends_with('.'));
    app.stop().await;
}

#[actix_rt::test]
async fn topology_shards_and_dead_letters() {
    let app = TestApp::start().await;
    let topology = app.get("/v1/topology").await.json;
    assert_eq!((&topology["partitions"], topology["incarnation"].as_str().unwrap().len()), (&json!(4), 16));
    app.apply(&[message("m-1", "c-1")]).await;
    let shards = app.get("/v1/shards").await.json;
    let conversations: u64 = shards["items"].as_array().unwrap().iter().map(|s| s["conversations"].as_u64().unwrap()).sum();
    assert_eq!((shards["items"].as_array().unwrap().len(), conversations), (4, 1));
    assert_eq!(app.get("/v1/dead-letters?limit=5").await.json, json!({"items": [], "next": null}));
    let none = Answer::of(app.client.delete(app.url("/v1/dead-letters/0/1-1"))).await;
    assert_eq!((none.status.as_u16(), none.problem()), (404, "not-found"));
    let replay = Answer::of(app.client.post(app.url("/v1/dead-letters/9999/x/replay"))).await;
    assert_eq!((replay.status.as_u16(), replay.problem()), (404, "not-found"));
    app.stop().await;
}
