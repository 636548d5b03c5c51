//! The backup that is being taken, and the one before: one at a time, on a thread of its own.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use redb::Database;

use super::copy::{Copy, NotCopied};
use super::place::Place;
use super::{EmbeddedStore, Health, Log};
use crate::domain::{PartitionCount, Timestamp};
use crate::store::{BackupRefused, BackupState, BackupStatus, Contents, StoreError};

/// Pages of the copy kept in memory, in bytes.
const CACHE_BYTES: usize = 8 << 20;

#[derive(Default)]
pub struct Backups {
    last: Mutex<Option<BackupStatus>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the thread has.
struct Job {
    shown: Arc<Backups>,
    place: Place,
    db: Arc<Database>,
    log: Arc<Log>,
    health: Arc<Health>,
    partitions: PartitionCount,
    incarnation: u64,
    taken_at: Timestamp,
}

impl Backups {
    pub fn last(&self) -> Option<BackupStatus> {
        self.shown().clone()
    }

    /// Waits for the thread; to be called when the store's health says that it is closed, which ends it within a second.
    pub fn close(&self) {
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // A panic of the thread is in the log.
            let _ = thread.join();
        }
    }

    fn shown(&self) -> MutexGuard<'_, Option<BackupStatus>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody else begins one from here on; answers with what was shown before.
    fn reserve(&self, status: BackupStatus) -> Result<Option<BackupStatus>, BackupRefused> {
        let mut shown = self.shown();
        match &*shown {
            Some(BackupStatus { path, state: BackupState::Running, .. }) => Err(BackupRefused::UnderWay { path: path.clone() }),
            _ => Ok(shown.replace(status)),
        }
    }

    fn tell(&self, change: impl FnOnce(&mut BackupStatus)) {
        if let Some(status) = &mut *self.shown() {
            change(status);
        }
    }
}

impl EmbeddedStore {
    /// See [`Store::begin_backup`](crate::store::Store::begin_backup).
    pub(super) async fn begin(&self, to: PathBuf) -> Result<BackupStatus, BackupRefused> {
        let (db, began_at) = (self.database()?, self.clock.now());
        let (path, incarnation, state) = (to.clone(), self.incarnation, BackupState::Running);
        let before = self.backups.reserve(BackupStatus { path, began_at, incarnation, rows: 0, rows_of: 0, state })?;
        let begun = self.spawn(&to, db, began_at);
        match begun {
            Ok(()) => self.backups.last().ok_or_else(|| BackupRefused::Store(self.health.closed())),
            Err(refused) => {
                *self.backups.shown() = before;
                Err(refused)
            }
        }
    }

    /// A few small writes to the place, and the rest on its thread.
    fn spawn(&self, to: &Path, db: Arc<Database>, taken_at: Timestamp) -> Result<(), BackupRefused> {
        let place = Place::take(to, &self.dir)?;
        let path = place.to().to_owned();
        self.backups.tell(|status| status.path = path);
        let (shown, log, health) = (Arc::clone(&self.backups), Arc::clone(&self.log), Arc::clone(&self.health));
        let (partitions, incarnation) = (self.partitions, self.incarnation);
        let job = Job { shown, place, db, log, health, partitions, incarnation, taken_at };
        let thread = std::thread::Builder::new().name("adjourn-backup".into()).spawn(move || job.run());
        let thread =
            thread.map_err(|cause| StoreError::Unavailable(format!("the thread of a backup cannot be started: {cause}").into()))?;
        let ended = self.backups.thread.lock().unwrap_or_else(PoisonError::into_inner).replace(thread);
        drop(ended); // of the one before, which has ended
        Ok(())
    }
}

impl Job {
    fn run(self) {
        let shown = Arc::clone(&self.shown);
        // In case of a panic: nobody is to wait for this one for ever.
        let unless_it_ends = Unless(&shown);
        let path = self.place.to().to_owned();
        tracing::info!(path = %path.display(), "a backup begins");
        let state = match self.take() {
            Ok(contents) => {
                let Contents { bytes, conversations, unapplied, position } = contents;
                tracing::info!(path = %path.display(), bytes, conversations, unapplied, %position, "a backup is whole");
                BackupState::Whole(contents)
            }
            Err(NotCopied(reason)) => {
                tracing::error!(path = %path.display(), reason, "there is no backup");
                BackupState::Failed(reason.into())
            }
        };
        shown.tell(|status| status.state = state);
        drop(unless_it_ends);
    }

    fn take(self) -> Result<Contents, NotCopied> {
        let Self { shown, place, db, log, health, partitions, incarnation, taken_at } = self;
        let told = |rows, rows_of| shown.tell(|status| (status.rows, status.rows_of) = (rows, rows_of));
        let copy = Copy { db: &db, log: &log, health: &health, partitions, incarnation, taken_at, told: &told };
        let written = || {
            let into = Database::builder().set_cache_size(CACHE_BYTES).create(place.state())?;
            let contents = copy.run(&into)?;
            drop(into);
            let size = std::fs::File::open(place.state()).and_then(|file| file.sync_all().and_then(|()| file.metadata()));
            Ok(Contents { bytes: size.map_err(redb::StorageError::Io)?.len(), ..contents })
        };
        match written() {
            Ok(contents) => {
                let to = place.to().to_owned();
                place.finish().map_err(|cause| NotCopied(format!("{} could not be given its name: {cause}", to.display())))?;
                Ok(contents)
            }
            Err(reason) => {
                place.give_up();
                Err(reason)
            }
        }
    }
}

struct Unless<'a>(&'a Backups);

impl Drop for Unless<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0
                .tell(|status| status.state = BackupState::Failed("its thread panicked; report what the log of this process says".into()));
        }
    }
}
