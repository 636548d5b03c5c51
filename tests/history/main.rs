//! Simulated histories: the real nodes, shards, conversations and placement on the model store, with clocks, network and
//! chance all driven by one seed. Three to five nodes, 200 conversations, 2,000 events and twenty faults in each; then the
//! weather clears, and every law is asked for.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)] // clippy.toml excuses test functions, not their helpers

mod end;
mod fold;
mod ground;
#[path = "../judge/mod.rs"]
mod judge;
mod laws;
mod line;
mod plan;
mod poison;
mod process;
mod run;
mod story;
mod time;
mod trouble;

use plan::{Plan, Size};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

#[test]
fn the_laws_hold_in_every_history() {
    let (from, count) = match number("ADJOURN_HISTORY_SEED") {
        Some(seed) => (seed, 1),
        None => (0, number("ADJOURN_HISTORIES").unwrap_or(50)),
    };
    let began = std::time::Instant::now();
    for seed in from..from + count {
        let plan = Plan::of(seed, Size::FULL);
        let telling = std::env::var("ADJOURN_HISTORY_TELL").ok();
        let outcome = run::run(&plan, telling.as_deref());
        println!("{}", outcome.story);
        eprintln!("seed {seed}: {:?} {:x} {:.1} ms", outcome.tally, outcome.digest, began.elapsed().as_secs_f64() * 1_000.0);
        for violation in outcome.violations.iter().take(3) {
            eprintln!("  {:?}: {}", violation.law, violation.about.chars().take(1500).collect::<String>());
        }
    }
}
