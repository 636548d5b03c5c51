//! A node stands still (SIGSTOP) for twice the lease with a commit of its own still on the wire; another takes over and
//! commits; then the old commit arrives.

use std::time::{Duration, Instant};

use super::chain::{Call, lease_key};
use super::fleet::{Fleet, Plan, pause};
use super::report::{Done, Run};
use super::verdict::judge;

/// SHA-1 in hexadecimal.
const DIGEST_LEN: usize = 40;
/// For a commit of one partition to come by; not every partition has something to do all the time.
const PASSES_BY: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
async fn s6_a_commit_that_arrives_after_the_next_owners_is_refused() {
    let run = Run::of("s6_a_commit_that_arrives_after_the_next_owners_is_refused");
    let began = Instant::now();
    let mut fleet = Fleet::start(Plan::new("SIGSTOP of an owner, its commit held"), run.rng()).await;
    let mut done = Done::default();
    let (mut held_back, mut fenced_before) = (Vec::new(), 0);
    for node in &fleet.nodes {
        fenced_before += node.counter(&fleet.client, "adjourn_fenced_writes_total").await;
    }
    for _ in 0..run.rounds {
        fleet.settled().await;
        done.rounds += 1;
        run.progress(done.rounds);
        if let Some(id) = freeze_with_a_commit_on_the_wire(&mut fleet).await {
            done.hits += 1;
            held_back.push(id);
        }
    }
    fleet.settled().await;
    let mut fenced = 0;
    for node in &fleet.nodes {
        fenced += node.counter(&fleet.client, "adjourn_fenced_writes_total").await;
    }
    done.notes.push(format!("adjourn_fenced_writes_total went from {fenced_before} to {fenced}"));
    assert!(done.hits > 0, "no commit was ever held back until another owner had committed");
    let proof = judge(fleet, run, began, done, false).await.proof.unwrap();
    let written: Vec<&String> = held_back.iter().filter(|id| !proof.refused.contains(*id)).collect();
    assert!(written.is_empty(), "late commits of owners that had stood still were written: {written:?}\nagain: {}", run.again());
    eprintln!("| {} late commits arrived after another owner's; none was executed", held_back.len());
}

/// The id of the commit that was late; `None`: none came by, or nobody committed meanwhile.
async fn freeze_with_a_commit_on_the_wire(fleet: &mut Fleet) -> Option<String> {
    // One that has something to do now.
    let owners = fleet.owners();
    fleet.await_commit(None).await;
    // A script is sent in full only once; from then on by its digest.
    let by_digest = |call: &Call| call.script.len() == DIGEST_LEN;
    let (victim, last) = {
        let calls = fleet.calls.lock().unwrap();
        calls.iter().rev().find(|(_, _, call)| by_digest(call)).map(|(_, node, call)| (*node, call.clone()))?
    };
    let partition = owners.iter().zip(0..).find(|(_, partition)| lease_key(*partition) == last.lease_key)?.1;
    let proxy = fleet.nodes[victim].proxy.as_ref()?;
    let held = proxy.hold_next(&[last.script.as_bytes(), last.lease_key.as_bytes()]);
    let asked = Instant::now();
    while !held.is_caught() && asked.elapsed() < PASSES_BY {
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    if !held.is_caught() {
        return None;
    }
    fleet.nodes[victim].freeze();
    let frozen = Instant::now();
    let whole = Duration::from_millis(2 * fleet.plan.lease_ms);
    let mut other_committed = false;
    while frozen.elapsed() < whole || (!other_committed && frozen.elapsed() < 4 * whole) {
        pause(20).await;
        let calls = fleet.calls.lock().unwrap();
        other_committed =
            calls.iter().rev().any(|(at, node, call)| *at > frozen && *node != victim && call.lease_key == lease_key(partition));
    }
    // Let that commit be done.
    pause(50).await;
    // A partition has one commit under way at a time: the node's last is the one that is held.
    let of_the_victim = |(_, node, call): &&(Instant, usize, Call)| *node == victim && call.lease_key == last.lease_key;
    let late = fleet.calls.lock().unwrap().iter().rev().find(of_the_victim)?.2.id.clone();
    held.release();
    pause(fleet.rng.below(200)).await;
    fleet.nodes[victim].thaw();
    fleet.owned().await;
    other_committed.then_some(late)
}
