//! A conversation as JSON (CONTRACT.md, "Reading and acting"). Every member is always there; what is not known is null.

use serde::Serialize;

use super::time::Rfc3339;
use crate::domain::event::{Assignee, ClosingSource, Note, OpeningSource};
use crate::domain::hold::Hold;
use crate::domain::{ConversationKey, Snapshot, Timestamp};

/// The members of a conversation, borrowed from its snapshot.
#[derive(Serialize)]
pub struct ConversationView<'a> {
    workspace: &'a str,
    id: &'a str,
    status: &'static str,
    episode: u32,
    version: u64,
    opened_at: Option<Rfc3339>,
    opened_source: Option<&'static str>,
    assignee: Option<AssigneeView<'a>>,
    blocked: bool,
    snoozed_until: Option<Rfc3339>,
    scheduled_close_at: Option<Rfc3339>,
    last_human_message_at: Option<Rfc3339>,
    last_contact_message_at: Option<Rfc3339>,
    closed_at: Option<Rfc3339>,
    closed_source: Option<&'static str>,
    closed_by: Option<&'a str>,
    closing_note: Option<NoteView<'a>>,
    messages: MessagesView,
    /// What keeps its timer; only there where there is something.
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<HoldView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exemption: Option<HoldView<'a>>,
}

#[derive(Serialize)]
pub struct AssigneeView<'a> {
    kind: &'static str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

/// A closing note; either part may be missing, and is null then.
#[derive(Serialize)]
pub struct NoteView<'a> {
    category: Option<&'a str>,
    summary: Option<&'a str>,
}

/// Why its timer is kept from closing it, and until when; null: until somebody ends that.
#[derive(Serialize)]
struct HoldView<'a> {
    until: Option<Rfc3339>,
    reason: &'a str,
    by: Option<&'a str>,
}

#[derive(Serialize)]
struct MessagesView {
    incoming: u64,
    outgoing: u64,
}

impl<'a> ConversationView<'a> {
    pub fn new(key: &'a ConversationKey, snapshot: &'a Snapshot) -> Self {
        let at = |instant: Option<Timestamp>| instant.map(Rfc3339);
        Self {
            workspace: key.workspace(),
            id: key.conversation(),
            status: snapshot.status.as_str(),
            episode: snapshot.episode,
            version: snapshot.version,
            opened_at: at(snapshot.opened_at),
            opened_source: snapshot.opened_source.map(OpeningSource::as_str),
            assignee: snapshot.assignee.as_ref().map(AssigneeView::new),
            blocked: snapshot.blocked,
            snoozed_until: at(snapshot.snoozed_until),
            scheduled_close_at: at(snapshot.scheduled_close_at),
            last_human_message_at: at(snapshot.last_human_message_at),
            last_contact_message_at: at(snapshot.last_contact_message_at),
            closed_at: at(snapshot.closed_at),
            closed_source: snapshot.closed_source.map(ClosingSource::as_str),
            closed_by: snapshot.closed_by.as_deref(),
            closing_note: snapshot.closing_note.as_ref().map(NoteView::new),
            messages: MessagesView { incoming: snapshot.messages.incoming, outgoing: snapshot.messages.outgoing },
            hold: snapshot.hold.as_ref().map(HoldView::new),
            exemption: snapshot.exemption.as_ref().map(HoldView::new),
        }
    }
}

impl<'a> AssigneeView<'a> {
    pub fn new(assignee: &'a Assignee) -> Self {
        Self { kind: assignee.kind.as_str(), id: &assignee.id, name: assignee.name.as_deref() }
    }
}

impl<'a> HoldView<'a> {
    fn new(hold: &'a Hold) -> Self {
        Self { until: hold.until.map(Rfc3339), reason: &hold.reason, by: hold.by.as_deref() }
    }
}

impl<'a> NoteView<'a> {
    pub fn new(note: &'a Note) -> Self {
        Self { category: note.category.as_deref(), summary: note.summary.as_deref() }
    }
}

/// Snapshots that tests of several files start from.
#[cfg(test)]
pub mod samples {
    use super::*;
    use crate::domain::conversation::MessageCounts;
    use crate::domain::event::AssigneeKind;
    use crate::domain::notice::Status;

    pub fn key() -> ConversationKey {
        ConversationKey::new("acme", "conv-42").unwrap()
    }

    pub fn open() -> Snapshot {
        Snapshot {
            created_at: Timestamp::from_millis(1_795_341_600_001),
            status: Status::Open,
            episode: 3,
            version: 17,
            opened_at: Some(Timestamp::from_millis(1_795_341_600_000)),
            opened_source: Some(OpeningSource::Contact),
            assignee: Some(Assignee { kind: AssigneeKind::Human, id: "ana".into(), name: Some("Ana".into()) }),
            blocked: false,
            snoozed_until: None,
            scheduled_close_at: Some(Timestamp::from_millis(1_795_428_000_000)),
            last_human_message_at: Some(Timestamp::from_millis(1_795_341_600_000)),
            last_contact_message_at: None,
            closed_at: None,
            closed_source: None,
            closed_by: None,
            closing_note: None,
            messages: MessageCounts { incoming: 4, outgoing: 6 },
            hold: None,
            exemption: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_members_of_the_contract_in_their_order() {
        let (key, snapshot) = (samples::key(), samples::open());
        let json = serde_json::to_string(&ConversationView::new(&key, &snapshot)).unwrap();
        assert_eq!(
            json,
            concat!(
                r#"{"workspace":"acme","id":"conv-42","status":"open","episode":3,"version":17,"#,
                r#""opened_at":"2026-11-22T10:00:00.000Z","opened_source":"contact","#,
                r#""assignee":{"kind":"human","id":"ana","name":"Ana"},"blocked":false,"snoozed_until":null,"#,
                r#""scheduled_close_at":"2026-11-23T10:00:00.000Z","last_human_message_at":"2026-11-22T10:00:00.000Z","#,
                r#""last_contact_message_at":null,"closed_at":null,"closed_source":null,"closed_by":null,"#,
                r#""closing_note":null,"messages":{"incoming":4,"outgoing":6}}"#
            )
        );
    }
}
