//! Names of one workspace's conversations from all partitions in one order, a few at a time, and no more read for them than a budget
//! allows: where that is spent, it is known up to where all were brought up.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::future::try_join_all;

use super::list::ListPlace;
use crate::domain::id::NAME_BYTES_MAX;
use crate::domain::listing::{Section, SectionQuery, Standing};
use crate::domain::{Conversation, ConversationKey, PartitionId, Span, Timestamp};
use crate::store::{DueKey, Store, StoreError};

/// Names that are passed over in the time of a row.
pub(super) const NAMES_A_ROW: usize = 5;
/// Rows read at a time where there is no list.
pub(super) const CHUNK: usize = 256;
/// Names read of a partition at a time, at most.
const NAMES_MAX: usize = 4_096;
/// Names taken of a partition beyond its share of a page, so that few pages ask twice.
const SPARE: usize = 4;
/// Partitions read side by side: a page waits for few of them after the other, and memory holds little of what is passed over.
const AT_ONCE: usize = 16;

/// What may still be read for a page, in names.
pub struct Budget(usize);

impl Budget {
    pub fn of(names: usize) -> Self {
        Self(names)
    }

    pub fn spend(&mut self, names: usize) {
        self.0 = self.0.saturating_sub(names);
    }

    fn is_spent(&self) -> bool {
        self.0 == 0
    }
}

/// Names of one workspace from all partitions in one order, each once.
pub struct Names {
    store: Arc<dyn Store>,
    workspace: Box<str>,
    source: Source,
    /// Nothing up to here is to come.
    after: Option<DueKey>,
    partitions: Vec<Buffer>,
}

pub enum Source {
    Listed(Arc<[Section]>),
    /// Up to and including this, whatever there is to look at.
    Due(Timestamp),
}

/// What was read of one partition, and not taken yet. Where names have no time they all have the same.
struct Buffer {
    partition: PartitionId,
    names: VecDeque<DueKey>,
    /// Everything up to here was read.
    after: Option<DueKey>,
    chunk: usize,
    is_over: bool,
}

impl Names {
    /// `share`: how many are wanted of all partitions together, at first.
    pub fn new(store: Arc<dyn Store>, workspace: &str, source: Source, after: Option<&ListPlace>, share: usize) -> Self {
        let is_over = matches!(&source, Source::Listed(sections) if sections.is_empty());
        let after = after.and_then(|place| {
            let key = ConversationKey::new(workspace, &place.conversation).ok()?;
            Some(DueKey { at: place.at.unwrap_or(Timestamp::MIN), key })
        });
        let share = share.div_ceil(usize::from(store.partitions().get()));
        let buffer = |partition| Buffer { partition, names: VecDeque::new(), after: after.clone(), chunk: share + SPARE, is_over };
        let partitions = store.partitions().all().map(buffer).collect();
        Self { store, workspace: workspace.into(), source, after, partitions }
    }

    pub fn place(&self, name: &DueKey) -> ListPlace {
        let at = matches!(self.source, Source::Due(_)).then_some(name.at);
        ListPlace { at, conversation: name.key.conversation().into() }
    }

    /// The next ones, at most `limit`. None: that was all, or the budget is spent ([`stands_at`](Self::stands_at)).
    pub async fn next(&mut self, limit: usize, budget: &mut Budget) -> Result<Vec<DueKey>, StoreError> {
        let mut taken = Vec::with_capacity(limit);
        while taken.len() < limit {
            match self.take() {
                Some(name) => taken.push(name),
                None if self.frontier().is_none() => break,
                // So far it has come at least: whoever asks again gets on.
                None if budget.is_spent() && (!taken.is_empty() || self.stands_at().is_some()) => break,
                None => self.fill(budget).await?,
            }
        }
        Ok(taken)
    }

    /// Whether nothing comes any more; not so where the budget does not reach to see.
    pub async fn is_over(&mut self, budget: &mut Budget) -> Result<bool, StoreError> {
        Ok(self.next(1, budget).await?.is_empty() && self.frontier().is_none())
    }

    /// Up to where every partition was read, of those of which there is more to read than is in memory.
    fn frontier(&self) -> Option<&Option<DueKey>> {
        self.partitions.iter().filter(|buffer| buffer.names.is_empty() && !buffer.is_over).map(|buffer| &buffer.after).min()
    }

    /// The first of those in memory, if nothing that is yet to be read comes before it.
    fn take(&mut self) -> Option<DueKey> {
        let frontier = self.frontier().cloned();
        let first = self.partitions.iter_mut().filter(|buffer| !buffer.names.is_empty()).min_by(|a, b| a.names[0].cmp(&b.names[0]))?;
        let is_next = frontier.is_none_or(|frontier| frontier.is_some_and(|frontier| first.names[0] <= frontier));
        if is_next { first.names.pop_front() } else { None }
    }

    /// A place that nothing comes before which is yet to be read or taken, if that is any further than where this began. `None` as
    /// well where nothing comes any more.
    pub fn stands_at(&self) -> Option<ListPlace> {
        let frontier = self.frontier()?.as_ref()?;
        // Another workspace's name stands before all of this one's, or behind them.
        let place = match frontier.key.workspace().cmp(&self.workspace) {
            Ordering::Equal => frontier.clone(),
            Ordering::Greater => DueKey { at: frontier.at, key: self.last_key()? },
            Ordering::Less => DueKey { at: frontier.at.minus(Span::from_millis(1)), key: self.last_key()? },
        };
        (Some(&place) > self.after.as_ref()).then(|| self.place(&place))
    }

    /// The greatest a workspace can have.
    fn last_key(&self) -> Option<ConversationKey> {
        ConversationKey::new(&self.workspace, &"z".repeat(NAME_BYTES_MAX)).ok()
    }

    /// Reads on where that is furthest behind.
    async fn fill(&mut self, budget: &mut Budget) -> Result<(), StoreError> {
        let (store, workspace, source) = (&self.store, &*self.workspace, &self.source);
        let mut behind: Vec<&mut Buffer> = self.partitions.iter_mut().filter(|buffer| buffer.names.is_empty() && !buffer.is_over).collect();
        behind.sort_by(|a, b| a.after.cmp(&b.after));
        let read = behind.into_iter().take(AT_ONCE).map(|buffer| buffer.fill(&**store, workspace, source));
        budget.spend(try_join_all(read).await?.into_iter().sum());
        Ok(())
    }
}

impl Buffer {
    /// Answers what that took of the budget.
    async fn fill(&mut self, store: &dyn Store, workspace: &str, source: &Source) -> Result<usize, StoreError> {
        let limit = self.chunk;
        self.chunk = (2 * limit).min(NAMES_MAX);
        match source {
            Source::Due(until) => {
                let due = store.due(self.partition, *until, self.after.clone(), limit).await?;
                self.is_over = due.len() < limit;
                self.after = due.last().cloned().or(self.after.take());
                let read = due.len();
                self.names.extend(due.into_iter().filter(|due| due.key.workspace() == workspace));
                Ok(read)
            }
            Source::Listed(sections) => {
                let after = self.after.as_ref().map(|after| after.key.clone());
                let query = SectionQuery { workspace: workspace.into(), sections: sections.clone(), after, limit };
                match store.listed(self.partition, query.clone()).await? {
                    Some(found) => {
                        let read = found.len();
                        self.take_in(found.last().cloned(), read < limit, found);
                        Ok(read)
                    }
                    None => self.fill_by_rows(store, SectionQuery { limit: CHUNK, ..query }).await,
                }
            }
        }
    }

    /// The same where the partition's lists are not whole.
    async fn fill_by_rows(&mut self, store: &dyn Store, query: SectionQuery) -> Result<usize, StoreError> {
        let SectionQuery { workspace, sections, after, limit } = query;
        let rows = store.scan(self.partition, Some(workspace), after, limit).await?;
        let (read, last) = (rows.len(), rows.last().map(|(key, _)| key.clone()));
        let fits = |(key, row): (ConversationKey, Conversation)| {
            let standing = Standing::of(&row)?;
            sections.iter().any(|section| section.holds(&key, &standing)).then_some(key)
        };
        self.take_in(last, read < limit, rows.into_iter().filter_map(fits).collect());
        Ok(read * NAMES_A_ROW)
    }

    fn take_in(&mut self, last: Option<ConversationKey>, is_over: bool, found: Vec<ConversationKey>) {
        let name = |key| DueKey { at: Timestamp::MIN, key };
        self.is_over = is_over;
        self.after = last.map(name).or(self.after.take());
        self.names.extend(found.into_iter().map(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::domain::PartitionCount;
    use crate::domain::testing::at;
    use crate::store::memory::MemoryStore;
    use crate::store::testing::StoreInTests;
    use crate::store::{Batch, Member, RowChange, RowWrite};

    fn key(workspace: &str, n: i64) -> ConversationKey {
        ConversationKey::new(workspace, &format!("c{n:03}")).unwrap()
    }

    /// Of three workspaces in three partitions, several due at the same instant.
    async fn store() -> Arc<dyn Store> {
        let store = MemoryStore::new(PartitionCount::new(3).unwrap(), ManualClock::at(at(1_000)));
        for partition in store.partitions().all() {
            let claim = store.seize(partition, Member::default()).await.unwrap();
            let mut batch = Batch::new(claim.head, claim.checkpoint);
            for (workspace, n) in ["a", "m", "z"].into_iter().flat_map(|workspace| (0..60).map(move |n| (workspace, n))) {
                let key = key(workspace, n);
                if key.partition(store.partitions()) == partition && (workspace != "m" || n % 9 == 0) {
                    let change = RowChange::Put { conversation: Arc::new(Conversation::new(at(0))), look_at: Some(at(n / 20)) };
                    batch.rows.push(RowWrite { key, indexed_at: None, change });
                }
            }
            store.commit(claim.lease, batch).await.unwrap();
        }
        store
    }

    /// Pages of as much as a budget brings up, until there are no more; with how many there were.
    async fn all(store: &Arc<dyn Store>, budget: usize, limit: usize) -> (Vec<(i64, Box<str>)>, usize) {
        let (mut found, mut pages, mut after) = (Vec::new(), 0, None);
        loop {
            pages += 1;
            let mut names = Names::new(store.clone(), "m", Source::Due(at(9)), after.as_ref(), limit);
            let mut budget = Budget::of(budget);
            let mut last = None;
            let page = names.next(limit, &mut budget).await.unwrap();
            for name in &page {
                found.push((name.at.as_millis(), name.key.conversation().into()));
                last = Some(names.place(name));
            }
            if page.len() < limit {
                last = names.stands_at();
            }
            let Some(place) = last else { return (found, pages) };
            assert!(Some(&place) > after.as_ref(), "it gets on");
            after = Some(place);
        }
    }

    #[tokio::test]
    async fn where_a_budget_is_spent_the_next_page_goes_on() {
        let store = store().await;
        let expected: Vec<(i64, Box<str>)> = (0..60).step_by(9).map(|n| (n / 20, key("m", n).conversation().into())).collect();
        let (all_at_once, pages) = all(&store, 100_000, 100).await;
        assert_eq!((all_at_once, pages), (expected.clone(), 1));
        for budget in [1, 7, 20, 90] {
            for limit in [1, 2, 100] {
                let (found, pages) = all(&store, budget, limit).await;
                assert_eq!(found, expected, "{budget} {limit}");
                assert!(pages > 1 || budget > 20, "{budget} {limit}: {pages}");
            }
        }
    }
}
