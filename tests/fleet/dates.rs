//! Clocks that jump, by a minute, an hour and a day, forwards and back: Redis' while it runs; a node's, by an hour at most, which
//! looks at the date when it starts and counts from there.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::fleet::{Fleet, NODES, Plan, pause};
use super::judge::history::Ms;
use super::report::{Done, Run};
use super::verdict::judge;

const MINUTE: Ms = 60_000;
const HOUR: Ms = 60 * MINUTE;
const DAY: Ms = 24 * HOUR;

#[tokio::test(flavor = "multi_thread")]
async fn s7_a_node_whose_date_jumps_closes_nothing_early() {
    let run = Run::of("s7_a_node_whose_date_jumps_closes_nothing_early");
    let began = Instant::now();
    let mut fleet = Fleet::start(Plan { node_clocks: true, ..Plan::new("clock of a node jumps") }, run.rng()).await;
    let mut done = Done::default();
    for round in 0..run.rounds {
        fleet.settled().await;
        pause(fleet.rng.between(200, 800)).await;
        let victim = fleet.rng.below(NODES as u64) as usize;
        let by = [MINUTE, -MINUTE, HOUR, -HOUR][(round % 4) as usize];
        let clock = |fleet: &Fleet, by| fleet.nodes[victim].clock.as_ref().unwrap().jump(by);
        // While it runs, then as what it starts with.
        clock(&fleet, by);
        pause(fleet.rng.between(200, 600)).await;
        restart(&mut fleet, victim).await;
        let partitions = fleet.partitions_of(victim);
        let due = fleet.due_within(&partitions, 3_000);
        pause(fleet.rng.between(1_000, 2_000)).await;
        clock(&fleet, -by);
        restart(&mut fleet, victim).await;
        done.rounds += 1;
        done.hits += u64::from(due > 0);
        run.progress(done.rounds);
    }
    fleet.settled().await;
    judge(fleet, run, began, done, false).await;
}

/// One that is wrong about the date says that it is not ready; it has its share all the same.
async fn restart(fleet: &mut Fleet, node: usize) {
    if fleet.rng.percent(50) {
        fleet.nodes[node].kill();
    } else {
        fleet.nodes[node].terminate();
    }
    fleet.nodes[node].start();
    let asked = Instant::now();
    fleet.owned().await;
    while fleet.partitions_of(node).is_empty() {
        assert!(asked.elapsed() < super::rig::process::PATIENCE, "a node that came back got nothing");
        pause(20).await;
    }
}

fn jump(fleet: &Fleet, by: Ms, with_nodes: bool) {
    fleet.redis_clock.as_ref().unwrap().jump(by);
    let nodes = fleet.nodes.iter().filter(|_| with_nodes);
    nodes.for_each(|node| node.clock.as_ref().unwrap().jump(by));
}

/// One of its jumps a round, there and back; in every second fleet the nodes go back with it. One forwards comes last: what
/// is accepted meanwhile is accepted in the future.
#[tokio::test(flavor = "multi_thread")]
async fn s7_a_redis_whose_date_jumps_closes_nothing_early() {
    const BACK: [Ms; 3] = [-MINUTE, -HOUR, -DAY];
    const FORWARD: [Ms; 3] = [MINUTE, HOUR, DAY];
    const ROUNDS: u64 = 4;
    let run = Run::of("s7_a_redis_whose_date_jumps_closes_nothing_early");
    let mut rng = run.rng();
    for fleet_nth in 0..run.rounds.div_ceil(ROUNDS) {
        let began = Instant::now();
        let plan = Plan { redis_clock: true, node_clocks: true, ..Plan::new("clock of Redis jumps") };
        let mut fleet = Fleet::start(plan, super::judge::rng::Rng::new(rng.next())).await;
        let mut done = Done::default();
        let left = run.rounds - fleet_nth * ROUNDS;
        for by in BACK.into_iter().chain([FORWARD[fleet_nth as usize % 3]]).take(left as usize) {
            pause(fleet.rng.between(1_000, 2_500)).await;
            let all: Vec<u16> = (0..super::node::PARTITIONS).collect();
            let (asked, mut due) = (Instant::now(), 0);
            while due == 0 && asked.elapsed().as_secs() < 5 {
                due = fleet.due_within(&all, 3_000);
                pause(20).await;
            }
            // An event a whole hour ahead of that clock is no event (D9), and would be a dead letter.
            let is_far_back = by <= -HOUR;
            fleet.load.raw_pause.store(is_far_back, Ordering::SeqCst);
            pause(if is_far_back { 300 } else { 0 }).await;
            let with_nodes = by < 0 && fleet_nth % 2 == 1;
            jump(&fleet, by, with_nodes);
            pause(fleet.rng.between(1_000, 2_500)).await;
            jump(&fleet, -by, with_nodes);
            fleet.load.raw_pause.store(false, Ordering::SeqCst);
            done.rounds += 1;
            done.hits += u64::from(due > 0);
            run.progress(fleet_nth * ROUNDS + done.rounds);
        }
        fleet.settled().await;
        let rejected = fleet.load.ledger.lock().unwrap().rejected;
        done.notes.push(format!("{rejected} events were refused as too far ahead"));
        judge(fleet, run, began, done, true).await;
    }
}
