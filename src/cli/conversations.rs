//! `adjourn conversations`: the list, one of them, and why it has or has not closed.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::client::{Client, Target};
use super::failure::Failure;
use super::output::{Format, Listing, cell, document, note};

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
    /// Start after this conversation
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    /// At most this many
    #[arg(long, default_value_t = 50)]
    limit: usize,
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

/// Conversations in one request; more take several.
const PAGE: usize = 500;

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
    let client = Client::new(&args.target)?;
    let mut items: Vec<Value> = Vec::new();
    let mut after = args.after.clone();
    while items.len() < args.limit {
        let limit = (args.limit - items.len()).min(PAGE).to_string();
        let query = [
            ("status", args.status.as_deref()),
            ("assignee", args.assignee.as_deref()),
            ("due_before", args.due_before.as_deref()),
            ("q", args.q.as_deref()),
            ("after", after.as_deref()),
            ("limit", Some(&limit)),
        ];
        let mut page = client.get(&["v1", "workspaces", &args.workspace, "conversations"], &query).await?;
        if let Value::Array(found) = page["items"].take() {
            items.extend(found);
        }
        after = page["next"].as_str().map(Into::into);
        if after.is_none() {
            break;
        }
    }
    let columns = &["id", "status", "episode", "closes at", "assignee", "last message", "closed by"];
    Listing { items: &items, columns, row }.print(format)?;
    // Otherwise whoever counts the lines takes a page for all there is.
    if let Some(after) = after.filter(|_| args.limit > 0) {
        note(format_args!("there may be more: --after {after}, or a larger --limit"));
    }
    Ok(())
}

fn row(conversation: &Value) -> Vec<String> {
    let last = [&conversation["last_human_message_at"], &conversation["last_contact_message_at"]];
    let last = last.into_iter().filter_map(Value::as_str).max().map_or_else(|| "-".to_owned(), Into::into);
    let member = |name: &str| cell(&conversation[name]);
    let closes = if conversation["status"] == "closed" { "-".into() } else { member("scheduled_close_at") };
    vec![member("id"), member("status"), member("episode"), closes, cell(&conversation["assignee"]["id"]), last, member("closed_source")]
}
