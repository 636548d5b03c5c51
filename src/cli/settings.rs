//! `adjourn settings`: what a workspace has decided about closing.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::client::{Client, Page, Target};
use super::failure::{Exit, Failure};
use super::input::confirmed;
use super::output::{Format, Listing, cell, document, members, note};

#[derive(Subcommand)]
pub enum SettingsVerb {
    /// Show them
    Get(GetArgs),
    /// Change some of them, such as auto_close.enabled=true auto_close.period=30m
    Set(SetArgs),
    /// Give running timers the period that is set; shows what comes of it first
    ApplyToRunning(ApplyArgs),
    /// Who changed what, and when, the latest first
    History(HistoryArgs),
}

#[derive(Args)]
pub struct GetArgs {
    #[arg(long, short)]
    workspace: String,
    #[command(flatten)]
    target: Target,
}

#[derive(Args)]
pub struct SetArgs {
    #[arg(long, short)]
    workspace: String,
    /// Settings by their path; `null` clears one
    #[arg(required = true, value_name = "NAME=VALUE", value_parser = assignment)]
    assignments: Vec<(String, Value)>,
    /// Who changes them
    #[arg(long)]
    by: Option<String>,
    #[command(flatten)]
    target: Target,
}

#[derive(Args)]
pub struct ApplyArgs {
    #[arg(long, short)]
    workspace: String,
    /// Only show what would come of it
    #[arg(long)]
    preview: bool,
    /// Timers a second; the operator's choice unless given
    #[arg(long, value_name = "N")]
    rate: Option<u32>,
    /// Do not ask
    #[arg(long, short, conflicts_with = "preview")]
    yes: bool,
    /// Who asks for it
    #[arg(long)]
    by: Option<String>,
    #[command(flatten)]
    target: Target,
}

#[derive(Args)]
pub struct HistoryArgs {
    #[arg(long, short)]
    workspace: String,
    #[command(flatten)]
    page: Page,
    #[command(flatten)]
    target: Target,
}

/// `a.b=true`: true, false and null are themselves, everything else is text.
fn assignment(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("write NAME=VALUE")?;
    let value = match value {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "null" => Value::Null,
        text => Value::String(text.into()),
    };
    Ok((name.into(), value))
}

pub async fn run(verb: SettingsVerb, format: Option<Format>) -> Result<(), Failure> {
    let format = format.unwrap_or(Format::Table);
    let settings = match verb {
        SettingsVerb::Get(args) => Client::new(&args.target)?.get(&path(&args.workspace), &[]).await?,
        SettingsVerb::Set(args) => {
            let change = change(&args.assignments)?;
            put(&Client::new(&args.target)?, &args.workspace, &change, args.by.as_deref()).await?
        }
        SettingsVerb::ApplyToRunning(args) => return apply(&args, format).await,
        SettingsVerb::History(args) => return history(&args, format).await,
    };
    Ok(document(format, &settings)?)
}

/// Changes a workspace's settings; answers with them, once every partition has applied them.
pub async fn put(client: &Client, workspace: &str, change: &Value, by: Option<&str>) -> Result<Value, Failure> {
    client.act(Method::PUT, &path(workspace), &[("by", by)], change).await
}

/// Asks before, unless told not to: what closes cannot be called back.
async fn apply(args: &ApplyArgs, format: Format) -> Result<(), Failure> {
    let client = Client::new(&args.target)?;
    if !args.yes {
        let effect = ask_to_apply(&client, args, true).await?;
        if args.preview {
            return show(format, effect);
        }
        let member = |name: &str| cell(&effect[name]);
        let (timers, period, rate) = (member("timers"), member("period"), member("rate"));
        note(format_args!("{timers} timers get a period of {period}, {rate} a second; {} of them close at once.", member("due_at_once")));
        if !confirmed("Apply?")? {
            return Err(Failure::new(Exit::Conflict, "nothing was changed"));
        }
    }
    show(format, ask_to_apply(&client, args, false).await?)
}

async fn ask_to_apply(client: &Client, args: &ApplyArgs, preview: bool) -> Result<Value, Failure> {
    let path = ["v1", "workspaces", &args.workspace, "settings", "apply-to-running"];
    client.act(Method::POST, &path, &[("by", args.by.as_deref())], &json!({"preview": preview, "rate": args.rate})).await
}

fn show(format: Format, mut effect: Value) -> Result<(), Failure> {
    if effect["complete"] == false {
        note("there are more timers than could be looked at: they are not counted here");
    }
    if format != Format::Table {
        return Ok(document(format, &effect)?);
    }
    let hours = effect.as_object_mut().and_then(|members| members.remove("by_hour"));
    document(format, &effect)?;
    match hours {
        Some(Value::Array(hours)) if !hours.is_empty() => Ok(members(format, &hours, &["start", "closes"])?),
        _ => Ok(()),
    }
}

async fn history(args: &HistoryArgs, format: Format) -> Result<(), Failure> {
    let path = ["v1", "workspaces", &args.workspace, "settings", "history"];
    let items = Client::new(&args.target)?.items(&path, &[], &args.page).await?;
    Listing { items: &items.found, columns: &["version", "at", "by", "changes"], row: &row }.print(format)?;
    items.note_more();
    Ok(())
}

fn row(change: &Value) -> Vec<String> {
    let one = |(setting, difference): (&String, &Value)| format!("{setting}: {} -> {}", cell(&difference["from"]), cell(&difference["to"]));
    let changes: Vec<String> = change["changes"].as_object().into_iter().flatten().map(one).collect();
    let member = |name: &str| cell(&change[name]);
    vec![member("version"), member("at"), member("by"), cell(&changes.join(", ").into())]
}

fn path(workspace: &str) -> [&str; 4] {
    ["v1", "workspaces", workspace, "settings"]
}

/// The body of a PUT: paths become objects within objects.
fn change(assignments: &[(String, Value)]) -> Result<Value, Failure> {
    let mut body = Value::Object(Map::new());
    for (name, value) in assignments {
        let mut place = &mut body;
        for part in name.split('.') {
            if place.is_null() {
                *place = Value::Object(Map::new());
            }
            let Value::Object(members) = place else {
                return Err(Failure::usage(format_args!("{name}: a part of this was given a value already")));
            };
            place = members.entry(part).or_insert(Value::Null);
        }
        *place = value.clone();
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_objects() {
        let given: Vec<_> = ["auto_close.enabled=true", "auto_close.period=5m", "farewell=null", "late_reply_window=0s"]
            .map(|text| assignment(text).unwrap())
            .into();
        let body = serde_json::json!({"auto_close": {"enabled": true, "period": "5m"}, "farewell": null, "late_reply_window": "0s"});
        assert_eq!(change(&given).unwrap(), body);
        assert!(assignment("period").is_err() && assignment("=5m").is_err());
        let twice: Vec<_> = ["a=x", "a.b=y"].map(|text| assignment(text).unwrap()).into();
        assert!(change(&twice).is_err());
    }
}
