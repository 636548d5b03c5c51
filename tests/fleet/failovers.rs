//! The primary of Redis goes and a replica takes over.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::fleet::{Backend, Fleet, Plan, pause};
use super::judge::rng::Rng;
use super::report::{Done, Run};
use super::rig::sentinel::Failover;
use super::verdict::judge;

/// Failovers of one fleet: each copies all that was ever said to two replicas, and nothing is ever thrown away.
const ROUNDS: u64 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn s4_a_failover_loses_nothing_that_a_node_remembers() {
    let run = Run::of("s4_a_failover_loses_nothing_that_a_node_remembers");
    fail_over(run, Plan { backend: Backend::Watched { replicas: 0 }, ..Plan::new("failover, standard") }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s4_a_failover_loses_nothing_at_all_where_replicas_must_have_it() {
    let run = Run::of("s4_a_failover_loses_nothing_at_all_where_replicas_must_have_it");
    fail_over(run, Plan { backend: Backend::Watched { replicas: 2 }, ..Plan::new("failover, strict, both replicas") }).await;
}

async fn fail_over(run: Run, plan: Plan) {
    let mut rng = run.rng();
    for before in (0..run.rounds).step_by(ROUNDS as usize) {
        fleet_fails_over(run, plan.clone(), Rng::new(rng.next()), before..run.rounds.min(before + ROUNDS)).await;
    }
}

async fn fleet_fails_over(run: Run, plan: Plan, rng: Rng, rounds: Range<u64>) {
    let began = Instant::now();
    let mut fleet = Fleet::start(plan, rng).await;
    let (mut done, mut longest) = (Done::default(), Duration::ZERO);
    for round in rounds {
        fleet.settled().await;
        pause(fleet.rng.between(500, 1_500)).await;
        let how = [Failover::Kill, Failover::Stop, Failover::Asked][(round % 3) as usize];
        let under_way = fleet.await_pending().await;
        let old = fleet.sentinels().failover(how);
        let gone = Instant::now();
        done.rounds += 1;
        done.hits += u64::from(under_way);
        fleet.sentinels().wait_for_new_primary(old, how);
        longest = longest.max(gone.elapsed());
        pause(fleet.rng.below(500)).await;
        fleet.sentinels().bring_back(old, how);
        run.progress(round + 1);
    }
    fleet.settled().await;
    done.notes.push(format!("the sentinels took up to {} ms to agree on another primary", longest.as_millis()));
    judge(fleet, run, began, done, false).await;
}
