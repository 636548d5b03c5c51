//! How often to knock at a closed door.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Stopwatch;

/// After the first failure the next attempt is made at once, then after this long, then after twice as long...
const FIRST: Duration = Duration::from_millis(50);
/// ...until it is this long: a server that comes back is found within a second, one that is away costs one attempt a
/// second, however many ask.
const LONGEST: Duration = Duration::from_secs(1);

#[derive(Default)]
pub struct Backoff {
    failures: u32,
    last: Option<(Stopwatch, Arc<str>)>,
}

impl Backoff {
    /// How long to wait before the next attempt, and what the last one came to. `None`: go ahead.
    pub fn wait(&self) -> Option<(Duration, Arc<str>)> {
        let (since, reason) = self.last.as_ref()?;
        let left = pause(self.failures).saturating_sub(since.elapsed());
        (!left.is_zero()).then(|| (left, Arc::clone(reason)))
    }

    pub fn is_shut(&self) -> bool {
        self.failures > 0
    }

    /// True for the first of a row of failures.
    pub fn failed(&mut self, reason: Arc<str>) -> bool {
        self.failures = self.failures.saturating_add(1);
        self.last = Some((Stopwatch::start(), reason));
        self.failures == 1
    }

    /// True when there had been failures.
    pub fn succeeded(&mut self) -> bool {
        std::mem::take(self).failures > 0
    }
}

fn pause(failures: u32) -> Duration {
    match failures {
        0 | 1 => Duration::ZERO,
        n => FIRST.saturating_mul(1 << (n - 2).min(16)).min(LONGEST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_retry_comes_at_once_and_none_later_than_after_a_second() {
        let pauses: Vec<u128> = (1..9).map(|failures| pause(failures).as_millis()).collect();
        assert_eq!(pauses, [0, 50, 100, 200, 400, 800, 1_000, 1_000]);
        assert_eq!(pause(u32::MAX), LONGEST);
    }

    #[test]
    fn while_it_waits_it_says_what_happened_last() {
        let mut backoff = Backoff::default();
        assert!(backoff.wait().is_none());
        assert!(backoff.failed("refused".into()));
        assert!(backoff.wait().is_none());
        for _ in 0..8 {
            assert!(!backoff.failed("refused again".into()));
        }
        assert_eq!(backoff.wait().unwrap().1.as_ref(), "refused again");
        assert!(backoff.succeeded());
        assert!(backoff.wait().is_none());
    }
}
