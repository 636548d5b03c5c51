//! What other programs read and write, and nothing else: CloudEvents in and out, conversations, settings, instants
//! (CONTRACT.md). Between the domain, whose types know no format, and the doors, which know no member.
//!
//! Whatever comes in is untrusted: depth, lengths and names are checked here, once; a domain value that leaves this floor
//! is valid. A problem names the member and says what to do.
//!
//! Never here: I/O, a clock, a decision about a conversation.

pub mod agents;
pub mod categories;
pub mod command;
pub mod conversation;
pub mod event;
pub mod history;
pub mod keys;
pub mod member;
mod misread;
pub mod notification;
pub mod operator;
pub mod placement;
pub mod problem;
pub mod report;
pub mod running;
pub mod settings;
pub mod split;
pub mod story;
pub mod time;

pub use conversation::ConversationView;
pub use event::{Parsed, parse_binary, parse_json, parse_msgpack};
pub use notification::CloudEvent;
pub use problem::{EventProblem, Fault};
pub use settings::SettingsView;
