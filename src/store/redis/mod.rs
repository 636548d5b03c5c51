//! Redis as the store: one for any number of nodes.
//!
//! ```text
//! append ──▶ events ──▶ tail ──▶ the owner ──▶ commit: one script for everything of a partition
//!                                                 ├ states, deadlines, notifications, dead, settings
//!                                                 └ lease: who may write, the head of the chain, the checkpoint
//! ```
//! Every write shows its token to the script that does it, beside the data, so it does not matter how late it arrives.
//! Keys are named in `keys`, what scripts do is said in `scripts`, connections are `link`'s.
//!
//! Redis may lose its last second when it, or the machine it runs on, dies; how much depends on how it is set up. What a
//! node acknowledged in the last seconds it remembers, and appends again when another primary answers.

pub mod acl;
mod append;
mod args;
mod background;
pub mod check;
mod commit;
pub mod entry;
mod errors;
mod heads;
pub mod hold;
mod keys;
mod lease;
pub mod link;
mod lists;
mod memory;
mod nodes;
mod open;
mod reads;
mod repair;
mod row;
mod scripts;
mod server;
mod store;
mod tail;
pub mod target;
#[cfg(test)]
mod testing;
mod value;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub use check::Durability;
pub use open::OpenError;
pub use target::Target;

use crate::domain::PartitionCount;
use crate::store::StoreError;
use link::Link;

#[derive(Clone, Debug)]
pub struct RedisOptions {
    /// `None`: as the store has it; 64 for a new one.
    pub partitions: Option<PartitionCount>,
    /// The first part of every key.
    pub prefix: Box<str>,
    /// Entries accepted and not applied, in each partition, from which on appends are refused with `Behind`. They are in
    /// Redis' memory, about 200 bytes each.
    pub backlog_max: u64,
    pub durability: Durability,
    /// This node's name, as `CLIENT LIST` shows it.
    pub node: Box<str>,
    /// Keep entries after they were applied, for checking a store from outside: memory fills.
    pub keep_log: bool,
    /// For an answer; longer than any script takes. A commit that was not answered by then has an unknown outcome.
    pub response_timeout: Duration,
}

impl RedisOptions {
    pub fn new(node: &str) -> Self {
        Self {
            partitions: None,
            prefix: "adjourn".into(),
            backlog_max: 100_000,
            durability: Durability::default(),
            node: node.into(),
            keep_log: false,
            response_timeout: Duration::from_secs(2),
        }
    }
}

/// See the module.
pub struct RedisStore {
    inner: Arc<Inner>,
    tails: Vec<tokio::sync::Mutex<Option<tail::Tail>>>,
    background: Vec<tokio::task::AbortHandle>,
}

struct Inner {
    link: Link,
    keys: keys::Keys,
    scripts: scripts::Scripts,
    partitions: PartitionCount,
    incarnation: u64,
    options: RedisOptions,
    heads: heads::Heads,
    backlogs: append::Backlogs,
    leases: lease::Leases,
    sure: append::Sure,
    ring: crate::store::ring::Ring,
    memory: memory::Memory,
    store_hold: hold::StoreHold,
    /// Why nothing is answered any more.
    ended: OnceLock<Arc<str>>,
}

impl RedisStore {
    /// Ends everything that runs beside the calls. What is asked from now on is refused.
    pub fn close(&self) {
        self.inner.end("the store was closed".into());
        self.background.iter().for_each(tokio::task::AbortHandle::abort);
        self.tails.iter().for_each(|tail| {
            if let Ok(mut tail) = tail.try_lock() {
                *tail = None;
            }
        });
    }
}

impl Drop for RedisStore {
    fn drop(&mut self) {
        self.close();
    }
}

impl Inner {
    /// From here on everything answers `Unavailable`. True for the first reason, which stays.
    fn end(&self, reason: Arc<str>) -> bool {
        self.ended.set(reason).is_ok()
    }

    fn serves(&self) -> Result<(), StoreError> {
        self.ended.get().map_or(Ok(()), |reason| Err(StoreError::Unavailable(Arc::clone(reason))))
    }

    fn known(&self, partition: crate::domain::PartitionId) -> Result<(), StoreError> {
        self.serves()?;
        let count = self.partitions.get();
        if partition.0 < count { Ok(()) } else { Err(StoreError::Refused(format!("there is no partition {partition} of {count}").into())) }
    }
}
