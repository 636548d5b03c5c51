//! How many events a second one workspace may send, at this node: what one sends is not to keep the others waiting.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use actix_web::http::StatusCode;
use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};

use super::{Limits, Problem};

/// Knows what each workspace sent lately.
pub struct Rates {
    /// `None`: any number.
    limiter: Option<RateLimiter<Box<str>, DefaultKeyedStateStore<Box<str>>, DefaultClock>>,
    clock: DefaultClock,
}

impl Rates {
    /// A second's worth at once, and never less than one request may bring.
    pub fn new(limits: &Limits) -> Self {
        let quota = NonZeroU32::new(limits.rate).map(|rate| {
            let whole = u32::try_from(limits.events).ok().and_then(NonZeroU32::new).unwrap_or(rate);
            Quota::per_second(rate).allow_burst(rate.max(whole))
        });
        Self { limiter: quota.map(RateLimiter::keyed), clock: DefaultClock::default() }
    }

    /// Takes so many events of each workspace; how long those of which none are taken are to wait.
    pub fn take<'a>(&self, events: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, Duration> {
        let Some(limiter) = &self.limiter else { return BTreeMap::new() };
        let mut counts = BTreeMap::<&str, u32>::new();
        events.for_each(|workspace| *counts.entry(workspace).or_default() += 1);
        let waits = counts.into_iter().filter_map(|(workspace, count)| {
            match limiter.check_key_n(&workspace.into(), NonZeroU32::new(count)?) {
                Ok(Ok(())) => None,
                Ok(Err(until)) => Some((workspace, until.wait_time_from(self.clock.now()))),
                // More than a request may bring: it was not let in.
                Err(_) => Some((workspace, Duration::from_secs(1))),
            }
        });
        waits.collect()
    }

    /// Forgets those that have been quiet: names of workspaces are the producers' to choose.
    pub fn forget_quiet(&self) {
        if let Some(limiter) = &self.limiter {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

/// Too many of this workspace; come back after `wait`.
pub fn too_fast(wait: Duration) -> Problem {
    let detail = "this workspace sends more events than its rate allows";
    let action = "Nothing of it was accepted: send the same events again after Retry-After.";
    let seconds = u32::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX).max(1);
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate-limited", detail, action).after(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_workspace_too_fast_keeps_nobody_else_waiting() {
        let rates = Rates::new(&Limits { rate: 1, events: 10, ..Limits::default() });
        let take = |workspace: &'static str, count| rates.take(std::iter::repeat_n(workspace, count)).into_keys().collect::<Vec<_>>();
        assert!(take("acme", 10).is_empty(), "as many as one request may bring");
        assert_eq!(take("acme", 1), ["acme"]);
        assert!(take("other", 10).is_empty());
        rates.forget_quiet();
        assert_eq!(take("acme", 1), ["acme"]);
    }

    #[test]
    fn without_a_rate_there_is_none() {
        let rates = Rates::new(&Limits { rate: 0, ..Limits::default() });
        assert!((0..1_000).all(|_| rates.take(std::iter::repeat_n("acme", 10_000)).is_empty()));
    }
}
