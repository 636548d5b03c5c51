//! Agents as JSON (CONTRACT.md, "Reading and acting"; L1).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::command::{CommandProblem, bounded, read};
use super::event::PERSON_CHARS_MAX;
use super::problem::Fault;
use crate::domain::agents::{Agent, AgentChange, Sorted};
use crate::domain::id::is_printable;

/// Longest address of a picture, in bytes.
const AVATAR_URL_BYTES_MAX: usize = 2_048;

#[derive(Serialize)]
pub struct AgentView<'a> {
    id: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    avatar_url: Option<&'a str>,
    /// Where there is no picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    initials: Option<String>,
    available: bool,
}

impl<'a> AgentView<'a> {
    pub fn new(agent: &'a Agent) -> Self {
        let Agent { id, name, avatar_url, available } = agent;
        let initials = avatar_url.is_none().then(|| agent.initials());
        Self { id, name, avatar_url: avatar_url.as_deref(), initials, available: *available }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    id: String,
    name: String,
    #[serde(default)]
    avatar_url: Option<String>,
    #[serde(default = "yes")]
    available: bool,
}

const fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    #[serde(default)]
    name: Option<String>,
    /// Null takes it away.
    #[serde(default, deserialize_with = "given")]
    avatar_url: Option<Option<String>>,
    #[serde(default)]
    available: Option<bool>,
}

/// Tells null from what is left out.
fn given<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(value).map(Some)
}

/// `{id, name, avatar_url?, available?}`; available unless it says otherwise.
///
/// # Errors
/// [`CommandProblem`] names the member.
pub fn parse_new(body: &[u8]) -> Result<Agent, CommandProblem> {
    let New { id, name, avatar_url, available } = read(body)?;
    if !is_printable(&id) || is_dots(&id) {
        return Err(CommandProblem::Invalid(Fault::NotPrintable { member: "id" }));
    }
    // `assignee=none` asks for those that nobody has.
    if id == "none" {
        return Err(CommandProblem::Invalid(Fault::WrongType { member: "id", expected: "another text than `none`" }));
    }
    Ok(Agent { id: id.into(), name: person(name)?, avatar_url: avatar_url.map(picture).transpose()?, available })
}

/// `{name?, avatar_url?, available?}`: what is left out stays.
///
/// # Errors
/// [`CommandProblem`] names the member.
pub fn parse_change(id: &str, body: &[u8]) -> Result<AgentChange, CommandProblem> {
    let Change { name, avatar_url, available } = read(body)?;
    let avatar_url = avatar_url.map(|url| url.map(picture).transpose()).transpose()?;
    Ok(AgentChange::Change { id: id.into(), name: name.map(person).transpose()?, avatar_url, available })
}

/// Clients take such a part of a path away: nobody could change or remove what is called so.
pub(super) fn is_dots(name: &str) -> bool {
    matches!(name, "." | "..")
}

fn person(name: String) -> Result<Box<str>, CommandProblem> {
    let name = bounded(Some(name), "name", PERSON_CHARS_MAX)?;
    let name = name.ok_or(CommandProblem::Invalid(Fault::MissingMember { member: "name" }))?;
    if name.chars().any(char::is_control) {
        return Err(CommandProblem::Invalid(Fault::WrongType { member: "name", expected: "a text in one line" }));
    }
    Ok(name)
}

/// Shown in a browser: nothing but an address on the web.
fn picture(url: String) -> Result<Box<str>, CommandProblem> {
    let is_web = ["https://", "http://"].iter().any(|scheme| url.len() > scheme.len() && url.starts_with(scheme));
    if is_web && url.len() <= AVATAR_URL_BYTES_MAX && url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(url.into());
    }
    let expected = "an http or https address of at most 2048 ASCII characters";
    Err(CommandProblem::Invalid(Fault::WrongType { member: "avatar_url", expected }))
}

/// A place in a list of agents, as its `next` says it.
pub fn cursor(place: &Sorted) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}\n{}", place.0, place.1))
}

/// Reads what [`cursor`] wrote.
pub fn parse_cursor(text: &str) -> Option<Sorted> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let (name, id) = text.split_once('\n')?;
    Some((name.into(), id.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l1_an_agent_has_a_picture_or_initials() {
        let agent = parse_new(br#"{"id":"ana","name":"Ana M"}"#).unwrap();
        assert_eq!(
            serde_json::to_string(&AgentView::new(&agent)).unwrap(),
            r#"{"id":"ana","name":"Ana M","initials":"AM","available":true}"#
        );
        let agent = parse_new(br#"{"id":"ana","name":"Ana","avatar_url":"https://x/a.png","available":false}"#).unwrap();
        let shown = r#"{"id":"ana","name":"Ana","avatar_url":"https://x/a.png","available":false}"#;
        assert_eq!(serde_json::to_string(&AgentView::new(&agent)).unwrap(), shown);
    }

    #[test]
    fn what_is_left_out_of_a_change_stays_and_null_takes_away() {
        let change = |body: &str| match parse_change("ana", body.as_bytes()).unwrap() {
            AgentChange::Change { name, avatar_url, available, .. } => (name, avatar_url, available),
            other => panic!("{other:?}"),
        };
        assert_eq!(change("{}"), (None, None, None));
        assert_eq!(change(r#"{"avatar_url":null,"available":false}"#), (None, Some(None), Some(false)));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (body, says) in [
            ("{}", "`id`"),
            (r#"{"id":"é","name":"x"}"#, "`id`"),
            (r#"{"id":"..","name":"x"}"#, "`id`"),
            (r#"{"id":"a","name":" "}"#, "`name`"),
            (r#"{"id":"a","name":"a\u001bb"}"#, "`name`"),
            (r#"{"id":"a","name":"x","avatar_url":"javascript:alert(1)"}"#, "`avatar_url`"),
            (r#"{"id":"a","name":"x","avatar_url":"https://"}"#, "`avatar_url`"),
            (r#"{"id":"a","name":"x","role":"boss"}"#, "`role`"),
        ] {
            let problem = parse_new(body.as_bytes()).expect_err(body).to_string();
            assert!(problem.contains(says), "{body}: {problem}");
        }
    }

    #[test]
    fn a_cursor_reads_back() {
        let place = ("garc\u{ed}a".to_owned(), "a-7".into());
        assert_eq!(parse_cursor(&cursor(&place)), Some(place));
        assert_eq!((parse_cursor("?"), parse_cursor("")), (None, None));
    }
}
