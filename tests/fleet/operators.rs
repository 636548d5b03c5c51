//! What somebody does to Redis while it is in use: takes its scripts away, leaves it no memory or no disk, loosens how it writes,
//! lets it evict.

use std::time::Instant;

use super::fleet::{Fleet, Plan, pause};
use super::report::{Done, Run};
use super::verdict::judge;

/// What is set, and what it was.
const CHANGES: [[&str; 3]; 3] =
    [["maxmemory", "1mb", "0"], ["appendfsync", "everysec", "always"], ["maxmemory-policy", "allkeys-lru", "noeviction"]];
const KINDS: [&str; 5] = ["no scripts", "no memory", "everysec", "eviction", "no disk"];

#[tokio::test(flavor = "multi_thread")]
async fn s13_scripts_taken_away_memory_and_settings_changed_under_way_lose_nothing() {
    let run = Run::of("s13_scripts_taken_away_memory_and_settings_changed_under_way_lose_nothing");
    let began = Instant::now();
    let plan = Plan { redis_power: true, ..Plan::new("SCRIPT FLUSH, full memory, full disk, appendfsync and eviction changed") };
    let mut fleet = Fleet::start(plan, run.rng()).await;
    let (mut done, mut kinds) = (Done::default(), [0; KINDS.len()]);
    for round in 0..run.rounds {
        fleet.settled().await;
        pause(fleet.rng.between(100, 500)).await;
        let mut redis = fleet.connection();
        let kind = (round % KINDS.len() as u64) as usize;
        let lasts = fleet.rng.between(300, 1_200);
        done.hits += u64::from(fleet.await_in_flight(None).await);
        let mut set = |name: &str, value: &str| redis::cmd("CONFIG").arg("SET").arg(name).arg(value).exec(&mut redis).unwrap();
        match kind.checked_sub(1).map(|nth| CHANGES.get(nth)) {
            None => redis::cmd("SCRIPT").arg("FLUSH").exec(&mut redis).unwrap(),
            Some(Some([name, changed, before])) => {
                set(name, changed);
                pause(lasts).await;
                set(name, before);
            }
            Some(None) => {
                // One that syncs each write ends itself when it cannot: that is S2.
                set("appendfsync", "everysec");
                fleet.server().fill_disk();
                pause(lasts).await;
                fleet.server().free_disk();
                fleet.owned().await;
                redis::cmd("CONFIG").arg("SET").arg("appendfsync").arg("always").exec(&mut fleet.connection()).unwrap();
            }
        }
        done.rounds += 1;
        kinds[kind] += 1;
        fleet.owned().await;
        run.progress(done.rounds);
    }
    fleet.settled().await;
    done.notes.push(KINDS.iter().zip(kinds).map(|(kind, times)| format!("{times} times {kind}")).collect::<Vec<_>>().join(", "));
    judge(fleet, run, began, done, false).await;
}
