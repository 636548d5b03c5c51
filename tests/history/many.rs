//! Many histories at a time, one thread a core, each seed by itself.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::laws::Violation;
use super::plan::{Plan, Size};
use super::run::{self, Tally};

#[derive(Default)]
pub struct Found {
    pub histories: u64,
    pub tally: Tally,
    /// The first seed that failed, by number, and what was wrong.
    pub failed: Option<(u64, Vec<Violation>)>,
}

/// Runs seeds from `from` on, at most `count`, until one fails. `prepare` is called on each thread before its first.
pub fn histories(from: u64, count: u64, shows: bool, prepare: impl Fn() + Sync) -> Found {
    let (next, found) = (AtomicU64::new(from), Mutex::new(Found::default()));
    // Often enough to be watched for hours.
    let step = (count / 20).clamp(1, 500);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                prepare();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let failed_before = found.lock().unwrap().failed.as_ref().is_some_and(|(failed, _)| *failed < seed);
                    if seed >= from + count || failed_before {
                        return;
                    }
                    let outcome = run::run(&Plan::of(seed, Size::FULL), None);
                    let mut found = found.lock().unwrap();
                    found.histories += 1;
                    found.tally.add(&outcome.tally);
                    if !outcome.violations.is_empty() && found.failed.as_ref().is_none_or(|(failed, _)| seed < *failed) {
                        found.failed = Some((seed, outcome.violations));
                    }
                    if shows && found.histories.is_multiple_of(step) {
                        eprintln!("{} of {count} histories: {:?}", found.histories, found.tally);
                    }
                }
            });
        }
    });
    found.into_inner().unwrap()
}
