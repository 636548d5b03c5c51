//! Questions to the state file. Each is one read transaction: it sees whole commits, and none that came later.

use std::ops::Bound;

use redb::{Database, ReadableDatabase, ReadableTable};

use super::super::{DeadLetter, Document, DueKey, Hold, Loaded, LogId, Notification, NotificationPage, StoreError, Unreadable, lists};
use super::partition::PartitionState;
use super::tables;
use crate::domain::listing::SectionQuery;
use crate::domain::report::{Day, GroupBy, Rollup};
use crate::domain::writing::Said;
use crate::domain::{Conversation, ConversationKey, PartitionId, Settings, Timestamp};
use crate::store::record;

type Read<T> = Result<T, ReadError>;

/// Why a read failed: the file, or a stored document nobody may guess.
pub enum ReadError {
    File(redb::Error),
    Settings { workspace: Box<str>, reason: Box<str> },
    Rollup { workspace: Box<str>, reason: Box<str> },
}

impl<E: Into<redb::Error>> From<E> for ReadError {
    fn from(cause: E) -> Self {
        Self::File(cause.into())
    }
}

impl From<ReadError> for StoreError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::File(cause) => Self::Unavailable(format!("the state file could not be read: {cause}").into()),
            ReadError::Settings { workspace, reason } => Self::Unavailable(
                format!("the settings of workspace {workspace} cannot be read ({reason}); restore them from a backup").into(),
            ),
            ReadError::Rollup { workspace, reason } => {
                Self::Unreadable(format!("what reports count of workspace {workspace} cannot be read: {reason}").into())
            }
        }
    }
}

pub fn load(db: &Database, partition: PartitionId, keys: &[ConversationKey]) -> Read<Vec<Loaded>> {
    let table = db.begin_read()?.open_table(tables::STATES)?;
    let mut stored = Vec::new();
    let mut load = |key: &ConversationKey| {
        stored.clear();
        tables::state_key(&mut stored, partition, key.as_str());
        Ok(table.get(stored.as_slice())?.map_or(Loaded::Missing, |row| loaded(row.value())))
    };
    keys.iter().map(&mut load).collect()
}

fn loaded(row: &[u8]) -> Loaded {
    match conversation(row) {
        Ok((conversation, look_at)) => Loaded::Found { conversation: Box::new(conversation), look_at },
        Err(reason) => Loaded::Corrupt { reason },
    }
}

fn conversation(row: &[u8]) -> Result<(Conversation, Option<Timestamp>), Box<str>> {
    let (look_at, conversation) = tables::split_look_at(row).ok_or("the row does not begin with when to look at it")?;
    let conversation = record::decode_conversation(conversation).map_err(|error| error.to_string())?;
    Ok((conversation, look_at))
}

pub fn due(db: &Database, partition: PartitionId, until: Timestamp, after: Option<&DueKey>, limit: usize) -> Read<Vec<DueKey>> {
    let mut start = tables::partition_start(partition).to_vec();
    if let Some(DueKey { at, key }) = after {
        start.clear();
        tables::deadline_key(&mut start, partition, *at, key.as_str());
    }
    let end = tables::partition_end(partition);
    let table = db.begin_read()?.open_table(tables::DEADLINES)?;
    let mut due = Vec::new();
    if after.is_some_and(|after| after.at > until) {
        return Ok(due);
    }
    for entry in table.range::<&[u8]>((Bound::Excluded(start.as_slice()), Bound::Excluded(end.as_slice())))? {
        if due.len() == limit {
            break;
        }
        let key = entry?.0;
        let Some(key) = tables::parse_deadline_key(key.value()) else { continue };
        if key.at > until {
            break;
        }
        due.push(key);
    }
    Ok(due)
}

pub fn listed(db: &Database, partition: PartitionId, query: &SectionQuery) -> Read<Option<Vec<ConversationKey>>> {
    let SectionQuery { workspace, sections, after, limit } = query;
    let txn = db.begin_read()?;
    if !partition_state(&txn.open_table(tables::PARTITIONS)?, partition)?.lists_whole() {
        return Ok(None);
    }
    let Some(table) = created(txn.open_table(tables::LISTS))? else { return Ok(Some(Vec::new())) };
    let place = |entry: String| {
        let mut key = Vec::with_capacity(2 + entry.len());
        tables::state_key(&mut key, partition, &entry);
        key
    };
    let mut found = Vec::new();
    for section in sections.iter() {
        let Some((from, below)) = lists::range(workspace, section, after.as_ref()) else { continue };
        let (from, below) = (from.map(place), place(below));
        for entry in table.range::<&[u8]>((from.as_ref().map(Vec::as_slice), Bound::Excluded(below.as_slice())))?.take(*limit) {
            let entry = entry?.0;
            let name = std::str::from_utf8(&entry.value()[2..]).ok();
            found.extend(name.and_then(|name| lists::conversation(workspace, name)));
        }
    }
    Ok(Some(lists::merged(found, *limit)))
}

pub fn scan(
    db: &Database,
    partition: PartitionId,
    workspace: Option<&str>,
    after: Option<&ConversationKey>,
    limit: usize,
) -> Read<Vec<(ConversationKey, Conversation)>> {
    let (mut start, end) = match workspace {
        Some(workspace) => tables::workspace_range(partition, workspace),
        None => (tables::partition_start(partition).to_vec(), tables::partition_end(partition).to_vec()),
    };
    if let Some(after) = after {
        let mut key = Vec::new();
        tables::state_key(&mut key, partition, after.as_str());
        start = start.max(key);
    }
    let mut rows = Vec::new();
    if start >= end {
        return Ok(rows);
    }
    let table = db.begin_read()?.open_table(tables::STATES)?;
    for entry in table.range::<&[u8]>((Bound::Excluded(start.as_slice()), Bound::Excluded(end.as_slice())))? {
        if rows.len() == limit {
            break;
        }
        let (key, row) = entry?;
        let name = std::str::from_utf8(&key.value()[2..]).ok().and_then(|name| ConversationKey::parse(name).ok());
        let Some((name, Ok((conversation, _)))) = name.map(|name| (name, conversation(row.value()))) else { continue };
        rows.push((name, conversation));
    }
    Ok(rows)
}

pub fn notifications(db: &Database, partition: PartitionId, after: u64, limit: usize) -> Read<NotificationPage> {
    let txn = db.begin_read()?;
    let oldest = partition_state(&txn.open_table(tables::PARTITIONS)?, partition)?.oldest_notification;
    let mut page = NotificationPage { items: Vec::new(), oldest };
    let (start, end) = (tables::notification_key(partition, after), tables::notification_key(partition, u64::MAX));
    if start >= end {
        return Ok(page);
    }
    let table = txn.open_table(tables::NOTIFICATIONS)?;
    for entry in table.range::<&[u8]>((Bound::Excluded(start.as_slice()), Bound::Included(end.as_slice())))? {
        if page.items.len() == limit {
            break;
        }
        let (key, value) = entry?;
        match notification(key.value(), value.value()) {
            Ok(notification) => page.items.push(notification),
            // Nobody will ever read it: going on tells subscribers of all the others.
            Err(reason) => tracing::error!(%partition, key = ?key.value(), %reason, "a notification cannot be read and is left out"),
        }
    }
    Ok(page)
}

fn notification(key: &[u8], value: &[u8]) -> Result<Notification, Box<str>> {
    let number = key.get(2..).and_then(|number| number.try_into().ok()).map(u64::from_be_bytes).ok_or("its key is not one")?;
    let (previous, notice) = tables::split_previous(value).ok_or("it is too short")?;
    let notice = record::decode_notice(notice).map_err(|error| error.to_string())?;
    Ok(Notification { number, previous, notice })
}

pub fn dead_letters(db: &Database, partition: PartitionId, after: LogId, limit: usize) -> Read<Vec<DeadLetter>> {
    let (start, end) = (tables::dead_letter_key(partition, after), tables::partition_end(partition));
    let table = db.begin_read()?.open_table(tables::DEAD_LETTERS)?;
    let mut letters = Vec::new();
    for entry in table.range::<&[u8]>((Bound::Excluded(start.as_slice()), Bound::Excluded(end.as_slice())))?.take(limit) {
        let (key, value) = entry?;
        letters.push(dead_letter(partition, key.value(), value.value()));
    }
    Ok(letters)
}

/// A dead letter that cannot be read is still one: its entry may have been the reply, so nobody may lose sight of it.
fn dead_letter(partition: PartitionId, key: &[u8], value: &[u8]) -> DeadLetter {
    let part = |from: usize| key.get(from..from + 8).and_then(|n| n.try_into().ok()).map_or(0, u64::from_be_bytes);
    record::decode_dead_letter(value).unwrap_or_else(|error| DeadLetter {
        partition,
        id: LogId { ms: part(2), seq: part(10) },
        conversation: None,
        reason: "this dead letter itself cannot be read".into(),
        entry: Err(Unreadable { reason: error.to_string().into(), bytes: value.to_vec(), conversation: None }),
    })
}

pub fn applied_settings(db: &Database, partition: PartitionId, workspace: &str) -> Read<Option<Settings>> {
    let mut key = Vec::new();
    tables::state_key(&mut key, partition, workspace);
    let table = db.begin_read()?.open_table(tables::APPLIED_SETTINGS)?;
    let stored = table.get(key.as_slice())?;
    stored.map(|value| settings_of(workspace, value.value())).transpose()
}

pub fn all_applied_settings(db: &Database, partition: PartitionId) -> Read<Vec<(Box<str>, Settings)>> {
    let (start, end) = (tables::partition_start(partition), tables::partition_end(partition));
    let table = db.begin_read()?.open_table(tables::APPLIED_SETTINGS)?;
    let mut all = Vec::new();
    for entry in table.range::<&[u8]>(start.as_slice()..end.as_slice())? {
        let (key, value) = entry?;
        let workspace = String::from_utf8_lossy(&key.value()[2..]);
        let settings = settings_of(&workspace, value.value())?;
        all.push((workspace.into(), settings));
    }
    Ok(all)
}

pub fn settings(db: &Database, workspace: &str) -> Read<Option<Settings>> {
    let table = db.begin_read()?.open_table(tables::SETTINGS)?;
    let stored = table.get(workspace)?;
    stored.map(|value| settings_of(workspace, value.value())).transpose()
}

pub fn all_settings(db: &Database) -> Read<Vec<(Box<str>, Settings)>> {
    let table = db.begin_read()?.open_table(tables::SETTINGS)?;
    let mut all = Vec::new();
    for entry in table.iter()? {
        let (workspace, value) = entry?;
        match settings_of(workspace.value(), value.value()) {
            Ok(settings) => all.push((workspace.value().into(), settings)),
            // The others' settings are good; of this one the partitions go on with what they applied.
            Err(error) => {
                let error = StoreError::from(error);
                tracing::error!(%error, "a settings document is passed over");
            }
        }
    }
    Ok(all)
}

pub fn rollups(db: &Database, partition: PartitionId, workspace: &str, days: &[Day], only: Option<GroupBy>) -> Read<Vec<Rollup>> {
    let Some(table) = created(db.begin_read()?.open_table(tables::ROLLUPS))? else { return Ok(vec![Rollup::default(); days.len()]) };
    let mut key = Vec::new();
    let mut read = |day: &Day| {
        key.clear();
        tables::rollup_key(&mut key, partition, *day, workspace);
        let Some(stored) = table.get(key.as_slice())? else { return Ok(Rollup::default()) };
        let unreadable = |error: record::RecordError| ReadError::Rollup { workspace: workspace.into(), reason: error.to_string().into() };
        record::decode_rollup_of(stored.value(), only).map_err(unreadable)
    };
    days.iter().map(&mut read).collect()
}

pub fn texts(db: &Database, partition: PartitionId, key: &ConversationKey, slots: &[u8]) -> Read<Vec<Said>> {
    let Some(table) = created(db.begin_read()?.open_table(tables::TEXTS))? else { return Ok(Vec::new()) };
    let (mut stored, mut texts) = (Vec::new(), Vec::new());
    for slot in slots {
        stored.clear();
        tables::text_key(&mut stored, partition, key.as_str(), *slot);
        match table.get(stored.as_slice())?.map(|said| record::decode_said(said.value())) {
            Some(Ok(said)) => texts.push(said),
            Some(Err(error)) => tracing::error!(%partition, %key, %error, "a message that was kept cannot be read and is left out"),
            None => {}
        }
    }
    Ok(texts)
}

pub fn rollups_before(db: &Database, partition: PartitionId, day: Day, limit: usize) -> Read<Vec<(Day, Box<str>)>> {
    let Some(table) = created(db.begin_read()?.open_table(tables::ROLLUPS))? else { return Ok(Vec::new()) };
    let (start, mut end) = (tables::partition_start(partition), Vec::new());
    tables::rollup_key(&mut end, partition, day, "");
    let mut found = Vec::new();
    for entry in table.range::<&[u8]>(start.as_slice()..end.as_slice())?.take(limit) {
        let key = entry?.0;
        found.extend(tables::parse_rollup_key(key.value()).map(|(day, workspace)| (day, workspace.into())));
    }
    Ok(found)
}

/// Why nothing closes, if nothing does.
pub fn hold(db: &Database) -> Read<Option<Hold>> {
    let Some(table) = created(db.begin_read()?.open_table(tables::HOLD))? else { return Ok(None) };
    Ok(table.get(tables::HELD)?.map(|stored| tables::hold(stored.value())))
}

/// A table that a store of an older build does not have: nothing was written to it yet.
pub fn created<T>(table: Result<T, redb::TableError>) -> Result<Option<T>, redb::TableError> {
    match table {
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        table => table.map(Some),
    }
}

pub fn document(db: &Database, key: &str) -> Read<Option<Document>> {
    let Some(table) = created(db.begin_read()?.open_table(tables::DOCUMENTS))? else { return Ok(None) };
    let Some(stored) = table.get(key)? else { return Ok(None) };
    let (version, bytes) = tables::document(stored.value())
        .ok_or_else(|| redb::Error::Corrupted(format!("the document {key} is cut short; restore the store from a backup")))?;
    Ok(Some(Document { version, bytes: bytes.to_vec() }))
}

/// Settings that cannot be read are an error, never the defaults: those would close, or stop closing, behind
/// everybody's back.
fn settings_of(workspace: &str, value: &[u8]) -> Read<Settings> {
    record::decode_settings(value).map_err(|error| ReadError::Settings { workspace: workspace.into(), reason: error.to_string().into() })
}

/// The rows of all partitions, in order.
pub fn partition_states(db: &Database, count: u16) -> Read<Vec<PartitionState>> {
    let table = db.begin_read()?.open_table(tables::PARTITIONS)?;
    (0..count).map(|partition| partition_state(&table, PartitionId(partition))).collect()
}

fn partition_state(table: &impl ReadableTable<u16, &'static [u8]>, partition: PartitionId) -> Read<PartitionState> {
    let row = table.get(partition.0)?;
    let state = row.and_then(|row| PartitionState::decode(row.value()));
    state
        .ok_or_else(|| redb::Error::Corrupted(format!("partition {partition} has no readable row; restore the store from a backup")).into())
}
