//! The model: plain maps behind one lock, and switches that make it fail.
//!
//! What the other stores must match, and what the simulation runs on. It survives nothing but its own process. In debug
//! builds whatever is written goes through its stored form and back, so that the simulation tests those too.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use tokio::sync::{Notify, oneshot, watch};

use super::cluster::Registry;
use super::hold::KnownHold;
use super::{record, *};
use crate::clock::SharedClock;
use crate::domain::listing::SectionQuery;
use crate::domain::report::{Day, GroupBy, Rollup};
use crate::domain::writing::Said;
use crate::domain::{Conversation, ConversationKey, PartitionCount, PartitionId, Settings, Timestamp};

mod faults;
mod partition;
#[cfg(test)]
mod tests;

pub use faults::{Faults, Replica};
use faults::{Stalled, Switches, strikes};
use partition::{NUMBERS_A_MILLISECOND, Partition, refused};

/// Entries a partition may hold unapplied: some seconds of the busiest one. They are kept in memory.
pub const UNAPPLIED_MAX: u64 = 100_000;

pub struct MemoryStore {
    partitions: PartitionCount,
    incarnation: u64,
    unapplied_max: u64,
    clock: SharedClock,
    state: Mutex<State>,
    /// Of each partition: entries arrived in its log.
    arrived: Vec<Notify>,
    signal: watch::Sender<u64>,
    registry: Registry,
    exclusive: AtomicBool,
    hold: KnownHold,
}

type Documents = BTreeMap<(Shelf, Box<str>), Document>;

struct State {
    /// Counts the primaries there were.
    primary: u64,
    /// The last numbers that nodes heard of under the primaries before.
    heard: Vec<u64>,
    partitions: Vec<Partition>,
    settings: BTreeMap<Box<str>, Settings>,
    documents: Documents,
    switches: Switches,
    stalled: Vec<Stalled>,
}

impl State {
    fn partition(&mut self, partition: PartitionId) -> Result<&mut Partition, StoreError> {
        let count = self.partitions.len();
        let found = self.partitions.get_mut(usize::from(partition.0));
        found.ok_or_else(|| refused(format!("there is no partition {partition} of {count}")))
    }
}

impl MemoryStore {
    pub fn new(partitions: PartitionCount, clock: SharedClock) -> Arc<Self> {
        Self::bounded(partitions, clock, UNAPPLIED_MAX)
    }

    /// With at most `unapplied_max` entries unapplied in each partition, give or take one append.
    pub fn bounded(partitions: PartitionCount, clock: SharedClock, unapplied_max: u64) -> Arc<Self> {
        let state = State {
            primary: 0,
            heard: Vec::new(),
            partitions: partitions.all().map(|_| Partition::default()).collect(),
            settings: BTreeMap::new(),
            documents: BTreeMap::new(),
            switches: Switches::default(),
            stalled: Vec::new(),
        };
        Arc::new(Self {
            partitions,
            incarnation: crate::chance::token(),
            unapplied_max,
            clock,
            state: Mutex::new(state),
            arrived: partitions.all().map(|_| Notify::new()).collect(),
            signal: watch::Sender::new(0),
            registry: Registry::default(),
            exclusive: AtomicBool::new(true),
            hold: KnownHold::default(),
        })
    }

    /// From now on several nodes may use it: none takes a holder for gone that it has not seen standing still.
    pub fn share(&self) {
        self.exclusive.store(false, Ordering::Relaxed);
    }

    pub fn faults(self: &Arc<Self>) -> Faults {
        Faults(Arc::clone(self))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // All that could panic under this lock are assertions made before anything is changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One question to one partition, answered under the lock.
    fn ask<'a, T: Send + 'a>(
        &'a self,
        partition: PartitionId,
        question: impl FnOnce(&mut Partition) -> T + Send + 'a,
    ) -> BoxFuture<'a, Result<T, StoreError>> {
        async move { self.lock().partition(partition).map(question) }.boxed()
    }

    fn take(&self, entries: Vec<(PartitionId, Entry)>) -> Result<Vec<LogId>, StoreError> {
        entries.iter().for_each(|(_, entry)| guard(entry, record::encode_entry, record::decode_entry));
        let mut state = self.lock();
        if strikes(&mut state.switches.refuse_appends) {
            return Err(refused("a fault switch says so"));
        }
        for (partition, _) in &entries {
            let (unapplied, limit) = (state.partition(*partition)?.log.len() as u64, self.unapplied_max);
            if unapplied >= limit {
                return Err(StoreError::Behind { unapplied, limit });
            }
        }
        let clock = self.clock.now();
        let mut ids = Vec::with_capacity(entries.len());
        for (partition, entry) in entries {
            ids.push(state.partition(partition)?.take(entry, clock));
            self.arrived[usize::from(partition.0)].notify_waiters();
        }
        if strikes(&mut state.switches.lose_append_answers) {
            return Err(answer_lost());
        }
        Ok(ids)
    }

    async fn arrival(&self, partition: PartitionId, after: LogId, limit: usize) -> Result<Vec<LogEntry>, StoreError> {
        loop {
            let arrived = self.arrived.get(usize::from(partition.0)).map(Notify::notified);
            let entries = self.lock().partition(partition)?.entries(after, limit);
            match arrived {
                // `notified` counts from its making: what arrives between the look and the wait wakes it.
                Some(arrived) if entries.is_empty() && limit > 0 => arrived.await,
                Some(_) | None => return Ok(entries),
            }
        }
    }

    /// A batch reaches the store, be it late.
    fn arrive(&self, state: &mut State, lease: Lease, batch: Batch) -> Result<(), StoreError> {
        let again = strikes(&mut state.switches.double_commits).then(|| batch.clone());
        let result = self.write(state, lease, batch);
        if let Some(again) = again {
            // The chain has moved on, or the first was refused for a reason that still holds: this changes nothing.
            let _ = self.write(state, lease, again);
        }
        if strikes(&mut state.switches.lose_commit_answers) { Err(answer_lost()) } else { result }
    }

    fn write(&self, state: &mut State, lease: Lease, batch: Batch) -> Result<(), StoreError> {
        let (tells, primary) = (!batch.notifications.is_empty(), state.primary);
        let closes = batch.not_before.is_some() && self.hold.is_on();
        let partition = state.partition(lease.partition)?;
        partition.same_primary(primary)?;
        if closes {
            partition.fence(lease)?;
            return Err(refused("nothing may close now"));
        }
        partition.commit(lease, batch, self.clock.now())?;
        if tells {
            self.signal.send_modify(|commits| *commits += 1);
        }
        Ok(())
    }
}

impl Store for MemoryStore {
    fn partitions(&self) -> PartitionCount {
        self.partitions
    }

    fn incarnation(&self) -> u64 {
        self.incarnation
    }

    fn clock(&self) -> BoxFuture<'_, Result<Timestamp, StoreError>> {
        async { Ok(self.clock.now()) }.boxed()
    }

    fn append(&self, entries: Vec<(PartitionId, Entry)>) -> BoxFuture<'_, Result<Vec<LogId>, StoreError>> {
        async { self.take(entries) }.boxed()
    }

    fn read(&self, partition: PartitionId, after: LogId, limit: usize, wait: Duration) -> BoxFuture<'_, Result<Vec<LogEntry>, StoreError>> {
        async move {
            if wait.is_zero() {
                return Ok(self.lock().partition(partition)?.entries(after, limit));
            }
            tokio::time::timeout(wait, self.arrival(partition, after, limit)).await.unwrap_or_else(|_| Ok(Vec::new()))
        }
        .boxed()
    }

    fn barrier(&self, partition: PartitionId) -> BoxFuture<'_, Result<Barrier, StoreError>> {
        self.ask(partition, |partition| Barrier { held: self.hold.is_on(), ..partition.barrier(self.clock.now()) })
    }

    fn claim(&self, partition: PartitionId, by: Member, over: Option<Holder>) -> BoxFuture<'_, Result<Claim, StoreError>> {
        async move {
            let mut state = self.lock();
            let by_the_clock = u64::try_from(self.clock.now().as_millis()).unwrap_or(0) * NUMBERS_A_MILLISECOND;
            let heard = state.heard.get(usize::from(partition.0)).map_or(0, |number| number + NUMBERS_A_MILLISECOND);
            let numbers = (state.primary, by_the_clock.max(heard));
            state.partition(partition)?.claim(partition, by, over.as_ref(), numbers)
        }
        .boxed()
    }

    fn renew(&self, lease: Lease) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let mut state = self.lock();
            let primary = state.primary;
            let partition = state.partition(lease.partition)?;
            partition.same_primary(primary)?;
            partition.renew(lease)
        }
        .boxed()
    }

    fn release(&self, lease: Lease, to: Option<Box<str>>) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            if self.lock().partition(lease.partition)?.release(lease) {
                self.registry.hint(Hint::Released { partition: lease.partition, to });
            }
            Ok(())
        }
        .boxed()
    }

    fn commit(&self, lease: Lease, batch: Batch) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            guard_batch(&batch);
            let late = {
                let mut state = self.lock();
                if strikes(&mut state.switches.refuse_commits) {
                    return Err(refused("a fault switch says so"));
                }
                if strikes(&mut state.switches.lose_commits) {
                    return Err(answer_lost());
                }
                if !strikes(&mut state.switches.stall_commits) {
                    return self.arrive(&mut state, lease, batch);
                }
                let (answer, answered) = oneshot::channel();
                state.stalled.push(Stalled { lease, batch, answer });
                answered
            };
            late.await.unwrap_or_else(|_| Err(answer_lost()))
        }
        .boxed()
    }

    fn load(&self, partition: PartitionId, keys: Vec<ConversationKey>) -> BoxFuture<'_, Result<Vec<Loaded>, StoreError>> {
        self.ask(partition, move |partition| keys.iter().map(|key| partition.load(key)).collect())
    }

    fn rollups(
        &self,
        partition: PartitionId,
        workspace: Box<str>,
        days: Vec<Day>,
        only: Option<GroupBy>,
    ) -> BoxFuture<'_, Result<Vec<Rollup>, StoreError>> {
        self.ask(partition, move |partition| partition.rollups(&workspace, &days, only))
    }

    fn texts(&self, partition: PartitionId, key: ConversationKey, slots: Vec<u8>) -> BoxFuture<'_, Result<Vec<Said>, StoreError>> {
        self.ask(partition, move |partition| partition.texts(&key, &slots))
    }

    fn rollups_before(&self, partition: PartitionId, day: Day, limit: usize) -> BoxFuture<'_, Result<Vec<(Day, Box<str>)>, StoreError>> {
        self.ask(partition, move |partition| partition.rollups_before(day, limit))
    }

    fn due(
        &self,
        partition: PartitionId,
        until: Timestamp,
        after: Option<DueKey>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<DueKey>, StoreError>> {
        self.ask(partition, move |partition| partition.due(until, after, limit))
    }

    fn listed(&self, partition: PartitionId, query: SectionQuery) -> BoxFuture<'_, Result<Option<Vec<ConversationKey>>, StoreError>> {
        self.ask(partition, move |partition| partition.listed(&query))
    }

    fn scan(
        &self,
        partition: PartitionId,
        workspace: Option<Box<str>>,
        after: Option<ConversationKey>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<(ConversationKey, Conversation)>, StoreError>> {
        self.ask(partition, move |partition| partition.scan(workspace.as_deref(), after, limit))
    }

    fn walk(&self, partition: PartitionId, place: Option<Place>, limit: usize) -> BoxFuture<'_, Result<Walked, StoreError>> {
        self.ask(partition, move |partition| partition.walk(place.as_ref(), limit))
    }

    fn applied(&self, partition: PartitionId, ids: Vec<LogId>) -> BoxFuture<'_, Result<Applied, StoreError>> {
        self.ask(partition, move |partition| partition.applied(&ids))
    }

    fn notifications(&self, partition: PartitionId, after: u64, limit: usize) -> BoxFuture<'_, Result<NotificationPage, StoreError>> {
        self.ask(partition, move |partition| partition.notifications(after, limit))
    }

    fn notification_heads(&self) -> Vec<u64> {
        self.lock().partitions.iter().map(|partition| partition.last_notification).collect()
    }

    fn notification_signal(&self) -> watch::Receiver<u64> {
        self.signal.subscribe()
    }

    fn applied_settings(&self, partition: PartitionId, workspace: Box<str>) -> BoxFuture<'_, Result<Option<Settings>, StoreError>> {
        self.ask(partition, move |partition| partition.settings.get(&workspace).cloned())
    }

    fn settings(&self, workspace: Box<str>) -> BoxFuture<'_, Result<Option<Settings>, StoreError>> {
        async move { Ok(self.lock().settings.get(&workspace).cloned()) }.boxed()
    }

    fn all_settings(&self) -> BoxFuture<'_, Result<Vec<(Box<str>, Settings)>, StoreError>> {
        async { Ok(self.lock().settings.iter().map(|(workspace, settings)| (workspace.clone(), settings.clone())).collect()) }.boxed()
    }

    fn record_settings(
        &self,
        workspace: Box<str>,
        expected: u64,
        settings: Settings,
        history: Option<Vec<u8>>,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        async move {
            guard(&settings, record::encode_settings, record::decode_settings);
            let State { settings: masters, documents, .. } = &mut *self.lock();
            let fits = masters.get(&workspace).map_or(0, |stored| stored.version) == expected;
            if fits {
                if let Some(bytes) = history {
                    let document = Document { version: settings.version, bytes };
                    documents.insert((Shelf::SettingsHistory, workspace.clone()), document);
                }
                masters.insert(workspace, settings);
            }
            Ok(fits)
        }
        .boxed()
    }

    fn document(&self, shelf: Shelf, workspace: Box<str>) -> BoxFuture<'_, Result<Option<Document>, StoreError>> {
        async move { Ok(self.lock().documents.get(&(shelf, workspace)).cloned()) }.boxed()
    }

    fn put_document(
        &self,
        shelf: Shelf,
        workspace: Box<str>,
        expected: u64,
        document: Document,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        async move {
            let documents = &mut self.lock().documents;
            let fits = documents.get(&(shelf, workspace.clone())).map_or(0, |stored| stored.version) == expected;
            if fits {
                documents.insert((shelf, workspace), document);
            }
            Ok(fits)
        }
        .boxed()
    }

    fn dead_letters(&self, partition: PartitionId, after: LogId, limit: usize) -> BoxFuture<'_, Result<Vec<DeadLetter>, StoreError>> {
        self.ask(partition, move |partition| partition.dead_letters(after, limit))
    }

    fn stats(&self) -> BoxFuture<'_, Result<Vec<PartitionStats>, StoreError>> {
        async { Ok(self.lock().partitions.iter().map(Partition::stats).collect()) }.boxed()
    }

    fn count_due(&self, partition: PartitionId, until: Timestamp) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.ask(partition, move |partition| partition.due(until, None, usize::MAX).len() as u64)
    }

    fn is_exclusive(&self) -> bool {
        self.exclusive.load(Ordering::Relaxed)
    }

    fn cluster(&self) -> BoxFuture<'_, Result<ClusterView, StoreError>> {
        async { Ok(self.registry.view(self.lock().partitions.iter().map(Partition::holder).collect())) }.boxed()
    }

    fn heartbeat(&self, record: NodeRecord, over: Option<u64>) -> BoxFuture<'_, Result<bool, StoreError>> {
        async move { Ok(self.registry.heartbeat(record, over)) }.boxed()
    }

    fn leave(&self, member: Member) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            self.registry.leave(&member);
            Ok(())
        }
        .boxed()
    }

    fn drain(&self, node: Box<str>) -> BoxFuture<'_, Result<(), StoreError>> {
        async move { self.registry.drain(node) }.boxed()
    }

    fn pin(&self, partition: PartitionId, to: Option<Box<str>>) -> BoxFuture<'_, Result<(), StoreError>> {
        async move { self.registry.pin(partition, to) }.boxed()
    }

    fn closes_held(&self) -> Option<Hold> {
        self.hold.get()
    }

    fn hold_closes(&self, why: Box<str>) -> BoxFuture<'_, Result<bool, StoreError>> {
        async move {
            let _state = self.lock(); // no commit in between
            let is_new = !self.hold.is_on();
            if is_new {
                self.hold.note(Some(Hold { why: why.into(), since: Some(self.clock.now()) }));
            }
            Ok(is_new)
        }
        .boxed()
    }

    fn release_hold(&self) -> BoxFuture<'_, Result<Option<Hold>, StoreError>> {
        async move {
            let _state = self.lock();
            let was = self.hold.get();
            self.hold.note(None);
            Ok(was)
        }
        .boxed()
    }

    fn hints(&self) -> tokio::sync::broadcast::Receiver<Hint> {
        self.registry.hints()
    }
}

fn answer_lost() -> StoreError {
    StoreError::OutcomeUnknown("a fault switch says so".into())
}

/// What another store would keep as bytes would come back as it is.
fn guard<T: PartialEq + std::fmt::Debug>(value: &T, encode: fn(&T) -> Vec<u8>, decode: fn(&[u8]) -> Result<T, record::RecordError>) {
    if cfg!(debug_assertions) {
        assert_eq!(decode(&encode(value)).as_ref(), Ok(value));
    }
}

fn guard_batch(batch: &Batch) {
    for row in &batch.rows {
        if let RowChange::Put { conversation, .. } = &row.change {
            guard(&**conversation, record::encode_conversation, record::decode_conversation);
        }
    }
    batch.notifications.iter().for_each(|n| guard(&n.notice, record::encode_notice, record::decode_notice));
    batch.dead.iter().for_each(|letter| guard(letter, record::encode_dead_letter, record::decode_dead_letter));
    batch.settings.iter().for_each(|(_, settings)| guard(settings, record::encode_settings, record::decode_settings));
    let rollups = batch.rollups.iter().filter_map(|write| write.rollup.as_deref());
    batch
        .texts
        .iter()
        .filter_map(|(_, change)| change.said.as_ref())
        .for_each(|said| guard(said, record::encode_said, record::decode_said));
    rollups.for_each(|rollup| guard(rollup, record::encode_rollup, record::decode_rollup));
}
