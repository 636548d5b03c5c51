//! What a shard does on the side, a bounded page at each tick: find what no timer brought up, bring in what falls due
//! soon, put to rest what is quiet, follow a change of settings through, and let retention take what is old.

use std::collections::BTreeMap;
use std::time::Duration;

use super::draft::Draft;
use super::due::{CaughtUp, trusted};
use super::{AT_ONCE, Owner};
use crate::domain::conversation::ToldTimer;
use crate::domain::{Conversation, ConversationKey, Input, Settings, Span, Timestamp, has_moved};
use crate::faults::{Bug, planted};
use crate::store::{Barrier, DueKey, Entry, Place, StoreError};

/// Rows looked at in one page of a sweep.
pub(super) const SWEEP_PAGE: usize = 256;
/// Rows looked at in one page of the retention sweep. A partition of 16,000 rows is gone through in 40 minutes, which is
/// soon enough for what is days old; larger pages, of all partitions at one time, are memory that is never given back.
const RETENTION_PAGE: usize = 64;
/// Entries of the index brought in at once.
const LOOK_AHEAD_PAGE: usize = 1_024;
/// Ticks between rounds of what is not urgent.
const SLOW_ROUND: u32 = 10;

/// Where each round stands.
#[derive(Default)]
pub struct Rounds {
    ticks: u32,
    /// The index has been looked at up to here, and whoever is due before it is in memory.
    looked_ahead: Option<DueKey>,
    retention_at: Option<Place>,
    /// Work is left over that should not wait for the next tick.
    pub more: bool,
}

impl Rounds {
    /// Somebody may have been put to rest whom the look-ahead had passed: it begins again.
    pub fn look_again(&mut self) {
        self.looked_ahead = None;
    }
}

impl Owner<'_> {
    pub async fn tick(&mut self) -> Result<(), StoreError> {
        self.rounds.more = false;
        if self.rounds.ticks == 0 {
            self.find_uncounted().await?;
        }
        if self.rounds.ticks.is_multiple_of(SLOW_ROUND) {
            self.follow_master().await?; // first of all: a new owner closes nothing that was switched off meanwhile
        }
        self.overdue().await?;
        self.look_ahead().await?;
        self.sweep().await?;
        self.walk_periods().await?;
        self.list_anew().await?;
        // Each partition in its own turn, so that they do not all read at one time.
        if self.rounds.ticks.wrapping_add(u32::from(self.parts.partition.0)).is_multiple_of(SLOW_ROUND) {
            self.rest();
            self.retain().await?;
            self.forget_old_days().await?;
            self.unreadable.clear(); // somebody may have repaired them
        }
        self.rounds.ticks = self.rounds.ticks.wrapping_add(1);
        Ok(())
    }

    /// True when the last tick left work that should not wait for the next.
    pub fn has_more(&self) -> bool {
        self.rounds.more
    }

    /// Scans the index from minus infinity: whatever is overdue is found, whoever missed it (D4). Pages past what cannot be
    /// looked at and what stays overdue all the same, so that nothing falls behind it, and nothing is tried without end.
    async fn overdue(&mut self) -> Result<(), StoreError> {
        let limit = self.parts.options.due_batch;
        let barrier = self.parts.store.barrier(self.parts.partition).await?;
        crate::actors::meter::lag(self.parts.partition, self.lag(&barrier).await?);
        if self.rounds.ticks.is_multiple_of(SLOW_ROUND) {
            crate::actors::meter::log_ahead(self.parts.partition, barrier.last.accepted_at().since(barrier.clock));
        }
        if barrier.held {
            return Ok(());
        }
        let until = trusted(barrier.clock, self.parts.steady.now()).minus(Span::from_millis(1));
        let mut after = self.rounds.looked_ahead.clone().filter(|_| planted(Bug::WakeUpFromCursor));
        loop {
            let page = self.parts.store.due(self.parts.partition, until, after.take(), limit).await?;
            // After a stop everything is overdue at once: some close while others wait, not all of them at the very end.
            let _turn = self.parts.large_turn(page.len()).await;
            let full = page.len() >= limit;
            after = page.last().cloned();
            let mut keys: Vec<ConversationKey> = page.into_iter().map(|due| due.key).filter(|key| !self.unreadable.contains(key)).collect();
            self.admit(keys.iter().cloned()).await?;
            let stays = |at: Option<Timestamp>| at.is_some_and(|at| at <= until);
            // Who is not due by their row was put into the index by somebody else, and stays there whatever is done.
            keys.retain(|key| self.residents.get_mut(key).is_none_or(|resident| stays(resident.indexed_at)));
            self.wake(keys.clone()).await?;
            let stuck = keys.iter().all(|key| self.residents.get_mut(key).is_none_or(|resident| stays(resident.indexed_at)));
            if !full || !stuck {
                self.rounds.more |= full;
                return Ok(());
            }
        }
    }

    /// The age of the oldest entry that is not applied.
    async fn lag(&self, barrier: &Barrier) -> Result<Span, StoreError> {
        if barrier.last <= self.head.checkpoint {
            return Ok(Span::ZERO);
        }
        let first = self.parts.store.read(self.parts.partition, self.head.checkpoint, 1, Duration::ZERO).await?;
        Ok(first.first().map_or(Span::ZERO, |entry| barrier.clock.since(entry.id.accepted_at()).max(Span::ZERO)))
    }

    /// Brings in who falls due within the horizon, so that their own timer wakes them. On a full node that is only who is
    /// due at once, while others leave for them; on one that is a quarter over its bound, nobody: the tick finds them.
    async fn look_ahead(&mut self) -> Result<(), StoreError> {
        let (options, live) = (&self.parts.options, self.residents.node_has());
        if live >= options.live_max + options.live_max / 4 {
            return Ok(());
        }
        let until = self.parts.steady.now().plus(if self.is_full() { AT_ONCE } else { options.horizon });
        let after = self.rounds.looked_ahead.take();
        let page = self.parts.store.due(self.parts.partition, until, after.clone(), LOOK_AHEAD_PAGE).await?;
        let _turn = self.parts.large_turn(page.len()).await;
        self.rounds.more |= page.len() >= LOOK_AHEAD_PAGE;
        self.rounds.looked_ahead = page.last().cloned().or(after);
        let keys: Vec<ConversationKey> = page.into_iter().map(|due| due.key).filter(|key| !self.unreadable.contains(key)).collect();
        self.admit(keys.into_iter()).await?;
        Ok(())
    }

    /// After auto-close was switched on or off, or warnings changed: tells of every timer that thereby ended (T22), and has every
    /// other looked at when its warning is due now, but for those that a period is being applied to at a rate (T23). Whoever this
    /// does not reach before a restart is told when the old deadline comes up, and warned of the next.
    async fn sweep(&mut self) -> Result<(), StoreError> {
        let Some((workspace, place)) = self.sweeps.pop_front() else { return Ok(()) };
        let caught_up = self.caught_up().await?;
        if caught_up.barrier.held {
            self.sweeps.push_front((workspace, place));
            return Ok(());
        }
        let page = self.parts.store.walk(self.parts.partition, place, SWEEP_PAGE).await?;
        let settings = self.settings_of(&workspace);
        let told = |(key, row): &(ConversationKey, Conversation)| {
            key.workspace() == &*workspace && row.told.timer != ToldTimer::None && !has_moved(row, &settings)
        };
        let keys: Vec<ConversationKey> = page.rows.into_iter().filter(told).map(|(key, _)| key).collect();
        if !keys.is_empty() {
            self.admit(keys.iter().cloned()).await?;
            self.look(keys, &caught_up).await?;
        }
        if page.next.is_some() {
            self.sweeps.push_back((workspace, page.next));
        }
        self.rounds.more |= !self.sweeps.is_empty();
        Ok(())
    }

    /// Puts quiet conversations to rest; while the node is full, all that are not due at once.
    fn rest(&mut self) {
        let options = &self.parts.options;
        let idle = Span::from_millis(i64::try_from(options.idle.as_millis()).unwrap_or(i64::MAX));
        if self.is_full() {
            self.residents.rest_idle(Span::ZERO, AT_ONCE);
            self.rounds.look_again();
        } else {
            self.residents.rest_idle(idle, options.horizon);
        }
    }

    /// Compares with the master documents: a change whose marker was lost on the way is put into the log again, and one that
    /// the master has forgotten (a store may lose its last second) is told to it.
    async fn follow_master(&mut self) -> Result<(), StoreError> {
        let (store, partition) = (self.parts.store.clone(), self.parts.partition);
        let masters: BTreeMap<Box<str>, Settings> = store.all_settings().await?.into_iter().collect();
        for (workspace, applied) in self.settings() {
            let known = masters.get(workspace);
            if known.is_none_or(|master| applied.outranks(master)) {
                // Where somebody else was first, the next round compares again.
                let version = known.map_or(0, |master| master.version);
                let history = crate::actors::writes::settings_history::restored(
                    &*store,
                    workspace,
                    known.unwrap_or(&self.parts.options.defaults),
                    applied,
                )
                .await?;
                let put = store.record_settings(workspace.clone(), version, (**applied).clone(), Some(history));
                if let Err(error) = put.await {
                    // A store without room is no reason to drop what is in memory: only who goes on closing makes room.
                    tracing::warn!(%partition, %error, "the master document of {workspace} cannot be put right yet");
                    break;
                }
            }
        }
        for (workspace, settings) in masters {
            if settings.outranks(&self.settings_of(&workspace)) {
                let marker = Entry::Settings { workspace, settings: Box::new(settings) };
                // A full log is no reason to drop what is in memory: the next round tries again.
                if let Err(error) = store.append(vec![(partition, marker)]).await {
                    tracing::warn!(%partition, %error, "a change of settings cannot be put into the log yet");
                    break;
                }
            }
        }
        Ok(())
    }

    /// Takes rows of conversations that closed, or never opened and were not heard of, `retention` ago, but for exempted ones.
    async fn retain(&mut self) -> Result<(), StoreError> {
        // Caught up first: on a full node who was just touched has left again, and a row read before would not show it.
        let caught_up = self.caught_up().await?;
        let page = self.parts.store.walk(self.parts.partition, self.rounds.retention_at.take(), RETENTION_PAGE).await?;
        self.rounds.retention_at = page.next;
        let before = caught_up.trusted.minus(self.parts.options.retention);
        let mut draft = self.draft();
        self.forget_texts(&mut draft, &page.rows, &caught_up).await?;
        for (key, row) in page.rows.into_iter().filter(|(key, row)| is_past(row, before) && !self.residents.contains(key)) {
            draft.remove(key, None, &row);
        }
        self.commit(draft).await
    }

    /// Has what was written forgotten some time after the close, and where the workspace no longer wants notes.
    async fn forget_texts(
        &mut self,
        draft: &mut Draft,
        rows: &[(ConversationKey, Conversation)],
        caught_up: &CaughtUp,
    ) -> Result<(), StoreError> {
        let before = caught_up.trusted.minus(self.parts.options.texts_kept);
        let is_due = |(key, row): &&(ConversationKey, Conversation)| is_forgettable(row, &self.settings_of(key.workspace()), before);
        let keys: Vec<ConversationKey> = rows.iter().filter(is_due).map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.tell(draft, &key, Input::Forget, caught_up.barrier.clock).await?;
        }
        Ok(())
    }
}

/// Whether nobody will ask any more for what was written.
fn is_forgettable(row: &Conversation, settings: &Settings, before: Timestamp) -> bool {
    let is_over = row.closing.as_ref().is_some_and(|closing| closing.closed_at < before);
    row.texts.to > 0 && (!settings.keeps_texts() || (is_over && row.pending_note.is_none()))
}

fn is_past(row: &Conversation, before: Timestamp) -> bool {
    let over = row.closing.as_ref().map_or(row.episode == 0, |_| true);
    // An exemption is for good: whoever asked for it would not hear that it is gone.
    over && row.texts.to == 0 && row.touched_at < before && row.set_aside == 0 && !row.holding.is_exempt()
}
