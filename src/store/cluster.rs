//! What nodes tell each other through the store: who lives, who holds what, who shall have what.
//!
//! Nothing here makes a write safe; the lease does. It only decides how soon somebody looks after a partition, and whether
//! two take turns at it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast;

use super::{Lease, StoreError};
use crate::domain::{PartitionId, Timestamp};

/// One process. A name is for ever, the process behind it is not.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Member {
    pub node: Box<str>,
    /// Random, new with every start.
    pub instance: u64,
}

/// Who holds a partition, as its lease record stands. Compared for equality, to take over exactly what was seen standing
/// still.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holder {
    pub lease: Lease,
    pub member: Member,
    /// Moves with every commit and every renewal.
    pub beat: u64,
}

/// A node as it makes itself known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeRecord {
    pub member: Member,
    /// Where its API is, as URL.
    pub address: Box<str>,
    pub version: Box<str>,
    pub started_at: Timestamp,
    /// Moves with every heartbeat.
    pub beat: u64,
    /// In milliseconds; 0 of a node that does not say.
    pub lease_ms: u64,
}

/// Everything one looks at to decide who shall have what.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ClusterView {
    /// In order of name, at most one of each.
    pub nodes: Vec<NodeRecord>,
    /// Nodes that are to give everything away.
    pub draining: BTreeSet<Box<str>>,
    /// Partitions that an operator gave to a node.
    pub pins: BTreeMap<PartitionId, Box<str>>,
    /// Of each partition, in order.
    pub holders: Vec<Option<Holder>>,
}

/// Something changed; looking at [`ClusterView`] now is worth it. Hints may be lost.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Hint {
    /// Nodes, draining or pins.
    Changed,
    /// A partition was given back, for this node to take.
    Released { partition: PartitionId, to: Option<Box<str>> },
}

/// Hints kept for a listener that is slow; one that misses some looks at everything anyway.
const HINTS_KEPT: usize = 1_024;

/// Nodes, draining and pins in memory: for the model, and for a store that one process has to itself.
pub struct Registry {
    state: Mutex<Known>,
    hints: broadcast::Sender<Hint>,
}

#[derive(Default)]
struct Known {
    nodes: BTreeMap<Box<str>, NodeRecord>,
    draining: BTreeSet<Box<str>>,
    pins: BTreeMap<PartitionId, Box<str>>,
}

impl Default for Registry {
    fn default() -> Self {
        Self { state: Mutex::default(), hints: broadcast::Sender::new(HINTS_KEPT) }
    }
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn hint(&self, hint: Hint) {
        // Nobody listening is fine.
        let _ = self.hints.send(hint);
    }

    pub fn hints(&self) -> broadcast::Receiver<Hint> {
        self.hints.subscribe()
    }

    pub fn view(&self, holders: Vec<Option<Holder>>) -> ClusterView {
        let known = self.lock();
        let nodes = known.nodes.values().cloned().collect();
        ClusterView { nodes, draining: known.draining.clone(), pins: known.pins.clone(), holders }
    }

    /// As [`Store::heartbeat`](super::Store::heartbeat).
    pub fn heartbeat(&self, record: NodeRecord, over: Option<u64>) -> bool {
        let mut known = self.lock();
        let node = record.member.node.clone();
        let standing = known.nodes.get(&node).map(|known| known.member.instance);
        if standing.is_some_and(|standing| standing != record.member.instance && over != Some(standing)) {
            return false;
        }
        let is_new = standing != Some(record.member.instance);
        if is_new {
            known.draining.remove(&node);
        }
        known.nodes.insert(node, record);
        drop(known);
        if is_new {
            self.hint(Hint::Changed);
        }
        true
    }

    pub fn leave(&self, member: &Member) {
        let mut known = self.lock();
        if known.nodes.get(&member.node).is_some_and(|known| known.member == *member) {
            known.nodes.remove(&member.node);
            known.draining.remove(&member.node);
            drop(known);
            self.hint(Hint::Changed);
        }
    }

    pub fn drain(&self, node: Box<str>) -> Result<(), StoreError> {
        self.lock().draining.insert(node);
        self.hint(Hint::Changed);
        Ok(())
    }

    pub fn pin(&self, partition: PartitionId, to: Option<Box<str>>) -> Result<(), StoreError> {
        match to {
            Some(node) => self.lock().pins.insert(partition, node),
            None => self.lock().pins.remove(&partition),
        };
        self.hint(Hint::Changed);
        Ok(())
    }
}
