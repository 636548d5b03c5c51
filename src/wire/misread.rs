//! A body that is one JSON document of a known shape, and why it is not.

use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::problem::Fault;
use super::split::utf8;

pub(super) enum Misread {
    Unreadable(Fault),
    /// JSON, and not what is asked for.
    Shape(Box<str>),
}

impl From<Fault> for Misread {
    fn from(fault: Fault) -> Self {
        Self::Unreadable(fault)
    }
}

pub(super) fn document<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Misread> {
    serde_json::from_str(utf8(bytes)?).map_err(|error| match error.classify() {
        Category::Data => Misread::Shape(shape(&error)),
        Category::Io | Category::Syntax | Category::Eof => Fault::MalformedJson { reason: error.to_string().into() }.into(),
    })
}

/// It names what nobody knows as it came: that is shown to people, and may not move their cursor.
pub(super) fn shape(error: &serde_json::Error) -> Box<str> {
    let shown: String = error.to_string().chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect();
    shown.into()
}
