//! Primaries that share the slots of a Redis Cluster, joined by hand: `redis-cli --cluster create` takes seconds.

use redis::{Connection, Value, cmd};

use super::process::{free_port, wait_until};
use super::server::{Options, Server};

const SLOTS: usize = 16_384;
/// A node silent for so long is taken for gone, and its slots with it: no replica takes them over. More than a busy machine's
/// hiccup; a line of the caller's may say otherwise.
const NODE_TIMEOUT_MS: u32 = 1_000;

/// Every primary, with an equal share of the slots. They end when this is dropped.
pub struct Cluster {
    nodes: Vec<Server>,
    /// The node of each slot.
    slots: Vec<usize>,
}

impl Cluster {
    /// Every node serves when this returns: after two seconds, for which a new one refuses to (a constant of Redis).
    pub fn start(primaries: usize, options: &Options) -> Self {
        let buses: Vec<u16> = (0..primaries).map(|_| free_port()).collect();
        let node = |bus: &u16| {
            let own = ["cluster-enabled yes".to_owned(), format!("cluster-port {bus}"), format!("cluster-node-timeout {NODE_TIMEOUT_MS}")];
            Server::start(Options { lines: own.into_iter().chain(options.lines.iter().cloned()).collect(), ..options.clone() })
        };
        let nodes: Vec<Server> = buses.iter().map(node).collect();
        let slots: Vec<usize> = (0..SLOTS).map(|slot| slot * primaries / SLOTS).collect();
        for (own, node) in nodes.iter().enumerate() {
            let mut redis = node.connection();
            let (first, last) = (slots.partition_point(|at| *at < own), slots.partition_point(|at| *at <= own) - 1);
            cmd("CLUSTER").arg("SET-CONFIG-EPOCH").arg(own + 1).exec(&mut redis).unwrap();
            cmd("CLUSTER").arg("ADDSLOTSRANGE").arg(first).arg(last).exec(&mut redis).unwrap();
        }
        // Only then: a node that knows another one takes no epoch any more.
        for node in &nodes {
            let mut redis = node.connection();
            for (other, bus) in nodes.iter().zip(&buses).filter(|(other, _)| other.port() != node.port()) {
                cmd("CLUSTER").arg("MEET").arg("127.0.0.1").arg(other.port()).arg(bus).exec(&mut redis).unwrap();
            }
        }
        let cluster = Self { nodes, slots };
        cluster.wait_ok();
        cluster
    }

    /// For clients, which need but one to find the others.
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Server::url).collect()
    }

    pub fn nodes(&mut self) -> &mut [Server] {
        &mut self.nodes
    }

    /// Waits until every node knows the others and finds all slots served.
    pub fn wait_ok(&self) {
        let whole = format!("cluster_size:{}", self.nodes.len());
        wait_until("every node finds the cluster whole", || {
            self.nodes.iter().all(|node| {
                let info: String = cmd("CLUSTER").arg("INFO").query(&mut node.connection()).unwrap();
                info.contains("cluster_state:ok") && info.lines().any(|line| line == whole)
            })
        });
    }

    pub fn slot(&self, key: &str) -> usize {
        cmd("CLUSTER").arg("KEYSLOT").arg(key).query(&mut self.nodes[0].connection()).unwrap()
    }

    /// The index of the node that has this slot.
    pub fn node_of(&self, slot: usize) -> usize {
        self.slots[slot]
    }

    /// Moves a slot with all its keys; every node knows when this returns.
    pub fn move_slot(&mut self, slot: usize, to: usize) {
        self.begin_move(slot, to);
        while self.move_keys(slot, to, 100) > 0 {}
        self.finish_move(slot, to);
    }

    /// From here on the old node says `ASK` for keys it has not, and `TRYAGAIN` where it has some of them.
    pub fn begin_move(&mut self, slot: usize, to: usize) {
        let from = self.slots[slot];
        let (from_id, to_id) = (self.id(from), self.id(to));
        self.set_slot(to, slot, "IMPORTING", &from_id);
        self.set_slot(from, slot, "MIGRATING", &to_id);
    }

    /// Moves some of the slot's keys, and tells how many.
    pub fn move_keys(&mut self, slot: usize, to: usize, at_most: usize) -> usize {
        let mut redis = self.connection(self.slots[slot]);
        let keys: Vec<Vec<u8>> = cmd("CLUSTER").arg("GETKEYSINSLOT").arg(slot).arg(at_most).query(&mut redis).unwrap();
        if !keys.is_empty() {
            let mut migrate = cmd("MIGRATE");
            migrate.arg("127.0.0.1").arg(self.nodes[to].port()).arg("").arg(0).arg(5_000).arg("KEYS").arg(&keys);
            assert_eq!(migrate.query::<Value>(&mut redis).unwrap(), Value::Okay);
        }
        keys.len()
    }

    /// From here on the old node says `MOVED`.
    pub fn finish_move(&mut self, slot: usize, to: usize) {
        let id = self.id(to);
        let from = std::mem::replace(&mut self.slots[slot], to);
        // The new one first: a slot that nobody had would be a cluster that is down.
        let others = (0..self.nodes.len()).filter(|node| ![from, to].contains(node));
        for node in [to, from].into_iter().chain(others) {
            self.set_slot(node, slot, "NODE", &id);
        }
    }

    fn set_slot(&self, node: usize, slot: usize, state: &str, other: &str) {
        cmd("CLUSTER").arg("SETSLOT").arg(slot).arg(state).arg(other).exec(&mut self.connection(node)).unwrap();
    }

    fn id(&self, node: usize) -> String {
        cmd("CLUSTER").arg("MYID").query(&mut self.connection(node)).unwrap()
    }

    fn connection(&self, node: usize) -> Connection {
        self.nodes[node].connection()
    }
}
