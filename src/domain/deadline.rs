//! The one place a deadline comes from.

use super::conversation::Conversation;
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
}

/// How the timer of a conversation stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Timer {
    None,
    Running(Timestamp),
    /// Waiting for a snooze to end; closes at this instant if nothing else happens.
    Snoozed(Timestamp),
    /// Suspended while the contact is blocked; when it ends, it is derived anew (T17).
    Blocked,
}

/// Why a conversation has no deadline, in the order in which the question is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoDeadline {
    NotOpen,
    /// T1.
    AutoCloseOff,
    /// Opened before auto-close was switched on (T21).
    OpenedBeforeEnabled,
    /// T5, and T13 where a snooze ends.
    ContactSpokeLast,
    /// No human message, or none that reached the contact (T19).
    NoHumanMessage,
    AssignedToAiAgent,
    Blocked,
}

/// When this conversation is to close by itself, or why not: a period after the latest human message (T3, T4), unless the
/// contact has spoken since (T5). A block suspends it (T17); a snooze only moves it (T9). No hour and no channel is different
/// (T24), nor is a conversation that the agent began (T25).
pub fn deadline<'a>(conversation: &'a Conversation, settings: &Settings) -> Result<Deadline<'a>, NoDeadline> {
    let deadline = unblocked_deadline(conversation, settings)?;
    if conversation.is_blocked() { Err(NoDeadline::Blocked) } else { Ok(deadline) }
}

fn unblocked_deadline<'a>(conversation: &'a Conversation, settings: &Settings) -> Result<Deadline<'a>, NoDeadline> {
    let opening = conversation.opening.as_ref().filter(|_| conversation.is_open()).ok_or(NoDeadline::NotOpen)?;
    let epoch = settings.epoch_in_force().ok_or(NoDeadline::AutoCloseOff)?;
    if opening.enable_epoch != Some(epoch) {
        return Err(NoDeadline::OpenedBeforeEnabled);
    }
    let message = arming_message(conversation)?;
    let period = message.period;
    let assigned = match conversation.assignment.later_than(&message.position) {
        Some((_, AssigneeKind::AiAgent)) => return Err(NoDeadline::AssignedToAiAgent),
        Some((at, AssigneeKind::Human)) => Some(at.plus(period.min(ASSIGNED_GRACE))),
        None => None,
    };
    let later_starts = [conversation.snooze().end(), conversation.blocks.fold_from(None).unblocked_at];
    let quiet_since = later_starts.into_iter().flatten().fold(message.position.time, Timestamp::max);
    let backlog = message.accepted_at.plus(period.min(BACKLOG_GRACE));
    let at = quiet_since.plus(period).max(backlog).max(assigned.unwrap_or(Timestamp::MIN));
    Ok(Deadline { at, armed_by: message })
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
    match unblocked_deadline(conversation, settings) {
        Err(_) => Timer::None,
        Ok(_) if conversation.is_blocked() => Timer::Blocked,
        Ok(deadline) if conversation.snooze().holds_at(now).is_some() => Timer::Snoozed(deadline.at),
        Ok(deadline) => Timer::Running(deadline.at),
    }
}

/// When to look at this conversation again: at the end of a snooze that was told of, when its close is to be warned of, or at
/// the deadline, whichever is first. `None`: only an event can change anything. A conversation with an event set aside is not
/// closed by its timer (DESIGN.md, "Poison and pressure").
pub fn wake_at(conversation: &Conversation, settings: &Settings) -> Option<Timestamp> {
    let due = deadline(conversation, settings).ok().filter(|_| conversation.set_aside == 0);
    let warning = due.and_then(|due| warn_at(conversation, &due, settings));
    [due.map(|due| due.at), warning, conversation.told.snoozed_until].into_iter().flatten().min()
}

/// When those who want to know are to hear that this deadline is near; `None`: they have, or nobody does. Never during a snooze.
pub fn warn_at(conversation: &Conversation, due: &Deadline<'_>, settings: &Settings) -> Option<Timestamp> {
    let before = settings.warning_before.filter(|_| conversation.told.warned != Some(due.at))?;
    Some(due.at.minus(before).max(conversation.snooze().end().unwrap_or(Timestamp::MIN)))
}
