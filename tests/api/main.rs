//! The HTTP API from outside: the real app on free ports, the embedded store in a directory of its own, clocks that stand
//! still until told to move.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy.toml excuses test functions, not their helpers

mod acting;
mod agents;
mod bad_input;
mod doors;
mod forms;
mod holds;
mod letters;
mod nodes;
mod notes;
mod notifications;
#[path = "../patience/mod.rs"]
mod patience;
mod reading;
mod reports;
mod security;
mod settings;
mod support;
mod writing;
