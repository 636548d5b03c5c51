//! What an operator does: moves a partition, restarts all nodes one after the other. `ADJOURN_FLEET_OTHER=path/to/adjourn` makes every
//! second of these restarts one to that version, and the next one back (S12).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde_json::json;

use super::chain::lease_key;
use super::fleet::{Fleet, NODES, Plan, pause};
use super::judge::history::Ms;
use super::node::{BINARY, PARTITIONS};
use super::report::{Done, Run, percentiles};
use super::verdict::judge;

/// In a round of moves.
const MOVES: u64 = 4;

#[tokio::test(flavor = "multi_thread")]
async fn s12_planned_moves_and_rolling_restarts_lose_nothing() {
    let run = Run::of("s12_planned_moves_and_rolling_restarts_lose_nothing");
    let began = Instant::now();
    let mut fleet = Fleet::start(Plan::new("planned moves, rolling restarts"), run.rng()).await;
    let mut done = Done::default();
    let (mut moves, mut restarts) = (Vec::new(), Vec::new());
    for round in 0..run.rounds {
        fleet.settled().await;
        pause(fleet.rng.between(100, 600)).await;
        let before = fleet.calls.lock().unwrap().len();
        let watch = Ownerless::watch(&fleet);
        done.rounds += 1;
        if round % 2 == 0 {
            for _ in 0..MOVES {
                move_one(&mut fleet).await;
            }
            moves.extend(watch.end());
        } else {
            // To another version and back, where one is named.
            let other = std::env::var("ADJOURN_FLEET_OTHER").ok().filter(|_| round % 4 == 1);
            for node in 0..NODES {
                fleet.nodes[node].terminate();
                fleet.nodes[node].binary = other.as_deref().unwrap_or(BINARY).into();
                fleet.nodes[node].start();
                fleet.settled().await;
            }
            restarts.extend(watch.end());
        }
        done.hits += u64::from(fleet.calls.lock().unwrap().len() > before);
        run.progress(done.rounds);
    }
    fleet.settled().await;
    for (what, gaps) in [("moves", &moves), ("rolling restarts", &restarts)] {
        let [p50, p99, max] = percentiles(gaps);
        done.notes.push(format!("{what}: {} changes of owner; without one for p50 {p50}, p99 {p99}, at most {max} ms", gaps.len()));
    }
    judge(fleet, run, began, done, false).await;
}

/// Gives a partition to another node, by asking any of them.
async fn move_one(fleet: &mut Fleet) {
    let partition = fleet.rng.below(u64::from(PARTITIONS)) as u16;
    let owner = fleet.owners()[usize::from(partition)].clone();
    let others: Vec<String> = fleet.nodes.iter().map(|node| node.name.clone()).filter(|name| Some(name) != owner.as_ref()).collect();
    let to = &others[fleet.rng.below(others.len() as u64) as usize];
    let asked = fleet.rng.below(NODES as u64) as usize;
    let request = fleet.client.post(fleet.nodes[asked].url(&format!("/v1/shards/{partition}/move")));
    let answer = request.header("content-type", "application/json").body(json!({"to": to}).to_string()).send().await.unwrap();
    assert!(answer.status().is_success(), "partition {partition} to {to}: {} {}", answer.status(), answer.text().await.unwrap());
    assert_eq!(fleet.owners()[usize::from(partition)].as_ref(), Some(to), "it was answered, and is not done");
}

/// Looks at the leases about every millisecond, and notes how long each was nobody's.
struct Ownerless {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Vec<Ms>>,
}

impl Ownerless {
    fn watch(fleet: &Fleet) -> Self {
        let (stop, mut redis) = (Arc::<AtomicBool>::default(), fleet.connection());
        let until = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut pipe = redis::pipe();
            for partition in 0..PARTITIONS {
                pipe.hexists(lease_key(partition), "nonce");
            }
            let mut since = vec![None; usize::from(PARTITIONS)];
            let mut gaps = Vec::new();
            while !until.load(Ordering::SeqCst) {
                let held: Vec<bool> = pipe.query(&mut redis).unwrap();
                for (since, held) in since.iter_mut().zip(held) {
                    match (held, *since) {
                        (false, None) => *since = Some(Instant::now()),
                        (true, Some(began)) => {
                            gaps.push(began.elapsed().as_millis() as Ms);
                            *since = None;
                        }
                        (true, None) | (false, Some(_)) => {}
                    }
                }
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            gaps
        });
        Self { stop, thread }
    }

    fn end(self) -> Vec<Ms> {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().unwrap()
    }
}
