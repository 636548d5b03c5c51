//! `adjourn dead-letters`: events that were set aside, for an operator to take up again or to give up.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::Value;

use super::client::{Client, Target};
use super::failure::Failure;
use super::output::{Format, Listing, cell, note};

#[derive(Subcommand)]
pub enum DeadLettersVerb {
    /// List them, with the reason of each
    Ls(ListArgs),
    /// Take one up again: it is applied as if it came now
    Replay(OneArgs),
    /// Give one up: its conversation's timer runs on without it
    Dismiss(OneArgs),
}

#[derive(Args)]
pub struct ListArgs {
    /// At most this many
    #[arg(long, default_value_t = 50)]
    limit: usize,
    #[command(flatten)]
    target: Target,
}

#[derive(Args)]
pub struct OneArgs {
    /// Its partition, as `ls` shows it
    partition: u16,
    /// Its id, as `ls` shows it
    id: String,
    #[command(flatten)]
    target: Target,
}

pub async fn run(verb: DeadLettersVerb, format: Option<Format>) -> Result<(), Failure> {
    match verb {
        DeadLettersVerb::Ls(args) => list(&args, format.unwrap_or(Format::Table)).await,
        DeadLettersVerb::Replay(args) => act(&args, Method::POST, &["replay"], "replayed").await,
        DeadLettersVerb::Dismiss(args) => act(&args, Method::DELETE, &[], "dismissed").await,
    }
}

async fn list(args: &ListArgs, format: Format) -> Result<(), Failure> {
    let limit = args.limit.to_string();
    let mut page = Client::new(&args.target)?.get(&["v1", "dead-letters"], &[("limit", Some(&limit))]).await?;
    let items = match page["items"].take() {
        Value::Array(items) => items,
        _ => Vec::new(),
    };
    let columns = &["partition", "id", "accepted at", "workspace", "conversation", "reason"];
    let row = |letter: &Value| {
        ["partition", "id", "accepted_at", "workspace", "conversation", "reason"].map(|member| cell(&letter[member])).into()
    };
    Listing { items: &items, columns, row }.print(format)?;
    Ok(())
}

async fn act(args: &OneArgs, method: Method, below: &[&str], done: &str) -> Result<(), Failure> {
    let partition = args.partition.to_string();
    let client = Client::new(&args.target)?;
    let path = [&["v1", "dead-letters", &partition, &args.id], below].concat();
    client.call(client.request(method, client.url(&path, &[])?)).await?;
    note(format_args!("{done}: {partition} {}", args.id));
    Ok(())
}
