//! Every point, a number of rounds each, and a table of what came of it.

use std::time::Instant;

use super::judge::rng::{Rng, number_from};
use super::load::now;
use super::points::{self, Point};
use super::stage::{Kind, Stage};

/// Judging takes as long as some rounds: so many share a store before it is judged.
const ROUNDS_A_HISTORY: u64 = 20;

struct Line {
    point: Point,
    hits: u64,
    /// Of the history that it is a part of.
    violations: usize,
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded_a_process_that_ends_before_or_after_any_store_call_loses_nothing() {
    run(Kind::Embedded, "embedded").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_a_process_that_ends_before_or_after_any_store_call_loses_nothing() {
    run(Kind::Redis, "redis_a").await;
}

async fn run(kind: Kind, test: &str) {
    let began = Instant::now();
    let (seed, rounds) =
        (number_from("ADJOURN_CRASH_SEED").unwrap_or_else(|| now() as u64), number_from("ADJOURN_CRASH_ROUNDS").unwrap_or(1));
    let again =
        format!("ADJOURN_CRASH_SEED={seed} ADJOURN_CRASH_ROUNDS={rounds} cargo test --features faults --test crash {test} -- --nocapture");
    eprintln!("{kind:?}: {again}");
    let calls = points::of(kind);
    let (all, mut lines, mut wrong) = (calls.iter().map(Vec::len).sum::<usize>(), Vec::<Line>::new(), Vec::new());
    for calls in calls.chunks((ROUNDS_A_HISTORY / (2 * rounds)).max(1) as usize) {
        let points: Vec<Point> = calls.concat();
        // Of these points alone: they can be run again without the others.
        let mut rng = Rng::new(seed ^ u64::from(crc32fast::hash(format!("{kind:?} {}", points[0].place).as_bytes())) << 32);
        let mut stage = Stage::start(kind, &mut rng).await;
        let first = lines.len();
        for point in points {
            let hits = rounds_of(&mut stage, point, rounds, &mut rng).await;
            lines.push(Line { point, hits, violations: 0 });
            let Point { place, side } = point;
            eprintln!(
                "{kind:?}: {place}:{side} died {hits} of {rounds} times; point {} of {all}, {} s",
                lines.len(),
                began.elapsed().as_secs()
            );
        }
        let (found, tally, dir) = stage.judge().await;
        eprintln!("{kind:?}: judged, {} violations; {tally:?}", found.len());
        lines[first..].iter_mut().for_each(|line| line.violations = found.len());
        if !found.is_empty() {
            eprintln!("{kind:?}: {}", found[..found.len().min(5)].join("\n"));
            let names: Vec<&str> = lines[first..].iter().map(|line| line.point.place).collect();
            wrong.push(format!(
                "{names:?}: {} violations, among them\n{}\nwhat it left is in {}",
                found.len(),
                found[..found.len().min(5)].join("\n"),
                dir.keep().display()
            ));
        }
    }
    print(kind, rounds, &lines);
    eprintln!("{kind:?}: {all} points, {} deaths, {} s", lines.iter().map(|line| line.hits).sum::<u64>(), began.elapsed().as_secs());
    let unhit: Vec<Point> = lines.iter().filter(|line| line.hits == 0).map(|line| line.point).collect();
    assert!(wrong.is_empty(), "{}\nagain: {again}", wrong.join("\n"));
    assert!(unhit.is_empty(), "never died at {unhit:?}: not reached any more?\nagain: {again}");
}

/// How many of the rounds died there.
async fn rounds_of(stage: &mut Stage, point: Point, rounds: u64, rng: &mut Rng) -> u64 {
    let mut hits = 0;
    for _ in 0..rounds {
        let nth = rng.between(1, point.passed());
        // What comes less often than it is thought to is died at the first time.
        hits += u64::from(stage.die_at(point, nth).await || (nth > 1 && stage.die_at(point, 1).await));
    }
    hits
}

fn print(kind: Kind, rounds: u64, lines: &[Line]) {
    eprintln!("| {kind:?} | side | rounds | died there | violations of its history |");
    for Line { point: Point { place, side }, hits, violations } in lines {
        eprintln!("| {place} | {side} | {rounds} | {hits} | {violations} |");
    }
    for (place, reason) in points::unreached(kind) {
        eprintln!("| {place} | - | not reached: {reason} |");
    }
}
