//! The one place a deadline comes from.

use super::conversation::{Conversation, ToldTimer};
use super::event::AssigneeKind;
use super::facts::HumanMessage;
use super::settings::Settings;
use super::time::{Span, Timestamp};

/// An assignment to a human gives them at least this long to look (T14).
pub const ASSIGNED_GRACE: Span = Span::from_mins(30);
/// A human message that came late leaves this long for a reply right behind it in the backlog (D8).
pub const BACKLOG_GRACE: Span = Span::from_mins(2);

/// When a conversation closes by itself, and why then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deadline<'a> {
    pub at: Timestamp,
    pub armed_by: &'a HumanMessage,
    /// The message's own, unless another was applied to running timers since (T23).
    pub period: Span,
}

/// How the timer of a conversation stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Timer {
    None,
    Running(Timestamp),
    /// Waiting for a snooze to end; closes at this instant if nothing else happens.
    Snoozed(Timestamp),
    /// Suspended while the contact is blocked (T17) or somebody holds it; when that ends, it is derived anew.
    Suspended,
}

/// Why a conversation has no deadline, in the order in which the question is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoDeadline {
    NotOpen,
    /// T1.
    AutoCloseOff,
    /// Opened before auto-close was switched on (T21).
    OpenedBeforeEnabled,
    /// Somebody exempted it.
    Exempt,
    /// T5, and T13 where a snooze ends.
    ContactSpokeLast,
    /// No human message, or none that reached the contact (T19).
    NoHumanMessage,
    AssignedToAiAgent,
    Blocked,
    /// Somebody holds it.
    Held,
}

/// When this conversation is to close by itself, or why not: a period after the latest human message (T3, T4), unless the
/// contact has spoken since (T5). A block (T17) or a hold suspends it; a snooze only moves it (T9), as does a hold that ends by itself. No hour and no channel is different
/// (T24), nor is a conversation that the agent began (T25).
pub fn deadline<'a>(conversation: &'a Conversation, settings: &Settings) -> Result<Deadline<'a>, NoDeadline> {
    let deadline = unsuspended_deadline(conversation, settings)?;
    suspension(conversation).map_or(Ok(deadline), Err)
}

/// What a timer that there would be otherwise waits for.
fn suspension(conversation: &Conversation) -> Option<NoDeadline> {
    if conversation.is_blocked() {
        return Some(NoDeadline::Blocked);
    }
    conversation.holding.is_held().then_some(NoDeadline::Held)
}

fn unsuspended_deadline<'a>(conversation: &'a Conversation, settings: &Settings) -> Result<Deadline<'a>, NoDeadline> {
    let opening = conversation.opening.as_ref().filter(|_| conversation.is_open()).ok_or(NoDeadline::NotOpen)?;
    let epoch = settings.epoch_in_force().ok_or(NoDeadline::AutoCloseOff)?;
    if opening.enable_epoch != Some(epoch) {
        return Err(NoDeadline::OpenedBeforeEnabled);
    }
    if conversation.holding.is_exempt() {
        return Err(NoDeadline::Exempt);
    }
    let message = arming_message(conversation)?;
    let applied = settings.applied_to(message);
    let period = applied.map_or(message.period, |running| running.period);
    let assigned = match conversation.assignment.later_than(&message.position) {
        Some((_, AssigneeKind::AiAgent)) => return Err(NoDeadline::AssignedToAiAgent),
        Some((at, AssigneeKind::Human)) => Some(at.plus(period.min(ASSIGNED_GRACE))),
        None => None,
    };
    let holding = &conversation.holding;
    let later_starts = [conversation.snooze().end(), conversation.blocks.fold_from(None).unblocked_at, holding.released_at];
    let quiet_since = later_starts.into_iter().flatten().fold(message.position.time, Timestamp::max);
    let backlog = message.accepted_at.plus(period.min(BACKLOG_GRACE));
    // Nothing closes as of a time before anybody asked for that (T23).
    let asked_for = applied.filter(|running| running.period < message.period).map(|running| running.at);
    let at_least = [assigned, holding.until(), Some(backlog), asked_for].into_iter().flatten();
    let at = at_least.fold(quiet_since.plus(period), Timestamp::max);
    Ok(Deadline { at, armed_by: message, period })
}

/// The latest human message of the episode that reached the contact, if the contact has not spoken since (T5): whatever else
/// starts a period anew, without such a message there is none (T13).
fn arming_message(conversation: &Conversation) -> Result<&HumanMessage, NoDeadline> {
    let facts = &conversation.facts;
    let start = conversation.start();
    let in_episode = |message: &&HumanMessage| start.is_none_or(|start| message.position >= *start);
    let message = facts.humans.iter().rev().filter(in_episode).find(|m| m.arms && !m.failed);
    message.ok_or(if facts.contact.is_some() { NoDeadline::ContactSpokeLast } else { NoDeadline::NoHumanMessage })
}

/// How the timer stands at `now`.
pub fn timer(conversation: &Conversation, settings: &Settings, now: Timestamp) -> Timer {
    match unsuspended_deadline(conversation, settings) {
        Err(_) => Timer::None,
        Ok(_) if suspension(conversation).is_some() => Timer::Suspended,
        Ok(deadline) if conversation.snooze().holds_at(now).is_some() => Timer::Snoozed(deadline.at),
        Ok(deadline) => Timer::Running(deadline.at),
    }
}

/// Whether subscribers were told of another deadline than the one that holds, for a period was applied since (T23).
pub fn has_moved(conversation: &Conversation, settings: &Settings) -> bool {
    match conversation.told.timer {
        ToldTimer::Running(told) | ToldTimer::Snoozed(told) => deadline(conversation, settings).is_ok_and(|due| due.at != told),
        ToldTimer::None | ToldTimer::Suspended | ToldTimer::SuspendedUntold => false,
    }
}

/// When to look at this conversation again: at the end of a snooze that was told of, when its close is to be warned of, at the
/// deadline, or when a note is to be asked for again, whichever is first. `None`: only an event can change anything. A conversation with an event set aside is not
/// closed by its timer (DESIGN.md, "Poison and pressure").
pub fn wake_at(conversation: &Conversation, settings: &Settings) -> Option<Timestamp> {
    let due = deadline(conversation, settings).ok().filter(|_| conversation.set_aside == 0);
    let warning = due.and_then(|due| warn_at(conversation, &due, settings));
    let note = conversation.pending_note.as_ref().map(|pending| pending.next_at);
    [due.map(|due| due.at), warning, conversation.told.snoozed_until, note].into_iter().flatten().min()
}

/// When those who want to know are to hear that this deadline is near; `None`: they have, or nobody does. Never during a snooze.
pub fn warn_at(conversation: &Conversation, due: &Deadline<'_>, settings: &Settings) -> Option<Timestamp> {
    // One that has only moved back to where it was is no news.
    let before = settings.warning_before.filter(|_| conversation.told.warned.is_none_or(|warned| warned < due.at))?;
    Some(due.at.minus(before).max(conversation.snooze().end().unwrap_or(Timestamp::MIN)))
}
