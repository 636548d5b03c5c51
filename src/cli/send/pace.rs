//! When each event of a file happens: as stamped, moved to now, or played faster.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::{Span, Timestamp};
use crate::wire::time;

/// How many times faster than it happened.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Speed(pub f64);

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_suffix('x').unwrap_or(text).parse() {
            Ok(factor) if (0.001..=1e9).contains(&factor) => Ok(Self(factor)),
            _ => Err(format!("`{text}` is no speed: write 1x, 60x or 0.5x")),
        }
    }
}

/// From where to where times are moved; chosen at the first event and kept over an interruption.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Shift {
    /// The first event's own stamp.
    first_ms: i64,
    /// When it was played.
    start_ms: i64,
}

impl Shift {
    /// Where a stamp of the file falls on the clock of the play.
    fn play(self, stamp: Timestamp, speed: f64) -> Timestamp {
        let after_ms = stamp.as_millis().saturating_sub(self.first_ms) as f64 / speed;
        Timestamp::from_millis(self.start_ms.saturating_add(after_ms.round() as i64))
    }
}

pub struct Pace {
    speed: Option<Speed>,
    to_now: bool,
    pub shift: Option<Shift>,
}

impl Pace {
    pub fn new(speed: Option<Speed>, to_now: bool, shift: Option<Shift>) -> Self {
        Self { speed, to_now, shift }
    }

    /// The line as it is to be sent, and when. What cannot be read is sent as it is: the service says why not.
    pub fn place(&mut self, line: Vec<u8>, now: Timestamp) -> (Vec<u8>, Option<Timestamp>) {
        if self.speed.is_none() && !self.to_now {
            return (line, None);
        }
        let Ok(mut event) = serde_json::from_slice::<Value>(&line) else { return (line, None) };
        let Some(stamp) = event["time"].as_str().and_then(time::parse) else { return (line, None) };
        let shift = *self.shift.get_or_insert(Shift { first_ms: stamp.as_millis(), start_ms: now.as_millis() });
        let factor = self.speed.map_or(1.0, |speed| speed.0);
        let played = shift.play(stamp, factor);
        let due = self.speed.map(|_| played);
        if !self.to_now {
            return (line, due);
        }
        event["time"] = time::format(played).into();
        let until = event["data"].get("until").and_then(Value::as_str).and_then(time::parse);
        if let Some(until) = until {
            event["data"]["until"] = time::format(shift.play(until, factor)).into();
        }
        (event.to_string().into_bytes(), due)
    }
}

/// A span of the file as long as it takes to play.
pub fn scaled(span: Span, speed: Speed) -> Span {
    Span::from_millis((span.as_millis() as f64 / speed.0).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000); // 2026-11-22T10:00:00Z

    fn place(pace: &mut Pace, line: &str) -> (Value, Option<String>) {
        let (line, due) = pace.place(line.into(), NOW);
        (serde_json::from_slice(&line).unwrap(), due.map(time::format))
    }

    #[test]
    fn each_event_happens_when_it_is_played() {
        let mut pace = Pace::new(Some(Speed(60.0)), true, None);
        let (first, due) = place(&mut pace, r#"{"time":"2006-06-01T12:00:00Z"}"#);
        assert_eq!((first["time"].as_str(), due.as_deref()), (Some("2026-11-22T10:00:00.000Z"), Some("2026-11-22T10:00:00.000Z")));
        let (snooze, due) = place(&mut pace, r#"{"time":"2006-06-01T12:01:00Z","data":{"until":"2006-06-01T13:00:00Z"}}"#);
        assert_eq!((snooze["time"].as_str(), due.as_deref()), (Some("2026-11-22T10:00:01.000Z"), Some("2026-11-22T10:00:01.000Z")));
        assert_eq!(snooze["data"]["until"], "2026-11-22T10:01:00.000Z");
    }

    #[test]
    fn moved_without_a_speed_keeps_its_distances_and_waits_for_nothing() {
        let mut pace = Pace::new(None, true, None);
        place(&mut pace, r#"{"time":"2006-06-01T12:00:00Z"}"#);
        let (second, due) = place(&mut pace, r#"{"time":"2006-06-01T12:01:00Z"}"#);
        assert_eq!((second["time"].as_str(), due), (Some("2026-11-22T10:01:00.000Z"), None));
    }

    #[test]
    fn as_it_is_nothing_is_touched() {
        let line = br#"{"time": "2006-06-01T12:00:00Z"  }"#.to_vec();
        assert_eq!(Pace::new(None, false, None).place(line.clone(), NOW), (line.clone(), None));
        let (same, due) = Pace::new(Some(Speed(1.0)), false, None).place(line.clone(), NOW);
        assert_eq!((same, due), (line, Some(NOW)));
        assert_eq!(Pace::new(Some(Speed(1.0)), true, None).place(b"bad".to_vec(), NOW), (b"bad".to_vec(), None));
    }

    #[test]
    fn speeds() {
        assert_eq!(["60x", "60", "0.5x"].map(|text| text.parse::<Speed>().unwrap().0), [60.0, 60.0, 0.5]);
        assert!(["", "x", "0x", "-1x", "fast", "NaN"].iter().all(|text| text.parse::<Speed>().is_err()));
    }
}
