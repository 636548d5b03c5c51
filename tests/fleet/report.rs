//! How many rounds, by whose choices, and what a run came to: a line of a table.

use std::time::Duration;

use super::judge::history::Ms;
use super::judge::rng::Rng;

pub fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

/// A run of one test: its seed, and how often.
#[derive(Clone, Copy)]
pub struct Run {
    pub test: &'static str,
    pub seed: u64,
    pub rounds: u64,
}

impl Run {
    /// A few rounds, or all of them.
    pub fn of(test: &'static str, few: u64, full: u64) -> Self {
        let seed = number_from("ADJOURN_FLEET_SEED").unwrap_or_else(|| super::load::now() as u64);
        let is_full = std::env::var("ADJOURN_FLEET").is_ok_and(|how| how == "full");
        let rounds = number_from("ADJOURN_FLEET_ROUNDS").unwrap_or(if is_full { full } else { few });
        let run = Self { test, seed, rounds };
        eprintln!("{test}: {}", run.again());
        run
    }

    /// How to run it again.
    pub fn again(&self) -> String {
        let Self { test, seed, rounds } = self;
        format!("ADJOURN_FLEET_SEED={seed} ADJOURN_FLEET_ROUNDS={rounds} cargo test --test fleet {test} -- --nocapture")
    }

    pub fn rng(&self) -> Rng {
        // Far apart: tests that start in neighbouring milliseconds must not make the same choices.
        Rng::new(self.seed ^ u64::from(crc32fast::hash(self.test.as_bytes())) << 32)
    }
}

/// What the scenario did.
#[derive(Clone, Debug, Default)]
pub struct Done {
    pub rounds: u64,
    /// Rounds in which the fault met something under way.
    pub hits: u64,
    /// Figures of this scenario alone.
    pub notes: Vec<String>,
}

#[derive(Debug, Default)]
pub struct Line {
    pub scenario: String,
    pub done: Done,
    pub events: usize,
    pub closes: usize,
    pub reversals: usize,
    pub late: Vec<Ms>,
    pub longest_wait: Duration,
    pub commits: usize,
    pub claims: usize,
    pub refused: usize,
    pub again: usize,
    pub violations: usize,
    pub seconds: u64,
}

impl Line {
    pub fn print(&self) {
        let Self { scenario, done, events, closes, reversals, commits, claims, refused, again, violations, seconds, .. } = self;
        let [p50, p99, max] = percentiles(&self.late);
        let wait = self.longest_wait.as_millis();
        let Done { rounds, hits, notes } = done;
        eprintln!(
            "| scenario | rounds | hit in flight | events | closes | reversals | late p50/p99/max ms | longest wait for an ack ms \
             | commits | claims | commits not executed | appended again | violations | s |\n\
             | {scenario} | {rounds} | {hits} | {events} | {closes} | {reversals} | {p50}/{p99}/{max} | {wait} \
             | {commits} | {claims} | {refused} | {again} | {violations} | {seconds} |"
        );
        notes.iter().for_each(|note| eprintln!("| {scenario}: {note}"));
    }
}

/// The median, the 99th of a hundred, the greatest.
pub fn percentiles(values: &[Ms]) -> [Ms; 3] {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let at = |share: usize| sorted.get((sorted.len() * share / 100).min(sorted.len().saturating_sub(1))).copied().unwrap_or(0);
    [at(50), at(99), at(100)]
}
