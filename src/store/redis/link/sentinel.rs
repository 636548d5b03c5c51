//! Asking the Sentinels who the primary is.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use redis::Value;
use tokio::sync::Mutex;
use tokio::time::sleep;

use super::super::target::Address;
use super::dial::{Connection, Dialer, text};
use super::node::Node;

/// They are asked this often whether the primary is still the one we are connected to: one that was cut off from them,
/// or stood still while another was promoted, would go on taking writes that nobody keeps.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub struct Sentinels {
    each: Vec<Sentinel>,
    /// The name they know the primary by.
    master: Box<str>,
    dialer: Dialer,
}

struct Sentinel {
    address: Address,
    connection: Mutex<Option<Arc<Connection>>>,
}

impl Sentinels {
    pub fn new(addresses: &[Address], master: Box<str>, dialer: Dialer) -> Self {
        let each = addresses.iter().map(|address| Sentinel { address: address.clone(), connection: Mutex::default() }).collect();
        Self { each, master, dialer }
    }

    /// Where most of those that answer say that it is: one that was cut off may still believe in the old one. Waits for
    /// the slow ones only until the others are a majority.
    pub async fn primary(&self) -> Result<Address, Arc<str>> {
        let mut asking: FuturesUnordered<_> = self.each.iter().map(|sentinel| self.ask(sentinel)).collect();
        let mut votes: HashMap<Address, usize> = HashMap::new();
        let mut wrong: Arc<str> = "there is no Sentinel to ask".into();
        while let Some(answer) = asking.next().await {
            match answer {
                Ok(address) => {
                    let count = votes.entry(address.clone()).or_default();
                    *count += 1;
                    if *count > self.each.len() / 2 {
                        return Ok(address);
                    }
                }
                Err(reason) => wrong = reason,
            }
        }
        votes.into_iter().max_by_key(|(_, count)| *count).map(|(address, _)| address).ok_or(wrong)
    }

    async fn ask(&self, sentinel: &Sentinel) -> Result<Address, Arc<str>> {
        let mut kept = sentinel.connection.lock().await;
        let connection = match kept.as_ref().filter(|connection| connection.is_alive()) {
            Some(connection) => Arc::clone(connection),
            None => Arc::new(self.dialer.any(&sentinel.address).await.map_err(|reason| Arc::from(format!("Sentinel {reason}")))?),
        };
        *kept = Some(Arc::clone(&connection));
        let mut question = redis::cmd("SENTINEL");
        question.arg("get-master-addr-by-name").arg(&*self.master);
        let answer = connection.ask(question, self.dialer.connect_timeout).await.map_err(|error| {
            *kept = None;
            Arc::from(format!("Sentinel: {error}"))
        })?;
        address(&answer).ok_or_else(|| format!("Sentinel {} knows no master named `{}`", sentinel.address, self.master).into())
    }
}

/// Lets go of a primary that the Sentinels have replaced, and takes the new one, even where nobody sends a command.
pub async fn watch(node: Arc<Node>) {
    let mut used = false;
    loop {
        sleep(LOOK_EVERY).await;
        match node.connected() {
            Some(primary) => {
                used = true;
                if node.find().await.is_ok_and(|address| address == primary.connection.address) {
                    continue;
                }
                node.forget(&primary);
            }
            None if !used => continue,
            None => {}
        }
        // Whoever sends the next command hears why, where this fails.
        let _ = node.shared().await;
    }
}

fn address(answer: &Value) -> Option<Address> {
    let Value::Array(parts) = answer else { return None };
    let [host, port] = parts.as_slice() else { return None };
    Some(Address::Tcp { host: text(host)?.into(), port: text(port)?.parse().ok()? })
}
