//! The part of a partition's log that is not applied yet, in memory: readers never touch the disk.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use super::super::{LogEntry, LogId};

#[derive(Default)]
pub struct Tail {
    published: Mutex<Published>,
    /// Wakes readers; to be awaited before looking, so that nothing is missed in between.
    pub arrived: Notify,
}

#[derive(Default)]
struct Published {
    entries: VecDeque<LogEntry>,
    applied: LogId,
}

impl Tail {
    /// Shows an entry, which is durable by now, to readers; they are woken by a call of `arrived`.
    pub fn publish(&self, entry: LogEntry) {
        let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        if entry.id > published.applied {
            published.entries.push_back(entry);
        }
    }

    /// Entries strictly after `after`, in order, at most `limit`.
    pub fn after(&self, after: LogId, limit: usize) -> Vec<LogEntry> {
        let published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        let entries = &published.entries;
        let start = entries.partition_point(|entry| entry.id <= after);
        entries.range(start..).take(limit).cloned().collect()
    }

    /// Lets go of everything up to `checkpoint`.
    pub fn applied(&self, checkpoint: LogId) {
        let dropped: Vec<LogEntry> = {
            let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
            published.applied = published.applied.max(checkpoint);
            let count = published.entries.partition_point(|entry| entry.id <= checkpoint);
            published.entries.drain(..count).collect()
        };
        // Freed outside the lock: readers and the log's thread wait behind it.
        drop(dropped);
    }
}
