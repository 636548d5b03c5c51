//! What somebody does to Redis while it is in use: takes its scripts away, leaves it no memory, loosens how it writes.

use std::time::Instant;

use super::fleet::{Fleet, Plan, pause};
use super::report::{Done, Run};
use super::verdict::judge;

/// What is set, and what it was.
const CHANGES: [[&str; 3]; 2] = [["maxmemory", "1mb", "0"], ["appendfsync", "everysec", "always"]];

#[tokio::test(flavor = "multi_thread")]
async fn scripts_taken_away_memory_and_settings_changed_under_way_lose_nothing() {
    let run = Run::of("scripts_taken_away_memory_and_settings_changed_under_way_lose_nothing");
    let began = Instant::now();
    let mut fleet = Fleet::start(Plan::new("SCRIPT FLUSH, full memory, appendfsync changed"), run.rng()).await;
    let (mut done, mut kinds) = (Done::default(), [0; 3]);
    for round in 0..run.rounds {
        fleet.settled().await;
        pause(fleet.rng.between(100, 500)).await;
        let mut redis = fleet.connection();
        let kind = (round % 3) as usize;
        let lasts = fleet.rng.between(300, 1_200);
        done.hits += u64::from(fleet.await_in_flight(None).await);
        match kind.checked_sub(1).map(|nth| CHANGES[nth]) {
            None => redis::cmd("SCRIPT").arg("FLUSH").exec(&mut redis).unwrap(),
            Some([name, changed, before]) => {
                let mut set = |value: &str| redis::cmd("CONFIG").arg("SET").arg(name).arg(value).exec(&mut redis).unwrap();
                set(changed);
                pause(lasts).await;
                set(before);
            }
        }
        done.rounds += 1;
        kinds[kind] += 1;
        fleet.owned().await;
        run.progress(done.rounds);
    }
    fleet.settled().await;
    done.notes.push(format!("{} times no scripts, {} times no memory, {} times everysec", kinds[0], kinds[1], kinds[2]));
    judge(fleet, run, began, done, false).await;
}
