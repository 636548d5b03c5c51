//! `adjourn categories`: what closing notes of a workspace may name.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Client, Target};
use super::failure::Failure;
use super::output::{Format, document, members};

#[derive(Subcommand)]
pub enum CategoriesVerb {
    /// List them
    Ls(WorkspaceArgs),
    /// Add one; its name is fixed from then on
    Add(DescribedArgs),
    /// Change the description of one; without a text it has none
    Describe(DescribedArgs),
    /// Remove one: no new note may name it, those that do keep it
    Rm(NamedArgs),
}

#[derive(Args)]
pub struct WorkspaceArgs {
    #[arg(long, short)]
    workspace: String,
    #[command(flatten)]
    target: Target,
}

#[derive(Args)]
pub struct NamedArgs {
    #[command(flatten)]
    within: WorkspaceArgs,
    /// The category's name
    name: String,
    /// Who changes it
    #[arg(long)]
    by: Option<String>,
}

#[derive(Args)]
pub struct DescribedArgs {
    #[command(flatten)]
    named: NamedArgs,
    /// What belongs in it
    description: Option<String>,
}

pub async fn run(verb: CategoriesVerb, format: Option<Format>) -> Result<(), Failure> {
    let format = format.unwrap_or(Format::Table);
    match verb {
        CategoriesVerb::Ls(args) => list(&args, format).await,
        CategoriesVerb::Add(DescribedArgs { named, description }) => {
            let body = json!({"name": named.name, "description": description});
            Ok(document(format, &ask(&named, Method::POST, false, body).await?)?)
        }
        CategoriesVerb::Describe(DescribedArgs { named, description }) => {
            let body = json!({"description": description});
            Ok(document(format, &ask(&named, Method::PATCH, true, body).await?)?)
        }
        CategoriesVerb::Rm(named) => ask(&named, Method::DELETE, true, Value::Null).await.map(drop),
    }
}

async fn list(args: &WorkspaceArgs, format: Format) -> Result<(), Failure> {
    let items = Client::new(&args.target)?.all(&["v1", "workspaces", &args.workspace, "categories"]).await?;
    Ok(members(format, &items, &["name", "description"])?)
}

async fn ask(named: &NamedArgs, method: Method, by_name: bool, body: Value) -> Result<Value, Failure> {
    let NamedArgs { within, name, by } = named;
    let mut path = vec!["v1", "workspaces", &within.workspace, "categories"];
    path.extend(by_name.then_some(name.as_str()));
    Client::new(&within.target)?.act(method, &path, &[("by", by.as_deref())], &body).await
}
