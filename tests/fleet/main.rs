//! Three nodes as processes and one Redis, under load, and what becomes of them: nodes are killed, frozen and cut off, Redis
//! is killed and fails over, clocks jump, partitions move. Judged by the judge of the embedded store (tests/judge), and by
//! what Redis itself wrote down: every commit that was executed, in its order (`chain.rs`).
//!
//! ```text
//! load.rs ──HTTP, any node──▶ node.rs (three) ──proxy──▶ Redis ◀──XADD── load.rs
//! listener ◀──SSE, any node──────┘                         │
//!                                                          ▼ log, outbox, rows, append-only file
//!                                                      verdict.rs ──▶ tests/judge, chain.rs, report.rs
//! ```
//! The embedded store needs no others: one node, and a disk that loses its power (`outages.rs`).
//!
//! The scenarios and their rounds are in `scenarios.rs`: a few of each by default, all of them with
//!
//! ```text
//! ADJOURN_FLEET=full cargo test --test fleet -- --nocapture --test-threads=1
//! ```
//! which says how far it is, and prints the table of what it came to, also into `target/faults-table.md`.
//! `ADJOURN_FLEET_ROUNDS=5` for another number of rounds, `ADJOURN_FLEET_SEED=…` for the choices of an earlier run.

// clippy.toml excuses test functions, not their helpers; what a run came to belongs into a test's output.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod chain;
mod crowd;
mod cuts;
mod dates;
mod failovers;
mod fleet;
mod freezes;
#[path = "../judge/mod.rs"]
mod judge;
mod kills;
mod load;
#[allow(dead_code)] // what tests/crash does besides
mod node;
mod operators;
mod outages;
mod planned;
mod poison;
mod power;
mod races;
mod report;
mod restores;
#[path = "../rig/mod.rs"]
mod rig;
mod scenarios;
mod slow;
mod verdict;
