//! A subscriber that comes back with its last id, whatever happens to the service.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::Value;
use tokio::task::JoinHandle;

use super::history::Ms;
use super::service::now;

/// What was heard so far.
#[derive(Default)]
pub struct Heard {
    /// Ids of notifications, and when each was heard first.
    pub ids: BTreeMap<String, Ms>,
    pub closes: usize,
    /// Notifications heard again.
    pub repeats: usize,
    pub connections: usize,
    /// The service said that something was missed.
    pub resets: usize,
}

pub struct Listener {
    pub heard: Arc<Mutex<Heard>>,
    task: JoinHandle<()>,
}

impl Listener {
    /// From the oldest on.
    pub fn start(port: u16) -> Self {
        let heard = Arc::<Mutex<Heard>>::default();
        let task = tokio::spawn(listen(format!("http://127.0.0.1:{port}/v1/notifications"), heard.clone()));
        Self { heard, task }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(url: String, heard: Arc<Mutex<Heard>>) {
    let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
    let mut last_id = "0".to_owned();
    loop {
        if let Ok(answer) = client.get(&url).header("last-event-id", &last_id).send().await {
            assert!(answer.status() == 200 || answer.status() == 503, "the stream answered {}", answer.status());
            heard.lock().unwrap().connections += usize::from(answer.status() == 200);
            let mut pieces = answer.bytes_stream();
            // A message that was cut off with its connection is no message.
            let mut text = Vec::new();
            while let Some(Ok(piece)) = pieces.next().await {
                text.extend_from_slice(&piece);
                while let Some(end) = text.windows(2).position(|two| two == b"\n\n") {
                    let message: Vec<u8> = text.drain(..end + 2).collect();
                    take(std::str::from_utf8(&message).unwrap(), &mut last_id, &mut heard.lock().unwrap());
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn take(message: &str, last_id: &mut String, heard: &mut Heard) {
    let field = |name: &str| message.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    match (field("event"), field("data")) {
        (Some("reset"), _) => heard.resets += 1,
        (Some(event), Some(data)) => {
            let data: Value = serde_json::from_str(data).unwrap();
            let again = heard.ids.contains_key(data["id"].as_str().unwrap());
            heard.repeats += usize::from(again);
            heard.closes += usize::from(!again && event == "adjourn.conversation.closed.v1");
            heard.ids.entry(data["id"].as_str().unwrap().to_owned()).or_insert_with(now);
        }
        _ => {}
    }
    if let Some(id) = field("id") {
        id.clone_into(last_id);
    }
}
