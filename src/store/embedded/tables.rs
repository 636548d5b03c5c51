//! The tables of the state file, and how their keys sort.
//!
//! A key that belongs to a partition begins with the partition's number, big-endian: what one partition writes lies close
//! together, and a range over a partition is a range of keys. Instants sort as numbers: big-endian with the sign bit
//! turned. Values are the forms of [`record`](crate::store::record), some with a few fixed bytes in front.

use redb::TableDefinition;

use super::super::{Document, DueKey, Hold, LogId, Shelf};
use crate::domain::report::Day;
use crate::domain::{ConversationKey, PartitionId, Timestamp};

type Bytes = &'static [u8];

/// `format`, `partitions`, `incarnation`.
pub const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
/// partition -> [`PartitionState`](super::partition::PartitionState).
pub const PARTITIONS: TableDefinition<u16, Bytes> = TableDefinition::new("partitions");
/// partition, conversation -> when to look at it, conversation.
pub const STATES: TableDefinition<Bytes, Bytes> = TableDefinition::new("states");
/// partition, instant, conversation.
pub const DEADLINES: TableDefinition<Bytes, ()> = TableDefinition::new("deadlines");
/// partition, number -> previous number or 0, notice.
pub const NOTIFICATIONS: TableDefinition<Bytes, Bytes> = TableDefinition::new("notifications");
/// partition, id -> dead letter.
pub const DEAD_LETTERS: TableDefinition<Bytes, Bytes> = TableDefinition::new("dead_letters");
/// workspace -> settings: the master documents.
pub const SETTINGS: TableDefinition<&str, Bytes> = TableDefinition::new("settings");
/// shelf `/` workspace -> version, document.
pub const DOCUMENTS: TableDefinition<&str, Bytes> = TableDefinition::new("documents");
/// partition, workspace -> settings the partition has applied.
pub const APPLIED_SETTINGS: TableDefinition<Bytes, Bytes> = TableDefinition::new("applied_settings");

/// partition, day, workspace -> what reports count of it.
pub const ROLLUPS: TableDefinition<Bytes, Bytes> = TableDefinition::new("rollups");

/// partition, conversation, a space and a slot -> what somebody wrote.
pub const TEXTS: TableDefinition<Bytes, Bytes> = TableDefinition::new("texts");

/// In [`META`] of a backup: when it was taken, in ms.
pub const TAKEN_AT: &str = "taken_at";
/// Of a backup alone: id, partition -> entry of the log that was not applied when it was taken.
pub const UNAPPLIED: TableDefinition<Bytes, Bytes> = TableDefinition::new("unapplied");

/// All tables of a store: a backup that lacks one is none.
pub const ALL: [&str; 13] = [
    "meta",
    "partitions",
    "states",
    "deadlines",
    "notifications",
    "dead_letters",
    "settings",
    "documents",
    "applied_settings",
    "rollups",
    "texts",
    "hold",
    "lists",
];

pub fn unapplied_key(id: LogId, partition: PartitionId) -> [u8; 18] {
    let mut key = [0; 18];
    key[..8].copy_from_slice(&id.ms.to_be_bytes());
    key[8..16].copy_from_slice(&id.seq.to_be_bytes());
    key[16..].copy_from_slice(&partition_start(partition));
    key
}

/// Reads what [`unapplied_key`] wrote.
pub fn parse_unapplied_key(key: &[u8]) -> Option<(LogId, PartitionId)> {
    let (ms, rest) = key.split_first_chunk()?;
    let (seq, partition) = rest.split_first_chunk()?;
    let id = LogId { ms: u64::from_be_bytes(*ms), seq: u64::from_be_bytes(*seq) };
    Some((id, PartitionId(u16::from_be_bytes(partition.try_into().ok()?))))
}

/// [`HELD`] -> since when nothing closes, and why; empty while all is as usual.
pub const HOLD: TableDefinition<&str, Bytes> = TableDefinition::new("hold");
/// The only key of [`HOLD`].
pub const HELD: &str = "closes";

/// partition, entry of a list (`lists.rs`).
pub const LISTS: TableDefinition<Bytes, ()> = TableDefinition::new("lists");

pub fn text_key(key: &mut Vec<u8>, partition: PartitionId, conversation: &str, slot: u8) {
    state_key(key, partition, conversation);
    key.extend_from_slice(&[b' ', slot]);
}

/// Days sort as numbers, like instants.
pub fn rollup_key(key: &mut Vec<u8>, partition: PartitionId, day: Day, workspace: &str) {
    key.extend_from_slice(&partition_start(partition));
    key.extend_from_slice(&(day.0 as u32 ^ 1 << 31).to_be_bytes());
    key.extend_from_slice(workspace.as_bytes());
}

/// Reads what [`rollup_key`] wrote.
pub fn parse_rollup_key(key: &[u8]) -> Option<(Day, &str)> {
    let (day, workspace) = key.get(2..)?.split_first_chunk()?;
    Some((Day((u32::from_be_bytes(*day) ^ 1 << 31) as i32), std::str::from_utf8(workspace).ok()?))
}

pub fn document_key(shelf: Shelf, workspace: &str) -> Box<str> {
    format!("{}/{workspace}", shelf.as_str()).into()
}

pub fn document_value(document: &Document) -> Vec<u8> {
    [&document.version.to_be_bytes(), document.bytes.as_slice()].concat()
}

/// The version of what [`document_value`] wrote, and the rest.
pub fn document(stored: &[u8]) -> Option<(u64, &[u8])> {
    let (version, bytes) = stored.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*version), bytes))
}

pub fn hold_value(hold: &Hold) -> Vec<u8> {
    let since = hold.since.map_or(0, Timestamp::as_millis);
    [&since.to_be_bytes(), hold.why.as_bytes()].concat()
}

/// Reads what [`hold_value`] wrote. What cannot be read holds all the same.
pub fn hold(stored: &[u8]) -> Hold {
    let (since, why) = stored.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
    let since = Some(i64::from_be_bytes(*since)).filter(|ms| *ms > 0).map(Timestamp::from_millis);
    Hold { why: String::from_utf8_lossy(why).into(), since }
}

/// Writes of one batch to one table, in one buffer: thousands of small boxes cost more than the writing does.
#[derive(Default)]
pub struct Writes {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

#[derive(Clone, Copy)]
struct Span {
    key: usize,
    value: usize,
    end: usize,
    removes: bool,
}

impl Writes {
    /// `fill` appends the value.
    pub fn put(&mut self, key: impl FnOnce(&mut Vec<u8>), fill: impl FnOnce(&mut Vec<u8>)) {
        self.push(key, fill, false);
    }

    pub fn remove(&mut self, key: impl FnOnce(&mut Vec<u8>)) {
        self.push(key, |_| {}, true);
    }

    fn push(&mut self, key: impl FnOnce(&mut Vec<u8>), fill: impl FnOnce(&mut Vec<u8>), removes: bool) {
        let start = self.bytes.len();
        key(&mut self.bytes);
        let value = self.bytes.len();
        fill(&mut self.bytes);
        self.spans.push(Span { key: start, value, end: self.bytes.len(), removes });
    }

    /// The index entry of the row at `state_key` goes from one place to another.
    pub fn move_deadline(&mut self, state_key: &[u8], from: Option<Timestamp>, to: Option<Timestamp>) {
        if from == to {
            return;
        }
        let (partition, conversation) = state_key.split_at(PARTITION_BYTES);
        let key = |at| move |out: &mut Vec<u8>| [partition, &instant(at), conversation].iter().for_each(|part| out.extend_from_slice(part));
        if let Some(at) = from {
            self.remove(key(at));
        }
        if let Some(at) = to {
            self.put(key(at), |_| {});
        }
    }

    /// Sorts by key: neighbours in the tree are written one after the other, and its pages are touched once.
    pub fn sort(&mut self) {
        let bytes = &self.bytes;
        self.spans.sort_by(|a, b| bytes[a.key..a.value].cmp(&bytes[b.key..b.value]));
    }

    /// Key and value; no value where the key goes.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.spans.iter().map(|span| {
            let value = (!span.removes).then(|| &self.bytes[span.value..span.end]);
            (&self.bytes[span.key..span.value], value)
        })
    }

    pub fn len(&self) -> usize {
        self.spans.len()
    }

    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }
}

/// The first key of a partition; of the one behind the last too, as the end of the last.
pub fn partition_start(partition: PartitionId) -> [u8; 2] {
    partition.0.to_be_bytes()
}

pub fn partition_end(partition: PartitionId) -> [u8; 2] {
    (partition.0 + 1).to_be_bytes()
}

pub fn state_key(key: &mut Vec<u8>, partition: PartitionId, conversation: &str) {
    key.extend_from_slice(&partition_start(partition));
    key.extend_from_slice(conversation.as_bytes());
}

pub fn deadline_key(key: &mut Vec<u8>, partition: PartitionId, at: Timestamp, conversation: &str) {
    key.extend_from_slice(&partition_start(partition));
    key.extend_from_slice(&instant(at));
    key.extend_from_slice(conversation.as_bytes());
}

/// Reads what [`deadline_key`] wrote.
pub fn parse_deadline_key(key: &[u8]) -> Option<DueKey> {
    let instant = u64::from_be_bytes(key.get(2..10)?.try_into().ok()?);
    let at = Timestamp::from_millis((instant ^ SIGN) as i64);
    let key = ConversationKey::parse(std::str::from_utf8(&key[10..]).ok()?).ok()?;
    Some(DueKey { at, key })
}

pub fn notification_key(partition: PartitionId, number: u64) -> [u8; 10] {
    let mut key = [0; 10];
    key[..2].copy_from_slice(&partition_start(partition));
    key[2..].copy_from_slice(&number.to_be_bytes());
    key
}

pub fn dead_letter_key(partition: PartitionId, id: LogId) -> [u8; 18] {
    let mut key = [0; 18];
    key[..2].copy_from_slice(&partition_start(partition));
    key[2..10].copy_from_slice(&id.ms.to_be_bytes());
    key[10..].copy_from_slice(&id.seq.to_be_bytes());
    key
}

/// The first bytes of every row of a workspace, and the first key behind them: `0` follows `/`.
pub fn workspace_range(partition: PartitionId, workspace: &str) -> (Vec<u8>, Vec<u8>) {
    let mut start = Vec::with_capacity(3 + workspace.len());
    state_key(&mut start, partition, workspace);
    let mut end = start.clone();
    start.push(b'/');
    end.push(b'/' + 1);
    (start, end)
}

const PARTITION_BYTES: usize = 2;
const SIGN: u64 = 1 << 63;
const NEVER: u8 = 0;
const LOOK_AT: u8 = 1;

fn instant(at: Timestamp) -> [u8; 8] {
    (at.as_millis() as u64 ^ SIGN).to_be_bytes()
}

/// What a row begins with: when to look at it.
pub fn put_look_at(value: &mut Vec<u8>, look_at: Option<Timestamp>) {
    match look_at {
        None => value.push(NEVER),
        Some(at) => {
            value.push(LOOK_AT);
            value.extend_from_slice(&instant(at));
        }
    }
}

/// Takes apart what a row begins with and the conversation behind it.
pub fn split_look_at(value: &[u8]) -> Option<(Option<Timestamp>, &[u8])> {
    match value.split_first()? {
        (&NEVER, rest) => Some((None, rest)),
        (&LOOK_AT, rest) => {
            let (instant, rest) = rest.split_first_chunk()?;
            Some((Some(Timestamp::from_millis((u64::from_be_bytes(*instant) ^ SIGN) as i64)), rest))
        }
        _ => None,
    }
}

/// When to look at a row; `None` too where its first bytes are not what they should be.
pub fn look_at(row: &[u8]) -> Option<Timestamp> {
    split_look_at(row)?.0
}

/// What a notification begins with: the number of its conversation's one before it. Numbers begin at 1.
pub fn put_previous(value: &mut Vec<u8>, previous: Option<u64>) {
    value.extend_from_slice(&previous.unwrap_or(0).to_be_bytes());
}

/// Takes apart what a notification begins with and the notice behind it.
pub fn split_previous(value: &[u8]) -> Option<(Option<u64>, &[u8])> {
    let (previous, notice) = value.split_first_chunk()?;
    Some((Some(u64::from_be_bytes(*previous)).filter(|number| *number > 0), notice))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(at: i64, conversation: &str) -> Vec<u8> {
        let mut key = Vec::new();
        deadline_key(&mut key, PartitionId(3), Timestamp::from_millis(at), conversation);
        key
    }

    #[test]
    fn deadlines_sort_by_instant_then_name() {
        let sorted = [key(i64::MIN, "a/z"), key(-1, "a/b"), key(0, "a/b"), key(1, "a/a"), key(1, "a/b"), key(i64::MAX, "a/a")];
        assert!(sorted.is_sorted());
        let read = parse_deadline_key(&key(-1, "a/b")).unwrap();
        assert_eq!((read.at.as_millis(), read.key.as_str()), (-1, "a/b"));
    }

    #[test]
    fn days_sort_as_numbers_and_read_back() {
        let key = |day, workspace| {
            let mut key = Vec::new();
            rollup_key(&mut key, PartitionId(3), Day(day), workspace);
            key
        };
        assert!([key(i32::MIN, "b"), key(-1, "a"), key(0, "a"), key(0, "b"), key(20_000, "a"), key(i32::MAX, "a")].is_sorted());
        assert_eq!(parse_rollup_key(&key(-7, "acme")), Some((Day(-7), "acme")));
    }

    #[test]
    fn look_at_reads_back() {
        for look_at in [None, Some(Timestamp::MIN), Some(Timestamp::from_millis(7)), Some(Timestamp::MAX)] {
            let mut value = Vec::new();
            put_look_at(&mut value, look_at);
            value.push(9);
            assert_eq!(split_look_at(&value), Some((look_at, &[9][..])));
        }
        assert_eq!(split_look_at(&[7]), None);
    }

    #[test]
    fn a_workspace_does_not_reach_into_its_neighbour() {
        let (start, end) = workspace_range(PartitionId(0), "ab");
        let row = |text| {
            let mut key = Vec::new();
            state_key(&mut key, PartitionId(0), text);
            key
        };
        assert!(start < row("ab/0") && row("ab/~") < end);
        for other in ["a/b", "ab-c/1", "abc/1"] {
            assert!(row(other) < start || row(other) >= end, "{other}");
        }
    }
}
