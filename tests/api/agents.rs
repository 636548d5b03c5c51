//! Agents over HTTP (L1): listed, found, added, changed, removed.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::*;

const AGENTS: &str = "/v1/workspaces/acme/agents";

fn names(answer: &Answer) -> Vec<&str> {
    answer.json["items"].as_array().unwrap().iter().map(|agent| agent["name"].as_str().unwrap()).collect()
}

#[actix_rt::test]
async fn l1_agents_are_listed_by_name_and_found_by_the_beginnings_of_its_words() {
    let app = TestApp::start().await;
    assert_eq!(app.get(AGENTS).await.json, json!({"items": [], "next": null}));
    for (id, name) in [("a1", "Zoë Ng"), ("a2", "José García"), ("a3", "ana"), ("a4", "Ángel Zo")] {
        assert_eq!(ask(&app, Method::POST, AGENTS, json!({"id": id, "name": name})).await.status, 201);
    }
    assert_eq!(names(&app.get(AGENTS).await), ["ana", "Ángel Zo", "José García", "Zoë Ng"]);
    assert_eq!(names(&app.get(&format!("{AGENTS}?q=ZO")).await), ["Ángel Zo", "Zoë Ng"]);
    assert_eq!(names(&app.get(&format!("{AGENTS}?q=gar%20jos%C3%A9")).await), ["José García"]);
    assert_eq!(names(&app.get(&format!("{AGENTS}?q=arcia")).await), [""; 0]);
    let first = app.get(&format!("{AGENTS}?limit=3")).await;
    // One that goes while somebody pages takes nobody with it, and one that comes is met or not.
    assert_eq!(ask(&app, Method::DELETE, &format!("{AGENTS}/a2"), Value::Null).await.status, 204);
    let rest = app.get(&format!("{AGENTS}?limit=3&after={}", first.json["next"].as_str().unwrap())).await;
    assert_eq!((names(&rest), &rest.json["next"]), (vec!["Zoë Ng"], &Value::Null));
    let long = format!("q={}", "a+".repeat(200));
    for bad in ["after=x", "limit=0", "available=maybe", "name=x", &long] {
        assert_eq!(app.get(&format!("{AGENTS}?{bad}")).await.status, 400, "{bad}");
    }
    assert_eq!(names(&app.get("/v1/workspaces/other/agents").await), [""; 0], "of this workspace alone");
    let nobody = ask(&app, Method::POST, AGENTS, json!({"id": "none", "name": "N"})).await;
    assert_eq!(nobody.status, 422, "that is how one asks for conversations of nobody: {}", nobody.json);
    app.stop().await;
}

#[actix_rt::test]
async fn l1_an_agent_has_a_picture_or_initials_and_comes_and_goes() {
    let app = TestApp::start().await;
    let added = ask(&app, Method::POST, AGENTS, json!({"id": "ana", "name": "Ana Müller"})).await;
    let shown = json!({"id": "ana", "name": "Ana Müller", "initials": "AM", "available": true});
    assert_eq!((added.status.as_u16(), &added.json, added.header("etag")), (201, &shown, "\"1\""));
    let again = ask(&app, Method::POST, AGENTS, json!({"id": "ana", "name": "x"})).await;
    assert_eq!((again.status.as_u16(), again.problem()), (409, "agent-exists"));
    let path = format!("{AGENTS}/ana");
    let changed = ask(&app, Method::PATCH, &path, json!({"available": false, "avatar_url": "https://example.com/a.png"})).await;
    let shown = json!({"id": "ana", "name": "Ana Müller", "avatar_url": "https://example.com/a.png", "available": false});
    assert_eq!((changed.status.as_u16(), &changed.json), (200, &shown));
    assert_eq!(app.get(&path).await.json, shown);
    assert_eq!(names(&app.get(&format!("{AGENTS}?available=true")).await), [""; 0]);
    let stale = app.client.patch(app.url(&path)).header("content-type", "application/json").header("if-match", "\"1\"").body("{}");
    assert_eq!(Answer::of(stale).await.status, 412);
    assert_eq!(ask(&app, Method::DELETE, &path, Value::Null).await.status, 204);
    for method in [Method::GET, Method::DELETE] {
        let gone = ask(&app, method.clone(), &path, Value::Null).await;
        assert_eq!((gone.status.as_u16(), gone.problem()), (404, "not-found"), "{method}");
    }
    for (body, problem) in [
        (json!({"name": "x"}), "invalid-command"),
        (json!({"id": "é", "name": "x"}), "not-printable"),
        (json!({"id": "a", "name": "x", "avatar_url": "file:///etc/passwd"}), "wrong-type"),
        (json!({"id": "a", "name": "x".repeat(257)}), "too-long"),
    ] {
        let answer = ask(&app, Method::POST, AGENTS, body.clone()).await;
        assert_eq!((answer.status.as_u16(), answer.problem()), (422, problem), "{body}");
    }
    app.stop().await;
}

#[actix_rt::test]
async fn l1_who_is_assigned_is_shown_and_found_by_name() {
    let app = TestApp::start().await;
    ask(&app, Method::POST, AGENTS, json!({"id": "ana", "name": "Ana Müller"})).await;
    app.apply(&[message("m-1", "c-1"), message("m-2", "c-2")]).await;
    let path = "/v1/workspaces/acme/conversations/c-1/assignee";
    let assigned = ask(&app, Method::PUT, path, json!({"kind": "human", "id": "ana"})).await;
    assert_eq!(assigned.json["assignee"], json!({"kind": "human", "id": "ana", "name": "Ana Müller"}));
    let named = ask(&app, Method::PUT, path, json!({"kind": "human", "id": "ana", "name": "Anna"})).await;
    assert_eq!(named.json["assignee"]["name"], "Anna");
    let stranger = ask(&app, Method::PUT, path, json!({"kind": "human", "id": "bo"})).await;
    assert_eq!(stranger.json["assignee"], json!({"kind": "human", "id": "bo"}));
    ask(&app, Method::PUT, path, json!({"kind": "human", "id": "ana"})).await;
    let found = async |q: &str| app.get(&format!("/v1/workspaces/acme/conversations?q={q}")).await.json["items"].as_array().unwrap().len();
    assert_eq!((found("mull").await, found("c-").await, found("uller").await, found("-").await), (1, 2, 0, 0));
    ask(&app, Method::PATCH, &format!("{AGENTS}/ana"), json!({"name": "Ana Schmidt"})).await;
    assert_eq!((found("mull").await, found("schmi").await), (0, 1), "as she is called now");
    app.stop().await;
}

/// Of more agents than are brought up one by one, and where nobody is on the list.
#[actix_rt::test]
async fn l1_conversations_are_found_by_whatever_names_there_are() {
    let app = TestApp::start().await;
    app.apply(&[message("m-1", "c-1"), message("m-2", "c-2"), message("m-3", "c-3")]).await;
    let assign = async |conversation: &str, assignee: Value| {
        let path = format!("/v1/workspaces/acme/conversations/{conversation}/assignee");
        assert_eq!(ask(&app, Method::PUT, &path, assignee).await.status, 200);
    };
    let found = async |query: &str| {
        let answer = app.get(&format!("/v1/workspaces/acme/conversations?{query}")).await.json;
        answer["items"].as_array().unwrap().iter().map(|c| c["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assign("c-2", json!({"kind": "human", "id": "bo", "name": "Bo Ek"})).await;
    assert_eq!(found("q=ek").await, ["c-2"], "as it was called when it was assigned");
    for n in 0..20 {
        assert_eq!(ask(&app, Method::POST, AGENTS, json!({"id": format!("a{n}"), "name": format!("Kim {n}")})).await.status, 201);
    }
    assign("c-1", json!({"kind": "human", "id": "a7"})).await;
    assert_eq!(
        (found("q=kim").await, found("q=kim%207").await, found("q=kim%208").await),
        (vec!["c-1".into()], vec!["c-1".into()], vec![])
    );
    assert_eq!((found("q=kim&assignee=none").await, found("q=kim&assignee=a7").await), (vec![], vec!["c-1".to_owned()]));
    assert_eq!(found("q=%2B%2B").await, [""; 0]);
    app.stop().await;
}

/// Nobody's change is lost to another's.
#[actix_rt::test]
async fn many_are_added_at_once() {
    let app = TestApp::start().await;
    let added = (0..8).map(|n| ask(&app, Method::POST, AGENTS, json!({"id": format!("a{n}"), "name": format!("Agent {n}")})));
    let answers = futures_util::future::join_all(added).await;
    assert!(answers.iter().all(|answer| answer.status == 201), "{:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
    assert_eq!(app.get(AGENTS).await.json["items"].as_array().unwrap().len(), 8);
    app.stop().await;
}
