//! Members of an object as they arrived, borrowed from the input and not yet judged: of any type, absent, or doubled (the
//! last one counts). Reading never fails over a member's type, so that the judge can name the member and the event's id.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::problem::{Fault, MEMBER_BYTES_MAX};

/// A member that should be text.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Member<'a> {
    /// Not there, or null.
    #[default]
    Absent,
    Text(Cow<'a, str>),
    Other,
}

impl<'a> Member<'a> {
    /// # Errors
    /// A wrong type, or a text no member has any use for.
    pub fn text(&self, member: &'static str) -> Result<Option<&str>, Fault> {
        match self {
            Self::Absent => Ok(None),
            Self::Text(text) if text.len() > MEMBER_BYTES_MAX => Err(Fault::TooLong { member, max: MEMBER_BYTES_MAX, unit: "bytes" }),
            Self::Text(text) => Ok(Some(text)),
            Self::Other => Err(Fault::WrongType { member, expected: "a string" }),
        }
    }

    /// # Errors
    /// As [`text`](Self::text), or missing.
    pub fn required(&self, member: &'static str) -> Result<&str, Fault> {
        self.text(member)?.ok_or(Fault::MissingMember { member })
    }
}

/// A member that should be an object.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Nested<T> {
    #[default]
    Absent,
    Object(T),
    Other,
}

impl<T> Nested<T> {
    /// # Errors
    /// A wrong type.
    pub fn object(&self, member: &'static str) -> Result<Option<&T>, Fault> {
        match self {
            Self::Absent => Ok(None),
            Self::Object(object) => Ok(Some(object)),
            Self::Other => Err(Fault::WrongType { member, expected: "an object" }),
        }
    }

    /// # Errors
    /// As [`object`](Self::object), or missing.
    pub fn required(&self, member: &'static str) -> Result<&T, Fault> {
        self.object(member)?.ok_or(Fault::MissingMember { member })
    }
}

/// What [`Nested`] can hold: filled from a map, whatever else the map contains.
pub trait Members<'de>: Sized {
    /// # Errors
    /// Only where the input itself is malformed.
    fn from_map<A: MapAccess<'de>>(map: A) -> Result<Self, A::Error>;
}

/// Declares an object by its known members, and reads it past the unknown ones.
macro_rules! members {
    ($(#[$meta:meta])* $name:ident { $($field:ident = $key:literal : $type:ty),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, Debug, Default)]
        pub struct $name<'a> { $(pub $field: $type),+ }

        impl<'a> $crate::wire::member::Members<'a> for $name<'a> {
            fn from_map<A: serde::de::MapAccess<'a>>(mut map: A) -> Result<Self, A::Error> {
                let mut members = Self::default();
                while let Some(key) = map.next_key::<$crate::wire::member::Key>()? {
                    match &*key.0 {
                        $($key => members.$field = map.next_value()?,)+
                        _ => { map.next_value::<serde::de::IgnoredAny>()?; }
                    }
                }
                Ok(members)
            }
        }
    };
}
pub(super) use members;

/// A key, borrowed where it has no escapes.
pub struct Key<'a>(pub Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text key")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Member<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_any(AnyVisitor::<NoMembers>(std::marker::PhantomData))? {
            Any::Absent => Ok(Self::Absent),
            Any::Text(text) => Ok(Self::Text(text)),
            Any::Object(_) | Any::Other => Ok(Self::Other),
        }
    }
}

impl<'de, T: Members<'de>> Deserialize<'de> for Nested<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_any(AnyVisitor::<T>(std::marker::PhantomData))? {
            Any::Absent => Ok(Self::Absent),
            Any::Object(object) => Ok(Self::Object(object)),
            Any::Text(_) | Any::Other => Ok(Self::Other),
        }
    }
}

/// An object nobody looks into.
struct NoMembers;

impl<'de> Members<'de> for NoMembers {
    fn from_map<A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self)
    }
}

enum Any<'de, T> {
    Absent,
    Text(Cow<'de, str>),
    Object(T),
    Other,
}

struct AnyVisitor<T>(std::marker::PhantomData<T>);

impl<'de, T: Members<'de>> Visitor<'de> for AnyVisitor<T> {
    type Value = Any<'de, T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Any::Absent)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Any::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Any::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Any::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Any::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Any::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Any::Other)
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<Self::Value, E> {
        Ok(Any::Other)
    }

    /// MessagePack's extension types.
    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        IgnoredAny::deserialize(deserializer)?;
        Ok(Any::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Any::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::from_map(map).map(Any::Object)
    }
}
