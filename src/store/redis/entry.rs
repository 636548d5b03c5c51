//! Entries of a log as fields of a stream: our own, and what other programs put there (CONTRACT.md, "From Redis directly").

use redis::Value;

use super::value;
use crate::domain::{ConversationKey, PartitionCount, PartitionId};
use crate::store::{Entry, LogEntry, LogId, Unreadable, record};
use crate::wire::event::{Parsed, parse_json, parse_msgpack};

/// Bytes of an unreadable entry that are kept for whoever looks at the dead letters.
const KEPT_MAX: usize = 64 * 1024;

pub const EVENT_JSON: &str = "application/cloudevents+json";
pub const EVENT_MSGPACK: &str = "application/vnd.msgpack";

/// What is to be added to a stream for this entry. `at` is there for the commit script, which reads no records.
pub fn add(key: &str, entry: &Entry) -> redis::Cmd {
    let form = record::encode_entry(entry);
    let mut cmd = redis::Cmd::with_capacity(7, key.len() + form.len() + 64);
    cmd.arg("XADD").arg(key).arg("*").arg("e").arg(form);
    if let Entry::Again { accepted_at, .. } = entry {
        cmd.arg("at").arg(accepted_at.as_millis());
    }
    cmd
}

/// What a partition finds in its log.
pub fn read(id: LogId, fields: &[(Value, Value)], partition: PartitionId, partitions: PartitionCount) -> LogEntry {
    let own = value::field(fields, "e").is_some();
    let entry = decode(fields).and_then(|entry| if own { Ok(entry) } else { at_home(entry, partition, partitions) });
    let entry = entry.map_err(|Spoiled { reason, conversation }| {
        // Another partition's conversation is not this one's to hold.
        let conversation = conversation.filter(|key| key.partition(partitions) == partition);
        Unreadable { reason: reason.into(), bytes: kept(fields), conversation }
    });
    LogEntry { id, entry, foreign: !own }
}

/// Why an entry cannot be read, and whom it is about if that much can.
#[derive(Debug)]
pub struct Spoiled {
    pub reason: String,
    conversation: Option<ConversationKey>,
}

impl From<String> for Spoiled {
    fn from(reason: String) -> Self {
        Self { reason, conversation: None }
    }
}

/// An entry of ours, or one event from outside.
pub fn decode(fields: &[(Value, Value)]) -> Result<Entry, Spoiled> {
    if let Some(form) = value::field(fields, "e") {
        return record::decode_entry(form).map_err(|error| error.to_string().into());
    }
    let (Some(kind), Some(event)) = (value::field(fields, "ct"), value::field(fields, "ce")) else {
        return Err(format!("the fields `ct` ({EVENT_JSON}) and `ce` (the event) are needed").into());
    };
    let kind = String::from_utf8_lossy(kind);
    let parsed = match kind.split(';').next().unwrap_or_default().trim() {
        EVENT_JSON | "application/json" => parse_json(event),
        EVENT_MSGPACK => parse_msgpack(event),
        other => {
            // Escaped: an operator reads it on a terminal.
            let shown: String = other.chars().take(64).flat_map(char::escape_debug).collect();
            return Err(format!("`ct` is {shown}, it must be {EVENT_JSON} or {EVENT_MSGPACK}").into());
        }
    };
    match parsed.map_err(|problem| Spoiled { reason: problem.to_string(), conversation: problem.conversation })? {
        Parsed::Event(event) => Ok(Entry::Event(event)),
        Parsed::Ignored { type_name } => Ok(Entry::Ignored { type_name }),
    }
}

/// A conversation has one partition: applied by another, it would exist twice.
fn at_home(entry: Entry, partition: PartitionId, partitions: PartitionCount) -> Result<Entry, Spoiled> {
    let home = entry.event().map_or(partition, |event| event.conversation.partition(partitions));
    if home == partition {
        return Ok(entry);
    }
    Err(format!(
        "its conversation belongs to partition {home}, not {partition}: CRC-32 of `workspace/conversation`, mod {}",
        partitions.get()
    )
    .into())
}

/// The fields as they were, a line each: what an operator can still read.
fn kept(fields: &[(Value, Value)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (field, content) in fields {
        let (field, content) = (value::bytes(field).unwrap_or_default(), value::bytes(content).unwrap_or_default());
        let room = KEPT_MAX.saturating_sub(bytes.len());
        bytes.extend_from_slice(&field[..field.len().min(room)]);
        bytes.push(b'=');
        bytes.extend_from_slice(&content[..content.len().min(room)]);
        bytes.push(b'\n');
    }
    bytes
}
