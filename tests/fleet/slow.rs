//! A wire that is slow, that breaks, that passes one byte at a time, and that loses the answers to what was done.

use std::time::Instant;

use super::fleet::{Fleet, NODES, Plan, pause};
use super::report::{Done, Run};
use super::verdict::judge;

#[tokio::test(flavor = "multi_thread")]
async fn s8_slow_broken_and_lost_answers_of_redis_double_nothing() {
    let run = Run::of("s8_slow_broken_and_lost_answers_of_redis_double_nothing");
    let began = Instant::now();
    let mut fleet = Fleet::start(Plan::new("latency 50-500 ms, 1-byte slices, resets, lost answers"), run.rng()).await;
    let (mut done, mut kinds) = (Done::default(), [0; 4]);
    for round in 0..run.rounds {
        fleet.settled().await;
        pause(fleet.rng.between(100, 500)).await;
        let (victim, kind) = (fleet.rng.below(NODES as u64) as usize, (round % 4) as usize);
        let by = std::time::Duration::from_millis(fleet.rng.between(50, 500));
        done.hits += u64::from(fleet.await_in_flight(Some(victim)).await);
        let lasts = fleet.rng.between(200, 1_500);
        let proxy = fleet.nodes[victim].proxy.as_ref().unwrap();
        match kind {
            0 => proxy.delay(by),
            1 => proxy.reset(),
            // Of the answers that wait meanwhile, the rest passes as one when that is over: a round stays short.
            2 => proxy.slice(),
            // What was asked for is done; who asked hears of it no more.
            _ => proxy.cut_to_client(),
        }
        pause(if kind == 1 { 0 } else { lasts }).await;
        if kind == 3 {
            proxy.reset();
        }
        proxy.delay(std::time::Duration::ZERO);
        proxy.heal();
        done.rounds += 1;
        kinds[kind] += 1;
        fleet.owned().await;
        run.progress(done.rounds);
    }
    fleet.settled().await;
    let alone: u64 = fleet.nodes.iter().filter_map(|node| node.proxy.as_ref()).map(|proxy| proxy.counts().bytes_alone).sum();
    done.notes.push(format!(
        "{} times slow, {} resets, {} times sliced ({alone} bytes passed alone), {} times answers lost",
        kinds[0], kinds[1], kinds[2], kinds[3]
    ));
    judge(fleet, run, began, done, false).await;
}
