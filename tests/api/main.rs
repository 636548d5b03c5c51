//! The HTTP API from outside: the real app on free ports, the embedded store in a directory of its own, clocks that stand
//! still until told to move.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy.toml excuses test functions, not their helpers

mod access;
mod acting;
mod agents;
mod bad_input;
mod doors;
mod firing;
mod forms;
mod holds;
mod letters;
mod nodes;
mod notes;
mod notifications;
#[path = "../rig/papers.rs"]
mod papers;
#[path = "../patience/mod.rs"]
mod patience;
mod reading;
mod reports;
mod security;
mod settings;
mod sockets;
mod support;
mod tls;
mod writing;
