//! How many rounds, by whose choices, and what a run came to: a line of a table, which grows with every scenario that ends.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::judge::checker::Violation;
use super::judge::history::Ms;
use super::judge::rng::{Rng, number_from};
use super::scenarios::{self, SCENARIOS, Scenario};

/// Whether all rounds are asked for.
pub fn is_full() -> bool {
    std::env::var("ADJOURN_FLEET").is_ok_and(|how| how == "full")
}

/// A run of one test: its seed, and how often.
#[derive(Clone, Copy)]
pub struct Run {
    pub test: &'static str,
    pub seed: u64,
    pub rounds: u64,
    nth: usize,
    scenario: &'static Scenario,
    began: Instant,
}

impl Run {
    /// A few rounds of this line of the table, or all of them.
    pub fn of(test: &'static str) -> Self {
        let (nth, scenario) = scenarios::of(test);
        let seed = number_from("ADJOURN_FLEET_SEED").unwrap_or_else(|| super::load::now() as u64);
        let rounds = number_from("ADJOURN_FLEET_ROUNDS").unwrap_or(if is_full() { scenario.full } else { scenario.few });
        let run = Self { test, seed, rounds, nth, scenario, began: Instant::now() };
        eprintln!("{test}: {}", run.again());
        run
    }

    /// Says that this many rounds are over.
    pub fn progress(&self, rounds: u64) {
        let Self { nth, scenario: Scenario { number, fault, .. }, began, .. } = self;
        let (all, of, seconds) = (SCENARIOS.len(), self.rounds, began.elapsed().as_secs());
        eprintln!("scenario {nth} of {all} ({number}, {fault}): round {rounds} of {of}, {seconds} s");
    }

    /// How to run it again.
    pub fn again(&self) -> String {
        let Self { test, seed, rounds, .. } = self;
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
    /// Rounds in which the fault met something under way, as the scenario's line says.
    pub hits: u64,
    /// Entries that nobody can read, put into the logs.
    pub poison: usize,
    /// Figures of this scenario alone.
    pub notes: Vec<String>,
}

/// The judge's violations, by what they would have meant for a customer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Classes {
    pub lost: usize,
    pub early: usize,
    pub double: usize,
    pub overrun: usize,
    pub other: usize,
}

impl Classes {
    pub fn of(violations: &[Violation]) -> Self {
        let mut classes = Self::default();
        for violation in violations {
            *match violation {
                Violation::Lost(_) | Violation::Missing { .. } | Violation::NotHeard(_) | Violation::Unapplied { .. } => &mut classes.lost,
                Violation::Early { .. } | Violation::HeardEarly { .. } => &mut classes.early,
                Violation::Double { .. } | Violation::SameId(_) => &mut classes.double,
                Violation::Over { .. } => &mut classes.overrun,
                _ => &mut classes.other,
            } += 1;
        }
        classes
    }
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
    pub classes: Classes,
    pub seconds: u64,
}

const HEAD: &str = "\
| | fault | rounds | hit in flight | events | closes | lost | early | double | overrun | other | longest wait for an ack ms | seed | s |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|
";

impl Line {
    /// Prints it, and puts it into the table of this process.
    pub fn print(&self, run: &Run) {
        let Self { scenario, done, reversals, commits, claims, refused, again, .. } = self;
        let [p50, p99, max] = percentiles(&self.late);
        eprintln!(
            "| {scenario}: closes late p50 {p50}, p99 {p99}, max {max} ms; {reversals} reversals; {commits} commits, {refused} not \
             executed; {claims} claims; {again} events appended again"
        );
        eprintln!("| {scenario}: a hit is {}", run.scenario.hit);
        done.notes.iter().for_each(|note| eprintln!("| {scenario}: {note}"));
        let table = grown(run.nth, &self.row(run));
        eprintln!("{table}");
    }

    /// Faults that met nothing prove nothing.
    pub fn is_worth_something(&self, run: &Run) {
        let Done { rounds, hits, .. } = self.done;
        // Half of a few rounds on a busy machine shows that the fault was there; of many, the scenario says how many have to.
        let least = if is_full() && rounds >= 20 { rounds * run.scenario.enough / 100 } else { (rounds / 2).max(1) };
        assert!(hits >= least, "{hits} of {rounds} rounds met something under way\nagain: {}", run.again());
    }

    fn row(&self, run: &Run) -> String {
        let Self { scenario, done: Done { rounds, hits, .. }, events, closes, seconds, .. } = self;
        let Classes { lost, early, double, overrun, other } = self.classes;
        let (share, wait) = (100 * hits / (*rounds).max(1), self.longest_wait.as_millis());
        let (number, seed) = (run.scenario.number, run.seed);
        format!(
            "| {number} | {scenario} | {rounds} | {hits} ({share} %) | {events} | {closes} | {lost} | {early} | {double} | {overrun} \
             | {other} | {wait} | {seed} | {seconds} |"
        )
    }
}

/// The table with this row, in the order of the scenarios; also in `target/faults-table.md`.
fn grown(nth: usize, row: &str) -> String {
    static ROWS: Mutex<Vec<(usize, String)>> = Mutex::new(Vec::new());
    let mut rows = ROWS.lock().unwrap();
    rows.push((nth, row.to_owned()));
    rows.sort_by_key(|(nth, _)| *nth);
    let mut table = HEAD.to_owned();
    for (_, row) in rows.iter() {
        writeln!(table, "{row}").unwrap();
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/faults-table.md");
    // A build may have its target elsewhere.
    let written = std::fs::create_dir_all(file.parent().unwrap()).and_then(|()| std::fs::write(&file, &table));
    written.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    table
}

/// The median, the 99th of a hundred, the greatest.
pub fn percentiles(values: &[Ms]) -> [Ms; 3] {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let at = |share: usize| sorted.get((sorted.len() * share / 100).min(sorted.len().saturating_sub(1))).copied().unwrap_or(0);
    [at(50), at(99), at(100)]
}

#[test]
fn each_kind_of_violation_counts_in_its_column() {
    let conversation = || "c".to_owned();
    let wrong = [
        Violation::Missing { conversation: conversation(), deadline: 1 },
        Violation::Early { conversation: conversation(), at: 1, deadline: 2 },
        Violation::HeardEarly { conversation: conversation(), heard: 1, deadline: 2 },
        Violation::Double { conversation: conversation(), at: 1 },
        Violation::NoTimer { conversation: conversation(), at: 1 },
    ];
    assert_eq!(Classes::of(&wrong), Classes { lost: 1, early: 2, double: 1, overrun: 0, other: 1 });
}
