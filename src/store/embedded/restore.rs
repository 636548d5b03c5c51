//! A backup becomes a store of its own when it is first opened: under a new incarnation, for what subscribers remember of
//! the old one means nothing here; with its closes held, for what was accepted after the backup is missing, a reply among it
//! perhaps. One transaction says all of that; a crash before it leaves the backup as it was.

use std::path::Path;

use redb::{Database, ReadableDatabase, ReadableTable};

use super::segment::{self, Encoded, Segment};
use super::{EmbeddedOptions, OpenError, log_dir, reads, tables, writes};
use crate::domain::Timestamp;
use crate::store::Hold;
use crate::wire::time::format;

/// Bytes in one frame of the log.
const FRAME_BYTES: usize = 1 << 20;

/// Answers with the new incarnation.
pub fn begin_anew(db: &Database, path: &Path, options: &EmbeddedOptions) -> Result<u64, OpenError> {
    let file = path.join(super::place::STATE);
    let failed = |cause: redb::Error| OpenError::State { path: file.clone(), cause };
    let incarnation = crate::chance::token();
    write_log(db, &log_dir(path), incarnation, options.segment_bytes).map_err(|error| error.at(path))?;
    let taken_at = taken_at(db).map_err(failed)?;
    let why = format!("a backup of {} was restored: what was accepted since is missing", format(taken_at));
    let hold = Hold { why: why.into(), since: Some(options.clock.now()) };
    take_over(db, incarnation, &hold).map_err(failed)?;
    tracing::warn!(taken_at = format(taken_at), incarnation = format!("{incarnation:016x}"), "this is a backup: it begins anew as a store");
    Ok(incarnation)
}

/// Into the files of a store: what is not applied. What an earlier start wrote, and did not come to say, is written over.
fn write_log(db: &Database, dir: &Path, incarnation: u64, segment_bytes: u64) -> Result<(), NotWritten> {
    for number in segment::segment_numbers(dir)? {
        std::fs::remove_file(segment::segment_path(dir, number))?;
    }
    let Some(table) = reads::created(db.begin_read()?.open_table(tables::UNAPPLIED))? else { return Ok(()) };
    let mut segment = Segment::create(dir, 1, incarnation)?;
    let (mut frame, mut entries) = (Encoded::default(), 0);
    for row in table.iter()? {
        let (key, bytes) = row?;
        let Some((id, partition)) = tables::parse_unapplied_key(key.value()) else { continue };
        frame.push(partition, bytes.value());
        frame.set_id(entries, id);
        entries += 1;
        if frame.len() >= FRAME_BYTES {
            segment.write(std::iter::once(&frame))?;
            (frame, entries) = (Encoded::default(), 0);
            if segment.len >= segment_bytes {
                segment = Segment::create(dir, segment.number + 1, incarnation)?;
            }
        }
    }
    if entries > 0 {
        segment.write(std::iter::once(&frame))?;
    }
    Ok(())
}

fn taken_at(db: &Database) -> Result<Timestamp, redb::Error> {
    let table = db.begin_read()?.open_table(tables::META)?;
    let ms = table.get(tables::TAKEN_AT)?.map_or(0, |value| value.value());
    Ok(Timestamp::from_millis(i64::try_from(ms).unwrap_or(0)))
}

/// Only from here on it is a store, which any version of this format reads.
fn take_over(db: &Database, incarnation: u64, hold: &Hold) -> Result<(), redb::Error> {
    let txn = db.begin_write()?;
    {
        let mut meta = txn.open_table(tables::META)?;
        meta.insert("format", super::open::FORMAT)?;
        meta.insert("incarnation", incarnation)?;
        meta.remove(tables::TAKEN_AT)?;
    }
    txn.delete_table(tables::UNAPPLIED)?;
    writes::hold(&txn, Some(hold))?;
    Ok(txn.commit()?)
}

enum NotWritten {
    State(redb::Error),
    Log(std::io::Error),
}

impl NotWritten {
    fn at(self, path: &Path) -> OpenError {
        match self {
            Self::State(cause) => OpenError::State { path: path.join(super::place::STATE), cause },
            Self::Log(cause) => OpenError::io("write the log in", path, cause),
        }
    }
}

impl From<std::io::Error> for NotWritten {
    fn from(cause: std::io::Error) -> Self {
        Self::Log(cause)
    }
}

macro_rules! of_state {
    ($($error:ty),+) => {
        $(impl From<$error> for NotWritten {
            fn from(cause: $error) -> Self {
                Self::State(cause.into())
            }
        })+
    };
}

of_state!(redb::TransactionError, redb::TableError, redb::StorageError);
