//! API keys and the audit log as JSON. A secret is in no view: it is shown once, beside the key, to whoever asked for it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::command::{CommandProblem, bounded, if_any, read, unknown};
use super::problem::Fault;
use super::time::{self, Rfc3339};
use crate::domain::access::{GRACE_DEFAULT, KEY_NAME_CHARS_MAX, KEY_WORKSPACES_MAX, Key, Reach, Scope};
use crate::domain::audit::Deed;
use crate::domain::id::is_name;
use crate::domain::{Span, Timestamp};

/// What a new key is to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    pub name: Box<str>,
    pub scopes: BTreeSet<Scope>,
    pub reach: Reach,
    pub expires_at: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    name: String,
    scopes: Vec<String>,
    workspaces: Vec<String>,
    #[serde(default)]
    expires_at: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Rotation {
    grace: Option<String>,
}

/// `{name, scopes, workspaces, expires_at?}`; `["*"]` are all workspaces.
///
/// # Errors
/// [`CommandProblem`] names the member.
pub fn parse_new(body: &[u8]) -> Result<Wanted, CommandProblem> {
    let New { name, scopes, workspaces, expires_at } = read(body)?;
    let name = bounded(Some(name), "name", KEY_NAME_CHARS_MAX)?.filter(|name| !name.chars().any(char::is_control));
    let name = name.ok_or_else(|| wrong("name", "a text in one line"))?;
    let known = |text: &String| Scope::parse(text).ok_or_else(|| unknown("scopes", Scope::ALL.iter().map(|scope| scope.as_str())));
    let scopes: BTreeSet<Scope> = scopes.iter().map(known).collect::<Result<_, _>>()?;
    if scopes.is_empty() {
        return Err(wrong("scopes", "a list of at least one of ingest, read, act, admin"));
    }
    let expires_at = expires_at.map(|text| time::parse(&text).ok_or(CommandProblem::Invalid(Fault::InvalidTime { member: "expires_at" })));
    Ok(Wanted { name, scopes, reach: reach(&workspaces)?, expires_at: expires_at.transpose()? })
}

fn reach(workspaces: &[String]) -> Result<Reach, CommandProblem> {
    if workspaces == ["*"] {
        return Ok(Reach::All);
    }
    if workspaces.is_empty() || workspaces.len() > KEY_WORKSPACES_MAX {
        return Err(wrong("workspaces", "a list of 1 to 100 workspaces, or [\"*\"] for all of them"));
    }
    match workspaces.iter().all(|workspace| is_name(workspace)) {
        true => Ok(Reach::Only(workspaces.iter().map(|workspace| workspace.as_str().into()).collect())),
        false => Err(CommandProblem::Invalid(Fault::InvalidName { member: "workspaces" })),
    }
}

fn wrong(member: &'static str, expected: &'static str) -> CommandProblem {
    CommandProblem::Invalid(Fault::WrongType { member, expected })
}

/// `{grace?}`: how long the secret before goes on being good.
///
/// # Errors
/// [`CommandProblem`] names the member.
pub fn parse_rotation(body: &[u8]) -> Result<Span, CommandProblem> {
    let Rotation { grace } = if_any(body)?;
    let Some(grace) = grace else { return Ok(GRACE_DEFAULT) };
    Span::parse(&grace).map_err(|_| wrong("grace", "an integer and one of s m h d, such as 24h"))
}

#[derive(Serialize)]
pub struct KeyView<'a> {
    id: &'a str,
    name: &'a str,
    scopes: Vec<&'static str>,
    workspaces: Vec<&'a str>,
    state: &'static str,
    created_at: Rfc3339,
    expires_at: Option<Rfc3339>,
    revoked_at: Option<Rfc3339>,
    /// To the minute.
    last_used_at: Option<Rfc3339>,
    /// Until when the secret before the last rotation is good.
    previous_until: Option<Rfc3339>,
    /// All of it, to be shown once.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

impl<'a> KeyView<'a> {
    pub fn new(key: &'a Key, now: Timestamp, last_used: Option<Timestamp>) -> Self {
        let Key { id, name, scopes, reach, created_at, expires_at, revoked_at, secrets: _ } = key;
        let workspaces = match reach {
            Reach::All => vec!["*"],
            Reach::Only(workspaces) => workspaces.iter().map(|workspace| &**workspace).collect(),
        };
        let state = match (revoked_at, key.is_live(now)) {
            (Some(_), _) => "revoked",
            (None, true) => "live",
            (None, false) => "expired",
        };
        Self {
            id,
            name,
            scopes: scopes.iter().map(|scope| scope.as_str()).collect(),
            workspaces,
            state,
            created_at: Rfc3339(*created_at),
            expires_at: expires_at.map(Rfc3339),
            revoked_at: revoked_at.map(Rfc3339),
            last_used_at: last_used.map(Rfc3339),
            previous_until: key.live_secrets(now).filter_map(|secret| secret.until).max().map(Rfc3339),
            key: None,
        }
    }

    /// With the whole key.
    pub fn shown(self, key: String) -> Self {
        Self { key: Some(key), ..self }
    }
}

#[derive(Serialize)]
pub struct DeedView<'a> {
    number: u64,
    at: Rfc3339,
    /// Null: the operator, or somebody where no keys are asked for.
    by: Option<ByView<'a>>,
    method: &'a str,
    path: &'a str,
    /// As an HTTP status. Null: it is under way, or nobody knows what came of it.
    status: Option<u16>,
    request_id: &'a str,
}

#[derive(Serialize)]
struct ByView<'a> {
    key: &'a str,
    name: &'a str,
}

impl<'a> DeedView<'a> {
    pub fn new(deed: &'a Deed) -> Self {
        let Deed { number, at, by, method, path, request_id, status } = deed;
        let by = by.as_ref().map(|(key, name)| ByView { key, name });
        Self { number: *number, at: Rfc3339(*at), by, method, path, status: *status, request_id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_says_what_it_is_to_be() {
        let wanted = parse_new(br#"{"name":"pipeline","scopes":["ingest","read","ingest"],"workspaces":["acme","b"]}"#).unwrap();
        assert_eq!(wanted.scopes, [Scope::Ingest, Scope::Read].into());
        assert_eq!(wanted.reach, Reach::Only(["acme".into(), "b".into()].into()));
        let all = parse_new(br#"{"name":"x","scopes":["admin"],"workspaces":["*"],"expires_at":"2027-01-01T00:00:00Z"}"#).unwrap();
        assert!(all.reach == Reach::All && all.expires_at.is_some());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (body, says) in [
            (r#"{"name":" ","scopes":["read"],"workspaces":["*"]}"#, "`name`"),
            (r#"{"name":"a\nb","scopes":["read"],"workspaces":["*"]}"#, "`name`"),
            (r#"{"name":"a","scopes":[],"workspaces":["*"]}"#, "`scopes`"),
            (r#"{"name":"a","scopes":["write"],"workspaces":["*"]}"#, "`scopes` must be one of ingest"),
            (r#"{"name":"a","scopes":["read"],"workspaces":[]}"#, "`workspaces`"),
            (r#"{"name":"a","scopes":["read"],"workspaces":["*","acme"]}"#, "`workspaces`"),
            (r#"{"name":"a","scopes":["read"],"workspaces":["a b"]}"#, "`workspaces`"),
            (r#"{"name":"a","scopes":["read"],"workspaces":["*"],"expires_at":"soon"}"#, "`expires_at`"),
            (r#"{"name":"a","scopes":["read"],"workspaces":["*"],"secret":"x"}"#, "`secret`"),
        ] {
            let problem = parse_new(body.as_bytes()).expect_err(body).to_string();
            assert!(problem.contains(says), "{body}: {problem}");
        }
        assert_eq!(parse_rotation(b"").unwrap(), GRACE_DEFAULT);
        assert_eq!(parse_rotation(br#"{"grace":"0s"}"#).unwrap(), Span::ZERO);
        assert!(parse_rotation(br#"{"grace":"soon"}"#).is_err());
    }
}
