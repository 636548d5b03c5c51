//! One tenant's timers all run out at one instant, while the settings of another change without end (S14): each closes once,
//! by the settings it was armed under, and nothing of the one is seen with the other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use adjourn::domain::Timestamp;
use adjourn::wire::time;
use serde_json::{Value, json};

use super::fleet::{Fleet, Plan, pause, put_settings, settings_url};
use super::judge::history::Ms;
use super::judge::rest::try_put_settings;
use super::judge::rng::number_from;
use super::load::{WORKSPACE, now};
use super::report::{Done, Run, percentiles};
use super::rig::process::PATIENCE;
use super::verdict::judge;

const CROWD: &str = "crowd";
/// Conversations in a request, of two events each.
const BATCH: u64 = 250;
/// All of a round are snoozed until the same instant, and close this much later: a timer of so short a period would else run
/// from when its message was accepted (D8).
const PERIOD_MS: Ms = 1_000;
/// Timers in a round, and until when they are snoozed: of few rounds, of all.
const FEW: (u64, Ms) = (5_000, 15_000);
const FULL: (u64, Ms) = (50_000, 45_000);
/// Rounds that begin anew with twice the time, because sending took too long.
const SKIPPED_MAX: u64 = 3;

#[tokio::test(flavor = "multi_thread")]
async fn s14_settings_change_without_end_while_a_tenants_timers_all_run_out_at_once() {
    let run = Run::of("s14_settings_change_without_end_while_a_tenants_timers_all_run_out_at_once");
    let began = Instant::now();
    let mut fleet = Fleet::start(Plan::new("a storm of settings, all timers of a tenant at one instant"), run.rng()).await;
    let (timers, snoozed) = if super::report::is_full() { FULL } else { FEW };
    let (timers, mut snoozed) = (number_from("ADJOURN_FLEET_TIMERS").unwrap_or(timers), snoozed);
    let (mut done, mut deadlines) = (Done::default(), BTreeMap::new());
    let (mut changes, mut skipped, mut nth) = (0, 0, 0);
    while done.rounds < run.rounds {
        let round = nth;
        nth += 1;
        fleet.settled().await;
        put_settings(
            &fleet.client,
            &fleet.nodes,
            CROWD,
            &json!({"auto_close": {"enabled": true, "period": format!("{}s", PERIOD_MS / 1_000)}}),
        )
        .await;
        let storm = Storm::begin(&fleet);
        let at = now();
        for from in (0..timers).step_by(BATCH as usize) {
            post(&fleet, from, (from..timers.min(from + BATCH)).flat_map(|nth| arm(round, nth, at, at + snoozed)).collect()).await;
        }
        let ahead = at + snoozed - now();
        // What was sent after its instant runs from when it was accepted: a slower machine needs a longer snooze.
        let in_time = ahead > 0;
        deadlines.extend((0..timers).map(|nth| (name(round, nth), in_time.then_some(at + snoozed + PERIOD_MS))));
        if !in_time {
            assert!(skipped < SKIPPED_MAX, "sending {timers} events takes longer than {snoozed} ms");
            (skipped, snoozed) = (skipped + 1, 2 * snoozed);
            changes += storm.end().await;
            continue;
        }
        // From here on what was armed stays as it was armed (T23).
        put_settings(&fleet.client, &fleet.nodes, CROWD, &json!({"auto_close": {"period": "1h"}})).await;
        pause(ahead as u64).await;
        let before = storm.changes();
        while waiting(&fleet).await > 0 {
            assert!(now() < at + snoozed + PATIENCE.as_millis() as Ms, "{} still wait", waiting(&fleet).await);
            pause(100).await;
        }
        let while_due = storm.changes() - before;
        changes += storm.end().await;
        done.rounds += 1;
        done.hits += u64::from(while_due > 0);
        run.progress(done.rounds);
    }
    fleet.settled().await;
    done.notes.push(format!(
        "{timers} timers in each round; the settings were changed {changes} times; {skipped} rounds began anew, sending took too long"
    ));
    let outcome = judge(fleet, run, began, done, false).await;
    let crowd = &outcome.others[CROWD];
    let mut late = Vec::new();
    for told in &crowd.told {
        let Some(close) = &told.close else { continue };
        let deadline = deadlines.remove(&told.conversation).unwrap_or_else(|| panic!("{} closed twice", told.conversation));
        assert_eq!(close.deadline, deadline.unwrap_or(close.deadline), "{}", told.conversation);
        assert!(close.at > close.deadline, "{} closed early", told.conversation);
        late.extend(deadline.map(|deadline| close.at - deadline));
    }
    assert!(deadlines.is_empty(), "{} never closed", deadlines.len());
    assert!(outcome.history.states.keys().all(|conversation| !conversation.starts_with("crowd-")), "a tenant's among another's");
    assert!(crowd.states.keys().all(|conversation| conversation.starts_with("crowd-")), "a tenant's among another's");
    let [p50, p99, max] = percentiles(&late);
    eprintln!("| {} timers of one instant closed p50 {p50}, p99 {p99}, at most {max} ms late", late.len());
}

fn name(round: u64, nth: u64) -> String {
    format!("crowd-{round}-{nth}")
}

/// A message, and a snooze.
fn arm(round: u64, nth: u64, at: Ms, until: Ms) -> [Value; 2] {
    let event = |what: &str, at: Ms, type_name: &str, data: Value| {
        json!({"specversion": "1.0", "id": format!("{round}-{nth}-{what}"), "source": "/fleet/crowd", "type": type_name, "data": data,
               "subject": name(round, nth), "workspace": CROWD, "time": time::format(Timestamp::from_millis(at))})
    };
    let until = time::format(Timestamp::from_millis(until));
    [
        event("m", at, "inbox.message.v1", json!({"source": "user"})),
        event("s", at + 1, "inbox.conversation.snoozed.v1", json!({"until": until})),
    ]
}

/// Sends these until a node has taken them.
async fn post(fleet: &Fleet, nth: u64, events: Vec<Value>) {
    let body: String = events.iter().map(|event| format!("{event}\n")).collect();
    let asked = Instant::now();
    for node in fleet.nodes.iter().cycle().skip(nth as usize % fleet.nodes.len()) {
        let post = fleet.client.post(node.url("/v1/events")).header("content-type", "application/x-ndjson").body(body.clone());
        match post.send().await {
            Ok(answer) if answer.status() == 202 => return,
            _ => pause(50).await,
        }
        assert!(asked.elapsed() < PATIENCE, "nobody takes them");
    }
}

/// Timers of the crowd that have not closed.
async fn waiting(fleet: &Fleet) -> u64 {
    let until = time::format(Timestamp::from_millis(now() + 1_000));
    let url = fleet.nodes[0].url(&format!("/v1/workspaces/{CROWD}/conversations?due_before={until}&limit=1"));
    let Ok(answer) = fleet.client.get(url).send().await else { return 1 };
    let list: Value = answer.json().await.unwrap_or_default();
    list["items"].as_array().map_or(1, |items| items.len() as u64)
}

/// Changes the period of the load's workspace, by one node after the other, as fast as they say that it is done.
struct Storm {
    stop: Arc<AtomicBool>,
    changes: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl Storm {
    fn begin(fleet: &Fleet) -> Self {
        let (stop, changes) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let urls: Vec<String> = fleet.nodes.iter().map(|node| settings_url(node, WORKSPACE)).collect();
        let (client, until, done, usual) = (fleet.client.clone(), stop.clone(), changes.clone(), fleet.period_ms / 1_000);
        let task = tokio::spawn(async move {
            let mut nth = 0;
            while !until.load(Ordering::SeqCst) {
                let settings = json!({"auto_close": {"period": format!("{}s", 1 + (usual + nth) % 3)}});
                let taken = try_put_settings(&client, &urls[nth as usize % urls.len()], &settings).await;
                done.fetch_add(u64::from(taken.is_ok()), Ordering::SeqCst);
                nth += 1;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        Self { stop, changes, task }
    }

    fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    async fn end(self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        self.task.await.unwrap();
        self.changes.load(Ordering::SeqCst)
    }
}
