//! The end of a run: what is due closes, whoever listens hears of it, and only then does the judge look at what is left.
//!
//! Where something of it does not come true nothing is said here: the checker will say what is missing.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::history::Told;
use super::listener::Listener;

/// For settings to be taken: far more than it takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// For everything due to close, and for everything told to be heard.
const SOON: Duration = Duration::from_secs(20);

/// Answered when every partition has applied it, and what came before it, by whichever of these nodes can answer.
pub async fn put_settings(client: &reqwest::Client, nodes: &[String], workspace: &str, settings: &Value) {
    let asked = Instant::now();
    for node in nodes.iter().cycle() {
        let url = format!("{node}/v1/workspaces/{workspace}/settings");
        let Err(said) = try_put_settings(client, &url, settings).await else { return };
        assert!(asked.elapsed() < PATIENCE, "the settings are not taken: {said}");
        nap().await;
    }
}

/// What the node says, where it does not take them.
pub async fn try_put_settings(client: &reqwest::Client, url: &str, settings: &Value) -> Result<(), String> {
    let put = client.put(url).header("content-type", "application/json").body(settings.to_string());
    match put.send().await {
        Ok(answer) if answer.status() == 200 => Ok(()),
        Ok(answer) => Err(format!("{} {}", answer.status(), answer.text().await.unwrap_or_default())),
        Err(error) => Err(error.to_string()),
    }
}

/// Until nothing that is due before `until()` is open, by what the first node says.
pub async fn quiet(client: &reqwest::Client, nodes: &[String], workspace: &str, until: impl Fn() -> String) {
    // What was applied meanwhile may be due in its turn.
    for _ in 0..2 {
        put_settings(client, nodes, workspace, &json!({})).await;
        let asked = Instant::now();
        while !none_due(client, &nodes[0], workspace, &until()).await && asked.elapsed() < SOON {
            nap().await;
        }
    }
}

async fn none_due(client: &reqwest::Client, node: &str, workspace: &str, until: &str) -> bool {
    let url = format!("{node}/v1/workspaces/{workspace}/conversations?due_before={until}&limit=1");
    let Ok(answer) = client.get(url).send().await else { return false };
    answer.json::<Value>().await.is_ok_and(|list| list["items"].as_array().is_some_and(Vec::is_empty))
}

/// Whatever waits for a deadline.
pub fn ever() -> String {
    "9999-01-01T00:00:00Z".to_owned()
}

pub fn has_heard<'a>(listener: &Listener, told: impl IntoIterator<Item = &'a Told>) -> bool {
    let heard = listener.heard.lock().unwrap();
    told.into_iter().all(|told| heard.ids.contains_key(&told.id))
}

/// Until the listener has heard all of these.
pub async fn hear_out(listener: &Listener, told: &[Told]) {
    let asked = Instant::now();
    while !has_heard(listener, told) && asked.elapsed() < SOON {
        nap().await;
    }
}

async fn nap() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}
