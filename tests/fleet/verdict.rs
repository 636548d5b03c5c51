//! The end of every scenario: the weather clears, what is due closes, the nodes stop, and the judge looks at what is left.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::chain::{self, Proof};
use super::fleet::{Backend, Fleet, Redis, keep, pause, urls};
use super::judge::checker::{Tally, Violation, check};
use super::judge::history::{Entry, History, Ms};
use super::judge::listener::Listener;
use super::judge::record::{self, Histories};
use super::judge::rest;
use super::load::{Load, WORKSPACE, now};
use super::node::{Node, PARTITIONS};
use super::report::{Classes, Done, Line, Run};

/// What was left, after it was found to be right.
pub struct Outcome {
    pub history: History,
    /// Of other workspaces than the load's.
    pub others: Histories,
    pub proof: Option<Proof>,
}

/// Judges the run. `as_of`: what was due before must have closed; where no clock was moved, all of it must.
pub async fn judge(fleet: Fleet, run: Run, began: Instant, done: Done, only_due: bool) -> Outcome {
    judge_with(fleet, run, began, done, only_due, |_, _| {}).await
}

/// The same; what only the history says of the rounds, `look` adds.
pub async fn judge_with(
    mut fleet: Fleet,
    run: Run,
    began: Instant,
    mut done: Done,
    only_due: bool,
    look: impl FnOnce(&History, &mut Done),
) -> Outcome {
    fleet.load.stop().await;
    fleet.owned().await;
    quiet(&fleet.client, &fleet.nodes, only_due).await;
    let as_of = if only_due { now() - 2_000 } else { Ms::MAX };
    let url = fleet.store_url();
    hear_out(&fleet, &url).await;
    // All at once, as a machine that goes down would.
    std::thread::scope(|scope| {
        for node in fleet.nodes.iter_mut().filter(|node| node.is_running()) {
            scope.spawn(|| node.terminate());
        }
    });
    let mut others = record::left_in_redis(&url, PARTITIONS).await;
    let mut history = others.remove(WORKSPACE).unwrap();
    tell_the_rest(&mut fleet.nodes[0], &fleet.listener, &history).await;
    let resets = fleet.listener.heard.lock().unwrap().resets;
    history.heard = fleet.listener.heard.lock().unwrap().ids.clone();
    others.values().flat_map(|other| &other.told).for_each(|told| {
        history.heard.remove(&told.id);
    });
    history.poison = done.poison;
    let longest_wait = said(&mut history, &fleet.load);
    let (mut violations, tally) = check(&history, as_of);
    // A primary that took over without the last commits never made what was heard of them (RULES.md, what is not promised).
    let forgets = fleet.forgot_at.is_some() || fleet.plan.backend == Backend::Watched { replicas: 0 };
    let forgotten = |violation: &Violation| forgets && matches!(violation, Violation::HeardOnly(_));
    let heard_only = violations.iter().filter(|violation| forgotten(violation)).count();
    let of_before = |violation: &Violation| matches!(violation, Violation::HeardEarly { heard, .. } if fleet.forgot_at > Some(*heard));
    violations.retain(|violation| !forgotten(violation) && !of_before(violation));
    let proof = if fleet.forgot_at.is_some() { None } else { prove(&fleet) };
    let mut classes = Classes::of(&violations);
    let mut wrong: Vec<String> = violations.iter().map(|violation| format!("{violation:?}")).collect();
    wrong.extend(proof.iter().flat_map(|proof| proof.violations.iter().cloned()));
    wrong.extend((resets > 0 && fleet.forgot_at.is_none()).then(|| format!("the listener was told {resets} times to start over")));
    classes.other += wrong.len() - violations.len();

    look(&history, &mut done);
    done.notes.extend((heard_only > 0).then(|| format!("{heard_only} notifications were heard and then forgotten by a failover")));
    let scenario = format!("{} (lease {} ms, period {} ms)", fleet.plan.scenario, fleet.plan.lease_ms, fleet.period_ms);
    let line = Line {
        commits: proof.as_ref().map_or(0, |proof| proof.commits),
        claims: proof.as_ref().map_or(0, |proof| proof.claims),
        refused: proof.as_ref().map_or(0, |proof| proof.refused.len()),
        classes,
        ..line(scenario, done, &history, tally, longest_wait, began)
    };
    let Fleet { dir, redis, .. } = fleet;
    pronounce(&run, &line, &wrong, || keep(dir, &redis));
    Outcome { history, others, proof }
}

/// Puts into the history what was sent and acknowledged; how long the longest acknowledgement took.
pub fn said(history: &mut History, load: &Load) -> Duration {
    let mut ledger = load.ledger.lock().unwrap();
    history.sent = std::mem::take(&mut ledger.sent);
    history.acknowledged = std::mem::take(&mut ledger.acknowledged);
    ledger.longest_wait
}

/// What a history comes to in the table.
pub fn line(scenario: String, mut done: Done, history: &History, tally: Tally, longest_wait: Duration, began: Instant) -> Line {
    done.notes.extend(latest(history));
    Line {
        scenario,
        done,
        events: tally.events,
        closes: tally.closes,
        reversals: tally.reversals,
        late: history.told.iter().filter_map(|told| told.close.as_ref()).map(|close| close.at - close.deadline).collect(),
        longest_wait,
        again: history.log.iter().filter(|logged| matches!(logged.entry, Entry::Again { .. })).count(),
        seconds: began.elapsed().as_secs(),
        ..Line::default()
    }
}

/// Prints the line; fails where anything is wrong, or nothing happened. What was left is kept by `left`, which says where.
pub fn pronounce(run: &Run, line: &Line, wrong: &[String], left: impl FnOnce() -> PathBuf) {
    line.print(run);
    if !wrong.is_empty() {
        let some = wrong[..wrong.len().min(10)].join("\n");
        panic!("{} violations, among them\n{some}\nwhat it left is in {}\nagain: {}", wrong.len(), left().display(), run.again());
    }
    line.is_worth_something(run);
    assert!(line.closes > 0 && line.events > 0, "nothing happened: {line:?}");
}

/// Which close came latest, for whoever wonders why.
fn latest(history: &History) -> Option<String> {
    let closes = history.told.iter().filter_map(|told| Some((&told.conversation, told.close.as_ref()?)));
    let (conversation, close) = closes.max_by_key(|(_, close)| close.at - close.deadline)?;
    Some(format!("the latest close was that of {conversation}, due at {}, {} ms late", close.deadline, close.at - close.deadline))
}

/// Waits until everything due has closed.
pub async fn quiet(client: &reqwest::Client, nodes: &[Node], only_due: bool) {
    use adjourn::domain::Timestamp;
    let a_second_ago = || adjourn::wire::time::format(Timestamp::from_millis(now() - 1_000));
    let until = || if only_due { a_second_ago() } else { rest::ever() };
    rest::quiet(client, &urls(nodes), WORKSPACE, until).await;
}

/// Until the listener has heard all there is to hear; the checker says what it missed.
async fn hear_out(fleet: &Fleet, url: &str) {
    let store = record::open_redis(url, PARTITIONS).await;
    let asked = Instant::now();
    loop {
        let histories = record::told_in_redis(&store).await;
        let all = rest::has_heard(&fleet.listener, histories.values().flat_map(|history| &history.told));
        if all || asked.elapsed() > Duration::from_secs(20) {
            return store.close();
        }
        pause(100).await;
    }
}

/// What was told while the nodes were stopping is heard from one that comes back, with a date so old that it closes nothing
/// where its date can be moved.
pub async fn tell_the_rest(node: &mut Node, listener: &Listener, history: &History) {
    if rest::has_heard(listener, &history.told) {
        return;
    }
    if let Some(clock) = &node.clock {
        clock.jump(-10_800_000);
    }
    node.start();
    rest::hear_out(listener, &history.told).await;
    node.kill();
}

/// Where there is one Redis, and one way to it.
fn prove(fleet: &Fleet) -> Option<Proof> {
    let Redis::Alone(server) = &fleet.redis else { return None };
    let calls: Vec<_> = fleet.calls.lock().unwrap().iter().map(|(_, _, call)| call.clone()).collect();
    Some(chain::prove(server.dir(), &calls))
}
