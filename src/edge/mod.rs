//! Third floor: doors and windows. A door translates and steps aside: it parses with [`crate::wire`], asks the node's
//! handle, renders the answer. A window looks out: a writer of closing notes asks a model elsewhere.
//!
//! Never here: a store, a shard, a conversation's state, a decision.

pub mod http;
pub mod writers;
