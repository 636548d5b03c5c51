//! `adjourn nodes`: who shares the work, and sending one away.

use clap::{Args, Subcommand};
use reqwest::Method;

use super::client::{Client, Target};
use super::failure::Failure;
use super::output::{Format, members, note};

#[derive(Subcommand)]
pub enum NodesVerb {
    /// List the nodes, and how many partitions each has
    Ls(Target),
    /// Have one give everything to the others, until its next start
    Drain(DrainArgs),
}

#[derive(Args)]
pub struct DrainArgs {
    /// The node, as `ls` shows it
    node: String,
    #[command(flatten)]
    target: Target,
}

pub async fn run(verb: NodesVerb, format: Option<Format>) -> Result<(), Failure> {
    match verb {
        NodesVerb::Ls(target) => list(&target, format.unwrap_or(Format::Table)).await,
        NodesVerb::Drain(args) => drain(&args).await,
    }
}

async fn list(target: &Target, format: Format) -> Result<(), Failure> {
    let nodes = Client::new(target)?.all(&["v1", "nodes"]).await?;
    Ok(members(format, &nodes, &["name", "state", "partitions", "address", "version", "started_at"])?)
}

async fn drain(args: &DrainArgs) -> Result<(), Failure> {
    let client = Client::new(&args.target)?;
    let url = client.url(&["v1", "nodes", &args.node, "drain"], &[])?;
    let drained = client.call(client.request(Method::POST, url)).await?;
    match drained["partitions"].as_u64() {
        Some(0) => {
            note(format_args!("drained: {} has nothing any more", args.node));
            Ok(())
        }
        _ => Err(Failure::unavailable(format_args!("{} goes on draining and has {} partitions yet", args.node, drained["partitions"]))),
    }
}
