//! `adjourn resume-firing` and `hold-firing`: closing goes on, or nothing closes, on every node of the service.

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Client, Target};
use super::failure::{Exit, Failure};
use super::input::confirmed;
use super::output::{Format, cell, document, members, note};

#[derive(Args)]
pub struct ResumeArgs {
    /// Do it without asking
    #[arg(long)]
    yes: bool,
    /// Only say what would close
    #[arg(long, conflicts_with = "yes")]
    preview: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Args)]
pub struct HoldArgs {
    /// Why, for whoever finds it held
    #[arg(long, default_value = "an operator said so", value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    target: Target,
}

const PATH: [&str; 2] = ["v1", "hold"];

/// Shows what waits before anything is let go: what closes cannot be called back.
pub async fn resume(args: ResumeArgs, format: Option<Format>) -> Result<(), Failure> {
    let client = Client::new(&args.target)?;
    let mut hold = client.get(&PATH, &[]).await?;
    tell(&hold);
    if hold["held"] == true && !args.preview {
        if !args.yes && !confirmed("Let closing go on?")? {
            return Err(Failure::new(Exit::Conflict, "nothing was changed: closes are held as before"));
        }
        client.act(Method::DELETE, &PATH, &[], &Value::Null).await?;
        note("closing goes on within a second");
        hold["held"] = false.into();
    }
    show(format.unwrap_or(Format::Table), hold)
}

/// Nothing closes any more when this has ended.
pub async fn hold(args: HoldArgs) -> Result<(), Failure> {
    let client = Client::new(&args.target)?;
    let held = client.act(Method::PUT, &PATH, &[], &json!({"reason": args.reason})).await?;
    if held["begun"] == true {
        note("nothing closes from now on; `adjourn resume-firing` ends that");
    } else {
        note(format_args!("it was held already: {}", cell(&held["why"])));
    }
    Ok(())
}

fn tell(hold: &Value) {
    if hold["held"] == true {
        note(format_args!("closes are held since {}: {}", cell(&hold["since"]), cell(&hold["why"])));
    } else {
        note("nothing is held: closing goes on as usual");
    }
    let least = if hold["complete"] == false { "at least " } else { "" };
    let (at_once, within) = (cell(&hold["closes_at_once"]), cell(&hold["closes_within_1h"]));
    note(format_args!(
        "If nobody writes, {least}{at_once} conversations close at once and {least}{within} within an hour, these included."
    ));
}

fn show(format: Format, mut hold: Value) -> Result<(), Failure> {
    if format != Format::Table {
        return Ok(document(format, &hold)?);
    }
    let Value::Array(mut rows) = hold["workspaces"].take() else { return Ok(()) };
    if hold["others"]["closes_within_1h"].as_u64().is_some_and(|others| others > 0) {
        let mut others = hold["others"].take();
        others["workspace"] = "(others)".into();
        rows.push(others);
    }
    if rows.is_empty() { Ok(()) } else { Ok(members(format, &rows, &["workspace", "closes_at_once", "closes_within_1h"])?) }
}
