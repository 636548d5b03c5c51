//! Bad weather over Redis, each kind with what the store then answers, says and counts: a full memory, keys of another kind,
//! records nobody can read, entries of other programs, keys that are gone, answers that are lost, primaries that change.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy.toml excuses test functions, not their helpers

#[allow(dead_code)] // a part of it is used here
#[path = "../store/bench.rs"]
mod bench;
mod dump;
mod full;
mod gone_back;
mod ground;
mod kinds;
mod lists;
mod lost;
mod meddled;
mod outside;
#[path = "../patience/mod.rs"]
mod patience;
mod primaries;
mod records;
#[path = "../rig/mod.rs"]
mod rig;
mod rights;
mod scripts;
mod served;
mod ward;

mod witness;
