//! A backup is restored under nodes that run on (S15): all of them notice, nothing closes, the pipeline sends again what was
//! accepted since, and when an operator says so it all comes out as if nothing had been lost.

use std::process::Stdio;
use std::time::Instant;

use serde_json::Value;

use super::fleet::{Fleet, Plan, pause};
use super::judge::history::Message;
use super::load::now;
use super::node::{BINARY, PARTITIONS};
use super::report::{Done, Run};
use super::rig::process::{PATIENCE, command};
use super::verdict::judge;

/// Of the backup: more than any failover loses.
const AGE_MS: u64 = 12_000;
/// Sent before the backup, and perhaps not answered by then.
const UNDER_WAY: usize = 200;
/// Looks at the index, in ms, of each partition: what may close has closed.
const TICKS_MS: u64 = 2_500;
const BATCH: usize = 100;

#[tokio::test(flavor = "multi_thread")]
async fn s15_a_restored_backup_is_noticed_and_nothing_closes_until_an_operator_says_so() {
    let run = Run::of("s15_a_restored_backup_is_noticed_and_nothing_closes_until_an_operator_says_so");
    let began = Instant::now();
    let mut fleet = Fleet::start(Plan::new("a backup of 12 s ago restored"), run.rng()).await;
    let (mut done, mut overdue, mut again) = (Done::default(), 0, 0);
    for _ in 0..run.rounds {
        fleet.settled().await;
        let backup = tempfile::tempdir().unwrap();
        fleet.server().back_up(backup.path());
        let from = fleet.load.ledger.lock().unwrap().sent.len().saturating_sub(UNDER_WAY);
        pause(AGE_MS).await;
        fleet.server().restore(backup.path());
        fleet.forgot_at = Some(now());
        held(&fleet, true).await;
        let closes = closes(&fleet);
        pause(TICKS_MS).await;
        let due = fleet.due_within(&(0..PARTITIONS).collect::<Vec<_>>(), 0);
        assert_eq!(self::closes(&fleet), closes, "something closed before anybody said so");
        let since: Vec<Message> = fleet.load.ledger.lock().unwrap().sent[from..].to_vec();
        let sender = fleet.load.sender();
        for batch in since.chunks(BATCH) {
            sender.send(0, batch.to_vec()).await;
        }
        assert_eq!(self::closes(&fleet), closes, "something closed before anybody said so");
        resume(&mut fleet);
        held(&fleet, false).await;
        (done.rounds, done.hits, overdue, again) = (done.rounds + 1, done.hits + u64::from(due > 0), overdue + due, again + since.len());
        run.progress(done.rounds);
    }
    fleet.settled().await;
    done.notes.push(format!("{overdue} timers were overdue while closes were held; {again} events were sent again"));
    judge(fleet, run, began, done, false).await;
}

/// Waits until every node says that closes are held, or that they are not.
async fn held(fleet: &Fleet, wanted: bool) {
    let asked = Instant::now();
    for node in &fleet.nodes {
        loop {
            let answer = fleet.client.get(node.url("/v1/topology")).send().await;
            let said: Value = match answer {
                Ok(answer) => answer.json().await.unwrap_or_default(),
                Err(_) => Value::Null,
            };
            if said.is_object() && said["closes_held"].is_null() != wanted {
                break;
            }
            assert!(asked.elapsed() < PATIENCE, "{} says {said}", node.name);
            pause(20).await;
        }
    }
}

/// What the outboxes tell of closes: their number, for it only grows.
fn closes(fleet: &Fleet) -> usize {
    let mut redis = fleet.connection();
    let told = |partition: u16| -> Vec<redis::Value> {
        redis::cmd("XRANGE").arg(format!("adjourn:{{p{partition}}}:notifications")).arg("-").arg("+").query(&mut redis).unwrap()
    };
    (0..PARTITIONS).map(told).map(|entries| entries.iter().filter(|entry| is_close(entry)).count()).sum()
}

fn is_close(entry: &redis::Value) -> bool {
    let text = format!("{entry:?}");
    text.contains("adjourn.conversation.closed.v1")
}

/// As an operator would.
fn resume(fleet: &mut Fleet) {
    let url = fleet.server().url();
    let told = command(BINARY).args(["redis", "resume", "--store", &url]).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(told.status.success() && said.contains("saw the store go back"), "{said}");
}
