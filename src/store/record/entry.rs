//! The stored forms of what a log holds, and of what was set aside from it.

use super::RecordError;
use super::form::{Form, Reader, Writer, fields, variants};
use crate::domain::categories::Category;
use crate::domain::event::{MessageSource, Text};
use crate::domain::settings::{NotesMode, Running};
use crate::domain::{ConversationKey, Event, EventKind, EventName, PartitionId, Settings};
use crate::store::{DeadLetter, DeadLetterAction, Entry, LogId, Unreadable};

fields!(Category { name, description });
fields!(Event { conversation, time, name, kind });
fields!(LogId { ms, seq });
fields!(DeadLetter { partition, id, conversation, reason, entry });
fields!(Settings {
    version,
    enable_epoch,
    enabled,
    period,
    echo_arms,
    late_reply_window,
    notes_mode,
    notes_auto_generate,
    warning_before,
    farewell;
    2: categories;
    3: running,
});
fields!(Running { version, period, at, rate });

variants!(Entry, "a log entry" { 0 = Event(event), 1 = Settings { workspace, settings }, 2 = DeadLetter { id, action }, 3 = Again { event, accepted_at }, 4 = Ignored { type_name }, 5 = Command { command, expected } });
variants!(EventKind, "an event" {
    0 = Message { source, agent, message_id; 3: text },
    1 = MessageFailed { message_id },
    2 = Opened { source, by },
    3 = Closed { source, by, note },
    4 = Assigned(assignee),
    5 = Unassigned,
    6 = Snoozed { until },
    7 = Unsnoozed,
    8 = Blocked,
    9 = Unblocked,
    10 = Noted { note, by },
    11 = Held { until, reason, by },
    12 = HoldEnded { by },
    13 = Exempted { reason, by },
    14 = ExemptionEnded { by },
    15 = Written { episode, note, by },
    16 = Unwritten { episode, reason, by },
});
variants!(MessageSource, "a message's source" {
    0 = Contact, 1 = User, 2 = Echo, 3 = Broadcast, 4 = Workflow, 5 = AiAgent, 6 = Bot, 7 = Api, 8 = Zapier, 9 = Make, 10 = N8n,
});
variants!(NotesMode, "a notes mode" { 0 = Off, 1 = Optional, 2 = CategoryRequired, 3 = CategoryAndSummaryRequired });
variants!(DeadLetterAction, "what to do with a dead letter" { 0 = Replay, 1 = Dismiss });
variants!(Result<Entry, Unreadable>, "an entry or what could not be read" { 0 = Ok(entry), 1 = Err(unreadable) });

impl Form for Text {
    fn write<'a>(&'a self, to: &mut Writer<'a>) {
        self.0.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        Form::read(from).map(Self)
    }
}

impl Form for ConversationKey {
    fn write<'a>(&'a self, to: &mut Writer<'a>) {
        to.text(self.as_str());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        Self::parse(from.text("a conversation's key")?).map_err(|e| from.unexpected("a conversation's key", e))
    }
}

impl Form for EventName {
    fn write<'a>(&'a self, to: &mut Writer<'a>) {
        to.array(2);
        to.text(self.id());
        to.text(self.source());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        from.array(2, "an event's name")?;
        let (id, source) = (from.text("an event's id")?, from.text("an event's source")?);
        Self::new(source, id).map_err(|e| from.unexpected("an event's name", e))
    }
}

impl Form for PartitionId {
    fn write<'a>(&'a self, to: &mut Writer<'a>) {
        to.uint(u64::from(self.0));
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        from.int("a partition").map(Self)
    }
}

impl Form for Unreadable {
    fn write<'a>(&'a self, to: &mut Writer<'a>) {
        let Self { reason, bytes, conversation: _ } = self;
        to.array(2);
        reason.write(to);
        to.bin(bytes.len());
        to.raw(bytes);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        from.array(2, "unreadable bytes")?;
        Ok(Self { reason: Form::read(from)?, bytes: from.bin("unreadable bytes")?.to_vec(), conversation: None })
    }
}
