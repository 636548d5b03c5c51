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
//! Never here: HTTP, Redis, rendering.

pub mod acting;
pub mod agents;
pub mod applied;
pub mod apply;
pub mod applying;
pub mod assign;
pub mod audit;
pub mod cluster;
pub mod conversation;
pub mod desk;
mod documents;
pub mod draft;
pub mod due;
pub mod feed;
pub mod forecast;
pub mod handle;
pub mod history;
pub mod ingest;
pub mod keys;
pub mod list;
pub mod listing;
pub mod membership;
pub mod meter;
pub mod names;
pub mod node;
pub mod notes;
pub mod options;
pub mod owner;
pub mod report;
pub mod residents;
pub mod rollups;
pub mod running;
pub mod shard;
pub mod tenure;
pub mod turns;
pub mod upkeep;
pub mod waiting;
pub mod writer;

pub use acting::{ActRefused, Command};
pub use feed::{Cursor, Fed, Feed};
pub use handle::{Node, Unready, Why};
pub use ingest::{Receipt, Verdict};
pub use list::{ListQuery, Page};
pub use options::NodeOptions;
