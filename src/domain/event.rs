//! What can happen to a conversation, as the ingestion pipeline tells it (CONTRACT.md, "Events in").

use super::id::{ConversationKey, EventName};
use super::time::{Span, Timestamp};

/// How far an event's `time` may lie ahead of the store's clock (D9).
pub const AHEAD_MAX: Span = Span::from_mins(5);

/// The `source` of what is asked of this service: what notifications name as its cause. No event may claim it.
pub const COMMAND_SOURCE: &str = "/adjourn/commands";

/// One event of one conversation. Valid by construction: the edge parses, nobody checks again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    pub name: EventName,
    pub conversation: ConversationKey,
    /// When it happened, by its own stamp.
    pub time: Timestamp,
    pub kind: EventKind,
}

/// An event that parses and still cannot be taken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Rejection {
    #[error("`time` is {} s ahead of the service's clock, {} s are allowed: check the producer's clock", ahead.as_millis() / 1_000, AHEAD_MAX.as_millis() / 1_000)]
    TimeAhead { ahead: Span },
    #[error("`until` is more than {max} after `time`: the longest snooze or hold here")]
    SnoozeTooLong { max: Span },
    #[error("`source` {COMMAND_SOURCE} is this service's own")]
    ReservedSource,
}

impl Event {
    /// Whether its stamp lies further ahead of `clock` than is allowed (D9).
    pub fn is_ahead_of(&self, clock: Timestamp) -> bool {
        self.time > clock.plus(AHEAD_MAX)
    }

    /// Why this cannot be accepted when the store's clock stands at `clock` (D9), or a snooze may not be longer than
    /// `snooze_max`.
    pub fn rejection(&self, clock: Timestamp, snooze_max: Span) -> Option<Rejection> {
        if self.is_ahead_of(clock) {
            return Some(Rejection::TimeAhead { ahead: self.time.since(clock) });
        }
        if self.name.source() == COMMAND_SOURCE {
            return Some(Rejection::ReservedSource);
        }
        self.snooze_rejection(snooze_max)
    }

    /// Of a snooze, or a hold until an instant, that is longer than `snooze_max`.
    pub fn snooze_rejection(&self, snooze_max: Span) -> Option<Rejection> {
        match self.kind {
            EventKind::Snoozed { until } | EventKind::Held { until: Some(until), .. } if until > self.time.plus(snooze_max) => {
                Some(Rejection::SnoozeTooLong { max: snooze_max })
            }
            EventKind::Message { .. }
            | EventKind::MessageFailed { .. }
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
        }
    }
}

/// An event and when it was taken in: the millisecond in which its log made it durable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Accepted {
    pub event: Event,
    pub accepted_at: Timestamp,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EventKind {
    Message {
        source: MessageSource,
        agent: Option<Box<str>>,
        message_id: Option<Box<str>>,
        /// On its way to where it is kept, if it is: nothing is decided by it.
        text: Option<Text>,
    },
    MessageFailed {
        message_id: Box<str>,
    },
    Opened {
        source: OpeningSource,
        by: Option<Box<str>>,
    },
    Closed {
        source: ClosingSource,
        by: Option<Box<str>>,
        note: Option<Note>,
    },
    Assigned(Assignee),
    Unassigned,
    Snoozed {
        until: Timestamp,
    },
    Unsnoozed,
    Blocked,
    Unblocked,
    /// The note of the episode that is closed, written or changed after its close. Only asked for, never sent by the pipeline.
    Noted {
        note: Note,
        by: Option<Box<str>>,
    },
    /// No close by timer before `until`, or until that is ended. This and what follows is only asked for, too.
    Held {
        until: Option<Timestamp>,
        reason: Box<str>,
        by: Option<Box<str>>,
    },
    HoldEnded {
        by: Option<Box<str>>,
    },
    /// Never closed by timer until that is ended, whatever the episode.
    Exempted {
        reason: Box<str>,
        by: Option<Box<str>>,
    },
    ExemptionEnded {
        by: Option<Box<str>>,
    },
    /// The note of a closed episode, by whoever writes them where nobody did (L12).
    Written {
        episode: u32,
        note: Note,
        by: Box<str>,
    },
    /// There will be none.
    Unwritten {
        episode: u32,
        reason: Box<str>,
        by: Box<str>,
    },
}

/// What somebody wrote. Never shown where it is not asked for: not in a log either.
#[derive(Clone, PartialEq, Eq)]
pub struct Text(pub Box<str>);

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// Longest summary of a note, in characters (L10).
pub const SUMMARY_CHARS_MAX: usize = 512;

/// A closing note. Category at most 128 characters, summary at most 512 (L10); the edge checks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    pub category: Option<Box<str>>,
    pub summary: Option<Box<str>>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Assignee {
    pub kind: AssigneeKind,
    pub id: Box<str>,
    pub name: Option<Box<str>>,
}

/// Writes an enum whose variants have one wire name each, both ways, so that the two cannot drift apart.
macro_rules! named {
    ($(#[$meta:meta])* $name:ident { $($variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum $name { $($variant),+ }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}
pub(crate) use named;

named! {
    /// Who sent a message.
    MessageSource {
        Contact = "contact", User = "user", Echo = "echo", Broadcast = "broadcast", Workflow = "workflow",
        AiAgent = "ai_agent", Bot = "bot", Api = "api", Zapier = "zapier", Make = "make", N8n = "n8n",
    }
}

named! {
    /// What opened an episode.
    OpeningSource {
        User = "user", Contact = "contact", Workflow = "workflow", Api = "api", Zapier = "zapier", Make = "make",
        CtcAds = "ctc_ads", GrowthWidget = "growth_widget",
    }
}

named! {
    /// What closed an episode. `auto_close` is ours alone: no event of the pipeline may claim it.
    ClosingSource {
        User = "user", Workflow = "workflow", Api = "api", Zapier = "zapier", Bot = "bot", Make = "make", N8n = "n8n",
        AiAgent = "ai_agent", AutoClose = "auto_close",
    }
}

named! {
    AssigneeKind { Human = "human", AiAgent = "ai_agent" }
}

/// What a message is to the timer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Speaker {
    Contact,
    /// A person of the team, in the product.
    Human,
    /// A person of the team, in the channel's own app (T8).
    HumanElsewhere,
    /// No person: neither arms, nor resets, nor opens (T7, L6).
    Machine,
}

impl MessageSource {
    pub const fn speaker(self) -> Speaker {
        match self {
            Self::Contact => Speaker::Contact,
            Self::User => Speaker::Human,
            Self::Echo => Speaker::HumanElsewhere,
            Self::Broadcast | Self::Workflow | Self::AiAgent | Self::Bot | Self::Api | Self::Zapier | Self::Make | Self::N8n => {
                Speaker::Machine
            }
        }
    }
}

impl EventKind {
    /// The CloudEvents `type` of this kind.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Message { .. } => "inbox.message.v1",
            Self::MessageFailed { .. } => "inbox.message_failed.v1",
            Self::Opened { .. } => "inbox.conversation.opened.v1",
            Self::Closed { .. } => "inbox.conversation.closed.v1",
            Self::Assigned(_) => "inbox.conversation.assigned.v1",
            Self::Unassigned => "inbox.conversation.unassigned.v1",
            Self::Snoozed { .. } => "inbox.conversation.snoozed.v1",
            Self::Unsnoozed => "inbox.conversation.unsnoozed.v1",
            Self::Blocked => "inbox.contact.blocked.v1",
            Self::Unblocked => "inbox.contact.unblocked.v1",
            Self::Noted { .. } => "adjourn.closing_note.put.v1",
            Self::Held { .. } => "adjourn.hold.put.v1",
            Self::HoldEnded { .. } => "adjourn.hold.deleted.v1",
            Self::Exempted { .. } => "adjourn.exemption.put.v1",
            Self::ExemptionEnded { .. } => "adjourn.exemption.deleted.v1",
            Self::Written { .. } => "adjourn.closing_note.written.v1",
            Self::Unwritten { .. } => "adjourn.closing_note.given_up.v1",
        }
    }

    /// Who did it, where that is known: a person's name or id.
    pub fn by(&self) -> Option<&str> {
        match self {
            Self::Message { agent: by, .. }
            | Self::Opened { by, .. }
            | Self::Closed { by, .. }
            | Self::Noted { by, .. }
            | Self::Held { by, .. }
            | Self::HoldEnded { by }
            | Self::Exempted { by, .. }
            | Self::ExemptionEnded { by } => by.as_deref(),
            Self::Written { by, .. } | Self::Unwritten { by, .. } => Some(by),
            Self::MessageFailed { .. }
            | Self::Assigned(_)
            | Self::Unassigned
            | Self::Snoozed { .. }
            | Self::Unsnoozed
            | Self::Blocked
            | Self::Unblocked => None,
        }
    }

    /// Takes away what somebody wrote, and nothing else.
    pub fn drop_text(&mut self) {
        if let Self::Message { text, .. } = self {
            *text = None;
        }
    }

    pub const fn is_contact_message(&self) -> bool {
        matches!(self, Self::Message { source: MessageSource::Contact, .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t7_machines_are_nobody() {
        let machines: Vec<&str> = MessageSource::ALL.iter().filter(|s| s.speaker() == Speaker::Machine).map(|s| s.as_str()).collect();
        assert_eq!(machines, ["broadcast", "workflow", "ai_agent", "bot", "api", "zapier", "make", "n8n"]);
    }

    #[test]
    fn every_name_reads_back() {
        assert!(MessageSource::ALL.iter().all(|s| MessageSource::parse(s.as_str()) == Some(*s)));
        assert!(ClosingSource::ALL.iter().all(|s| ClosingSource::parse(s.as_str()) == Some(*s)));
        assert!(OpeningSource::ALL.iter().all(|s| OpeningSource::parse(s.as_str()) == Some(*s)));
        assert_eq!(MessageSource::parse("carrier_pigeon"), None);
    }
}
