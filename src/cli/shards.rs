//! `adjourn shards`: who has which partition, how each is doing, and moving one.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::json;

use super::client::{Client, Target};
use super::failure::Failure;
use super::output::{Format, cell, members, note};

#[derive(Subcommand)]
pub enum ShardsVerb {
    /// List the partitions: who has each, and what it holds
    Ls(Target),
    /// Give one to a node for as long as that lives, or back to wherever placement puts it
    Move(MoveArgs),
}

#[derive(Args)]
pub struct MoveArgs {
    /// The partition, as `ls` shows it
    partition: u16,
    /// The node that shall have it, as `nodes ls` shows it
    #[arg(required_unless_present = "unpin")]
    to: Option<String>,
    /// Wherever placement puts it
    #[arg(long, conflicts_with = "to")]
    unpin: bool,
    #[command(flatten)]
    target: Target,
}

pub async fn run(verb: ShardsVerb, format: Option<Format>) -> Result<(), Failure> {
    match verb {
        ShardsVerb::Ls(target) => list(&target, format.unwrap_or(Format::Table)).await,
        ShardsVerb::Move(args) => move_one(&args).await,
    }
}

async fn list(target: &Target, format: Format) -> Result<(), Failure> {
    let shards = Client::new(target)?.all(&["v1", "shards"]).await?;
    let columns = ["partition", "node", "desired", "pinned", "conversations", "timers", "backlog", "dead_letters"];
    Ok(members(format, &shards, &columns)?)
}

async fn move_one(args: &MoveArgs) -> Result<(), Failure> {
    let partition = args.partition.to_string();
    let client = Client::new(&args.target)?;
    let url = client.url(&["v1", "shards", &partition, "move"], &[])?;
    let moved = client.call(client.request(Method::POST, url).json(&json!({"to": args.to}))).await?;
    note(format_args!("moved: {partition} is with {}", cell(&moved["node"])));
    Ok(())
}
