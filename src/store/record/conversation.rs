//! The stored form of a conversation's row, and of what its facts are made of.

use super::RecordError;
use super::form::{Form, Reader, Writer, fields, variants};
use crate::domain::Conversation;
use crate::domain::commands::{BlockCommand, BlockState, Command, CommandLog, SnoozeCommand, SnoozeState};
use crate::domain::conversation::{Assignment, AutoClosing, Closing, MessageCounts, Opening, Seen, Told, ToldTimer};
use crate::domain::event::{Assignee, AssigneeKind, ClosingSource, Note, OpeningSource};
use crate::domain::facts::{CloseCommand, Facts, HumanMessage, Opener};
use crate::domain::hold::{Hold, Holding};
use crate::domain::id::Fingerprint;
use crate::domain::kept::{Kept, Pending};
use crate::domain::order::Border;

// The times come in the order in which they mostly happened, so that the distances between them stay short.
fields!(Conversation {
    created_at,
    version,
    episode,
    opening,
    facts,
    touched_at,
    told,
    closing,
    floor,
    next,
    late,
    assignment,
    blocks,
    messages,
    set_aside,
    last_notification,
    seen;
    2: holding;
    3: texts, pending_note,
});

fields!(Kept or nil { from, to });
fields!(Pending { episode, tries, next_at, close, texts });
fields!(MessageCounts or nil { incoming, outgoing });
fields!(Assignment or nil { assigned, unassigned });
fields!(Assignee { kind, id, name });
fields!(Opening { position, source, enable_epoch });
fields!(Closing { source, by, note, closed_at, border, auto; 3: agent });
fields!(Note { category, summary });
fields!(AutoClosing { deadline, period, armed_by, armed_at });
fields!(Holding or nil { hold, exemption, released_at });
fields!(Hold { until, reason, by });
fields!(Told or nil { timer, snoozed_until; 2: warned });
fields!(Facts or nil { openers, opened, contact, humans, last_human_at, failures, snoozes, closes });
fields!(HumanMessage { position, accepted_at, message_id, period, arms, failed; 3: stamped_by });
fields!(Opener { position, source });
fields!(CloseCommand { position, source, by, note });
fields!(SnoozeState or nil { until, ended });
fields!(BlockState or nil { blocked, unblocked_at });

variants!(ToldTimer, "what was told of the timer" { 0 = None, 1 = Running(at), 2 = Snoozed(at), 3 = Suspended, 4 = SuspendedUntold });
variants!(SnoozeCommand, "a snooze command" { 0 = End, 1 = Until(until) });
variants!(BlockCommand, "a block command" { 0 = Unblock, 1 = Block });
variants!(Border, "the border of an episode" { 0 = Instant(at), 1 = Event(position) });
variants!(AssigneeKind, "a kind of assignee" { 0 = Human, 1 = AiAgent });
variants!(OpeningSource, "an opening source" {
    0 = User, 1 = Contact, 2 = Workflow, 3 = Api, 4 = Zapier, 5 = Make, 6 = CtcAds, 7 = GrowthWidget,
});
variants!(ClosingSource, "a closing source" {
    0 = User, 1 = Workflow, 2 = Api, 3 = Zapier, 4 = Bot, 5 = Make, 6 = N8n, 7 = AiAgent, 8 = AutoClose,
});

impl<C: Command + Form> Form for CommandLog<C>
where
    C::State: Form + PartialEq,
{
    fn write<'a>(&'a self, to: &mut Writer<'a>) {
        let Self { base, floor, recent } = self;
        if recent.is_empty() && floor.is_none() && *base == C::State::default() {
            return to.nil();
        }
        to.array(3);
        base.write(to);
        floor.write(to);
        recent.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        if from.is_nil() {
            return Ok(Self::default());
        }
        from.array(3, "a list of commands")?;
        Ok(Self { base: Form::read(from)?, floor: Form::read(from)?, recent: Form::read(from)? })
    }
}

/// One run of bytes, eight a name: they are random and do not get shorter any other way.
impl Form for Seen {
    fn write<'a>(&'a self, to: &mut Writer<'a>) {
        let Self { recent, ahead } = self;
        to.array(2);
        to.bin(recent.len() * 8);
        for name in recent {
            to.raw(&name.0.to_be_bytes());
        }
        ahead.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        from.array(2, "the names seen")?;
        let (names, rest) = from.bin("the names seen")?.as_chunks::<8>();
        if !rest.is_empty() {
            return Err(from.unexpected("the names seen", format_args!("{} bytes too many", rest.len())));
        }
        let recent = names.iter().map(|name| Fingerprint(u64::from_be_bytes(*name))).collect();
        Ok(Self { recent, ahead: Form::read(from)? })
    }
}

impl Form for Fingerprint {
    fn write<'a>(&'a self, to: &mut Writer<'a>) {
        self.0.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        Form::read(from).map(Self)
    }
}
