//! Closes held by hand and let go again (S15), and backups at the admin port.

use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::*;

const HOUR_MS: i64 = 3_600_000;
/// Long enough for any machine; only a test that fails takes it.
const PATIENCE: Duration = Duration::from_secs(20);

async fn hold(app: &TestApp, method: Method, body: Value) -> Answer {
    Answer::of(app.asking(method, "/v1/hold", &body)).await
}

async fn status(app: &TestApp, workspace: &str, conversation: &str) -> Value {
    app.get(&format!("/v1/workspaces/{workspace}/conversations/{conversation}")).await.json["status"].clone()
}

#[actix_rt::test]
async fn s15_held_closes_are_counted_and_let_go() {
    let app = TestApp::start().await;
    for (workspace, period) in [("acme", "1h"), ("beta", "2h")] {
        app.put_settings(workspace, json!({"auto_close": {"enabled": true, "period": period}})).await;
    }
    let beta = |id: &str, conversation: &str| with(human(id, conversation), json!({"workspace": "beta"}));
    app.apply(&[human("m-1", "c-1"), human("m-2", "c-2"), message("m-3", "c-3"), beta("m-4", "c-4"), human("m-5", "c-5")]).await;
    let hold_one = json!({"reason": "waits for parts"});
    app.client.put(app.url("/v1/workspaces/acme/conversations/c-5/hold")).json(&hold_one).send().await.unwrap();
    assert_eq!(hold(&app, Method::GET, Value::Null).await.json["held"], false);
    let held = hold(&app, Method::PUT, json!({"reason": "a restore"})).await;
    assert_eq!((held.status.as_u16(), &held.json["begun"], &held.json["why"]), (200, &json!(true), &json!("a restore")), "{}", held.json);
    let again = hold(&app, Method::PUT, json!({"reason": "another"})).await;
    assert_eq!((&again.json["begun"], &again.json["why"]), (&json!(false), &json!("a restore")));

    app.pass(HOUR_MS + 60_000);
    let waiting = hold(&app, Method::GET, Value::Null).await.json;
    assert_eq!((&waiting["held"], &waiting["since"], &waiting["complete"]), (&json!(true), &held.json["since"], &json!(true)));
    assert_eq!((&waiting["closes_at_once"], &waiting["closes_within_1h"]), (&json!(2), &json!(3)), "{waiting}");
    let by_workspace = json!([{"workspace": "acme", "closes_at_once": 2, "closes_within_1h": 2},
                              {"workspace": "beta", "closes_at_once": 0, "closes_within_1h": 1}]);
    assert_eq!(waiting["workspaces"], by_workspace);
    assert_eq!(waiting["others"], json!({"closes_at_once": 0, "closes_within_1h": 0}));
    // What is sent again meanwhile counts.
    app.apply(&[with(message("m-6", "c-2"), json!({"time": "2026-11-22T10:30:00Z"}))]).await;
    assert_eq!(hold(&app, Method::GET, Value::Null).await.json["closes_at_once"], 1);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(status(&app, "acme", "c-1").await, "open");
    let (ready, text) = app.admin("/readyz?verbose").await;
    assert!(ready == 200 && text.contains("[+]closing ok: held: a restore"), "{text}");
    assert!(app.admin("/metrics").await.1.contains("adjourn_closes_held 1"));
    assert_eq!(app.get("/v1/topology").await.json["closes_held"], "a restore");

    let ended = hold(&app, Method::DELETE, Value::Null).await;
    assert_eq!((ended.status.as_u16(), &ended.json["ended"], &ended.json["why"]), (200, &json!(true), &json!("a restore")));
    let closed = async {
        while status(&app, "acme", "c-1").await != "closed" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, closed).await.expect("what is overdue closes");
    assert_eq!(status(&app, "acme", "c-2").await, "open");
    let again = hold(&app, Method::DELETE, Value::Null).await;
    assert_eq!((again.status.as_u16(), &again.json["ended"]), (200, &json!(false)));
    for body in [json!({}), json!({"reason": ""}), json!({"reason": "a\nb"}), json!({"reason": "x".repeat(501)})] {
        let answer = hold(&app, Method::PUT, body.clone()).await;
        assert_eq!((answer.status.as_u16(), answer.problem()), (422, "invalid-request"), "{body}");
    }
}

fn backup(app: &TestApp, body: &Value) -> RequestBuilder {
    let post = app.client.post(format!("http://{}/v1/backup", app.admin));
    post.header("content-type", "application/json").body(body.to_string())
}

async fn last_backup(app: &TestApp) -> Answer {
    Answer::of(app.client.get(format!("http://{}/v1/backup", app.admin))).await
}

#[actix_rt::test]
async fn a_backup_is_begun_and_followed_at_the_admin_port() {
    let app = TestApp::start().await;
    app.apply(&[human("m-1", "c-1")]).await;
    assert_eq!((last_backup(&app).await.status.as_u16(), last_backup(&app).await.problem()), (404, "not-found"));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().canonicalize().unwrap().join("backup");
    let begun = Answer::of(backup(&app, &json!({"path": path}))).await;
    assert_eq!((begun.status.as_u16(), &begun.json["path"]), (202, &json!(path)), "{}", begun.json);
    let whole = async {
        loop {
            let last = last_backup(&app).await.json;
            match last["state"].as_str() {
                Some("running") => tokio::time::sleep(Duration::from_millis(10)).await,
                _ => return last,
            }
        }
    };
    let whole = tokio::time::timeout(PATIENCE, whole).await.unwrap();
    assert_eq!((&whole["state"], &whole["conversations"], &whole["taken_at"]), (&json!("whole"), &json!(1), &begun.json["taken_at"]));
    assert_eq!(whole["incarnation"], app.get("/v1/topology").await.json["incarnation"]);
    assert!(whole["bytes"].as_u64().is_some_and(|bytes| bytes > 0) && whole["position"].as_str().is_some_and(|id| id != "0-0"), "{whole}");
    assert!(path.join("state.redb").exists());

    let taken = Answer::of(backup(&app, &json!({"path": path}))).await;
    assert_eq!((taken.status.as_u16(), taken.problem()), (422, "invalid-path"), "{}", taken.json);
    for body in [json!({}), json!({"path": "backup"}), json!({"path": path, "force": true})] {
        let answer = Answer::of(backup(&app, &body)).await;
        assert_eq!((answer.status.as_u16(), answer.problem()), (422, "invalid-request"), "{body}");
    }
}

/// A page that the operator visits may not have the service write to the disk.
#[actix_rt::test]
async fn no_page_begins_a_backup() {
    let app = TestApp::start().await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("backup");
    let asked = || backup(&app, &json!({"path": path}));
    let foreign = Answer::of(asked().header("host", "evil.example:9090")).await;
    assert_eq!((foreign.status.as_u16(), foreign.problem()), (421, "foreign-host"));
    let page = Answer::of(asked().header("origin", "http://evil.example")).await;
    assert_eq!((page.status.as_u16(), page.problem()), (403, "cross-origin"));
    let form = app.client.post(format!("http://{}/v1/backup", app.admin)).header("content-type", "text/plain");
    assert_eq!(Answer::of(form.body(json!({"path": path}).to_string())).await.status, 415);
    assert!(!path.exists() && last_backup(&app).await.status == 404);
}
