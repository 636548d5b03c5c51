//! A handle to the node: what the edge may ask of it. Cheap to clone; nobody outside holds a store, a shard or a state.

use std::sync::Arc;

use super::NodeActor;
use super::options::NodeOptions;
use crate::actors::membership::Presence;
use crate::actors::notes::desk::Desk;
use crate::actors::shard::ShardHandle;
use crate::actors::writes::elsewhere::Elsewhere;
use crate::actors::writes::ingest::StoreClock;
use crate::clock::SharedClock;
use crate::domain::settings::SettingsError;
use crate::domain::{ConversationKey, PartitionId};
use crate::store::{PartitionStats, Store, StoreError};

#[derive(Clone)]
pub struct Node {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn Store>,
    steady: SharedClock,
    clock: StoreClock,
    shards: Vec<ShardHandle>,
    /// Of each partition, those who wait while another node has it.
    elsewhere: Vec<Elsewhere>,
    options: Arc<NodeOptions>,
    desk: Arc<Desk>,
    /// Reports under way: each reads thousands of sums, over the connection that commits go by.
    reports: tokio::sync::Semaphore,
    lists: tokio::sync::Semaphore,
    presence: Arc<Presence>,
    keeper: actix::Addr<NodeActor>,
}

/// The node cannot do this now.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Unready {
    /// With the partitions it waits for, and why.
    #[error("not applied within the time given: {0}; it is durable and will be")]
    NotYetApplied(Box<str>),
    #[error("not done within the time given; it was asked for and goes on")]
    NotYetMoved,
    /// Others changed the same document all the time.
    #[error("others changed the same settings all the while: read them, and try again")]
    NotYetChanged,
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Clone, Debug, thiserror::Error)]
pub enum SettingsRefused {
    #[error(transparent)]
    Invalid(#[from] SettingsError),
    #[error("the settings are at version {current}")]
    VersionMismatch { current: u64 },
    #[error(transparent)]
    Unready(#[from] Unready),
}

impl Node {
    pub(in crate::actors) fn new(
        store: Arc<dyn Store>,
        steady: SharedClock,
        shards: Vec<ShardHandle>,
        options: Arc<NodeOptions>,
        presence: Arc<Presence>,
        keeper: actix::Addr<NodeActor>,
        desk: Arc<Desk>,
    ) -> Self {
        let elsewhere = shards.iter().map(|_| Elsewhere::default()).collect();
        let clock = StoreClock::default();
        let reports = tokio::sync::Semaphore::new(crate::actors::reads::report::REPORTS_AT_ONCE);
        let lists = tokio::sync::Semaphore::new(crate::actors::reads::list::LISTS_AT_ONCE);
        Self { inner: Arc::new(Inner { store, steady, clock, shards, elsewhere, options, presence, keeper, desk, reports, lists }) }
    }

    pub(in crate::actors) fn store(&self) -> &Arc<dyn Store> {
        &self.inner.store
    }

    pub(in crate::actors) fn steady(&self) -> &SharedClock {
        &self.inner.steady
    }

    pub(in crate::actors) fn store_clock(&self) -> &StoreClock {
        &self.inner.clock
    }

    pub(in crate::actors) fn desk(&self) -> &Desk {
        &self.inner.desk
    }

    pub(in crate::actors) fn lists(&self) -> &tokio::sync::Semaphore {
        &self.inner.lists
    }

    pub(in crate::actors) fn reports(&self) -> &tokio::sync::Semaphore {
        &self.inner.reports
    }

    pub(in crate::actors) fn presence(&self) -> &Presence {
        &self.inner.presence
    }

    pub(in crate::actors) fn handles(&self) -> &[ShardHandle] {
        &self.inner.shards
    }

    pub(in crate::actors) fn shard(&self, partition: PartitionId) -> &ShardHandle {
        &self.inner.shards[usize::from(partition.0)]
    }

    pub(in crate::actors) fn elsewhere(&self, partition: PartitionId) -> &Elsewhere {
        &self.inner.elsewhere[usize::from(partition.0)]
    }

    pub(in crate::actors) fn keeper(&self) -> &actix::Addr<NodeActor> {
        &self.inner.keeper
    }

    pub fn options(&self) -> &NodeOptions {
        &self.inner.options
    }

    pub(in crate::actors) fn partition(&self, key: &ConversationKey) -> PartitionId {
        key.partition(self.store().partitions())
    }

    pub fn partitions(&self) -> u16 {
        self.store().partitions().get()
    }

    /// The random number of the store's creation or restoration: cursors of another one mean nothing.
    pub fn incarnation(&self) -> u64 {
        self.store().incarnation()
    }

    pub async fn stats(&self) -> Result<Vec<PartitionStats>, StoreError> {
        self.store().stats().await
    }

    /// Ticks that each shard has finished: what was overdue before its last one has been looked at.
    pub fn ticks(&self) -> Vec<u64> {
        self.inner.shards.iter().map(ShardHandle::ticks).collect()
    }

    /// Conversation actors alive on this node.
    pub fn live_actors(&self) -> usize {
        self.inner.shards.iter().map(ShardHandle::live).sum()
    }

    /// How far the store's clock is ahead of this node's steady clock, in milliseconds.
    pub async fn clock_skew_ms(&self) -> Result<i64, StoreError> {
        Ok(self.store().clock().await?.as_millis() - self.inner.steady.now().as_millis())
    }

    /// What each partition holds, nothing for those that another node has.
    pub async fn own_stats(&self) -> Result<Vec<(PartitionId, PartitionStats)>, StoreError> {
        let own = |(shard, stats): (&ShardHandle, PartitionStats)| {
            (shard.partition, if shard.is_ready() { stats } else { PartitionStats::default() })
        };
        Ok(self.inner.shards.iter().zip(self.stats().await?).map(own).collect())
    }

    /// Conversations of this node's partitions whose time has passed by both clocks; a store may stop counting at ten
    /// thousand a partition.
    pub async fn timers_overdue(&self) -> Result<u64, StoreError> {
        let now = self.store().clock().await?.min(self.inner.steady.now());
        let mut overdue = 0;
        for shard in self.inner.shards.iter().filter(|shard| shard.is_ready()) {
            overdue += self.store().count_due(shard.partition, now).await?;
        }
        Ok(overdue)
    }
}
