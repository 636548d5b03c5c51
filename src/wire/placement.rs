//! Where a partition shall go, as an operator says it: `{"to": "node-2"}`, or `{"to": null}` for wherever placement puts it.

use serde::{Deserialize, Deserializer};

use super::misread::{Misread, document};
use super::problem::Fault;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Move {
    /// Left out is a slip of the pen, not a wish: null says it.
    #[serde(deserialize_with = "text_or_null")]
    to: Option<String>,
}

fn text_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(deserializer)
}

/// Why a body is no move.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MoveProblem {
    #[error(transparent)]
    Unreadable(#[from] Fault),
    #[error("the body must be {{\"to\": the name of a node, or null}}: {reason}")]
    Invalid { reason: Box<str> },
}

/// Reads the body of a move: the node it names, if any.
///
/// # Errors
/// [`MoveProblem`] says what is wrong with it.
pub fn parse_move(bytes: &[u8]) -> Result<Option<Box<str>>, MoveProblem> {
    let Move { to } = document(bytes).map_err(|misread| match misread {
        Misread::Unreadable(fault) => fault.into(),
        Misread::Shape(reason) => MoveProblem::Invalid { reason },
    })?;
    Ok(to.map(Into::into))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_says_where_to() {
        assert_eq!(parse_move(br#"{"to":"node-2"}"#), Ok(Some("node-2".into())));
        assert_eq!(parse_move(br#"{"to":null}"#), Ok(None));
        for wrong in [&b"{}"[..], br#"{"to":7}"#, br#"{"too":"a"}"#, br#"{"to":"a","now":true}"#, b"[]", b"null"] {
            assert!(matches!(parse_move(wrong), Err(MoveProblem::Invalid { .. })), "{}", String::from_utf8_lossy(wrong));
        }
        for unreadable in [&b""[..], b"{", b"\xff"] {
            assert!(matches!(parse_move(unreadable), Err(MoveProblem::Unreadable(_))), "{unreadable:?}");
        }
    }
}
