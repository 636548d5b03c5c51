//! What the service has told so far: the timers that run, and how often what happened.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::domain::{Span, Timestamp};
use crate::wire::time;

/// What is followed, by short names. Assignments and the like do not occur in the slice.
pub const TYPES: &str = "armed,reset,cancelled,opened,closed,reopened,reversed";

/// One thing that happened to one conversation.
pub struct Happening {
    pub what: String,
    pub conversation: String,
    pub at: Timestamp,
    /// When the conversation is to close, after this.
    pub closes_at: Option<Timestamp>,
    /// How late a close came after its deadline.
    pub late_ms: Option<i64>,
}

impl Happening {
    /// Reads a notification.
    fn read(data: &str) -> Option<Self> {
        let event: Value = serde_json::from_str(data).ok()?;
        let what = event["type"].as_str()?.split('.').nth(2)?.to_owned();
        let instant = |value: &Value| value.as_str().and_then(time::parse);
        let closes_at = match what.as_str() {
            "closed" | "cancelled" => None,
            _ => instant(&event["data"]["conversation"]["scheduled_close_at"]),
        };
        Some(Self {
            conversation: event["subject"].as_str()?.to_owned(),
            at: instant(&event["time"])?,
            late_ms: (what == "closed").then(|| event["data"]["late_ms"].as_i64()).flatten(),
            closes_at,
            what,
        })
    }
}

pub struct Board {
    /// Conversations with a running timer, and when each closes.
    pub timers: BTreeMap<String, Timestamp>,
    /// By what happened, in the order of [`TYPES`].
    pub counts: Vec<(&'static str, u64)>,
    pub late_ms: Vec<i64>,
    last_told: Timestamp,
}

impl Board {
    pub fn new() -> Self {
        let counts = TYPES.split(',').map(|what| (what, 0)).collect();
        Self { timers: BTreeMap::new(), counts, late_ms: Vec::new(), last_told: Timestamp::MIN }
    }

    /// Takes in a notification; `None`: not one of those followed.
    pub fn take_in(&mut self, data: &str, now: Timestamp) -> Option<Happening> {
        let happening = Happening::read(data)?;
        let (_, count) = self.counts.iter_mut().find(|(what, _)| *what == happening.what)?;
        *count += 1;
        self.last_told = now;
        match happening.closes_at {
            Some(at) => self.timers.insert(happening.conversation.clone(), at),
            None => self.timers.remove(&happening.conversation),
        };
        self.late_ms.extend(happening.late_ms);
        Some(happening)
    }

    pub fn count(&self, what: &str) -> u64 {
        self.counts.iter().find(|(counted, _)| *counted == what).map_or(0, |(_, count)| *count)
    }

    /// Nothing is due any more, and nothing was told for `quiet`.
    pub fn is_quiet(&self, now: Timestamp, quiet: Span) -> bool {
        self.timers.is_empty() && now.since(self.last_told) >= quiet
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(what: &str, closes_at: &str) -> String {
        serde_json::json!({
            "type": what, "subject": "c1", "time": "2026-11-22T10:00:00Z",
            "data": {"conversation": {"scheduled_close_at": closes_at}, "late_ms": 3},
        })
        .to_string()
    }

    #[test]
    fn timers_come_and_go() {
        let (mut board, now) = (Board::new(), Timestamp::from_millis(0));
        board.take_in(&told("adjourn.timer.armed.v1", "2026-11-22T10:00:05Z"), now).unwrap();
        assert_eq!(board.timers.len(), 1);
        assert!(!board.is_quiet(Timestamp::from_millis(9_000), Span::from_secs(1)));
        let closed = board.take_in(&told("adjourn.conversation.closed.v1", "2026-11-22T10:00:05Z"), now).unwrap();
        assert_eq!((closed.late_ms, closed.closes_at), (Some(3), None));
        assert_eq!((board.count("armed"), board.count("closed"), board.timers.len()), (1, 1, 0));
        assert!(board.is_quiet(Timestamp::from_millis(9_000), Span::from_secs(1)));
        assert!(board.take_in(&told("adjourn.settings.changed.v1", ""), now).is_none() && board.take_in("x", now).is_none());
    }
}
