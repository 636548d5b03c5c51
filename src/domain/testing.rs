//! Short names for tests: events of one conversation, times in milliseconds.

use super::event::*;
use super::id::{ConversationKey, EventName};
use super::time::Timestamp;

pub fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

pub fn key() -> ConversationKey {
    ConversationKey::new("acme", "conv-1").unwrap()
}

pub fn event(id: &str, time: i64, kind: EventKind) -> Event {
    Event { name: EventName::new("/test", id).unwrap(), conversation: key(), time: at(time), kind }
}

pub fn accepted(event: Event, accepted_at: i64) -> Accepted {
    Accepted { event, accepted_at: at(accepted_at) }
}

pub fn message(id: &str, time: i64, source: MessageSource) -> Event {
    event(id, time, EventKind::Message { source, agent: None, message_id: None, text: None })
}

pub fn human(id: &str, time: i64) -> Event {
    message(id, time, MessageSource::User)
}

pub fn contact(id: &str, time: i64) -> Event {
    message(id, time, MessageSource::Contact)
}

pub fn assigned(id: &str, time: i64, kind: AssigneeKind) -> Event {
    event(id, time, EventKind::Assigned(Assignee { kind, id: "ana".into(), name: None }))
}

pub fn closed(id: &str, time: i64) -> Event {
    event(id, time, EventKind::Closed { source: ClosingSource::User, by: Some("ana".into()), note: None })
}

pub fn opened(id: &str, time: i64) -> Event {
    event(id, time, EventKind::Opened { source: OpeningSource::User, by: None })
}

pub fn snoozed(id: &str, time: i64, until: i64) -> Event {
    event(id, time, EventKind::Snoozed { until: at(until) })
}
