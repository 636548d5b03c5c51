//! What falls due: a barrier, everything accepted before it, and then the wake-ups.

use std::time::Duration;

use super::Owner;
use super::apply::actor_died;
use crate::actors::shard::conversation::Wake;
use crate::domain::{ConversationKey, Outcome, Span, Timestamp};
use crate::faults::{Bug, planted};
use crate::store::{Barrier, StoreError};

/// The two clocks are read in whole milliseconds, so a timer may ring this much before the store agrees that it is due:
/// worth a short wait. A greater difference is a jump of a clock, and the tick will come back to it.
const CLOCKS_APART_MAX: Span = Span::from_millis(20);

/// A barrier, with everything applied that was accepted before it.
#[derive(Clone, Copy)]
pub(super) struct CaughtUp {
    pub barrier: Barrier,
    /// What both clocks had passed when the barrier was taken, and no later: however long catching up took, nothing is known of
    /// what was accepted since.
    pub trusted: Timestamp,
}

impl Owner<'_> {
    /// Looks at conversations that say they are due. Those whose deadline both clocks have passed close, unless something
    /// accepted up to then keeps them open (D1, D2).
    pub async fn wake(&mut self, keys: Vec<ConversationKey>) -> Result<(), StoreError> {
        if keys.is_empty() {
            return Ok(());
        }
        self.admit(keys.iter().cloned()).await?;
        let mut caught_up = self.caught_up().await?;
        let trusted = caught_up.trusted;
        let near = trusted..trusted.plus(CLOCKS_APART_MAX);
        let nearly_due = keys.iter().filter_map(|key| self.residents.get_mut(key)?.indexed_at).filter(|at| near.contains(at)).max();
        if let Some(latest) = nearly_due {
            tokio::time::sleep(Duration::from_millis(latest.since(trusted).as_millis().unsigned_abs() + 1)).await;
            caught_up = self.caught_up().await?;
        }
        if caught_up.barrier.held {
            return Ok(()); // once it may go on, the tick finds them
        }
        let trusted = caught_up.trusted;
        let mut due = keys;
        due.retain(|key| self.residents.get_mut(key).is_some_and(|r| r.indexed_at.is_some_and(|at| at < trusted)));
        self.look(due, &caught_up).await
    }

    /// Wakes these conversations under a barrier that has been caught up with, and commits what follows: closes go in
    /// a commit of their own, so that one that is refused takes no event down with it.
    pub(super) async fn look(&mut self, keys: Vec<ConversationKey>, caught_up: &CaughtUp) -> Result<(), StoreError> {
        let CaughtUp { barrier, trusted } = *caught_up;
        let mut sent = Vec::with_capacity(keys.len());
        let mut places = Vec::with_capacity(keys.len());
        for key in keys.into_iter().filter(|key| !self.uncounted.contains_key(key)) {
            let settings = self.settings_of(key.workspace());
            let Some(resident) = self.residents.get_mut(&key) else { continue };
            sent.push(resident.address.send(Wake { clock: barrier.clock, trusted, settings }));
            places.push((key, resident.indexed_at, resident.last_notification));
        }
        let mut draft = self.draft();
        for (taken, (key, indexed_at, previous)) in sent.into_iter().zip(places) {
            let taken = taken.await.map_err(|_| actor_died(&key))?;
            // An index that no longer agrees with the state is put right, be it only that.
            if taken.outcomes.contains(&Ok(Outcome::Changed)) || taken.look_at != indexed_at {
                draft.take(&key, taken, indexed_at, previous);
            }
        }
        self.commit(draft).await
    }

    /// A barrier, with everything applied that was accepted before it.
    pub(super) async fn caught_up(&mut self) -> Result<CaughtUp, StoreError> {
        let (store, partition) = (self.parts.store.clone(), self.parts.partition);
        // Before the barrier: what comes in behind it may take its time to be seen, and be a reply (D2).
        let node_clock = self.parts.steady.now();
        let barrier = store.barrier(partition).await?;
        let caught_up = CaughtUp { barrier, trusted: trusted(barrier.clock, node_clock) };
        if planted(Bug::NoBarrier) {
            return Ok(caught_up);
        }
        while self.head.checkpoint < barrier.last {
            let entries = store.read(partition, self.head.checkpoint, self.parts.options.batch_behind, Duration::from_secs(1)).await?;
            if entries.is_empty() {
                // Another owner applied them, or they are lost: waiting for them would never end.
                return Err(StoreError::Refused("the log no longer holds what it held a moment ago".into()));
            }
            self.apply(entries).await?;
        }
        Ok(caught_up)
    }
}

/// The lesser of the store's clock and the node's: a deadline strictly before it has passed on both (D1).
pub(super) fn trusted(store: Timestamp, node: Timestamp) -> Timestamp {
    match () {
        () if planted(Bug::NodeClockOnly) => node,
        () if planted(Bug::StoreClockOnly) => store,
        () => store.min(node),
    }
}
