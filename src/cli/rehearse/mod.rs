//! `adjourn rehearse`: what a period would have done to conversations of the past, before it is turned on.
//!
//! The very same [`step`](crate::domain::step()) as in the service, in virtual time (`replay.rs`). Closes go to stdout,
//! what they amount to goes to stderr (`summary.rs`). `--suggest` turns the question round (`suggest.rs`).

mod replay;
mod suggest;
mod summary;

use std::collections::HashMap;

use clap::Args;
use serde::Serialize;

use super::failure::Failure;
use super::input::{BadLines, Lines};
use super::output::{Format, Listing, line, note};
use crate::domain::id::is_name;
use crate::domain::order::Position;
use crate::domain::{Accepted, ConversationKey, Span, Timestamp};
use crate::wire::event::{Parsed, parse_json};
use crate::wire::time;
use replay::{Close, Replay};
use suggest::Share;
use summary::Summary;

#[derive(Args)]
pub struct RehearseArgs {
    /// Past events as NDJSON, plain or gzipped; `-` reads stdin
    file: String,
    /// Close this long after the last human message, such as 5m, 24h or 14d
    #[arg(long, value_parser = period, required_unless_present = "suggest")]
    period: Option<Span>,
    /// Only this workspace's conversations
    #[arg(long, value_parser = workspace)]
    workspace: Option<Box<str>>,
    /// Print instead the shortest whole-minute period that would have cut off at most this share of the contacts' replies
    #[arg(long, value_name = "PERCENT")]
    suggest: Option<Share>,
}

fn period(text: &str) -> Result<Span, String> {
    match Span::parse(text) {
        Ok(Span::ZERO) => Err("a period of nothing closes everything at once".into()),
        Ok(period) => Ok(period),
        Err(error) => Err(error.to_string()),
    }
}

fn workspace(text: &str) -> Result<Box<str>, String> {
    if is_name(text) { Ok(text.into()) } else { Err("1 to 128 of A-Z a-z 0-9 . _ : -".into()) }
}

pub fn run(args: &RehearseArgs, format: Option<Format>) -> Result<(), Failure> {
    let trace = Trace::read(&args.file, args.workspace.as_deref())?;
    trace.tell_skipped();
    if let Some(share) = args.suggest {
        return Ok(line(&suggest::suggest(&trace.conversations, share))?);
    }
    // clap sees to it that there is a period where nothing is to be suggested.
    let period = args.period.unwrap_or_default();
    let replay = Replay::new(period).run(&trace.conversations);
    print(&replay.closes, format.unwrap_or(Format::Ndjson))?;
    note(Summary::of(&args.file, period, &trace.conversations, &replay));
    Ok(())
}

/// One conversation's events, in order of "later".
type History = Vec<Accepted>;

/// What a file tells, conversation by conversation: they know nothing of each other.
struct Trace {
    conversations: Vec<(ConversationKey, History)>,
    bad: BadLines,
    /// Events of types unknown here: counted, and otherwise ignored (T20).
    ignored: u64,
}

impl Trace {
    fn read(path: &str, workspace: Option<&str>) -> Result<Self, Failure> {
        let mut lines = Lines::open(path)?;
        let mut histories: HashMap<ConversationKey, History> = HashMap::new();
        let (mut bad, mut ignored, mut usable) = (BadLines::default(), 0, false);
        let bar = lines.bar.clone();
        while let Some(read) = lines.next()? {
            let parsed = read.map_err(|error| error.to_string()).and_then(|text| parse_json(text).map_err(|error| error.to_string()));
            match parsed {
                Err(reason) => bad.tell(&bar, lines.number, reason),
                Ok(Parsed::Ignored { .. }) => ignored += 1,
                Ok(Parsed::Event(event)) => {
                    usable = true;
                    if workspace.is_none_or(|only| event.conversation.workspace() == only) {
                        let accepted_at = event.time; // so that D7, D8 and D9 never apply
                        histories.entry(event.conversation.clone()).or_default().push(Accepted { event, accepted_at });
                    }
                }
            }
        }
        bar.finish_and_clear();
        bad.finish();
        if !usable {
            return Err(Failure::failed(format_args!(
                "{path} holds no usable event ({} bad lines, {ignored} of unknown types)",
                bad.count
            )));
        }
        let mut conversations: Vec<_> = histories.into_iter().collect();
        conversations.sort_by(|(a, _), (b, _)| a.cmp(b));
        conversations.iter_mut().for_each(|(_, history)| history.sort_by_cached_key(Position::of));
        Ok(Self { conversations, bad, ignored })
    }

    fn tell_skipped(&self) {
        if self.bad.count > 0 || self.ignored > 0 {
            note(format_args!("skipped: {} bad lines, {} events of unknown types", self.bad.count, self.ignored));
        }
    }
}

/// A close as it is printed.
#[derive(Serialize)]
struct CloseLine<'a> {
    conversation: &'a str,
    workspace: &'a str,
    episode: u32,
    at: String,
    source: &'static str,
}

fn print(closes: &[Close], format: Format) -> Result<(), Failure> {
    let items: Vec<CloseLine> = closes
        .iter()
        .map(|close| CloseLine {
            conversation: close.key.conversation(),
            workspace: close.key.workspace(),
            episode: close.episode,
            at: time::format(close.at),
            source: close.source.as_str(),
        })
        .collect();
    let columns = &["at", "workspace", "conversation", "episode", "source"];
    let row = |c: &CloseLine| vec![c.at.clone(), c.workspace.into(), c.conversation.into(), c.episode.to_string(), c.source.into()];
    Ok(Listing { items: &items, columns, row: &row }.print(format)?)
}

/// The contact's messages of a history, in order.
fn contact_messages(history: &History) -> impl Iterator<Item = Timestamp> {
    history.iter().filter(|accepted| accepted.event.kind.is_contact_message()).map(|accepted| accepted.event.time)
}
