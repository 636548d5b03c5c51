//! `adjourn events send`: a file of events into the service, as fast as it takes them or in the pace they happened.
//!
//! What the service has not acknowledged is sent again (D6 makes that harmless); what it has is remembered beside the
//! file (`progress.rs`), so that a run that was interrupted goes on where it stopped.

pub mod pace;
mod progress;

use std::time::Duration;

use clap::{Args, Subcommand};
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::client::{Answer, Client, Target, Waits, problem};
use super::failure::{Exit, Failure};
use super::input::{BadLines, Lines};
use super::output::{Format, document, note};
use crate::clock::{Clock, Stopwatch, WallClock};
use crate::domain::Timestamp;
use pace::{Pace, Speed};
use progress::Progress;

/// Lines in one request: enough to share a commit, few enough to answer soon.
const BATCH_LINES: usize = 500;
/// Bytes in one request; the service takes twice that.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// Longest wait between two tries.
const WAIT_MAX: Duration = Duration::from_secs(10);

#[derive(Subcommand)]
pub enum EventsVerb {
    /// Send a file of events
    Send(SendArgs),
}

#[derive(Args)]
pub struct SendArgs {
    /// CloudEvents as NDJSON, plain or gzipped; `-` reads stdin
    file: String,
    /// Play them in the pace they happened, this many times faster, such as 1x or 60x
    #[arg(long, value_name = "FACTOR")]
    speed: Option<Speed>,
    /// Move all times, so that the first event happens now; with --speed, each happens when it is sent
    #[arg(long)]
    shift_to_now: bool,
    /// At most this many events a second, such as 100 or 100/s
    #[arg(long, value_name = "N", value_parser = rate)]
    rate: Option<f64>,
    /// Where to remember how far it got [default: FILE.adjourn-progress; none for stdin]
    #[arg(long, value_name = "PATH")]
    progress: Option<String>,
    /// Give up when the service has not taken anything for this long
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = humantime::parse_duration)]
    patience: Duration,
    #[command(flatten)]
    target: Target,
}

fn rate(text: &str) -> Result<f64, String> {
    let number: f64 = text.strip_suffix("/s").unwrap_or(text).parse().map_err(|_| "write events a second, such as 100 or 100/s")?;
    if number.is_finite() && number > 0.0 { Ok(number) } else { Err("must be more than 0".into()) }
}

pub async fn run(args: SendArgs, format: Option<Format>) -> Result<(), Failure> {
    let client = Client::new(&args.target)?;
    let lines = Lines::open(&args.file)?;
    let progress = Progress::open(&args.file, client.base(), args.progress.as_deref())?;
    if progress.lines > 0 {
        note(format_args!("going on after line {} of an earlier run ({})", progress.lines, progress.path()));
    }
    let pace = Pace::new(args.speed, args.shift_to_now, progress.shift);
    let sender = Sender::new(client, args.patience);
    let mut sending = Sending { lines, progress, pace, sender, rate: args.rate, rejections: BadLines::default(), sent: 0 };
    sending.play().await?;
    sending.finish(format.unwrap_or(Format::Ndjson))
}

/// A batch in the making.
#[derive(Default)]
struct Batch {
    body: Vec<u8>,
    /// The line numbers in it, for telling which was rejected.
    numbers: Vec<u64>,
}

impl Batch {
    fn is_full(&self) -> bool {
        self.numbers.len() >= BATCH_LINES || self.body.len() >= BATCH_BYTES
    }
}

struct Sending {
    lines: Lines,
    progress: Progress,
    pace: Pace,
    sender: Sender,
    rate: Option<f64>,
    rejections: BadLines,
    /// In this run.
    sent: u64,
}

impl Sending {
    async fn play(&mut self) -> Result<(), Failure> {
        let watch = Stopwatch::start();
        let mut batch = Batch::default();
        let already = self.progress.lines;
        while let Some(line) = self.lines.next()? {
            let line = line.map(<[u8]>::to_vec);
            let number = self.lines.number;
            if number <= already {
                continue;
            }
            let line = match line {
                Ok(line) => line,
                Err(too_long) => {
                    self.reject(number, &too_long.to_string());
                    continue;
                }
            };
            let (line, due) = self.pace.place(line, WallClock.now());
            if due.is_some_and(|due| due > WallClock.now()) {
                self.flush(&mut batch, &watch).await?;
                wait_until(due).await;
            }
            batch.body.extend_from_slice(&line);
            batch.body.push(b'\n');
            batch.numbers.push(number);
            if batch.is_full() {
                self.flush(&mut batch, &watch).await?;
            }
        }
        self.flush(&mut batch, &watch).await
    }

    fn reject(&mut self, number: u64, reason: &str) {
        self.progress.rejected += 1;
        self.rejections.tell(&self.lines.bar, number, reason);
    }

    /// Sends a batch and remembers that it was taken.
    async fn flush(&mut self, batch: &mut Batch, watch: &Stopwatch) -> Result<(), Failure> {
        let Batch { body, numbers } = std::mem::take(batch);
        let Some(last) = numbers.last().copied() else { return Ok(()) };
        if let Some(rate) = self.rate {
            let due = Duration::from_secs_f64(self.sent as f64 / rate);
            tokio::time::sleep(due.saturating_sub(watch.elapsed())).await;
        }
        let answer = self.sender.deliver(body).await?;
        let count = |member: &str| answer[member].as_u64().unwrap_or(0);
        self.progress.accepted += count("accepted");
        self.progress.duplicates += count("duplicates");
        for rejected in answer["rejected"].as_array().into_iter().flatten() {
            let number = rejected["index"].as_u64().and_then(|index| numbers.get(index as usize).copied()).unwrap_or(last);
            self.reject(number, &problem(&rejected["problem"]));
        }
        self.sent += numbers.len() as u64;
        self.progress.lines = last;
        self.progress.shift = self.pace.shift;
        self.progress.save()?;
        let rate = self.sent as f64 / watch.elapsed().as_secs_f64().max(0.001);
        self.lines.bar.set_message(format!("{} events, {rate:.0}/s", self.progress.accepted));
        Ok(())
    }

    fn finish(self, format: Format) -> Result<(), Failure> {
        self.lines.bar.finish_and_clear();
        self.rejections.finish();
        let Progress { accepted, duplicates, rejected, .. } = self.progress;
        self.progress.remove();
        document(format, &json!({"accepted": accepted, "duplicates": duplicates, "rejected": rejected}))?;
        match rejected {
            0 => Ok(()),
            _ => Err(Failure::failed(format_args!("{rejected} events were rejected; nothing of them was taken"))),
        }
    }
}

async fn wait_until(due: Option<Timestamp>) {
    let Some(due) = due else { return };
    let ms = due.since(WallClock.now()).as_millis().unsigned_abs();
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

/// Delivers bodies of NDJSON, as often as it takes.
pub struct Sender {
    client: Client,
    waits: Waits,
    patience: Duration,
}

impl Sender {
    pub fn new(client: Client, patience: Duration) -> Self {
        Self { client, waits: Waits::up_to(WAIT_MAX), patience }
    }

    /// Answers with what the service said of a body it took, in whole or in part.
    pub async fn deliver(&mut self, body: Vec<u8>) -> Result<Value, Failure> {
        let watch = Stopwatch::start();
        loop {
            let (failure, asked) = match self.post(&body).await {
                // Whatever the status, this says of each event what became of it. A success that does not is no acknowledgement.
                Ok(answer) if answer.body["accepted"].is_u64() => {
                    self.waits.reset();
                    return Ok(answer.body);
                }
                Ok(answer) if answer.is_passing() || answer.status.is_success() => {
                    (Failure::unavailable(answer.failure()), answer.retry_after)
                }
                Ok(answer) => return Err(answer.failure()),
                Err(failure) if failure.exit != Exit::Unavailable => return Err(failure),
                Err(failure) => (failure, None),
            };
            let wait = self.waits.next(asked);
            if watch.elapsed() + wait > self.patience {
                return Err(failure);
            }
            tokio::time::sleep(wait).await;
        }
    }

    async fn post(&self, body: &[u8]) -> Result<Answer, Failure> {
        let url = self.client.url(&["v1", "events"], &[])?;
        let request = self.client.request(Method::POST, url).header(CONTENT_TYPE, "application/x-ndjson");
        self.client.ask(request.body(body.to_vec())).await
    }
}
