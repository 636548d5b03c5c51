//! What judges a run, whatever store it was on: a history in types of its own, a naive model of the rules, a checker.
//!
//! ```text
//! what was sent, what a listener heard ──▶ history.rs ◀── record.rs: what a store holds at the end
//!                                             │
//!                                             ▼
//!                                checker.rs with model.rs; tests/kill/doctored.rs shows that it finds what is wrong
//! ```
//! A test crate takes it in with `#[path = "../judge/mod.rs"] mod judge;`.

#![allow(dead_code)] // each test crate uses a part of it

pub mod checker;
pub mod history;
pub mod listener;
pub mod model;
pub mod record;
pub mod rest;
pub mod rng;
