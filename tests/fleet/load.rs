//! What a pipeline of ingestion does: it makes events, sends them to any node, and sends them again to another until one has
//! taken them. One producer writes into Redis itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use adjourn::domain::Timestamp;
use adjourn::wire::time;
use serde_json::{Value, json};

use super::judge::history::{Message, Ms, Name, Speaker};
use super::judge::rng::Rng;

pub const WORKSPACE: &str = "fleet";
const PRODUCERS: usize = 4;
/// Between two batches of a producer. Four of them make some 150 events a second: debug builds on two cores stay ahead.
const PACE: Duration = Duration::from_millis(50);
/// Conversations that a producer has going at a time.
const CONVERSATIONS: u64 = 24;
/// For a node to answer; one that stands still does not.
const ANSWER: Duration = Duration::from_millis(1_500);

/// What was sent, and what was said of it.
#[derive(Default)]
pub struct Ledger {
    pub sent: Vec<Message>,
    pub acknowledged: BTreeSet<Name>,
    /// The longest time from the first attempt at a batch to its acknowledgement.
    pub longest_wait: Duration,
    /// Refused for good, such as a time stamp ahead of a clock that jumped.
    pub rejected: usize,
    pub tried_again: usize,
}

impl Ledger {
    /// What the service said of each of these.
    fn note(&mut self, batch: &[Message], answer: &Value, took: Duration) {
        let rejected = answer["rejected"].as_array().unwrap();
        let is_taken = |nth: usize| !rejected.iter().any(|one| one["index"] == nth);
        let taken = batch.iter().enumerate().filter(|(nth, _)| is_taken(*nth)).map(|(_, message)| message.name.clone());
        self.acknowledged.extend(taken);
        self.rejected += rejected.len();
        self.longest_wait = self.longest_wait.max(took);
    }
}

/// Where events can go.
#[derive(Clone)]
pub struct Door {
    pub url: String,
    /// Requests that are not answered yet.
    pub pending: Arc<AtomicUsize>,
}

/// The producer that writes into Redis itself.
pub struct Raw {
    pub dial: Dial,
    /// How many replicas must have an entry before it counts.
    pub replicas: u32,
    pub partitions: u16,
}

/// How the raw producer gets to Redis; `None`: not now.
pub type Dial = Arc<dyn Fn() -> Option<redis::Connection> + Send + Sync>;

pub struct Load {
    pub ledger: Arc<Mutex<Ledger>>,
    stop: Arc<AtomicBool>,
    /// The raw producer waits while this is set.
    pub raw_pause: Arc<AtomicBool>,
    producers: Vec<tokio::task::JoinHandle<()>>,
    doors: Vec<Door>,
    raw: Option<std::thread::JoinHandle<()>>,
}

impl Load {
    pub fn start(doors: Vec<Door>, period_ms: u64, raw: Option<Raw>, rng: &mut Rng) -> Self {
        let (ledger, stop, raw_pause) = (Arc::<Mutex<Ledger>>::default(), Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let to = doors.clone();
        let producers = (0..PRODUCERS).map(|nth| {
            let maker = Maker::new(format!("p{nth}"), period_ms, Rng::new(rng.next()));
            tokio::spawn(produce(maker, doors.clone(), ledger.clone(), stop.clone()))
        });
        let producers = producers.collect();
        let raw = raw.map(|raw| {
            let maker = Maker::new("raw".to_owned(), period_ms, Rng::new(rng.next()));
            let (ledger, stop, pause) = (ledger.clone(), stop.clone(), raw_pause.clone());
            std::thread::spawn(move || produce_raw(maker, &raw, &ledger, &stop, &pause))
        });
        Self { ledger, stop, raw_pause, producers, doors: to, raw }
    }

    /// For a scenario's own events, beside all the rest.
    pub fn sender(&self) -> Sender {
        let client = adjourn::tls::http(None).unwrap().no_proxy().timeout(ANSWER).build().unwrap();
        Sender { client, doors: self.doors.clone(), ledger: self.ledger.clone() }
    }

    /// Ends when what was begun was taken.
    pub async fn stop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for producer in self.producers.drain(..) {
            producer.await.unwrap();
        }
        if let Some(raw) = self.raw.take() {
            tokio::task::spawn_blocking(move || raw.join().unwrap()).await.unwrap();
        }
    }
}

#[derive(Clone)]
pub struct Sender {
    client: reqwest::Client,
    doors: Vec<Door>,
    ledger: Arc<Mutex<Ledger>>,
}

impl Sender {
    /// Sends these, to this node first; done when they were taken.
    pub async fn send(&self, node: usize, batch: Vec<Message>) {
        deliver(&self.client, &self.doors, node, &batch, &self.ledger).await;
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.producers.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

pub fn now() -> Ms {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as Ms
}

/// Makes up what people do.
struct Maker {
    name: String,
    period: Ms,
    rng: Rng,
    made: u64,
    /// What happens, or is sent, at a time to come.
    planned: BTreeMap<(Ms, u64), Message>,
    recent: Vec<Message>,
}

impl Maker {
    fn new(name: String, period_ms: u64, rng: Rng) -> Self {
        Self { name, period: period_ms as Ms, rng, made: 0, planned: BTreeMap::new(), recent: Vec::new() }
    }

    fn message(&mut self, conversation: &str, speaker: Speaker, time: Ms) -> Message {
        self.made += 1;
        let name = Name { id: format!("{}-{}", self.name, self.made), source: format!("/fleet/{}", self.name) };
        Message { name, conversation: conversation.to_owned(), time, speaker }
    }

    fn plan(&mut self, at: Ms, message: Message) {
        self.planned.insert((at, self.made), message);
    }

    /// What is to be sent now.
    fn next(&mut self) -> Vec<Message> {
        let now = now();
        let mut batch = Vec::new();
        while let Some(entry) = self.planned.first_entry().filter(|entry| entry.key().0 <= now) {
            batch.push(entry.remove());
        }
        for _ in 0..self.rng.between(1, 2) {
            batch.extend(self.act(now));
        }
        self.recent.extend(batch.iter().cloned());
        let old = self.recent.len().saturating_sub(40);
        self.recent.drain(..old);
        batch
    }

    fn act(&mut self, now: Ms) -> Option<Message> {
        // Moves on slowly, so that conversations end while others begin.
        let conversation = format!("{}-c{}", self.name, self.made / 8 + self.rng.below(CONVERSATIONS));
        match self.rng.below(100) {
            0..40 => Some(self.message(&conversation, Speaker::Human, now)),
            40..60 => Some(self.message(&conversation, Speaker::Contact, now)),
            60..68 => Some(self.message(&conversation, Speaker::Machine, now)),
            68..82 => Some(self.race(now)),
            82..90 => Some(self.late_reply(now)),
            90..95 => {
                // Held up on its way, behind others.
                let message = self.message(&conversation, Speaker::Human, now);
                let at = now + self.rng.between(100, 900) as Ms;
                self.plan(at, message);
                None
            }
            _ if self.recent.is_empty() => None,
            _ => Some(self.recent[self.rng.below(self.recent.len() as u64) as usize].clone()),
        }
    }

    /// A conversation that has all but run out when the contact answers: a little before its close, or a little after.
    fn race(&mut self, now: Ms) -> Message {
        let conversation = format!("{}-race{}", self.name, self.made);
        let human = self.message(&conversation, Speaker::Human, now);
        let at = now + self.period + self.rng.between(0, 160) as Ms - 60;
        let reply = self.message(&conversation, Speaker::Contact, at);
        self.plan(at, reply);
        human
    }

    /// A reply that is underway while its conversation closes (D7).
    fn late_reply(&mut self, now: Ms) -> Message {
        let conversation = format!("{}-late{}", self.name, self.made);
        let human = self.message(&conversation, Speaker::Human, now);
        let reply = self.message(&conversation, Speaker::Contact, now + self.period - 300);
        let at = now + self.period + self.rng.between(150, 700) as Ms;
        self.plan(at, reply);
        human
    }
}

fn event(message: &Message) -> Value {
    let source = match message.speaker {
        Speaker::Contact => "contact",
        Speaker::Human => "user",
        Speaker::Machine => "workflow",
    };
    let Name { id, source: from } = &message.name;
    let time = time::format(Timestamp::from_millis(message.time));
    json!({"specversion": "1.0", "id": id, "source": from, "type": "inbox.message.v1", "subject": message.conversation,
           "workspace": WORKSPACE, "time": time, "data": {"source": source}})
}

fn note_sent(ledger: &Mutex<Ledger>, batch: &[Message]) {
    let mut ledger = ledger.lock().unwrap();
    ledger.sent.extend(batch.iter().cloned());
}

async fn produce(mut maker: Maker, doors: Vec<Door>, ledger: Arc<Mutex<Ledger>>, stop: Arc<AtomicBool>) {
    let client = adjourn::tls::http(None).unwrap().no_proxy().pool_max_idle_per_host(0).timeout(ANSWER).build().unwrap();
    let mut at = maker.rng.below(doors.len() as u64) as usize;
    while !stop.load(Ordering::SeqCst) {
        tokio::time::sleep(PACE).await;
        let batch = maker.next();
        if batch.is_empty() {
            continue;
        }
        at = deliver(&client, &doors, at, &batch, &ledger).await;
        if maker.rng.percent(10) {
            at = maker.rng.below(doors.len() as u64) as usize;
        }
    }
}

/// Sends it to one door after the other until one has taken it: which.
async fn deliver(client: &reqwest::Client, doors: &[Door], first: usize, batch: &[Message], ledger: &Mutex<Ledger>) -> usize {
    note_sent(ledger, batch);
    let (mut at, began) = (first, Instant::now());
    let body: String = batch.iter().map(|message| format!("{}\n", event(message))).collect();
    loop {
        if let Some(answer) = post(client, &doors[at], &body).await {
            ledger.lock().unwrap().note(batch, &answer, began.elapsed());
            return at;
        }
        ledger.lock().unwrap().tried_again += 1;
        at = (at + 1) % doors.len();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What the service said of each event; `None`: open, to be sent again.
async fn post(client: &reqwest::Client, door: &Door, body: &str) -> Option<Value> {
    door.pending.fetch_add(1, Ordering::SeqCst);
    let request = client.post(&door.url).header("content-type", "application/x-ndjson").body(body.to_owned());
    let answer = async {
        let answer = request.send().await.ok()?;
        let is_said = answer.status() == 202 || answer.status() == 422;
        assert!(is_said || answer.status().is_server_error(), "the events were answered with {}", answer.status());
        if is_said { answer.json::<Value>().await.ok() } else { None }
    };
    let answer = answer.await;
    door.pending.fetch_sub(1, Ordering::SeqCst);
    answer
}

/// CONTRACT.md, "From Redis directly".
fn produce_raw(mut maker: Maker, raw: &Raw, ledger: &Mutex<Ledger>, stop: &AtomicBool, pause: &AtomicBool) {
    let mut redis = None;
    while !stop.load(Ordering::SeqCst) {
        std::thread::sleep(4 * PACE);
        if pause.load(Ordering::SeqCst) {
            continue;
        }
        let batch = maker.next();
        note_sent(ledger, &batch);
        for message in batch {
            while !add(&mut redis, raw, &message) {
                redis = None;
                std::thread::sleep(PACE);
            }
            ledger.lock().unwrap().acknowledged.insert(message.name);
        }
    }
}

fn add(redis: &mut Option<redis::Connection>, Raw { dial, replicas, partitions }: &Raw, message: &Message) -> bool {
    if redis.is_none() {
        *redis = dial();
    }
    let Some(redis) = redis else { return false };
    let partition = crc32fast::hash(format!("{WORKSPACE}/{}", message.conversation).as_bytes()) % u32::from(*partitions);
    let mut add = redis::cmd("XADD");
    add.arg(format!("adjourn:{{p{partition}}}:events")).arg("*").arg("ct").arg("application/cloudevents+json");
    add.arg("ce").arg(event(message).to_string());
    if add.exec(redis).is_err() {
        return false;
    }
    *replicas == 0 || redis::cmd("WAIT").arg(*replicas).arg(1_000).query::<u32>(redis).is_ok_and(|have| have >= *replicas)
}
