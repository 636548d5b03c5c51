//! `adjourn settings`: what a workspace has decided about closing.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value};

use super::client::{Client, Target};
use super::failure::Failure;
use super::output::{Format, document};

#[derive(Subcommand)]
pub enum SettingsVerb {
    /// Show them
    Get(GetArgs),
    /// Change some of them, such as auto_close.enabled=true auto_close.period=30m
    Set(SetArgs),
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
    let settings = match verb {
        SettingsVerb::Get(args) => Client::new(&args.target)?.get(&path(&args.workspace), &[]).await?,
        SettingsVerb::Set(args) => {
            let change = change(&args.assignments)?;
            put(&Client::new(&args.target)?, &args.workspace, &change).await?
        }
    };
    Ok(document(format.unwrap_or(Format::Table), &settings)?)
}

/// Changes a workspace's settings; answers with them, once every partition has applied them.
pub async fn put(client: &Client, workspace: &str, change: &Value) -> Result<Value, Failure> {
    client.act(Method::PUT, &path(workspace), change).await
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
