//! `adjourn conversations`: the list, one of them, and why it has or has not closed.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::client::{Client, Page, Target};
use super::failure::Failure;
use super::output::{Format, Listing, cell, document};

#[derive(Subcommand)]
pub enum ConversationsVerb {
    /// List them
    Ls(ListArgs),
    /// Show one
    Get(OneArgs),
    /// Say when one will close, or why it will not
    Why(OneArgs),
}

#[derive(Args)]
pub struct ListArgs {
    #[arg(long, short)]
    workspace: String,
    /// open, closed or snoozed
    #[arg(long)]
    status: Option<String>,
    /// An agent's id, or `none`
    #[arg(long)]
    assignee: Option<String>,
    /// Closing before this instant (RFC 3339)
    #[arg(long, value_name = "TIME")]
    due_before: Option<String>,
    /// Part of the conversation's id
    #[arg(long)]
    q: Option<String>,
    #[command(flatten)]
    page: Page,
    #[command(flatten)]
    target: Target,
}

#[derive(Args)]
pub struct OneArgs {
    #[arg(long, short)]
    workspace: String,
    /// The conversation's id
    conversation: String,
    #[command(flatten)]
    target: Target,
}

pub async fn run(verb: ConversationsVerb, format: Option<Format>) -> Result<(), Failure> {
    let format = format.unwrap_or(Format::Table);
    match verb {
        ConversationsVerb::Ls(args) => list(&args, format).await,
        ConversationsVerb::Get(args) => Ok(document(format, &one(&args, &[]).await?)?),
        ConversationsVerb::Why(args) => Ok(document(format, &one(&args, &["why"]).await?)?),
    }
}

async fn one(args: &OneArgs, below: &[&str]) -> Result<Value, Failure> {
    let path = [&["v1", "workspaces", &args.workspace, "conversations", &args.conversation], below].concat();
    Client::new(&args.target)?.get(&path, &[]).await
}

async fn list(args: &ListArgs, format: Format) -> Result<(), Failure> {
    let filters = [
        ("status", args.status.as_deref()),
        ("assignee", args.assignee.as_deref()),
        ("due_before", args.due_before.as_deref()),
        ("q", args.q.as_deref()),
    ];
    let path = ["v1", "workspaces", &args.workspace, "conversations"];
    let items = Client::new(&args.target)?.items(&path, &filters, &args.page).await?;
    let columns = &["id", "status", "episode", "closes at", "assignee", "last message", "closed by"];
    Listing { items: &items.found, columns, row: &row }.print(format)?;
    items.note_more();
    Ok(())
}

fn row(conversation: &Value) -> Vec<String> {
    let last = [&conversation["last_human_message_at"], &conversation["last_contact_message_at"]];
    let last = last.into_iter().filter_map(Value::as_str).max().map_or_else(|| "-".to_owned(), Into::into);
    let member = |name: &str| cell(&conversation[name]);
    let closes = if conversation["status"] == "closed" { "-".into() } else { member("scheduled_close_at") };
    vec![member("id"), member("status"), member("episode"), closes, cell(&conversation["assignee"]["id"]), last, member("closed_source")]
}
