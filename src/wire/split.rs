//! Finding the events in a body without reading them: each is then judged by itself. Nothing here recurses, whatever the
//! input claims to contain.

use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::problem::{DEPTH_MAX, Fault};

/// Why a whole body cannot be split into events.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SplitProblem {
    #[error(transparent)]
    Unreadable(#[from] Fault),
    #[error("the body must be an array of events")]
    NotAnArray,
    #[error("more than {max} events in one request")]
    TooMany { max: usize },
}

/// The elements of a JSON array, at most `max`.
///
/// # Errors
/// Anything but one well-formed array.
pub fn json_array(bytes: &[u8], max: usize) -> Result<Vec<&[u8]>, SplitProblem> {
    let text = utf8(bytes)?;
    if text.trim_ascii_start().as_bytes().first().is_some_and(|first| *first != b'[') {
        return Err(SplitProblem::NotAnArray);
    }
    let too_many = std::cell::Cell::new(false);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let elements = deserializer.deserialize_seq(Elements { max, too_many: &too_many }).and_then(|elements| {
        deserializer.end()?;
        Ok(elements)
    });
    match elements {
        Ok(elements) => Ok(elements),
        Err(_) if too_many.get() => Err(SplitProblem::TooMany { max }),
        Err(error) => Err(Fault::MalformedJson { reason: error.to_string().into() }.into()),
    }
}

struct Elements<'c> {
    max: usize,
    too_many: &'c std::cell::Cell<bool>,
}

impl<'de> Visitor<'de> for Elements<'_> {
    type Value = Vec<&'de [u8]>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element::<&RawValue>()? {
            if elements.len() == self.max {
                self.too_many.set(true);
                return Err(A::Error::custom("too many"));
            }
            elements.push(element.get().as_bytes());
        }
        Ok(elements)
    }
}

/// The elements of a MessagePack array, at most `max`.
///
/// # Errors
/// Anything but one complete array.
pub fn msgpack_array(bytes: &[u8], max: usize) -> Result<Vec<&[u8]>, SplitProblem> {
    let mut rest = bytes;
    let count = match next_item(&mut rest).ok_or_else(truncated)? {
        Item::Array(count) => count,
        Item::Map(_) | Item::Scalar => return Err(SplitProblem::NotAnArray),
    };
    if count > max as u64 {
        return Err(SplitProblem::TooMany { max });
    }
    let mut elements = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let start = rest;
        skip(&mut rest).ok_or_else(truncated)?;
        elements.push(&start[..start.len() - rest.len()]);
    }
    if !rest.is_empty() {
        let reason = format!("{} bytes follow the array", rest.len());
        return Err(Fault::MalformedMsgpack { reason: reason.into() }.into());
    }
    Ok(elements)
}

fn truncated() -> SplitProblem {
    Fault::MalformedMsgpack { reason: "it ends in the middle of an event".into() }.into()
}

/// # Errors
/// The byte from which on it is not UTF-8.
pub fn utf8(bytes: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(bytes).map_err(|error| Fault::InvalidUtf8 { at: error.valid_up_to() })
}

/// Whether JSON nests at most [`DEPTH_MAX`] levels. Of anything that is not JSON the answer means nothing.
pub fn json_is_shallow(bytes: &[u8]) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in bytes {
        if in_text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_text = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return false;
        }
    }
    true
}

/// Whether one MessagePack value nests at most [`DEPTH_MAX`] levels; `None`: it ends too early.
pub fn msgpack_is_shallow(mut bytes: &[u8]) -> Option<bool> {
    let mut open: Vec<u64> = Vec::with_capacity(DEPTH_MAX);
    loop {
        let children = match next_item(&mut bytes)? {
            Item::Scalar => 0,
            Item::Array(count) => count,
            Item::Map(count) => count * 2,
        };
        if children > 0 {
            if open.len() == DEPTH_MAX {
                return Some(false);
            }
            open.push(children);
            continue;
        }
        while let Some(left) = open.last_mut() {
            *left -= 1;
            if *left > 0 {
                break;
            }
            open.pop();
        }
        if open.is_empty() {
            return Some(true);
        }
    }
}

enum Item {
    Scalar,
    Array(u64),
    Map(u64),
}

/// Moves past one whole value: counts what is still to come instead of descending into it.
fn skip(bytes: &mut &[u8]) -> Option<()> {
    let mut pending = 1_u64;
    while pending > 0 {
        pending -= 1;
        match next_item(bytes)? {
            Item::Scalar => {}
            Item::Array(count) => pending = pending.checked_add(count)?,
            Item::Map(count) => pending = pending.checked_add(count * 2)?,
        }
    }
    Some(())
}

/// Moves past one marker and what belongs to it, but not past the children of an array or a map.
fn next_item(bytes: &mut &[u8]) -> Option<Item> {
    use rmp::Marker::*;
    let marker = rmp::Marker::from_u8(take(bytes, 1)?[0]);
    let length = match marker {
        FixPos(_) | FixNeg(_) | Null | True | False | Reserved => 0,
        U8 | I8 => 1,
        U16 | I16 => 2,
        U32 | I32 | F32 => 4,
        U64 | I64 | F64 => 8,
        FixStr(length) => u64::from(length),
        Str8 | Bin8 => number(bytes, 1)?,
        Str16 | Bin16 => number(bytes, 2)?,
        Str32 | Bin32 => number(bytes, 4)?,
        // The type of an extension is one byte before its payload.
        FixExt1 => 2,
        FixExt2 => 3,
        FixExt4 => 5,
        FixExt8 => 9,
        FixExt16 => 17,
        Ext8 => number(bytes, 1)? + 1,
        Ext16 => number(bytes, 2)? + 1,
        Ext32 => number(bytes, 4)? + 1,
        FixArray(count) => return Some(Item::Array(u64::from(count))),
        Array16 => return number(bytes, 2).map(Item::Array),
        Array32 => return number(bytes, 4).map(Item::Array),
        FixMap(count) => return Some(Item::Map(u64::from(count))),
        Map16 => return number(bytes, 2).map(Item::Map),
        Map32 => return number(bytes, 4).map(Item::Map),
    };
    take(bytes, length)?;
    Some(Item::Scalar)
}

fn number(bytes: &mut &[u8], length: u64) -> Option<u64> {
    Some(take(bytes, length)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

fn take<'a>(bytes: &mut &'a [u8], length: u64) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    *bytes = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn json_elements_are_found_whatever_they_are() {
        let found = json_array(br#" [ {"a":[1,2]}, "x", 3 ] "#, 3).unwrap();
        assert_eq!(found, [&br#"{"a":[1,2]}"#[..], b"\"x\"", b"3"]);
        assert_eq!(json_array(b"[1,2]", 1), Err(SplitProblem::TooMany { max: 1 }));
        assert_eq!(json_array(b"{}", 1), Err(SplitProblem::NotAnArray));
        for bad in [&b"[1"[..], b"[1]]", b"", b"[NaN]"] {
            assert!(matches!(json_array(bad, 9), Err(SplitProblem::Unreadable(Fault::MalformedJson { .. }))), "{bad:?}");
        }
        assert!(matches!(json_array(b"[\"\xff\"]", 9), Err(SplitProblem::Unreadable(Fault::InvalidUtf8 { at: 2 }))));
    }

    #[test]
    fn depth_is_seen_without_descending() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(json_is_shallow(nested(DEPTH_MAX).as_bytes()));
        assert!(!json_is_shallow(nested(1_000_000).as_bytes()));
        assert!(json_is_shallow(format!("\"\\\"{}\"", "[".repeat(99)).as_bytes()));
        let packed = |levels: usize| [vec![0x91_u8; levels], vec![0xc0]].concat();
        assert_eq!(msgpack_is_shallow(&packed(DEPTH_MAX)), Some(true));
        assert_eq!(msgpack_is_shallow(&packed(1_000_000)), Some(false));
        assert_eq!(msgpack_is_shallow(&[0x91]), None);
    }

    #[test]
    fn msgpack_elements_are_found_and_their_number_is_bounded() {
        let body = rmp_serde::to_vec(&("a", 1, vec![2, 3], Option::<u8>::None)).unwrap();
        assert_eq!(msgpack_array(&body, 4).unwrap(), [&b"\xa1a"[..], b"\x01", b"\x92\x02\x03", b"\xc0"]);
        assert_eq!(msgpack_array(&body, 3), Err(SplitProblem::TooMany { max: 3 }));
        assert_eq!(msgpack_array(&[0xdd, 0xff, 0xff, 0xff, 0xff], 9), Err(SplitProblem::TooMany { max: 9 }));
        for cut in 0..body.len() {
            assert!(matches!(msgpack_array(&body[..cut], 9), Err(SplitProblem::Unreadable(_))), "{cut}");
        }
        assert!(msgpack_array(&[&body[..], b"x"].concat(), 9).is_err());
    }

    proptest! {
        /// Bytes from anywhere are answered, never followed into a panic.
        #[test]
        fn anything_is_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (json_array(&bytes, 5), msgpack_array(&bytes, 5), msgpack_is_shallow(&bytes), json_is_shallow(&bytes));
        }
    }
}
