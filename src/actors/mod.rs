//! Second floor: who lives, who owns whom, what is bounded.
//!
//! ```text
//! Node ── one ShardActor a partition, on one of a few Arbiters ── one ConversationActor a conversation that is near
//!           │ reads the log, sends each event to its conversation,        │ holds its own timer; takes pure steps;
//!           │ collects the steps, commits them in one atomic write        │ says "I am due" and waits to be told
//! ```
//! The shard decides when a wake-up counts: it takes a barrier of the store, and lets conversations close whose deadline
//! both clocks have passed and up to which everything accepted has been applied (D1, D2). The timer of a conversation is a
//! reminder to look; the index in the store is the truth about when to look; the state is the truth about what to do.
//!
//! Beside the shards runs the node's membership: it shows that the node lives, sees who else does, and tells each shard to
//! take its partition or to give it back.
//!
//! | folder | what it does |
//! |---|---|
//! | [`node`] | starts everything, and is the handle by which all else asks |
//! | [`membership`] | which node has which partition |
//! | [`shard`] | one partition's actor and the conversations that live in it: claims, takes turns, gives back |
//! | [`owner`] | what a shard does in a turn while it has its partition: applies the log, closes what is due, commits |
//! | [`writes`] | what changes something: goes through the log, and is answered when it is durable or applied |
//! | [`reads`] | what changes nothing: conversations, lists, reports, the feed of notifications |
//! | [`notes`] | closing notes written from what was said |
//!
//! Never here: HTTP, Redis, rendering.

pub mod membership;
pub mod meter;
pub mod node;
pub mod notes;
pub mod owner;
pub mod reads;
pub mod shard;
pub mod writes;

// By the names that the doors know them by.
pub use membership::cluster;
pub use node::handle;
pub use node::handle::{Node, Unready};
pub use node::options::NodeOptions;
pub use notes::writer;
pub use reads::conversations::Why;
pub use reads::feed::{Cursor, Fed, Feed};
pub use reads::list::{ListQuery, Page};
pub use writes::acting::{ActRefused, Command};
pub use writes::ingest::{Receipt, Verdict};
