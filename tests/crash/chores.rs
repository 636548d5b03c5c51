//! What else is asked of a node all the time, so that every call of its store is made: lists, settings, notes, reports, dead
//! letters, moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::load::WORKSPACE;

/// Its settings change all the time; nothing happens in it.
pub const ASIDE: &str = "aside";
/// Notes are asked for here, of one conversation.
pub const NOTED: &str = "noted";
const PAUSE: Duration = Duration::from_millis(10);
/// For an answer; a process that died gives none.
const ANSWER: Duration = Duration::from_millis(1_500);

pub struct Chores {
    /// The greatest version of the settings of [`ASIDE`] that was answered.
    pub answered: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl Chores {
    /// Asked of the node at `url`; partitions move from one of `nodes` to the next.
    pub fn start(url: String, nodes: Vec<String>) -> Self {
        let answered = Arc::<AtomicU64>::default();
        let task = tokio::spawn(run(url, nodes, answered.clone()));
        Self { answered, task }
    }

    pub fn stop(&self) {
        self.task.abort();
    }
}

impl Drop for Chores {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn run(url: String, nodes: Vec<String>, answered: Arc<AtomicU64>) {
    let client = adjourn::tls::http(None).unwrap().no_proxy().pool_max_idle_per_host(0).timeout(ANSWER).build().unwrap();
    for turn in 0_usize.. {
        let change = json!({"auto_close": {"enabled": turn.is_multiple_of(2)}});
        let said = ask(&client, Method::PUT, format!("{url}/v1/workspaces/{ASIDE}/settings"), Some(&change)).await;
        if let Some(version) = said.as_ref().and_then(version) {
            answered.fetch_max(version, Ordering::SeqCst);
        }
        let agents = format!("{url}/v1/workspaces/{ASIDE}/agents");
        let agent = json!({"id": format!("agent-{}", turn % 20), "name": "Ana"});
        ask(&client, Method::POST, agents.clone(), Some(&agent)).await;
        ask(&client, Method::GET, agents, None).await;
        ask_for_a_note(&client, &url, turn).await;
        let conversations = format!("{url}/v1/workspaces/{WORKSPACE}/conversations");
        for path in [
            format!("{conversations}?limit=5"),
            format!("{url}/v1/workspaces/{WORKSPACE}/reports/conversations"),
            format!("{conversations}/p0-c1"),
            format!("{url}/v1/dead-letters"),
            format!("{url}/v1/shards"),
        ] {
            ask(&client, Method::GET, path, None).await;
        }
        let to = json!({"to": nodes[turn % nodes.len()]});
        ask(&client, Method::POST, format!("{url}/v1/shards/{}/move", turn / nodes.len() % 3), Some(&to)).await;
    }
}

async fn ask_for_a_note(client: &reqwest::Client, url: &str, turn: usize) {
    let noted = format!("{url}/v1/workspaces/{NOTED}");
    ask(client, Method::PUT, format!("{noted}/settings"), Some(&json!({"closing_notes": {"mode": "optional"}}))).await;
    let time = adjourn::wire::time::format(adjourn::clock::Clock::now(&adjourn::clock::WallClock));
    let message = json!({
        "specversion": "1.0", "id": format!("noted-{turn}"), "source": "/chores", "type": "inbox.message.v1",
        "workspace": NOTED, "subject": "c-1", "time": time, "data": {"source": "contact", "text": "Where is my parcel?"},
    });
    ask(client, Method::POST, format!("{url}/v1/events"), Some(&message)).await;
    ask(client, Method::POST, format!("{noted}/conversations/c-1/closing-note/suggest"), Some(&json!({}))).await;
}

/// The answer, if it was good.
async fn ask(client: &reqwest::Client, method: Method, url: String, body: Option<&Value>) -> Option<Response> {
    tokio::time::sleep(PAUSE).await;
    let mut request = client.request(method, url);
    if let Some(body) = body {
        let kind = if body.get("specversion").is_some() { "application/cloudevents+json" } else { "application/json" };
        request = request.header("content-type", kind).body(body.to_string());
    }
    request.send().await.ok().filter(|answer| answer.status() == 200)
}

/// Of the settings in this answer.
pub fn version(answer: &Response) -> Option<u64> {
    answer.headers().get("etag")?.to_str().ok()?.trim_matches('"').parse().ok()
}
