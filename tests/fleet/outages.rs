//! One node on the embedded store, and the power goes: what it had not brought to the disk is gone, or some of it.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use super::fleet::{pause, put_settings};
use super::judge::checker::check;
use super::judge::history::Ms;
use super::judge::listener::Listener;
use super::judge::record;
use super::judge::rng::Rng;
use super::load::{Load, WORKSPACE};
use super::node::{Node, Setup};
use super::report::{Classes, Done, Run};
use super::rig::disk::{Disk, Lost};
use super::rig::process::{PATIENCE, wait_until};
use super::verdict::{line, pronounce, quiet, said, tell_the_rest};

/// Deaths of one store: what is judged in the end grows with them.
const ROUNDS: u64 = 50;
/// Of each store, while it comes to be.
const CREATIONS: usize = 3;
/// The disk takes so long to have something: the power goes meanwhile, or shortly after.
const SLOW: Duration = Duration::from_millis(2);
/// A stream says every second that it is still there.
const QUIET: Duration = Duration::from_secs(4);
/// More than a start takes.
const START_MS: u64 = 200;

#[tokio::test(flavor = "multi_thread")]
async fn s3_a_power_loss_of_a_node_on_the_embedded_store_loses_nothing() {
    let run = Run::of("s3_a_power_loss_of_a_node_on_the_embedded_store_loses_nothing");
    let mut rng = run.rng();
    for before in (0..run.rounds).step_by(ROUNDS as usize) {
        a_store_loses_its_power(run, Rng::new(rng.next()), before..run.rounds.min(before + ROUNDS)).await;
    }
}

async fn a_store_loses_its_power(run: Run, rng: Rng, rounds: Range<u64>) {
    let began = Instant::now();
    let mut alone = Alone::start(rng).await;
    let (mut done, mut met, mut twice) = (Done::default(), 0, 0);
    for round in rounds {
        // Every partition gets on: five deaths in a row at one entry would set it aside as what kills its owner.
        alone.settled().await;
        pause(alone.rng.between(100, 600)).await;
        if alone.rng.percent(40) {
            alone.die_and_come_back().await;
            twice += 1;
        } else {
            alone.await_write();
        }
        let pending = alone.node.has_pending();
        let lost = alone.lose_power();
        met += u64::from(lost.open > 0);
        done.rounds += 1;
        done.hits += u64::from(pending || lost.open > 0);
        pause(alone.rng.below(300)).await;
        alone.node.start();
        run.progress(round + 1);
    }
    alone.settled().await;
    let Lost { open, sectors, lengths, names } = alone.lost;
    done.notes.push(format!(
        "{met} times something was not on the disk, {open} writes in all: {sectors} sectors, {lengths} lengths, {names} names went \
         back; {twice} times killed just before, and started again"
    ));
    assert!(sectors > 0, "nothing was lost: this power loss is none\nagain: {}", run.again());
    alone.judge(run, began, done).await;
}

/// A node that has a directory to itself.
struct Alone {
    node: Node,
    period_ms: u64,
    rng: Rng,
    load: Load,
    listener: Listener,
    client: reqwest::Client,
    lost: Lost,
    dir: TempDir,
}

impl Alone {
    /// It runs, and has something to do.
    async fn start(mut rng: Rng) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut node = node(dir.path(), disk(dir.path()).slow(SLOW));
        let mut lost = Lost::default();
        for _ in 0..CREATIONS {
            node.start();
            pause(rng.below(START_MS)).await;
            lost += lose_power(&mut node, &mut rng);
        }
        node.start();
        let client =
            adjourn::tls::http(None).unwrap().no_proxy().pool_max_idle_per_host(0).timeout(Duration::from_secs(15)).build().unwrap();
        node.ready(&client).await;
        let period_ms = 1_000 * rng.between(1, 3);
        let settings = json!({"auto_close": {"enabled": true, "period": format!("{}s", period_ms / 1_000)}});
        put_settings(&client, std::slice::from_ref(&node), WORKSPACE, &settings).await;
        let listener = Listener::start(&[node.port], QUIET);
        let load = Load::start(vec![node.door()], period_ms, None, &mut rng);
        Self { node, period_ms, rng, load, listener, client, lost, dir }
    }

    /// Waits until it is ready and every partition has applied what came before.
    async fn settled(&mut self) {
        self.node.ready(&self.client).await;
        put_settings(&self.client, std::slice::from_ref(&self.node), WORKSPACE, &json!({})).await;
    }

    /// Waits until something is being written, to whichever file.
    fn await_write(&mut self) {
        let mut from = noted(&self.node);
        self.await_and_a_moment(|node| {
            let begun = node.disk.as_ref().unwrap().has_begun_to_write(from);
            from = noted(node);
            begun
        });
    }

    /// Waits until something is being written to the log.
    fn await_append(&mut self) {
        let found = log_len(&self.node);
        self.await_and_a_moment(|node| log_len(node) != found);
    }

    /// Not always as long: what is being written is mostly not on the disk then. The runtime's own sleep is too coarse for
    /// that, and this keeps nobody else waiting.
    fn await_and_a_moment(&mut self, mut it_is_so: impl FnMut(&Node) -> bool) {
        let asked = Instant::now();
        while asked.elapsed() < Duration::from_millis(500) && !it_is_so(&self.node) {
            std::thread::sleep(Duration::from_micros(50));
        }
        std::thread::sleep(Duration::from_micros(self.rng.below(5 * SLOW.as_micros() as u64 / 4)));
    }

    /// Killed alone and started again. What it wrote, and reads when it comes back, is no more on the disk for that.
    async fn die_and_come_back(&mut self) {
        let over_the_log = self.rng.percent(50);
        if over_the_log {
            self.await_append();
        } else {
            self.await_write();
        }
        self.node.kill();
        self.node.start();
        if over_the_log {
            // The first that it is sent goes behind what it found.
            self.await_append();
        } else {
            pause(self.rng.below(START_MS)).await;
            self.await_write();
        }
    }

    fn lose_power(&mut self) -> Lost {
        let lost = lose_power(&mut self.node, &mut self.rng);
        self.lost += lost;
        lost
    }

    async fn judge(mut self, run: Run, began: Instant, done: Done) {
        self.load.stop().await;
        quiet(&self.client, std::slice::from_ref(&self.node), false).await;
        self.node.terminate();
        let mut history = record::left_in_directory(&store(&self.node)).await.remove(WORKSPACE).unwrap();
        tell_the_rest(&mut self.node, &self.listener, &history).await;
        let resets = self.listener.heard.lock().unwrap().resets;
        history.heard = self.listener.heard.lock().unwrap().ids.clone();
        let longest_wait = said(&mut history, &self.load);
        let (violations, tally) = check(&history, Ms::MAX);
        let mut classes = Classes::of(&violations);
        let mut wrong: Vec<String> = violations.iter().map(|violation| format!("{violation:?}")).collect();
        wrong.extend((resets > 0).then(|| format!("the listener was told {resets} times to start over")));
        classes.other += wrong.len() - violations.len();
        let scenario = format!("power loss of the embedded store (period {} ms)", self.period_ms);
        let mut line = line(scenario, done, &history, tally, longest_wait, began);
        line.classes = classes;
        pronounce(&run, &line, &wrong, || self.dir.keep());
    }
}

/// In `dir`, beside the node's own log, which no power loss takes.
fn disk(dir: &Path) -> Disk {
    let files = dir.join("disk");
    std::fs::create_dir(&files).unwrap();
    Disk::of(&files)
}

fn node(dir: &Path, disk: Disk) -> Node {
    // Files of the log begin often: a new name can be lost, too.
    let environment = vec![("ADJOURN__EVENT_LOG__SEGMENT_BYTES", "16384".to_owned())];
    let at = format!("embedded:{}", disk.files().join("store").display());
    let mut node = Node::new(dir, 1, at, None, Setup { lease_ms: 1_000, environment });
    node.disk = Some(disk);
    node
}

fn store(node: &Node) -> PathBuf {
    node.disk.as_ref().unwrap().files().join("store")
}

fn noted(node: &Node) -> u64 {
    node.disk.as_ref().unwrap().noted()
}

/// The bytes of its log.
fn log_len(node: &Node) -> u64 {
    let files = std::fs::read_dir(store(node).join("log")).unwrap();
    files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

/// All that was not on the disk goes, or what happened not to be.
fn lose_power(node: &mut Node, rng: &mut Rng) -> Lost {
    node.kill();
    let had = [0, 0, 10, 50, 90][rng.below(5) as usize];
    node.disk.as_ref().unwrap().lose(|| rng.percent(had))
}

fn client() -> reqwest::Client {
    adjourn::tls::http(None).unwrap().no_proxy().build().unwrap()
}

/// The answer's status; `None`: there was none.
async fn post(url: String, nth: usize) -> Option<u16> {
    let event = json!({"specversion": "1.0", "id": format!("e{nth}"), "source": "/power", "type": "inbox.message.v1",
        "subject": format!("c{nth}"), "workspace": WORKSPACE, "time": "2026-01-01T00:00:00Z", "data": {"source": "user"}});
    let post = client().post(url).header("content-type", "application/cloudevents+json").body(event.to_string());
    Some(post.send().await.ok()?.status().as_u16())
}

/// How many events and how many conversations there are after the power went.
async fn left_after_a_power_loss(mut node: Node) -> (usize, usize) {
    node.kill();
    node.disk.as_ref().unwrap().lose(|| false);
    node.start();
    node.ready(&client()).await;
    node.terminate();
    let left = record::left_in_directory(&store(&node)).await;
    left.get(WORKSPACE).map_or((0, 0), |history| (history.log.len(), history.states.len()))
}

/// Starts it on its disk, which is that slow now.
fn start_on(node: &mut Node, slow: Duration) {
    node.disk = node.disk.take().map(|disk| disk.slow(slow));
    node.start();
}

/// Long enough to be killed meanwhile, be the machine as busy as it may.
const MEANWHILE: Duration = Duration::from_millis(500);

#[tokio::test(flavor = "multi_thread")]
async fn the_same_power_loss_takes_everything_from_a_disk_that_lies() {
    const EVENTS: usize = 50;
    for (lies, kept) in [(false, EVENTS), (true, 0)] {
        let dir = tempfile::tempdir().unwrap();
        let disk = if lies { disk(dir.path()).lying() } else { disk(dir.path()) };
        let mut node = node(dir.path(), disk);
        node.start();
        node.ready(&client()).await;
        for nth in 0..EVENTS {
            assert_eq!(post(node.url("/v1/events"), nth).await, Some(202));
        }
        assert_eq!(left_after_a_power_loss(node).await, (kept, kept), "of a disk that lies: {lies}");
    }
}

/// A process is killed before the entry it has written is on the disk. The next one finds the entry, and applies it.
#[tokio::test(flavor = "multi_thread")]
async fn an_entry_found_in_the_log_is_on_the_disk_before_it_counts() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = node(dir.path(), disk(dir.path()));
    node.start();
    node.ready(&client()).await;
    node.terminate();
    start_on(&mut node, MEANWHILE);
    node.ready(&client()).await;
    let found = log_len(&node);
    let unanswered = tokio::spawn(post(node.url("/v1/events"), 0));
    wait_until("the entry is written", || log_len(&node) != found);
    node.kill();
    assert_eq!(unanswered.await.unwrap(), None, "it was answered before the disk had it");

    start_on(&mut node, Duration::ZERO);
    node.ready(&client()).await;
    let (asked, url) = (Instant::now(), node.url(&format!("/v1/workspaces/{WORKSPACE}/conversations/c0")));
    while client().get(&url).send().await.unwrap().status() != 200 {
        assert!(asked.elapsed() < PATIENCE, "it is not applied");
        pause(5).await;
    }
    assert_eq!(left_after_a_power_loss(node).await, (1, 1), "what was applied is in the log");
}

/// A process is killed before the name of the log's first file is on the disk. The next one finds the file, and goes on in it.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_the_log_that_was_found_has_its_name_on_the_disk_before_anything_in_it_counts() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = node(dir.path(), disk(dir.path()));
    start_on(&mut node, MEANWHILE);
    wait_until("the file has begun", || store(&node).join("log").exists() && log_len(&node) > 0);
    node.kill();
    start_on(&mut node, Duration::ZERO);
    node.ready(&client()).await;
    assert_eq!(post(node.url("/v1/events"), 0).await, Some(202));
    assert_eq!(left_after_a_power_loss(node).await, (1, 1), "what was answered is there");
}
