//! Events, in each of the five forms of `POST /v1/events`.

use std::borrow::Cow;
use std::convert::Infallible;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use adjourn::domain::event::{Assignee, Note};
use adjourn::domain::id::is_printable;
use adjourn::domain::{Event, EventKind};
use adjourn::edge::http::lines::{Line, Lines};
use adjourn::edge::http::media;
use adjourn::store::{Entry, record};
use adjourn::wire::problem::Fault;
use adjourn::wire::split::{SplitProblem, json_array, msgpack_array};
use adjourn::wire::{EventProblem, Parsed, parse_binary, parse_json, parse_msgpack, time};
use serde_json::{Map, Value, json};

use super::presentable;

/// Events taken of one body here: small, so that the bound is met often.
const EVENTS_MAX: usize = 8;
/// Longest line here.
const LINE_MAX: usize = 400;

pub fn json(data: &[u8]) {
    judge(parse_json(data));
}

pub fn batch(data: &[u8]) {
    match json_array(data, EVENTS_MAX) {
        Ok(events) => {
            assert!(events.len() <= EVENTS_MAX);
            let joined = [b"[", &events.join(&b","[..])[..], b"]"].concat();
            assert_eq!(json_array(&joined, EVENTS_MAX).as_ref(), Ok(&events), "joined again they are the same");
            events.into_iter().for_each(|event| judge(parse_json(event)));
        }
        Err(problem) => refused(&problem),
    }
}

pub fn msgpack(data: &[u8]) {
    match msgpack_array(data, EVENTS_MAX) {
        Ok(events) => {
            assert!(events.len() <= EVENTS_MAX);
            let joined = [&[0x90 | events.len() as u8][..], &events.concat()].concat();
            assert_eq!(msgpack_array(&joined, EVENTS_MAX).as_ref(), Ok(&events), "joined again they are the same");
            events.into_iter().for_each(|event| judge(parse_msgpack(event)));
        }
        Err(problem) => refused(&problem),
    }
    // Redis hands over one event without a list around it.
    judge(parse_msgpack(data));
}

/// The first byte says in what pieces the body arrives.
pub fn lines(data: &[u8]) {
    let Some((size, body)) = data.split_first() else { return };
    let (in_pieces, at_once) = (split(body, usize::from(*size).max(1)), split(body, body.len().max(1)));
    assert_eq!(in_pieces, at_once, "how a body is cut makes no difference");
    for line in at_once.into_iter().flatten() {
        assert!(line.len() <= LINE_MAX && !line.contains(&b'\n'));
        judge(parse_json(&line));
    }
}

/// `None`: too long.
fn split(body: &[u8], size: usize) -> Vec<Option<Vec<u8>>> {
    let mut found = Vec::new();
    let mut keep = |line: Line| {
        found.push(match line {
            Line::Whole(line) => Some(line.to_vec()),
            Line::TooLong => None,
        });
        Ok::<(), Infallible>(())
    };
    let mut lines = Lines::new(LINE_MAX);
    for piece in body.chunks(size) {
        let Ok(()) = lines.push(piece, &mut keep);
    }
    let Ok(()) = lines.finish(&mut keep);
    found
}

/// Headers, a line each, up to an empty one; then the body.
pub fn binary(data: &[u8]) {
    let end = data.windows(2).position(|two| two == b"\n\n").unwrap_or(data.len());
    let (head, body) = (&data[..end], data.get(end + 2..).unwrap_or_default());
    let mut headers = HeaderMap::new();
    for line in head.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(&line[colon + 1..])) {
            headers.append(name, value);
        }
    }
    let _ = (media::Form::of(&headers), media::wait(&headers));
    judge(parse_binary(media::attributes(&headers), body));
}

fn refused(problem: &SplitProblem) {
    presentable(&problem.to_string());
}

pub fn judge(parsed: Result<Parsed, EventProblem>) {
    match parsed {
        Ok(Parsed::Event(event)) => agrees(&event),
        Ok(Parsed::Ignored { type_name }) => assert!(is_printable(&type_name)),
        Err(EventProblem { id, conversation: _, fault }) => {
            assert!(id.is_none_or(|id| is_printable(&id)), "the producer is told an id it can find");
            named(&fault);
        }
    }
}

fn named(fault: &Fault) {
    presentable(&fault.to_string());
    presentable(fault.action());
    assert!(fault.kind().bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'), "{}", fault.kind());
}

/// All forms of this event, and its record, are this event.
fn agrees(event: &Event) {
    let whole = members(event);
    let is_it = |form: &str, parsed: Result<Parsed, EventProblem>| {
        assert_eq!(parsed, Ok(Parsed::Event(event.clone())), "in the form {form}");
    };
    let text = whole.to_string();
    is_it("json", parse_json(text.as_bytes()));
    let packed = rmp_serde::to_vec_named(&whole).expect("JSON can be packed");
    is_it("msgpack", parse_msgpack(&packed));
    let attributes =
        whole.as_object().into_iter().flatten().filter_map(|(name, value)| Some((name.as_str(), Cow::Borrowed(value.as_str()?))));
    is_it("binary", parse_binary(attributes, whole["data"].to_string().as_bytes()));
    let entry = Entry::Event(event.clone());
    assert_eq!(record::decode_entry(&record::encode_entry(&entry)), Ok(entry));
}

/// The event as a producer would write it.
fn members(event: &Event) -> Value {
    let Event { name, conversation, time, kind } = event;
    json!({
        "specversion": "1.0", "id": name.id(), "source": name.source(), "type": kind.type_name(), "subject": conversation.conversation(),
        "workspace": conversation.workspace(), "time": time::format(*time), "data": data(kind),
    })
}

fn data(kind: &EventKind) -> Value {
    match kind {
        EventKind::Message { source, agent, message_id, text } => given(&[
            ("source", Some(json!(source.as_str()))),
            ("agent", agent.as_deref().map(Value::from)),
            ("message_id", message_id.as_deref().map(Value::from)),
            ("text", text.as_ref().map(|text| Value::from(&*text.0))),
        ]),
        EventKind::MessageFailed { message_id } => json!({ "message_id": message_id }),
        EventKind::Opened { source, by } => given(&[("source", Some(json!(source.as_str()))), ("by", by.as_deref().map(Value::from))]),
        EventKind::Closed { source, by, note } => given(&[
            ("source", Some(json!(source.as_str()))),
            ("by", by.as_deref().map(Value::from)),
            ("note", note.as_ref().map(|Note { category, summary }| json!({ "category": category, "summary": summary }))),
        ]),
        EventKind::Assigned(Assignee { kind, id, name }) => json!({ "assignee": { "kind": kind.as_str(), "id": id, "name": name } }),
        EventKind::Snoozed { until } => json!({ "until": time::format(*until) }),
        EventKind::Unassigned | EventKind::Unsnoozed | EventKind::Blocked | EventKind::Unblocked => json!({}),
        EventKind::Noted { .. }
        | EventKind::Written { .. }
        | EventKind::Unwritten { .. }
        | EventKind::Held { .. }
        | EventKind::HoldEnded { .. }
        | EventKind::Exempted { .. }
        | EventKind::ExemptionEnded { .. } => panic!("no producer writes it: {kind:?}"),
    }
}

fn given(members: &[(&str, Option<Value>)]) -> Value {
    Value::Object(members.iter().filter_map(|(name, value)| Some(((*name).to_owned(), value.clone()?))).collect::<Map<_, _>>())
}
