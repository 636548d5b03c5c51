//! Instants and spans in whole milliseconds. Where they come from is nobody's business here: `now` is an argument.

use std::fmt;

/// An instant: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    pub const MIN: Self = Self(i64::MIN);
    pub const MAX: Self = Self(i64::MAX);

    pub const fn from_millis(ms: i64) -> Self {
        Self(ms)
    }

    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// This instant plus `span`; saturates at the end of time instead of wrapping.
    pub const fn plus(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    pub const fn minus(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub const fn since(self, earlier: Self) -> Span {
        let ms = self.0.saturating_sub(earlier.0);
        Span(if ms < 0 { 0 } else { ms })
    }
}

/// A length of time in milliseconds, never negative.
///
/// Written as CONTRACT.md has it: an integer and one of `s`, `m`, `h`, `d`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Span(i64);

impl Span {
    pub const ZERO: Self = Self(0);

    pub const fn from_millis(ms: i64) -> Self {
        assert!(ms >= 0, "a span is never negative");
        Self(ms)
    }

    pub const fn from_secs(seconds: i64) -> Self {
        Self::from_millis(seconds * 1_000)
    }

    pub const fn from_mins(minutes: i64) -> Self {
        Self::from_secs(minutes * 60)
    }

    pub const fn from_hours(hours: i64) -> Self {
        Self::from_mins(hours * 60)
    }

    pub const fn from_days(days: i64) -> Self {
        Self::from_hours(days * 24)
    }

    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Reads `90s`, `30m`, `24h`, `14d`. No sign, no fraction, no second unit: a period that two people could read
    /// in two ways is refused (T2).
    ///
    /// # Errors
    /// [`SpanError`] when the text is anything else, or longer than 100,000 days.
    pub fn parse(text: &str) -> Result<Self, SpanError> {
        let refuse = || SpanError { text: text.chars().take(40).flat_map(char::escape_debug).collect() };
        let unit_ms = match text.as_bytes().last() {
            Some(b's') => 1_000,
            Some(b'm') => 60_000,
            Some(b'h') => 3_600_000,
            Some(b'd') => 86_400_000,
            _ => return Err(refuse()),
        };
        let digits = &text[..text.len() - 1];
        if digits.is_empty() || digits.len() > 12 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(refuse());
        }
        let count: i64 = digits.parse().map_err(|_| refuse())?;
        match count.checked_mul(unit_ms) {
            Some(ms) if ms <= Self::from_days(100_000).0 => Ok(Self(ms)),
            _ => Err(refuse()),
        }
    }
}

impl fmt::Display for Span {
    /// The largest unit that says it exactly, so that what was written is what is shown; below a second, in `ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0;
        let (count, unit) = match ms {
            0 => (0, "s"),
            _ if ms % 86_400_000 == 0 && ms > 86_400_000 => (ms / 86_400_000, "d"),
            _ if ms % 3_600_000 == 0 => (ms / 3_600_000, "h"),
            _ if ms % 60_000 == 0 => (ms / 60_000, "m"),
            _ if ms % 1_000 == 0 => (ms / 1_000, "s"),
            _ => (ms, "ms"),
        };
        write!(f, "{count}{unit}")
    }
}

/// A text that is not a duration.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{text}` is not a duration: write an integer and one of s, m, h, d, such as 90s, 30m, 24h or 14d")]
pub struct SpanError {
    text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t2_durations_are_an_integer_and_a_unit() {
        for (text, span) in
            [("90s", Span::from_secs(90)), ("30m", Span::from_mins(30)), ("24h", Span::from_hours(24)), ("14d", Span::from_days(14))]
        {
            assert_eq!(Span::parse(text), Ok(span));
            assert_eq!(span.to_string(), text);
        }
    }

    #[test]
    fn t2_anything_else_is_refused() {
        for text in [
            "",
            "h",
            "-1h",
            "+1h",
            "1.5h",
            "1 h",
            "1h30m",
            "1 fortnight",
            "24",
            "24H",
            "1ms",
            "١h",
            "99999999999999999999d",
            "999999999999d",
        ] {
            assert!(Span::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Timestamp::MAX.plus(Span::from_days(1)), Timestamp::MAX);
        assert_eq!(Timestamp::from_millis(5).since(Timestamp::from_millis(9)), Span::ZERO);
    }
}
