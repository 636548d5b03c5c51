//! Bugs planted one by one into what is otherwise the service as it is: each must break a law, or the laws have a hole.

use adjourn::faults::{Bug, plant};

use super::laws::Law;
use super::many;

/// Histories after which a bug counts as not found.
const HISTORIES_MAX: u64 = 1_000;

#[test]
fn every_planted_bug_breaks_a_law() {
    println!("| planted | caught by | after histories |\n|---|---|---|");
    let mut missed = Vec::new();
    for bug in Bug::ALL {
        let found = many::histories(0, HISTORIES_MAX, false, || plant(Some(*bug)));
        match found.failed {
            Some((seed, violations)) => {
                let mut laws: Vec<Law> = violations.iter().map(|violation| violation.law).collect();
                laws.sort_unstable();
                laws.dedup();
                println!("| {bug:?} | {laws:?} | {} |", seed + 1);
            }
            None => {
                println!("| {bug:?} | **nothing** | {} |", found.histories);
                missed.push(bug);
            }
        }
    }
    assert!(missed.is_empty(), "nothing catches {missed:?}");
}
