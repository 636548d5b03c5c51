//! What an operator asks of the whole service: `{"reason": "…"}` to hold all closes, `{"path": "/…"}` for a backup.

use std::path::PathBuf;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::misread::{Misread, document};
use super::problem::Fault;

/// Longest reason, in characters: it is told with every question after the hold.
const REASON_CHARS_MAX: usize = 500;
/// Longest path, in bytes: what Linux takes.
const PATH_BYTES_MAX: usize = 4_095;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hold {
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Backup {
    path: String,
}

/// Why a body is not what is asked for.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OperatorProblem {
    #[error(transparent)]
    Unreadable(#[from] Fault),
    #[error("the body must be {expected}: {reason}")]
    Invalid { expected: &'static str, reason: Box<str> },
}

/// Reads why all closes are to be held.
///
/// # Errors
/// [`OperatorProblem`] says what is wrong with it.
pub fn parse_hold(bytes: &[u8]) -> Result<Box<str>, OperatorProblem> {
    const EXPECTED: &str = r#"{"reason": why, in at most 500 characters on one line}"#;
    let Hold { reason } = parse(bytes, EXPECTED)?;
    let is_one_line = !reason.trim().is_empty() && reason.chars().count() <= REASON_CHARS_MAX && !reason.chars().any(char::is_control);
    if is_one_line { Ok(reason.into()) } else { Err(OperatorProblem::Invalid { expected: EXPECTED, reason: "it is none".into() }) }
}

/// Reads where a backup goes.
///
/// # Errors
/// As [`parse_hold`].
pub fn parse_backup(bytes: &[u8]) -> Result<PathBuf, OperatorProblem> {
    const EXPECTED: &str = r#"{"path": the absolute path of a new directory}"#;
    let Backup { path } = parse(bytes, EXPECTED)?;
    let is_path = path.starts_with('/') && path.len() <= PATH_BYTES_MAX && !path.contains('\0');
    if is_path { Ok(path.into()) } else { Err(OperatorProblem::Invalid { expected: EXPECTED, reason: "it is none".into() }) }
}

fn parse<T: DeserializeOwned>(bytes: &[u8], expected: &'static str) -> Result<T, OperatorProblem> {
    document(bytes).map_err(|misread| match misread {
        Misread::Unreadable(fault) => fault.into(),
        Misread::Shape(reason) => OperatorProblem::Invalid { expected, reason },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_has_a_reason_on_one_line() {
        assert_eq!(parse_hold(br#"{"reason":"a restore"}"#), Ok("a restore".into()));
        let long = format!(r#"{{"reason":"{}"}}"#, "x".repeat(501));
        for wrong in [&b"{}"[..], br#"{"reason":" "}"#, br#"{"reason":"a\nb"}"#, br#"{"reason":7}"#, br#"{"why":"a"}"#, long.as_bytes()] {
            assert!(matches!(parse_hold(wrong), Err(OperatorProblem::Invalid { .. })), "{}", String::from_utf8_lossy(wrong));
        }
        assert!(matches!(parse_hold(b"{"), Err(OperatorProblem::Unreadable(_))));
    }

    #[test]
    fn a_backup_has_an_absolute_path() {
        assert_eq!(parse_backup(br#"{"path":"/backups/monday"}"#), Ok("/backups/monday".into()));
        for wrong in [&b"{}"[..], br#"{"path":"monday"}"#, br#"{"path":""}"#, br#"{"path":"/a\u0000b"}"#, br#"{"path":null}"#] {
            assert!(matches!(parse_backup(wrong), Err(OperatorProblem::Invalid { .. })), "{}", String::from_utf8_lossy(wrong));
        }
        assert!(matches!(parse_backup(b"\xff"), Err(OperatorProblem::Unreadable(_))));
    }
}
