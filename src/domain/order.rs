//! What "later" means: one total order of everything that happens to a conversation (the rules, opening; D9).

use super::event::Accepted;
use super::id::EventName;
use super::time::Timestamp;

/// Where an event stands among all others of its conversation.
///
/// By `time`; at equal `time` a contact's message is later than any other event; else by id, then source, bytewise.
/// An event stamped ahead of its acceptance counts as if stamped at `accepted_at`; those of one `accepted_at` by their
/// own `time` (D9). The derived order of the fields, from top to bottom, is that rule.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Position {
    /// `time`, or `accepted_at` where `time` lies ahead of it.
    pub effective: Timestamp,
    /// The event's own stamp: what periods count from.
    pub time: Timestamp,
    pub contact_message: bool,
    pub name: EventName,
}

impl Position {
    pub fn of(accepted: &Accepted) -> Self {
        let event = &accepted.event;
        Self {
            effective: event.time.min(accepted.accepted_at),
            time: event.time,
            contact_message: event.kind.is_contact_message(),
            name: event.name.clone(),
        }
    }
}

/// The end of an episode in that order: what is not later than it belongs to the past (D5).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Border {
    /// An auto-close: after everything stamped up to and including this instant.
    Instant(Timestamp),
    /// A `closed` event: where that event stands.
    Event(Position),
}

impl Border {
    /// Whether `position` is later than this border.
    pub fn is_before(&self, position: &Position) -> bool {
        match self {
            Self::Instant(at) => position.effective > *at,
            Self::Event(closed) => position > closed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, contact, human};
    use super::*;

    fn position(event: super::super::event::Event, accepted_at: i64) -> Position {
        Position::of(&Accepted { event, accepted_at: at(accepted_at) })
    }

    #[test]
    fn later_is_by_time_then_contact_then_id_then_source() {
        assert!(position(human("a", 2), 9) > position(contact("z", 1), 9));
        assert!(position(contact("a", 1), 9) > position(human("z", 1), 9));
        assert!(position(human("b", 1), 9) > position(human("a", 1), 9));
        assert!(position(human("B", 1), 9) < position(human("a", 1), 9));
    }

    #[test]
    fn d9_ahead_is_ordered_by_acceptance() {
        assert!(position(human("ahead", 100), 5) < position(contact("on time", 6), 6));
        assert!(position(human("ahead", 100), 5) > position(human("also ahead", 99), 5));
        assert!(position(human("ahead", 100), 5) > position(human("on time", 5), 5));
    }

    #[test]
    fn a_border_is_after_what_is_stamped_at_it() {
        assert!(!Border::Instant(at(5)).is_before(&position(contact("c", 5), 5)));
        assert!(Border::Instant(at(5)).is_before(&position(contact("c", 6), 6)));
    }
}
