//! What was acknowledged in the last seconds, in case the store loses it.
//!
//! A Redis that is not `strict` may forget its last second when it dies, or what its replica had not heard of when that
//! takes over. Whoever answers then is told again, with the time of the first acceptance; repeats do no harm (D6).

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Stopwatch;
use crate::domain::{Event, PartitionId, Timestamp};
use crate::store::{Entry, LogId};

/// More than the interval of an `fsync` or the delay of a replica that still is one.
pub const KEPT: Duration = Duration::from_secs(10);
/// Events kept at most, about 40 MB: at a higher rate the oldest go before their time.
const EVENTS_MAX: usize = 100_000;

#[derive(Default)]
pub struct Ring(Mutex<VecDeque<Kept>>);

struct Kept {
    since: Stopwatch,
    partition: PartitionId,
    accepted_at: Timestamp,
    event: Event,
}

impl Ring {
    /// Entries and their ids; zero where nothing is known of one.
    pub fn remember<'a>(&self, entries: impl Iterator<Item = ((PartitionId, Entry), &'a LogId)>) {
        let since = Stopwatch::start();
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for ((partition, entry), id) in entries.filter(|(_, id)| **id != LogId::ZERO) {
            if let Some((event, accepted_at)) = entry.into_event(*id) {
                ring.push_back(Kept { since, partition, accepted_at, event });
            }
        }
        while ring.front().is_some_and(|kept| kept.since.elapsed() > KEPT) || ring.len() > EVENTS_MAX {
            ring.pop_front();
        }
    }

    /// Hands over all that is still fresh, to be appended again: it is remembered anew when it was. Kept here as well, it
    /// would be there twice when the next primary takes over, then four times.
    pub fn again(&self) -> Vec<(PartitionId, Entry)> {
        let kept = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let fresh = kept.into_iter().filter(|kept| kept.since.elapsed() <= KEPT);
        fresh.map(|kept| (kept.partition, Entry::Again { event: Box::new(kept.event), accepted_at: kept.accepted_at })).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing;

    #[test]
    fn what_was_appended_again_is_there_once_for_the_next_time() {
        let ring = Ring::default();
        let entry = Entry::Event(testing::human("m1", 1_000));
        let id = LogId { ms: 1_000, seq: 0 };
        ring.remember(std::iter::once(((PartitionId(0), entry), &id)));
        for taken_at in [2_000, 3_000] {
            let again = ring.again();
            assert_eq!(again.len(), 1);
            assert_eq!(again[0].1.accepted_at(LogId { ms: taken_at, seq: 0 }), Timestamp::from_millis(1_000));
            ring.remember(again.into_iter().zip(&[LogId { ms: taken_at, seq: 0 }]));
        }
    }
}
