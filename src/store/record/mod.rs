//! Stored forms: what a row, a log entry, a notification, a settings document and a dead letter look like as bytes.
//!
//! Every form begins with one byte, its version; the rest is MessagePack. Structs are arrays of their fields in the order
//! given in the files beside this one, enums are small integers that never change their meaning, absent and empty parts
//! take one byte. Within one form, a time is written as the distance from the time before it, a period as the difference
//! from the period before it, and a text or position that occurred already as its number: rows are kept by the million.
//!
//! Reading trusts nothing: an unknown version, a missing or left-over byte, a name that is no name, a number no enum
//! has, is refused with what was found. A change of any form is a new [`FORM_VERSION`], and the old one stays readable: what it
//! lacks has its default. Version 2 was added to before anybody had it: such a field is `last`, and left out where it is the default.
//! The other way round there is nothing: a node of an older build sets aside what a newer one wrote, so all of the old ones are
//! stopped before the first new one starts.

mod conversation;
mod document;
mod entry;
mod form;
mod notice;
mod plain;
mod rollup;
mod said;
#[cfg(test)]
mod tests;

use crate::domain::access::{KeyUse, Keys};
use crate::domain::agents::Agents;
use crate::domain::audit::AuditLog;
use crate::domain::history::SettingsHistory;
use crate::domain::report::{GroupBy, Rollup};
use crate::domain::writing::Said;
use crate::domain::{Conversation, Notice, Settings};
use form::{Form, Reader, Writer};

use super::{DeadLetter, Entry};

/// The first byte of every form that is written.
pub const FORM_VERSION: u8 = 3;
/// The oldest form that is still read.
pub const FORM_OLDEST: u8 = 1;

/// Why bytes are not what they were taken for.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RecordError {
    #[error("form version {found}, this build reads versions {FORM_OLDEST} to {FORM_VERSION}")]
    Version { found: u8 },
    #[error("ends after {length} bytes, where {expected} should follow")]
    Truncated { length: usize, expected: &'static str },
    #[error("{found} at byte {at}, expected {expected}")]
    Unexpected { at: usize, found: Box<str>, expected: &'static str },
    #[error("{left} bytes left over after byte {at}")]
    LeftOver { at: usize, left: usize },
}

/// A conversation's row. 150 to 250 bytes while a few messages are in play, at most some kilobytes.
pub fn encode_conversation(conversation: &Conversation) -> Vec<u8> {
    encode(conversation, 256)
}

/// # Errors
/// [`RecordError`]: these bytes are no row that this build can read.
pub fn decode_conversation(bytes: &[u8]) -> Result<Conversation, RecordError> {
    decode(bytes)
}

pub fn encode_entry(entry: &Entry) -> Vec<u8> {
    encode(entry, 128)
}

/// # Errors
/// [`RecordError`]: these bytes are no log entry that this build can read.
pub fn decode_entry(bytes: &[u8]) -> Result<Entry, RecordError> {
    decode(bytes)
}

pub fn encode_notice(notice: &Notice) -> Vec<u8> {
    encode(notice, 256)
}

/// # Errors
/// [`RecordError`]: these bytes are no notification that this build can read.
pub fn decode_notice(bytes: &[u8]) -> Result<Notice, RecordError> {
    decode(bytes)
}

pub fn encode_settings(settings: &Settings) -> Vec<u8> {
    encode(settings, 64)
}

/// # Errors
/// [`RecordError`]: these bytes are no settings document that this build can read.
pub fn decode_settings(bytes: &[u8]) -> Result<Settings, RecordError> {
    decode(bytes)
}

pub fn encode_dead_letter(letter: &DeadLetter) -> Vec<u8> {
    encode(letter, 256)
}

/// # Errors
/// [`RecordError`]: these bytes are no dead letter that this build can read.
pub fn decode_dead_letter(bytes: &[u8]) -> Result<DeadLetter, RecordError> {
    decode(bytes)
}

pub fn encode_agents(agents: &Agents) -> Vec<u8> {
    encode(agents, 64 * agents.all.len())
}

/// # Errors
/// [`RecordError`]: these bytes are no agents that this build can read.
pub fn decode_agents(bytes: &[u8]) -> Result<Agents, RecordError> {
    decode(bytes)
}

pub fn encode_rollup(rollup: &Rollup) -> Vec<u8> {
    encode(rollup, 256)
}

/// # Errors
/// [`RecordError`]: these bytes are no sums that this build can read.
pub fn decode_rollup(bytes: &[u8]) -> Result<Rollup, RecordError> {
    decode_rollup_of(bytes, None)
}

/// Only what is grouped by this, if it is said: the rest is not looked at.
///
/// # Errors
/// As [`decode_rollup`].
pub fn decode_rollup_of(bytes: &[u8], only: Option<GroupBy>) -> Result<Rollup, RecordError> {
    let mut reader = Reader::new(bytes)?;
    let rollup = rollup::read(&mut reader, only)?;
    reader.finish()?;
    Ok(rollup)
}

pub fn encode_said(said: &Said) -> Vec<u8> {
    encode(said, 16 + said.text.len())
}

/// # Errors
/// [`RecordError`]: these bytes are no message that this build can read.
pub fn decode_said(bytes: &[u8]) -> Result<Said, RecordError> {
    decode(bytes)
}

pub fn encode_history(history: &SettingsHistory) -> Vec<u8> {
    encode(history, 64 * history.changes.len())
}

/// # Errors
/// [`RecordError`]: these bytes are no history that this build can read.
pub fn decode_history(bytes: &[u8]) -> Result<SettingsHistory, RecordError> {
    decode(bytes)
}

pub fn encode_keys(keys: &Keys) -> Vec<u8> {
    encode(keys, 256 * keys.all.len())
}

/// # Errors
/// [`RecordError`]: these bytes are no keys that this build can read.
pub fn decode_keys(bytes: &[u8]) -> Result<Keys, RecordError> {
    decode(bytes)
}

pub fn encode_key_use(used: &KeyUse) -> Vec<u8> {
    encode(used, 24 * used.last.len())
}

/// # Errors
/// [`RecordError`]: these bytes do not say when keys were used.
pub fn decode_key_use(bytes: &[u8]) -> Result<KeyUse, RecordError> {
    decode(bytes)
}

pub fn encode_audit(log: &AuditLog) -> Vec<u8> {
    encode(log, 128 * log.deeds.len())
}

/// # Errors
/// [`RecordError`]: these bytes are no audit log that this build can read.
pub fn decode_audit(bytes: &[u8]) -> Result<AuditLog, RecordError> {
    decode(bytes)
}

/// `typical_bytes`: what to set aside at once, so that a typical form is written without moving.
fn encode(value: &impl Form, typical_bytes: usize) -> Vec<u8> {
    let mut writer = Writer::new(typical_bytes);
    value.write(&mut writer);
    writer.finish()
}

fn decode<F: Form>(bytes: &[u8]) -> Result<F, RecordError> {
    let mut reader = Reader::new(bytes)?;
    let value = F::read(&mut reader)?;
    reader.finish()?;
    Ok(value)
}
