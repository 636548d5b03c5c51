//! The store in one directory: one process, nothing else to run.
//!
//! ```text
//! lock           held while the store is open: a second process is refused
//! state.redb     conversations, deadlines, notifications, settings, checkpoints, leases (tables.rs)
//! log/*.seg      the event log over all partitions (segment.rs)
//! ```
//! What it promises: whatever was answered is on the disk, also after a power cut. Two threads write, one each: the log
//! (log.rs) and the state (writer.rs); both write together what waits together, so that many partitions share an
//! `fsync`. A commit is one transaction of the state file, checkpoint included; after a crash between log and state the
//! log is read on from there, so nothing is lost and nothing applied twice. The store's clock is the wall clock; no entry
//! is ever accepted before a clock that a barrier told or a close went by, also when the date steps back (D1, D2).
//!
//! After a failed write the store answers `Unavailable` until it is opened again: nobody knows what a disk holds that
//! failed an `fsync`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use redb::Database;
use tokio::sync::Semaphore;

use super::{
    Applied, Barrier, Batch, Claim, ClusterView, DeadLetter, Document, DueKey, Entry, Hint, Holder, Lease, Loaded, LogEntry, LogId, Member,
    NodeRecord, NotificationPage, PartitionStats, Place, Shelf, Store, StoreError, Walked, lists,
};
use crate::clock::SharedClock;
use crate::domain::listing::SectionQuery;
use crate::domain::report::{Day, GroupBy, Rollup};
use crate::domain::writing::Said;
use crate::domain::{Conversation, ConversationKey, PartitionCount, PartitionId, Settings, Timestamp};
use crate::store::record;

mod batch;
#[cfg(test)]
mod killed;
mod lock;
mod log;
mod open;
mod order;
mod partition;
mod put;
mod reads;
mod segment;
mod solo;
mod tables;
mod tail;
#[cfg(test)]
mod tests;
mod writer;
mod writes;

pub use open::OpenError;
pub use segment::read_log;

use batch::Prepared;
use lock::DirectoryLock;
use log::Log;
use put::{Beside, Put, PutIn};
use solo::Solo;
use writer::{Heads, Request, Writer};

/// Rows read on the caller's own thread. A row in the cache takes about 3 µs with its decoding, one read from disk some
/// 100 µs: so few keep an actor about as long as handing them to another thread and back. More go to a thread for
/// blocking work.
const INLINE_ROWS_MAX: usize = 16;
/// Names of a list read in the time of a row.
const NAMES_A_ROW: usize = 8;
/// Pages of notifications read at a time. One burst wakes every subscriber at once: a thread for each is hundreds of
/// threads, each with memory of its own, that get in the way of the few reads closes depend on.
const PAGES_AT_ONCE: usize = 4;

/// Overdue timers counted in each partition: beyond, it is a storm whatever their number.
const DUE_COUNTED: usize = 10_000;

/// Partitions of a new store unless said otherwise.
const PARTITIONS_DEFAULT: u16 = 64;

pub struct EmbeddedOptions {
    /// `None`: as the store has it; 64 for a new one.
    pub partitions: Option<PartitionCount>,
    pub clock: SharedClock,
    /// Pages of the state file kept in memory, in bytes; half of it at most while they wait to be written.
    pub cache_bytes: usize,
    /// Entries accepted and not applied, over all partitions, from which on appends are refused with `Behind`: they are
    /// held in memory, about 500 bytes each.
    pub backlog_max: u64,
    /// Keep the log's segments after everything in them was applied, for checking a store from outside.
    pub log_retention: bool,
    /// Size of a segment, in bytes, at which the next one begins.
    pub segment_bytes: u64,
}

impl EmbeddedOptions {
    pub fn new(clock: SharedClock) -> Self {
        Self { partitions: None, clock, cache_bytes: 64 << 20, backlog_max: 100_000, log_retention: false, segment_bytes: 64 << 20 }
    }
}

fn log_dir(store: &Path) -> PathBuf {
    store.join("log")
}

/// Set once, when the store can no longer be trusted or was closed: from then on everything answers `Unavailable`.
#[derive(Default)]
struct Health(OnceLock<Arc<str>>);

impl Health {
    fn check(&self) -> Result<(), StoreError> {
        self.0.get().map_or(Ok(()), |reason| Err(StoreError::Unavailable(Arc::clone(reason))))
    }

    /// The first reason stays.
    fn fail(&self, reason: String) -> StoreError {
        tracing::error!(%reason, "the store is out of order");
        StoreError::Unavailable(Arc::clone(self.0.get_or_init(|| reason.into())))
    }

    fn closed(&self) -> StoreError {
        StoreError::Unavailable(Arc::clone(self.0.get_or_init(|| "it was closed".into())))
    }
}

/// See the module.
pub struct EmbeddedStore {
    partitions: PartitionCount,
    incarnation: u64,
    clock: SharedClock,
    log: Arc<Log>,
    writer: Writer,
    heads: Arc<Heads>,
    health: Arc<Health>,
    files: RwLock<Option<Files>>,
    pages: Semaphore,
    solo: Solo,
}

/// What is let go of when the store is closed.
struct Files {
    db: Arc<Database>,
    _lock: DirectoryLock,
}

impl EmbeddedStore {
    /// Opens the store in the directory `path`, or creates it there. Ends with what a crash left behind: a torn end of
    /// the log is cut off, entries not applied are read back into memory.
    ///
    /// # Errors
    /// [`OpenError`] says what to do.
    pub fn open(path: &Path, options: EmbeddedOptions) -> Result<Arc<Self>, OpenError> {
        open::open(path, options).map(Arc::new)
    }

    /// Finishes what was asked, ends the threads and lets go of the directory. Waiting readers get `Unavailable`, as does
    /// everybody from now on. Blocks for as long as one commit takes. Dropping the store does the same.
    pub fn close(&self) {
        self.log.close();
        self.writer.close();
        self.health.closed();
        self.log.wake_readers();
        self.files.write().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn known(&self, partition: PartitionId) -> Result<(), StoreError> {
        let count = self.partitions.get();
        if partition.0 < count { Ok(()) } else { Err(StoreError::Refused(format!("there is no partition {partition} of {count}").into())) }
    }

    fn database(&self) -> Result<Arc<Database>, StoreError> {
        self.health.check()?;
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        files.as_ref().map(|files| Arc::clone(&files.db)).ok_or_else(|| self.health.closed())
    }

    async fn put(&self, table: PutIn, key: Box<str>, expected: u64, value: Vec<u8>, beside: Beside) -> Result<bool, StoreError> {
        self.writer.ask(|answer| Request::Put(Put { table, key, expected, value, beside, replaced: Ok(false), answer })).await
    }

    /// Reads about `rows` rows, inline or on a thread for blocking work.
    async fn ask<T, F>(&self, partition: Option<PartitionId>, rows: usize, question: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Database) -> Result<T, reads::ReadError> + Send + 'static,
    {
        partition.map_or(Ok(()), |partition| self.known(partition))?;
        let db = self.database()?;
        if rows <= INLINE_ROWS_MAX {
            return Ok(question(&db)?);
        }
        let answer = tokio::task::spawn_blocking(move || question(&db)).await;
        Ok(answer.map_err(|_| StoreError::Unavailable("a read of the state file was given up".into()))??)
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        self.close();
    }
}

impl Store for EmbeddedStore {
    fn partitions(&self) -> PartitionCount {
        self.partitions
    }

    fn incarnation(&self) -> u64 {
        self.incarnation
    }

    fn clock(&self) -> BoxFuture<'_, Result<Timestamp, StoreError>> {
        async { self.health.check().map(|()| self.clock.now()) }.boxed()
    }

    fn append(&self, entries: Vec<(PartitionId, Entry)>) -> BoxFuture<'_, Result<Vec<LogId>, StoreError>> {
        async {
            entries.iter().try_for_each(|(partition, _)| self.known(*partition))?;
            self.log.append(entries).await
        }
        .boxed()
    }

    fn read(&self, partition: PartitionId, after: LogId, limit: usize, wait: Duration) -> BoxFuture<'_, Result<Vec<LogEntry>, StoreError>> {
        async move {
            self.known(partition)?;
            self.log.read(partition, after, limit, wait).await
        }
        .boxed()
    }

    fn barrier(&self, partition: PartitionId) -> BoxFuture<'_, Result<Barrier, StoreError>> {
        async move {
            self.known(partition)?;
            self.log.barrier(partition)
        }
        .boxed()
    }

    fn claim(&self, partition: PartitionId, by: Member, over: Option<Holder>) -> BoxFuture<'_, Result<Claim, StoreError>> {
        async move {
            self.known(partition)?;
            // Held until the claim is durable, so that two claims over one holder are not both granted.
            let mut held = self.solo.of(partition).await;
            if held.holder != over {
                return Err(StoreError::Fenced { partition });
            }
            let claimed = self.writer.ask(|answer| Request::Claim { partition, answer }).await?;
            held.holder = Some(Holder { lease: claimed.lease, member: by, beat: 0 });
            drop(held);
            // Read after the claim is durable: nobody else can change them any more.
            let settings = self.ask(None, 0, move |db| reads::all_applied_settings(db, partition)).await?;
            let state = claimed.state;
            Ok(Claim {
                lease: claimed.lease,
                head: state.head,
                checkpoint: state.checkpoint,
                last_notification: state.last_notification,
                attempts: state.attempts,
                trying: state.trying,
                numbered_from: 1,
                settings,
                lists_whole: state.lists_whole(),
                listed: lists::conversations(state.list_entries),
            })
        }
        .boxed()
    }

    fn renew(&self, lease: Lease) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            self.health.check()?;
            self.known(lease.partition)?;
            self.solo.of(lease.partition).await.renew(lease)
        }
        .boxed()
    }

    fn release(&self, lease: Lease, to: Option<Box<str>>) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            self.known(lease.partition)?;
            let mut held = self.solo.of(lease.partition).await;
            self.writer.ask(|answer| Request::Release { lease, answer }).await?;
            if held.release(lease) {
                self.solo.registry.hint(Hint::Released { partition: lease.partition, to });
            }
            Ok(())
        }
        .boxed()
    }

    fn commit(&self, lease: Lease, batch: Batch) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            self.known(lease.partition)?;
            let marks = batch.marks.clone();
            let batch = Box::new(Prepared::new(lease.partition, batch));
            self.writer.ask(|answer| Request::Commit { lease, batch, answer }).await?;
            self.solo.of(lease.partition).await.committed(lease, marks);
            Ok(())
        }
        .boxed()
    }

    fn load(&self, partition: PartitionId, keys: Vec<ConversationKey>) -> BoxFuture<'_, Result<Vec<Loaded>, StoreError>> {
        async move { self.ask(Some(partition), keys.len(), move |db| reads::load(db, partition, &keys)).await }.boxed()
    }

    fn rollups(
        &self,
        partition: PartitionId,
        workspace: Box<str>,
        days: Vec<Day>,
        only: Option<GroupBy>,
    ) -> BoxFuture<'_, Result<Vec<Rollup>, StoreError>> {
        async move { self.ask(Some(partition), days.len(), move |db| reads::rollups(db, partition, &workspace, &days, only)).await }.boxed()
    }

    fn texts(&self, partition: PartitionId, key: ConversationKey, slots: Vec<u8>) -> BoxFuture<'_, Result<Vec<Said>, StoreError>> {
        async move { self.ask(Some(partition), slots.len(), move |db| reads::texts(db, partition, &key, &slots)).await }.boxed()
    }

    fn rollups_before(&self, partition: PartitionId, day: Day, limit: usize) -> BoxFuture<'_, Result<Vec<(Day, Box<str>)>, StoreError>> {
        async move { self.ask(Some(partition), 0, move |db| reads::rollups_before(db, partition, day, limit)).await }.boxed()
    }

    fn due(
        &self,
        partition: PartitionId,
        until: Timestamp,
        after: Option<DueKey>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<DueKey>, StoreError>> {
        // Neighbours in one or two pages, whatever the limit: inline, for every shard asks this several times a second.
        async move { self.ask(Some(partition), 0, move |db| reads::due(db, partition, until, after.as_ref(), limit)).await }.boxed()
    }

    fn listed(&self, partition: PartitionId, query: SectionQuery) -> BoxFuture<'_, Result<Option<Vec<ConversationKey>>, StoreError>> {
        // Names that stand side by side: as cheap as a few rows.
        let rows = query.limit * query.sections.len() / NAMES_A_ROW;
        async move { self.ask(Some(partition), rows, move |db| reads::listed(db, partition, &query)).await }.boxed()
    }

    fn scan(
        &self,
        partition: PartitionId,
        workspace: Option<Box<str>>,
        after: Option<ConversationKey>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<(ConversationKey, Conversation)>, StoreError>> {
        let scan = move |db: &Database| reads::scan(db, partition, workspace.as_deref(), after.as_ref(), limit);
        async move { self.ask(Some(partition), usize::MAX, scan).await }.boxed()
    }

    fn walk(&self, partition: PartitionId, place: Option<Place>, limit: usize) -> BoxFuture<'_, Result<Walked, StoreError>> {
        async move {
            let after = place.and_then(|place| ConversationKey::parse(&place.0).ok());
            let rows = self.scan(partition, None, after, limit).await?;
            let next = rows.last().filter(|_| rows.len() >= limit).map(|(key, _)| Place(key.as_str().into()));
            Ok(Walked { rows, next })
        }
        .boxed()
    }

    fn applied(&self, partition: PartitionId, ids: Vec<LogId>) -> BoxFuture<'_, Result<Applied, StoreError>> {
        async move {
            let count = self.partitions.get();
            let states = self.ask(Some(partition), 0, move |db| reads::partition_states(db, count)).await?;
            let checkpoint = states.get(usize::from(partition.0)).map_or(LogId::ZERO, |state| state.checkpoint);
            Ok(Applied { checkpoint, marks: self.solo.of(partition).await.marks(&ids) })
        }
        .boxed()
    }

    fn notifications(&self, partition: PartitionId, after: u64, limit: usize) -> BoxFuture<'_, Result<NotificationPage, StoreError>> {
        async move {
            // Never closed, so there is always a turn to come; a few rows take none.
            let _turn = if limit > INLINE_ROWS_MAX { self.pages.acquire().await.ok() } else { None };
            self.ask(Some(partition), limit, move |db| reads::notifications(db, partition, after, limit)).await
        }
        .boxed()
    }

    fn notification_heads(&self) -> Vec<u64> {
        self.heads.all()
    }

    fn notification_signal(&self) -> tokio::sync::watch::Receiver<u64> {
        self.heads.subscribe()
    }

    fn applied_settings(&self, partition: PartitionId, workspace: Box<str>) -> BoxFuture<'_, Result<Option<Settings>, StoreError>> {
        async move { self.ask(Some(partition), 1, move |db| reads::applied_settings(db, partition, &workspace)).await }.boxed()
    }

    fn settings(&self, workspace: Box<str>) -> BoxFuture<'_, Result<Option<Settings>, StoreError>> {
        async move { self.ask(None, 1, move |db| reads::settings(db, &workspace)).await }.boxed()
    }

    fn all_settings(&self) -> BoxFuture<'_, Result<Vec<(Box<str>, Settings)>, StoreError>> {
        async { self.ask(None, usize::MAX, reads::all_settings).await }.boxed()
    }

    fn record_settings(
        &self,
        workspace: Box<str>,
        expected: u64,
        settings: Settings,
        history: Option<Vec<u8>>,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        let beside = history.map(|bytes| {
            let document = Document { version: settings.version, bytes };
            (tables::document_key(Shelf::SettingsHistory, &workspace), tables::document_value(&document))
        });
        self.put(PutIn::Settings, workspace, expected, record::encode_settings(&settings), beside).boxed()
    }

    fn document(&self, shelf: Shelf, workspace: Box<str>) -> BoxFuture<'_, Result<Option<Document>, StoreError>> {
        async move { self.ask(None, 1, move |db| reads::document(db, &tables::document_key(shelf, &workspace))).await }.boxed()
    }

    fn put_document(
        &self,
        shelf: Shelf,
        workspace: Box<str>,
        expected: u64,
        document: Document,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.put(PutIn::Document, tables::document_key(shelf, &workspace), expected, tables::document_value(&document), None).boxed()
    }

    fn dead_letters(&self, partition: PartitionId, after: LogId, limit: usize) -> BoxFuture<'_, Result<Vec<DeadLetter>, StoreError>> {
        async move { self.ask(Some(partition), limit, move |db| reads::dead_letters(db, partition, after, limit)).await }.boxed()
    }

    fn stats(&self) -> BoxFuture<'_, Result<Vec<PartitionStats>, StoreError>> {
        async {
            let count = self.partitions.get();
            let states = self.ask(None, 0, move |db| reads::partition_states(db, count)).await?;
            let stats = |(partition, state): (PartitionId, partition::PartitionState)| {
                let (last, backlog) = self.log.last_and_backlog(partition);
                state.stats(last, backlog)
            };
            Ok(self.partitions.all().zip(states).map(stats).collect())
        }
        .boxed()
    }

    fn count_due(&self, partition: PartitionId, until: Timestamp) -> BoxFuture<'_, Result<u64, StoreError>> {
        async move { Ok(self.due(partition, until, None, DUE_COUNTED).await?.len() as u64) }.boxed()
    }

    fn is_exclusive(&self) -> bool {
        true
    }

    fn cluster(&self) -> BoxFuture<'_, Result<ClusterView, StoreError>> {
        async { Ok(self.solo.view().await) }.boxed()
    }

    fn heartbeat(&self, record: NodeRecord, over: Option<u64>) -> BoxFuture<'_, Result<bool, StoreError>> {
        async move { Ok(self.solo.registry.heartbeat(record, over)) }.boxed()
    }

    fn leave(&self, member: Member) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            self.solo.registry.leave(&member);
            Ok(())
        }
        .boxed()
    }

    fn drain(&self, node: Box<str>) -> BoxFuture<'_, Result<(), StoreError>> {
        async move { self.solo.registry.drain(node) }.boxed()
    }

    fn pin(&self, partition: PartitionId, to: Option<Box<str>>) -> BoxFuture<'_, Result<(), StoreError>> {
        async move { self.solo.registry.pin(partition, to) }.boxed()
    }

    fn hints(&self) -> tokio::sync::broadcast::Receiver<Hint> {
        self.solo.registry.hints()
    }
}
