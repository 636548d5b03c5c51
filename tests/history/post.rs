//! Events as they are sent.

use adjourn::domain::event::{EventKind, MessageSource};
use adjourn::domain::{ConversationKey, Event, EventName, Span, Timestamp};

use super::plan::{Draft, Kind};
use super::run::WORKSPACE;
use super::time::Ms;

/// Stamped by the true time, as far ahead of it as the draft says.
pub fn event(draft: &Draft, now: Ms) -> Event {
    let time = Timestamp::from_millis(now + draft.ahead_ms);
    let kind = match &draft.kind {
        Kind::Snooze(ms) => EventKind::Snoozed { until: time.plus(Span::from_millis(*ms)) },
        Kind::Event(EventKind::Message { source, agent, .. }) => {
            EventKind::Message { source: *source, agent: agent.clone(), message_id: Some(draft.id.as_str().into()), text: None }
        }
        Kind::Event(kind) => kind.clone(),
    };
    let conversation = ConversationKey::new(WORKSPACE, &format!("c{:03}", draft.conversation)).unwrap();
    Event { name: EventName::new("/sim", &draft.id).unwrap(), conversation, time, kind }
}

pub fn poisoned(prefix: &str, nth: usize, conversation: u64, now: Ms) -> Event {
    let id = format!("{prefix}{nth}");
    let kind = Kind::Event(EventKind::Message { source: MessageSource::User, agent: None, message_id: None, text: None });
    event(&Draft { id, conversation, ahead_ms: 0, kind }, now)
}
