//! `adjourn notifications tail`: what the service tells, one CloudEvent a line.

use std::io::Write;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::client::{Client, Target};
use super::failure::Failure;
use super::output::{Format, cell, note};
use super::sse::{Filter, Follow};

#[derive(Subcommand)]
pub enum NotificationsVerb {
    /// Follow notifications until interrupted
    Tail(TailArgs),
}

#[derive(Args)]
pub struct TailArgs {
    /// Only this workspace's
    #[arg(long)]
    workspace: Option<String>,
    /// Only these types, separated by commas; `closed` is short for adjourn.conversation.closed.v1, and so on
    #[arg(long)]
    types: Option<String>,
    /// Start after this cursor; 0 is the oldest kept [default: from now on]
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
    /// End after this many
    #[arg(long, value_name = "N")]
    max: Option<u64>,
    #[command(flatten)]
    target: Target,
}

pub async fn run(args: TailArgs, format: Option<Format>) -> Result<(), Failure> {
    let filter = Filter { workspace: args.workspace, types: args.types.as_deref().map(full_names), after: args.after };
    let mut left = args.max.unwrap_or(u64::MAX);
    if left == 0 {
        return Ok(());
    }
    let mut follow = Follow::start(Client::new(&args.target)?, filter).await?;
    while left > 0 {
        let message = tokio::select! {
            message = follow.next() => message?,
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
        if message.event == "reset" {
            note(format_args!("notifications before this were trimmed away: going on with the oldest kept ({})", message.data));
            continue;
        }
        let mut out = std::io::stdout().lock();
        match format.unwrap_or(Format::Ndjson) {
            Format::Table => writeln!(out, "{}", row(&message.data)?)?,
            // As it came, so that its members keep their order.
            Format::Json | Format::Ndjson => writeln!(out, "{}", message.data)?,
        }
        left -= 1;
    }
    Ok(())
}

/// The types a caller means: `closed`, `armed` and the like for the full names.
pub fn full_names(types: &str) -> String {
    let full = |name: &str| match name {
        "armed" | "reset" | "cancelled" | "suspended" | "resumed" | "closing_soon" => format!("adjourn.timer.{name}.v1"),
        name if name.contains('.') => name.to_owned(),
        name => format!("adjourn.conversation.{name}.v1"),
    };
    types.split(',').map(|name| full(name.trim())).collect::<Vec<_>>().join(",")
}

fn row(event: &str) -> Result<String, Failure> {
    let event: Value = serde_json::from_str(event).map_err(|error| Failure::failed(format_args!("not JSON: {error}")))?;
    let conversation = &event["data"]["conversation"];
    let [time, kind, workspace, subject, closes] =
        [&event["time"], &event["type"], &event["workspace"], &event["subject"], &conversation["scheduled_close_at"]].map(cell);
    Ok(format!("{time}  {kind:<36}  {workspace}/{subject}  closes {closes}"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn short_names_of_types() {
        assert_eq!(
            super::full_names("closed, armed,adjourn.settings.changed.v1"),
            "adjourn.conversation.closed.v1,adjourn.timer.armed.v1,adjourn.settings.changed.v1"
        );
    }
}
