//! The means of the other tests, tested: each part of the rig does what it says, or what it breaks proves nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy.toml excuses test functions, not their helpers

mod clocks;
mod disks;
mod ladder;
mod proxies;
#[path = "../rig/mod.rs"]
mod rig;
mod servers;
mod topologies;
