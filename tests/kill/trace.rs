//! The real conversations, many of them at once, for as long as it takes; and the process that sends them.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use adjourn::domain::Timestamp;
use adjourn::wire::time;
use flate2::read::GzDecoder;
use serde::Deserialize;
use serde_json::Value;

use super::history::{Message, Ms, Name, Speaker};
use super::rig::process::{PATIENCE, Process, command};
use super::rng::Rng;
use super::service::{BINARY, nap};

/// How many times faster than it happened it is played.
const SPEED: i64 = 50;
/// The slice begins anew every so often, in the trace's own time, so that many of it are under way at once.
const EVERY: Ms = 4_000 * SPEED;
/// About as long as the slice is.
const SLICE: Ms = 3_000_000;
pub const WORKSPACE: &str = "ubuntu";

/// A line as it will be sent, its time not yet moved.
struct Line {
    event: Value,
    time: Ms,
}

/// In the trace's own time, between one reply that races with a close and the next.
const RACE_EVERY: Ms = 250 * SPEED;

/// Writes `seconds` of play to `path`, and answers the messages in it.
pub fn write(path: &Path, seconds: u64, period_s: u64, rng: &mut Rng) -> Vec<Message> {
    let slice = slice();
    let begin = slice[0].time;
    let end = SPEED * seconds as i64 * 1_000;
    let mut lines = Vec::new();
    // Some have begun before it begins, so that it is as busy in its first second as in its last.
    for (copy, offset) in (0..).map(|copy| (copy, copy * EVERY - SLICE)).take_while(|(_, offset)| *offset < end) {
        for line in &slice {
            let at = line.time - begin + offset;
            if (0..end).contains(&at) {
                lines.push(Line { event: copied(&line.event, copy, begin + at), time: begin + at });
            }
        }
    }
    for nth in 0..end / RACE_EVERY {
        let lines_of_race = race(&slice[0].event, nth, begin + nth * RACE_EVERY, period_s, rng);
        lines.extend(lines_of_race.into_iter().filter(|line| line.time < begin + end));
    }
    lines.sort_by_key(|line| line.time);
    disorder(&mut lines, rng);
    let mut file = BufWriter::new(File::create(path).unwrap());
    lines.iter().for_each(|line| writeln!(file, "{}", line.event).unwrap());
    file.flush().unwrap();
    lines.iter().map(|line| message(&line.event)).collect()
}

fn slice() -> Vec<Line> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/demo/ubuntu-irc-slice.ndjson.gz");
    let lines = BufReader::new(GzDecoder::new(File::open(path).unwrap())).lines();
    let line = |line: std::io::Result<String>| {
        let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
        Line { time: stamp(&event), event }
    };
    lines.map(line).collect()
}

fn copied(event: &Value, copy: i64, time: Ms) -> Value {
    let mut event = event.clone();
    for member in ["id", "subject"] {
        event[member] = format!("{}.{copy}", event[member].as_str().unwrap()).into();
    }
    event["time"] = time::format(Timestamp::from_millis(time)).into();
    event
}

/// A conversation that has all but run out when the contact answers: a little before its close, or a little after.
fn race(like: &Value, nth: i64, time: Ms, period_s: u64, rng: &mut Rng) -> [Line; 2] {
    let until_reply = period_s * 1_000 + rng.between(0, 120);
    [("user", 0), ("contact", SPEED * (until_reply as i64 - 60))].map(|(source, after)| {
        let mut event = copied(like, nth, time + after);
        event["id"] = format!("race-{nth}-{source}").into();
        event["subject"] = format!("race-{nth}").into();
        event["data"]["source"] = source.into();
        Line { event, time: time + after }
    })
}

/// What the network does: some come late, behind others that happened after them, and some bear one stamp.
fn disorder(lines: &mut [Line], rng: &mut Rng) {
    let mut latest: HashMap<String, Ms> = HashMap::new();
    for line in lines.iter_mut() {
        let before = latest.entry(line.event["subject"].to_string()).or_insert(line.time);
        if rng.percent(3) && *before > line.time - 2_000 * SPEED {
            line.time = *before;
            line.event["time"] = time::format(Timestamp::from_millis(line.time)).into();
        }
        *before = line.time;
    }
    for at in 1..lines.len() {
        if rng.percent(5) {
            let to = (at + rng.between(1, 60) as usize).min(lines.len() - 1);
            lines[at..=to].rotate_left(1);
        }
    }
}

fn stamp(event: &Value) -> Ms {
    time::parse(event["time"].as_str().unwrap()).unwrap().as_millis()
}

fn message(event: &Value) -> Message {
    let text = |member: &str| event[member].as_str().unwrap().to_owned();
    let speaker = match event["data"]["source"].as_str().unwrap() {
        "contact" => Speaker::Contact,
        "user" => Speaker::Human,
        "workflow" => Speaker::Machine,
        other => panic!("the slice has no messages of {other}"),
    };
    let name = Name { id: text("id"), source: text("source") };
    Message { name, conversation: text("subject"), time: stamp(event), speaker }
}

/// `adjourn events send`, which goes on where it stopped.
pub struct Sender {
    dir: PathBuf,
    port: u16,
    running: Option<Process>,
    /// What it remembered when it was last looked at.
    progress: Option<Progress>,
    /// Everything was sent: there is nothing left to do, or to remember.
    finished: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
struct Progress {
    lines: usize,
    rejected: u64,
    shift: Shift,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
struct Shift {
    first_ms: Ms,
    start_ms: Ms,
}

impl Sender {
    /// Starts it, and waits until something of what it sends was taken.
    pub async fn start(dir: &Path, port: u16) -> Self {
        let mut sender = Self { dir: dir.to_owned(), port, running: None, progress: None, finished: false };
        sender.start_again();
        sender.get_on().await;
        sender
    }

    pub fn start_again(&mut self) {
        if self.finished {
            return;
        }
        let mut command = command(BINARY);
        command.args(["events", "send"]).arg(self.dir.join("trace.ndjson")).env_clear();
        command.args(["--shift-to-now", "--speed", &format!("{SPEED}x"), "--url", &format!("http://127.0.0.1:{}", self.port)]);
        command.arg("--progress").arg(self.progress_file());
        self.running = Some(Process::start(command, &self.dir.join("send.log")));
    }

    pub fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.kill();
        }
    }

    /// It must survive whatever happens to the service.
    pub fn must_live(&mut self) {
        let Some(ended) = self.running.as_mut().and_then(Process::ended) else { return };
        assert!(ended.success(), "the sender ended with {ended:?}:\n{}", self.last_words());
        (self.finished, self.running) = (true, None);
    }

    /// Waits until more of what it sends was taken, if there is more.
    pub async fn get_on(&mut self) {
        let before = self.look();
        let asked = Instant::now();
        while !self.finished && self.look() == before {
            self.must_live();
            assert!(asked.elapsed() < PATIENCE, "the sender does not get on:\n{}", self.last_words());
            nap().await;
        }
    }

    fn progress_file(&self) -> PathBuf {
        self.dir.join("trace.progress")
    }

    fn last_words(&self) -> String {
        self.running.as_ref().map(Process::last_words).unwrap_or_default()
    }

    /// What it remembers now.
    fn look(&mut self) -> Option<Progress> {
        if let Ok(text) = std::fs::read(self.progress_file()) {
            let progress: Progress = serde_json::from_slice(&text).unwrap();
            assert_eq!(progress.rejected, 0, "{}", self.last_words());
            self.progress = Some(progress);
        }
        self.progress
    }

    /// The messages with the times they were sent with, and how many of them, from the first, were acknowledged.
    pub fn account(&mut self, mut messages: Vec<Message>) -> (Vec<Message>, usize) {
        let Progress { lines, shift, .. } = self.look().unwrap();
        for message in &mut messages {
            message.time = shift.start_ms + ((message.time - shift.first_ms) as f64 / SPEED as f64).round() as Ms;
        }
        let acknowledged = if self.finished { messages.len() } else { lines };
        (messages, acknowledged)
    }
}
