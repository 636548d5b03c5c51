//! How a store comes up: lock, state file, log, threads, in this order; each step trusts only the ones before it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use redb::{Database, ReadableTable};
use tokio::sync::Semaphore;

use super::super::hold::KnownHold;
use super::log::{Log, LogOptions};
use super::partition::PartitionState;
use super::solo::Solo;
use super::writer::{Heads, Writer};
use super::{
    DirectoryLock, EmbeddedOptions, EmbeddedStore, Files, Health, PAGES_AT_ONCE, PARTITIONS_DEFAULT, log_dir, place, reads, restore,
    segment, tables,
};
use crate::domain::PartitionCount;
use crate::faults;

/// The format of the directory: state file, keys and segments together.
pub const FORMAT: u64 = 1;

/// What a backup calls itself until it is opened as a store: a version that knows no backups refuses it.
pub const BACKUP_FORMAT: u64 = 1 << 32 | FORMAT;

/// Why a store did not open, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("another adjourn process is using {}: stop it, or give this one a directory of its own", dir.display())]
    InUse { dir: PathBuf },
    #[error("{} has {stored} partitions, {asked} were asked for: the number is fixed when a store is created, so ask for {stored} or for none", dir.display())]
    Partitions { dir: PathBuf, stored: u16, asked: u16 },
    #[error("{} has format {found}, this version reads format {}: use the version of adjourn that wrote it, or a newer one", file.display(), FORMAT)]
    Format { file: PathBuf, found: u64 },
    #[error("{} is damaged at byte {offset}, and sound entries follow: restore the directory from a backup, or move it away to begin anew", file.display())]
    Damaged { file: PathBuf, offset: u64 },
    #[error("{} belongs to another store: a log and a state file only fit the pair they were written as; restore both from one backup", file.display())]
    ForeignSegment { file: PathBuf },
    #[error("{} holds a log but no state: restore state.redb from a backup, or move the directory away to begin anew", dir.display())]
    StateMissing { dir: PathBuf },
    #[error("{} is a backup that was cut off before it was whole: remove it, and take another backup", dir.display())]
    CutOff { dir: PathBuf },
    #[error("there is no store in {}: check the path", dir.display())]
    Missing { dir: PathBuf },
    #[error("{} is a backup that nothing has opened since: copy the directory as it is", dir.display())]
    IsBackup { dir: PathBuf },
    #[error("cannot {action} {}: {cause}", path.display())]
    Io { action: &'static str, path: PathBuf, cause: io::Error },
    #[error("the state file {} cannot be used: {cause}", path.display())]
    State { path: PathBuf, cause: redb::Error },
}

impl OpenError {
    pub(super) fn io(action: &'static str, path: &Path, cause: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), cause }
    }
}

/// What is fixed when a store is created.
struct Fixed {
    format: u64,
    partitions: u16,
    incarnation: u64,
}

pub fn open(path: &Path, options: EmbeddedOptions) -> Result<EmbeddedStore, OpenError> {
    if place::is_cut_off(path) {
        return Err(OpenError::CutOff { dir: path.to_owned() });
    }
    if !options.as_it_is {
        std::fs::create_dir_all(log_dir(path)).map_err(|cause| OpenError::io("create", path, cause))?;
    } else if !path.join(place::STATE).exists() {
        return Err(OpenError::Missing { dir: path.to_owned() });
    }
    let lock = DirectoryLock::take(path)?;
    faults::point("open.locked");
    let (db, fixed) = open_state(path, &options)?;
    faults::point("open.state");
    // The names of what was created: without them the files would be there and nobody could find them.
    for dir in [Some(path), path.parent().filter(|parent| !parent.as_os_str().is_empty())].into_iter().flatten() {
        segment::sync_dir(dir).map_err(|cause| OpenError::io("sync", dir, cause))?;
    }
    let partitions = reads::partition_states(&db, fixed.partitions).map_err(|error| OpenError::state(path, error))?;
    let health = Arc::new(Health::default());
    let log = Arc::new(Log::open(&log_dir(path), log_options(&options, &fixed, &partitions), Arc::clone(&health))?);
    faults::point("open.log");
    let heads = Arc::new(Heads::new(&partitions));
    let db = Arc::new(db);
    let hold = Arc::new(KnownHold::default());
    hold.note(reads::hold(&db).map_err(|error| OpenError::state(path, error))?);
    let shared = (Arc::clone(&heads), Arc::clone(&hold), Arc::clone(&health));
    let writer = Writer::start(Arc::clone(&db), Arc::clone(&log), partitions, shared)
        .map_err(|cause| OpenError::io("start the commit thread for", path, cause))?;
    let partitions = PartitionCount::new(fixed.partitions).ok_or_else(|| OpenError::corrupt(path, "it has no partitions"))?;
    let files = RwLock::new(Some(Files { db, _lock: lock }));
    Ok(EmbeddedStore {
        dir: path.to_owned(),
        partitions,
        incarnation: fixed.incarnation,
        clock: options.clock,
        log,
        writer,
        heads,
        hold,
        health,
        files,
        pages: Semaphore::new(PAGES_AT_ONCE),
        solo: Solo::new(partitions),
        backups: Arc::default(),
    })
}

fn log_options(options: &EmbeddedOptions, fixed: &Fixed, partitions: &[PartitionState]) -> LogOptions {
    LogOptions {
        clock: Arc::clone(&options.clock),
        incarnation: fixed.incarnation,
        checkpoints: partitions.iter().map(|state| state.checkpoint).collect(),
        floor_ms: partitions.iter().map(|state| state.closed_at_ms).max().unwrap_or(0),
        backlog_max: options.backlog_max,
        keep_segments: options.log_retention,
        segment_bytes: options.segment_bytes,
    }
}

fn open_state(path: &Path, options: &EmbeddedOptions) -> Result<(Database, Fixed), OpenError> {
    let (file, asked) = (path.join(place::STATE), options.partitions);
    let failed = |cause: redb::Error| OpenError::State { path: file.clone(), cause };
    let mut builder = Database::builder();
    // About 0.4 s a million conversations: without a word, a large store would seem to hang after a crash.
    builder.set_repair_callback(|repair| tracing::info!(progress = repair.progress(), "checking the state file after a crash"));
    let db = builder.set_cache_size(options.cache_bytes).create(&file).map_err(|cause| failed(cause.into()))?;
    let mut fixed = match stored(&db).map_err(failed)? {
        Some(fixed) => fixed,
        None => {
            let segments = segment::segment_numbers(&log_dir(path)).map_err(|cause| OpenError::io("list", path, cause))?;
            if !segments.is_empty() {
                return Err(OpenError::StateMissing { dir: path.to_owned() });
            }
            let fixed = Fixed {
                format: FORMAT,
                partitions: asked.map_or(PARTITIONS_DEFAULT, PartitionCount::get),
                incarnation: crate::chance::token(),
            };
            create(&db, &fixed).map_err(failed)?;
            fixed
        }
    };
    let is_backup = fixed.format == BACKUP_FORMAT;
    if is_backup && options.as_it_is {
        return Err(OpenError::IsBackup { dir: path.to_owned() });
    }
    if fixed.format != FORMAT && !is_backup {
        return Err(OpenError::Format { file, found: fixed.format });
    }
    if let Some(asked) = asked.filter(|asked| asked.get() != fixed.partitions) {
        return Err(OpenError::Partitions { dir: path.to_owned(), stored: fixed.partitions, asked: asked.get() });
    }
    if is_backup {
        fixed.incarnation = restore::begin_anew(&db, path, options)?;
    }
    Ok((db, fixed))
}

/// `None` in a file that was just created, or whose creation a crash cut short.
fn stored(db: &Database) -> Result<Option<Fixed>, redb::Error> {
    let txn = db.begin_write()?;
    let table = txn.open_table(tables::META)?;
    let get = |name: &str| Ok::<_, redb::Error>(table.get(name)?.map(|value| value.value()));
    let Some(format) = get("format")? else { return Ok(None) };
    let partitions = get("partitions")?.and_then(|count| u16::try_from(count).ok()).unwrap_or(0);
    Ok(Some(Fixed { format, partitions, incarnation: get("incarnation")?.unwrap_or(0) }))
}

/// One transaction: a store is there with all its tables and partitions, or not at all.
fn create(db: &Database, fixed: &Fixed) -> Result<(), redb::Error> {
    let txn = db.begin_write()?;
    {
        let mut meta = txn.open_table(tables::META)?;
        meta.insert("format", fixed.format)?;
        meta.insert("partitions", u64::from(fixed.partitions))?;
        meta.insert("incarnation", fixed.incarnation)?;
        let mut partitions = txn.open_table(tables::PARTITIONS)?;
        let new = PartitionState { oldest_notification: 1, ..PartitionState::default() }.encode();
        for partition in 0..fixed.partitions {
            partitions.insert(partition, new.as_slice())?;
        }
        txn.open_table(tables::STATES)?;
        txn.open_table(tables::DEADLINES)?;
        txn.open_table(tables::NOTIFICATIONS)?;
        txn.open_table(tables::DEAD_LETTERS)?;
        txn.open_table(tables::SETTINGS)?;
        txn.open_table(tables::DOCUMENTS)?;
        txn.open_table(tables::APPLIED_SETTINGS)?;
    }
    faults::point("create.written");
    txn.commit()?;
    faults::point("create.committed");
    Ok(())
}

impl OpenError {
    fn corrupt(path: &Path, reason: &str) -> Self {
        Self::State { path: path.join("state.redb"), cause: redb::Error::Corrupted(reason.into()) }
    }

    fn state(path: &Path, error: reads::ReadError) -> Self {
        match error {
            reads::ReadError::File(cause) => Self::State { path: path.join("state.redb"), cause },
            reads::ReadError::Settings { reason, .. } | reads::ReadError::Rollup { reason, .. } => Self::corrupt(path, &reason),
        }
    }
}
