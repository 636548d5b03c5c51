//! Replies that arrive when their conversation runs out, some before its deadline, some after: by thousands.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::fleet::{Fleet, NODES, Plan, pause};
use super::judge::history::{History, Message, Ms, Name, Speaker};
use super::load::{Sender, now};
use super::report::{Done, Run};
use super::verdict::judge_with;

/// From the deadline, either way.
const WINDOW: Ms = 50;
/// Conversations that begin at once, and so have one deadline.
const TOGETHER: u64 = 40;
/// From one such group to the next: 500 races a second, which leaves two busy cores time for the rest.
const APART: Duration = Duration::from_millis(80);
/// Each moment of sending has so many replies of a group.
const REPLIES: usize = 8;
const SOURCE: &str = "/fleet/races";

#[tokio::test(flavor = "multi_thread")]
async fn s9_a_reply_that_races_its_deadline_wins_or_comes_after_it() {
    let run = Run::of("s9_a_reply_that_races_its_deadline_wins_or_comes_after_it");
    let began = Instant::now();
    let mut fleet = Fleet::start(Plan::new("replies within 50 ms of the deadline"), run.rng()).await;
    fleet.settled().await;
    let (mut done, mut sent, sender) = (Done::default(), Vec::new(), fleet.load.sender());
    for group in 0..run.rounds.div_ceil(TOGETHER) {
        sent.push(race(&mut fleet, &sender, group).await);
        done.rounds += TOGETHER;
        if group % 25 == 24 {
            run.progress(done.rounds);
        }
    }
    for race in sent {
        race.await.unwrap();
    }
    // What is judged is the whole history; how close the races were is known only from it.
    let (rounds, period) = (done.rounds, fleet.period_ms as Ms);
    let outcome = judge_with(fleet, run, began, done, false, |history, done| {
        let margins = margins(history, period);
        let before = margins.iter().filter(|margin| **margin <= 0).count();
        done.hits = margins.iter().filter(|margin| margin.abs() <= WINDOW).count() as u64;
        done.notes.push(format!("{before} replies were accepted by their deadline, {} after it", margins.len() - before));
    });
    let margins = margins(&outcome.await.history, period);
    assert_eq!(margins.len() as u64, rounds, "each race has its reply");
    assert!(margins.iter().any(|margin| *margin <= 0) && margins.iter().any(|margin| *margin > 0), "one side always won");
}

/// A group of conversations, and their replies around the deadline.
async fn race(fleet: &mut Fleet, sender: &Sender, group: u64) -> tokio::task::JoinHandle<()> {
    tokio::time::sleep(APART).await;
    let conversations: Vec<String> = (0..TOGETHER).map(|nth| format!("deadline-{group}-{nth}")).collect();
    let said = |kind: &str, conversation: &String, speaker, time| {
        let name = Name { id: format!("{conversation}-{kind}"), source: SOURCE.to_owned() };
        Message { name, conversation: conversation.clone(), time, speaker }
    };
    let (node, asked) = (fleet.rng.below(NODES as u64) as usize, now());
    let opened = conversations.iter().map(|conversation| said("human", conversation, Speaker::Human, now())).collect();
    sender.send(node, opened).await;
    // The period counts from when it was accepted: about halfway, as a reply will be.
    let halfway = (now() - asked) / 2;
    let deadline = asked + halfway + fleet.period_ms as Ms;
    let replies: Vec<(Ms, usize, Vec<String>)> = conversations
        .chunks(REPLIES)
        .map(|some| {
            let off = fleet.rng.between(0, 2 * WINDOW as u64) as Ms - WINDOW;
            (deadline + off * 7 / 10 - halfway, fleet.rng.below(NODES as u64) as usize, some.to_vec())
        })
        .collect();
    let load = sender.clone();
    tokio::spawn(async move {
        let each = replies.into_iter().map(|(at, node, some)| {
            let load = load.clone();
            async move {
                pause((at - now()).max(0) as u64).await;
                let time = now();
                let replies = some.iter().map(|conversation| said("reply", conversation, Speaker::Contact, time)).collect();
                load.send(node, replies).await;
            }
        });
        futures_util::future::join_all(each).await;
    })
}

/// By how much each reply was accepted after its deadline; what the log says.
fn margins(history: &History, period: Ms) -> Vec<Ms> {
    let mut deadlines: BTreeMap<&str, Ms> = BTreeMap::new();
    let mut margins = BTreeMap::new();
    for (message, accepted_at) in history.log.iter().filter_map(|logged| logged.message()) {
        if message.name.source != SOURCE {
            continue;
        }
        match message.speaker {
            // A repeat is later and counts for nothing.
            Speaker::Human => _ = deadlines.entry(&message.conversation).or_insert(accepted_at + period),
            _ => _ = margins.entry(&message.name).or_insert((&*message.conversation, accepted_at)),
        }
    }
    margins.values().filter_map(|(conversation, accepted_at)| Some(accepted_at - deadlines.get(conversation)?)).collect()
}
