//! Instants as text: RFC 3339 with an offset in; UTC with exactly three decimals out.

use std::fmt;

use chrono::DateTime;
use serde::{Serialize, Serializer};

use crate::domain::Timestamp;

const DAY_MS: i64 = 86_400_000;
/// 9999-12-31T23:59:59.999Z: RFC 3339 has four digits for a year.
const LAST_MS: i64 = 253_402_300_799_999;

/// Reads RFC 3339. The offset is required; the year, in UTC, must be 1970..=9999; what is finer than a millisecond is
/// dropped.
pub fn parse(text: &str) -> Option<Timestamp> {
    // Longer than any sensible fraction: not worth a parser's time.
    if text.len() > 64 {
        return None;
    }
    // In milliseconds: the leap second at the end of the last year is beyond it.
    let ms = DateTime::parse_from_rfc3339(text).ok()?.timestamp_millis();
    (0..=LAST_MS).contains(&ms).then(|| Timestamp::from_millis(ms))
}

/// An instant that shows itself as `2026-11-22T10:00:00.000Z`. Outside 1970..=9999 it shows the nearer end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rfc3339(pub Timestamp);

/// An instant as text.
pub fn format(at: Timestamp) -> String {
    Rfc3339(at).to_string()
}

impl Rfc3339 {
    fn render(self) -> [u8; 24] {
        let ms = self.0.as_millis().clamp(0, LAST_MS);
        let (year, month, day) = civil(ms / DAY_MS);
        let of_day = ms % DAY_MS;
        let mut text = *b"0000-00-00T00:00:00.000Z";
        put(&mut text[0..4], year);
        put(&mut text[5..7], month);
        put(&mut text[8..10], day);
        put(&mut text[11..13], of_day / 3_600_000);
        put(&mut text[14..16], of_day / 60_000 % 60);
        put(&mut text[17..19], of_day / 1_000 % 60);
        put(&mut text[20..23], of_day % 1_000);
        text
    }
}

fn put(digits: &mut [u8], mut number: i64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar. Years are counted from March, so that
/// the leap day is the last of its year.
fn civil(days: i64) -> (i64, i64, i64) {
    let since_0000_03_01 = days + 719_468;
    let era = since_0000_03_01 / 146_097;
    let of_era = since_0000_03_01 % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.render();
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl Serialize for Rfc3339 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.render();
        serializer.serialize_str(std::str::from_utf8(&text).map_err(serde::ser::Error::custom)?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn offsets_are_required_and_heeded() {
        let ten = parse("2026-11-22T10:00:00Z");
        assert_eq!(ten, Some(Timestamp::from_millis(1_795_341_600_000)));
        assert_eq!(parse("2026-11-22T12:00:00+02:00"), ten);
        assert_eq!(parse("2026-11-22T10:00:00.0004Z"), ten);
        for bad in [
            "2026-11-22T10:00:00",
            "2026-11-22",
            "1795341600",
            "",
            "yesterday",
            "1969-12-31T23:59:59Z",
            "2026-13-01T00:00:00Z",
            "9999-12-31T23:59:60Z",
        ] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn the_ends_of_the_calendar() {
        assert_eq!(format(Timestamp::from_millis(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(format(Timestamp::MAX), "9999-12-31T23:59:59.999Z");
        assert_eq!(format(Timestamp::MIN), "1970-01-01T00:00:00.000Z");
    }

    proptest! {
        /// What is shown reads back, and chrono shows the same.
        #[test]
        fn shown_reads_back(ms in 0..=LAST_MS) {
            let at = Timestamp::from_millis(ms);
            prop_assert_eq!(parse(&format(at)), Some(at));
            let chrono = chrono::DateTime::from_timestamp_millis(ms).unwrap();
            prop_assert_eq!(format(at), chrono.to_rfc3339_opts(chrono::SecondsFormat::Millis, true));
        }
    }
}
