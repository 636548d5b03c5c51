//! The main job under kill -9: a real stream, timers due all the time, and a service that dies at any moment.

use std::time::Duration;

use serde_json::json;

use super::checker::{Tally, Violation, check};
use super::history::{Entry, History, Logged, Ms, Speaker, Told};
use super::judge::record::left_in_directory;
use super::judge::rest;
use super::listener::Listener;
use super::rng::{Rng, number_from};
use super::service::{Service, now};
use super::trace::{self, Sender, WORKSPACE};

/// A stream says that it is still there every 15 s.
const QUIET: Duration = Duration::from_secs(60);
pub const ROUNDS: u64 = 30;
/// Of the trace, for each round: more than it takes.
const SECONDS_A_ROUND: u64 = 4;
/// Kills in a row before it was ready. An entry whose owner died of it five times in a row is set aside as what kills it
/// (DESIGN.md, "Poison"); here it is not the entry.
const EARLY_KILLS_MAX: u32 = 3;

/// The choices of the test of this name.
pub fn rng(test: &str) -> Rng {
    let seed = number_from("ADJOURN_KILL_SEED").unwrap_or_else(|| now() as u64);
    eprintln!("{test}: ADJOURN_KILL_SEED={seed}");
    // Far apart: tests that start in neighbouring milliseconds must not make the same choices.
    Rng::new(seed ^ u64::from(crc32fast::hash(test.as_bytes())) << 32)
}

#[tokio::test]
async fn killed_again_and_again_it_closes_on_time_once_and_never_over_a_reply() {
    let rounds = number_from("ADJOURN_KILL_ROUNDS").unwrap_or(ROUNDS);
    let whole = Duration::from_secs(120 + 10 * rounds);
    tokio::time::timeout(whole, run(rounds, rng("rounds"))).await.expect("it takes far too long");
}

async fn run(rounds: u64, mut rng: Rng) {
    let dir = tempfile::tempdir().unwrap();
    let began = now();
    let mut service = Service::new(dir.path());
    service.start();
    service.ready().await;
    let period = rng.between(2, 3);
    let settings = json!({"auto_close": {"enabled": true, "period": format!("{period}s")}});
    assert_eq!(service.put_settings(WORKSPACE, &settings).send().await.unwrap().status(), 200);
    let listener = Listener::start(&[service.port], QUIET);
    let messages = trace::write(&dir.path().join("trace.ndjson"), rounds * SECONDS_A_ROUND, period, &mut rng);
    let mut sender = Sender::start(dir.path(), service.port).await;
    let kills = kill(rounds, &mut service, &mut sender, &listener, &mut rng).await;
    sender.get_on().await;
    sender.kill();
    rest::quiet(&service.client, &[service.url("")], WORKSPACE, rest::ever).await;
    service.stop().await;

    let mut history = left_in_directory(&service.store()).await.remove(WORKSPACE).unwrap();
    let acknowledged;
    (history.sent, acknowledged) = sender.account(messages);
    history.acknowledged = history.sent[..acknowledged].iter().map(|message| message.name.clone()).collect();
    service.start();
    service.ready().await;
    rest::hear_out(&listener, &history.told).await;
    service.stop().await;
    history.heard = listener.heard.lock().unwrap().ids.clone();

    let (violations, tally) = check(&history, Ms::MAX);
    let heard = listener.heard.lock().unwrap();
    let seconds = (now() - began) / 1_000;
    let (again, resets) = (heard.repeats, heard.resets);
    eprintln!("{rounds} rounds in {seconds} s; {acknowledged} lines acknowledged; {kills:?}; {again} notifications heard twice; {tally:?}");
    if !violations.is_empty() {
        let kept = dir.keep();
        let some = &violations[..violations.len().min(10)];
        panic!("{} violations, among them {some:#?}\nwhat it left is in {}", violations.len(), kept.display());
    }
    assert_eq!(resets, 0, "nothing was trimmed: no listener has to start over");
    it_was_worth_it(rounds, &kills, &tally);
    the_checker_would_have_found_it(&history);
}

/// What was done to the processes.
#[derive(Debug, Default)]
struct Kills {
    while_starting: u64,
    right_after_a_close: u64,
    any_time: u64,
    sender: u64,
    /// The longest start, in ms.
    start_ms: u128,
}

async fn kill(rounds: u64, service: &mut Service, sender: &mut Sender, listener: &Listener, rng: &mut Rng) -> Kills {
    let mut kills = Kills::default();
    let mut usual_start = Duration::from_millis(200);
    let mut early_in_a_row = 0;
    for _ in 0..rounds {
        if rng.percent(25) && early_in_a_row < EARLY_KILLS_MAX {
            let most = usual_start.as_micros() as u64 * 3 / 2;
            tokio::time::sleep(Duration::from_micros(rng.below(most))).await;
            kills.while_starting += 1;
            early_in_a_row += 1;
        } else {
            usual_start = service.ready().await;
            kills.start_ms = kills.start_ms.max(usual_start.as_millis());
            early_in_a_row = 0;
            if rng.percent(40) {
                tokio::time::sleep(Duration::from_millis(rng.below(500))).await;
                await_close(listener).await;
                kills.right_after_a_close += 1;
            } else {
                tokio::time::sleep(Duration::from_millis(rng.between(20, 1_500))).await;
                kills.any_time += 1;
            }
        }
        service.must_live();
        sender.must_live();
        let both = rng.percent(20);
        if both && rng.percent(50) {
            sender.kill();
            service.kill();
            sender.start_again();
        } else {
            service.kill();
            if both {
                sender.kill();
                sender.start_again();
            }
        }
        kills.sender += u64::from(both);
        service.start();
    }
    service.ready().await;
    kills
}

/// Until the next close is heard: it was committed a moment ago, and others are about to be.
async fn await_close(listener: &Listener) {
    let closes = || listener.heard.lock().unwrap().closes;
    let before = closes();
    let asked = tokio::time::Instant::now();
    while closes() == before && asked.elapsed() < Duration::from_secs(5) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// A run in which nothing happened proves nothing.
fn it_was_worth_it(rounds: u64, kills: &Kills, tally: &Tally) {
    assert_eq!(kills.while_starting + kills.right_after_a_close + kills.any_time, rounds);
    let rounds = rounds as usize;
    assert!(tally.closes >= 5 * rounds && tally.events >= 20 * rounds, "the stream was too thin: {tally:?}");
    assert!(tally.reopenings > 0 && tally.reversals > 0 && tally.out_of_order > 0, "nothing out of the ordinary happened: {tally:?}");
}

/// The same history with one thing wrong: so the checker was awake.
fn the_checker_would_have_found_it(history: &History) {
    let found = |doctor: &dyn Fn(&mut History)| {
        let mut history = history.clone();
        doctor(&mut history);
        check(&history, Ms::MAX).0
    };
    // The last word that was said of its conversation.
    let nth = history.told.iter().rposition(|told| told.close.is_some()).unwrap();
    let close = history.told[nth].close.clone().unwrap();
    let conversation = &history.told[nth].conversation;

    let early = found(&|h| h.told[nth].close.as_mut().unwrap().at = close.deadline - 1);
    assert!(early.iter().any(|v| matches!(v, Violation::Early { .. })), "{early:?}");
    let double = found(&|h| h.told.push(Told { id: "another".into(), ..h.told[nth].clone() }));
    assert!(double.iter().any(|v| matches!(v, Violation::Double { .. })), "{double:?}");
    let missing = found(&|h| drop(h.told.remove(nth)));
    assert!(missing.iter().any(|v| matches!(v, Violation::Missing { .. })), "{missing:?}");
    let over = found(&|h| {
        let armed = h.log.iter().position(|l| matches!(&l.entry, Entry::Message(m) if m.name == close.armed_by)).unwrap();
        let Logged { partition, accepted_at, entry: Entry::Message(message) } = h.log[armed].clone() else { unreachable!() };
        let mut reply = message;
        reply.name.id.push_str("-reply");
        (reply.speaker, reply.time) = (Speaker::Contact, close.deadline);
        // Behind all that the close counts, and accepted in time.
        let last = h.log.iter().rposition(|l| matches!(&l.entry, Entry::Message(m) if &m.conversation == conversation)).unwrap();
        h.log.insert(last + 1, Logged { partition, accepted_at: accepted_at.max(close.deadline), entry: Entry::Message(reply) });
    });
    assert!(over.iter().any(Violation::is_over_a_reply), "{over:?}");
    let lost = found(&|h| {
        let name = h.sent[0].name.clone();
        h.log.retain(|l| !matches!(&l.entry, Entry::Message(m) if m.name == name));
    });
    assert!(lost.iter().any(|v| matches!(v, Violation::Lost(_))), "{lost:?}");
    let gap = found(&|h| drop(h.heard.pop_first()));
    assert!(gap.iter().any(|v| matches!(v, Violation::NotHeard(_))), "{gap:?}");
}
