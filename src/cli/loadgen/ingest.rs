//! Ingest and single: how many events a second become durable, and are applied.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use clap::Args;
use futures_util::future::try_join_all;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::timers::switch_on;
use super::{Common, bar, message, per_second, post_all, spread};
use crate::cli::client::Client;
use crate::cli::failure::Failure;
use crate::clock::{Clock, Stopwatch, WallClock};
use crate::domain::{ConversationKey, PartitionCount, Span};
use crate::wire::time;

/// Messages of one conversation, in turn the agent's and the contact's.
const MESSAGES_EACH: u64 = 10;

#[derive(Args)]
pub struct IngestArgs {
    #[arg(long, default_value_t = 300_000)]
    events: u64,
    /// Over how many conversations; as many as events gives each a timer of its own [default: a tenth of the events]
    #[arg(long)]
    conversations: Option<u64>,
    /// The workspace's period
    #[arg(long, default_value = "24h", value_parser = super::timers::span)]
    period: Span,
    #[arg(long, default_value_t = 8)]
    connections: usize,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub struct SingleArgs {
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// For how long
    #[arg(long = "for", default_value = "10s", value_parser = humantime::parse_duration)]
    duration: Duration,
    #[command(flatten)]
    common: Common,
}

pub async fn ingest(args: &IngestArgs) -> Result<Value, Failure> {
    let client = Client::new(&args.common.target)?;
    let workspace = args.common.workspace();
    let (batch, stamp) = (args.common.batch, time::format(WallClock.now()));
    switch_on(&client, &workspace, args.period).await?;
    let conversations = args.conversations.unwrap_or(args.events.div_ceil(MESSAGES_EACH)).max(1);
    let body = |number: u64| {
        let mut body = Vec::new();
        for id in number * batch..((number + 1) * batch).min(args.events) {
            let source = if (id / conversations).is_multiple_of(2) { "user" } else { "contact" };
            message(&mut body, &workspace, &format!("c{}", id % conversations), id, &stamp, source);
        }
        body
    };
    let batches = args.events.div_ceil(batch);
    let (watch, bar) = (Stopwatch::start(), bar(batches, "batches"));
    post_all(&client, args.connections, batches, body, &bar).await?;
    let durable = watch.elapsed();
    bar.set_message("waiting until all are applied");
    wait_applied(&client, &workspace).await?;
    let applied = watch.elapsed();
    bar.finish_and_clear();
    Ok(json!({
        "events": args.events,
        "conversations": conversations,
        "batch": batch,
        "connections": args.connections,
        "durable_events_per_s": per_second(args.events, durable),
        "applied_events_per_s": per_second(args.events, applied),
        "durable_s": durable.as_secs_f64(),
        "applied_s": applied.as_secs_f64(),
    }))
}

/// One more event for every partition, and waiting for it: what was accepted before it is applied before it.
async fn wait_applied(client: &Client, workspace: &str) -> Result<(), Failure> {
    let topology = client.get(&["v1", "topology"], &[]).await?;
    let count = topology["partitions"].as_u64().and_then(|count| PartitionCount::new(u16::try_from(count).ok()?));
    let partitions = count.ok_or_else(|| Failure::failed("the service's topology names no partitions"))?;
    let mut missing: std::collections::HashSet<_> = partitions.all().collect();
    let (mut body, stamp) = (Vec::new(), time::format(WallClock.now()));
    for number in 0_u64.. {
        if missing.is_empty() {
            break;
        }
        let name = format!("last-{number}");
        let key = ConversationKey::new(workspace, &name).map_err(Failure::usage)?;
        if missing.remove(&key.partition(partitions)) {
            message(&mut body, workspace, &name, number, &stamp, "bot");
        }
    }
    loop {
        let url = client.url(&["v1", "events"], &[])?;
        let request = client.request(Method::POST, url).header(CONTENT_TYPE, "application/x-ndjson").header("Prefer", "wait=30");
        let answer = client.ask(request.body(body.clone())).await?;
        match answer.status.as_u16() {
            200 => return Ok(()), // applied; 202: accepted, and not applied within the time
            202 => {}
            _ if answer.is_passing() => tokio::time::sleep(answer.retry_after.unwrap_or(Duration::from_millis(500))).await,
            _ => return Err(answer.failure()),
        }
    }
}

pub async fn single(args: &SingleArgs) -> Result<Value, Failure> {
    let client = Client::new(&args.common.target)?;
    let workspace = args.common.workspace();
    let (sent, refused, took_us) = (Cell::new(0_u64), Cell::new(0_u64), RefCell::new(Vec::new()));
    let (watch, stamp) = (Stopwatch::start(), time::format(WallClock.now()));
    let connection = |number: usize| {
        let (client, workspace, stamp, sent, refused, took_us) = (&client, &workspace, &stamp, &sent, &refused, &took_us);
        async move {
            let url = client.url(&["v1", "events"], &[])?;
            while watch.elapsed() < args.duration {
                let id = sent.replace(sent.get() + 1);
                let mut body = Vec::new();
                message(&mut body, workspace, &format!("c{number}-{}", id / MESSAGES_EACH), id, stamp, "user");
                let request = client.request(Method::POST, url.clone()).header(CONTENT_TYPE, "application/cloudevents+json");
                let one = Stopwatch::start();
                let answer = client.ask(request.body(body)).await?;
                took_us.borrow_mut().push(one.elapsed().as_micros() as i64);
                if answer.is_passing() {
                    refused.set(refused.get() + 1);
                    tokio::time::sleep(answer.retry_after.unwrap_or(Duration::from_millis(100))).await;
                } else if !answer.status.is_success() {
                    return Err(answer.failure());
                }
            }
            Ok(())
        }
    };
    try_join_all((0..args.connections).map(connection)).await?;
    let elapsed = watch.elapsed();
    let accepted = sent.get() - refused.get();
    Ok(json!({
        "events": accepted,
        "connections": args.connections,
        "durable_events_per_s": per_second(accepted, elapsed),
        "refused_for_now": refused.get(),
        "answer_us": spread(took_us.into_inner()),
    }))
}
