//! A store, the node that dies on it, the load on both, and the judge.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use adjourn::faults::crash::VARIABLE;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::chores::{self, ASIDE, Chores, NOTED};
use super::judge::checker::{Tally, Violation, check};
use super::judge::history::{History, Ms};
use super::judge::listener::Listener;
use super::judge::record;
use super::judge::rest;
use super::judge::rng::Rng;
use super::load::{Load, WORKSPACE};
use super::node::{Node, PARTITIONS, Setup};
use super::points::Point;
use super::rig::server::{Aof, Options, Server};

/// A stream says every second that it is still there.
const QUIET: Duration = Duration::from_secs(4);
/// For a point to be reached: the rarest comes every five seconds.
const REACHED: Duration = Duration::from_secs(12);
const PERIOD_MS: u64 = 1_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// One process, one directory.
    Embedded,
    /// Two nodes, of which the first dies; `appendfsync always`.
    Redis,
}

pub struct Stage {
    redis: Option<Server>,
    nodes: Vec<Node>,
    load: Load,
    chores: Chores,
    listener: Listener,
    /// The other one stays where it is served: this one comes back to the node that dies.
    _faithful: Listener,
    client: reqwest::Client,
    dir: TempDir,
}

impl Stage {
    pub async fn start(kind: Kind, rng: &mut Rng) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let redis = (kind == Kind::Redis).then(|| Server::start(Options::aof(Aof::Always)));
        let store = redis.as_ref().map_or_else(|| format!("embedded:{}", dir.path().join("store").display()), Server::url);
        // Files of the log begin all the time: beginning one is a point, too.
        let environment = vec![("ADJOURN__EVENT_LOG__SEGMENT_BYTES", "8192".to_owned())];
        let setup = Setup { lease_ms: 1_000, environment };
        let count = if redis.is_some() { 2 } else { 1 };
        let mut nodes: Vec<Node> = (1..=count).map(|nth| Node::new(dir.path(), nth, store.clone(), None, setup.clone())).collect();
        nodes.iter_mut().for_each(Node::start);
        let client =
            adjourn::tls::http(None).unwrap().no_proxy().pool_max_idle_per_host(0).timeout(Duration::from_secs(15)).build().unwrap();
        for node in &mut nodes {
            node.ready(&client).await;
        }
        let names = nodes.iter().map(|node| node.name.clone()).collect();
        let chores = Chores::start(nodes[0].url(""), names);
        let listener = Listener::start(&nodes.iter().map(|node| node.port).collect::<Vec<_>>(), QUIET);
        let _faithful = Listener::start(&[nodes[0].port], QUIET);
        let load = Load::start(nodes.iter().map(Node::door).collect(), PERIOD_MS, None, rng);
        let stage = Self { redis, nodes, load, chores, listener, _faithful, client, dir };
        stage.put(&json!({"auto_close": {"enabled": true, "period": format!("{}s", PERIOD_MS / 1_000)}})).await;
        stage
    }

    /// Has the first node die there, and start again. False: it did not get there.
    pub async fn die_at(&mut self, point: Point, nth: u64) -> bool {
        self.nodes[0].kill();
        self.nodes[0].start_with(&[(VARIABLE, &format!("{}:{}:{nth}", point.place, point.side))]);
        let (asked, mut is_asked_to_end) = (Instant::now(), false);
        let died = loop {
            if let Some(status) = self.nodes[0].ended() {
                let killed = status.signal() == Some(Signal::KILL.as_raw());
                assert!(killed || (is_asked_to_end && status.success()), "{point:?}: it ended by itself, with {status}");
                break killed;
            }
            if asked.elapsed() > REACHED {
                self.nodes[0].kill();
                break false;
            }
            if point.is_of_the_end() && !is_asked_to_end && self.nodes[0].is_ready(&self.client).await {
                self.nodes[0].ask_to_end();
                is_asked_to_end = true;
            }
            pause(5).await;
        };
        self.nodes[0].start();
        self.nodes[0].ready(&self.client).await;
        // Every partition gets on: five deaths in a row at one entry would set it aside as what kills its owner.
        self.put(&json!({})).await;
        died
    }

    async fn put(&self, settings: &Value) {
        rest::put_settings(&self.client, &self.urls(), WORKSPACE, settings).await;
    }

    fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.url("")).collect()
    }

    /// What is wrong, and how much there was to judge.
    pub async fn judge(mut self) -> (Vec<String>, Tally, TempDir) {
        self.chores.stop();
        self.load.stop().await;
        rest::quiet(&self.client, &self.urls(), WORKSPACE, rest::ever).await;
        let mut wrong = self.settings_are_kept().await;
        self.nodes.iter_mut().for_each(Node::terminate);
        let mut histories = match &self.redis {
            Some(redis) => record::left_in_redis(&redis.url(), PARTITIONS).await,
            None => record::left_in_directory(&self.store_dir()).await,
        };
        let mut history = histories.remove(WORKSPACE).unwrap();
        // The listener hears of all workspaces; of these only that nothing is missing is judged.
        let aside: Vec<_> = [ASIDE, NOTED].into_iter().flat_map(|of| histories.remove(of).unwrap_or_default().told).collect();
        history.told.extend(aside.iter().cloned());
        self.nodes[0].start();
        self.nodes[0].ready(&self.client).await;
        rest::hear_out(&self.listener, &history.told).await;
        self.nodes[0].terminate();
        {
            let (mut ledger, heard) = (self.load.ledger.lock().unwrap(), self.listener.heard.lock().unwrap());
            history.sent = std::mem::take(&mut ledger.sent);
            history.acknowledged = std::mem::take(&mut ledger.acknowledged);
            history.heard = heard.ids.clone();
            let is_aside = |id: &String| aside.iter().any(|told| told.id == *id);
            history.told.retain(|told| !is_aside(&told.id));
            let (of_aside, of_it) = history.heard.into_iter().partition(|(id, _)| is_aside(id));
            history.heard = of_it;
            let missed = aside.len() - std::collections::BTreeMap::len(&of_aside);
            wrong.extend((missed > 0).then(|| format!("{missed} notifications of what the chores did were not heard")));
            wrong.extend((heard.resets > 0).then(|| format!("the listener was told {} times to start over", heard.resets)));
        }
        let (violations, tally) = check(&history, Ms::MAX);
        wrong.extend(violations.iter().map(|violation| format!("{violation:?}")));
        wrong.extend(it_was_awake(&history));
        (wrong, tally, self.dir)
    }

    fn store_dir(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    async fn settings_are_kept(&self) -> Vec<String> {
        let answered = self.chores.answered.load(Ordering::SeqCst);
        let url = self.nodes[0].url(&format!("/v1/workspaces/{ASIDE}/settings"));
        let stored = chores::version(&self.client.get(url).send().await.unwrap());
        // Where the process died at each of them, none was answered.
        let is_kept = stored.is_some_and(|stored| stored >= answered);
        (!is_kept).then(|| format!("version {answered} of the settings was answered, {stored:?} is stored")).into_iter().collect()
    }
}

/// The same history without the last close of all: a judge that finds nothing wrong with it sleeps.
fn it_was_awake(history: &History) -> Option<String> {
    let mut doctored = history.clone();
    let Some(last) = doctored.told.iter().rposition(|told| told.close.is_some()) else { return Some("nothing closed".to_owned()) };
    doctored.told.remove(last);
    let found = check(&doctored, Ms::MAX).0;
    (!found.iter().any(|violation| matches!(violation, Violation::Missing { .. } | Violation::ToldOtherwise { .. })))
        .then(|| "a close was taken out of the history, and the judge did not miss it".to_owned())
}

pub async fn pause(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}
