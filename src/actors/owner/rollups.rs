//! What reports count, kept with each commit: an owner has the days in memory that it counts into, and writes a whole day whenever
//! it changes. It alone writes them, so what it has is what is stored; when a commit fails, they are dropped with all else.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Owner;
use super::draft::Draft;
use crate::domain::report::{Count, Day, Rollup};
use crate::store::{RollupWrite, StoreError};

/// Days in memory of one partition. Nearly all that is counted is of today: so many workspaces are at home at one time, and each
/// takes a kilobyte or some.
const DAYS_MAX: usize = 256;
/// Days taken away in one commit.
const OLD_PAGE: usize = 256;

/// Days of workspaces, with when they were last counted into.
#[derive(Default)]
pub struct Rollups {
    days: BTreeMap<(Box<str>, Day), Known>,
    turn: u64,
    /// Up to which day old ones were looked for.
    cleared: Option<Day>,
}

struct Known {
    /// `None`: what is stored cannot be read. It stays as it is, for somebody who can, and nothing is counted.
    rollup: Option<Arc<Rollup>>,
    used: u64,
}

impl Owner<'_> {
    /// Puts what this commit counts into it. What is further back than reports are kept is not counted.
    pub(super) async fn count(&mut self, draft: &mut Draft) -> Result<(), StoreError> {
        if draft.counts.is_empty() {
            return Ok(());
        }
        let oldest = self.oldest_day();
        self.rollups.turn += 1;
        let mut counts = std::mem::take(&mut draft.counts);
        counts.retain(|(_, day), _| *day >= oldest);
        self.know(counts.keys()).await?;
        for (key, counts) in counts {
            let Some(known) = self.rollups.days.get_mut(&key) else { continue };
            known.used = self.rollups.turn;
            let Some(rollup) = known.rollup.as_mut() else { continue };
            let sums = Arc::make_mut(rollup);
            counts.iter().for_each(|count: &Count| sums.take(count));
            let ((workspace, day), rollup) = (key, Some(Arc::clone(rollup)));
            draft.rollup(RollupWrite { workspace, day, rollup });
        }
        self.rollups.forget();
        Ok(())
    }

    fn oldest_day(&self) -> Day {
        Day::of(self.parts.steady.now()).back(self.parts.options.report_days)
    }

    /// Brings in those of these days that are not in memory, all at one time.
    async fn know(&mut self, days: impl Iterator<Item = &(Box<str>, Day)>) -> Result<(), StoreError> {
        let (partition, turn) = (self.parts.partition, self.rollups.turn);
        let missing: Vec<_> = days.filter(|day| !self.rollups.days.contains_key(*day)).cloned().collect();
        let read = missing.iter().map(|(workspace, day)| self.parts.store.rollups(partition, workspace.clone(), vec![*day], None));
        let read = futures_util::future::join_all(read).await;
        for ((workspace, day), stored) in missing.into_iter().zip(read) {
            let rollup = match stored {
                Ok(stored) => Some(Arc::new(stored.into_iter().next().unwrap_or_default())),
                Err(StoreError::Unreadable(reason)) => {
                    tracing::error!(%partition, day = day.0, %reason, "reports do not count this day any more; conversations go on");
                    None
                }
                Err(error) => return Err(error),
            };
            self.rollups.days.insert((workspace, day), Known { rollup, used: turn });
        }
        Ok(())
    }

    /// Takes away what is older than reports are kept: looked for once a day.
    pub(super) async fn forget_old_days(&mut self) -> Result<(), StoreError> {
        let oldest = self.oldest_day();
        if self.rollups.cleared >= Some(oldest) {
            return Ok(());
        }
        let old = self.parts.store.rollups_before(self.parts.partition, oldest, OLD_PAGE).await?;
        if old.len() < OLD_PAGE {
            self.rollups.cleared = Some(oldest);
        }
        let mut draft = self.draft();
        for (day, workspace) in old {
            self.rollups.days.remove(&(workspace.clone(), day));
            draft.rollup(RollupWrite { workspace, day, rollup: None });
        }
        self.commit(draft).await
    }
}

impl Rollups {
    /// Those that were not counted into for longest leave.
    fn forget(&mut self) {
        while self.days.len() > DAYS_MAX {
            let Some(oldest) = self.days.iter().min_by_key(|(_, known)| known.used).map(|(key, _)| key.clone()) else { return };
            self.days.remove(&oldest);
        }
    }
}
