//! Third floor: doors and windows. A door translates and steps aside: it parses with [`crate::wire`], asks the node's
//! handle, renders the answer.
//!
//! Never here: a store, a shard, a conversation's state, a decision.

pub mod http;
pub mod writers;
