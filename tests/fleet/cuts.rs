//! The network between one node and Redis is cut: both ways, or one way.

use std::time::{Duration, Instant};

use super::fleet::{Fleet, NODES, Plan, pause};
use super::report::{Done, Run};
use super::verdict::judge;

#[tokio::test(flavor = "multi_thread")]
async fn s5_a_node_cut_off_from_redis_both_ways_or_one_way_writes_nothing_late() {
    let run = Run::of("s5_a_node_cut_off_from_redis_both_ways_or_one_way_writes_nothing_late");
    let began = Instant::now();
    let mut fleet = Fleet::start(Plan::new("cut between a node and Redis"), run.rng()).await;
    let (mut done, mut ways, mut timers) = (Done::default(), [0; 3], 0);
    for round in 0..run.rounds {
        fleet.settled().await;
        pause(fleet.rng.between(100, 500)).await;
        let victim = fleet.rng.below(NODES as u64) as usize;
        let partitions = fleet.partitions_of(victim);
        let way = (round % 3) as usize;
        timers += u64::from(fleet.due_within(&partitions, fleet.plan.lease_ms) > 0);
        fleet.await_in_flight(Some(victim)).await;
        let proxy = fleet.nodes[victim].proxy.as_ref().unwrap();
        match way {
            0 => proxy.cut(),
            1 => proxy.cut_to_server(),
            _ => proxy.cut_to_client(),
        }
        let cut = Instant::now();
        // Shorter than the lease: nothing changes hands. Longer: everything does.
        let lasts = fleet.rng.between(fleet.plan.lease_ms / 3, 3 * fleet.plan.lease_ms);
        pause(lasts).await;
        done.rounds += 1;
        ways[way] += 1;
        let tried = fleet.commits_of(Some(victim), cut.elapsed() + Duration::from_millis(5));
        done.hits += u64::from(tried > 0 || fleet.nodes[victim].has_pending());
        let proxy = fleet.nodes[victim].proxy.as_ref().unwrap();
        proxy.heal();
        if fleet.rng.percent(30) {
            proxy.reset();
        }
        fleet.owned().await;
        run.progress(done.rounds);
    }
    fleet.settled().await;
    done.notes.push(format!(
        "{} cut both ways, {} towards Redis, {} towards the node; {timers} rounds with timers about to fall due",
        ways[0], ways[1], ways[2]
    ));
    judge(fleet, run, began, done, false).await;
}
