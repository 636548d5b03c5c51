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

variants!(Notice, "a notification" { 0 = Conversation(notice), 1 = Settings { workspace, at, settings } });
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
