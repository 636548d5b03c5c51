//! The stored form of a notification: the outbox keeps facts, the edge renders them.

use super::RecordError;
use super::form::{Form, Reader, Writer, fields, variants};
use crate::domain::notice::{Cause, Status};
use crate::domain::{ConversationNotice, Notice, NoticeKind, Snapshot};

fields!(ConversationNotice { key, kind, at, cause, snapshot });
fields!(Snapshot {
    created_at,
    status,
    episode,
    version,
    opened_at,
    opened_source,
    last_contact_message_at,
    last_human_message_at,
    snoozed_until,
    scheduled_close_at,
    closed_at,
    closed_source,
    closed_by,
    closing_note,
    assignee,
    blocked,
    messages;
    2: hold, exemption,
});

/// Settings in the place of others of their version have a number of their own: hardly ever is one written.
impl Form for Notice {
    fn write<'a>(&'a self, to: &mut Writer<'a>) {
        match self {
            Self::Conversation(notice) => {
                to.variant(0, 1);
                notice.write(to);
            }
            Self::Settings { workspace, at, settings, replaces } => {
                to.variant(if *replaces { 2 } else { 1 }, 3);
                workspace.write(to);
                at.write(to);
                settings.write(to);
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        let what = "a notification";
        match from.variant(what)? {
            (0, 1) => Ok(Self::Conversation(Form::read(from)?)),
            (code @ (1 | 2), 3) => {
                let (workspace, at, settings) = (Form::read(from)?, Form::read(from)?, Form::read(from)?);
                Ok(Self::Settings { workspace, at, settings, replaces: code == 2 })
            }
            (code, parts) => Err(from.unexpected(what, format_args!("variant {code} of {parts} fields"))),
        }
    }
}
variants!(Cause, "a cause" {
    0 = Event { name, type_name, time; 2: by, message_id },
    1 = AutoClose { deadline, late, period, armed_by, armed_at; 2: farewell },
    2 = SnoozeElapsed,
    3 = Settings { version },
    4 = DeadlineNear { deadline, period, armed_by, armed_at },
    5 = Writer { episode, note, writer, reason },
});
variants!(Status, "a status" { 0 = Open, 1 = Snoozed, 2 = Closed });
variants!(NoticeKind, "a kind of notification" {
    0 = Armed, 1 = Reset, 2 = Cancelled, 3 = Suspended, 4 = Resumed, 5 = Opened, 6 = Closed, 7 = Reopened, 8 = Reversed, 9 = Assigned,
    10 = Unassigned, 11 = Snoozed, 12 = Unsnoozed, 13 = Blocked, 14 = Unblocked, 15 = SettingsChanged, 16 = ClosingSoon,
    17 = NoteAdded, 18 = NoteFailed,
});
