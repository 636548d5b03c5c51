//! "Apply to running timers" (T23): a walk through the partition's rows at a bounded rate, which tells of every deadline that has
//! moved and thereby puts it where the index has it, so that what is due now closes as everything does.
//!
//! What holds does not wait for the walk: the deadline follows from the settings. A new owner walks anew, past those that were told
//! already, and a timer that no walk reaches is told of when its old time comes: nothing happens twice, and nothing is left out.

use std::collections::VecDeque;

use super::Owner;
use super::due::CaughtUp;
use super::upkeep::SWEEP_PAGE;
use crate::actors::shard::ShardParts;
use crate::domain::{ConversationKey, PartitionId, Settings, Timestamp, has_moved};
use crate::store::{Place, StoreError};

/// One workspace's walk.
pub struct PeriodWalk {
    workspace: Box<str>,
    place: Option<Place>,
    /// Every page was read.
    walked: bool,
    /// Found, and not told yet.
    waiting: VecDeque<ConversationKey>,
    pace: Pace,
}

impl PeriodWalk {
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
    pub(super) async fn walk_periods(&mut self) -> Result<(), StoreError> {
        if self.period_walks.is_empty() {
            return Ok(());
        }
        let caught_up = self.caught_up().await?;
        if caught_up.barrier.held {
            return Ok(());
        }
        for _ in 0..self.period_walks.len() {
            let Some(walk) = self.period_walks.pop_front() else { return Ok(()) };
            self.go_on(walk, &caught_up).await?;
        }
        Ok(())
    }

    async fn go_on(&mut self, mut walk: PeriodWalk, caught_up: &CaughtUp) -> Result<(), StoreError> {
        let settings = self.settings_of(&walk.workspace);
        let Some(running) = settings.running else { return Ok(()) };
        if walk.waiting.is_empty() && !walk.walked {
            let page = self.parts.store.walk(self.parts.partition, walk.place.take(), SWEEP_PAGE).await?;
            let moved = page.rows.into_iter().filter(|(key, row)| walk.is_of(key.workspace()) && has_moved(row, &settings));
            walk.waiting = moved.map(|(key, _)| key).collect();
            (walk.walked, walk.place) = (page.next.is_none(), page.next);
        }
        let partitions = self.parts.store.partitions().get();
        let now = walk.pace.earn(self.parts.steady.now(), running.rate, partitions).min(walk.waiting.len());
        let keys: Vec<ConversationKey> = walk.waiting.drain(..now).collect();
        walk.pace.spend(keys.len(), partitions);
        if !keys.is_empty() {
            let _turn = self.parts.large_turn(keys.len()).await;
            self.admit(keys.iter().cloned()).await?;
            self.look(keys, caught_up).await?;
        }
        let is_done = walk.walked && walk.waiting.is_empty();
        if !is_done {
            // Who waits for their turn does so until the next tick; who only looks for them does not.
            self.rounds.more |= walk.waiting.is_empty();
            self.period_walks.push_back(walk);
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
