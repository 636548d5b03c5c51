//! `adjourn conversations`: the list, one of them, why it has or has not closed, and acting on one.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::client::{Client, Page, Target};
use super::failure::Failure;
use super::output::{Format, Listing, cell, document, note, text_line};
use crate::clock::{Clock, WallClock};
use crate::domain::Span;
use crate::wire::time::{self, Rfc3339};

#[derive(Subcommand)]
pub enum ConversationsVerb {
    /// List them
    Ls(ListArgs),
    /// Show one
    Get(OneArgs),
    /// Say when one will close, or why it will not
    Why(OneArgs),
    /// Close one, with a note or without
    Close(CloseArgs),
    /// Write the note of one that is closed, in place of the one it has
    Note(NoteArgs),
    /// Have a note proposed from what was written; nothing is stored
    Suggest(OneArgs),
    /// Open one again
    Open(OpenArgs),
    /// Give one to somebody
    Assign(AssignArgs),
    /// Take one away from whoever has it
    Unassign(OneArgs),
    /// Let its timer wait; the full period starts when the snooze ends
    Snooze(SnoozeArgs),
    /// End the snooze
    Unsnooze(OneArgs),
    /// Keep its timer from closing it, until that is ended or its episode is over
    Hold(HoldArgs),
    /// Let its timer close it no earlier than an instant
    Extend(ExtendArgs),
    /// End the hold or the extension; after a hold the full period starts
    Release(OneArgs),
    /// Keep it from being closed by timer for good
    Exempt(HoldArgs),
    /// End that; the full period starts
    Unexempt(OneArgs),
    /// Count what closes by timer soon if nobody writes, by agent
    Forecast(ForecastArgs),
    /// Block its contact: nothing opens and nothing closes it
    Block(OneArgs),
    /// Unblock its contact
    Unblock(OneArgs),
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
    /// What the conversation's id begins with, or beginnings of words of the assignee's name
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

#[derive(Args)]
pub struct CloseArgs {
    #[command(flatten)]
    one: OneArgs,
    /// What it was about, as the workspace's categories have it
    #[arg(long)]
    category: Option<String>,
    /// What came of it
    #[arg(long)]
    summary: Option<String>,
    /// Who closes it: user (the default), api, workflow, zapier, bot, make, n8n or ai_agent
    #[arg(long)]
    source: Option<String>,
    /// The closer's name or id
    #[arg(long)]
    by: Option<String>,
}

#[derive(Args)]
pub struct NoteArgs {
    #[command(flatten)]
    one: OneArgs,
    /// What it was about, as the workspace's categories have it
    #[arg(long, required_unless_present = "summary")]
    category: Option<String>,
    /// What came of it
    #[arg(long)]
    summary: Option<String>,
    /// The writer's name or id
    #[arg(long)]
    by: Option<String>,
}

#[derive(Args)]
pub struct OpenArgs {
    #[command(flatten)]
    one: OneArgs,
    /// What opens it: user (the default), contact, workflow, api, zapier, make, ctc_ads or growth_widget
    #[arg(long)]
    source: Option<String>,
    /// The opener's name or id
    #[arg(long)]
    by: Option<String>,
}

#[derive(Args)]
pub struct AssignArgs {
    #[command(flatten)]
    one: OneArgs,
    /// The agent's id
    #[arg(long, value_name = "ID")]
    to: String,
    /// human or ai_agent
    #[arg(long, default_value = "human")]
    kind: String,
    /// The agent's name
    #[arg(long)]
    name: Option<String>,
}

#[derive(Args)]
pub struct HoldArgs {
    #[command(flatten)]
    one: OneArgs,
    /// Why, for whoever asks later
    #[arg(long)]
    reason: String,
    /// Who says so
    #[arg(long)]
    by: Option<String>,
}

#[derive(Args)]
pub struct ExtendArgs {
    #[command(flatten)]
    hold: HoldArgs,
    /// An instant (RFC 3339), or for how long from now, such as 2h
    until: String,
}

#[derive(Args)]
pub struct ForecastArgs {
    #[arg(long, short)]
    workspace: String,
    /// How far ahead, at most 7d
    #[arg(long, default_value = "1h")]
    within: String,
    #[command(flatten)]
    target: Target,
}

#[derive(Args)]
pub struct SnoozeArgs {
    #[command(flatten)]
    one: OneArgs,
    /// An instant (RFC 3339), or for how long from now, such as 2h
    until: String,
}

pub async fn run(verb: ConversationsVerb, format: Option<Format>) -> Result<(), Failure> {
    let format = format.unwrap_or(Format::Table);
    match verb {
        ConversationsVerb::Ls(args) => list(&args, format).await,
        ConversationsVerb::Get(args) => Ok(document(format, &one(&args, &[]).await?)?),
        ConversationsVerb::Why(args) => why(&one(&args, &["why"]).await?, format),
        ConversationsVerb::Forecast(args) => forecast(&args, format).await,
        verb => Ok(document(format, &act(verb).await?)?),
    }
}

/// What is asked, as a request: the conversation, the method, what follows its path, and the body.
fn request(verb: ConversationsVerb) -> Result<Option<(OneArgs, Method, &'static str, Value)>, Failure> {
    let said = |members: &[(&str, &Option<String>)]| {
        let given = members.iter().filter_map(|(name, value)| Some(((*name).to_owned(), Value::from(value.as_ref()?.as_str()))));
        Value::Object(given.collect::<Map<_, _>>())
    };
    Ok(Some(match verb {
        ConversationsVerb::Close(CloseArgs { one, category, summary, source, by }) => {
            let mut body = said(&[("source", &source), ("by", &by)]);
            if category.is_some() || summary.is_some() {
                body["note"] = said(&[("category", &category), ("summary", &summary)]);
            }
            (one, Method::POST, "close", body)
        }
        ConversationsVerb::Note(NoteArgs { one, category, summary, by }) => {
            (one, Method::PUT, "closing-note", said(&[("category", &category), ("summary", &summary), ("by", &by)]))
        }
        ConversationsVerb::Open(OpenArgs { one, source, by }) => (one, Method::POST, "open", said(&[("source", &source), ("by", &by)])),
        ConversationsVerb::Assign(AssignArgs { one, to, kind, name }) => {
            (one, Method::PUT, "assignee", said(&[("kind", &Some(kind)), ("id", &Some(to)), ("name", &name)]))
        }
        ConversationsVerb::Suggest(one) => (one, Method::POST, "closing-note/suggest", Value::Null),
        ConversationsVerb::Unassign(one) => (one, Method::DELETE, "assignee", Value::Null),
        ConversationsVerb::Snooze(SnoozeArgs { one, until }) => (one, Method::PUT, "snooze", json!({"until": instant(&until)?})),
        ConversationsVerb::Hold(HoldArgs { one, reason, by }) => {
            (one, Method::PUT, "hold", said(&[("reason", &Some(reason)), ("by", &by)]))
        }
        ConversationsVerb::Extend(ExtendArgs { hold: HoldArgs { one, reason, by }, until }) => {
            (one, Method::PUT, "hold", said(&[("reason", &Some(reason)), ("by", &by), ("until", &Some(instant(&until)?))]))
        }
        ConversationsVerb::Release(one) => (one, Method::DELETE, "hold", Value::Null),
        ConversationsVerb::Exempt(HoldArgs { one, reason, by }) => {
            (one, Method::PUT, "exemption", said(&[("reason", &Some(reason)), ("by", &by)]))
        }
        ConversationsVerb::Unexempt(one) => (one, Method::DELETE, "exemption", Value::Null),
        ConversationsVerb::Unsnooze(one) => (one, Method::DELETE, "snooze", Value::Null),
        ConversationsVerb::Block(one) => (one, Method::PUT, "block", Value::Null),
        ConversationsVerb::Unblock(one) => (one, Method::DELETE, "block", Value::Null),
        ConversationsVerb::Ls(_) | ConversationsVerb::Get(_) | ConversationsVerb::Why(_) | ConversationsVerb::Forecast(_) => {
            return Ok(None);
        }
    }))
}

/// An instant, or one so long from now on.
fn instant(text: &str) -> Result<String, Failure> {
    if let Ok(span) = Span::parse(text) {
        return Ok(Rfc3339(WallClock.now().plus(span)).to_string());
    }
    let at = time::parse(text)
        .ok_or_else(|| Failure::usage(format_args!("{text}: neither RFC 3339 with an offset nor a duration such as 2h")))?;
    Ok(Rfc3339(at).to_string())
}

async fn act(verb: ConversationsVerb) -> Result<Value, Failure> {
    let Some((one, method, what, body)) = request(verb)? else { return Ok(Value::Null) };
    let path: Vec<&str> =
        ["v1", "workspaces", &one.workspace, "conversations", &one.conversation].into_iter().chain(what.split('/')).collect();
    Client::new(&one.target)?.act(method, &path, &[], &body).await
}

async fn one(args: &OneArgs, below: &[&str]) -> Result<Value, Failure> {
    let path = [&["v1", "workspaces", &args.workspace, "conversations", &args.conversation], below].concat();
    Client::new(&args.target)?.get(&path, &[]).await
}

/// For people: the answer in a sentence, and how it came about.
fn why(answer: &Value, format: Format) -> Result<(), Failure> {
    if format != Format::Table {
        return Ok(document(format, answer)?);
    }
    let text = |member: &str| cell(&answer[member]);
    let mut lines = vec![text("explanation")];
    if answer["closes_at"].is_string() {
        lines.push(format!("It closes at {}; now it is {}.", text("closes_at"), text("now")));
    }
    let story = answer["story"].as_array().map(Vec::as_slice).unwrap_or_default();
    lines.extend(story.iter().map(|happened| format!("{}  {}", cell(&happened["at"]), cell(&happened["text"]))));
    Ok(lines.iter().try_for_each(|line| text_line(line))?)
}

async fn forecast(args: &ForecastArgs, format: Format) -> Result<(), Failure> {
    let path = ["v1", "workspaces", &args.workspace, "forecast"];
    let answer = Client::new(&args.target)?.get(&path, &[("within", Some(&args.within))]).await?;
    if format != Format::Table {
        return Ok(document(format, &answer)?);
    }
    let rows = answer["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
    let row = |row: &Value| vec![cell(&row["assignee"]["id"]), cell(&row["closes"]), cell(&row["first_close_at"])];
    Listing { items: rows, columns: &["assignee", "closes", "first close at"], row: &row }.print(format)?;
    if answer["complete"] == false {
        note("there are more timers than could be looked at: ask for a shorter time");
    }
    Ok(())
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
