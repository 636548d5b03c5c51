//! CloudEvents 1.0 out (CONTRACT.md, "Events out"). A function of the notice alone: the same fact is the same event, with
//! the same id, whoever renders it and however often.

use serde::Serialize;
use uuid::Uuid;

use super::categories::CategoryView;
use super::conversation::{ConversationView, NoteView};
use super::settings::SettingsView;
use super::time::{self, Rfc3339};
use crate::domain::event::ClosingSource;
use crate::domain::notice::Cause;
use crate::domain::{ConversationNotice, EventName, Notice, NoticeKind, Settings, Timestamp};
use crate::faults::{Bug, planted};

/// A notification as the CloudEvent everybody gets.
#[derive(Serialize)]
pub struct CloudEvent<'a> {
    specversion: &'static str,
    id: String,
    source: &'static str,
    #[serde(rename = "type")]
    type_name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    workspace: &'a str,
    time: Rfc3339,
    sequence: String,
    datacontenttype: &'static str,
    data: DataView<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum DataView<'a> {
    Conversation {
        conversation: Box<ConversationView<'a>>,
        cause: CauseView<'a>,
        #[serde(flatten)]
        more: Option<MoreView<'a>>,
    },
    Settings {
        settings: SettingsView<'a>,
        categories: Vec<CategoryView<'a>>,
        cause: CauseView<'a>,
    },
}

/// What some say beyond the conversation.
#[derive(Serialize)]
#[serde(untagged)]
enum MoreView<'a> {
    Closed(ClosedView<'a>),
    Noted(NotedView<'a>),
}

/// The note, and the episode whose close it is of.
#[derive(Serialize)]
struct NotedView<'a> {
    episode: u32,
    note: Option<NoteView<'a>>,
}

/// What a close says beyond the conversation. The first two are null where it was not the timer.
#[derive(Serialize)]
struct ClosedView<'a> {
    closed_source: Option<&'static str>,
    scheduled_close_at: Option<Rfc3339>,
    late_ms: Option<i64>,
    episode: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<NoteView<'a>>,
    /// What the workspace would have the contact told now: sending it is the product's.
    #[serde(skip_serializing_if = "Option::is_none")]
    farewell: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum CauseView<'a> {
    Event {
        id: &'a str,
        source: &'a str,
        #[serde(rename = "type")]
        type_name: &'a str,
        time: Rfc3339,
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        message_id: Option<&'a str>,
    },
    AutoClose {
        deadline: Rfc3339,
        late_ms: i64,
        period: String,
        armed_by: ArmedByView<'a>,
    },
    DeadlineNear {
        deadline: Rfc3339,
        period: String,
        armed_by: ArmedByView<'a>,
    },
    /// A note by whoever writes them where nobody did, or why there is none.
    Writer {
        episode: u32,
        writer: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'a str>,
    },
    SnoozeElapsed,
    Settings {
        version: u64,
    },
}

#[derive(Serialize)]
pub(super) struct ArmedByView<'a> {
    id: &'a str,
    source: &'a str,
    time: Rfc3339,
}

impl<'a> ArmedByView<'a> {
    fn new(name: &'a EventName, at: Timestamp) -> Self {
        Self { id: name.id(), source: name.source(), time: Rfc3339(at) }
    }
}

impl<'a> CloudEvent<'a> {
    /// The same for the same fact, for ever.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn new(notice: &'a Notice) -> Self {
        match notice {
            Notice::Conversation(notice) => Self::of_conversation(notice),
            Notice::Settings { workspace, at, settings, replaces } => Self::of_settings(workspace, *at, settings, *replaces),
        }
    }

    fn of_conversation(notice: &'a ConversationNotice) -> Self {
        let ConversationNotice { key, kind, at, cause, snapshot } = notice;
        let name = Named { workspace: key.workspace(), conversation: key.conversation(), opened_at: snapshot.opened_at };
        let data = DataView::Conversation {
            conversation: Box::new(ConversationView::new(key, snapshot)),
            cause: CauseView::new(cause),
            more: MoreView::of(notice),
        };
        let sequence = sequence(snapshot.created_at, snapshot.version);
        Self { subject: Some(key.conversation()), ..Self::envelope(&name, *kind, snapshot.version, *at, sequence, data) }
    }

    fn of_settings(workspace: &'a str, at: Timestamp, settings: &'a Settings, replaces: bool) -> Self {
        let version = settings.version;
        let name = Named { workspace, conversation: "", opened_at: None };
        let categories = settings.categories.iter().map(CategoryView::new).collect();
        let data = DataView::Settings { settings: SettingsView::new(settings), categories, cause: CauseView::Settings { version } };
        // Of two of one version the version says nothing: what they say tells them apart.
        let said = replaces.then(|| serde_json::to_string(&data).unwrap_or_default());
        let sequence = sequence(Timestamp::from_millis(0), version);
        let told = Self::envelope(&name, NoticeKind::SettingsChanged, version, at, sequence, data);
        match said {
            Some(said) => Self { id: uuid_of(&[&told.id, "/", &said].concat()), ..told },
            None => told,
        }
    }

    fn envelope(name: &Named<'a>, kind: NoticeKind, version: u64, at: Timestamp, sequence: String, data: DataView<'a>) -> Self {
        Self {
            specversion: "1.0",
            id: name.id(version, kind),
            source: "/adjourn",
            type_name: kind.as_str(),
            subject: None,
            workspace: name.workspace,
            time: Rfc3339(at),
            sequence,
            datacontenttype: "application/json",
            data,
        }
    }
}

/// Whom a notification is about, in the life that began with this opening.
struct Named<'a> {
    workspace: &'a str,
    conversation: &'a str,
    opened_at: Option<Timestamp>,
}

impl Named<'_> {
    /// Made of what it tells, so that a close that is told again after a crash has the id it had before (D3).
    fn id(&self, version: u64, kind: NoticeKind) -> String {
        if kind == NoticeKind::Closed && planted(Bug::RandomCloseId) {
            return Uuid::new_v4().hyphenated().to_string();
        }
        let opened_at = self.opened_at.map(time::format).unwrap_or_default();
        let mut digits = itoa::Buffer::new();
        let text = [self.workspace, self.conversation, &opened_at, digits.format(version), kind.as_str()].join("/");
        uuid_of(&text)
    }
}

fn uuid_of(text: &str) -> String {
    let id = Uuid::new_v5(&Uuid::NAMESPACE_URL, text.as_bytes());
    id.hyphenated().encode_lower(&mut Uuid::encode_buffer()).to_owned()
}

/// Sorts as text: a conversation's notifications by version, those of a later life after those of an earlier one.
fn sequence(created_at: Timestamp, version: u64) -> String {
    let mut text = String::with_capacity(26);
    push_padded(&mut text, created_at.as_millis(), 15);
    text.push('-');
    push_padded(&mut text, version, 10);
    text
}

/// At least so many digits.
fn push_padded(text: &mut String, number: impl itoa::Integer, width: usize) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(number);
    text.extend(std::iter::repeat_n('0', width.saturating_sub(digits.len())));
    text.push_str(digits);
}

impl<'a> MoreView<'a> {
    fn of(notice: &'a ConversationNotice) -> Option<Self> {
        match notice.kind {
            NoticeKind::Closed => Some(Self::Closed(ClosedView::new(notice))),
            NoticeKind::NoteAdded | NoticeKind::NoteFailed => Some(Self::Noted(NotedView::new(notice))),
            _ => None,
        }
    }
}

impl<'a> NotedView<'a> {
    fn new(notice: &'a ConversationNotice) -> Self {
        let (episode, note) = match &notice.cause {
            Cause::Writer { episode, note, .. } => (*episode, note),
            _ => (notice.snapshot.episode, &notice.snapshot.closing_note),
        };
        Self { episode, note: note.as_ref().map(NoteView::new) }
    }
}

impl<'a> ClosedView<'a> {
    fn new(notice: &'a ConversationNotice) -> Self {
        let ConversationNotice { cause, snapshot, .. } = notice;
        let (late_ms, farewell) = match cause {
            Cause::AutoClose { late, farewell, .. } => (Some(late.as_millis()), farewell.as_deref()),
            Cause::Event { .. } | Cause::DeadlineNear { .. } | Cause::Writer { .. } | Cause::SnoozeElapsed | Cause::Settings { .. } => {
                (None, None)
            }
        };
        Self {
            closed_source: snapshot.closed_source.map(ClosingSource::as_str),
            scheduled_close_at: snapshot.scheduled_close_at.map(Rfc3339),
            late_ms,
            episode: snapshot.episode,
            note: snapshot.closing_note.as_ref().map(NoteView::new),
            farewell,
        }
    }
}

impl<'a> CauseView<'a> {
    pub(super) fn new(cause: &'a Cause) -> Self {
        match cause {
            Cause::Event { name, type_name, time, by, message_id } => Self::Event {
                id: name.id(),
                source: name.source(),
                type_name,
                time: Rfc3339(*time),
                by: by.as_deref(),
                message_id: message_id.as_deref(),
            },
            Cause::AutoClose { deadline, late, period, armed_by, armed_at, farewell: _ } => Self::AutoClose {
                deadline: Rfc3339(*deadline),
                late_ms: late.as_millis(),
                period: period.to_string(),
                armed_by: ArmedByView::new(armed_by, *armed_at),
            },
            Cause::DeadlineNear { deadline, period, armed_by, armed_at } => Self::DeadlineNear {
                deadline: Rfc3339(*deadline),
                period: period.to_string(),
                armed_by: ArmedByView::new(armed_by, *armed_at),
            },
            Cause::Writer { episode, writer, reason, note: _ } => Self::Writer { episode: *episode, writer, reason: reason.as_deref() },
            Cause::SnoozeElapsed => Self::SnoozeElapsed,
            Cause::Settings { version } => Self::Settings { version: *version },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::conversation::samples;
    use super::*;
    use crate::domain::Span;
    use crate::domain::notice::Status;

    fn armed_by() -> EventName {
        EventName::new("/ingest", "m-1").unwrap()
    }

    fn notice(kind: NoticeKind, cause: Cause) -> ConversationNotice {
        ConversationNotice { key: samples::key(), kind, at: Timestamp::from_millis(1_795_428_000_040), cause, snapshot: samples::open() }
    }

    fn json_of(notice: ConversationNotice) -> Value {
        serde_json::to_value(CloudEvent::new(&Notice::Conversation(Box::new(notice)))).unwrap()
    }

    #[test]
    fn a_timer_notification_carries_the_conversation_and_its_cause() {
        let at = Timestamp::from_millis(1_795_341_600_000);
        let json = json_of(notice(
            NoticeKind::Armed,
            Cause::Event { name: armed_by(), type_name: "inbox.message.v1".into(), time: at, by: None, message_id: None },
        ));
        let text = "acme/conv-42/2026-11-22T10:00:00.000Z/17/adjourn.timer.armed.v1";
        assert_eq!(json["id"], Uuid::new_v5(&Uuid::NAMESPACE_URL, text.as_bytes()).to_string());
        assert_eq!(json["type"], "adjourn.timer.armed.v1");
        assert_eq!((&json["subject"], &json["workspace"]), (&json!("conv-42"), &json!("acme")));
        assert_eq!(json["sequence"], "001795341600001-0000000017");
        assert_eq!(json["time"], "2026-11-23T10:00:00.040Z");
        assert_eq!(json["data"]["conversation"]["scheduled_close_at"], "2026-11-23T10:00:00.000Z");
        let cause =
            json!({"kind": "event", "id": "m-1", "source": "/ingest", "type": "inbox.message.v1", "time": "2026-11-22T10:00:00.000Z"});
        assert_eq!(json["data"]["cause"], cause);
        assert_eq!(json["data"].as_object().unwrap().len(), 2, "only a close says more");
    }

    #[test]
    fn l13_an_auto_close_tells_its_story() {
        let deadline = Timestamp::from_millis(1_795_428_000_000);
        let cause = Cause::AutoClose {
            deadline,
            late: Span::from_millis(40),
            period: Span::from_hours(24),
            armed_by: armed_by(),
            armed_at: Timestamp::from_millis(1_795_341_600_000),
            farewell: Some("Write any time".into()),
        };
        let mut closed = notice(NoticeKind::Closed, cause);
        closed.snapshot.status = Status::Closed;
        closed.snapshot.closed_source = Some(ClosingSource::AutoClose);
        let data = &json_of(closed)["data"];
        assert_eq!((&data["closed_source"], &data["late_ms"], &data["episode"]), (&json!("auto_close"), &json!(40), &json!(3)));
        assert_eq!(data["scheduled_close_at"], "2026-11-23T10:00:00.000Z");
        assert_eq!(
            data["cause"],
            json!({"kind": "auto_close", "deadline": "2026-11-23T10:00:00.000Z", "late_ms": 40, "period": "24h",
                   "armed_by": {"id": "m-1", "source": "/ingest", "time": "2026-11-22T10:00:00.000Z"}})
        );
        assert!(data.get("note").is_none());
        assert_eq!(data["farewell"], "Write any time");
    }

    #[test]
    fn settings_have_no_subject() {
        let notice = Notice::Settings {
            workspace: "acme".into(),
            at: Timestamp::from_millis(0),
            settings: Box::new(Settings { version: 4, ..Settings::default() }),
            replaces: false,
        };
        let json = serde_json::to_value(CloudEvent::new(&notice)).unwrap();
        assert!(json.get("subject").is_none());
        assert_eq!(json["id"], Uuid::new_v5(&Uuid::NAMESPACE_URL, b"acme///4/adjourn.settings.changed.v1").to_string());
        assert_eq!(json["data"]["settings"]["auto_close"]["period"], "24h");
        assert_eq!(json["data"]["categories"], json!([]));
        assert_eq!(json["data"]["cause"], json!({"kind": "settings", "version": 4}));
    }

    /// After a store has lost its last second there may be two of one version: whoever knows the one is to take in the other.
    #[test]
    fn settings_in_the_place_of_others_have_an_id_of_their_own() {
        let told = |period, replaces| {
            let settings = Box::new(Settings { version: 4, period: Span::from_hours(period), ..Settings::default() });
            let notice = Notice::Settings { workspace: "acme".into(), at: Timestamp::from_millis(0), settings, replaces };
            CloudEvent::new(&notice).id
        };
        assert_eq!(told(1, false), told(2, false));
        let ids: std::collections::BTreeSet<String> = [told(1, false), told(1, true), told(2, true)].into();
        assert_eq!((ids.len(), told(2, true)), (3, told(2, true)));
    }

    #[test]
    fn sequences_sort_as_text() {
        let at = |ms, version| sequence(Timestamp::from_millis(ms), version);
        assert!(at(1, 9) < at(1, 10) && at(1, u64::from(u32::MAX)) < at(2, 1));
    }
}
