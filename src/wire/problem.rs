//! Why an event cannot be taken: the member, what is wrong with it, and what to do about it.

use std::fmt;

use crate::domain::ConversationKey;

/// Nesting allowed in one event. A conversation's events have three levels; a parser that follows a thousand is an attack
/// on the stack.
pub const DEPTH_MAX: usize = 32;
/// Longest text in a member this service knows, in bytes, whether or not it keeps it.
pub const MEMBER_BYTES_MAX: usize = 64 * 1024;

/// An event that cannot be taken, and as far as those could be read its id and its conversation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EventProblem {
    pub id: Option<Box<str>>,
    pub conversation: Option<ConversationKey>,
    pub fault: Fault,
}

/// What is wrong with an event.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Fault {
    #[error("this is not JSON: {reason}")]
    MalformedJson { reason: Box<str> },
    #[error("this is not MessagePack: {reason}")]
    MalformedMsgpack { reason: Box<str> },
    #[error("this is not UTF-8 from byte {at} on")]
    InvalidUtf8 { at: usize },
    #[error("nested deeper than {DEPTH_MAX} levels")]
    TooDeep,
    #[error("an event must be an object")]
    NotAnObject,
    #[error("longer than {limit} bytes")]
    EventTooLong { limit: usize },
    #[error("`specversion` must be \"1.0\"")]
    UnsupportedSpecversion,
    #[error("`{member}` is missing")]
    MissingMember { member: &'static str },
    #[error("`{member}` must be {expected}")]
    WrongType { member: &'static str, expected: &'static str },
    #[error("`{member}` must be 1 to 128 of A-Z a-z 0-9 . _ : -")]
    InvalidName { member: &'static str },
    #[error("`{member}` must be 1 to 128 printable ASCII characters")]
    NotPrintable { member: &'static str },
    #[error("`{member}` must be RFC 3339 with an offset, from 1970 to 9999, such as 2026-11-22T10:00:00Z")]
    InvalidTime { member: &'static str },
    #[error("`{member}` must be one of {allowed}")]
    UnknownValue { member: &'static str, allowed: Box<str> },
    #[error("`data.source` auto_close is this service's own")]
    ReservedSource,
    #[error("`{member}` is longer than {max} {unit}")]
    TooLong { member: &'static str, max: usize, unit: &'static str },
}

impl Fault {
    /// Stable, for programs: the last part of the problem's `type`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::MalformedJson { .. } => "malformed-json",
            Self::MalformedMsgpack { .. } => "malformed-msgpack",
            Self::InvalidUtf8 { .. } => "invalid-utf8",
            Self::TooDeep => "too-deep",
            Self::NotAnObject => "not-an-object",
            Self::EventTooLong { .. } => "event-too-long",
            Self::UnsupportedSpecversion => "unsupported-specversion",
            Self::MissingMember { .. } => "missing-member",
            Self::WrongType { .. } => "wrong-type",
            Self::InvalidName { .. } => "invalid-name",
            Self::NotPrintable { .. } => "not-printable",
            Self::InvalidTime { .. } => "invalid-time",
            Self::UnknownValue { .. } => "unknown-value",
            Self::ReservedSource => "reserved-source",
            Self::TooLong { .. } => "too-long",
        }
    }

    /// What the producer can do about it.
    pub const fn action(&self) -> &'static str {
        match self {
            Self::MalformedJson { .. } => "Send one complete JSON object for each event; NaN and Infinity are not JSON.",
            Self::MalformedMsgpack { .. } => "Send an array of maps with text keys.",
            Self::InvalidUtf8 { .. } => "Encode the event as UTF-8.",
            Self::TooDeep => "Send only the members of the contract; leave the channel's original message out.",
            Self::NotAnObject => "Send a CloudEvent: an object with specversion, id, source, type, subject, workspace, time and data.",
            Self::EventTooLong { .. } => "Leave attachments and the channel's original message out; the text is not kept anyway.",
            Self::UnsupportedSpecversion => "Send CloudEvents 1.0.",
            Self::MissingMember { .. } => "Add it and send the event again.",
            Self::WrongType { .. } | Self::InvalidName { .. } | Self::NotPrintable { .. } | Self::InvalidTime { .. } => {
                "Correct it and send the event again."
            }
            Self::UnknownValue { .. } => "Use one of these, or another `type` for what is not a message: unknown types are ignored.",
            Self::ReservedSource => "Name who closed it; a close by this service is told by its own notification.",
            Self::TooLong { .. } => "Shorten it and send the event again.",
        }
    }
}

impl EventProblem {
    pub fn new(fault: Fault) -> Self {
        Self { id: None, conversation: None, fault }
    }

    pub const fn kind(&self) -> &'static str {
        self.fault.kind()
    }

    pub const fn action(&self) -> &'static str {
        self.fault.action()
    }
}

impl fmt::Display for EventProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fault.fmt(f)
    }
}

impl std::error::Error for EventProblem {}

impl From<Fault> for EventProblem {
    fn from(fault: Fault) -> Self {
        Self::new(fault)
    }
}
