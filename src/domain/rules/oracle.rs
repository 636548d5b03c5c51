//! The deadline once more, the slow way: all events of one episode in order of "later", walked through one by one, as a
//! reader of RULES.md would do it by hand. It shares nothing with `deadline.rs` but the order.

use super::super::order::Position;
use super::*;

#[derive(Default)]
struct Reader {
    /// The latest human message that did not fail: since when, taken in when.
    message: Option<(Timestamp, Timestamp)>,
    /// What the latest assignment after that message gave.
    cancelled: bool,
    grace_from: Option<Timestamp>,
    snoozed_until: Option<Timestamp>,
    quiet_since: Option<Timestamp>,
    blocked: bool,
}

/// When a conversation that all of `events` happened to, and that nothing closed, is to close; `period` throughout.
pub fn deadline_by_hand(events: &[Accepted], period: Span) -> Option<Timestamp> {
    let mut events: Vec<(Position, &Accepted)> = events.iter().map(|e| (Position::of(e), e)).collect();
    events.sort_by(|(a, _), (b, _)| a.cmp(b));
    let failed =
        |id: &str| events.iter().any(|(_, e)| matches!(&e.event.kind, EventKind::MessageFailed { message_id } if **message_id == *id));
    let mut reader = Reader::default();
    for (position, accepted) in &events {
        reader.run_out(position.effective);
        reader.read(accepted, failed);
    }
    reader.deadline(period)
}

impl Reader {
    fn run_out(&mut self, now: Timestamp) {
        if let Some(end) = self.snoozed_until.take_if(|until| *until <= now) {
            self.quiet_since = self.quiet_since.max(Some(end));
        }
    }

    fn read(&mut self, Accepted { event, accepted_at }: &Accepted, failed: impl Fn(&str) -> bool) {
        let time = event.time;
        match &event.kind {
            EventKind::Message { source, .. } => match source.speaker() {
                Speaker::Contact => (self.message, self.snoozed_until) = (None, None),
                Speaker::Machine => {}
                Speaker::Human | Speaker::HumanElsewhere if failed(event.name.id()) => {}
                Speaker::Human | Speaker::HumanElsewhere => {
                    self.message = Some((time, *accepted_at));
                    (self.cancelled, self.grace_from) = (false, None);
                }
            },
            EventKind::Assigned(Assignee { kind: AssigneeKind::AiAgent, .. }) => self.cancelled = true,
            EventKind::Assigned(Assignee { kind: AssigneeKind::Human, .. }) => (self.cancelled, self.grace_from) = (false, Some(time)),
            EventKind::Snoozed { until } if *until > time => self.snoozed_until = Some(*until),
            EventKind::Snoozed { .. } | EventKind::Unsnoozed => {
                if self.snoozed_until.take().is_some() {
                    self.quiet_since = self.quiet_since.max(Some(time));
                }
            }
            EventKind::Blocked => self.blocked = true,
            EventKind::Unblocked if self.blocked => (self.blocked, self.quiet_since) = (false, self.quiet_since.max(Some(time))),
            EventKind::Unblocked
            | EventKind::MessageFailed { .. }
            | EventKind::Unassigned
            | EventKind::Opened { .. }
            | EventKind::Closed { .. }
            // Only asked for.
            | EventKind::Noted { .. }
            | EventKind::Written { .. }
            | EventKind::Unwritten { .. }
            | EventKind::Held { .. }
            | EventKind::HoldEnded { .. }
            | EventKind::Exempted { .. }
            | EventKind::ExemptionEnded { .. } => {}
        }
    }

    fn deadline(&self, period: Span) -> Option<Timestamp> {
        let (time, accepted_at) = self.message.filter(|_| !self.cancelled && !self.blocked)?;
        let quiet = self.quiet_since.max(self.snoozed_until).max(Some(time))?.plus(period);
        let backlog = accepted_at.plus(period.min(Span::from_mins(2)));
        let grace = self.grace_from.map_or(Timestamp::MIN, |from| from.plus(period.min(Span::from_mins(30))));
        Some(quiet.max(backlog).max(grace))
    }
}
