//! Reading what Redis answers, without trusting that it is what was asked for.

use redis::Value;

use crate::store::{LogId, StoreError};

pub fn odd(what: &str) -> StoreError {
    StoreError::Unavailable(format!("Redis answered something else than {what}").into())
}

pub fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.as_bytes()),
        Value::VerbatimString { text, .. } => Some(text.as_bytes()),
        _ => None,
    }
}

pub fn text(value: &Value) -> Option<&str> {
    std::str::from_utf8(bytes(value)?).ok()
}

/// A number, as itself or written out.
pub fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        value => text(value)?.parse().ok(),
    }
}

pub fn log_id(value: &Value) -> Option<LogId> {
    LogId::parse(text(value)?)
}

/// What is in a list; nothing is an empty one.
pub fn list(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(values) | Value::Set(values) => Some(values),
        Value::Nil => Some(Vec::new()),
        _ => None,
    }
}

/// Pairs of a flat list, or of a map.
pub fn pairs(value: Value) -> Option<Vec<(Value, Value)>> {
    if let Value::Map(pairs) = value {
        return Some(pairs);
    }
    let mut values = list(value)?.into_iter();
    let mut pairs = Vec::with_capacity(values.len() / 2);
    while let Some(first) = values.next() {
        pairs.push((first, values.next()?));
    }
    Some(pairs)
}

/// Entries of a stream: their ids and their fields.
pub fn entries(value: Value) -> Option<Vec<(LogId, Vec<(Value, Value)>)>> {
    list(value)?.into_iter().map(entry).collect()
}

fn entry(value: Value) -> Option<(LogId, Vec<(Value, Value)>)> {
    let mut parts = list(value)?.into_iter();
    let (id, fields) = (parts.next()?, parts.next()?);
    Some((log_id(&id)?, pairs(fields)?))
}

pub fn field<'a>(fields: &'a [(Value, Value)], name: &str) -> Option<&'a [u8]> {
    fields.iter().find(|(field, _)| bytes(field) == Some(name.as_bytes())).and_then(|(_, value)| bytes(value))
}
