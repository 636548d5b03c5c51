//! Simulated histories: the real nodes, shards, conversations and placement on the model store, with clocks, network and
//! chance all driven by one seed. Three to five nodes, or one on a store of its own, 200 conversations, 2,000 events and twenty
//! faults in each; then the weather clears, and every law is asked for (`laws.rs`).
//!
//! ```text
//! plan.rs: what happens, drawn from the seed ──▶ run.rs: producers, a subscriber, faults (trouble.rs), all in virtual time
//!                                                   │ process.rs: a node's tasks, killed and frozen like a process
//!                                                   │ line.rs, fate.rs: its way to the store: late, twice, never, dead in between
//!                                                   ▼ ground.rs: the model store, and a journal of what happened in it
//!                                                calm.rs: the weather clears; end.rs, fold.rs, tests/judge: every law
//!                                                   ▼
//!                                                shrink.rs, story.rs: of what broke one
//! ```
//! A few hundred histories by default; `ADJOURN_HISTORIES=10000 cargo test --test history` for another number. A failure names its seed,
//! is made as small as it gets, and told; `ADJOURN_HISTORY_SEED=17 cargo test --test history -- --nocapture` runs that one again.
//!
//! `cargo test --features faults --test history planted -- --nocapture` plants bugs, and says which law caught each (`planted.rs`).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)] // clippy.toml excuses test functions, not their helpers

mod calm;
mod end;
mod fate;
mod fold;
mod ground;
#[path = "../judge/mod.rs"]
mod judge;
mod laws;
mod line;
mod many;
mod plan;
#[cfg(feature = "faults")]
mod planted;
mod poison;
mod post;
mod process;
mod run;
mod shrink;
mod story;
mod time;
mod trouble;

/// As in the service: a history is made of small pieces.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use judge::rng::number_from;
use laws::Violation;
use plan::{Plan, Size};

/// In a run of all tests: some seconds.
const HISTORIES: u64 = 200;

#[test]
fn the_laws_hold_in_every_history() {
    let (from, count) = match number_from("ADJOURN_HISTORY_SEED") {
        Some(seed) => (seed, 1),
        None => (0, number_from("ADJOURN_HISTORIES").unwrap_or(HISTORIES)),
    };
    let found = many::histories(from, count, true, || ());
    if let Some((seed, violations)) = found.failed {
        panic!("{}", tell(seed, &violations));
    }
    eprintln!("{} histories, no law broken: {:?}", found.histories, found.tally);
}

/// The smallest story that breaks the same law, and how to see it again.
fn tell(seed: u64, violations: &[Violation]) -> String {
    let law = violations[0].law;
    let fails = |plan: &Plan| run::run(plan, None).violations.iter().any(|violation| violation.law == law);
    let small = shrink::shrink(&Plan::of(seed, Size::FULL), fails);
    let violation = run::run(&small, None).violations.into_iter().find(|violation| violation.law == law).unwrap();
    let told = run::run(&small, conversation_in(&violation.about)).story;
    format!(
        "seed {seed} breaks {law:?}; at its smallest:\n{}{told}{}\n\nagain: ADJOURN_HISTORY_SEED={seed} cargo test --test history -- --nocapture",
        story::of_plan(&small),
        violation.about
    )
}

/// The conversation a violation speaks of: `c` and three digits.
fn conversation_in(about: &str) -> Option<&str> {
    let starts = about.match_indices('c').map(|(at, _)| at);
    let is_name = |at: &usize| about.get(at + 1..at + 4).is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    starts.into_iter().find(is_name).map(|at| &about[at..at + 4])
}

#[test]
fn the_same_seed_is_the_same_history() {
    for seed in 0..12 {
        let plan = Plan::of(seed, Size::FULL);
        let here = run::run(&plan, None);
        let elsewhere = std::thread::spawn(move || run::run(&Plan::of(seed, Size::FULL), None)).join().unwrap();
        assert_eq!((here.digest, here.tally), (elsewhere.digest, elsewhere.tally), "seed {seed}");
    }
    let digests: std::collections::BTreeSet<u64> = (0..12).map(|seed| run::run(&Plan::of(seed, Size::FULL), None).digest).collect();
    assert_eq!(digests.len(), 12, "another seed is another history");
}

/// A run in which nothing happens breaks no law, and proves nothing.
#[test]
fn there_is_something_to_judge() {
    let found = many::histories(0, 40, false, || ());
    let of = &found.tally;
    assert!(found.failed.is_none() && found.histories == 40);
    assert!(of.accepted > 40 * 1_500 && of.commits > 40 * 300 && of.faults == 40 * Size::FULL.faults, "{of:?}");
    assert!(of.answered - of.refused > 40 * 2 && of.refused > 40 * 2 && of.warnings > 20 * 10, "{of:?}");
    assert!(of.claims > 40 * 20 && of.auto_closes > 40 * 50 && of.judged_for_lateness > 40 * 10, "{of:?}");
    assert!(of.reversals > 40 && of.set_aside > 40 && of.deaths > 40, "{of:?}");
}

/// What is shrunk still shows what it was shrunk for, and is short enough to be read.
#[test]
fn a_story_is_made_small() {
    let shows = |plan: &Plan| run::run(plan, None).tally.auto_closes > 0;
    let small = shrink::shrink(&Plan::of(1, Size { events: 200, ..Size::FULL }), shows);
    assert!(shows(&small) && small.acts.len() <= 3, "{}", story::of_plan(&small));
    let told = run::run(&small, Some("c000")).story;
    assert!(told.starts_with("c000, in partition "), "{told}");
}
