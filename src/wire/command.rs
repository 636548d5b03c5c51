//! The bodies of commands (CONTRACT.md, "Reading and acting"). Members that nobody knows are refused: a slip of the pen must
//! not look like a close without its note.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::event::PERSON_CHARS_MAX;
use super::misread::shape;
use super::problem::Fault;
use super::split::utf8;
use super::time;
use crate::domain::EventKind;
use crate::domain::categories::CATEGORY_CHARS_MAX;
use crate::domain::event::{Assignee, AssigneeKind, ClosingSource, Note, OpeningSource, SUMMARY_CHARS_MAX};
use crate::domain::hold::REASON_CHARS_MAX;
use crate::domain::id::is_printable;

/// Why a body is no command.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CommandProblem {
    #[error(transparent)]
    Unreadable(Fault),
    /// Not the members that this command has.
    #[error("the body does not say what this asks for: {reason}")]
    Shape { reason: Box<str> },
    #[error(transparent)]
    Invalid(Fault),
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Close {
    note: Option<NoteBody>,
    source: Option<String>,
    by: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct NoteBody {
    category: Option<String>,
    summary: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Held {
    reason: String,
    #[serde(default)]
    until: Option<String>,
    #[serde(default)]
    by: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct By {
    by: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exempted {
    reason: String,
    #[serde(default)]
    by: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Noted {
    category: Option<String>,
    summary: Option<String>,
    by: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Open {
    source: Option<String>,
    by: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AssigneeBody {
    kind: String,
    id: String,
    #[serde(default)]
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Snooze {
    until: String,
}

/// `{note?, source?, by?}`; nothing at all is a user's close without a note.
///
/// # Errors
/// [`CommandProblem`] names the member.
pub fn parse_close(body: &[u8]) -> Result<EventKind, CommandProblem> {
    let Close { note, source, by } = if_any(body)?;
    let others = ClosingSource::ALL.iter().filter(|s| **s != ClosingSource::AutoClose).map(|s| s.as_str());
    let source = match source.as_deref() {
        None => ClosingSource::User,
        Some(text) => match ClosingSource::parse(text) {
            // This service's own: nobody else may say so.
            None | Some(ClosingSource::AutoClose) => return Err(unknown("source", others)),
            Some(source) => source,
        },
    };
    let note = note.map(|note| note_of(note, "note.category", "note.summary")).transpose()?.flatten();
    Ok(EventKind::Closed { source, by: bounded(by, "by", PERSON_CHARS_MAX)?, note })
}

/// `{source?, by?}`; nothing at all is a user's.
///
/// # Errors
/// [`CommandProblem`] names the member.
pub fn parse_open(body: &[u8]) -> Result<EventKind, CommandProblem> {
    let Open { source, by } = if_any(body)?;
    let source = match source.as_deref() {
        None => OpeningSource::User,
        Some(text) => OpeningSource::parse(text).ok_or_else(|| unknown("source", OpeningSource::ALL.iter().map(|s| s.as_str())))?,
    };
    Ok(EventKind::Opened { source, by: bounded(by, "by", PERSON_CHARS_MAX)? })
}

/// `{kind, id, name?}`.
///
/// # Errors
/// [`CommandProblem`] names the member.
pub fn parse_assign(body: &[u8]) -> Result<EventKind, CommandProblem> {
    let AssigneeBody { kind, id, name } = read(body)?;
    let kind = AssigneeKind::parse(&kind).ok_or_else(|| unknown("kind", AssigneeKind::ALL.iter().map(|k| k.as_str())))?;
    if !is_printable(&id) {
        return Err(CommandProblem::Invalid(Fault::NotPrintable { member: "id" }));
    }
    Ok(EventKind::Assigned(Assignee { kind, id: id.into(), name: bounded(name, "name", PERSON_CHARS_MAX)? }))
}

/// `{until}`, RFC 3339.
///
/// # Errors
/// [`CommandProblem`] names the member.
pub fn parse_snooze(body: &[u8]) -> Result<EventKind, CommandProblem> {
    let Snooze { until } = read(body)?;
    let until = time::parse(&until).ok_or(CommandProblem::Invalid(Fault::InvalidTime { member: "until" }))?;
    Ok(EventKind::Snoozed { until })
}

/// Of a command that says all there is by its path.
///
/// # Errors
/// When there is a body all the same: it would mean something to whoever sent it.
pub fn parse_nothing(body: &[u8]) -> Result<(), CommandProblem> {
    #[derive(Deserialize, Default)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}
    if_any::<Nothing>(body).map(|Nothing {}| ())
}

/// `{category?, summary?, by?}`: a note for the episode that is closed, the whole of it.
///
/// # Errors
/// [`CommandProblem`] names the member.
pub fn parse_note(body: &[u8]) -> Result<EventKind, CommandProblem> {
    let Noted { category, summary, by } = read(body)?;
    let note = note_of(NoteBody { category, summary }, "category", "summary")?;
    let note = note.ok_or_else(|| CommandProblem::Shape { reason: "a note has a `category`, a `summary` or both".into() })?;
    Ok(EventKind::Noted { note, by: bounded(by, "by", PERSON_CHARS_MAX)? })
}

/// `{reason, until?, by?}`: no close by timer before `until`, or until that is ended.
///
/// # Errors
/// [`CommandProblem`] names the member.
pub fn parse_hold(body: &[u8]) -> Result<EventKind, CommandProblem> {
    let Held { reason, until, by } = read(body)?;
    let instant = |text: String| time::parse(&text).ok_or(CommandProblem::Invalid(Fault::InvalidTime { member: "until" }));
    Ok(EventKind::Held { until: until.map(instant).transpose()?, reason: reason_of(reason)?, by: bounded(by, "by", PERSON_CHARS_MAX)? })
}

/// `{reason, by?}`: never closed by timer until that is ended.
///
/// # Errors
/// [`CommandProblem`] names the member.
pub fn parse_exemption(body: &[u8]) -> Result<EventKind, CommandProblem> {
    let Exempted { reason, by } = read(body)?;
    Ok(EventKind::Exempted { reason: reason_of(reason)?, by: bounded(by, "by", PERSON_CHARS_MAX)? })
}

/// `{by?}`: who ends something that its path names.
///
/// # Errors
/// [`CommandProblem`] names the member.
pub fn parse_by(body: &[u8]) -> Result<Option<Box<str>>, CommandProblem> {
    let By { by } = if_any(body)?;
    bounded(by, "by", PERSON_CHARS_MAX)
}

fn reason_of(text: String) -> Result<Box<str>, CommandProblem> {
    bounded(Some(text), "reason", REASON_CHARS_MAX)?.ok_or(CommandProblem::Invalid(Fault::MissingMember { member: "reason" }))
}

/// The last two: what the members are called where it stands.
fn note_of(body: NoteBody, category: &'static str, summary: &'static str) -> Result<Option<Note>, CommandProblem> {
    let category = bounded(body.category, category, CATEGORY_CHARS_MAX)?;
    let summary = bounded(body.summary, summary, SUMMARY_CHARS_MAX)?;
    Ok((category.is_some() || summary.is_some()).then_some(Note { category, summary }))
}

pub(super) fn if_any<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, CommandProblem> {
    if body.trim_ascii().is_empty() { Ok(T::default()) } else { read(body) }
}

pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, CommandProblem> {
    let text = utf8(body).map_err(CommandProblem::Unreadable)?;
    let unreadable = |error: serde_json::Error| CommandProblem::Unreadable(Fault::MalformedJson { reason: error.to_string().into() });
    let value: Value = serde_json::from_str(text).map_err(unreadable)?;
    // An array would be taken for an object's members in their order.
    if value.is_array() || value.get("note").is_some_and(Value::is_array) {
        return Err(CommandProblem::Shape { reason: "an array stands where an object is needed".into() });
    }
    T::deserialize(value).map_err(|error| CommandProblem::Shape { reason: shape(&error) })
}

/// A text of so many characters at most, without blanks around it; a blank one is none.
pub(super) fn bounded(text: Option<String>, member: &'static str, max: usize) -> Result<Option<Box<str>>, CommandProblem> {
    match text.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
        Some(text) if text.len() > max && text.chars().count() > max => {
            Err(CommandProblem::Invalid(Fault::TooLong { member, max, unit: "characters" }))
        }
        text => Ok(text.map(Into::into)),
    }
}

pub(super) fn unknown(member: &'static str, allowed: impl Iterator<Item = &'static str>) -> CommandProblem {
    CommandProblem::Invalid(Fault::UnknownValue { member, allowed: allowed.collect::<Vec<_>>().join(", ").into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(source: ClosingSource, by: Option<&str>, note: Option<Note>) -> Result<EventKind, CommandProblem> {
        Ok(EventKind::Closed { source, by: by.map(Into::into), note })
    }

    #[test]
    fn l2_a_close_is_a_users_without_a_note_unless_it_says_otherwise() {
        for nothing in [&b""[..], b"  ", b"{}", br#"{"note":{},"by":""}"#, br#"{"note":null}"#, br#"{"note":{"category":" "},"by":"\n"}"#] {
            assert_eq!(parse_close(nothing), close(ClosingSource::User, None, None), "{}", String::from_utf8_lossy(nothing));
        }
        let note = Note { category: Some("Billing".into()), summary: None };
        assert_eq!(
            parse_close(br#"{"note":{"category":"Billing"},"source":"api","by":"ana"}"#),
            close(ClosingSource::Api, Some("ana"), Some(note))
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let long = format!(r#"{{"note":{{"summary":"{}"}}}}"#, "é".repeat(SUMMARY_CHARS_MAX + 1));
        for (parse, body, says) in [
            (parse_close as fn(&[u8]) -> Result<EventKind, CommandProblem>, r#"{"notes":{}}"#, "`notes`"),
            (parse_close, r#"{"source":"auto_close"}"#, "`source` must be one of user"),
            (parse_close, r#"{"by":7}"#, "invalid type: integer `7`"),
            (parse_close, &long, "`note.summary` is longer than 512 characters"),
            (parse_close, "null", "invalid type"),
            (parse_close, r#"[null,"api"]"#, "an array"),
            (parse_close, r#"{"note":["a","b"]}"#, "an array"),
            (parse_assign, r#"["human","x"]"#, "an array"),
            (parse_note, r#"{"note":{"category":"Billing"}}"#, "`note`"),
            (parse_note, "", "EOF"),
            (parse_note, r#"{"category":" ","by":"bo"}"#, "a `category`, a `summary` or both"),
            (parse_hold, "{}", "`reason`"),
            (parse_hold, r#"{"reason":" "}"#, "`reason` is missing"),
            (parse_hold, r#"{"reason":"x","until":"2h"}"#, "`until` must be RFC 3339"),
            (parse_exemption, r#"{"reason":"x","until":"2026-11-22T10:00:00Z"}"#, "`until`"),
            (parse_open, r#"{"source":"bot"}"#, "`source` must be one of user"),
            (parse_assign, r#"{"kind":"human"}"#, "`id`"),
            (parse_assign, r#"{"kind":"dog","id":"rex"}"#, "`kind` must be one of human, ai_agent"),
            (parse_assign, r#"{"kind":"human","id":"é"}"#, "`id` must be"),
            (parse_snooze, r#"{"until":"tomorrow"}"#, "`until` must be RFC 3339"),
            (parse_snooze, "{}", "`until`"),
            (parse_snooze, "", "EOF"),
            (parse_snooze, "{", "not JSON"),
        ] {
            let problem = parse(body.as_bytes()).expect_err(body).to_string();
            assert!(problem.contains(says), "{body}: {problem}");
        }
        assert!(matches!(parse_close(b"\xff"), Err(CommandProblem::Unreadable(_))));
        assert!(parse_nothing(b"{}").is_ok() && parse_nothing(b"").is_ok() && parse_nothing(br#"{"until":1}"#).is_err());
    }
}
