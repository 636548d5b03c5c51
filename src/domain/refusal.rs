//! Why a command changes nothing.
//!
//! An event tells what happened, and is taken as it comes; a command asks for something, and whoever asks wants to know
//! whether it was done. It is judged at its place in the log, where nothing can come between the judgement and the change.

use super::conversation::Conversation;
use super::event::{ClosingSource, Event, EventKind, Note, named};
use super::order::{Border, Position};
use super::settings::{NotesMode, Settings};
use super::time::Timestamp;

named! {
    /// Each stands in stores by its place in this list.
    Refusal {
        Unknown = "unknown", OtherVersion = "other_version", NotOpen = "not_open", AlreadyOpen = "already_open", Blocked = "blocked",
        NotBlocked = "not_blocked", NotSnoozed = "not_snoozed", SnoozeOver = "snooze_over", Overtaken = "overtaken", NotesOff = "notes_off",
        CategoryMissing = "category_missing", SummaryMissing = "summary_missing", CategoryUnknown = "category_unknown",
        NotClosed = "not_closed", NotHeld = "not_held", NotExempt = "not_exempt", HoldOver = "hold_over", NoteNotWanted = "note_not_wanted",
    }
}

/// What stands against this command before it is tried; `expected` is the version it was meant for. Closing and opening: L0a,
/// L4, L7, L8, L9, L10; the end of a snooze or a block that is none: L0a. What is tried and comes to nothing, for something that counts as later
/// says otherwise (D5), is [`Refusal::Overtaken`].
pub fn refusal(
    conversation: &Conversation,
    command: &EventKind,
    expected: Option<u64>,
    settings: &Settings,
    now: Timestamp,
) -> Option<Refusal> {
    if conversation.episode == 0 {
        return Some(Refusal::Unknown);
    }
    if expected.is_some_and(|expected| expected != conversation.version) {
        return Some(Refusal::OtherVersion);
    }
    let (is_open, is_blocked) = (conversation.is_open(), conversation.is_blocked());
    match command {
        EventKind::Closed { .. } | EventKind::Opened { .. } if is_blocked => Some(Refusal::Blocked),
        EventKind::Closed { .. } if !is_open => Some(Refusal::NotOpen),
        EventKind::Closed { source, note, .. } => of_the_note(*source, note.as_ref(), settings),
        EventKind::Held { .. } if !is_open => Some(Refusal::NotOpen),
        EventKind::Held { until, .. } => until.is_some_and(|until| until <= now).then_some(Refusal::HoldOver),
        EventKind::HoldEnded { .. } => conversation.holding.hold_at(now).is_none().then_some(Refusal::NotHeld),
        EventKind::ExemptionEnded { .. } => conversation.holding.exemption.is_none().then_some(Refusal::NotExempt),
        EventKind::Noted { .. } if is_open => Some(Refusal::NotClosed),
        // What it names already it may go on naming.
        EventKind::Noted { note, .. } => of_the_note(ClosingSource::User, Some(note), settings)
            .filter(|refusal| *refusal != Refusal::CategoryUnknown || !names_already(conversation, note)),
        EventKind::Opened { .. } => is_open.then_some(Refusal::AlreadyOpen),
        EventKind::Snoozed { .. } if !is_open => Some(Refusal::NotOpen),
        EventKind::Snoozed { until } => (*until <= now).then_some(Refusal::SnoozeOver),
        EventKind::Unsnoozed => conversation.snooze().holds_at(now).is_none().then_some(Refusal::NotSnoozed),
        EventKind::Unblocked => (!is_blocked).then_some(Refusal::NotBlocked),
        EventKind::Blocked | EventKind::Assigned(_) | EventKind::Unassigned | EventKind::Exempted { .. } => None,
        EventKind::Written { episode, .. } | EventKind::Unwritten { episode, .. } => {
            let waits = conversation.pending_note.as_ref().is_some_and(|pending| pending.episode == *episode);
            let is_off = matches!(command, EventKind::Written { .. }) && !settings.keeps_texts();
            (!waits || is_off).then_some(Refusal::NoteNotWanted)
        }
        // Nobody commands these: they happen.
        EventKind::Message { .. } | EventKind::MessageFailed { .. } => None,
    }
}

fn names_already(conversation: &Conversation, note: &Note) -> bool {
    let written = conversation.closing.as_ref().and_then(|closing| closing.note.as_ref());
    written.is_some_and(|written| written.category == note.category)
}

/// L7, L8, L9, L10: what the workspace asks of a note: none, one or not, or what is required. Only a user is bound to write one.
fn of_the_note(source: ClosingSource, note: Option<&Note>, settings: &Settings) -> Option<Refusal> {
    let category = note.and_then(|note| note.category.as_ref());
    let (lacks_category, lacks_summary) = (category.is_none(), note.is_none_or(|note| note.summary.is_none()));
    let is_foreign = category.is_some_and(|category| !settings.has_category(category));
    match settings.notes_mode {
        NotesMode::Off => note.is_some().then_some(Refusal::NotesOff),
        NotesMode::CategoryRequired | NotesMode::CategoryAndSummaryRequired if source == ClosingSource::User && lacks_category => {
            Some(Refusal::CategoryMissing)
        }
        NotesMode::CategoryAndSummaryRequired if source == ClosingSource::User && lacks_summary => Some(Refusal::SummaryMissing),
        NotesMode::Optional | NotesMode::CategoryRequired | NotesMode::CategoryAndSummaryRequired => {
            is_foreign.then_some(Refusal::CategoryUnknown)
        }
    }
}

/// Whether the command came to what it asked for.
pub fn was_done(after: &Conversation, command: &Event, position: &Position, now: Timestamp) -> bool {
    match &command.kind {
        EventKind::Closed { .. } => after.closing.as_ref().is_some_and(|closing| closing.border == Border::Event(position.clone())),
        EventKind::Opened { .. } => after.is_open(),
        EventKind::Snoozed { until } => after.snooze().holds_at(now) == Some(*until),
        EventKind::Unsnoozed => after.snooze().holds_at(now).is_none(),
        EventKind::Blocked => after.is_blocked(),
        EventKind::Unblocked => !after.is_blocked(),
        EventKind::Assigned(assignee) => after.assignment.assignee() == Some(assignee),
        EventKind::Unassigned => after.assignment.assignee().is_none(),
        EventKind::Held { until, .. } => after.holding.hold.as_ref().is_some_and(|hold| hold.until == *until),
        EventKind::HoldEnded { .. } => after.holding.hold.is_none(),
        EventKind::Exempted { .. } => after.holding.exemption.is_some(),
        EventKind::ExemptionEnded { .. } => after.holding.exemption.is_none(),
        EventKind::Noted { note, .. } => after.closing.as_ref().is_some_and(|closing| closing.note.as_ref() == Some(note)),
        EventKind::Written { .. } | EventKind::Unwritten { .. } => after.pending_note.is_none(),
        EventKind::Message { .. } | EventKind::MessageFailed { .. } => true,
    }
}
