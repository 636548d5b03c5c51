//! The process ends before and after every call of its store, and at places within the embedded one, as SIGKILL would end it;
//! it starts again, goes on, and in the end the judge of `tests/kill` and `tests/fleet` looks at what is left.
//!
//! ```text
//! load.rs, chores.rs ──HTTP──▶ adjourn serve, ADJOURN_CRASH_AT=commit:after:17 ──▶ a directory, or Redis with a second node
//!                                                                                     │
//! points.rs: where, and what reaches it     stage.rs: dies, starts, is judged ◀────────┘     rounds.rs: how often, the table
//! ```
//! ```text
//! ADJOURN_CRASH_ROUNDS=10 cargo test --features faults --test crash -- --nocapture
//! ```
//! is the full count; one round a point by default. `ADJOURN_CRASH_SEED=…` for the choices of an earlier run,
//! `ADJOURN_CRASH_ONLY=commit,append` for some of the points.

// clippy.toml excuses test functions, not their helpers; what a run came to belongs into a test's output.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod chores;
mod creation;
#[path = "../judge/mod.rs"]
mod judge;
#[allow(dead_code)] // what the fleet does besides
#[path = "../fleet/load.rs"]
mod load;
#[allow(dead_code)] // what the fleet does besides
#[path = "../fleet/node.rs"]
mod node;
mod points;
#[path = "../rig/mod.rs"]
mod rig;
mod rounds;
mod stage;
