//! What the commits of a group write, table by table, beside rows and their index.

use redb::WriteTransaction;

use super::batch::Prepared;
use super::tables::{self, Writes};
use super::writer::Commit;
use crate::domain::PartitionId;
use crate::store::lists::ENTRIES;
use crate::store::{Hold, Lists, THINNED_MAX};

/// Writes in order of key; answers by how many rows the table grew.
pub fn put_all(table: &mut redb::Table<'_, &'static [u8], &'static [u8]>, writes: &Writes) -> Result<i64, redb::Error> {
    let mut more = 0;
    for (key, value) in writes.iter() {
        match value {
            Some(value) => more += i64::from(table.insert(key, value)?.is_none()),
            None => more -= i64::from(table.remove(key)?.is_some()),
        }
    }
    Ok(more)
}

pub fn notifications(txn: &WriteTransaction, commits: &[Commit]) -> Result<(), redb::Error> {
    let mut table = txn.open_table(tables::NOTIFICATIONS)?;
    for commit in commits {
        put_all(&mut table, &commit.batch.notifications)?;
        for number in commit.trimmed.clone() {
            table.remove(tables::notification_key(commit.partition, number).as_slice())?;
        }
    }
    Ok(())
}

/// Into tables that most commits leave alone.
pub fn seldom(txn: &WriteTransaction, commits: &[Commit]) -> Result<(), redb::Error> {
    let tables: [(_, fn(&Prepared) -> &Writes); 3] = [
        (tables::APPLIED_SETTINGS, |batch| &batch.settings),
        (tables::ROLLUPS, |batch| &batch.rollups),
        (tables::TEXTS, |batch| &batch.texts),
    ];
    for (table, writes) in tables {
        if commits.iter().all(|commit| writes(&commit.batch).is_empty()) {
            continue;
        }
        let mut table = txn.open_table(table)?;
        for commit in commits {
            put_all(&mut table, writes(&commit.batch))?;
        }
    }
    Ok(())
}

/// Why nothing closes from this commit on; `None`: all as usual.
pub fn hold(txn: &WriteTransaction, hold: Option<&Hold>) -> Result<(), redb::Error> {
    let mut table = txn.open_table(tables::HOLD)?;
    match hold {
        Some(hold) => drop(table.insert(tables::HELD, tables::hold_value(hold).as_slice())?),
        None => drop(table.remove(tables::HELD)?),
    }
    Ok(())
}

/// Answers by how many entries each partition has more.
pub fn lists(txn: &WriteTransaction, commits: &[Commit]) -> Result<Vec<(PartitionId, i64)>, redb::Error> {
    let mut more = Vec::new();
    if commits.iter().all(|commit| commit.batch.lists.is_empty() && commit.batch.lists_are != Lists::Thinned) {
        return Ok(more);
    }
    let mut table = txn.open_table(tables::LISTS)?;
    for commit in commits {
        let mut grown = 0;
        if commit.batch.lists_are == Lists::Thinned {
            let (start, end) = (tables::partition_start(commit.partition), tables::partition_end(commit.partition));
            let mut left = THINNED_MAX * ENTRIES;
            for entry in table.extract_from_if::<&[u8], _>(start.as_slice()..end.as_slice(), |_, ()| true)? {
                entry?;
                grown -= 1;
                left -= 1;
                if left == 0 {
                    break;
                }
            }
        }
        for (key, value) in commit.batch.lists.iter() {
            match value {
                Some(_) => grown += i64::from(table.insert(key, ())?.is_none()),
                None => grown -= i64::from(table.remove(key)?.is_some()),
            }
        }
        more.push((commit.partition, grown));
    }
    Ok(more)
}
