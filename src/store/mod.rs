//! First floor: what survives a restart.
//!
//! A store keeps, for each partition, the event log, the conversations, the index of when to look at them, the outbox
//! of notifications and the position in the log up to which all that was applied, and changes the last four together.
//! Whoever writes shows a [`Lease`]; a lease that is not the stored one is refused, whatever the time is. Commits form a
//! chain: each names the one it builds on and is refused unless that is the stored one, so a late commit, a doubled one
//! and one from before the store lost its last second are all caught by one comparison (D3).
//!
//! A store never decides: when a conversation closes is settled in [`crate::domain`]. It does refuse a close that its own
//! clock or its own log forbids ([`Batch::not_before`]), because only it can compare both in one atomic step (D1, D2).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::domain::listing::SectionQuery;
use crate::domain::report::{Day, GroupBy, Rollup};
use crate::domain::writing::Said;
use crate::domain::{Conversation, ConversationKey, PartitionCount, PartitionId, Settings, Timestamp};

pub mod backup;
pub mod batch;
pub mod cluster;
#[cfg(feature = "faults")]
pub mod crash;
pub mod embedded;
pub mod entry;
pub mod forward;
pub mod hold;
mod lists;
pub mod memory;
pub mod record;
pub mod redis;
pub mod ring;
pub mod testing;

pub use backup::{BackupRefused, BackupState, BackupStatus, Contents};
pub use batch::{Batch, Lists, Notification, RollupWrite, RowChange, RowWrite, THINNED_MAX};
pub use cluster::{ClusterView, Hint, Holder, Member, NodeRecord};
pub use entry::{DeadLetterAction, Entry, LogEntry, LogId, Mark, Marks, Unreadable};
pub use hold::Hold;

/// What a store promises. All methods may be called from any thread; a dropped future of `append` or `commit` leaves the
/// outcome unknown.
pub trait Store: Send + Sync + 'static {
    /// How many partitions there are; fixed when the store was created.
    fn partitions(&self) -> PartitionCount;

    /// Random, new whenever the store is created or restored: a cursor into another incarnation means nothing.
    fn incarnation(&self) -> u64;

    /// The store's clock. For bounding time stamps (D9) and for showing; closing asks [`barrier`](Self::barrier).
    fn clock(&self) -> BoxFuture<'_, Result<Timestamp, StoreError>>;

    /// Takes entries into their partitions' logs, in the order given within each partition. All are durable when this
    /// answers; the ids come back in the order of the entries. An id's millisecond is the entry's `accepted_at`: the
    /// store's clock, never less than that of any entry or checkpoint before it in that partition.
    ///
    /// # Errors
    /// `Behind` when a log already holds as many unapplied entries as is allowed: nothing was taken. `Refused`: nothing
    /// was taken. `OutcomeUnknown`: some may have been; send them again (D6).
    fn append(&self, entries: Vec<(PartitionId, Entry)>) -> BoxFuture<'_, Result<Vec<LogId>, StoreError>>;

    /// Entries strictly after `after`, in order, at most `limit`. Waits up to `wait` for the first one; an empty answer
    /// means there was none. An entry that cannot be decoded comes back as such, in its place.
    fn read(&self, partition: PartitionId, after: LogId, limit: usize, wait: Duration) -> BoxFuture<'_, Result<Vec<LogEntry>, StoreError>>;

    /// The store's clock and the last id of the log (zero when empty), taken together: whatever is appended afterwards
    /// has a greater id and, unless the clock steps back, an `accepted_at` not before this clock. If it does step back,
    /// [`commit`](Self::commit) refuses a close that would overrun such an entry.
    fn barrier(&self, partition: PartitionId) -> BoxFuture<'_, Result<Barrier, StoreError>>;

    /// Takes a partition whose lease record is exactly `over` (`None`: nobody holds it). Every claim gets a token no claim
    /// had before; from then on nobody else's lease is good.
    ///
    /// # Errors
    /// `Fenced`: the record is another one by now; nothing was changed.
    fn claim(&self, partition: PartitionId, by: Member, over: Option<Holder>) -> BoxFuture<'_, Result<Claim, StoreError>>;

    /// Moves the beat of the lease, so that nobody takes the holder for dead. A commit does the same.
    ///
    /// # Errors
    /// `Fenced`: the lease is not the stored one, step down. `Refused`: what the holder has in memory may not be what is
    /// stored (another primary answers), claim anew and reload.
    fn renew(&self, lease: Lease) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Gives a partition back, for `to` to take, and tells the others. A lease that is no longer good is no error:
    /// somebody else holds it.
    fn release(&self, lease: Lease, to: Option<Box<str>>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Writes a batch: all or nothing, durable when this answers.
    ///
    /// # Errors
    /// In this order. `Fenced`: the lease is not the stored one, step down. `Refused`: `based_on` is not the stored commit,
    /// `checkpoint` lies before the stored one, the notifications do not go on from the last number without a gap, the
    /// store's clock is not past `not_before`, or an entry after `checkpoint` was accepted at or before `not_before`; nothing
    /// was written, reload. `OutcomeUnknown`: reload and see.
    fn commit(&self, lease: Lease, batch: Batch) -> BoxFuture<'_, Result<(), StoreError>>;

    /// The rows of these conversations, in the order asked. One that cannot be read does not spoil the others.
    fn load(&self, partition: PartitionId, keys: Vec<ConversationKey>) -> BoxFuture<'_, Result<Vec<Loaded>, StoreError>>;

    /// What reports count of a workspace in a partition on these days, in their order; a day without anything is empty. `only`: of
    /// what is grouped by this, which is a fraction of the reading.
    ///
    /// # Errors
    /// `Unreadable`: one of them cannot be read. What is not known is not to be taken for nothing.
    fn rollups(
        &self,
        partition: PartitionId,
        workspace: Box<str>,
        days: Vec<Day>,
        only: Option<GroupBy>,
    ) -> BoxFuture<'_, Result<Vec<Rollup>, StoreError>>;

    /// The texts in these slots of a conversation, in their order; those that are not there, or cannot be read, are left out.
    fn texts(&self, partition: PartitionId, key: ConversationKey, slots: Vec<u8>) -> BoxFuture<'_, Result<Vec<Said>, StoreError>>;

    /// The days before this one that a partition has sums of, with their workspaces, at most `limit`: for taking them away.
    fn rollups_before(&self, partition: PartitionId, day: Day, limit: usize) -> BoxFuture<'_, Result<Vec<(Day, Box<str>)>, StoreError>>;

    /// Conversations to be looked at up to and including `until`, strictly after `after`, ordered by (instant, key), at
    /// most `limit`.
    fn due(
        &self,
        partition: PartitionId,
        until: Timestamp,
        after: Option<DueKey>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<DueKey>, StoreError>>;

    /// The conversations that stand in any of these sections, in order of id. `None`: the partition's lists are not whole
    /// ([`Lists`]), look at its rows.
    fn listed(&self, partition: PartitionId, query: SectionQuery) -> BoxFuture<'_, Result<Option<Vec<ConversationKey>>, StoreError>>;

    /// A partition's rows in order of key, strictly after `after`, of one workspace or of all, at most `limit`. Rows that
    /// cannot be read are left out. For lists that people look at: a store may have to look at every row.
    fn scan(
        &self,
        partition: PartitionId,
        workspace: Option<Box<str>>,
        after: Option<ConversationKey>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<(ConversationKey, Conversation)>, StoreError>>;

    /// A partition's rows in whatever order the store has them, about `limit` at a time, from `place` on. Whatever is there
    /// from the first page to the last comes at least once. Rows that cannot be read are left out.
    fn walk(&self, partition: PartitionId, place: Option<Place>, limit: usize) -> BoxFuture<'_, Result<Walked, StoreError>>;

    /// Whether these entries are applied: how far the partition is, and what is known of them. The last thousand marks of a
    /// partition are known at least.
    fn applied(&self, partition: PartitionId, ids: Vec<LogId>) -> BoxFuture<'_, Result<Applied, StoreError>>;

    /// Notifications numbered above `after`, in order, at most `limit`.
    fn notifications(&self, partition: PartitionId, after: u64, limit: usize) -> BoxFuture<'_, Result<NotificationPage, StoreError>>;

    /// The number of the last committed notification of every partition, in order of partition.
    fn notification_heads(&self) -> Vec<u64>;

    /// Resolves after the next commit that brought a notification; may resolve for nothing. Ask first, then look at the
    /// heads, then await: what is committed in between wakes it.
    fn notification_signal(&self) -> tokio::sync::watch::Receiver<u64>;

    /// The settings a partition has applied, of one workspace; `None`: the defaults hold.
    fn applied_settings(&self, partition: PartitionId, workspace: Box<str>) -> BoxFuture<'_, Result<Option<Settings>, StoreError>>;

    /// The master document of a workspace; `None`: the defaults hold.
    fn settings(&self, workspace: Box<str>) -> BoxFuture<'_, Result<Option<Settings>, StoreError>>;

    /// All master documents, in order of workspace.
    fn all_settings(&self) -> BoxFuture<'_, Result<Vec<(Box<str>, Settings)>, StoreError>>;

    /// Replaces the master document if its version is still `expected` (0: there is none), and with it, where one is given,
    /// the workspace's document on the shelf of histories: both or neither. True when it did.
    fn record_settings(
        &self,
        workspace: Box<str>,
        expected: u64,
        settings: Settings,
        history: Option<Vec<u8>>,
    ) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// A document of a workspace; `None`: it has none on this shelf.
    fn document(&self, shelf: Shelf, workspace: Box<str>) -> BoxFuture<'_, Result<Option<Document>, StoreError>>;

    /// Replaces a document if its version is still `expected` (0: there is none). True when it did.
    fn put_document(&self, shelf: Shelf, workspace: Box<str>, expected: u64, document: Document)
    -> BoxFuture<'_, Result<bool, StoreError>>;

    /// A partition's dead letters strictly after `after`, oldest first, at most `limit`.
    fn dead_letters(&self, partition: PartitionId, after: LogId, limit: usize) -> BoxFuture<'_, Result<Vec<DeadLetter>, StoreError>>;

    /// What a partition holds, for metrics and `/readyz?verbose`.
    fn stats(&self) -> BoxFuture<'_, Result<Vec<PartitionStats>, StoreError>>;

    /// How many rows are to be looked at up to and including `until`; a store may stop counting at ten thousand.
    fn count_due(&self, partition: PartitionId, until: Timestamp) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// Whether this process has the store to itself: then any holder it finds is a process that is gone.
    fn is_exclusive(&self) -> bool;

    /// Nodes, leases, pins: not one instant's picture, but none of its parts is older than the call.
    fn cluster(&self) -> BoxFuture<'_, Result<ClusterView, StoreError>>;

    /// Makes this node known, or says that it still lives. `over`: another process of this name whose place it takes. A new
    /// process of a name is not draining. False: another process has this name.
    fn heartbeat(&self, record: NodeRecord, over: Option<u64>) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Takes a node's record away, if it is still this process's.
    fn leave(&self, member: Member) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Marks a node as draining until its next process starts.
    fn drain(&self, node: Box<str>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Gives a partition to a node for as long as that lives; `None`: wherever placement puts it.
    fn pin(&self, partition: PartitionId, to: Option<Box<str>>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Why nothing may close at present, as this process knows it; `None`: as usual.
    fn closes_held(&self) -> Option<Hold>;

    /// Holds all closes from now on, durably and for every node: none is committed any more once this answers. Events are taken
    /// and applied as ever. False: they were held already, and for that reason they go on to be.
    ///
    /// # Errors
    /// `OutcomeUnknown`: look at [`closes_held`](Self::closes_held), or ask again.
    fn hold_closes(&self, why: Box<str>) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Lets closing go on, for every node, within a second or so: why it was held, if it was.
    ///
    /// # Errors
    /// `OutcomeUnknown`: ask again.
    fn release_hold(&self) -> BoxFuture<'_, Result<Option<Hold>, StoreError>>;

    /// Begins to copy the store into a new directory on this machine, while it goes on; answers when it has begun, and
    /// [`backup`](Self::backup) says how far it is. Every event acknowledged before this is called is in the copy, and what is
    /// in it agrees. Nothing is found under the path until the copy is whole and durable. Whoever opens it as a store gets a
    /// new incarnation, with all closes held. It is given up when the store is closed.
    ///
    /// # Errors
    /// [`BackupRefused`]: nothing was begun, and nothing is left behind.
    fn begin_backup(&self, to: PathBuf) -> BoxFuture<'_, Result<BackupStatus, BackupRefused>> {
        drop(to);
        Box::pin(async { Err(BackupRefused::NotHere) })
    }

    /// The last backup that was begun since this process opened the store.
    fn backup(&self) -> Option<BackupStatus> {
        None
    }

    /// Hears of changes of the cluster. Hints may be lost.
    fn hints(&self) -> tokio::sync::broadcast::Receiver<Hint>;
}

/// What a workspace may have one document of, beside its settings: looked up by people, never by a rule, so that no partition needs
/// to have applied it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Shelf {
    Agents,
    /// What the writer of closing notes has learnt from those that people wrote.
    Learnt,
    /// Of the changes of its settings; of the version of the settings it was written with.
    SettingsHistory,
    /// What administrators did.
    Audit,
    /// Who may ask, of all workspaces ([`EVERYWHERE`]).
    Keys,
    /// When each key was used last, of all workspaces.
    KeyUse,
}

/// Where a document stands that is of no single workspace: a name that none can have.
pub const EVERYWHERE: &str = "";

impl Shelf {
    /// As it is called in stores.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agents => "agents",
            Self::Learnt => "learnt",
            Self::SettingsHistory => "settings_history",
            Self::Audit => "audit",
            Self::Keys => "keys",
            Self::KeyUse => "key_use",
        }
    }
}

/// Kept as it is, and replaced as a whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Document {
    pub version: u64,
    pub bytes: Vec<u8>,
}

/// Where a walk goes on; only the store that gave it knows what it says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place(pub Box<str>);

#[derive(Clone, PartialEq, Debug)]
pub struct Walked {
    pub rows: Vec<(ConversationKey, Conversation)>,
    /// `None`: that was all.
    pub next: Option<Place>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Applied {
    /// Everything up to here is applied.
    pub checkpoint: LogId,
    /// Of each entry asked about, in their order: what is known of it. Nothing is of an event that changed something.
    pub marks: Vec<Option<Mark>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Barrier {
    pub clock: Timestamp,
    pub last: LogId,
    /// Nothing may close now ([`Store::closes_held`]).
    pub held: bool,
}

/// The right to write a partition. Compared for equality, never for order: a count alone goes backwards when a store
/// loses its last second.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Lease {
    pub partition: PartitionId,
    pub epoch: u64,
    pub nonce: u64,
}

/// A commit, named by whoever makes it. Random.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct CommitId(pub u128);

/// What a new owner starts from.
#[derive(Clone, PartialEq, Debug)]
pub struct Claim {
    pub lease: Lease,
    /// The commit to build on.
    pub head: CommitId,
    /// Everything up to here is applied.
    pub checkpoint: LogId,
    /// The number of the last notification.
    pub last_notification: u64,
    /// How often this checkpoint was claimed with entries after it, this claim included; 0 when there are none now. From
    /// the third time on, one of them is suspected of killing its node, and entries are taken one at a time.
    pub attempts: u32,
    /// The entry that was being tried alone when the last owner went away, and how often it was tried.
    pub trying: Option<(LogId, u32)>,
    /// Notifications are numbered without a gap from here on; before it the store may have skipped some numbers, because
    /// it cannot know which it had given out when it lost its last second.
    pub numbered_from: u64,
    /// The settings applied, by workspace.
    pub settings: Vec<(Box<str>, Settings)>,
    /// Whether the last commit called the lists whole, or there was none.
    pub lists_whole: bool,
    /// How many conversations stand in lists, whole or not.
    pub listed: u64,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct NotificationPage {
    pub items: Vec<Notification>,
    /// The lowest number still kept, one above the last where none is: whoever asked from below it has missed something.
    pub oldest: u64,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DueKey {
    pub at: Timestamp,
    pub key: ConversationKey,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Loaded {
    Missing,
    Found {
        conversation: Box<Conversation>,
        look_at: Option<Timestamp>,
    },
    /// The row is there and cannot be read.
    Corrupt {
        reason: Box<str>,
    },
}

/// An entry that was set aside, with its reason; the partition went on without it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeadLetter {
    pub partition: PartitionId,
    /// Its place in the log; its name in the list.
    pub id: LogId,
    pub conversation: Option<ConversationKey>,
    pub reason: Box<str>,
    pub entry: Result<Entry, Unreadable>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PartitionStats {
    pub conversations: u64,
    /// Rows with something to look at: a deadline or the end of a snooze.
    pub timers: u64,
    pub checkpoint: LogId,
    /// The last id of the log.
    pub last: LogId,
    /// Entries accepted and not applied.
    pub backlog: u64,
    pub dead_letters: u64,
    pub last_notification: u64,
    pub oldest_notification: u64,
}

/// Named by what the caller does next.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    #[error("partition {partition} has another owner")]
    Fenced { partition: PartitionId }, // step down
    #[error("the log holds {unapplied} entries that are not applied yet, {limit} are allowed")]
    Behind { unapplied: u64, limit: u64 }, // come back later
    #[error("the store's memory is full: {used} bytes, {limit} are for what comes in")]
    Full { used: u64, limit: u64 }, // come back later, tell an operator
    #[error("the store refused, nothing was written: {0}")]
    Refused(Arc<str>), // reload, try again
    #[error("the store did not answer, the write may have happened: {0}")]
    OutcomeUnknown(Arc<str>), // reload and see
    #[error("{0}")]
    Unreadable(Arc<str>), // one record: set aside, go on with others
    #[error("the store is closed or broken: {0}")]
    Unavailable(Arc<str>), // give up until an operator looks
}
