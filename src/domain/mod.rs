//! Ground floor: what is true.
//!
//! A conversation is a set of facts; [`step()`] takes it from one state to the next; [`deadline()`] says when it is to
//! close. Everything here is a function of its arguments: `now` comes in, the next wake-up goes out.
//!
//! Never here: async, a clock, I/O, serde, actix.
//!
#![doc = include_str!("RULES.md")]
// Not `arithmetic_side_effects` as well: what it finds are counters of 64 bits that go up by one.
#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

pub mod access;
pub mod agents;
pub mod audit;
pub mod categories;
pub mod commands;
pub mod conversation;
pub mod deadline;
pub mod event;
pub mod facts;
pub mod history;
pub mod hold;
pub mod id;
pub mod invariant;
pub mod kept;
pub mod listing;
pub mod notice;
pub mod order;
pub mod placement;
pub mod refusal;
pub mod report;
pub mod settings;
pub mod step;
pub mod time;
mod turn;
pub mod writing;

#[cfg(test)]
mod rules;
#[cfg(test)]
pub mod testing;

pub use conversation::Conversation;
pub use deadline::{NoDeadline, deadline, has_moved, wake_at};
pub use event::{Accepted, Event, EventKind};
pub use id::{ConversationKey, EventName, PartitionCount, PartitionId};
pub use notice::{ConversationNotice, Notice, NoticeKind, Snapshot};
pub use refusal::Refusal;
pub use settings::Settings;
pub use step::{Effects, Input, Outcome, Step, step};
pub use time::{Span, Timestamp};
