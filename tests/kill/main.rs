//! Real processes, killed with SIGKILL again and again, and a judge who knows only what they left behind.
//!
//! ```text
//! adjourn events send ──▶ adjourn serve (killed, started again) ──▶ listener (comes back with its last id)
//!    trace.rs                 service.rs                               listener.rs
//!                               │ log, notifications, rows
//!                               ▼
//!            tests/judge; doctored.rs shows that it finds what is wrong
//! ```
//! `ADJOURN_KILL_ROUNDS=300` for more rounds, `ADJOURN_KILL_SEED=…` for the choices of an earlier run.

// clippy.toml excuses test functions, not their helpers; what a run came to belongs into a test's output.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod backups;
mod doctored;
#[path = "../judge/mod.rs"]
mod judge;
#[path = "../rig/mod.rs"]
mod rig;
mod rounds;
mod service;
mod settings;
mod trace;

use judge::{checker, history, listener, rng};
