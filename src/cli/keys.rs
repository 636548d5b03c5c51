//! `adjourn keys` and `adjourn audit`: who may ask, and what administrators did.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Client, Page, Target};
use super::failure::Failure;
use super::output::{Format, document, members, note, text_line};

#[derive(Subcommand)]
pub enum KeysVerb {
    /// Make one; its secret is shown once
    Create(CreateArgs),
    /// List them
    Ls(LsArgs),
    /// Give one a new secret; the one before is good for a while
    Rotate(RotateArgs),
    /// End the secret before the last rotation
    Retire(OneArgs),
    /// End one for good
    Revoke(OneArgs),
}

#[derive(Args)]
pub struct CreateArgs {
    /// What it is called, for people
    #[arg(long)]
    name: String,
    /// What it may do: ingest, read, act, admin
    #[arg(long, required = true, value_delimiter = ',')]
    scope: Vec<String>,
    /// A workspace it is for; several, or * for all of them
    #[arg(long, short, required = true, value_delimiter = ',')]
    workspace: Vec<String>,
    /// When it ends by itself, such as 2027-01-01T00:00:00Z
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
    #[command(flatten)]
    target: Target,
}

#[derive(Args)]
pub struct LsArgs {
    #[command(flatten)]
    target: Target,
}

#[derive(Args)]
pub struct OneArgs {
    /// The key's id
    id: String,
    #[command(flatten)]
    target: Target,
}

#[derive(Args)]
pub struct RotateArgs {
    #[command(flatten)]
    one: OneArgs,
    /// How long the secret before goes on being good
    #[arg(long, default_value = "24h")]
    grace: String,
}

#[derive(Subcommand)]
pub enum AuditVerb {
    /// List what administrators did, newest first
    Ls(AuditArgs),
}

#[derive(Args)]
pub struct AuditArgs {
    /// Of this workspace; left out, of what belongs to none: keys, nodes, partitions, dead letters
    #[arg(long, short)]
    workspace: Option<String>,
    #[command(flatten)]
    page: Page,
    #[command(flatten)]
    target: Target,
}

pub async fn run(verb: KeysVerb, format: Option<Format>) -> Result<(), Failure> {
    match verb {
        KeysVerb::Create(args) => {
            let CreateArgs { name, scope, workspace, expires_at, target } = args;
            let body = json!({"name": name, "scopes": scope, "workspaces": workspace, "expires_at": expires_at});
            show(format, &Client::new(&target)?.act(Method::POST, &["v1", "keys"], &[], &body).await?)
        }
        KeysVerb::Ls(LsArgs { target }) => {
            let items = Client::new(&target)?.all(&["v1", "keys"]).await?;
            let columns = ["id", "name", "state", "scopes", "workspaces", "last_used_at", "expires_at", "previous_until"];
            Ok(members(format.unwrap_or(Format::Table), &items, &columns)?)
        }
        KeysVerb::Rotate(RotateArgs { one, grace }) => {
            let path = ["v1", "keys", &one.id, "rotate"];
            show(format, &Client::new(&one.target)?.act(Method::POST, &path, &[], &json!({"grace": grace})).await?)
        }
        KeysVerb::Retire(OneArgs { id, target }) => {
            let key = Client::new(&target)?.act(Method::POST, &["v1", "keys", &id, "retire"], &[], &Value::Null).await?;
            Ok(document(format.unwrap_or(Format::Table), &key)?)
        }
        KeysVerb::Revoke(OneArgs { id, target }) => {
            Client::new(&target)?.act(Method::DELETE, &["v1", "keys", &id], &[], &Value::Null).await.map(drop)
        }
    }
}

/// The secret alone, for a script to take, unless all of it is asked for.
fn show(format: Option<Format>, key: &Value) -> Result<(), Failure> {
    if let Some(format) = format {
        return Ok(document(format, key)?);
    }
    let text = |member: &str| key[member].as_str().unwrap_or_default();
    note(format_args!("key {} `{}`: this is shown once", text("id"), text("name")));
    if let Some(until) = key["previous_until"].as_str() {
        note(format_args!("the secret before is good until {until}"));
    }
    Ok(text_line(text("key"))?)
}

pub async fn audit(verb: AuditVerb, format: Option<Format>) -> Result<(), Failure> {
    let AuditVerb::Ls(AuditArgs { workspace, page, target }) = verb;
    let path = match workspace.as_deref() {
        Some(workspace) => vec!["v1", "workspaces", workspace, "audit"],
        None => vec!["v1", "audit"],
    };
    let items = Client::new(&target)?.items(&path, &[], &page).await?;
    members(format.unwrap_or(Format::Table), &items.found, &["number", "at", "by", "method", "path", "status", "request_id"])?;
    items.note_more();
    Ok(())
}
