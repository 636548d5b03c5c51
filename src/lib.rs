//! adjourn closes customer conversations that have gone quiet: exactly on time, exactly once, never over a reply.
//!
//! # The house
//!
//! Floors, from the ground up; imports point down only, and `tests/tidy.rs` guards that.
//!
//! | floor | holds | never |
//! |---|---|---|
//! | [`domain`] | ids, time, events, settings, a conversation's facts, [`domain::step()`], [`domain::deadline()`], the laws as functions | async, a clock, I/O, serde, actix |
//! | [`wire`] | what other programs see: CloudEvents in and out, conversations and settings as JSON | I/O, a clock, a decision |
//! | [`store`] | one trait and its contract; Redis, the embedded store, the model in memory, the stored forms | decides anything |
//! | [`actors`] | conversation, shard, node: who lives, who owns whom, what is bounded | HTTP, Redis, rendering |
//! | [`edge`] | the doors: HTTP, the stream of notifications, the admin port; the writers of closing notes | touches a store or a state |
//! | [`app`], [`config`], [`telemetry`], [`cli`] | everything is built, started and stopped here | - |
//!
//! [`tls`] sets up what is encrypted, in and out. [`clock`] is the only file that asks the machine for the time, [`chance`] the only
//! one that asks it for chance: a
//! simulation drives both (`tests/history`). [`faults`] lies under all floors: bugs to plant and places to die at. Without the
//! feature of that name, which no release build takes, there are none.
//!
//! T14, D3, L5 and the like, in comments and in the names of tests, are the rules: each stands in a sentence in [`domain`].
//! `CONTRACT.md` (what other programs see), `DESIGN.md` and `RELIABILITY.md` are papers beside this repository; a comment that
//! names one says itself what it needs of it.
//!
//! # A contact writes
//!
//! `edge::http::events` reads the body, `wire` turns each line into a [`domain::Event`], [`actors::Node::ingest`] puts
//! them into the logs of their partitions; they are durable, and the producer is answered. The partition's shard reads
//! them (`actors::shard::turns`), hands each (`actors::owner::apply`) to the actor of its conversation, which takes a
//! [`domain::step()`]: the contact spoke last, there is no deadline any more. The shard gathers the steps of a batch and commits
//! them in one atomic write: states, index, notifications, the position in the log. Subscribers wake and read `timer.cancelled`.
//!
//! # A deadline passes
//!
//! The conversation's actor puts itself into its shard's queue of who is due. The shard takes a barrier: the store's clock and
//! the last id of the log, together. It applies everything up to that id, and only then lets conversations close whose
//! deadline lies before the store's clock *and* the node's. If an actor was gone, its row in the index of deadlines brings
//! it up at the next tick. If the process dies in between, the next owner starts from the log position of the last commit:
//! nothing is lost, nothing is applied twice.
//!
//! # A node goes
//!
//! Nodes tell each other nothing but what stands in the store: each shows a beat, and each lease record moves with every
//! commit (`actors::membership`). All of them place the partitions by the same hash ([`domain::placement`]). One that leaves
//! gives its partitions away a few at a time, and says to whom: that node claims at once. One that dies is seen to stand
//! still, on the monotonic clocks of the others, for a whole lease; then its partitions are claimed over exactly the record
//! that stood still. A holder that hears nothing of the store for two thirds of its lease stops by itself
//! (`actors::shard::tenure`). None of this makes a write safe: the fence does, in every commit.
//!
//! Any node answers any request: what is taken goes into the log of whoever owns the partition, and whoever waits for it to
//! be applied asks the owner's shard, or the store where the owner is another node (`actors::writes::elsewhere`).
//!
//! # Choices that look like oversights
//!
//! - `wire` is a floor of its own, so that the command line reads the same events as the HTTP door without it.
//! - An actor that is due puts itself into a queue instead of sending a message: a mailbox would bound nothing (`do_send`) or
//!   lose it (`try_send`), and both live on one thread.
//! - A step that panics is caught in the actor and tried twice there, because the state before it is still at hand; an
//!   actor that dies all the same costs its shard a reload.
//! - A lease is renewed beside a shard's turns, in the same task: a turn that takes seconds on a busy machine costs no
//!   partition, and one that does not end renews nothing after a while.

#[cfg(all(feature = "faults", not(debug_assertions)))]
compile_error!("the feature `faults` breaks this service on purpose: it is for tests, never for a release build");

pub mod actors;
pub mod app;
pub mod chance;
pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod edge;
pub mod faults;
pub mod store;
pub mod telemetry;
pub mod tls;
pub mod wire;
