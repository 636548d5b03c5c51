//! What a row and a notification look like as values in Redis, in front of their stored form.

use crate::domain::Timestamp;
use crate::domain::{Conversation, Notice};
use crate::store::{Loaded, Notification, record};

/// Six bytes, big-endian, of the instant to look at it in ms: until the year 10889. All ones: never.
const NEVER: u64 = (1 << 48) - 1;

pub fn put_row(out: &mut Vec<u8>, conversation: &Conversation, look_at: Option<Timestamp>) {
    let ms = look_at.map_or(NEVER, |at| u64::try_from(at.as_millis()).unwrap_or(0).min(NEVER - 1));
    out.extend_from_slice(&ms.to_be_bytes()[2..]);
    out.extend_from_slice(&record::encode_conversation(conversation));
}

/// When to look at a row; nothing from what is too short to be one.
pub fn look_at(bytes: &[u8]) -> Option<Option<Timestamp>> {
    let mut ms = [0; 8];
    ms[2..].copy_from_slice(bytes.first_chunk::<6>()?);
    Some(Some(u64::from_be_bytes(ms)).filter(|ms| *ms != NEVER).map(|ms| Timestamp::from_millis(ms as i64)))
}

pub fn read_row(bytes: &[u8]) -> Loaded {
    let Some(look_at) = look_at(bytes) else { return Loaded::Corrupt { reason: "shorter than a row can be".into() } };
    match record::decode_conversation(&bytes[6..]) {
        Ok(conversation) => Loaded::Found { conversation: Box::new(conversation), look_at },
        Err(error) => Loaded::Corrupt { reason: error.to_string().into() },
    }
}

/// The number of the conversation's notification before it (0: none is kept), eight bytes, big-endian; then its form.
pub fn put_notification(out: &mut Vec<u8>, previous: Option<u64>, notice: &Notice) {
    out.extend_from_slice(&previous.unwrap_or(0).to_be_bytes());
    out.extend_from_slice(&record::encode_notice(notice));
}

/// `None`: nobody can read it.
pub fn read_notification(number: u64, bytes: &[u8]) -> Option<Notification> {
    let (previous, form) = bytes.split_first_chunk::<8>()?;
    let previous = Some(u64::from_be_bytes(*previous)).filter(|previous| *previous != 0);
    record::decode_notice(form).ok().map(|notice| Notification { number, previous, notice })
}
