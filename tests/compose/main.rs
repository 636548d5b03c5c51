//! The compose file in containers, and what can happen to them: killed, frozen, cut off both ways or one way.
//!
//! ```text
//! image.rs: Dockerfile + the binary of this test run ──▶ project.rs: deploy/compose.yaml, three nodes and Redis
//!                                                          │ container.rs: one of them, and its faults
//!                                                          ▼
//!                         facts.rs: each fault is what it is called ◀── │ ──▶ rounds.rs: under load, judged by tests/judge
//! ```
//! `cargo test --test compose`, apart from `cargo test`: it needs a Docker engine, base images (`deploy/images.sh` provides
//! them), and root for the cuts. Where no engine answers it says NOT RUN, or fails with `ADJOURN_TEST_DOCKER=required`.
//! `ADJOURN_TEST_IMAGE=adjourn` tests an image that was built before, instead of this run's binary.

// clippy.toml excuses test functions, not their helpers; what a run came to belongs into a test's output.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod container;
mod docker;
mod facts;
mod image;
#[path = "../judge/mod.rs"]
mod judge;
#[allow(dead_code)] // the races of the fleet use more of it
#[path = "../fleet/load.rs"]
mod load;
#[path = "../patience/mod.rs"]
mod patience;
mod project;
mod rounds;
