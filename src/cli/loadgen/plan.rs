//! Which conversation's timer falls due when.

use super::message;
use crate::domain::{Span, Timestamp};
use crate::wire::time;

/// One human message a conversation, and so one timer: message `n` is stamped so that its deadline is `deadline(n)`.
pub struct Plan {
    pub workspace: String,
    pub timers: u64,
    pub period: Span,
    /// Of the first timer.
    pub first_deadline: Timestamp,
    /// Over which the deadlines are spread evenly.
    pub within: Span,
}

impl Plan {
    pub fn deadline(&self, number: u64) -> Timestamp {
        let after_ms = i128::from(self.within.as_millis()) * i128::from(number) / i128::from(self.timers.max(1));
        self.first_deadline.plus(Span::from_millis(after_ms as i64))
    }

    pub fn batches(&self, batch: u64) -> u64 {
        self.timers.div_ceil(batch)
    }

    /// The messages of batch `number` as NDJSON.
    pub fn body(&self, number: u64, batch: u64) -> Vec<u8> {
        let mut body = Vec::new();
        for timer in number * batch..((number + 1) * batch).min(self.timers) {
            let stamp = time::format(self.deadline(timer).minus(self.period));
            message(&mut body, &self.workspace, &format!("c{timer}"), timer, &stamp, "user");
        }
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_spread_evenly() {
        let first_deadline = Timestamp::from_millis(100_000);
        let plan = Plan { workspace: "w".into(), timers: 4, period: Span::from_secs(1), first_deadline, within: Span::from_secs(1) };
        assert_eq!([0, 1, 3].map(|n| plan.deadline(n).as_millis()), [100_000, 100_250, 100_750]);
        let body = String::from_utf8(plan.body(1, 3)).unwrap();
        assert_eq!((plan.batches(3), body.lines().count()), (2, 1));
        assert!(body.contains(r#""subject":"c3""#) && body.contains(r#""time":"1970-01-01T00:01:39.750Z""#), "{body}");
    }
}
