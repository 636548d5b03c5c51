//! What subscribers are told: one notification for one change (CONTRACT.md, "Events out").

use super::conversation::{AutoClosing, Conversation, MessageCounts};
use super::deadline::deadline;
use super::event::{Assignee, ClosingSource, Event, EventKind, Note, OpeningSource, named};
use super::hold::Hold;
use super::id::{ConversationKey, EventName};
use super::settings::Settings;
use super::time::{Span, Timestamp};

named! {
    NoticeKind {
        Armed = "adjourn.timer.armed.v1",
        Reset = "adjourn.timer.reset.v1",
        Cancelled = "adjourn.timer.cancelled.v1",
        Suspended = "adjourn.timer.suspended.v1",
        Resumed = "adjourn.timer.resumed.v1",
        Opened = "adjourn.conversation.opened.v1",
        Closed = "adjourn.conversation.closed.v1",
        Reopened = "adjourn.conversation.reopened.v1",
        Reversed = "adjourn.conversation.reversed.v1",
        Assigned = "adjourn.conversation.assigned.v1",
        Unassigned = "adjourn.conversation.unassigned.v1",
        Snoozed = "adjourn.conversation.snoozed.v1",
        Unsnoozed = "adjourn.conversation.unsnoozed.v1",
        Blocked = "adjourn.conversation.blocked.v1",
        Unblocked = "adjourn.conversation.unblocked.v1",
        SettingsChanged = "adjourn.settings.changed.v1",
        ClosingSoon = "adjourn.timer.closing_soon.v1",
        NoteAdded = "adjourn.closing_note.added.v1",
        NoteFailed = "adjourn.closing_note.failed.v1",
    }
}

/// One notification, before anybody numbers or renders it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Notice {
    Conversation(Box<ConversationNotice>),
    /// Once a change of settings, in partition `crc32(workspace) mod P`.
    Settings {
        workspace: Box<str>,
        at: Timestamp,
        settings: Box<Settings>,
        /// They take the place of others of the same version, which a store that lost its last second had given away: told under
        /// an id of their own, or whoever knows the others would take these for them.
        replaces: bool,
    },
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConversationNotice {
    pub key: ConversationKey,
    pub kind: NoticeKind,
    /// When the change took effect: the acceptance of the event that caused it, or the clock of the wake-up.
    pub at: Timestamp,
    pub cause: Cause,
    /// The conversation right after the change.
    pub snapshot: Snapshot,
}

/// What made a change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Cause {
    Event {
        name: EventName,
        type_name: Box<str>,
        time: Timestamp,
        /// Who did it, where that is known.
        by: Option<Box<str>>,
        /// Of a message that its channel knows by another name than the event's.
        message_id: Option<Box<str>>,
    },
    AutoClose {
        deadline: Timestamp,
        late: Span,
        period: Span,
        armed_by: EventName,
        armed_at: Timestamp,
        /// What the workspace would have the contact told now.
        farewell: Option<Box<str>>,
    },
    /// The deadline is as near as the workspace wants to be warned of.
    DeadlineNear {
        deadline: Timestamp,
        period: Span,
        armed_by: EventName,
        armed_at: Timestamp,
    },
    /// The note of an episode that closed without one came (L12), or `reason` why it will not. The conversation may be in another
    /// episode by now.
    Writer {
        episode: u32,
        note: Option<Note>,
        writer: Box<str>,
        reason: Option<Box<str>>,
    },
    SnoozeElapsed,
    /// Auto-close was switched off, or on again (T21, T22), or a period applied to running timers (T23).
    Settings {
        version: u64,
    },
}

impl Cause {
    pub fn of(event: &Event) -> Self {
        let message_id = match &event.kind {
            EventKind::Message { message_id: Some(id), .. } | EventKind::MessageFailed { message_id: id } => {
                Some(id).filter(|id| ***id != *event.name.id()).cloned()
            }
            EventKind::Message { .. }
            | EventKind::Opened { .. }
            | EventKind::Closed { .. }
            | EventKind::Assigned(_)
            | EventKind::Unassigned
            | EventKind::Snoozed { .. }
            | EventKind::Unsnoozed
            | EventKind::Blocked
            | EventKind::Unblocked
            | EventKind::Noted { .. }
            | EventKind::Held { .. }
            | EventKind::HoldEnded { .. }
            | EventKind::Exempted { .. }
            | EventKind::ExemptionEnded { .. }
            | EventKind::Written { .. }
            | EventKind::Unwritten { .. } => None,
        };
        Self::Event {
            name: event.name.clone(),
            type_name: event.kind.type_name().into(),
            time: event.time,
            by: event.kind.by().map(Into::into),
            message_id,
        }
    }
}

named! {
    Status { Open = "open", Snoozed = "snoozed", Closed = "closed" }
}

impl Status {
    pub fn of(is_open: bool, snoozed_until: Option<Timestamp>) -> Self {
        match (is_open, snoozed_until) {
            (false, _) => Self::Closed,
            (true, Some(_)) => Self::Snoozed,
            (true, None) => Self::Open,
        }
    }
}

/// A conversation as everybody outside sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot {
    pub created_at: Timestamp,
    pub status: Status,
    /// 0: never opened, and so not listed.
    pub episode: u32,
    pub version: u64,
    pub opened_at: Option<Timestamp>,
    pub opened_source: Option<OpeningSource>,
    pub assignee: Option<Assignee>,
    pub blocked: bool,
    pub snoozed_until: Option<Timestamp>,
    /// While snoozed: end of the snooze + d; while blocked: none; overdue: the passed deadline; after an auto-close: the
    /// deadline it kept.
    pub scheduled_close_at: Option<Timestamp>,
    pub last_human_message_at: Option<Timestamp>,
    pub last_contact_message_at: Option<Timestamp>,
    pub closed_at: Option<Timestamp>,
    pub closed_source: Option<ClosingSource>,
    pub closed_by: Option<Box<str>>,
    pub closing_note: Option<Note>,
    pub messages: MessageCounts,
    pub hold: Option<Hold>,
    pub exemption: Option<Hold>,
}

impl Snapshot {
    /// The conversation as it stands at `now`, under the settings its partition has applied.
    pub fn of(conversation: &Conversation, settings: &Settings, now: Timestamp) -> Self {
        let closing = conversation.closing.as_ref();
        let snoozed_until = conversation.snooze().holds_at(now);
        let status = Status::of(conversation.is_open(), snoozed_until);
        let scheduled = match closing {
            Some(closing) => closing.auto.as_ref().map(|auto: &AutoClosing| auto.deadline),
            None => deadline(conversation, settings).ok().map(|d| d.at),
        };
        Self {
            created_at: conversation.created_at,
            status,
            episode: conversation.episode,
            version: conversation.version,
            opened_at: conversation.opening.as_ref().map(|opening| opening.position.time),
            opened_source: conversation.opening.as_ref().map(|opening| opening.source),
            assignee: conversation.assignment.assignee().cloned(),
            blocked: conversation.is_blocked(),
            snoozed_until,
            scheduled_close_at: scheduled,
            last_human_message_at: conversation.facts.last_human_at,
            last_contact_message_at: conversation.facts.contact.as_ref().map(|position| position.time),
            closed_at: closing.map(|closing| closing.closed_at),
            closed_source: closing.map(|closing| closing.source),
            closed_by: closing.and_then(|closing| closing.by.clone()),
            closing_note: closing.and_then(|closing| closing.note.clone()),
            messages: conversation.messages,
            hold: conversation.holding.hold_at(now).cloned(),
            exemption: conversation.holding.exemption.clone(),
        }
    }
}
