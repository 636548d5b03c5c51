//! `adjourn loadgen`: load for a running service, and how it bore it.
//!
//! The result is one JSON document on stdout. Deadlines are measured twice: `late_ms` is what the service says of a close
//! (its own clock, at the commit), `arrival_late_ms` is when the notification was here, against the deadline.

mod ingest;
mod plan;
mod timers;

use std::cell::Cell;
use std::time::Duration;

use clap::{Args, Subcommand};
use futures_util::future::try_join_all;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::client::{Client, Target, problem};
use super::failure::Failure;
use super::output::{Format, document, percentile, watched};
use super::send::Sender;
use crate::clock::{Clock, WallClock};

#[derive(Subcommand)]
pub enum LoadgenVerb {
    /// Many timers that fall due within a moment
    Storm(timers::StormArgs),
    /// Timers that fall due evenly over a while
    Trickle(timers::TrickleArgs),
    /// Events in batches, as fast as they become durable
    Ingest(ingest::IngestArgs),
    /// One event a request, over many connections
    Single(ingest::SingleArgs),
}

#[derive(Args)]
pub struct Common {
    /// The workspace to use [default: a new one]
    #[arg(long)]
    workspace: Option<String>,
    /// Events in one request
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    batch: u64,
    #[command(flatten)]
    target: Target,
}

impl Common {
    /// A new one for every run: what an earlier run left would answer for this one.
    fn workspace(&self) -> String {
        self.workspace.clone().unwrap_or_else(|| format!("loadgen-{}", WallClock.now().as_millis()))
    }
}

pub async fn run(verb: LoadgenVerb, format: Option<Format>) -> Result<(), Failure> {
    let result = match verb {
        LoadgenVerb::Storm(args) => timers::storm(&args).await?,
        LoadgenVerb::Trickle(args) => timers::trickle(&args).await?,
        LoadgenVerb::Ingest(args) => ingest::ingest(&args).await?,
        LoadgenVerb::Single(args) => ingest::single(&args).await?,
    };
    Ok(document(format.unwrap_or(Format::Json), &result)?)
}

/// How long one request is tried: a load test that has to wait longer measures nothing.
const PATIENCE: Duration = Duration::from_secs(60);

/// Posts every body that `body` makes, over so many connections at a time; each must be taken whole.
async fn post_all(
    client: &Client,
    connections: usize,
    bodies: u64,
    body: impl Fn(u64) -> Vec<u8>,
    bar: &ProgressBar,
) -> Result<(), Failure> {
    let next = Cell::new(0);
    let body = &body;
    let next = &next;
    let connection = |_| async move {
        let mut sender = Sender::new(client.clone(), PATIENCE);
        while next.get() < bodies {
            let number = next.replace(next.get() + 1);
            taken_whole(&sender.deliver(body(number)).await?)?;
            bar.inc(1);
        }
        Ok::<(), Failure>(())
    };
    try_join_all((0..connections).map(connection)).await?;
    Ok(())
}

/// A load that is refused in part measures something else.
fn taken_whole(answer: &Value) -> Result<(), Failure> {
    match answer["rejected"].as_array().and_then(|rejected| rejected.first()) {
        Some(first) => Err(Failure::failed(format_args!("an event was rejected: {}", problem(&first["problem"])))),
        None => Ok(()),
    }
}

fn bar(length: u64, what: &'static str) -> ProgressBar {
    let bar = if watched() { ProgressBar::new(length) } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len}  {per_sec}  {eta} left") {
        bar.set_style(style);
    }
    bar.set_message(what);
    bar
}

/// A spread of milliseconds.
fn spread(mut values: Vec<i64>) -> Value {
    values.sort_unstable();
    let at = |percent| percentile(&values, percent);
    json!({"p50": at(50), "p90": at(90), "p99": at(99), "max": at(100)})
}

/// A number a second, whole.
fn per_second(count: u64, elapsed: Duration) -> u64 {
    (count as f64 / elapsed.as_secs_f64().max(0.001)).round() as u64
}

/// One message as a line of NDJSON.
fn message(line: &mut Vec<u8>, workspace: &str, conversation: &str, id: u64, time: &str, source: &str) {
    use std::io::Write;
    // Writing into a vector does not fail.
    let _ = writeln!(
        line,
        "{{\"specversion\":\"1.0\",\"id\":\"{id}\",\"source\":\"/loadgen\",\"type\":\"inbox.message.v1\",\"subject\":\"{conversation}\",\
         \"workspace\":\"{workspace}\",\"time\":\"{time}\",\"data\":{{\"source\":\"{source}\"}}}}"
    );
}
