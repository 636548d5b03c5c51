//! Three containers under load, and what can happen to one of them at a time: killed, frozen, cut off from Redis both ways and
//! each way. Judged by the judge of the other runs (tests/judge), from what Redis holds at the end.
//!
//! `ADJOURN_COMPOSE_ROUNDS=50` for more rounds, `ADJOURN_COMPOSE_SEED=…` for the choices of an earlier run.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use adjourn::store::redis::{RedisOptions, RedisStore};
use adjourn::store::{LogId, Store};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};

use super::container::{Container, Way};
use super::docker::answers;
use super::judge::checker::check;
use super::judge::history::{History, Ms};
use super::judge::listener::Listener;
use super::judge::record::{self, ALL, Histories};
use super::judge::rest;
use super::judge::rng::{Rng, number_from};
use super::load::{Door, Load, WORKSPACE, now};
use super::project::Project;

const API: u16 = 8080;
const REDIS: u16 = 6379;
/// Each fault once.
const ROUNDS: u64 = 5;
/// A stream says every second that it is still there.
const QUIET: Duration = Duration::from_secs(4);
const PERIOD_MS: u64 = 2_000;

/// A port of this machine that leads to a node, wherever its container is published since it was started last.
struct Gate {
    port: u16,
    to: Arc<Mutex<Option<SocketAddr>>>,
}

impl Gate {
    async fn to(node: &Container) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gate = Self { port: listener.local_addr().unwrap().port(), to: Arc::default() };
        gate.leads_to(node);
        let to = gate.to.clone();
        tokio::spawn(async move {
            while let Ok((mut from, _)) = listener.accept().await {
                let to = *to.lock().unwrap();
                tokio::spawn(async move {
                    if let Some(to) = to
                        && let Ok(mut node) = TcpStream::connect(to).await
                    {
                        let _ = tokio::io::copy_bidirectional(&mut from, &mut node).await;
                    }
                });
            }
        });
        gate
    }

    fn leads_to(&self, node: &Container) {
        *self.to.lock().unwrap() = node.url(API).map(|url| url.trim_start_matches("http://").parse().unwrap());
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    Kill,
    Freeze,
    Cut(Way),
}

const FAULTS: [Fault; 5] = [Fault::Kill, Fault::Freeze, Fault::Cut(Way::Both), Fault::Cut(Way::Out), Fault::Cut(Way::In)];

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_to_a_container_nothing_is_lost_closed_twice_or_over_a_reply() {
    if !answers() {
        return;
    }
    let seed = number_from("ADJOURN_COMPOSE_SEED").unwrap_or_else(|| now() as u64);
    let rounds = number_from("ADJOURN_COMPOSE_ROUNDS").unwrap_or(ROUNDS);
    let again = format!("ADJOURN_COMPOSE_SEED={seed} ADJOURN_COMPOSE_ROUNDS={rounds} cargo test --test compose whatever -- --nocapture");
    eprintln!("{again}");
    let mut rng = Rng::new(seed);
    let project = Project::up().await;
    let (nodes, redis) = (project.nodes(), project.redis());
    let mut gates = Vec::new();
    for node in &nodes {
        gates.push(Gate::to(node).await);
    }
    switch_on(&gates).await;
    let listener = Listener::start(&gates.iter().map(|gate| gate.port).collect::<Vec<_>>(), QUIET);
    let doors = gates.iter().map(|gate| Door { url: gate.url("/v1/events"), pending: Arc::default() }).collect();
    let mut load = Load::start(doors, PERIOD_MS, None, &mut rng);
    for round in 0..rounds {
        let (fault, victim) = (FAULTS[(round % 5) as usize], rng.below(3) as usize);
        eprintln!("round {} of {rounds}: {fault:?} of {}", round + 1, nodes[victim].name());
        strike(fault, &nodes[victim], &redis, &mut rng).await;
        gates[victim].leads_to(&nodes[victim]);
        for node in &nodes {
            node.ready().await;
        }
    }
    load.stop().await;
    let url = redis.url(REDIS).unwrap().replace("http://", "redis://");
    let mut history = come_to_rest(&gates, &url, &listener).await;
    history.heard = listener.heard.lock().unwrap().ids.clone();
    {
        let mut ledger = load.ledger.lock().unwrap();
        history.sent = std::mem::take(&mut ledger.sent);
        history.acknowledged = std::mem::take(&mut ledger.acknowledged);
    }
    let (violations, tally) = check(&history, Ms::MAX);
    eprintln!("{rounds} rounds: {tally:?}");
    assert!(violations.is_empty(), "{} violations, the first {:?}\nagain: {again}", violations.len(), violations.first());
    assert!(tally.closes > 0 && tally.events > 0, "nothing happened: {tally:?}");
    assert_eq!(listener.heard.lock().unwrap().resets, 0, "the listener was told to start over");
}

/// Shorter than a lease, or longer, so that its partitions stay or go.
async fn strike(fault: Fault, node: &Container, redis: &Container, rng: &mut Rng) {
    let lasts = Duration::from_millis(rng.between(500, 6_000));
    tokio::time::sleep(Duration::from_millis(rng.between(500, 2_000))).await;
    match fault {
        Fault::Kill => node.kill(),
        Fault::Freeze => node.pause(),
        Fault::Cut(way) => node.cut(redis, way),
    }
    tokio::time::sleep(lasts).await;
    match fault {
        Fault::Kill => node.start(),
        Fault::Freeze => node.unpause(),
        Fault::Cut(_) => assert!(node.heal() > 0, "the cut took nothing"),
    }
}

async fn switch_on(gates: &[Gate]) {
    let client = adjourn::tls::http(None).unwrap().no_proxy().build().unwrap();
    let settings = json!({"auto_close": {"enabled": true, "period": format!("{}s", PERIOD_MS / 1_000)}});
    rest::put_settings(&client, &[gates[0].url("")], WORKSPACE, &settings).await;
}

/// Everything due closes, everything told is heard; then what Redis holds.
async fn come_to_rest(gates: &[Gate], url: &str, listener: &Listener) -> History {
    let client = adjourn::tls::http(None).unwrap().no_proxy().build().unwrap();
    rest::quiet(&client, &gates.iter().map(|gate| gate.url("")).collect::<Vec<_>>(), WORKSPACE, rest::ever).await;
    let options = RedisOptions { keep_log: true, response_timeout: Duration::from_secs(60), ..RedisOptions::new("judge") };
    let store = RedisStore::open(url.parse().unwrap(), options).await.unwrap();
    let began = Instant::now();
    let history = loop {
        let mut histories = Histories::new();
        for partition in store.partitions().all() {
            for entry in store.read(partition, LogId::ZERO, ALL, Duration::ZERO).await.unwrap() {
                record::log(&mut histories, partition, entry);
            }
        }
        record::rest(&*store, &mut histories, None).await;
        let history = histories.remove(WORKSPACE).unwrap();
        // Who has not heard everything by then will be said by the checker.
        if rest::has_heard(listener, &history.told) || began.elapsed() > Duration::from_secs(20) {
            break history;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    store.close();
    history
}
