//! Copies a store that goes on, row by row, out of one read transaction: it sees whole commits and none that came later, so
//! conversations, deadlines, notifications and checkpoints agree. The end of the log that is not applied yet was copied
//! before it, so that nothing acknowledged falls between the two; of what is twice there, the checkpoints say that it is
//! applied. Segments are not touched.
//!
//! At most half of one core's time, and a few megabytes between two `fsync`s: the threads that write the store wait for
//! nothing here. Pages that were replaced meanwhile are kept until the copy is done, so the state file grows by about what
//! is written in that time, once.

use std::time::Duration;

use redb::{Database, Key, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition, TableHandle, Value};

use super::open::BACKUP_FORMAT;
use super::{Health, log::Log, reads, tables};
use crate::clock::Stopwatch;
use crate::domain::{PartitionCount, Timestamp};
use crate::store::{Contents, LogId, StoreError, record};

/// Bytes written in one go: about 20 ms on a slow disk.
const CHUNK_BYTES: usize = 2 << 20;
/// Entries of the log read in one go.
const CHUNK_ENTRIES: usize = 1_000;
/// Longest pause: a closing store waits for it.
const REST_MAX: Duration = Duration::from_millis(500);

pub struct Copy<'a> {
    pub db: &'a Database,
    pub log: &'a Log,
    pub health: &'a Health,
    pub partitions: PartitionCount,
    pub incarnation: u64,
    pub taken_at: Timestamp,
    /// Rows copied and of how many.
    pub told: &'a dyn Fn(u64, u64),
}

/// Why there is no copy, in words for an operator.
pub struct NotCopied(pub String);

impl<E: Into<redb::Error>> From<E> for NotCopied {
    fn from(cause: E) -> Self {
        Self(format!("copying failed: {}", cause.into()))
    }
}

impl From<StoreError> for NotCopied {
    fn from(cause: StoreError) -> Self {
        Self(cause.to_string())
    }
}

impl Copy<'_> {
    /// Writes all there is into `into`, an empty database, durable when this returns. Its size is not known yet.
    pub fn run(&self, into: &Database) -> Result<Contents, NotCopied> {
        self.meta(into)?;
        let position = self.log.last();
        self.tails(into, position)?;
        let txn = self.db.begin_read()?;
        let rows_of = all_known(&txn)?;
        let mut rows = 0;
        self.table(&txn, into, tables::STATES, (&mut rows, rows_of))?;
        let conversations = rows;
        for table in [tables::NOTIFICATIONS, tables::DEAD_LETTERS, tables::APPLIED_SETTINGS, tables::ROLLUPS, tables::TEXTS] {
            self.table(&txn, into, table, (&mut rows, rows_of))?;
        }
        for table in [tables::DEADLINES, tables::LISTS] {
            self.table(&txn, into, table, (&mut rows, rows_of))?;
        }
        for table in [tables::SETTINGS, tables::DOCUMENTS, tables::HOLD] {
            self.table(&txn, into, table, (&mut rows, rows_of))?;
        }
        self.table(&txn, into, tables::PARTITIONS, (&mut rows, rows_of))?;
        Ok(Contents { bytes: 0, conversations, unapplied: self.unapplied(into)?, position })
    }

    /// First of all: whoever opens it as a store from here on is told what it is.
    fn meta(&self, into: &Database) -> Result<(), NotCopied> {
        let txn = into.begin_write()?;
        {
            let mut meta = txn.open_table(tables::META)?;
            meta.insert("format", BACKUP_FORMAT)?;
            meta.insert("partitions", u64::from(self.partitions.get()))?;
            meta.insert("incarnation", self.incarnation)?;
            meta.insert(tables::TAKEN_AT, u64::try_from(self.taken_at.as_millis()).unwrap_or(0))?;
        }
        Ok(txn.commit()?)
    }

    /// What is accepted up to `position` and not applied, of all partitions.
    fn tails(&self, into: &Database, position: LogId) -> Result<(), NotCopied> {
        for partition in self.partitions.all() {
            let mut after = LogId::ZERO;
            loop {
                let began = Stopwatch::start();
                let entries = self.log.published(partition, after, CHUNK_ENTRIES);
                let Some(last) = entries.last().map(|entry| entry.id) else { break };
                let txn = into.begin_write()?;
                {
                    let mut table = txn.open_table(tables::UNAPPLIED)?;
                    for entry in entries.iter().filter(|entry| entry.id <= position) {
                        let bytes = entry.entry.as_ref().map_or_else(|unreadable| unreadable.bytes.clone(), record::encode_entry);
                        table.insert(tables::unapplied_key(entry.id, partition).as_slice(), bytes.as_slice())?;
                    }
                }
                txn.commit()?;
                self.rest(began)?;
                after = last;
                if last >= position {
                    break;
                }
            }
        }
        Ok(())
    }

    fn table<K: Key + 'static, V: Value + 'static>(
        &self,
        from: &ReadTransaction,
        into: &Database,
        definition: TableDefinition<'static, K, V>,
        (rows, rows_of): (&mut u64, u64),
    ) -> Result<(), NotCopied> {
        let Some(source) = reads::created(from.open_table(definition))? else { return Ok(()) };
        let mut all = source.iter()?;
        let mut more = true;
        while more {
            let (began, mut bytes) = (Stopwatch::start(), 0);
            let txn = into.begin_write()?;
            let mut target = txn.open_table(definition)?;
            more = false;
            for row in all.by_ref() {
                let (key, value) = row?;
                let (key, value) = (key.value(), value.value());
                bytes += K::as_bytes(&key).as_ref().len() + V::as_bytes(&value).as_ref().len();
                target.insert(&key, &value)?;
                *rows += 1;
                if bytes >= CHUNK_BYTES {
                    more = true;
                    break;
                }
            }
            drop(target);
            txn.commit()?;
            (self.told)(*rows, rows_of);
            self.rest(began)?;
        }
        Ok(())
    }

    /// Of the entries that were copied, those above the checkpoints that were.
    fn unapplied(&self, into: &Database) -> Result<u64, NotCopied> {
        let states = reads::partition_states(into, self.partitions.get()).map_err(StoreError::from)?;
        let Some(table) = reads::created(into.begin_read()?.open_table(tables::UNAPPLIED))? else { return Ok(0) };
        let mut count = 0;
        for row in table.iter()? {
            let key = row?.0;
            let above = |(id, partition): (LogId, crate::domain::PartitionId)| {
                states.get(usize::from(partition.0)).is_some_and(|state| id > state.checkpoint)
            };
            count += u64::from(tables::parse_unapplied_key(key.value()).is_some_and(above));
        }
        Ok(count)
    }

    /// Leaves the core and the disk to others for as long as they were taken; ends with the store.
    fn rest(&self, since: Stopwatch) -> Result<(), NotCopied> {
        self.health.check()?;
        std::thread::sleep(since.elapsed().min(REST_MAX));
        Ok(self.health.check()?)
    }
}

/// How many rows there are. A table that nobody here knows would be missing in the copy.
fn all_known(txn: &ReadTransaction) -> Result<u64, NotCopied> {
    let mut rows = 0;
    for table in txn.list_tables()? {
        if !tables::ALL.contains(&table.name()) {
            let name = table.name();
            return Err(NotCopied(format!("the store has a table `{name}` of a newer version: use the adjourn that wrote it")));
        }
        rows += txn.open_untyped_table(table)?.len()?;
    }
    Ok(rows)
}
