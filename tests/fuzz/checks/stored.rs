//! What is kept: records of this form version and of older ones, and the entries of a log in Redis. A byte before the rest says
//! which version it is; any other is refused by it.

use std::fmt::Debug;

use adjourn::domain::report::GroupBy;
use adjourn::domain::{PartitionCount, PartitionId};
use adjourn::edge::writers::built_in::learnt::Learnt;
use adjourn::store::record::{self, FORM_OLDEST, FORM_VERSION, RecordError};
use adjourn::store::redis::entry;
use adjourn::store::{Entry, LogId};
use redis::Value;

use super::presentable;

/// What was read is written, and read as the same; from then on its bytes stay as they are.
pub fn check<T: PartialEq + Debug>(data: &[u8], decode: fn(&[u8]) -> Result<T, RecordError>, encode: fn(&T) -> Vec<u8>) {
    let is_known = |version: &u8| (FORM_OLDEST..=FORM_VERSION).contains(version);
    match decode(data) {
        Ok(value) => {
            assert!(is_known(&data[0]));
            let written = encode(&value);
            assert_eq!(decode(&written).as_ref(), Ok(&value));
            assert_eq!(encode(&value), written, "one value has one form");
        }
        Err(error) => {
            presentable(&error.to_string());
            let other = data.first().is_some_and(|version| !is_known(version));
            assert_eq!(matches!(error, RecordError::Version { .. }), other, "another version, and nothing else, is told by the first byte");
        }
    }
}

pub fn conversation(data: &[u8]) {
    check(data, record::decode_conversation, record::encode_conversation);
}

pub fn entry(data: &[u8]) {
    check(data, record::decode_entry, record::encode_entry);
}

pub fn notice(data: &[u8]) {
    check(data, record::decode_notice, record::encode_notice);
}

pub fn settings(data: &[u8]) {
    check(data, record::decode_settings, record::encode_settings);
}

pub fn dead_letter(data: &[u8]) {
    check(data, record::decode_dead_letter, record::encode_dead_letter);
}

pub fn agents(data: &[u8]) {
    check(data, record::decode_agents, record::encode_agents);
}

pub fn keys(data: &[u8]) {
    check(data, record::decode_keys, record::encode_keys);
    check(data, record::decode_key_use, record::encode_key_use);
}

pub fn audit(data: &[u8]) {
    check(data, record::decode_audit, record::encode_audit);
}

pub fn rollup(data: &[u8]) {
    check(data, record::decode_rollup, record::encode_rollup);
    if let Ok(whole) = record::decode_rollup(data) {
        for by in GroupBy::ALL {
            assert_eq!(record::decode_rollup_of(data, Some(*by)), Ok(whole.clone().only(*by)), "what is passed over changes nothing");
        }
    }
}

pub fn said(data: &[u8]) {
    check(data, record::decode_said, record::encode_said);
}

pub fn history(data: &[u8]) {
    check(data, record::decode_history, record::encode_history);
}

/// What notes have taught: kept by whoever writes them, in a form of its own.
pub fn learnt(data: &[u8]) {
    match Learnt::decode(data) {
        Ok(learnt) => {
            let written = learnt.encode().expect("memory for a form");
            assert!(Learnt::decode(&written).is_ok_and(|read| read == learnt));
        }
        Err(error) => presentable(&error.to_string()),
    }
}

/// Fields and values of a stream's entry by turns, each behind two bytes with its length.
pub fn redis_entry(data: &[u8]) {
    let mut fields = Vec::new();
    let mut rest = data;
    while let (Some(name), Some(value)) = (text(&mut rest), text(&mut rest)) {
        fields.push((name, value));
    }
    let (id, count) = (LogId { ms: 5, seq: 7 }, PartitionCount::new(4).expect("four partitions"));
    match entry::read(id, &fields, PartitionId(1), count).entry {
        Ok(read) => {
            if let Entry::Event(event) = &read {
                let own = fields.iter().any(|(name, _)| *name == Value::BulkString(b"e".to_vec()));
                assert!(own || event.conversation.partition(count) == PartitionId(1), "an event of another partition");
            }
            assert_eq!(record::decode_entry(&record::encode_entry(&read)).as_ref(), Ok(&read));
        }
        Err(unreadable) => {
            presentable(&unreadable.reason);
            assert!(unreadable.bytes.len() <= 64 * 1024 + 2 * fields.len(), "{} bytes are kept", unreadable.bytes.len());
        }
    }
}

fn text(rest: &mut &[u8]) -> Option<Value> {
    let (length, after) = rest.split_first_chunk::<2>()?;
    let (text, after) = after.split_at(usize::from(u16::from_be_bytes(*length)).min(after.len()));
    *rest = after;
    Some(Value::BulkString(text.to_vec()))
}
