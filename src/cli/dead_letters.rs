//! `adjourn dead-letters`: events that were set aside, for an operator to take up again or to give up.

use clap::{Args, Subcommand};
use reqwest::Method;

use super::client::{Client, Page, Target};
use super::failure::Failure;
use super::output::{Format, members, note};

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
    #[command(flatten)]
    page: Page,
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
    let letters = Client::new(&args.target)?.items(&["v1", "dead-letters"], &[], &args.page).await?;
    members(format, &letters.found, &["partition", "id", "accepted_at", "workspace", "conversation", "reason"])?;
    letters.note_more();
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
