//! The store in one directory: one process, nothing else to run.
//!
//! ```text
//! lock           held while the store is open: a second process is refused
//! state.redb     conversations, deadlines, notifications, settings, checkpoints, leases (tables.rs)
//! log/*.seg      the event log over all partitions (segment.rs)
//! ```
//! A backup (copy.rs) is the state file alone, with the end of the log in a table of its own.
//!
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

use redb::Database;
use tokio::sync::Semaphore;

use super::StoreError;
use super::hold::KnownHold;
use crate::clock::SharedClock;
use crate::domain::{PartitionCount, PartitionId};

#[cfg(test)]
mod backed_up;
mod backup;
mod batch;
mod copy;
#[cfg(test)]
mod killed;
mod lock;
mod log;
mod open;
mod order;
mod partition;
mod place;
mod put;
mod reads;
mod restore;
mod segment;
mod solo;
mod store;
mod tables;
mod tail;
#[cfg(test)]
mod tests;
mod writer;
mod writes;

pub use open::OpenError;
pub use segment::read_log;

use backup::Backups;
use lock::DirectoryLock;
use log::Log;
use put::{Beside, Put, PutIn};
use solo::Solo;
use writer::{Heads, Request, Writer};

/// Rows read on the caller's own thread. A row in the cache takes about 3 µs with its decoding, one read from disk some
/// 100 µs: so few keep an actor about as long as handing them to another thread and back. More go to a thread for
/// blocking work.
const INLINE_ROWS_MAX: usize = 16;
/// Pages of notifications read at a time. One burst wakes every subscriber at once: a thread for each is hundreds of
/// threads, each with memory of its own, that get in the way of the few reads closes depend on.
const PAGES_AT_ONCE: usize = 4;

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
    /// Only a store that is there: none is created, and no backup begins anew.
    pub as_it_is: bool,
}

impl EmbeddedOptions {
    pub fn new(clock: SharedClock) -> Self {
        Self {
            partitions: None,
            clock,
            cache_bytes: 64 << 20,
            backlog_max: 100_000,
            log_retention: false,
            segment_bytes: 64 << 20,
            as_it_is: false,
        }
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
    dir: PathBuf,
    partitions: PartitionCount,
    incarnation: u64,
    clock: SharedClock,
    log: Arc<Log>,
    writer: Writer,
    heads: Arc<Heads>,
    hold: Arc<KnownHold>,
    health: Arc<Health>,
    files: RwLock<Option<Files>>,
    pages: Semaphore,
    solo: Solo,
    backups: Arc<Backups>,
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
        self.backups.close(); // it reads the state file
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
