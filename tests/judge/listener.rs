//! A subscriber that comes back with its last id, to another node where there is one, whatever happens to the service.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt;
use serde_json::Value;
use tokio::task::JoinHandle;

use super::history::Ms;

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
    /// From the oldest on; after each loss on the next of these ports. A stream that says nothing for longer than `quiet` is
    /// lost.
    pub fn start(ports: &[u16], quiet: Duration) -> Self {
        let heard = Arc::<Mutex<Heard>>::default();
        let urls = ports.iter().map(|port| format!("http://127.0.0.1:{port}/v1/notifications")).collect();
        let task = tokio::spawn(listen(urls, quiet, heard.clone()));
        Self { heard, task }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(urls: Vec<String>, quiet: Duration, heard: Arc<Mutex<Heard>>) {
    let client = adjourn::tls::http(None).unwrap().no_proxy().pool_max_idle_per_host(0).build().unwrap();
    let mut last_id = "0".to_owned();
    for url in urls.iter().cycle() {
        let asked = client.get(url).header("last-event-id", &last_id).send();
        if let Ok(Ok(answer)) = tokio::time::timeout(quiet, asked).await {
            assert!(answer.status() == 200 || answer.status() == 503, "the stream answered {}", answer.status());
            heard.lock().unwrap().connections += usize::from(answer.status() == 200);
            let mut pieces = answer.bytes_stream();
            // A message that was cut off with its connection is no message.
            let mut text = Vec::new();
            while let Ok(Some(Ok(piece))) = tokio::time::timeout(quiet, pieces.next()).await {
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

fn now() -> Ms {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as Ms
}
