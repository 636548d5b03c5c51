//! `adjourn agents`: those whom conversations are assigned to.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::client::{Client, Page, Target};
use super::failure::Failure;
use super::output::{Format, document, members};

#[derive(Subcommand)]
pub enum AgentsVerb {
    /// List them, or those whose names have words that begin so
    Ls(ListArgs),
    /// Add one
    Add(AddArgs),
    /// Change one
    Set(SetArgs),
    /// Remove one; conversations keep their assignee
    Rm(OneArgs),
}

#[derive(Args)]
pub struct ListArgs {
    #[arg(long, short)]
    workspace: String,
    /// Beginnings of words of the name, whatever their case and accents
    #[arg(long)]
    q: Option<String>,
    /// Only who is available, or who is not
    #[arg(long)]
    available: Option<bool>,
    #[command(flatten)]
    page: Page,
    #[command(flatten)]
    target: Target,
}

#[derive(Args)]
pub struct OneArgs {
    #[arg(long, short)]
    workspace: String,
    /// The agent's id
    id: String,
    #[command(flatten)]
    target: Target,
}

#[derive(Args)]
pub struct AddArgs {
    #[command(flatten)]
    one: OneArgs,
    name: String,
    /// Where the picture is
    #[arg(long, value_name = "URL")]
    avatar_url: Option<String>,
}

#[derive(Args)]
pub struct SetArgs {
    #[command(flatten)]
    one: OneArgs,
    #[arg(long, required_unless_present_any = ["avatar_url", "available"])]
    name: Option<String>,
    /// Where the picture is; empty: there is none
    #[arg(long, value_name = "URL")]
    avatar_url: Option<String>,
    #[arg(long)]
    available: Option<bool>,
}

pub async fn run(verb: AgentsVerb, format: Option<Format>) -> Result<(), Failure> {
    let format = format.unwrap_or(Format::Table);
    match verb {
        AgentsVerb::Ls(args) => list(&args, format).await,
        AgentsVerb::Add(AddArgs { one, name, avatar_url }) => {
            let body = json!({"id": one.id, "name": name, "avatar_url": avatar_url});
            Ok(document(format, &ask(&one, Method::POST, false, body).await?)?)
        }
        AgentsVerb::Set(args) => {
            let body = change(&args);
            Ok(document(format, &ask(&args.one, Method::PATCH, true, body).await?)?)
        }
        AgentsVerb::Rm(one) => ask(&one, Method::DELETE, true, Value::Null).await.map(drop),
    }
}

fn change(args: &SetArgs) -> Value {
    let picture = args.avatar_url.as_deref().map(|url| if url.is_empty() { Value::Null } else { url.into() });
    let given = [("name", args.name.as_deref().map(Value::from)), ("avatar_url", picture), ("available", args.available.map(Value::from))];
    Value::Object(given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect::<Map<_, _>>())
}

async fn list(args: &ListArgs, format: Format) -> Result<(), Failure> {
    let available = args.available.map(|available| available.to_string());
    let filters = [("q", args.q.as_deref()), ("available", available.as_deref())];
    let path = ["v1", "workspaces", &args.workspace, "agents"];
    let items = Client::new(&args.target)?.items(&path, &filters, &args.page).await?;
    members(format, &items.found, &["id", "name", "available", "avatar_url"])?;
    items.note_more();
    Ok(())
}

async fn ask(one: &OneArgs, method: Method, by_id: bool, body: Value) -> Result<Value, Failure> {
    let mut path = vec!["v1", "workspaces", &one.workspace, "agents"];
    path.extend(by_id.then_some(one.id.as_str()));
    Client::new(&one.target)?.act(method, &path, &[], &body).await
}
