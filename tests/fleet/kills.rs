//! SIGKILL: of a node at any moment, of Redis while it writes.

use std::ops::Range;
use std::time::Instant;

use super::fleet::{Fleet, NODES, Plan, pause};
use super::judge::history::Ms;
use super::judge::rng::Rng;
use super::load::{WORKSPACE, now};
use super::node::PARTITIONS;
use super::report::{Done, Run, percentiles};
use super::verdict::judge;

/// With the default lease a dead node's timers are to close within this.
const LATE_MAX: Ms = 5_000;

/// When which partitions lost their owner, and when all of them had another.
struct Death {
    at: Ms,
    taken_over: Ms,
    partitions: Vec<u16>,
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_kill_9_of_a_node_loses_nothing_and_closes_nothing_twice() {
    let run = Run::of("s1_kill_9_of_a_node_loses_nothing_and_closes_nothing_twice");
    nodes_are_killed(run, Plan::new("kill -9 of a node")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_with_the_default_lease_a_dead_nodes_timers_close_within_five_seconds() {
    let run = Run::of("s1_with_the_default_lease_a_dead_nodes_timers_close_within_five_seconds");
    let late = nodes_are_killed(run, Plan { lease_ms: 3_000, ..Plan::new("kill -9 of a node") }).await;
    let [_, p99, _] = percentiles(&late);
    assert!(!late.is_empty() && p99 <= LATE_MAX, "of {} timers of dead nodes, 1 % closed more than {p99} ms late", late.len());
}

/// Answers how late the timers of the dead closed.
async fn nodes_are_killed(run: Run, plan: Plan) -> Vec<Ms> {
    let began = Instant::now();
    let mut fleet = Fleet::start(plan, run.rng()).await;
    let (mut done, mut deaths, mut timers) = (Done::default(), Vec::new(), 0);
    for _ in 0..run.rounds {
        fleet.settled().await;
        pause(fleet.rng.between(100, 500)).await;
        let victim = fleet.rng.below(NODES as u64) as usize;
        let partitions = fleet.partitions_of(victim);
        let lease = fleet.plan.lease_ms;
        let due = fleet.due_within(&partitions, lease);
        let under_way = fleet.await_in_flight(Some(victim)).await;
        fleet.nodes[victim].kill();
        let at = now();
        done.rounds += 1;
        done.hits += u64::from(under_way);
        timers += u64::from(due > 0);
        // Back before anybody misses it, or long after.
        let most = 2 * lease;
        let away = if fleet.rng.percent(50) { fleet.rng.below(most) } else { most };
        pause(away).await;
        if away == most {
            fleet.owned().await;
        }
        fleet.nodes[victim].start();
        fleet.owned().await;
        deaths.push(Death { at, taken_over: now(), partitions });
        run.progress(done.rounds);
    }
    fleet.settled().await;
    done.notes.push(format!("{timers} rounds with timers about to fall due on the dead node"));
    let outcome = judge(fleet, run, began, done, false).await;
    let partition = |conversation: &str| (crc32fast::hash(format!("{WORKSPACE}/{conversation}").as_bytes()) % u32::from(PARTITIONS)) as u16;
    let closes = outcome.history.told.iter().filter_map(|told| Some((partition(&told.conversation), told.close.as_ref()?)));
    let of_the_dead = closes.filter(|(partition, close)| {
        let fell_due = |death: &&Death| death.at <= close.deadline && close.deadline <= death.taken_over;
        deaths.iter().filter(fell_due).any(|death| death.partitions.contains(partition))
    });
    let late: Vec<Ms> = of_the_dead.map(|(_, close)| close.at - close.deadline).collect();
    let [p50, p99, max] = percentiles(&late);
    eprintln!("| {} timers fell due on dead nodes and closed p50 {p50}, p99 {p99}, at most {max} ms late", late.len());
    late
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_kill_9_of_redis_that_writes_before_it_answers_loses_nothing() {
    let run = Run::of("s2_kill_9_of_redis_that_writes_before_it_answers_loses_nothing");
    redis_is_killed(run, Plan::new("kill -9 of Redis")).await;
}

/// Deaths of one fleet's Redis: it reads all there ever was at each start.
const ROUNDS: u64 = 50;

/// Its process alone, or with the power.
pub async fn redis_is_killed(run: Run, plan: Plan) {
    let mut rng = run.rng();
    for before in (0..run.rounds).step_by(ROUNDS as usize) {
        a_fleets_redis_is_killed(run, plan.clone(), Rng::new(rng.next()), before..run.rounds.min(before + ROUNDS)).await;
    }
}

async fn a_fleets_redis_is_killed(run: Run, plan: Plan, rng: Rng, rounds: Range<u64>) {
    let began = Instant::now();
    let mut fleet = Fleet::start(plan, rng).await;
    let (mut done, mut bytes) = (Done::default(), 0);
    for round in rounds {
        fleet.settled().await;
        pause(fleet.rng.between(100, 600)).await;
        let under_way = fleet.await_in_flight(None).await;
        if fleet.plan.redis_power {
            bytes += fleet.server().lose_power();
        } else {
            fleet.server().kill();
        }
        done.rounds += 1;
        done.hits += u64::from(under_way);
        pause(fleet.rng.below(600)).await;
        fleet.server().restart();
        run.progress(round + 1);
    }
    fleet.settled().await;
    done.notes.extend(fleet.plan.redis_power.then(|| format!("{bytes} bytes were not on the disk")));
    judge(fleet, run, began, done, false).await;
}
