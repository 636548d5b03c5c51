//! Who may do what: keys, scopes, workspaces, and what is written down of it (L15; security rows 1, 2 and 24).

use std::collections::BTreeSet;

use adjourn::domain::access::Scope;
use adjourn::edge::http::access::{Needs, Verb};
use adjourn::edge::http::routes::doors;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::patience::eventually;
use crate::support::*;

const OPERATOR: &str = "an-operators-key-of-32-characters-or-more";

struct Keyed(TestApp);

impl Keyed {
    async fn start() -> Self {
        Self(TestApp::start_with(&[("keys.operator", OPERATOR)]).await)
    }

    fn asking(&self, key: &str, method: Method, path: &str, body: &Value) -> RequestBuilder {
        self.0.asking(method, path, body).bearer_auth(key)
    }

    async fn ask(&self, key: &str, method: Method, path: &str, body: Value) -> Answer {
        Answer::of(self.asking(key, method, path, &body)).await
    }

    /// A new key: its id, and all of it.
    async fn create(&self, scopes: &[&str], workspaces: &[&str]) -> (String, String) {
        let body = json!({"name": "k", "scopes": scopes, "workspaces": workspaces});
        let made = self.ask(OPERATOR, Method::POST, "/v1/keys", body).await;
        assert_eq!((made.status.as_u16(), made.header("cache-control")), (201, "no-store"), "{}", made.json);
        let text = |member: &str| made.json[member].as_str().unwrap().to_owned();
        (text("id"), text("key"))
    }

    async fn send(&self, key: &str, events: &[Value]) -> Answer {
        Answer::of(self.0.posting(BATCH, json!(events).to_string()).header("prefer", "wait=30").bearer_auth(key)).await
    }
}

/// A path of a door, of this workspace. What else it names is nothing that there is.
fn path_of(path: &str, workspace: &str) -> String {
    let path = path.replace("{workspace}", workspace).replace("{partition}", "60000").replace("{id}", "1-0");
    ["{conversation}", "{agent}", "{category}", "{node}", "{key}"].iter().fold(path, |path, name| path.replace(name, "nothing"))
}

/// Every path, every method, every scope, keys of this workspace, of another and of all.
#[actix_rt::test]
async fn row_1_row_2_every_route_asks_for_its_scope_and_its_workspace() {
    let app = Keyed::start().await;
    let mut keys = Vec::new();
    for scope in Scope::ALL {
        for workspaces in ["acme", "other", "*"] {
            keys.push((scope, workspaces, app.create(&[scope.as_str()], &[workspaces]).await.1));
        }
    }
    let mut asked = 0;
    for door in doors() {
        let path = path_of(door.path(), "acme");
        for Verb { method, scopes } in door.verbs() {
            let method = Method::from_bytes(method.as_str().as_bytes()).unwrap();
            let body = if method == Method::GET { Value::Null } else { json!({}) };
            let nobody = Answer::of(app.0.asking(method.clone(), &path, &body)).await;
            assert_eq!((nobody.status.as_u16(), nobody.problem()), (401, "unauthorized"), "{method} {path}");
            assert!(nobody.header("www-authenticate").starts_with("Bearer"));
            for (scope, workspaces, key) in &keys {
                let expected = match (door.needs(), *workspaces) {
                    (Needs::Workspace, "other") => Some(404),
                    _ if !scopes.contains(scope) => Some(403),
                    (Needs::Everything, "acme" | "other") => Some(403),
                    _ => None,
                };
                // Only the beginning of it: some answers have no end.
                let status = app.asking(key, method.clone(), &path, &body).send().await.unwrap().status().as_u16();
                match expected {
                    Some(expected) => assert_eq!(status, expected, "{method} {path}: {scope:?} of {workspaces}"),
                    None => assert!(status != 401 && status != 403 && status < 500, "{method} {path}: {scope:?} of {workspaces}: {status}"),
                }
                asked += 1;
            }
        }
    }
    assert!(asked > 500, "{asked}");
    app.0.stop().await;
}

/// A path that nobody thought of is no way around.
#[actix_rt::test]
async fn row_2_there_is_no_way_in_without_a_key() {
    let app = Keyed::start().await;
    let wrong = [None, Some("Bearer"), Some("Bearer x"), Some("Basic eDp5"), Some("Bearer adj_0123456789_00")];
    for path in ["/v1/topology", "/v1/nowhere", "/", "/v1/workspaces/acme/conversations", "//v1/topology", "/v1/topology/"] {
        for shown in wrong {
            let request = app.0.client.get(app.0.url(path));
            let request = shown.into_iter().fold(request, |request, shown| request.header("authorization", shown));
            assert_eq!(Answer::of(request).await.status, 401, "{path} {shown:?}");
        }
    }
    let head = app.0.client.head(app.0.url("/v1/topology")).send().await.unwrap();
    assert_eq!(head.status(), 401);
    // A key in the address would stand in every log.
    let asked = Answer::of(app.0.client.get(app.0.url(&format!("/v1/topology?key={OPERATOR}")))).await;
    assert_eq!(asked.status, 401);
    // Probes have none.
    assert_eq!(app.0.admin("/livez").await.0, 200);
    app.0.stop().await;
}

#[actix_rt::test]
async fn l15_settings_are_neither_read_nor_changed_without_the_admin_scope() {
    let app = Keyed::start().await;
    let (_, key) = app.create(&["ingest", "read", "act"], &["acme"]).await;
    let path = "/v1/workspaces/acme/settings";
    for (method, path) in [(Method::GET, path.to_owned()), (Method::PUT, path.to_owned()), (Method::GET, format!("{path}/history"))] {
        let refused = app.ask(&key, method, &path, json!({"auto_close": {"enabled": true}})).await;
        assert_eq!((refused.status.as_u16(), refused.problem()), (403, "missing-scope"), "{path}");
    }
    let (_, admin) = app.create(&["admin"], &["acme"]).await;
    let settings = app.ask(&admin, Method::GET, path, Value::Null).await;
    assert_eq!((settings.status.as_u16(), &settings.json["auto_close"]["enabled"]), (200, &json!(false)));
    app.0.stop().await;
}

/// Each event of a batch by itself; what is another's is as if it were not there.
#[actix_rt::test]
async fn row_1_events_of_other_workspaces_are_refused_one_by_one() {
    let app = Keyed::start().await;
    let (_, key) = app.create(&["ingest"], &["acme"]).await;
    let foreign = |id: &str| with(message(id, "c-1"), json!({"workspace": "other"}));
    let mixed = app.send(&key, &[message("m-1", "c-1"), foreign("m-2")]).await;
    assert_eq!((mixed.status.as_u16(), &mixed.json["accepted"]), (200, &json!(1)), "{}", mixed.json);
    assert_eq!((&mixed.json["rejected"][0]["index"], &mixed.json["rejected"][0]["problem"]["status"]), (&json!(1), &json!(404)));
    let alone = Answer::of(app.0.posting(JSON, foreign("m-3").to_string()).bearer_auth(&key)).await;
    assert_eq!((alone.status.as_u16(), alone.problem()), (404, "not-found"));
    let there = app.ask(OPERATOR, Method::GET, "/v1/workspaces/other/conversations", Value::Null).await;
    assert_eq!(there.json["items"], json!([]));
    app.0.stop().await;
}

/// Whether there is such a workspace, or such a conversation in it, makes no difference to who may not ask.
#[actix_rt::test]
async fn row_1_what_is_anothers_cannot_be_told_from_what_is_not() {
    let app = Keyed::start().await;
    assert_eq!(app.send(OPERATOR, &[message("m-1", "c-1")]).await.status, 200);
    let (_, key) = app.create(&["read", "act", "admin"], &["other"]).await;
    let mut answers = BTreeSet::new();
    for path in [
        "/v1/workspaces/acme/conversations/c-1",
        "/v1/workspaces/acme/conversations/nothing",
        "/v1/workspaces/none/conversations/c-1",
        "/v1/workspaces/acme/settings",
        "/v1/workspaces/none/settings",
    ] {
        let answer = app.ask(&key, Method::GET, path, Value::Null).await;
        assert_eq!(answer.status, 404);
        answers.insert(answer.json.to_string());
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    app.0.stop().await;
}

#[actix_rt::test]
async fn row_2_a_key_is_shown_once_replaced_and_ended() {
    let app = Keyed::start().await;
    let (id, first) = app.create(&["read"], &["acme"]).await;
    let status = async |key: &str| app.ask(key, Method::GET, "/v1/workspaces/acme/conversations", Value::Null).await.status.as_u16();
    assert_eq!(status(&first).await, 200);
    let listed = app.ask(OPERATOR, Method::GET, "/v1/keys", Value::Null).await.json.to_string();
    assert!(listed.contains(&id) && !listed.contains(&first) && !listed.contains("digest"), "{listed}");

    let path = |verb: &str| format!("/v1/keys/{id}{verb}");
    let rotated = app.ask(OPERATOR, Method::POST, &path("/rotate"), json!({"grace": "1h"})).await;
    let second = rotated.json["key"].as_str().unwrap().to_owned();
    assert_eq!((status(&first).await, status(&second).await), (200, 200));
    let again = app.ask(OPERATOR, Method::POST, &path("/rotate"), json!({})).await;
    assert_eq!((again.status.as_u16(), again.problem()), (409, "key-rotating"));
    let retired = app.ask(OPERATOR, Method::POST, &path("/retire"), Value::Null).await;
    assert_eq!((retired.status.as_u16(), &retired.json["previous_until"]), (200, &Value::Null));
    assert_eq!((status(&first).await, status(&second).await), (401, 200));

    assert_eq!(app.ask(OPERATOR, Method::DELETE, &path(""), Value::Null).await.status, 204);
    assert_eq!(status(&second).await, 401);
    let state = app.ask(OPERATOR, Method::GET, &path(""), Value::Null).await;
    assert_eq!(state.json["state"], "revoked");
    assert_eq!(app.ask(OPERATOR, Method::DELETE, &path(""), Value::Null).await.problem(), "key-revoked");
    app.0.stop().await;
}

/// By the store's clock, at the next reading of the keys.
#[actix_rt::test]
async fn row_2_a_key_expires() {
    let app = Keyed::start().await;
    let body = json!({"name": "k", "scopes": ["read"], "workspaces": ["acme"], "expires_at": "2026-11-22T11:00:00Z"});
    let key = app.ask(OPERATOR, Method::POST, "/v1/keys", body.clone()).await.json["key"].as_str().unwrap().to_owned();
    let status = async || app.ask(&key, Method::GET, "/v1/workspaces/acme/conversations", Value::Null).await.status.as_u16();
    assert_eq!(status().await, 200);
    app.0.pass(3_600_000);
    eventually("the key expires", async || status().await == 401).await;
    assert_eq!(app.ask(OPERATOR, Method::POST, "/v1/keys", body).await.problem(), "already-expired");
    app.0.stop().await;
}

/// Where no key is in the configuration, the first one must be able to make others: else nobody could.
#[actix_rt::test]
async fn without_keys_anybody_asks_until_there_is_one() {
    let app = Keyed(TestApp::start().await);
    assert_eq!(app.0.get("/v1/topology").await.status, 200);
    let body = |scopes: &[&str]| json!({"name": "k", "scopes": scopes, "workspaces": ["*"]});
    let make = async |body| Answer::of(app.0.asking(Method::POST, "/v1/keys", &body)).await;
    assert_eq!(make(body(&["read"])).await.problem(), "nobody-rules");
    let root = make(body(&["admin"])).await;
    assert_eq!(root.status, 201);
    assert_eq!(app.0.get("/v1/topology").await.status, 401);
    let (id, key) = (root.json["id"].as_str().unwrap(), root.json["key"].as_str().unwrap());
    assert_eq!(app.ask(key, Method::GET, "/v1/topology", Value::Null).await.status, 200);
    // A key keeps strangers out, pages as well: any name of this machine will do.
    let named = Answer::of(app.asking(key, Method::GET, "/v1/topology", &Value::Null).header("host", "adjourn.internal")).await;
    assert_eq!(named.status, 200);
    assert_eq!(app.ask(key, Method::DELETE, &format!("/v1/keys/{id}"), Value::Null).await.problem(), "nobody-rules");
    app.0.stop().await;
}

#[actix_rt::test]
async fn row_24_what_administrators_do_is_written_down() {
    let app = Keyed::start().await;
    let (id, key) = app.create(&["admin"], &["acme"]).await;
    let path = "/v1/workspaces/acme/settings";
    assert_eq!(app.ask(&key, Method::PUT, path, json!({"auto_close": {"enabled": true}})).await.status, 200);
    assert_eq!(app.ask(&key, Method::PUT, path, json!({"auto_close": {"period": "1s"}})).await.status, 422);
    // To look is no deed, and what was refused at the door is none.
    app.ask(&key, Method::GET, path, Value::Null).await;
    let (_, reader) = app.create(&["read"], &["acme"]).await;
    assert_eq!(app.ask(&reader, Method::PUT, path, json!({})).await.status, 403);
    let log = app.ask(&key, Method::GET, "/v1/workspaces/acme/audit?limit=1", Value::Null).await.json;
    let refused = &log["items"][0];
    assert_eq!((&refused["number"], &refused["method"], &refused["status"]), (&json!(2), &json!("PUT"), &json!(422)), "{log}");
    assert_eq!((&refused["path"], &refused["by"]["key"]), (&json!(path), &json!(id)));
    let rest = app.ask(&key, Method::GET, &format!("/v1/workspaces/acme/audit?after={}", log["next"].as_str().unwrap()), Value::Null).await;
    assert_eq!((rest.json["items"].as_array().unwrap().len(), &rest.json["items"][0]["status"]), (1, &json!(200)));
    // The settings' own history knows the key's name.
    let history = app.ask(&key, Method::GET, &format!("{path}/history"), Value::Null).await;
    assert_eq!(history.json["items"][0]["by"], "k");
    let all = app.ask(OPERATOR, Method::GET, "/v1/audit", Value::Null).await.json;
    let made = |deed: &Value| deed["path"] == "/v1/keys" && deed["status"] == 201 && deed["by"].is_null();
    assert_eq!(all["items"].as_array().unwrap().iter().filter(|deed| made(deed)).count(), 2, "{all}");
    assert!(!all.to_string().contains(&key));
    app.0.stop().await;
}

/// I10: a subscriber hears of its own workspaces, and not a moment longer than its key is good.
#[actix_rt::test]
async fn i10_a_stream_has_nothing_of_others_and_ends_with_its_key() {
    let app = Keyed::start().await;
    let (id, key) = app.create(&["read"], &["acme"]).await;
    let foreign = app.ask(&key, Method::GET, "/v1/notifications?workspace=other", Value::Null).await;
    assert_eq!(foreign.status, 404);
    let mut stream = app.asking(&key, Method::GET, "/v1/notifications?after=0", &Value::Null).send().await.unwrap();
    let canary = with(message("m-1", "canary"), json!({"workspace": "other"}));
    assert_eq!(app.send(OPERATOR, &[canary, message("m-2", "mine")]).await.status, 200);
    let mut heard = String::new();
    while !heard.contains("mine") {
        heard.push_str(&String::from_utf8_lossy(&stream.chunk().await.unwrap().unwrap()));
    }
    assert_eq!(app.ask(OPERATOR, Method::DELETE, &format!("/v1/keys/{id}"), Value::Null).await.status, 204);
    assert_eq!(app.send(OPERATOR, &[message("m-3", "later")]).await.status, 200);
    while let Some(piece) = stream.chunk().await.unwrap() {
        heard.push_str(&String::from_utf8_lossy(&piece));
    }
    assert!(!heard.contains("canary") && !heard.contains("later"), "{heard}");
    app.0.stop().await;
}

/// Its own rate, and nobody else's: what is over it is refused, and nothing is wrong with it.
#[actix_rt::test]
async fn row_4_a_workspace_over_its_rate_is_asked_to_wait_and_no_other() {
    let app = TestApp::start_with(&[("limits.rate", "1"), ("limits.events", "3"), ("limits.keep_alive", "1s")]).await;
    let batch = |workspace: &str, from: u32| -> Vec<Value> {
        (from..from + 3).map(|n| with(message(&format!("m-{n}"), "c-1"), json!({"workspace": workspace}))).collect()
    };
    let send = async |events: Vec<Value>| app.post(BATCH, json!(events).to_string()).await;
    assert_eq!(send(batch("acme", 0)).await.status, 202);
    let over = send(batch("acme", 3)).await;
    assert_eq!((over.status.as_u16(), over.problem(), &over.json["accepted"]), (429, "rate-limited", &json!(0)), "{}", over.json);
    assert!(over.header("retry-after").parse::<u32>().unwrap() >= 1);
    let alone = app.post(JSON, message("m-9", "c-1").to_string()).await;
    assert_eq!((alone.status.as_u16(), alone.problem()), (429, "rate-limited"));
    let mixed = send(vec![with(message("m-5", "c-1"), json!({"workspace": "other"})), message("m-6", "c-1")]).await;
    assert_eq!((mixed.status.as_u16(), &mixed.json["accepted"]), (202, &json!(1)), "{}", mixed.json);
    assert_eq!(mixed.json["rejected"][0]["problem"]["status"], 429);
    // The same events again, when it is time: none is lost, none counts twice.
    eventually("the rate allows it", async || app.post(JSON, message("m-9", "c-1").to_string()).await.status == 202).await;
    app.stop().await;
}
