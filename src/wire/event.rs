//! CloudEvents 1.0 in (CONTRACT.md, "Events in"): from JSON, from MessagePack, and from attributes beside the data.

use std::borrow::Cow;

use serde::Deserialize;

use super::member::{Member, Members, Nested, members};
use super::problem::{EventProblem, Fault};
use super::split::{json_is_shallow, msgpack_is_shallow, utf8};
use super::time;
use crate::domain::categories::CATEGORY_CHARS_MAX;
use crate::domain::event::{Assignee, AssigneeKind, ClosingSource, MessageSource, Note, OpeningSource, SUMMARY_CHARS_MAX, Text};
use crate::domain::id::{is_name, is_printable};
use crate::domain::{ConversationKey, Event, EventKind, EventName, Timestamp};

/// Characters in a name of a person: an agent, a closer, an assignee.
pub const PERSON_CHARS_MAX: usize = 256;

/// A well-formed CloudEvent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Parsed {
    Event(Event),
    /// Of a type this service has no rule for: accepted, counted, and otherwise ignored (T20).
    Ignored {
        type_name: Box<str>,
    },
}

members! {
    /// The attributes of a CloudEvent.
    Envelope {
        specversion = "specversion": Member<'a>,
        id = "id": Member<'a>,
        source = "source": Member<'a>,
        type_name = "type": Member<'a>,
        subject = "subject": Member<'a>,
        workspace = "workspace": Member<'a>,
        time = "time": Member<'a>,
        data = "data": Nested<Data<'a>>,
    }
}

members! {
    /// Whatever any type of event may carry.
    Data {
        source = "source": Member<'a>,
        agent = "agent": Member<'a>,
        message_id = "message_id": Member<'a>,
        text = "text": Member<'a>,
        channel = "channel": Member<'a>,
        by = "by": Member<'a>,
        note = "note": Nested<NoteMembers<'a>>,
        assignee = "assignee": Nested<AssigneeMembers<'a>>,
        until = "until": Member<'a>,
    }
}

members! {
    NoteMembers { category = "category": Member<'a>, summary = "summary": Member<'a> }
}

members! {
    AssigneeMembers { kind = "kind": Member<'a>, id = "id": Member<'a>, name = "name": Member<'a> }
}

/// One event in structured JSON.
///
/// # Errors
/// [`EventProblem`] names the member and what to do.
pub fn parse_json(bytes: &[u8]) -> Result<Parsed, EventProblem> {
    judge(&json_object::<Envelope>(bytes)?)
}

/// One event as a MessagePack map with the members of the JSON form.
///
/// # Errors
/// [`EventProblem`] names the member and what to do.
pub fn parse_msgpack(bytes: &[u8]) -> Result<Parsed, EventProblem> {
    let malformed = |reason: String| Fault::MalformedMsgpack { reason: reason.into() };
    match msgpack_is_shallow(bytes) {
        Some(true) => {}
        Some(false) => return Err(Fault::TooDeep.into()),
        None => return Err(malformed("it ends too early".to_owned()).into()),
    }
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(bytes);
    match Nested::deserialize(&mut deserializer).map_err(|error| malformed(error.to_string()))? {
        Nested::Object(envelope) => judge(&envelope),
        Nested::Absent | Nested::Other => Err(Fault::NotAnObject.into()),
    }
}

/// One event in binary mode: its attributes by name, without `ce-` and decoded, and the data as JSON (empty: none).
///
/// # Errors
/// [`EventProblem`] names the member and what to do.
pub fn parse_binary<'a>(attributes: impl IntoIterator<Item = (&'a str, Cow<'a, str>)>, data: &[u8]) -> Result<Parsed, EventProblem> {
    let mut envelope = Envelope::default();
    for (name, value) in attributes {
        let member = match name {
            "specversion" => &mut envelope.specversion,
            "id" => &mut envelope.id,
            "source" => &mut envelope.source,
            "type" => &mut envelope.type_name,
            "subject" => &mut envelope.subject,
            "workspace" => &mut envelope.workspace,
            "time" => &mut envelope.time,
            _ => continue,
        };
        *member = Member::Text(value);
    }
    if !data.trim_ascii().is_empty() {
        let unreadable =
            |problem: EventProblem| EventProblem { id: readable_id(&envelope), conversation: readable_conversation(&envelope), ..problem };
        envelope.data = Nested::Object(json_object::<Data>(data).map_err(unreadable)?);
    }
    judge(&envelope)
}

fn json_object<'a, T: Members<'a>>(bytes: &'a [u8]) -> Result<T, EventProblem> {
    let text = utf8(bytes)?;
    if !json_is_shallow(bytes) {
        return Err(Fault::TooDeep.into());
    }
    match serde_json::from_str(text) {
        Ok(Nested::Object(object)) => Ok(object),
        Ok(Nested::Absent | Nested::Other) => Err(Fault::NotAnObject.into()),
        Err(error) => Err(Fault::MalformedJson { reason: error.to_string().into() }.into()),
    }
}

fn judge(envelope: &Envelope) -> Result<Parsed, EventProblem> {
    let problem = |fault| EventProblem { id: readable_id(envelope), conversation: readable_conversation(envelope), fault };
    parsed(envelope).map_err(problem)
}

/// The conversation, where it is named: what it says of that nobody can read, but it might have been the reply (D2).
fn readable_conversation(envelope: &Envelope) -> Option<ConversationKey> {
    match (&envelope.workspace, &envelope.subject) {
        (Member::Text(workspace), Member::Text(subject)) => ConversationKey::new(workspace, subject).ok(),
        _ => None,
    }
}

/// The id, where it is one: what the producer finds the event by.
fn readable_id(envelope: &Envelope) -> Option<Box<str>> {
    match &envelope.id {
        Member::Text(id) if is_printable(id) => Some(id.as_ref().into()),
        _ => None,
    }
}

fn parsed(envelope: &Envelope) -> Result<Parsed, Fault> {
    let Envelope { specversion, id, source, type_name, subject, workspace, time, data } = envelope;
    if specversion.required("specversion")? != "1.0" {
        return Err(Fault::UnsupportedSpecversion);
    }
    let id = printable(id.required("id")?, "id")?;
    let source = printable(source.required("source")?, "source")?;
    let type_name = printable(type_name.required("type")?, "type")?;
    let time = instant(time.required("time")?, "time")?;
    let Some(kind) = Kind::of(type_name) else {
        subject.text("subject")?;
        workspace.text("workspace")?;
        return Ok(Parsed::Ignored { type_name: type_name.into() });
    };
    let subject = name(subject.required("subject")?, "subject")?;
    let workspace = name(workspace.required("workspace")?, "workspace")?;
    let kind = kind.read(data)?;
    let conversation = ConversationKey::new(workspace, subject).map_err(|_| Fault::InvalidName { member: "subject" })?;
    let name = EventName::new(source, id).map_err(|_| Fault::NotPrintable { member: "id" })?;
    Ok(Parsed::Event(Event { name, conversation, time, kind }))
}

/// The types there are rules for.
#[derive(Clone, Copy)]
enum Kind {
    Message,
    MessageFailed,
    Opened,
    Closed,
    Assigned,
    Unassigned,
    Snoozed,
    Unsnoozed,
    Blocked,
    Unblocked,
}

impl Kind {
    fn of(type_name: &str) -> Option<Self> {
        Some(match type_name {
            "inbox.message.v1" => Self::Message,
            "inbox.message_failed.v1" => Self::MessageFailed,
            "inbox.conversation.opened.v1" => Self::Opened,
            "inbox.conversation.closed.v1" => Self::Closed,
            "inbox.conversation.assigned.v1" => Self::Assigned,
            "inbox.conversation.unassigned.v1" => Self::Unassigned,
            "inbox.conversation.snoozed.v1" => Self::Snoozed,
            "inbox.conversation.unsnoozed.v1" => Self::Unsnoozed,
            "inbox.contact.blocked.v1" => Self::Blocked,
            "inbox.contact.unblocked.v1" => Self::Unblocked,
            _ => return None,
        })
    }

    fn read(self, data: &Nested<Data>) -> Result<EventKind, Fault> {
        Ok(match self {
            Self::Message => message(data.required("data")?)?,
            Self::MessageFailed => {
                let id = data.required("data")?.message_id.required("data.message_id")?;
                EventKind::MessageFailed { message_id: printable(id, "data.message_id")?.into() }
            }
            Self::Opened => opened(data.required("data")?)?,
            Self::Closed => closed(data.required("data")?)?,
            Self::Assigned => EventKind::Assigned(assignee(data.required("data")?.assignee.required("data.assignee")?)?),
            Self::Snoozed => {
                let until = data.required("data")?.until.required("data.until")?;
                EventKind::Snoozed { until: instant(until, "data.until")? }
            }
            Self::Unassigned => EventKind::Unassigned,
            Self::Unsnoozed => EventKind::Unsnoozed,
            Self::Blocked => EventKind::Blocked,
            Self::Unblocked => EventKind::Unblocked,
        })
    }
}

fn message(data: &Data) -> Result<EventKind, Fault> {
    // Nothing is decided by either; only what nobody could have meant is refused.
    let text = loose(&data.text, "data.text")?.filter(|text| !text.is_empty()).map(|text| Text(text.into()));
    loose(&data.channel, "data.channel")?;
    let message_id = data.message_id.text("data.message_id")?.map(|id| printable(id, "data.message_id")).transpose()?;
    Ok(EventKind::Message {
        source: source(&data.source, MessageSource::parse, MessageSource::ALL.iter().map(|s| s.as_str()))?,
        agent: person(&data.agent, "data.agent")?,
        message_id: message_id.map(Into::into),
        text,
    })
}

/// A text, where it is one.
fn loose<'a>(member: &'a Member, name: &'static str) -> Result<Option<&'a str>, Fault> {
    match member.text(name) {
        Err(fault @ Fault::TooLong { .. }) => Err(fault),
        text => Ok(text.unwrap_or(None)),
    }
}

fn opened(data: &Data) -> Result<EventKind, Fault> {
    Ok(EventKind::Opened {
        source: source(&data.source, OpeningSource::parse, OpeningSource::ALL.iter().map(|s| s.as_str()))?,
        by: person(&data.by, "data.by")?,
    })
}

fn closed(data: &Data) -> Result<EventKind, Fault> {
    let others = ClosingSource::ALL.iter().filter(|s| **s != ClosingSource::AutoClose).map(|s| s.as_str());
    let source = source(&data.source, ClosingSource::parse, others)?;
    if source == ClosingSource::AutoClose {
        return Err(Fault::ReservedSource);
    }
    let note = data.note.object("data.note")?.map(note).transpose()?;
    Ok(EventKind::Closed { source, by: person(&data.by, "data.by")?, note: note.flatten() })
}

fn note(members: &NoteMembers) -> Result<Option<Note>, Fault> {
    let category = bounded(&members.category, "data.note.category", CATEGORY_CHARS_MAX)?;
    let summary = bounded(&members.summary, "data.note.summary", SUMMARY_CHARS_MAX)?;
    Ok((category.is_some() || summary.is_some()).then_some(Note { category, summary }))
}

fn assignee(members: &AssigneeMembers) -> Result<Assignee, Fault> {
    let kind = members.kind.required("data.assignee.kind")?;
    let kind = AssigneeKind::parse(kind).ok_or_else(|| unknown("data.assignee.kind", AssigneeKind::ALL.iter().map(|k| k.as_str())))?;
    let id = printable(members.id.required("data.assignee.id")?, "data.assignee.id")?.into();
    Ok(Assignee { kind, id, name: person(&members.name, "data.assignee.name")? })
}

fn source<T>(member: &Member, parse: fn(&str) -> Option<T>, allowed: impl Iterator<Item = &'static str>) -> Result<T, Fault> {
    parse(member.required("data.source")?).ok_or_else(|| unknown("data.source", allowed))
}

fn unknown(member: &'static str, allowed: impl Iterator<Item = &'static str>) -> Fault {
    Fault::UnknownValue { member, allowed: allowed.collect::<Vec<_>>().join(", ").into() }
}

/// A person's name or id: any text of bounded length, an empty one is none.
fn person(member: &Member, name: &'static str) -> Result<Option<Box<str>>, Fault> {
    bounded(member, name, PERSON_CHARS_MAX)
}

fn bounded(member: &Member, name: &'static str, max: usize) -> Result<Option<Box<str>>, Fault> {
    match member.text(name)? {
        None | Some("") => Ok(None),
        Some(text) if text.len() > max && text.chars().count() > max => Err(Fault::TooLong { member: name, max, unit: "characters" }),
        Some(text) => Ok(Some(text.into())),
    }
}

fn printable<'a>(text: &'a str, member: &'static str) -> Result<&'a str, Fault> {
    if is_printable(text) { Ok(text) } else { Err(Fault::NotPrintable { member }) }
}

fn name<'a>(text: &'a str, member: &'static str) -> Result<&'a str, Fault> {
    if is_name(text) { Ok(text) } else { Err(Fault::InvalidName { member }) }
}

fn instant(text: &str, member: &'static str) -> Result<Timestamp, Fault> {
    time::parse(text).ok_or(Fault::InvalidTime { member })
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
