//! "Apply to running timers" (T23): a walk through the partition's rows at a bounded rate, which tells of every deadline that has
//! moved and thereby puts it where the index has it, so that what is due now closes as everything does.
//!
//! What holds does not wait for the walk: the deadline follows from the settings. A new owner walks anew, past those that were told
//! already, and a timer that no walk reaches is told of when its old time comes: nothing happens twice, and nothing is left out.

use std::collections::VecDeque;

use super::due::CaughtUp;
use super::owner::Owner;
use super::shard::ShardParts;
use super::upkeep::SWEEP_PAGE;
use crate::domain::{ConversationKey, PartitionId, Settings, Timestamp, has_moved};
use crate::store::{Place, StoreError};

/// One workspace's walk.
pub struct Applying {
    workspace: Box<str>,
    place: Option<Place>,
    /// Every page was read.
    walked: bool,
    /// Found, and not told yet.
    waiting: VecDeque<ConversationKey>,
    pace: Pace,
}

impl Applying {
    /// `partition`: whose rows it walks.
    pub fn new(workspace: &str, now: Timestamp, partition: PartitionId) -> Self {
        let pace = Pace::beginning(now, partition);
        Self { workspace: workspace.into(), place: None, walked: false, waiting: VecDeque::new(), pace }
    }

    pub fn is_of(&self, workspace: &str) -> bool {
        *self.workspace == *workspace
    }

    /// What an owner before may not have come to the end of. Longer ago than the longest period it need not be looked for: every
    /// timer of before has come up by itself.
    pub fn left_over(parts: &ShardParts, settings: &[(Box<str>, Settings)]) -> VecDeque<Self> {
        let now = parts.steady.now();
        let is_recent = |settings: &Settings| settings.running.is_some_and(|it| now < it.at.plus(parts.options.bounds.max_period));
        settings
            .iter()
            .filter(|(_, settings)| is_recent(settings))
            .map(|(workspace, _)| Self::new(workspace, now, parts.partition))
            .collect()
    }
}

/// How many timers may be told of by now. Each partition has its even share of a workspace's rate, whoever owns it: together they
/// keep to it without a word to each other.
struct Pace {
    at: Timestamp,
    /// In timers, times milliseconds of a second, times partitions.
    earned: u64,
}

impl Pace {
    /// One partition after the other comes to its first timer, not all at one time.
    fn beginning(at: Timestamp, partition: PartitionId) -> Self {
        Self { at, earned: 1_000 * u64::from(partition.0) }
    }

    /// What may be told now; at most a second's worth is saved up, and one.
    fn earn(&mut self, now: Timestamp, rate: u32, partitions: u16) -> usize {
        let (second, one) = (1_000 * u64::from(rate), 1_000 * u64::from(partitions));
        let passed = now.since(self.at).as_millis().unsigned_abs();
        self.at = self.at.max(now);
        self.earned = self.earned.saturating_add(passed.saturating_mul(u64::from(rate))).min(second + one);
        usize::try_from(self.earned / one).unwrap_or(usize::MAX)
    }

    fn spend(&mut self, timers: usize, partitions: u16) {
        self.earned = self.earned.saturating_sub(1_000 * u64::from(partitions) * timers as u64);
    }
}

impl Owner<'_> {
    /// Of each walk a page, or as many of those it found as may be told of by now.
    pub(super) async fn apply_to_running(&mut self) -> Result<(), StoreError> {
        if self.applying.is_empty() {
            return Ok(());
        }
        let caught_up = self.caught_up().await?;
        if caught_up.barrier.held {
            return Ok(());
        }
        for _ in 0..self.applying.len() {
            let Some(applying) = self.applying.pop_front() else { return Ok(()) };
            self.go_on(applying, &caught_up).await?;
        }
        Ok(())
    }

    async fn go_on(&mut self, mut applying: Applying, caught_up: &CaughtUp) -> Result<(), StoreError> {
        let settings = self.settings_of(&applying.workspace);
        let Some(running) = settings.running else { return Ok(()) };
        if applying.waiting.is_empty() && !applying.walked {
            let page = self.parts.store.walk(self.parts.partition, applying.place.take(), SWEEP_PAGE).await?;
            let moved = page.rows.into_iter().filter(|(key, row)| applying.is_of(key.workspace()) && has_moved(row, &settings));
            applying.waiting = moved.map(|(key, _)| key).collect();
            (applying.walked, applying.place) = (page.next.is_none(), page.next);
        }
        let partitions = self.parts.store.partitions().get();
        let now = applying.pace.earn(self.parts.steady.now(), running.rate, partitions).min(applying.waiting.len());
        let keys: Vec<ConversationKey> = applying.waiting.drain(..now).collect();
        applying.pace.spend(keys.len(), partitions);
        if !keys.is_empty() {
            let _turn = self.parts.large_turn(keys.len()).await;
            self.admit(keys.iter().cloned()).await?;
            self.look(keys, caught_up).await?;
        }
        let is_done = applying.walked && applying.waiting.is_empty();
        if !is_done {
            // Who waits for their turn does so until the next tick; who only looks for them does not.
            self.rounds.more |= applying.waiting.is_empty();
            self.applying.push_back(applying);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t23_all_partitions_together_keep_to_the_rate() {
        let at = Timestamp::from_millis;
        let mut paces: Vec<Pace> = (0..64).map(|partition| Pace::beginning(at(0), PartitionId(partition))).collect();
        let mut told = 0;
        for tick in 1..=64 {
            let earn = |pace: &mut Pace| {
                let now = pace.earn(at(tick * 1_000), 10, 64);
                pace.spend(now, 64);
                now
            };
            let now: usize = paces.iter_mut().map(earn).sum();
            assert!((9..=11).contains(&now), "{now} in second {tick}");
            told += now;
        }
        assert_eq!(told, 640, "ten a second");
        let mut pace = Pace::beginning(at(0), PartitionId(0));
        pace.earn(at(64_000), 10, 64);
        assert_eq!(pace.earn(at(1_000_000), 10, 64), 1, "no more is saved up than a second's worth and one");
        let mut fast = Pace::beginning(at(0), PartitionId(0));
        assert_eq!((fast.earn(at(500), 100, 4), fast.earn(at(100), 100, 4), fast.earn(at(60_000), 100, 4)), (12, 12, 26));
    }
}
