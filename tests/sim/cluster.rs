//! Several nodes: every partition has one owner, whoever comes, goes, dies or hangs.

use adjourn::domain::event::MessageSource;
use adjourn::domain::invariant;

use crate::hosts::{Hosts, LEASE};
use crate::line::Way;
use crate::world::key;

#[actix::test]
async fn three_nodes_share_the_partitions() {
    let hosts = Hosts::start(3, 24).await;
    for name in ["a", "b", "c"] {
        let held = hosts.held_by(name).await;
        assert!(held > 0, "{name} has nothing");
        assert_eq!(held, hosts.node(name).shards_ready());
    }
}

#[actix::test]
async fn a_dead_nodes_partitions_are_taken_over_after_the_lease() {
    let hosts = Hosts::start(3, 12).await;
    let conversation = hosts.conversation_of("b").await;
    hosts.take(hosts.node("a"), hosts.says("m1", &conversation, MessageSource::User)).await;
    let died = adjourn::clock::Stopwatch::start();
    hosts.host("b").die();
    hosts.eventually("others to have its partitions", async || hosts.held_by("b").await == 0).await;
    assert!(died.elapsed() >= LEASE * 2 / 3, "taken over after {:?}", died.elapsed());
    hosts.pass(61);
    hosts.eventually("the close", async || hosts.closes(&conversation).await == 1).await;
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
    hosts.eventually("a commit to hang", async || hosts.store.faults().stalled() == 1).await;
    hosts.host("a").die();
    hosts.eventually("the other to have everything", async || hosts.held_by("b").await == 4).await;
    hosts.eventually("the close by the next owner", async || hosts.closes(&conversation).await == 1).await;
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
    let owned = hosts.held_by("a").await;
    hosts.eventually("it to stop believing", async || hosts.node("a").shards_ready() == 0).await;
    assert_eq!(hosts.held_by("a").await, owned, "nobody has taken over yet");
    hosts.host("a").line.set(Way::Open);
    hosts.settled().await;
}
