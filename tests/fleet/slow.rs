//! A wire that is slow, that breaks, and that loses the answers to what was done.

use std::time::Instant;

use super::fleet::{Fleet, NODES, Plan, pause};
use super::report::{Done, Run};
use super::verdict::judge;

#[tokio::test(flavor = "multi_thread")]
async fn slow_broken_and_lost_answers_of_redis_double_nothing() {
    let run = Run::of("slow_broken_and_lost_answers_of_redis_double_nothing");
    let began = Instant::now();
    let mut fleet = Fleet::start(Plan::new("latency 50-500 ms, resets, lost answers"), run.rng()).await;
    let (mut done, mut kinds) = (Done::default(), [0; 3]);
    for round in 0..run.rounds {
        fleet.settled().await;
        pause(fleet.rng.between(100, 500)).await;
        let (victim, kind) = (fleet.rng.below(NODES as u64) as usize, (round % 3) as usize);
        let by = std::time::Duration::from_millis(fleet.rng.between(50, 500));
        done.hits += u64::from(fleet.await_in_flight(Some(victim)).await);
        let lasts = fleet.rng.between(200, 1_500);
        let proxy = fleet.nodes[victim].proxy.as_ref().unwrap();
        match kind {
            0 => proxy.delay(by),
            1 => proxy.reset(),
            // What was asked for is done; who asked hears of it no more.
            _ => proxy.cut_to_client(),
        }
        pause(if kind == 1 { 0 } else { lasts }).await;
        if kind == 2 {
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
    done.notes.push(format!("{} times slow, {} resets, {} times answers lost", kinds[0], kinds[1], kinds[2]));
    judge(fleet, run, began, done, false).await;
}
