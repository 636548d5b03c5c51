//! Servers that know each other.

use redis::{ErrorKind, ServerErrorKind, cmd};

use super::rig::cluster::Cluster;
use super::rig::process::wait_until;
use super::rig::sentinel::{Failover, NAME, Sentinels};
use super::rig::server::{Options, connection_to};

fn set(port: u16, value: &str) -> redis::RedisResult<()> {
    cmd("SET").arg("key").arg(value).exec(&mut connection_to(port))
}

fn get(port: u16) -> Option<String> {
    cmd("GET").arg("key").query(&mut connection_to(port)).unwrap()
}

/// One primary after the other, each taken away in another way, each followed by one that has what was replicated.
#[test]
fn another_primary_takes_over_whatever_happens_to_the_first() {
    let mut sentinels = Sentinels::start(2, &Options::default());
    for (number, how) in [Failover::Kill, Failover::Stop, Failover::Asked].into_iter().enumerate() {
        let value = number.to_string();
        let first = sentinels.primary().unwrap();
        set(first, &value).unwrap();
        let ports: Vec<u16> = sentinels.ports().collect();
        wait_until("every replica has it", || ports.iter().all(|port| get(*port).as_ref() == Some(&value)));
        assert_eq!(sentinels.failover(how), first);
        let new = sentinels.wait_for_new_primary(first, how);
        assert_ne!(new, first, "{how:?}");
        assert_eq!(get(new), Some(value.clone()), "{how:?}");
        set(new, "written").unwrap();
        sentinels.bring_back(first, how);
        assert_eq!(set(first, "x").unwrap_err().kind(), ErrorKind::Server(ServerErrorKind::ReadOnly), "{how:?}");
        wait_until("the old primary has what the new one wrote", || get(first).as_deref() == Some("written"));
    }
}

#[test]
fn clients_find_the_primary_through_the_sentinels() {
    let sentinels = Sentinels::start(1, &Options::default());
    let mut client = redis::sentinel::Sentinel::build(sentinels.urls()).unwrap();
    let found = client.master_for(NAME, None).unwrap();
    cmd("SET").arg("key").arg("found").exec(&mut found.get_connection().unwrap()).unwrap();
    assert_eq!(get(sentinels.primary().unwrap()).as_deref(), Some("found"));
}

#[test]
fn a_slot_is_served_by_its_node_only_also_after_it_moved() {
    let mut cluster = Cluster::start(3, &Options::default());
    let slot = cluster.slot("{p1}:x");
    let (from, others) = (cluster.node_of(slot), [0, 1, 2].map(|n| (cluster.node_of(slot) + n) % 3));
    let ports: Vec<u16> = cluster.nodes().iter().map(|node| node.port()).collect();
    let set = |node: usize| cmd("SET").arg("{p1}:x").arg("1").exec(&mut connection_to(ports[node]));
    set(from).unwrap();
    for other in &others[1..] {
        let error = set(*other).unwrap_err();
        let (address, told) = error.redirect_node().expect("MOVED");
        assert_eq!(
            (error.kind(), address, usize::from(told)),
            (ErrorKind::Server(ServerErrorKind::Moved), &*format!("127.0.0.1:{}", ports[from]), slot)
        );
    }
    cluster.move_slot(slot, others[1]);
    set(others[1]).unwrap();
    assert_eq!(set(from).unwrap_err().kind(), ErrorKind::Server(ServerErrorKind::Moved));
}

#[test]
fn a_slot_that_moves_asks_and_has_clients_try_again() {
    let mut cluster = Cluster::start(3, &Options::default());
    let slot = cluster.slot("{p1}");
    let (from, to) = (cluster.node_of(slot), (cluster.node_of(slot) + 1) % 3);
    let mut old = cluster.nodes()[from].connection();
    for key in ["{p1}:a", "{p1}:b"] {
        cmd("SET").arg(key).arg("1").exec(&mut old).unwrap();
    }
    cluster.begin_move(slot, to);
    let absent = cmd("GET").arg("{p1}:none").exec(&mut old).unwrap_err();
    assert_eq!(absent.kind(), ErrorKind::Server(ServerErrorKind::Ask));
    assert_eq!(cluster.move_keys(slot, to, 1), 1);
    let both = cmd("MGET").arg("{p1}:a").arg("{p1}:b").exec(&mut old).unwrap_err();
    assert_eq!(both.kind(), ErrorKind::Server(ServerErrorKind::TryAgain));
    assert_eq!(cluster.move_keys(slot, to, 10), 1);
    cluster.finish_move(slot, to);
    let mut new = cluster.nodes()[to].connection();
    let both: Vec<String> = cmd("MGET").arg("{p1}:a").arg("{p1}:b").query(&mut new).unwrap();
    assert_eq!(both, ["1", "1"]);
}

#[test]
fn a_cluster_is_whole_again_when_its_node_comes_back() {
    let mut cluster = Cluster::start(3, &Options::default().line("cluster-node-timeout 500"));
    cluster.nodes()[1].kill();
    let mut other = cluster.nodes()[0].connection();
    wait_until("it finds slots that nobody serves", || {
        cmd("CLUSTER").arg("INFO").query::<String>(&mut other).unwrap().contains("cluster_state:fail")
    });
    cluster.nodes()[1].restart();
    cluster.wait_ok();
}
