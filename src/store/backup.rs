//! A copy of a running store, for the day on which its disk is gone.

use std::path::PathBuf;
use std::sync::Arc;

use super::{LogId, StoreError};
use crate::domain::Timestamp;

/// A backup that was begun, and how far it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BackupStatus {
    /// The directory that it becomes; there is none under this name before it is whole.
    pub path: PathBuf,
    /// By the store's clock: every event acknowledged before is in it, and some that came later may be.
    pub began_at: Timestamp,
    /// Of the store that is copied.
    pub incarnation: u64,
    /// Rows copied.
    pub rows: u64,
    /// Of so many, about: the store goes on meanwhile. 0: not counted yet.
    pub rows_of: u64,
    pub state: BackupState,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BackupState {
    Running,
    Whole(Contents),
    /// Nothing is left of it.
    Failed(Arc<str>),
}

/// What is in a backup.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Contents {
    /// Size on the disk, in bytes.
    pub bytes: u64,
    pub conversations: u64,
    /// Events accepted and not applied; whoever restores applies them first.
    pub unapplied: u64,
    /// The place in the event log: of what was acknowledged, everything up to here is in it.
    pub position: LogId,
}

/// Why no backup was begun, by what whoever asked does next.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BackupRefused {
    #[error("this store is on Redis, which keeps its own files: copy those, as the README says under `Backup and restore`")]
    NotHere,
    #[error("a backup to {} is under way: wait until it has ended", path.display())]
    UnderWay { path: PathBuf },
    /// Says what to do.
    #[error("{0}")]
    Place(Arc<str>),
    #[error(transparent)]
    Store(#[from] StoreError),
}
