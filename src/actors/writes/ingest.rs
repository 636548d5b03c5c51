//! Taking events in, and waiting until they are applied, whoever has their partition.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::try_join_all;

use crate::actors::node::handle::{Node, Unready};
use crate::clock::{Clock, Stopwatch};
use crate::domain::event::Rejection;
use crate::domain::{Event, PartitionId, Timestamp};
use crate::store::{Entry, LogId, Mark, Store, StoreError};

/// For how long the difference of two clocks is taken to stay as it was. Whoever owns the partition looks again.
const CLOCK_KNOWN: Duration = Duration::from_secs(1);
/// Partitions named in one answer.
const NAMED_MAX: usize = 8;

/// What became of one event.
#[derive(Clone, PartialEq, Debug)]
pub enum Verdict {
    Accepted(Receipt),
    Rejected(Rejection),
}

/// Where an accepted event stands. It is durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Receipt {
    pub partition: PartitionId,
    pub id: LogId,
    /// What is known of it. Without waiting this is what the node remembers of repeats; after
    /// [`wait_applied`](Node::wait_applied) it is exact.
    pub mark: Option<Mark>,
}

impl Receipt {
    /// Known as applied before.
    pub fn is_duplicate(&self) -> bool {
        self.mark == Some(Mark::Duplicate)
    }
}

/// The store's clock by this node's own: asking for it may be a journey, and every request would.
#[derive(Default)]
pub struct StoreClock(Mutex<Option<Offset>>);

#[derive(Clone, Copy)]
struct Offset {
    seen: Stopwatch,
    ahead_ms: i64,
}

impl StoreClock {
    fn lately(&self, steady: &dyn Clock) -> Option<Timestamp> {
        let known = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = known.filter(|offset| offset.seen.elapsed() < CLOCK_KNOWN)?;
        Some(Timestamp::from_millis(steady.now().as_millis() + fresh.ahead_ms))
    }

    async fn now(&self, store: &dyn Store, steady: &dyn Clock) -> Result<Timestamp, StoreError> {
        let clock = store.clock().await?;
        let offset = Offset { seen: Stopwatch::start(), ahead_ms: clock.as_millis() - steady.now().as_millis() };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(offset);
        Ok(clock)
    }
}

impl Node {
    /// Takes events into the log, each standing for itself; the answers are in their order. What is accepted is durable.
    ///
    /// # Errors
    /// The store's: `Behind` and `Refused` mean that nothing was accepted, `OutcomeUnknown` that some may have been.
    pub async fn ingest(&self, events: Vec<Event>) -> Result<Vec<Verdict>, StoreError> {
        let clock = self.clock_for(&events).await?;
        let snooze_max = self.options().snooze_max;
        let mut verdicts: Vec<Option<Rejection>> = Vec::with_capacity(events.len());
        let mut entries = Vec::with_capacity(events.len());
        let mut known = Vec::with_capacity(events.len());
        for mut event in events {
            if !self.desk().keeps(event.conversation.workspace()) {
                event.kind.drop_text(); // nobody will ask for it: it need not be durable
            }
            let rejection = event.rejection(clock, snooze_max);
            if rejection.is_none() {
                let partition = self.partition(&event.conversation);
                known.push(self.shard(partition).has_applied(event.name.fingerprint()).then_some(Mark::Duplicate));
                entries.push((partition, Entry::Event(event)));
            }
            verdicts.push(rejection);
        }
        let partitions: Vec<PartitionId> = entries.iter().map(|(partition, _)| *partition).collect();
        let ids = if entries.is_empty() { Vec::new() } else { self.store().append(entries).await? };
        let mut receipts = partitions.into_iter().zip(ids).zip(known);
        let verdict = |rejection: Option<Rejection>| match rejection {
            Some(rejection) => Some(Verdict::Rejected(rejection)),
            None => receipts.next().map(|((partition, id), mark)| Verdict::Accepted(Receipt { partition, id, mark })),
        };
        Ok(verdicts.into_iter().filter_map(verdict).collect())
    }

    /// The store's clock, as it was lately if that refuses none of these: what was ahead of it then may not be now.
    pub(in crate::actors) async fn clock_for(&self, events: &[Event]) -> Result<Timestamp, StoreError> {
        let (store, steady) = (&**self.store(), &**self.steady());
        let suffices = |clock: &Timestamp| events.iter().all(|event| !event.is_ahead_of(*clock));
        match self.store_clock().lately(steady).filter(suffices) {
            Some(clock) => Ok(clock),
            None => self.store_clock().now(store, steady).await,
        }
    }

    /// Waits until all of these are applied, whichever node does it, and tells what is known of each.
    ///
    /// # Errors
    /// `NotYetApplied` after `timeout`, with what it waits for.
    pub async fn wait_applied(&self, receipts: &mut [Receipt], timeout: Duration) -> Result<(), Unready> {
        let mut places: Vec<Vec<usize>> = vec![Vec::new(); usize::from(self.partitions())];
        receipts.iter().enumerate().for_each(|(place, receipt)| places[usize::from(receipt.partition.0)].push(place));
        let open = Mutex::new(BTreeSet::new());
        let waits = places.iter().enumerate().filter(|(_, places)| !places.is_empty()).map(|(partition, places)| {
            let (partition, open) = (PartitionId(partition as u16), &open);
            let ids = places.iter().map(|place| receipts[*place].id).collect();
            async move {
                open.lock().unwrap_or_else(PoisonError::into_inner).insert(partition);
                let marks = self.applied(partition, ids).await?;
                open.lock().unwrap_or_else(PoisonError::into_inner).remove(&partition);
                Ok::<_, Unready>((places, marks))
            }
        });
        let waiting = tokio::time::timeout(timeout, try_join_all(waits)).await;
        let late = || Err(self.not_yet_applied(&open.lock().unwrap_or_else(PoisonError::into_inner)));
        for (places, marks) in waiting.unwrap_or_else(|_| late())? {
            places.iter().zip(marks).for_each(|(place, mark)| receipts[*place].mark = mark);
        }
        Ok(())
    }

    /// What is waited for, in words: a few partitions by number, the rest by count.
    fn not_yet_applied(&self, open: &BTreeSet<PartitionId>) -> Unready {
        let is_owned = |partition: &PartitionId| self.has_owner(*partition);
        let (behind, unowned): (Vec<PartitionId>, Vec<PartitionId>) = open.iter().partition(|partition| is_owned(partition));
        let named = |partitions: &[PartitionId], what: &str| {
            let some: Vec<String> = partitions.iter().take(NAMED_MAX).map(ToString::to_string).collect();
            let more = partitions.len().saturating_sub(NAMED_MAX);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            (!partitions.is_empty()).then(|| format!("of partition {}{more} {what}", some.join(", ")))
        };
        let said = [named(&unowned, "there is no owner at present"), named(&behind, "the owner is behind, or cannot write")];
        Unready::NotYetApplied(said.into_iter().flatten().collect::<Vec<_>>().join("; ").into())
    }

    /// The shard tells, while it has the partition; the store, where it does not, or no longer.
    async fn applied(&self, partition: PartitionId, ids: Vec<LogId>) -> Result<Vec<Option<Mark>>, StoreError> {
        match self.shard(partition).applied(ids.clone()).await {
            Some(marks) => Ok(marks),
            None => self.elsewhere(partition).applied(&**self.store(), partition, ids).await,
        }
    }
}
