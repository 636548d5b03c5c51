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
            Ok(document(format, &ask(&named.within, Method::POST, None, body).await?)?)
        }
        CategoriesVerb::Describe(DescribedArgs { named, description }) => {
            let body = json!({"description": description});
            Ok(document(format, &ask(&named.within, Method::PATCH, Some(&named.name), body).await?)?)
        }
        CategoriesVerb::Rm(named) => ask(&named.within, Method::DELETE, Some(&named.name), Value::Null).await.map(drop),
    }
}

async fn list(args: &WorkspaceArgs, format: Format) -> Result<(), Failure> {
    let items = Client::new(&args.target)?.all(&["v1", "workspaces", &args.workspace, "categories"]).await?;
    Ok(members(format, &items, &["name", "description"])?)
}

async fn ask(within: &WorkspaceArgs, method: Method, name: Option<&str>, body: Value) -> Result<Value, Failure> {
    let mut path = vec!["v1", "workspaces", &within.workspace, "categories"];
    path.extend(name);
    Client::new(&within.target)?.act(method, &path, &body).await
}
