//! Several nodes behind their APIs: who has what, moving it, and sending a node away.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use adjourn::actors::{Node, NodeOptions, node};
use adjourn::clock::ManualClock;
use adjourn::domain::access::Keys;
use adjourn::domain::{PartitionCount, Timestamp};
use adjourn::edge::http::access::Gate;
use adjourn::edge::http::{Edge, Front, Limits, serve_public};
use adjourn::edge::writers::BuiltIn;
use adjourn::store::memory::MemoryStore;
use reqwest::Client;
use serde_json::{Value, json};

use crate::patience::eventually;
use crate::support::*;

/// So many that each of the two has some.
const PARTITIONS: u16 = 8;
/// Long enough for any machine; only a test that fails takes it.
const PATIENCE: Duration = Duration::from_secs(20);

/// Two nodes on one store, each with its API.
struct Pair {
    nodes: Vec<(Node, SocketAddr)>,
    client: Client,
}

impl Pair {
    async fn start() -> Self {
        let clock = ManualClock::at(START);
        let store = MemoryStore::new(PartitionCount::new(PARTITIONS).unwrap(), clock.clone());
        store.share();
        let nodes = ["left", "right"].map(|name| served(name, store.clone(), &clock)).into();
        let pair = Self { nodes, client: adjourn::tls::http(None).unwrap().no_proxy().build().unwrap() };
        eventually("every partition to be where it belongs", async || pair.is_settled().await).await;
        pair
    }

    async fn is_settled(&self) -> bool {
        let shards = self.nodes[0].0.shards().await.unwrap();
        self.nodes.iter().all(|(node, _)| node.has_joined() && node.partitions_missing() == 0)
            && shards.iter().all(|shard| shard.node.is_some() && shard.node == shard.desired)
            && self.nodes.iter().all(|(node, _)| shards.iter().any(|shard| shard.node.as_deref() == Some(node.name())))
    }

    async fn get(&self, place: usize, path: &str) -> Answer {
        Answer::of(self.client.get(format!("http://{}{path}", self.nodes[place].1))).await
    }

    async fn post(&self, place: usize, path: &str, body: &Value) -> Answer {
        let request = self.client.post(format!("http://{}{path}", self.nodes[place].1));
        Answer::of(request.header("content-type", "application/json").body(body.to_string())).await
    }

    async fn stop(self) {
        for (node, _) in self.nodes {
            node.stop().await;
        }
    }
}

pub fn served(name: &str, store: Arc<MemoryStore>, clock: &Arc<ManualClock>) -> (Node, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let own = format!("http://{address}");
    let options = NodeOptions { node: name.into(), address: own.into(), lease: Duration::from_millis(600), ..NodeOptions::default() };
    let node = node::start(store, clock.clone(), options);
    let limits = Limits { apply: PATIENCE, ..Limits::default() };
    let front = Front::new(limits.clone(), true);
    front.open(Edge::new(node.clone(), limits, Arc::new(BuiltIn), Gate::new(None, Keys::default(), Timestamp::default())));
    actix_rt::spawn(serve_public(front, listener, None).unwrap());
    (node, address)
}

#[actix_rt::test]
async fn lists_say_who_has_what() {
    let pair = Pair::start().await;
    assert_eq!(pair.get(0, "/v1/topology").await.json["node"], "left");
    let nodes = pair.get(1, "/v1/nodes").await.json;
    let names: Vec<_> = nodes["items"].as_array().unwrap().iter().map(|node| (&node["name"], &node["state"])).collect();
    assert_eq!(names, [(&json!("left"), &json!("live")), (&json!("right"), &json!("live"))]);
    assert_eq!(nodes["items"][1]["address"], format!("http://{}", pair.nodes[1].1));
    let shards = pair.get(0, "/v1/shards").await.json;
    for name in ["left", "right"] {
        let of_it = shards["items"].as_array().unwrap().iter().filter(|shard| shard["node"] == name && shard["desired"] == name).count();
        let listed = nodes["items"].as_array().unwrap().iter().find(|node| node["name"] == name).unwrap();
        assert_eq!(listed["partitions"], of_it, "{name}");
    }
    assert_eq!(shards["items"][0]["pinned"], json!(false));
    // Since when, each node says as it has seen; it has when it looks round the next time.
    eventually("since when", async || pair.get(0, "/v1/shards").await.json["items"][0]["since"].is_string()).await;
    pair.stop().await;
}

#[actix_rt::test]
async fn a_move_answers_when_it_is_done() {
    let pair = Pair::start().await;
    for (to, pinned) in [("right", true), ("left", true), ("right", true)] {
        let moved = pair.post(0, "/v1/shards/2/move", &json!({"to": to})).await;
        assert_eq!((moved.status.as_u16(), &moved.json["node"], &moved.json["pinned"]), (200, &json!(to), &json!(pinned)));
    }
    let anywhere = pair.post(1, "/v1/shards/2/move", &json!({"to": null})).await;
    assert_eq!((anywhere.status.as_u16(), &anywhere.json["node"]), (200, &anywhere.json["desired"]));
    for (path, body, status, kind) in [
        ("/v1/shards/8/move", json!({"to": "left"}), 404, "not-found"),
        ("/v1/shards/x/move", json!({"to": "left"}), 404, "not-found"),
        ("/v1/shards/1/move", json!({"to": "middle"}), 409, "unknown-node"),
        ("/v1/shards/1/move", json!({}), 422, "invalid-move"),
        ("/v1/shards/1/move", json!("left"), 422, "invalid-move"),
    ] {
        let refused = pair.post(0, path, &body).await;
        assert_eq!((refused.status.as_u16(), refused.problem()), (status, kind), "{path} {body}");
    }
    pair.stop().await;
}

#[actix_rt::test]
async fn a_drained_node_has_nothing_and_answers_still() {
    let pair = Pair::start().await;
    let nobody = pair.post(0, "/v1/nodes/nobody/drain", &Value::Null).await;
    assert_eq!((nobody.status.as_u16(), nobody.problem()), (404, "not-found"));
    let drained = pair.post(0, "/v1/nodes/right/drain", &Value::Null).await;
    assert_eq!(drained.status, 200, "{}", drained.json);
    assert_eq!((&drained.json["state"], &drained.json["partitions"]), (&json!("draining"), &json!(0)));
    let refused = pair.post(1, "/v1/shards/0/move", &json!({"to": "right"})).await;
    assert_eq!((refused.status.as_u16(), refused.problem()), (409, "node-draining"));
    let request = pair.client.post(format!("http://{}/v1/events", pair.nodes[1].1)).header("content-type", JSON);
    let taken = Answer::of(request.header("prefer", "wait=30").body(message("m-1", "c-1").to_string())).await;
    assert_eq!((taken.status.as_u16(), &taken.json["conversations"][0]["id"]), (200, &json!("c-1")));
    pair.stop().await;
}

#[actix_rt::test]
async fn any_node_carries_out_a_command_and_hears_why_not() {
    let pair = Pair::start().await;
    let conversations: Vec<String> = (0..12).map(|n| format!("c-{n}")).collect();
    let events: Vec<Value> = conversations.iter().map(|conversation| message(&format!("m-{conversation}"), conversation)).collect();
    let sent = pair.client.post(format!("http://{}/v1/events", pair.nodes[0].1)).header("content-type", BATCH).header("prefer", "wait=20");
    assert_eq!(Answer::of(sent.body(json!(events).to_string())).await.status, 200);
    for (nth, conversation) in conversations.iter().enumerate() {
        let path = format!("/v1/workspaces/acme/conversations/{conversation}/close");
        let closed = pair.post(nth % 2, &path, &json!({"by": "ana"})).await;
        assert_eq!((closed.status.as_u16(), &closed.json["closed_by"]), (200, &json!("ana")), "{conversation}: {}", closed.json);
        for place in 0..2 {
            let again = pair.post(place, &path, &json!({})).await;
            assert_eq!((again.status.as_u16(), again.problem()), (409, "not-open"), "{conversation} at {place}");
        }
    }
    pair.stop().await;
}
