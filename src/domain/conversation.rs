//! One conversation: its facts over all episodes, and nothing that could be derived from them.

use std::collections::VecDeque;

use super::commands::{BlockCommand, CommandLog, SnoozeState};
use super::event::{Assignee, AssigneeKind, ClosingSource, Note, OpeningSource};
use super::facts::Facts;
use super::hold::Holding;
use super::id::{EventName, Fingerprint};
use super::kept::{Kept, Pending};
use super::order::{Border, Position};
use super::report::{Count, Counted, Traits};
use super::time::{Span, Timestamp};

/// Events remembered by name, so that a repeat changes nothing (D6).
pub const SEEN_MAX: usize = 32;
/// Names remembered beyond that because they were stamped ahead: such an event stands at its acceptance (D9), a repeat
/// taken in once its `time` has come would stand there, and so count as newer than it is. By the time this many more
/// were stamped ahead, what it could have outdone is long answered.
pub const SEEN_AHEAD_MAX: usize = 32;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Conversation {
    /// When its first event was accepted: tells this life of the name from one before retention took it.
    pub created_at: Timestamp,
    /// When its latest event was accepted, or it closed: retention counts from there.
    pub touched_at: Timestamp,
    /// Grows with every change; the `ETag`, and the middle of every notification's id.
    pub version: u64,
    pub seen: Seen,
    /// Over its whole life, recorded-only ones included, repeats not.
    pub messages: MessageCounts,
    pub assignment: Assignment,
    /// Of the contact, over all episodes.
    pub blocks: CommandLog<BlockCommand>,
    /// 0 until first opened.
    pub episode: u32,
    pub opening: Option<Opening>,
    /// Set while the current episode is closed.
    pub closing: Option<Closing>,
    /// The close before the current episode.
    pub floor: Option<Border>,
    /// Of the current or last episode; kept after its close for a late reply (D7), until the next opens (L0a).
    pub facts: Facts,
    /// Later than the last close, or before the first opening: of the episode to come.
    pub next: Facts,
    /// Not later than an auto-close, and arrived after it: recorded only, unless that close is taken back (D7). Then the
    /// episode is as if it had never been closed.
    pub late: Facts,
    /// What somebody asked for to keep the timer from closing it.
    pub holding: Holding,
    /// Texts kept for whoever writes a note.
    pub texts: Kept,
    /// A note that is to come, of an episode that closed without one (L12).
    pub pending_note: Option<Box<Pending>>,
    /// What subscribers were told last.
    pub told: Told,
    /// Events of this conversation in the dead letters. While there are any, the timer is held: one might be the reply.
    pub set_aside: u32,
    /// Where in the partition's outbox this conversation's latest notification stands; each names the one before it.
    pub last_notification: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MessageCounts {
    pub incoming: u64,
    pub outgoing: u64,
}

/// Registers over all episodes: an assignment outlives a close (L0a).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Assignment {
    /// The latest assignment: what it gave the timer stays when somebody un-assigns (T16).
    pub assigned: Option<(Position, Assignee)>,
    pub unassigned: Option<Position>,
}

impl Assignment {
    /// Whose conversation it is; `None`: the Unassigned view (L1).
    pub fn assignee(&self) -> Option<&Assignee> {
        let (at, assignee) = self.assigned.as_ref()?;
        self.unassigned.as_ref().is_none_or(|unassigned| at > unassigned).then_some(assignee)
    }

    pub fn assign(&mut self, position: Position, assignee: Assignee) {
        if self.assigned.as_ref().is_none_or(|(latest, _)| position > *latest) {
            self.assigned = Some((position, assignee));
        }
    }

    pub fn unassign(&mut self, position: Position) {
        if self.unassigned.as_ref().is_none_or(|latest| position > *latest) {
            self.unassigned = Some(position);
        }
    }

    /// The latest assignment, where it is later than `message` (T14, T15).
    pub fn later_than(&self, message: &Position) -> Option<(Timestamp, AssigneeKind)> {
        self.assigned.as_ref().filter(|(at, _)| at > message).map(|(at, assignee)| (at.time, assignee.kind))
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opening {
    /// What opened it on arrival stays its opener (D5); its `time` is `opened_at`.
    pub position: Position,
    pub source: OpeningSource,
    /// The switching-on of auto-close in force at the opening; `None`: off (T21).
    pub enable_epoch: Option<u64>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Closing {
    pub source: ClosingSource,
    pub by: Option<Box<str>>,
    pub note: Option<Note>,
    pub closed_at: Timestamp,
    /// What is not later than this belongs to the closed episode or one before it.
    pub border: Border,
    pub auto: Option<AutoClosing>,
    /// Whose it was when it closed, by id: where reports count it, whoever has it since.
    pub agent: Option<Box<str>>,
}

/// What an auto-close says of itself (L13).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AutoClosing {
    pub deadline: Timestamp,
    pub period: Span,
    pub armed_by: EventName,
    pub armed_at: Timestamp,
}

/// What the last notifications said of the timer and the snooze, so that each change is told once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Told {
    pub timer: ToldTimer,
    pub snoozed_until: Option<Timestamp>,
    /// The latest deadline of the episode whose nearness was told: once each.
    pub warned: Option<Timestamp>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ToldTimer {
    #[default]
    None,
    Running(Timestamp),
    Snoozed(Timestamp),
    /// Suspended by a block or a hold, and told so.
    Suspended,
    /// Armed while suspended: nobody was told, and `resumed` will be the first word (CONTRACT.md).
    SuspendedUntold,
}

/// Which events were applied already (D6).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Seen {
    pub recent: VecDeque<Fingerprint>,
    /// In order of their `time`.
    pub ahead: Vec<(Fingerprint, Timestamp)>,
}

impl Seen {
    pub fn contains(&self, name: Fingerprint) -> bool {
        self.recent.contains(&name) || self.ahead.iter().any(|(seen, _)| *seen == name)
    }

    pub fn remember(&mut self, name: Fingerprint, time: Timestamp, now: Timestamp) {
        if time > now {
            if self.ahead.len() == SEEN_AHEAD_MAX {
                self.ahead.remove(0);
            }
            let place = self.ahead.partition_point(|(_, other)| *other <= time);
            self.ahead.insert(place, (name, time));
        }
        if self.recent.len() == SEEN_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(name);
    }
}

impl Conversation {
    /// A conversation nobody has heard of, at its first event.
    pub fn new(accepted_at: Timestamp) -> Self {
        Self {
            created_at: accepted_at,
            touched_at: accepted_at,
            version: 0,
            seen: Seen::default(),
            messages: MessageCounts::default(),
            assignment: Assignment::default(),
            blocks: CommandLog::default(),
            episode: 0,
            opening: None,
            closing: None,
            floor: None,
            facts: Facts::default(),
            next: Facts::default(),
            late: Facts::default(),
            holding: Holding::default(),
            texts: Kept::default(),
            pending_note: None,
            told: Told::default(),
            set_aside: 0,
            last_notification: None,
        }
    }

    pub fn is_open(&self) -> bool {
        self.episode > 0 && self.closing.is_none()
    }

    /// The last close that was not taken back: what is not later than it is recorded only (D5).
    pub fn border(&self) -> Option<&Border> {
        self.closing.as_ref().map(|closing| &closing.border).or(self.floor.as_ref())
    }

    pub fn is_blocked(&self) -> bool {
        self.blocks.fold_from(None).blocked
    }

    pub fn was_blocked_at(&self, position: &Position) -> bool {
        self.blocks.fold_until(position).blocked
    }

    /// From where the open episode's commands count: its earliest contact's or human message or `opened` that was not
    /// held back by a block. The opener itself always counts (D5).
    pub fn start(&self) -> Option<&Position> {
        let opener = self.opening.as_ref().map(|opening| &opening.position)?;
        let earliest = self.facts.openers.iter().map(|o| &o.position).find(|p| !self.was_blocked_at(p));
        Some(earliest.map_or(opener, |earliest| earliest.min(opener)))
    }

    /// What reports count of the opening of this episode.
    pub fn counted_opening(&self) -> Option<Count> {
        let Opening { position, source, .. } = self.opening.as_ref()?;
        let agent = self.assignment.assignee().map(|assignee| assignee.id.clone());
        let of = Traits { opened_source: *source, closed_source: None, category: None, agent };
        Some(Count { at: position.time, what: Counted::Opened { again: self.episode > 1 }, of, taken_back: false })
    }

    /// What reports count of the close of this episode, while it is closed.
    pub fn counted_close(&self) -> Option<Count> {
        let (opening, closing) = (self.opening.as_ref()?, self.closing.as_ref()?);
        let of = Traits {
            opened_source: opening.source,
            closed_source: Some(closing.source),
            category: closing.note.as_ref().and_then(|note| note.category.clone()),
            agent: closing.agent.clone(),
        };
        let after = closing.closed_at.since(opening.position.time);
        Some(Count { at: closing.closed_at, what: Counted::Closed { after }, of, taken_back: false })
    }

    /// The snooze commands of the open episode, folded.
    pub fn snooze(&self) -> SnoozeState {
        if self.is_open() { self.facts.snoozes.fold_from(self.start()) } else { SnoozeState::default() }
    }
}
