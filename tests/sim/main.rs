//! The node on the model store: clocks that jump, stores that fail, events that poison. The laws hold throughout.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)] // clippy.toml excuses test functions, not their helpers

mod clocks;
mod cluster;
mod faults;
mod hosts;
mod life;
mod line;
mod lists;
#[path = "../patience/mod.rs"]
mod patience;
mod poison;
mod pressure;
mod refused;
#[path = "../judge/rng.rs"]
mod rng;
mod rolling;
mod settings;
mod world;
