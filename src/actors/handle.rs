//! A handle to the node: what the edge may ask of it. Cheap to clone; nobody outside holds a store, a shard or a state.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;

use super::applied::Elsewhere;
use super::desk::Desk;
use super::feed::{Cursor, Feed};
use super::ingest::{Receipt, StoreClock};
use super::membership::Presence;
use super::node::NodeActor;
use super::options::NodeOptions;
use super::shard::ShardHandle;
use crate::clock::{SharedClock, Stopwatch};
use crate::domain::settings::{SettingsChange, SettingsError};
use crate::domain::{Conversation, ConversationKey, NoDeadline, PartitionId, Settings, Snapshot, Span, Timestamp, deadline};
use crate::store::{DeadLetter, DeadLetterAction, Entry, Loaded, LogId, Notification, PartitionStats, Store, StoreError};

/// Notifications walked back for one conversation's history, one by one: some 50 ms of reading on the embedded store, on Redis a
/// round trip each. What is older is left out.
pub const HISTORY_MAX: usize = 10_000;

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

/// What holds now: when it closes, or why not.
#[derive(Clone, Debug)]
pub struct Why {
    pub snapshot: Snapshot,
    pub now: Timestamp,
    pub timer: Result<WhyDeadline, NoDeadline>,
    /// Events in the dead letters: the timer is held while there are any.
    pub set_aside: u32,
    pub settings: Settings,
    /// The latest notification: where its story is read backwards from.
    pub last_notification: Option<u64>,
}

#[derive(Clone, Debug)]
pub struct WhyDeadline {
    pub at: Timestamp,
    pub armed_by: Box<str>,
    pub armed_at: Timestamp,
    pub period: Span,
}

impl Node {
    pub(super) fn new(
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
        let reports = tokio::sync::Semaphore::new(super::report::REPORTS_AT_ONCE);
        let lists = tokio::sync::Semaphore::new(super::list::LISTS_AT_ONCE);
        Self { inner: Arc::new(Inner { store, steady, clock, shards, elsewhere, options, presence, keeper, desk, reports, lists }) }
    }

    pub(super) fn store(&self) -> &Arc<dyn Store> {
        &self.inner.store
    }

    pub(super) fn steady(&self) -> &SharedClock {
        &self.inner.steady
    }

    pub(super) fn store_clock(&self) -> &StoreClock {
        &self.inner.clock
    }

    pub(super) fn desk(&self) -> &Desk {
        &self.inner.desk
    }

    pub(super) fn lists(&self) -> &tokio::sync::Semaphore {
        &self.inner.lists
    }

    pub(super) fn reports(&self) -> &tokio::sync::Semaphore {
        &self.inner.reports
    }

    pub(super) fn presence(&self) -> &Presence {
        &self.inner.presence
    }

    pub(super) fn handles(&self) -> &[ShardHandle] {
        &self.inner.shards
    }

    pub(super) fn shard(&self, partition: PartitionId) -> &ShardHandle {
        &self.inner.shards[usize::from(partition.0)]
    }

    pub(super) fn elsewhere(&self, partition: PartitionId) -> &Elsewhere {
        &self.inner.elsewhere[usize::from(partition.0)]
    }

    pub(super) fn keeper(&self) -> &actix::Addr<NodeActor> {
        &self.inner.keeper
    }

    pub fn options(&self) -> &NodeOptions {
        &self.inner.options
    }

    pub(super) fn partition(&self, key: &ConversationKey) -> PartitionId {
        key.partition(self.store().partitions())
    }

    pub fn partitions(&self) -> u16 {
        self.store().partitions().get()
    }

    /// The random number of the store's creation or restoration: cursors of another one mean nothing.
    pub fn incarnation(&self) -> u64 {
        self.store().incarnation()
    }

    /// The conversation as it stands, committed. `None`: never heard of, or never opened.
    pub async fn conversation(&self, key: &ConversationKey) -> Result<Option<Snapshot>, StoreError> {
        Ok(self.why(key).await?.map(|why| why.snapshot))
    }

    /// Many conversations as they stand, in order of key; those never opened are left out. Each partition is asked once for
    /// its rows and once for each workspace's settings, all partitions at the same time.
    pub async fn conversations(&self, mut keys: Vec<ConversationKey>) -> Result<Vec<(ConversationKey, Snapshot)>, StoreError> {
        let now = self.store().clock().await?;
        keys.sort_unstable();
        let rows = self.load_all(&keys).await?;
        let mut opened = Vec::with_capacity(keys.len());
        for (key, row) in keys.into_iter().zip(rows) {
            opened.extend(readable(&key, row)?.filter(|conversation| conversation.episode > 0).map(|conversation| (key, conversation)));
        }
        let of = |key: &ConversationKey| (self.partition(key), Box::<str>::from(key.workspace()));
        let places: BTreeSet<(PartitionId, Box<str>)> = opened.iter().map(|(key, _)| of(key)).collect();
        let applied = places.into_iter().map(|(partition, workspace)| async move {
            let settings = self.settings_applied(partition, &workspace).await?;
            Ok::<_, StoreError>(((partition, workspace), settings))
        });
        let settings: BTreeMap<(PartitionId, Box<str>), Settings> = try_join_all(applied).await?.into_iter().collect();
        let shown = |(key, conversation): (ConversationKey, Box<Conversation>)| {
            let snapshot = Snapshot::of(&conversation, settings.get(&of(&key))?, now);
            Some((key, snapshot))
        };
        Ok(opened.into_iter().filter_map(shown).collect())
    }

    /// The rows of these, in their order. Each partition is asked once, all at the same time.
    pub(super) async fn load_all(&self, keys: &[ConversationKey]) -> Result<Vec<Loaded>, StoreError> {
        let mut by_partition: BTreeMap<PartitionId, (Vec<usize>, Vec<ConversationKey>)> = BTreeMap::new();
        for (place, key) in keys.iter().enumerate() {
            let (places, of_it) = by_partition.entry(self.partition(key)).or_default();
            places.push(place);
            of_it.push(key.clone());
        }
        let asked = by_partition.into_iter().map(|(partition, (places, keys))| async move {
            let rows = self.store().load(partition, keys).await?;
            Ok::<_, StoreError>(places.into_iter().zip(rows))
        });
        let mut rows: Vec<(usize, Loaded)> = try_join_all(asked).await?.into_iter().flatten().collect();
        rows.sort_unstable_by_key(|(place, _)| *place);
        Ok(rows.into_iter().map(|(_, row)| row).collect())
    }

    /// What holds now of a conversation's timer.
    pub async fn why(&self, key: &ConversationKey) -> Result<Option<Why>, StoreError> {
        let Some(conversation) = self.load(key).await?.filter(|c| c.episode > 0) else { return Ok(None) };
        let settings = self.settings_applied(self.partition(key), key.workspace()).await?;
        let now = self.store().clock().await?;
        let timer = deadline(&conversation, &settings).map(|due| WhyDeadline {
            at: due.at,
            armed_by: due.armed_by.position.name.id().into(),
            armed_at: due.armed_by.position.time,
            period: due.period,
        });
        let snapshot = Snapshot::of(&conversation, &settings, now);
        let (set_aside, last_notification) = (conversation.set_aside, conversation.last_notification);
        Ok(Some(Why { snapshot, now, timer, set_aside, settings, last_notification }))
    }

    pub(super) async fn load(&self, key: &ConversationKey) -> Result<Option<Box<Conversation>>, StoreError> {
        let loaded = self.store().load(self.partition(key), vec![key.clone()]).await?.pop();
        readable(key, loaded.unwrap_or(Loaded::Missing))
    }

    pub(super) async fn settings_applied(&self, partition: PartitionId, workspace: &str) -> Result<Settings, StoreError> {
        let applied = self.store().applied_settings(partition, workspace.into()).await?;
        Ok(applied.unwrap_or_else(|| self.inner.options.defaults.clone()))
    }

    /// A conversation's notifications numbered above `after`, oldest first, at most `limit`.
    pub async fn history(&self, key: &ConversationKey, after: u64, limit: usize) -> Result<Option<Vec<Notification>>, StoreError> {
        let Some(conversation) = self.load(key).await?.filter(|c| c.episode > 0) else { return Ok(None) };
        let mut found = self.told_until(key, conversation.last_notification, after, HISTORY_MAX).await?;
        found.truncate(limit);
        Ok(Some(found))
    }

    /// A conversation's notifications up to the one numbered `last`, above `after`: the latest `most` of them, oldest first.
    pub async fn told_until(
        &self,
        key: &ConversationKey,
        last: Option<u64>,
        after: u64,
        most: usize,
    ) -> Result<Vec<Notification>, StoreError> {
        let partition = self.partition(key);
        let mut found = VecDeque::new();
        let mut number = last;
        while let Some(wanted) = number.filter(|n| *n > after && found.len() < most) {
            let page = self.store().notifications(partition, wanted - 1, 1).await?;
            let Some(notification) = page.items.into_iter().find(|n| n.number == wanted) else { break };
            number = notification.previous;
            found.push_front(notification);
        }
        Ok(found.into())
    }

    /// The workspace's settings; the defaults where it has none.
    pub async fn settings(&self, workspace: &str) -> Result<Settings, StoreError> {
        let master = self.store().settings(workspace.into()).await?;
        Ok(master.unwrap_or_else(|| self.inner.options.defaults.clone()))
    }

    /// Changes the workspace's settings; answers when every partition has applied them (T22).
    ///
    /// # Errors
    /// `Invalid`: nothing changed. `VersionMismatch`: somebody else changed them, nothing changed. `Unready`: they are
    /// the master document now, and some partition has yet to apply them.
    pub async fn change_settings(
        &self,
        workspace: &str,
        change: SettingsChange,
        expected: Option<u64>,
        timeout: Duration,
    ) -> Result<Settings, SettingsRefused> {
        let begun = Stopwatch::start();
        while begun.elapsed() < timeout {
            let (master, before) = self.settings_to_change(workspace, expected).await?;
            let settings = before.changed(change.clone(), &self.inner.options.bounds)?;
            let history = self.recorded(workspace, &master, (&before, &settings), change.by.clone()).await.map_err(Unready::from)?;
            let put = self.store().record_settings(workspace.into(), master.version, settings.clone(), Some(history));
            if put.await.map_err(Unready::from)? {
                self.apply_settings(workspace, &settings, timeout).await?;
                if self.took_effect(workspace, &settings).await? {
                    if !settings.keeps_texts() {
                        self.unlearn(workspace).await.map_err(Unready::from)?;
                    }
                    return Ok(settings);
                }
                // Another of that version, forgotten by the master, was on its way to the partitions: the next one is ours.
            }
        }
        Err(Unready::NotYetChanged.into())
    }

    /// What the store has, and the newest that anybody has, which a change is made of.
    ///
    /// # Errors
    /// `VersionMismatch`: that is not the version expected.
    pub(super) async fn settings_to_change(&self, workspace: &str, expected: Option<u64>) -> Result<(Settings, Settings), SettingsRefused> {
        let master = self.settings(workspace).await.map_err(Unready::from)?;
        let newest = self.newest_settings(workspace, &master).await?;
        let current = newest.version;
        if expected.is_some_and(|expected| expected != current) {
            return Err(SettingsRefused::VersionMismatch { current });
        }
        Ok((master, newest))
    }

    /// Whether these settings, applied by every partition, were in force there: they still are, or others followed that were
    /// made of them, by a PUT that came meanwhile.
    async fn took_effect(&self, workspace: &str, settings: &Settings) -> Result<bool, Unready> {
        let master = self.settings(workspace).await?;
        Ok(master.version > settings.version || self.newest_settings(workspace, settings).await? == *settings)
    }

    /// The latest version that anybody has. A store that lost its last second may have forgotten the master document that its
    /// partitions have applied since: counted from that, the next version would be no news to them.
    async fn newest_settings(&self, workspace: &str, master: &Settings) -> Result<Settings, Unready> {
        let applied = self.store().partitions().all().map(|partition| self.settings_applied(partition, workspace));
        let applied = try_join_all(applied).await?;
        Ok(applied.into_iter().fold(master.clone(), |newest, applied| if applied.outranks(&newest) { applied } else { newest }))
    }

    async fn apply_settings(&self, workspace: &str, settings: &Settings, timeout: Duration) -> Result<(), Unready> {
        let marker = || Entry::Settings { workspace: workspace.into(), settings: Box::new(settings.clone()) };
        let partitions: Vec<PartitionId> = self.store().partitions().all().collect();
        let ids = self.store().append(partitions.iter().map(|p| (*p, marker())).collect()).await?;
        let mut receipts: Vec<Receipt> =
            partitions.into_iter().zip(ids).map(|(partition, id)| Receipt { partition, id, mark: None }).collect();
        self.wait_applied(&mut receipts, timeout).await
    }

    /// Follows notifications from now on.
    pub fn follow(&self) -> Feed {
        Feed::from_now(self.store().clone())
    }

    pub fn follow_from_oldest(&self) -> Feed {
        Feed::from_oldest(self.store().clone())
    }

    pub fn follow_from(&self, cursor: Cursor) -> Feed {
        Feed::from_cursor(self.store().clone(), cursor)
    }

    /// Dead letters of all partitions, by partition and oldest first within each, at most `limit`.
    pub async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, StoreError> {
        self.dead_letters_after(PartitionId(0), LogId::ZERO, limit).await
    }

    /// The same, from behind this one on.
    pub async fn dead_letters_after(&self, partition: PartitionId, id: LogId, limit: usize) -> Result<Vec<DeadLetter>, StoreError> {
        let mut found = Vec::new();
        for place in self.store().partitions().all().filter(|place| *place >= partition) {
            let room = limit.saturating_sub(found.len());
            if room == 0 {
                break;
            }
            let after = if place == partition { id } else { LogId::ZERO };
            found.extend(self.store().dead_letters(place, after, room).await?);
        }
        Ok(found)
    }

    /// Takes a dead letter up again or gives it up, through the partition's log; answers when that is applied. False:
    /// there is no such letter.
    pub async fn act_on_dead_letter(
        &self,
        partition: PartitionId,
        id: LogId,
        action: DeadLetterAction,
        timeout: Duration,
    ) -> Result<bool, Unready> {
        if partition.0 >= self.partitions() {
            return Ok(false);
        }
        let letters = self.store().dead_letters(partition, id.before(), 1).await?;
        if !letters.iter().any(|letter| letter.id == id) {
            return Ok(false);
        }
        let ids = self.store().append(vec![(partition, Entry::DeadLetter { id, action })]).await?;
        let mut receipts: Vec<Receipt> = ids.into_iter().map(|id| Receipt { partition, id, mark: None }).collect();
        self.wait_applied(&mut receipts, timeout).await?;
        Ok(true)
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

fn readable(key: &ConversationKey, row: Loaded) -> Result<Option<Box<Conversation>>, StoreError> {
    match row {
        Loaded::Found { conversation, .. } => Ok(Some(conversation)),
        Loaded::Corrupt { reason } => Err(StoreError::Unreadable(format!("the record of {key} cannot be read: {reason}").into())),
        Loaded::Missing => Ok(None),
    }
}
