//! A node's place among others: what it may be asked about them, and how it comes and goes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Seen;
use super::assign::{placed, takers};
use crate::actors::node::Retire;
use crate::actors::node::handle::{Node, Unready};
use crate::actors::shard::ShardHandle;
use crate::clock::Stopwatch;
use crate::domain::{PartitionId, Timestamp};
use crate::store::{ClusterView, Holder, NodeRecord, PartitionStats, StoreError};

/// For everything to be given away when a node stops; what is left then is taken when the leases have run out.
const GIVING_UP: Duration = Duration::from_secs(10);
/// Between two looks at whether a move is done.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Whether a node can be given work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NodeState {
    Live,
    /// It gives everything away.
    Draining,
    /// It has shown no sign of life for a whole lease.
    Lost,
}

impl NodeState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Draining => "draining",
            Self::Lost => "lost",
        }
    }
}

/// A node as lists show it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeView {
    pub record: NodeRecord,
    pub state: NodeState,
    /// How many partitions it has.
    pub partitions: usize,
}

/// A partition as lists show it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShardView {
    pub partition: PartitionId,
    /// Who has it; `None`: nobody at the moment.
    pub node: Option<Box<str>>,
    /// Who shall have it.
    pub desired: Option<Box<str>>,
    pub pinned: bool,
    /// Since when it has its owner, as far as the node that was asked has seen.
    pub since: Option<Timestamp>,
    pub stats: PartitionStats,
}

/// Why a move or a drain cannot be done, by what the caller does next.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MoveRefused {
    #[error("there is no partition {partition} of {count}")]
    NoSuchPartition { partition: PartitionId, count: u16 },
    #[error("there is no node {0} that lives")]
    UnknownNode(Box<str>),
    #[error("the node {0} is draining: it takes nothing")]
    Draining(Box<str>),
    #[error("the node {0} is the last that takes anything: without it nothing would be closed any more")]
    LastNode(Box<str>),
    #[error(transparent)]
    Unready(#[from] Unready),
}

impl From<StoreError> for MoveRefused {
    fn from(error: StoreError) -> Self {
        Self::Unready(error.into())
    }
}

impl Node {
    pub fn name(&self) -> &str {
        &self.presence().member.node
    }

    fn seen(&self) -> Arc<Seen> {
        self.presence().seen.borrow().clone()
    }

    /// Whether this node is giving everything away.
    pub fn is_leaving(&self) -> bool {
        self.presence().is_leaving()
    }

    /// Whether it has its name, and has looked at the cluster.
    pub fn has_joined(&self) -> bool {
        self.store().is_exclusive() || self.seen().joined
    }

    /// Resolves when another live process turns out to have this node's name: this one gives everything away and should end.
    pub async fn name_is_lost(&self) {
        self.presence().name_is_lost().await;
    }

    /// Partitions whose shard is running, of all.
    pub fn shards_ready(&self) -> usize {
        self.handles().iter().filter(|shard| shard.is_ready()).count()
    }

    /// Partitions that are to run here and do not. A move under way is no such thing, for any node answers for any
    /// partition: one counts when it has taken a whole lease, or when this node has not run all it should even once.
    pub fn partitions_missing(&self) -> usize {
        if self.store().is_exclusive() {
            return self.handles().len() - self.shards_ready();
        }
        let (seen, grace) = (self.seen(), self.options().lease);
        let long = |since: &Stopwatch| !seen.settled || since.elapsed() > grace;
        seen.missing.iter().filter(|(partition, since)| !self.shard(**partition).is_ready() && long(since)).count()
    }

    /// Partitions that no node has, as far as this one has seen.
    pub fn partitions_unowned(&self) -> usize {
        if self.store().is_exclusive() { self.partitions_missing() } else { self.seen().unowned }
    }

    /// Whether some node has this partition, as far as this one has seen.
    pub(in crate::actors) fn has_owner(&self, partition: PartitionId) -> bool {
        self.shard(partition).is_ready() || (!self.store().is_exclusive() && self.seen().since.contains_key(&partition))
    }

    /// Why this node's signs of life are not taken, if they are not.
    pub fn unheard(&self) -> Option<Box<str>> {
        self.presence().unheard.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Why nothing closes at present ([`Store::closes_held`](crate::store::Store::closes_held)).
    pub fn closes_held(&self) -> Option<crate::store::Hold> {
        self.store().closes_held()
    }

    /// # Errors
    /// The store's.
    pub async fn nodes(&self) -> Result<Vec<NodeView>, StoreError> {
        let view = self.store().cluster().await?;
        let seen = self.seen();
        let mut owned: BTreeMap<Box<str>, usize> = BTreeMap::new();
        view.holders.iter().flatten().for_each(|holder| *owned.entry(holder.member.node.clone()).or_default() += 1);
        let shown = |record: &NodeRecord| NodeView {
            state: state(&view, &seen, &record.member.node),
            partitions: owned.get(&record.member.node).copied().unwrap_or(0),
            record: record.clone(),
        };
        Ok(view.nodes.iter().map(shown).collect())
    }

    /// # Errors
    /// The store's.
    pub async fn shards(&self) -> Result<Vec<ShardView>, StoreError> {
        let (view, stats) = tokio::try_join!(self.store().cluster(), self.stats())?;
        let (seen, desired) = (self.seen(), self.desired(&view));
        let shown = |(place, (holder, stats)): (usize, (&Option<Holder>, PartitionStats))| {
            let partition = PartitionId(place as u16);
            let taken = holder.as_ref().and_then(|holder| seen.since.get(&partition).filter(|(lease, _)| *lease == holder.lease));
            ShardView {
                partition,
                node: holder.as_ref().map(|holder| holder.member.node.clone()),
                desired: desired[place].map(Into::into),
                pinned: view.pins.contains_key(&partition),
                since: taken.map(|(_, since)| *since),
                stats,
            }
        };
        Ok(view.holders.iter().zip(stats).enumerate().map(shown).collect())
    }

    /// Which node each partition is to be on.
    fn desired<'a>(&'a self, view: &'a ClusterView) -> Vec<Option<&'a str>> {
        let nodes = if self.store().is_exclusive() { vec![self.name()] } else { takers(view, &self.seen().lost) };
        placed(view, &nodes)
    }

    /// Gives a partition to a node for as long as that lives, or to whichever placement puts it on; answers when that node
    /// has it.
    ///
    /// # Errors
    /// `NoSuchPartition`, `UnknownNode`, `Draining`: nothing was changed. `Unready`: it was asked for, and is not done yet.
    pub async fn move_shard(&self, partition: PartitionId, to: Option<Box<str>>, timeout: Duration) -> Result<ShardView, MoveRefused> {
        let count = self.partitions();
        if partition.0 >= count {
            return Err(MoveRefused::NoSuchPartition { partition, count });
        }
        if let Some(node) = &to {
            self.can_take(node).await?;
        }
        self.store().pin(partition, to.clone()).await?;
        self.presence().news.notify_one();
        let arrived = async {
            loop {
                // Only who has what: each partition's figures are many times as much to read.
                let view = self.store().cluster().await?;
                let place = usize::from(partition.0);
                let node = view.holders[place].as_ref().map(|holder| &*holder.member.node);
                if node.is_some() && node == to.as_deref().or(self.desired(&view)[place]) {
                    return Ok(self.shards().await?.swap_remove(place));
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        tokio::time::timeout(timeout, arrived).await.unwrap_or(Err(Unready::NotYetMoved.into()))
    }

    async fn can_take(&self, node: &str) -> Result<(), MoveRefused> {
        let view = self.store().cluster().await?;
        let is_known = view.nodes.iter().any(|record| *record.member.node == *node);
        match state(&view, &self.seen(), node) {
            NodeState::Live if is_known => Ok(()),
            NodeState::Draining if is_known => Err(MoveRefused::Draining(node.into())),
            NodeState::Live | NodeState::Draining | NodeState::Lost => Err(MoveRefused::UnknownNode(node.into())),
        }
    }

    /// Has a node give everything away until its next process starts; answers how many partitions it still has when it has
    /// none, or `timeout` has passed.
    ///
    /// # Errors
    /// `UnknownNode`, `LastNode`: nothing was changed.
    pub async fn drain_node(&self, node: &str, timeout: Duration) -> Result<NodeView, MoveRefused> {
        let unknown = || MoveRefused::UnknownNode(node.into());
        let find = async || Ok::<_, StoreError>(self.nodes().await?.into_iter().find(|view| *view.record.member.node == *node));
        find().await?.ok_or_else(unknown)?;
        let view = self.store().cluster().await?;
        if takers(&view, &self.seen().lost).iter().all(|taker| *taker == node) {
            return Err(MoveRefused::LastNode(node.into()));
        }
        if node == self.name() {
            self.presence().leave();
        }
        self.store().drain(node.into()).await?;
        let waited = Stopwatch::start();
        loop {
            let shown = find().await?.ok_or_else(unknown)?;
            if shown.partitions == 0 || waited.elapsed() >= timeout {
                return Ok(shown);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Gives everything away. From here on this node is not ready; answers when it has nothing, or can wait no longer.
    pub async fn drain(&self) {
        if self.store().is_exclusive() {
            return; // there is nobody to give anything to
        }
        self.presence().leave();
        // By another process's name that one would be drained.
        if self.presence().has_name()
            && let Err(error) = self.store().drain(self.name().into()).await
        {
            tracing::warn!(%error, "the others do not know that this node leaves");
        }
        let given_up = async {
            while self.shards_ready() > 0 {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        if tokio::time::timeout(GIVING_UP, given_up).await.is_err() {
            tracing::warn!(left = self.shards_ready(), "not everything was given away in time; the rest is taken over");
        }
    }

    /// Gives everything away, finishes what is in flight and stops every shard. What is accepted stays in the log.
    pub async fn stop(&self) {
        self.drain().await;
        futures_util::future::join_all(self.handles().iter().map(ShardHandle::stop)).await;
        let _ = self.keeper().send(Retire).await;
        let member = self.presence().member.clone();
        let left = tokio::time::timeout(self.options().lease, self.store().leave(member)).await;
        if !matches!(left, Ok(Ok(()))) {
            tracing::warn!("the others were not told that this node is gone; they will see it");
        }
    }
}

fn state(view: &ClusterView, seen: &Seen, node: &str) -> NodeState {
    if seen.lost.contains(node) {
        NodeState::Lost
    } else if view.draining.contains(node) {
        NodeState::Draining
    } else {
        NodeState::Live
    }
}
