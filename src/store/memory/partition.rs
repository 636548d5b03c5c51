//! One partition of the model: what its log, rows, index and outbox hold, and the rules of changing them.

use std::collections::btree_map::OccupiedEntry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use crate::domain::kept::TextChange;
use crate::domain::listing::{Move, SectionQuery, Standing};
use crate::domain::report::{Day, GroupBy, Rollup};
use crate::domain::writing::Said;
use crate::domain::{Conversation, ConversationKey, Notice, PartitionId, Settings, Timestamp};
use crate::faults::{Bug, planted};
use crate::store::*;

/// Numbers of notifications to a millisecond: those under another primary go on by the clock, for it cannot know which were
/// given out before, except by what its nodes have heard.
pub const NUMBERS_A_MILLISECOND: u64 = 1_000;

#[derive(Clone, Default)]
pub struct Partition {
    /// Entries that no checkpoint covers.
    pub log: BTreeMap<LogId, Result<Entry, Unreadable>>,
    /// Of the log, applied entries included.
    pub last: LogId,
    /// The latest clock that somebody went by, in ms: nothing is accepted before it, also when the clock steps back.
    floor_ms: u64,
    epoch: u64,
    holder: Option<Holder>,
    head: CommitId,
    /// Which primary it was claimed under, and since when notifications are numbered without a gap.
    primary: u64,
    numbered_from: u64,
    checkpoint: LogId,
    attempts: u32,
    trying: Option<(LogId, u32)>,
    pub rows: BTreeMap<ConversationKey, Row>,
    index: BTreeSet<DueKey>,
    outbox: BTreeMap<u64, (Option<u64>, Notice)>,
    pub last_notification: u64,
    /// Everything numbered below this was trimmed or never was.
    trimmed_below: u64,
    dead: BTreeMap<LogId, DeadLetter>,
    marks: Marks,
    pub settings: BTreeMap<Box<str>, Settings>,
    rollups: BTreeMap<(Day, Box<str>), Arc<Rollup>>,
    texts: BTreeMap<(ConversationKey, u8), Said>,
    lists: BTreeMap<ConversationKey, Standing>,
    /// The last commit that called them whole.
    whole_at: CommitId,
}

#[derive(Clone)]
pub struct Row {
    conversation: Arc<Conversation>,
    look_at: Option<Timestamp>,
    /// Set by a fault: the row is there and cannot be read.
    pub corrupt: bool,
}

impl Row {
    fn loaded(&self) -> Loaded {
        match self.corrupt {
            false => Loaded::Found { conversation: Box::new((*self.conversation).clone()), look_at: self.look_at },
            true => Loaded::Corrupt { reason: "a fault switch says so".into() },
        }
    }
}

// The log.
impl Partition {
    pub fn take(&mut self, entry: Entry, clock: Timestamp) -> LogId {
        self.raise_floor(clock);
        let before = self.last.max(self.checkpoint);
        let ms = self.floor_ms.max(before.ms);
        let id = if ms > before.ms { LogId { ms, seq: 0 } } else { LogId { ms, seq: before.seq + 1 } };
        self.last = id;
        self.log.insert(id, Ok(entry));
        if planted(Bug::MaxlenTrim) && self.log.len() > 8 {
            self.log.pop_first();
        }
        id
    }

    pub fn entries(&self, after: LogId, limit: usize) -> Vec<LogEntry> {
        let later = self.log.range((Bound::Excluded(after), Bound::Unbounded));
        later.take(limit).map(|(id, entry)| LogEntry { id: *id, entry: entry.clone(), foreign: false }).collect()
    }

    pub fn barrier(&mut self, clock: Timestamp) -> Barrier {
        self.raise_floor(clock);
        Barrier { clock, last: self.last, held: false }
    }

    fn raise_floor(&mut self, clock: Timestamp) {
        self.floor_ms = self.floor_ms.max(u64::try_from(clock.as_millis()).unwrap_or(0));
    }

    pub fn forget_after(&mut self, id: LogId) {
        self.log.retain(|kept, _| *kept <= id);
        self.last = self.last.min(id);
    }
}

// The right to write, and writing.
impl Partition {
    pub fn claim(
        &mut self,
        partition: PartitionId,
        by: Member,
        over: Option<&Holder>,
        (primary, base): (u64, u64),
    ) -> Result<Claim, StoreError> {
        if self.holder.as_ref() != over {
            return Err(StoreError::Fenced { partition });
        }
        if self.primary != primary && planted(Bug::RawCursor) {
            self.primary = primary;
        }
        if self.primary != primary {
            self.primary = primary;
            self.last_notification = base.max(self.last_notification + NUMBERS_A_MILLISECOND);
            self.numbered_from = self.last_notification + 1;
        }
        self.epoch += 1;
        let lease = Lease { partition, epoch: self.epoch, nonce: crate::chance::token() };
        self.holder = Some(Holder { lease, member: by, beat: 0 });
        self.attempts = if self.log.is_empty() { 0 } else { self.attempts.saturating_add(1) };
        Ok(Claim {
            lease,
            head: self.head,
            checkpoint: self.checkpoint,
            last_notification: self.last_notification,
            attempts: self.attempts,
            trying: self.trying,
            numbered_from: self.numbered_from.max(1),
            settings: self.settings.iter().map(|(workspace, settings)| (workspace.clone(), settings.clone())).collect(),
            lists_whole: self.whole_at == self.head,
            listed: self.lists.len() as u64,
        })
    }

    pub fn holder(&self) -> Option<Holder> {
        self.holder.clone()
    }

    pub fn renew(&mut self, lease: Lease) -> Result<(), StoreError> {
        self.fence(lease)?.beat += 1;
        Ok(())
    }

    /// True when it was held. Who gives it back was not killed by what it was trying.
    pub fn release(&mut self, lease: Lease) -> bool {
        let held = self.holder.take_if(|held| held.lease == lease).is_some();
        if held {
            (self.attempts, self.trying) = (0, None);
        }
        held
    }

    pub fn fence(&mut self, lease: Lease) -> Result<&mut Holder, StoreError> {
        let is_same = |held: Lease| held == lease || (planted(Bug::IntegerFence) && held.epoch == lease.epoch) || planted(Bug::NoFence);
        self.holder.as_mut().filter(|held| is_same(held.lease)).ok_or(StoreError::Fenced { partition: lease.partition })
    }

    /// Whoever claimed under another primary may have in memory what this one never had.
    pub fn same_primary(&self, primary: u64) -> Result<(), StoreError> {
        if self.primary == primary { Ok(()) } else { Err(refused("another primary answers than when this partition was claimed")) }
    }

    pub fn commit(&mut self, lease: Lease, batch: Batch, clock: Timestamp) -> Result<(), StoreError> {
        self.fence(lease)?;
        if planted(Bug::WriteBeforeValidate) && self.check(&batch, clock).is_err() {
            batch.rows.iter().for_each(|write| self.write_row(write.clone()));
        }
        self.check(&batch, clock)?;
        self.apply(batch, clock);
        self.renew(lease)
    }

    /// Everything that could refuse a batch of the holder, before anything is changed: chain, numbering, clock, order.
    fn check(&self, batch: &Batch, clock: Timestamp) -> Result<(), StoreError> {
        if self.head != batch.based_on && !planted(Bug::NoChain) {
            return Err(refused("the batch does not build on the last commit"));
        }
        if batch.checkpoint < self.checkpoint {
            return Err(refused(format!("the checkpoint would go back from {} to {}", self.checkpoint, batch.checkpoint)));
        }
        let mut numbers = batch.notifications.iter().map(|n| n.number).zip(self.last_notification + 1..);
        if let Some((found, expected)) = numbers.find(|(found, expected)| found != expected) {
            return Err(refused(format!("notification {found} stands where {expected} should")));
        }
        if let Some(not_before) = batch.not_before {
            self.check_close(batch.checkpoint, not_before, clock)?;
        }
        batch.rows.iter().for_each(|write| self.assert_indexed(write));
        Ok(())
    }

    /// D1 and D2, by the store's own clock and log.
    fn check_close(&self, checkpoint: LogId, not_before: Timestamp, clock: Timestamp) -> Result<(), StoreError> {
        if clock <= not_before && !planted(Bug::NodeClockOnly) {
            let (now, due) = (clock.as_millis(), not_before.as_millis());
            return Err(refused(format!("the clock, {now}, is not past the deadline, {due}")));
        }
        let accepted_at = |id: &LogId, entry: &Result<Entry, Unreadable>| entry.as_ref().map_or(id.accepted_at(), |e| e.accepted_at(*id));
        if planted(Bug::NoBarrier) {
            return Ok(());
        }
        let mut later = self.log.range((Bound::Excluded(checkpoint), Bound::Unbounded));
        match later.find(|(id, entry)| accepted_at(id, entry) <= not_before) {
            Some((id, _)) => Err(refused(format!("{id} was accepted in time and is not applied"))),
            None => Ok(()),
        }
    }

    /// Stores that find the index by `indexed_at` alone would keep a ghost: the model says so where it can be seen.
    fn assert_indexed(&self, write: &RowWrite) {
        let row = self.rows.get(&write.key).filter(|row| !row.corrupt);
        debug_assert!(
            row.is_none_or(|row| row.look_at == write.indexed_at),
            "{} is indexed at {:?}, its writer believes {:?}",
            write.key,
            row.and_then(|row| row.look_at),
            write.indexed_at
        );
    }

    fn apply(&mut self, mut batch: Batch, clock: Timestamp) {
        if planted(Bug::CheckpointApart) && batch.id.0.is_multiple_of(2) {
            batch.checkpoint = self.checkpoint; // the second call never came
        }
        if batch.not_before.is_some() {
            self.raise_floor(clock);
        }
        if batch.checkpoint > self.checkpoint {
            self.attempts = 0;
            while self.log.first_entry().filter(|entry| *entry.key() <= batch.checkpoint).map(OccupiedEntry::remove).is_some() {}
        }
        (self.head, self.checkpoint, self.trying) = (batch.id, batch.checkpoint, batch.trying);
        self.list(&batch);
        batch.rows.into_iter().for_each(|write| self.write_row(write));
        for Notification { number, previous, notice } in batch.notifications {
            self.outbox.insert(number, (previous, notice));
            self.last_notification = number;
        }
        self.trimmed_below = self.trimmed_below.max(batch.trim_notifications_below.min(self.last_notification + 1));
        while self.outbox.first_entry().filter(|entry| *entry.key() < self.trimmed_below).map(OccupiedEntry::remove).is_some() {}
        self.dead.extend(batch.dead.into_iter().map(|letter| (letter.id, letter)));
        batch.dead_removed.iter().for_each(|id| drop(self.dead.remove(id)));
        self.settings.extend(batch.settings);
        self.marks.keep(batch.marks);
        for (key, TextChange { slot, said }) in batch.texts {
            match said {
                Some(said) => self.texts.insert((key, slot), said),
                None => self.texts.remove(&(key, slot)),
            };
        }
        for RollupWrite { workspace, day, rollup } in batch.rollups {
            match rollup {
                Some(rollup) => self.rollups.insert((day, workspace), rollup),
                None => self.rollups.remove(&(day, workspace)),
            };
        }
    }

    fn list(&mut self, batch: &Batch) {
        match batch.lists {
            Lists::Doubtful => {}
            Lists::Thinned => (0..THINNED_MAX).for_each(|_| drop(self.lists.pop_first())),
            Lists::Whole => self.whole_at = batch.id,
        }
        for Move { key, from, to } in &batch.moves {
            // Stores that find an entry by `from` alone would keep a ghost, and one conversation would be listed twice.
            let stood = self.lists.remove(key);
            debug_assert!(stood.is_none() || stood == *from || stood == *to, "{key} is listed as {stood:?}, its writer believes {from:?}");
            self.lists.extend(to.clone().map(|to| (key.clone(), to)));
        }
        for RowWrite { key, change, .. } in batch.rows.iter().filter(|_| batch.lists == Lists::Whole) {
            let stands = match change {
                RowChange::Put { conversation, .. } => Standing::of(conversation),
                RowChange::Remove => None,
            };
            debug_assert!(self.lists.get(key) == stands.as_ref(), "{key} is not listed where it stands, at {stands:?}");
        }
    }

    fn write_row(&mut self, write: RowWrite) {
        let RowWrite { key, indexed_at: _, change } = write;
        let replaced = match change {
            RowChange::Put { conversation, look_at } => {
                let replaced = self.rows.insert(key.clone(), Row { conversation, look_at, corrupt: false });
                self.unindex(&key, replaced);
                self.index.extend(look_at.map(|at| DueKey { at, key }));
                return;
            }
            RowChange::Remove => self.rows.remove(&key),
        };
        self.unindex(&key, replaced);
    }

    fn unindex(&mut self, key: &ConversationKey, replaced: Option<Row>) {
        if let Some(at) = replaced.and_then(|row| row.look_at) {
            self.index.remove(&DueKey { at, key: key.clone() });
        }
    }
}

// Reading.
impl Partition {
    pub fn load(&self, key: &ConversationKey) -> Loaded {
        self.rows.get(key).map_or(Loaded::Missing, Row::loaded)
    }

    pub fn due(&self, until: Timestamp, after: Option<DueKey>, limit: usize) -> Vec<DueKey> {
        let later = self.index.range((after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded));
        later.take_while(|key| key.at <= until).take(limit).cloned().collect()
    }

    /// Looks at every row after `after`: slow, and plainly right whatever the names are.
    pub fn scan(&self, workspace: Option<&str>, after: Option<ConversationKey>, limit: usize) -> Vec<(ConversationKey, Conversation)> {
        let later = self.rows.range((after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded));
        let wanted = later.filter(|(key, row)| !row.corrupt && workspace.is_none_or(|workspace| key.workspace() == workspace));
        wanted.take(limit).map(|(key, row)| (key.clone(), (*row.conversation).clone())).collect()
    }

    pub fn listed(&self, query: &SectionQuery) -> Option<Vec<ConversationKey>> {
        let later = self.lists.range((query.after.clone().map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded));
        let fits = |key: &ConversationKey, standing: &Standing| query.sections.iter().any(|section| section.holds(key, standing));
        let wanted = later.filter(|(key, standing)| key.workspace() == &*query.workspace && fits(key, standing));
        (self.whole_at == self.head).then(|| wanted.map(|(key, _)| key.clone()).take(query.limit).collect())
    }

    pub fn walk(&self, place: Option<&Place>, limit: usize) -> Walked {
        let after = place.and_then(|place| ConversationKey::parse(&place.0).ok());
        let rows = self.scan(None, after, limit);
        let next = rows.last().filter(|_| rows.len() >= limit).map(|(key, _)| Place(key.as_str().into()));
        Walked { rows, next }
    }

    pub fn rollups(&self, workspace: &str, days: &[Day], only: Option<GroupBy>) -> Vec<Rollup> {
        let part = |rollup: Rollup| if let Some(by) = only { rollup.only(by) } else { rollup };
        let stored = |day: &Day| self.rollups.get(&(*day, workspace.into())).map(|rollup| (**rollup).clone());
        days.iter().map(|day| stored(day).map(part).unwrap_or_default()).collect()
    }

    pub fn texts(&self, key: &ConversationKey, slots: &[u8]) -> Vec<Said> {
        slots.iter().filter_map(|slot| self.texts.get(&(key.clone(), *slot)).cloned()).collect()
    }

    pub fn rollups_before(&self, day: Day, limit: usize) -> Vec<(Day, Box<str>)> {
        self.rollups.keys().take_while(|(of, _)| *of < day).take(limit).cloned().collect()
    }

    pub fn applied(&self, ids: &[LogId]) -> Applied {
        Applied { checkpoint: self.checkpoint, marks: self.marks.of(ids) }
    }

    pub fn notifications(&self, after: u64, limit: usize) -> NotificationPage {
        let later = self.outbox.range((Bound::Excluded(after), Bound::Unbounded)).take(limit);
        let items = later.map(|(number, (previous, notice))| Notification { number: *number, previous: *previous, notice: notice.clone() });
        NotificationPage { items: items.collect(), oldest: self.oldest_notification() }
    }

    /// One above the last where none is kept: whoever read that far has missed nothing.
    fn oldest_notification(&self) -> u64 {
        self.trimmed_below.max(1)
    }

    pub fn dead_letters(&self, after: LogId, limit: usize) -> Vec<DeadLetter> {
        self.dead.range((Bound::Excluded(after), Bound::Unbounded)).take(limit).map(|(_, letter)| letter.clone()).collect()
    }

    pub fn stats(&self) -> PartitionStats {
        PartitionStats {
            conversations: self.rows.len() as u64,
            timers: self.index.len() as u64,
            checkpoint: self.checkpoint,
            last: self.last,
            backlog: self.log.len() as u64,
            dead_letters: self.dead.len() as u64,
            last_notification: self.last_notification,
            oldest_notification: self.oldest_notification(),
        }
    }
}

pub fn refused(reason: impl Into<Arc<str>>) -> StoreError {
    StoreError::Refused(reason.into())
}
