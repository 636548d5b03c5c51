//! Several nodes: every partition has one owner, whoever comes, goes, dies or hangs.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use adjourn::actors::membership::cluster::NodeState;
use adjourn::clock::Stopwatch;
use adjourn::domain::event::MessageSource;
use adjourn::domain::notice::Status;
use adjourn::domain::settings::SettingsChange;
use adjourn::domain::{Conversation, ConversationKey, Input, Settings, Step, Timestamp, invariant, step};
use adjourn::store::testing::StoreInTests;
use adjourn::store::{LogId, Member, Store};

use crate::hosts::{Host, Hosts, LEASE, accept};
use crate::line::Way;
use crate::patience::eventually;
use crate::world::{PATIENCE, key};

#[actix::test]
async fn three_nodes_share_the_partitions() {
    let hosts = Hosts::start(3, 24).await;
    for name in ["a", "b", "c"] {
        let held = hosts.owned_by(name).await;
        assert!(held > 0, "{name} has nothing");
        assert_eq!(held, hosts.node(name).shards_ready());
    }
}

#[actix::test]
async fn a_dead_nodes_partitions_are_taken_over_after_the_lease() {
    let hosts = Hosts::start(3, 12).await;
    let conversation = hosts.conversation_of("b").await;
    hosts.take(hosts.node("a"), hosts.says("m1", &conversation, MessageSource::User)).await;
    let died = Stopwatch::start();
    hosts.host("b").die();
    eventually("others to have its partitions", async || hosts.owned_by("b").await == 0).await;
    assert!(died.elapsed() >= LEASE * 2 / 3, "taken over after {:?}", died.elapsed());
    hosts.pass(61);
    eventually("the close", async || hosts.closes(&conversation).await == 1).await;
    hosts.take(hosts.node("c"), hosts.says("m2", &conversation, MessageSource::Contact)).await;
}

#[actix::test]
async fn p8_a_stalled_commit_of_a_paused_owner_changes_nothing() {
    let hosts = Hosts::start(2, 4).await;
    let conversation = hosts.conversation_of("a").await;
    hosts.take(hosts.node("a"), hosts.says("m1", &conversation, MessageSource::User)).await;
    // Its close is on the way and does not arrive; nor does anything else it does.
    hosts.store.faults().stall_commits(1);
    hosts.pass(61);
    eventually("a commit to hang", async || hosts.store.faults().stalled() == 1).await;
    hosts.host("a").die();
    eventually("the other to have everything", async || hosts.owned_by("b").await == 4).await;
    eventually("the close by the next owner", async || hosts.closes(&conversation).await == 1).await;
    let told = hosts.told(&key(&conversation)).await;
    hosts.store.faults().release_stalled();
    assert_eq!(hosts.told(&key(&conversation)).await, told);
    hosts.host("a").line.set(Way::Open);
    hosts.settled().await;
    hosts.take(hosts.node("a"), hosts.says("m2", &conversation, MessageSource::Contact)).await;
    assert!(invariant::one_close_per_episode(&hosts.told(&key(&conversation)).await));
}

#[actix::test]
async fn an_owner_that_hears_nothing_stops_by_itself_before_another_takes_over() {
    let hosts = Hosts::start(2, 4).await;
    hosts.host("a").line.set(Way::Deaf);
    let owned = hosts.owned_by("a").await;
    eventually("it to stop believing", async || hosts.node("a").shards_ready() == 0).await;
    assert_eq!(hosts.owned_by("a").await, owned, "nobody has taken over yet");
    hosts.host("a").line.set(Way::Open);
    hosts.settled().await;
}

#[actix::test]
async fn any_node_answers_for_any_partition_with_exact_repeats() {
    let hosts = Hosts::start(3, 6).await;
    let conversation = hosts.conversation_of("c").await;
    let event = hosts.says("m1", &conversation, MessageSource::User);
    let (first, again) = (hosts.take(hosts.node("a"), event.clone()).await, hosts.take(hosts.node("b"), event.clone()).await);
    assert_eq!((first.is_duplicate(), again.is_duplicate()), (false, true));
    assert!(hosts.take(hosts.node("c"), event).await.is_duplicate(), "by the owner as well");
    let settings = SettingsChange { enabled: Some(false), ..SettingsChange::default() };
    hosts.node("a").change_settings("acme", settings, None, PATIENCE).await.unwrap();
    hosts.pass(61);
    let shown = hosts.node("b").conversation(&key(&conversation)).await.unwrap().unwrap();
    assert_eq!((shown.status, shown.scheduled_close_at), (Status::Open, None), "T22: over all partitions and nodes");
}

#[actix::test]
async fn a_wait_goes_on_when_the_partition_moves_away() {
    let hosts = Hosts::start(2, 4).await;
    let conversation = hosts.conversation_of("a").await;
    hosts.store.faults().stall_commits(1);
    let mut receipts = vec![accept(hosts.node("a"), hosts.says("m1", &conversation, MessageSource::User)).await];
    eventually("its commit to hang", async || hosts.store.faults().stalled() == 1).await;
    // The owner waits for its own commit, and a waits for its owner, until another has the partition.
    let waiting = async {
        hosts.node("a").wait_applied(&mut receipts, PATIENCE).await.unwrap();
        receipts[0].is_duplicate()
    };
    let taken_over = async {
        let partition = hosts.partition(&conversation);
        hosts.store.seize(partition, Member { node: "b".into(), instance: 0 }).await.unwrap();
        hosts.store.faults().release_stalled();
    };
    let (duplicate, ()) = tokio::join!(waiting, taken_over);
    assert!(!duplicate);
}

#[actix::test]
async fn two_live_processes_of_one_name_are_one_too_many() {
    let mut hosts = Hosts::start(2, 4).await;
    let second = Host::start("a", &hosts.store, &hosts.steady);
    tokio::time::timeout(PATIENCE, second.node.name_is_lost()).await.expect("it is told that another has its name");
    second.node.stop().await;
    hosts.settled().await;
    // The one that was there first hangs for longer than anybody waits, and a process takes its name.
    hosts.host("a").die();
    let silent = hosts.all.remove(0);
    hosts.join("a");
    hosts.settled().await;
    silent.line.set(Way::Open);
    tokio::time::timeout(PATIENCE, silent.node.name_is_lost()).await.expect("it finds its name taken");
    silent.node.stop().await;
    hosts.settled().await;
}

#[actix::test]
async fn a_restart_by_the_same_name_watches_the_old_record_first() {
    let mut hosts = Hosts::start(1, 4).await;
    hosts.host("a").die();
    let died = Stopwatch::start();
    hosts.all.clear();
    hosts.join("a");
    hosts.settled().await;
    assert!(died.elapsed() >= LEASE / 2, "it watched whether the other still lives");
}

/// The state machine, but for one event that keeps its thread busy for long, once.
fn hanging(key: &ConversationKey, before: Conversation, input: &Input, settings: &Settings, now: Timestamp) -> Step {
    static HUNG: AtomicBool = AtomicBool::new(false);
    let is_it = matches!(input, Input::Event(accepted) if accepted.event.name.id() == "hang");
    if is_it && !HUNG.swap(true, Ordering::Relaxed) {
        std::thread::sleep(LEASE * 4);
    }
    step(key, before, input, settings, now)
}

#[actix::test]
async fn a_node_whose_threads_hang_is_taken_for_dead() {
    let hosts = Hosts::start_with(2, 4, hanging).await;
    let conversation = hosts.conversation_of("a").await;
    accept(hosts.node("b"), hosts.says("hang", &conversation, MessageSource::User)).await;
    eventually("the other to have everything", async || hosts.owned_by("b").await == 4).await;
    let nodes = hosts.node("b").nodes().await.unwrap();
    assert_eq!(nodes.iter().map(|node| node.state).collect::<Vec<_>>(), [NodeState::Lost, NodeState::Live]);
    hosts.settled().await;
}

/// Owners that a fatal entry has taken with it.
static KILLED: AtomicUsize = AtomicUsize::new(0);

/// The state machine, but for one event that never returns: as a process that runs out of memory or stack, its node is gone.
fn fatal(key: &ConversationKey, before: Conversation, input: &Input, settings: &Settings, now: Timestamp) -> Step {
    if matches!(input, Input::Event(accepted) if accepted.event.name.id() == "fatal") {
        KILLED.fetch_add(1, Ordering::Relaxed);
        loop {
            std::thread::park();
        }
    }
    step(key, before, input, settings, now)
}

#[actix::test]
async fn p10_an_entry_that_kills_its_owners_does_not_take_node_after_node() {
    let mut hosts = Hosts::start_with(1, 2, fatal).await;
    accept(hosts.node("a"), hosts.says("fatal", "c", MessageSource::User)).await;
    accept(hosts.node("a"), hosts.says("m1", "c", MessageSource::User)).await;
    let letters = async |hosts: &Hosts| hosts.store.dead_letters(hosts.partition("c"), LogId::ZERO, 10).await.unwrap();
    for owner in 1.. {
        let settled = async || KILLED.load(Ordering::Relaxed) == owner || !letters(&hosts).await.is_empty();
        eventually("an owner to die of it, or the last to set it aside", settled).await;
        if KILLED.load(Ordering::Relaxed) < owner {
            break;
        }
        let next = Host::start_with(&format!("next-{owner}"), &hosts.store, &hosts.steady, fatal);
        hosts.all.push(next);
    }
    let letters = letters(&hosts).await;
    assert!(letters.len() == 1 && letters[0].reason.contains("died 3 times"), "{letters:?}");
    assert_eq!(KILLED.load(Ordering::Relaxed), 6, "three with a batch, three with it alone");
    let last = hosts.all.pop().unwrap();
    hosts.take(&last.node, hosts.says("m2", "c", MessageSource::User)).await;
    let shown = last.node.conversation(&key("c")).await.unwrap().unwrap();
    assert_eq!(shown.messages.outgoing, 2, "what stood behind it was applied");
}
