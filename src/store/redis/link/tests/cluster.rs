//! Three primaries that share the slots.

use std::collections::HashSet;

use super::*;

/// Each serves a third of the slots: of these the first, the second, the third.
const KEYS: [&str; 3] = ["adjourn:{b}", "adjourn:{c}", "adjourn:{a}"];

struct Nodes(Vec<Server>);

impl Nodes {
    fn start() -> Self {
        let nodes = Self((0..3).map(|_| start_node()).collect());
        let bounds = [0, 5_461, 10_923, slots::SLOTS];
        for (n, node) in nodes.0.iter().enumerate() {
            node.ask::<()>(&["CLUSTER", "SET-CONFIG-EPOCH", &(n + 1).to_string()]);
            node.ask::<()>(&["CLUSTER", "ADDSLOTSRANGE", &bounds[n].to_string(), &(bounds[n + 1] - 1).to_string()]);
            node.meet(&nodes.0[0]);
        }
        nodes.settle(3);
        nodes
    }

    fn settle(&self, count: usize) {
        let known = |node: &Server| {
            let info: String = node.ask(&["CLUSTER", "INFO"]);
            field(&info, "cluster_state") == Some("ok") && field(&info, "cluster_known_nodes") == Some(&count.to_string())
        };
        until("the nodes agree", || self.0.iter().all(known));
    }

    fn link(&self) -> Link {
        let hosts: Vec<String> = self.0.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        super::link(&format!("redis+cluster://{LOGIN}@{}", hosts.join(",")))
    }
}

impl Server {
    fn meet(&self, other: &Self) {
        self.ask::<()>(&["CLUSTER", "MEET", "127.0.0.1", &other.port.to_string()]);
    }

    fn id(&self) -> String {
        self.ask(&["CLUSTER", "MYID"])
    }

    fn set_slot(&self, slot: u16, words: &[&str]) {
        self.ask::<()>(&[&["CLUSTER", "SETSLOT", &slot.to_string()], words].concat());
    }

    fn migrate(&self, key: &str, to: &Self) {
        self.ask::<()>(&["MIGRATE", "127.0.0.1", &to.port.to_string(), key, "0", "1000"]);
    }
}

fn start_node() -> Server {
    Server::start(&["--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--repl-diskless-sync-delay", "0"])
}

#[tokio::test]
async fn every_key_is_found_where_it_lives() {
    let nodes = Nodes::start();
    let link = nodes.link();
    for (node, key) in nodes.0.iter().zip(KEYS) {
        link.run(cmd(&["HSET", key, "f", key])).await.unwrap();
        assert_eq!(node.ask::<Vec<String>>(&["KEYS", "*"]), [key]);
        assert_eq!(link.primary_id(key).await.unwrap(), node.info("master_replid"));
        assert_eq!(link.dedicated(key, None).await.unwrap().primary_id(), node.info("master_replid"));
    }
    let gets = |key| vec![cmd(&["HGET", key, "f"]), cmd(&["HLEN", key])];
    let expected = KEYS.map(|key| Ok(vec![Ok(string(key)), Ok(Value::Int(1))]));
    assert_eq!(link.pipelines(KEYS.map(gets).to_vec()).await, expected);
    let script = Script::new("return redis.call('HGET', KEYS[1], 'f')");
    for key in KEYS {
        assert_eq!(link.script(&script, &[key], &[]).await, Ok(string(key)));
    }
    assert_eq!(link.run(cmd(&["PING", "hello"])).await, Ok(string("hello")));
    assert_eq!(link.generation(), 0);
}

#[tokio::test]
async fn what_is_published_on_one_node_is_heard_on_another() {
    let nodes = Nodes::start();
    let link = nodes.link();
    let mut heard = link.subscribe("adjourn:news");
    assert_eq!(in_time("it listens", heard.next()).await, Some(Heard::Resubscribed));
    for node in &nodes.0 {
        node.ask::<()>(&["PUBLISH", "adjourn:news", "word"]);
        assert_eq!(in_time("it hears", heard.next()).await, Some(Heard::Message(b"word".to_vec())));
    }
}

#[tokio::test]
async fn a_slot_that_moves_takes_its_commands_along_and_is_no_other_generation() {
    let nodes = Nodes::start();
    let [from, to, other] = nodes.0.as_slice() else { unreachable!() };
    let link = nodes.link();
    let (x, y, slot) = ("adjourn:{b}x", "adjourn:{b}y", slots::slot(b"b"));
    for key in [x, y] {
        link.run(cmd(&["HSET", key, "1", "1"])).await.unwrap();
    }
    let both = Script::new("return redis.call('HSET', KEYS[1], '2', '2') + redis.call('HSET', KEYS[2], '2', '2')");
    to.set_slot(slot, &["IMPORTING", &from.id()]);
    from.set_slot(slot, &["MIGRATING", &to.id()]);
    from.migrate(x, to);
    // Half way: one key is there already, the other still here, and nobody has both.
    assert_eq!(link.run(cmd(&["HLEN", x])).await, Ok(Value::Int(1)));
    assert_eq!(link.run(cmd(&["HLEN", y])).await, Ok(Value::Int(1)));
    let outcome = link.script(&both, &[x, y], &[]).await;
    assert!(matches!(&outcome, Err(LinkError::Server(error)) if &*error.code == "TRYAGAIN"), "{outcome:?}");
    let waiting = tokio::spawn({
        let (link, both) = (link.clone(), both.clone());
        async move { link.script(&both, &[x, y], &[]).await }
    });
    let refused = from.info("total_error_replies");
    eventually("it is refused", async || from.info("total_error_replies").ne(&refused).then_some(())).await;
    from.migrate(y, to);
    for node in [to, from, other] {
        node.set_slot(slot, &["NODE", &to.id()]);
    }
    assert_eq!(in_time("it is done there", waiting).await.unwrap(), Ok(Value::Int(2)));
    assert_eq!(link.run(cmd(&["HLEN", x])).await, Ok(Value::Int(2)));
    assert_eq!(link.dedicated(x, None).await.unwrap().primary_id(), to.info("master_replid"));
    assert_eq!(link.generation(), 0);
}

#[tokio::test]
async fn a_connection_of_ones_own_hears_that_its_slot_has_moved() {
    let nodes = Nodes::start();
    let [from, to, other] = nodes.0.as_slice() else { unreachable!() };
    let link = nodes.link();
    let slot = slots::slot(b"b");
    let mut own = link.dedicated("adjourn:{b}", None).await.unwrap();
    for node in [to, from, other] {
        node.set_slot(slot, &["NODE", &to.id()]);
    }
    let outcome = own.run(cmd(&["HGET", "adjourn:{b}", "f"])).await;
    assert!(matches!(&outcome, Err(LinkError::Server(error)) if &*error.code == "MOVED"), "{outcome:?}");
    let mut own = link.dedicated("adjourn:{b}", None).await.unwrap();
    assert_eq!(own.run(cmd(&["HGET", "adjourn:{b}", "f"])).await, Ok(Value::Nil));
}

#[tokio::test]
async fn when_a_primary_dies_its_replica_serves_its_slots_and_that_is_another_generation() {
    let mut nodes = Nodes::start();
    let replica = start_node();
    replica.meet(&nodes.0[0]);
    until("it is known", || replica.ask::<String>(&["CLUSTER", "NODES"]).lines().count() == 4);
    replica.ask::<()>(&["CLUSTER", "REPLICATE", &nodes.0[0].id()]);
    nodes.settle(4);
    until("the replica follows", || replica.info("master_link_status") == "up");
    let link = nodes.link();
    let before: HashSet<String> = nodes.0.iter().map(|node| node.info("master_replid")).collect();
    link.pipeline(vec![cmd(&["HSET", KEYS[0], "f", "v"]), cmd(&["WAIT", "1", "1000"])]).await.unwrap();
    assert_eq!(link.generation(), 0);
    nodes.0[0].kill();
    eventually("its replica takes writes", async || link.run(cmd(&["HSET", "adjourn:{b}n", "f", "v"])).await.ok()).await;
    assert_eq!(link.run(cmd(&["HGET", KEYS[0], "f"])).await, Ok(string("v")));
    assert_eq!(link.generation(), 1);
    let now = link.primary_id(KEYS[0]).await.unwrap();
    assert!(now == replica.info("master_replid") && !before.contains(&now));
}
