//! What is known about one episode: facts, not decisions. The deadline is derived from them (`deadline.rs`).
//!
//! Any order of arrival of the same events gives the same facts (D5): registers keep the latest by [`Position`], lists
//! are kept in that order and cut at its old end.

use crate::faults::{Bug, planted};

use super::commands::{BlockCommand, CommandLog, SnoozeCommand};
use super::event::{ClosingSource, Note, OpeningSource};
use super::order::{Border, Position};
use super::time::{Span, Timestamp};

/// Human messages remembered, so that a failed one gives way to the one before it (T19). As many again that do not arm
/// (T8): counted apart, or a chat in the channel's own app would make the one that armed be forgotten.
pub const HUMAN_MESSAGES_MAX: usize = 16;
/// Failures remembered before their message arrives (T19).
pub const FAILURES_MAX: usize = 16;
/// Openers remembered that a block held back, should an unblock from before them arrive late; and as many `opened`
/// events of an open conversation, should a `closed` from before them arrive late.
pub const OPENERS_MAX: usize = 8;
/// `closed` events remembered that arrived before what opens their episode.
pub const CLOSES_MAX: usize = 4;

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Facts {
    /// The contact's latest message.
    pub contact: Option<Position>,
    /// When a person of the team last wrote, failed or not: what is shown.
    pub last_human_at: Option<Timestamp>,
    /// Human messages later than `contact`, the latest sixteen that arm and the latest sixteen that do not, in order.
    pub humans: Vec<HumanMessage>,
    /// Failures whose message was not among `humans` when they came, in order.
    pub failures: Vec<(Position, Box<str>)>,
    /// The earliest of what opens an episode: those a block held back, then the first it did not.
    pub openers: Vec<Opener>,
    /// `opened` events later than all messages so far, in order: without effect while open, unless a `closed` from before
    /// them arrives late (L0a).
    pub opened: Vec<Opener>,
    /// Snooze commands later than `contact`: a contact's message ends a snooze (T10).
    pub snoozes: CommandLog<SnoozeCommand>,
    /// `closed` commands later than all messages so far, in order.
    pub closes: Vec<CloseCommand>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HumanMessage {
    pub position: Position,
    pub accepted_at: Timestamp,
    /// `None`: the event's id.
    pub message_id: Option<Box<str>>,
    /// The workspace's period when it was taken in (T23).
    pub period: Span,
    /// The version of the settings that was of.
    pub stamped_by: u64,
    /// False for a message from the channel's own app where the workspace turned that off (T8).
    pub arms: bool,
    pub failed: bool,
}

impl HumanMessage {
    fn message_id(&self) -> &str {
        self.message_id.as_deref().unwrap_or(self.position.name.id())
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opener {
    pub position: Position,
    pub source: OpeningSource,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CloseCommand {
    pub position: Position,
    pub source: ClosingSource,
    pub by: Option<Box<str>>,
    pub note: Option<Note>,
}

impl Facts {
    pub fn record_contact(&mut self, position: Position) {
        if self.contact.as_ref().is_some_and(|latest| position <= *latest) && !planted(Bug::ArrivalOrder) {
            return;
        }
        self.humans.retain(|h| h.position > position);
        self.snoozes.forget_until(&position);
        self.closes.retain(|c| c.position > position);
        self.opened.retain(|o| o.position > position);
        self.contact = Some(position);
    }

    pub fn record_human(&mut self, mut message: HumanMessage) {
        self.last_human_at = self.last_human_at.max(Some(message.position.time));
        self.closes.retain(|c| c.position > message.position);
        self.opened.retain(|o| o.position > message.position);
        if self.contact.as_ref().is_some_and(|latest| message.position <= *latest) && !planted(Bug::ArrivalOrder) {
            return;
        }
        let Err(place) = self.humans.binary_search_by(|h| h.position.cmp(&message.position)) else { return };
        message.failed = self.has_failed(message.message_id());
        let arms = message.arms;
        self.humans.insert(place, message);
        if self.humans.iter().filter(|h| h.arms == arms).count() > HUMAN_MESSAGES_MAX
            && let Some(oldest) = self.humans.iter().position(|h| h.arms == arms)
        {
            self.humans.remove(oldest);
        }
    }

    /// Whether a failure of this message came before it, or before the same message in another event.
    fn has_failed(&self, message_id: &str) -> bool {
        self.failures.iter().any(|(_, id)| **id == *message_id)
            || self.humans.iter().any(|human| human.failed && human.message_id() == message_id)
    }

    /// A message did not reach the contact (T19); remembered where the message itself is still to come.
    pub fn record_failure(&mut self, position: Position, message_id: Box<str>) {
        let mut known = false;
        for human in self.humans.iter_mut().filter(|h| h.message_id() == &*message_id) {
            human.failed = true;
            known = true;
        }
        if known || self.failures.iter().any(|(_, id)| *id == message_id) {
            return;
        }
        let place = self.failures.partition_point(|(p, _)| *p < position);
        self.failures.insert(place, (position, message_id));
        if self.failures.len() > FAILURES_MAX {
            self.failures.remove(0);
        }
    }

    pub fn record_snooze(&mut self, position: Position, command: SnoozeCommand) {
        if self.contact.as_ref().is_none_or(|latest| position > *latest) {
            self.snoozes.insert(position, command);
        }
    }

    /// Remembers what could open an episode. Only the first opener that no block held back, and those before it, can ever
    /// matter.
    pub fn record_opener(&mut self, opener: Opener, blocks: &CommandLog<BlockCommand>) {
        if let Err(place) = self.openers.binary_search_by(|o| o.position.cmp(&opener.position)) {
            self.openers.insert(place, opener);
        }
        if let Some(first) = self.openers.iter().position(|o| !blocks.fold_until(&o.position).blocked) {
            self.openers.truncate(first + 1);
        }
        if self.openers.len() > OPENERS_MAX {
            self.openers.remove(0);
        }
    }

    pub fn record_opened(&mut self, opener: Opener) {
        if self.latest_message().is_some_and(|latest| opener.position < *latest) {
            return; // nor can a `closed` from before it count any more
        }
        if let Err(place) = self.opened.binary_search_by(|o| o.position.cmp(&opener.position)) {
            self.opened.insert(place, opener);
        }
        if self.opened.len() > OPENERS_MAX {
            self.opened.remove(0);
        }
    }

    pub fn record_close(&mut self, close: CloseCommand) {
        if self.latest_message().is_some_and(|latest| close.position < *latest) {
            return; // older than its episode's latest message: recorded only (D5)
        }
        if let Err(place) = self.closes.binary_search_by(|c| c.position.cmp(&close.position)) {
            self.closes.insert(place, close);
        }
        if self.closes.len() > CLOSES_MAX {
            self.closes.remove(0);
        }
    }

    /// The latest message of the contact or a person, failed or not.
    pub fn latest_message(&self) -> Option<&Position> {
        self.humans.last().map(|h| &h.position).max(self.contact.as_ref())
    }

    /// The latest message that the contact could have answered or that answered them: what news is compared with (D7).
    pub fn latest_delivered(&self) -> Option<&Position> {
        self.humans.iter().rev().find(|h| !h.failed).map(|h| &h.position).max(self.contact.as_ref())
    }

    /// Takes out what is later than `border`: it belongs to the next episode, even if it came first (D5).
    pub fn split_after(&mut self, border: &Border) -> Self {
        let mut later = Self { snoozes: self.snoozes.split_after(border), failures: self.failures.clone(), ..Self::default() };
        let (after, before) = std::mem::take(&mut self.closes).into_iter().partition(|c| border.is_before(&c.position));
        (later.closes, self.closes) = (after, before);
        let (after, before) = std::mem::take(&mut self.opened).into_iter().partition(|o| border.is_before(&o.position));
        (later.opened, self.opened) = (after, before);
        later.openers.clone_from(&later.opened);
        later
    }

    /// Takes in what had been put aside, for the next episode or for none: the close was taken back (D7).
    pub fn merge(&mut self, other: Self, blocks: &CommandLog<BlockCommand>) {
        let Self { contact, last_human_at, humans, failures, openers, opened, snoozes, closes } = other;
        for (position, message_id) in failures {
            self.record_failure(position, message_id);
        }
        for human in humans {
            self.record_human(human);
        }
        self.last_human_at = self.last_human_at.max(last_human_at);
        for (position, command) in snoozes.recent {
            self.record_snooze(position, command);
        }
        for opener in openers {
            self.record_opener(opener, blocks);
        }
        for opener in opened {
            self.record_opened(opener);
        }
        for close in closes {
            self.record_close(close);
        }
        if let Some(position) = contact {
            self.record_contact(position);
        }
    }
}
