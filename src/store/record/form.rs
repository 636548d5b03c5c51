//! How values become MessagePack and back: the writer, the reader, and the forms of what everything else is made of.
//!
//! A form is written and read by one declaration ([`fields!`], [`variants!`]), so that the two directions cannot drift
//! apart, and a field or variant added to the domain stops the build here until the stored form has an answer.

#![expect(clippy::expect_used, reason = "writing into a vector does not fail")]

use rmp::decode::{NumValueReadError, ValueReadError};
use rmp::{Marker, decode, encode};

use super::{FORM_OLDEST, FORM_VERSION, RecordError};

use crate::domain::order::Position;
use crate::domain::{Span, Timestamp};

pub trait Form: Sized {
    fn write<'a>(&'a self, to: &mut Writer<'a>);

    fn read(from: &mut Reader<'_>) -> Result<Self, RecordError>;
}

/// Writes one form. Texts and positions are remembered: a second one is written as the number of the first.
pub struct Writer<'a> {
    bytes: Vec<u8>,
    time: i64,
    span: i64,
    texts: Vec<&'a str>,
    positions: Vec<&'a Position>,
}

/// A number up to this is a byte of its own, as most in a row are.
const INT_OF_A_BYTE: u8 = 0x7f;

/// A `Vec` takes every byte it is given.
const NEVER_FULL: &str = "a vector takes every byte";

impl<'a> Writer<'a> {
    pub fn new(typical_bytes: usize) -> Self {
        let mut bytes = Vec::with_capacity(typical_bytes);
        bytes.push(FORM_VERSION);
        Self { bytes, time: 0, span: 0, texts: Vec::with_capacity(16), positions: Vec::with_capacity(8) }
    }

    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }

    pub fn array(&mut self, length: usize) {
        encode::write_array_len(&mut self.bytes, length as u32).expect(NEVER_FULL);
    }

    pub fn nil(&mut self) {
        encode::write_nil(&mut self.bytes).expect(NEVER_FULL);
    }

    pub fn variant(&mut self, code: u64, parts: usize) {
        if parts > 0 {
            self.array(1 + parts);
        }
        self.uint(code);
    }

    pub fn bool(&mut self, value: bool) {
        encode::write_bool(&mut self.bytes, value).expect(NEVER_FULL);
    }

    pub fn uint(&mut self, value: u64) {
        match u8::try_from(value) {
            Ok(small @ ..=INT_OF_A_BYTE) => self.bytes.push(small),
            _ => encode::write_uint(&mut self.bytes, value).map(drop).expect(NEVER_FULL),
        }
    }

    fn sint(&mut self, value: i64) {
        match u64::try_from(value) {
            Ok(value) => self.uint(value),
            Err(_) => encode::write_sint(&mut self.bytes, value).map(drop).expect(NEVER_FULL),
        }
    }

    /// The head of `length` raw bytes; [`raw`](Self::raw) brings them.
    pub fn bin(&mut self, length: usize) {
        encode::write_bin_len(&mut self.bytes, length as u32).expect(NEVER_FULL);
    }

    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub fn text(&mut self, text: &'a str) {
        if let Some(number) = self.texts.iter().position(|known| *known == text) {
            return self.uint(number as u64);
        }
        self.texts.push(text);
        encode::write_str(&mut self.bytes, text).expect(NEVER_FULL);
    }
}

/// Bytes of text that numbers of texts may stand for in one form. The largest row of ours has some kilobytes of them; one
/// long text named by every third byte would make gigabytes of megabytes.
const REPEATED_BYTES_MAX: usize = 4 << 20;

/// Reads one form.
pub struct Reader<'b> {
    version: u8,
    rest: &'b [u8],
    length: usize,
    time: i64,
    span: i64,
    texts: Vec<&'b str>,
    positions: Vec<Position>,
    /// Bytes of text that were named by a number so far.
    repeated: usize,
}

impl<'b> Reader<'b> {
    pub fn new(bytes: &'b [u8]) -> Result<Self, RecordError> {
        match bytes {
            [] => Err(RecordError::Truncated { length: 0, expected: "the form version" }),
            [version @ FORM_OLDEST..=FORM_VERSION, rest @ ..] => Ok(Self {
                version: *version,
                rest,
                length: bytes.len(),
                time: 0,
                span: 0,
                texts: Vec::with_capacity(16),
                positions: Vec::new(),
                repeated: 0,
            }),
            [found, ..] => Err(RecordError::Version { found: *found }),
        }
    }

    /// Fields that came with version `since`: how many of them this form has.
    pub fn added(&self, since: u8, fields: usize) -> usize {
        if self.version >= since { fields } else { 0 }
    }

    /// A field that came with version `since`.
    pub fn later<T: Form + Default>(&mut self, since: u8) -> Result<T, RecordError> {
        if self.version >= since { T::read(self) } else { Ok(T::default()) }
    }

    pub fn finish(self) -> Result<(), RecordError> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(RecordError::LeftOver { at: self.at(), left }),
        }
    }

    fn at(&self) -> usize {
        self.length - self.rest.len()
    }

    pub fn unexpected(&self, expected: &'static str, found: impl std::fmt::Display) -> RecordError {
        RecordError::Unexpected { at: self.at(), found: found.to_string().into(), expected }
    }

    fn refuse(&self, expected: &'static str, cause: &ValueReadError) -> RecordError {
        match cause {
            ValueReadError::InvalidMarkerRead(_) | ValueReadError::InvalidDataRead(_) => self.truncated(expected),
            ValueReadError::TypeMismatch(marker) => self.unexpected(expected, format_args!("{marker:?}")),
        }
    }

    fn truncated(&self, expected: &'static str) -> RecordError {
        RecordError::Truncated { length: self.length, expected }
    }

    fn peek(&self) -> Option<Marker> {
        self.rest.first().copied().map(Marker::from_u8)
    }

    /// Takes the next value if it is nil.
    pub fn is_nil(&mut self) -> bool {
        let nil = self.peek() == Some(Marker::Null);
        if nil {
            self.rest = &self.rest[1..];
        }
        nil
    }

    fn is_array(&self) -> bool {
        matches!(self.peek(), Some(Marker::FixArray(_) | Marker::Array16 | Marker::Array32))
    }

    fn is_text(&self) -> bool {
        matches!(self.peek(), Some(Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32))
    }

    /// The length of an array. Each element takes a byte at least, so no length makes us set aside more than there is.
    pub fn list(&mut self, expected: &'static str) -> Result<usize, RecordError> {
        let length = decode::read_array_len(&mut self.rest).map_err(|e| self.refuse(expected, &e))? as usize;
        if length > self.rest.len() { Err(self.truncated(expected)) } else { Ok(length) }
    }

    pub fn array(&mut self, length: usize, expected: &'static str) -> Result<(), RecordError> {
        match self.list(expected)? {
            found if found == length => Ok(()),
            found => Err(self.unexpected(expected, format_args!("{found} fields"))),
        }
    }

    /// The number of a variant, and how many fields it has.
    pub fn variant(&mut self, expected: &'static str) -> Result<(u64, usize), RecordError> {
        if !self.is_array() {
            return Ok((self.int(expected)?, 0));
        }
        match self.list(expected)? {
            0 => Err(self.unexpected(expected, "an empty array")),
            length => Ok((self.int(expected)?, length - 1)),
        }
    }

    pub fn bool(&mut self, expected: &'static str) -> Result<bool, RecordError> {
        decode::read_bool(&mut self.rest).map_err(|e| self.refuse(expected, &e))
    }

    /// Any integer that a `T` can hold; wide enough in between for the largest `u64` and the least `i64`.
    pub fn int<T: TryFrom<i128>>(&mut self, expected: &'static str) -> Result<T, RecordError> {
        if let [small @ ..=INT_OF_A_BYTE, rest @ ..] = self.rest
            && let Ok(value) = T::try_from(i128::from(*small))
        {
            self.rest = rest;
            return Ok(value);
        }
        let wide: i128 = decode::read_int(&mut self.rest).map_err(|e| match e {
            NumValueReadError::InvalidMarkerRead(_) | NumValueReadError::InvalidDataRead(_) => self.truncated(expected),
            NumValueReadError::TypeMismatch(marker) => self.unexpected(expected, format_args!("{marker:?}")),
            NumValueReadError::OutOfRange => self.unexpected(expected, "a number out of range"),
        })?;
        T::try_from(wide).map_err(|_| self.unexpected(expected, wide))
    }

    pub fn bin(&mut self, expected: &'static str) -> Result<&'b [u8], RecordError> {
        let length = decode::read_bin_len(&mut self.rest).map_err(|e| self.refuse(expected, &e))?;
        self.raw(length as usize, expected)
    }

    fn raw(&mut self, length: usize, expected: &'static str) -> Result<&'b [u8], RecordError> {
        let (raw, rest) = self.rest.split_at_checked(length).ok_or_else(|| self.truncated(expected))?;
        self.rest = rest;
        Ok(raw)
    }

    pub fn text(&mut self, expected: &'static str) -> Result<&'b str, RecordError> {
        if !self.is_text() {
            let number: usize = self.int(expected)?;
            let known = self.texts.get(number).copied();
            let text = known.ok_or_else(|| self.unexpected(expected, format_args!("text number {number}")))?;
            return self.repeat(text.len(), expected).map(|()| text);
        }
        let length = decode::read_str_len(&mut self.rest).map_err(|e| self.refuse(expected, &e))?;
        let raw = self.raw(length as usize, expected)?;
        let text = std::str::from_utf8(raw).map_err(|e| self.unexpected(expected, e))?;
        self.texts.push(text);
        Ok(text)
    }

    /// Counts what a few bytes stand for.
    fn repeat(&mut self, bytes: usize, expected: &'static str) -> Result<(), RecordError> {
        self.repeated = self.repeated.saturating_add(bytes);
        if self.repeated > REPEATED_BYTES_MAX { Err(self.unexpected(expected, "one text too many times")) } else { Ok(()) }
    }
}

/// The form of a struct: an array of these fields in this order. `or nil`: nil where it is the default, as most are. Fields behind
/// a version are written since then; an older form has their default.
macro_rules! fields {
    ($name:ident $(or $nil:ident)? { $($field:ident),+ $(,)? $(; $since:literal: $($later:ident),+ $(,)?)* }) => {
        impl Form for $name {
            fn write<'a>(&'a self, to: &mut Writer<'a>) {
                $(if *self == Self::default() {
                    return to.$nil();
                })?
                let Self { $($field,)+ $($($later,)+)* } = self;
                to.array([$(stringify!($field),)+ $($(stringify!($later),)+)*].len());
                $($field.write(to);)+
                $($($later.write(to);)+)*
            }

            fn read(from: &mut Reader<'_>) -> Result<Self, RecordError> {
                $(fields!(@$nil from);)?
                let later = 0 $(+ from.added($since, [$(stringify!($later)),+].len()))*;
                from.array([$(stringify!($field)),+].len() + later, stringify!($name))?;
                Ok(Self { $($field: Form::read(from)?,)+ $($($later: from.later($since)?,)+)* })
            }
        }
    };
    (@nil $from:ident) => {
        if $from.is_nil() {
            return Ok(Self::default());
        }
    };
}
pub(crate) use fields;

/// The form of an enum: the number of its variant, in an array with the variant's fields where it has any. A number, once
/// given, keeps its meaning for ever. Fields behind a version: as in [`fields!`].
macro_rules! variants {
    ($name:ty, $what:literal {
        $($code:literal = $variant:ident $(($($part:ident),+))? $({ $($field:ident),+ $(; $since:literal: $($later:ident),+)* })?),+ $(,)?
    }) => {
        impl Form for $name {
            fn write<'a>(&'a self, to: &mut Writer<'a>) {
                match self {
                    $(Self::$variant $(($($part),+))? $({ $($field,)+ $($($later,)+)* })? => {
                        to.variant($code, variants!(@count $($($part)+)? $($($field)+ $($($later)+)*)?));
                        $($($part.write(to);)+)?
                        $($($field.write(to);)+ $($($later.write(to);)+)*)?
                    })+
                }
            }

            fn read(from: &mut Reader<'_>) -> Result<Self, RecordError> {
                let (code, parts) = from.variant($what)?;
                match code {
                    $($code if parts == variants!(@count $($($part)+)? $($($field)+)?)
                        $($(+ from.added($since, variants!(@count $($later)+)))*)? =>
                    {
                        Ok(Self::$variant
                            $(($({ let $part = Form::read(from)?; $part }),+))?
                            $({ $($field: Form::read(from)?,)+ $($($later: from.later($since)?,)+)* })?)
                    })+
                    _ => Err(from.unexpected($what, format_args!("variant {code} of {parts} fields"))),
                }
            }
        }
    };
    (@count) => { 0 };
    (@count $($part:ident)+) => { [$(stringify!($part)),+].len() };
}
pub(crate) use variants;

/// The distance from the time before it: what happens together is written short.
impl Form for Timestamp {
    fn write<'a>(&'a self, to: &mut Writer<'a>) {
        let before = std::mem::replace(&mut to.time, self.as_millis());
        to.sint(self.as_millis().wrapping_sub(before));
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        let distance: i64 = from.int("a time")?;
        from.time = from.time.wrapping_add(distance);
        Ok(Self::from_millis(from.time))
    }
}

/// The difference from the span before it: a workspace seldom has two periods.
impl Form for Span {
    fn write<'a>(&'a self, to: &mut Writer<'a>) {
        let before = std::mem::replace(&mut to.span, self.as_millis());
        to.sint(self.as_millis() - before);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        let difference: i64 = from.int("a span")?;
        from.span = from.span.checked_add(difference).filter(|ms| *ms >= 0).ok_or_else(|| from.unexpected("a span", difference))?;
        Ok(Self::from_millis(from.span))
    }
}

/// One event is an opener, a message and the border of an episode: from the second time on, a position is a number.
impl Form for Position {
    fn write<'a>(&'a self, to: &mut Writer<'a>) {
        if let Some(number) = to.positions.iter().position(|known| *known == self) {
            return to.uint(number as u64);
        }
        to.positions.push(self);
        let Self { effective, time, contact_message, name } = self;
        to.array(4);
        effective.write(to);
        time.write(to);
        contact_message.write(to);
        name.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        if !from.is_array() {
            let number: usize = from.int("a position")?;
            let known = from.positions.get(number).cloned();
            let position = known.ok_or_else(|| from.unexpected("a position", format_args!("position number {number}")))?;
            let bytes = position.name.id().len() + position.name.source().len();
            return from.repeat(bytes, "a position").map(|()| position);
        }
        from.array(4, "a position")?;
        let (effective, time) = (Form::read(from)?, Form::read(from)?);
        let contact_message = from.bool("whether a contact wrote")?;
        let position = Self { effective, time, contact_message, name: Form::read(from)? };
        from.positions.push(position.clone());
        Ok(position)
    }
}
