//! Real servers for the tests, and the means to break them: what every test that needs a Redis stands on.
//!
//! ```text
//! redis.rs     some Redis, wherever it comes from           server.rs    one redis-server of our own, killed, paused, restarted
//! clock.rs     the date that a process believes             sentinel.rs  a primary, its replicas and who watches them
//! proxy.rs     the wire between a client and a server       cluster.rs   primaries that share the slots
//! process.rs   children that do not outlive their test       power.rs     what is on the disk when the power goes, of an
//!                                                            disk.rs      append-only file, and of files written anywhere
//! ```
//! A test crate takes it in with `#[path = "../rig/mod.rs"] mod rig;`. Nothing here needs a tokio runtime: starting blocks
//! its thread for the tens of milliseconds it takes, and the proxy has a thread of its own.

#![allow(dead_code)] // each test crate uses a part of it

pub mod clock;
pub mod cluster;
pub mod disk;
pub mod power;
pub mod process;
pub mod proxy;
pub mod redis;
pub mod sentinel;
pub mod server;
pub mod shim;
