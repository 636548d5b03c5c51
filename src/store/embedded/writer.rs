//! The thread that alone changes the state file.
//!
//! What waits is written together: one transaction and one `fsync` for the batches of many partitions (a *group*). Each
//! request is checked against the partitions' rows, which this thread keeps in memory, before any table is touched: a
//! refused one leaves no trace and its neighbours go through. Everybody is answered after the `fsync`. When a
//! transaction fails, its requests have an unknown outcome and the store is broken until it is opened again.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use redb::{Database, WriteTransaction};
use tokio::sync::{oneshot, watch};

use super::super::hold::KnownHold;
use super::super::{Hold, Lease, Lists, StoreError};
use super::Health;
use super::batch::Prepared;
use super::log::Log;
use super::order::TooEarly;
use super::partition::PartitionState;
use super::put::{self, Put};
use super::tables::{self, Writes};
use super::writes;
use crate::domain::PartitionId;
use crate::faults;

/// B-tree writes taken into one group, give or take one batch. Larger groups share the `fsync` among more, but everybody
/// in a group waits for all of it: this is 4,096 closes, about 80 ms with 200,000 conversations in the store and 160 ms
/// with a million and the default cache, on two busy cores.
const GROUP_WRITES_MAX: usize = 12_000;

/// Without a commit for this long nobody is kept waiting by one more.
const QUIET: Duration = Duration::from_millis(500);

pub type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

pub enum Request {
    Commit {
        lease: Lease,
        batch: Box<Prepared>,
        answer: Answer<()>,
    },
    Claim {
        partition: PartitionId,
        answer: Answer<Claimed>,
    },
    Release {
        lease: Lease,
        answer: Answer<()>,
    },
    Put(Put),
    /// What becomes of the hold; answered with what it was. One that stands is not replaced by another.
    Hold {
        hold: Option<Hold>,
        answer: Answer<Option<Hold>>,
    },
}

/// A claim without its settings, which the caller reads.
pub struct Claimed {
    pub lease: Lease,
    pub state: PartitionState,
}

/// The number of the last notification of every partition, for those who only look.
pub struct Heads {
    heads: Vec<AtomicU64>,
    signal: watch::Sender<u64>,
}

impl Heads {
    pub fn new(partitions: &[PartitionState]) -> Self {
        let heads = partitions.iter().map(|state| AtomicU64::new(state.last_notification)).collect();
        Self { heads, signal: watch::Sender::new(0) }
    }

    pub fn all(&self) -> Vec<u64> {
        self.heads.iter().map(|head| head.load(Ordering::Acquire)).collect()
    }

    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.signal.subscribe()
    }
}

pub struct Writer {
    sender: Mutex<Option<Sender<Request>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    health: Arc<Health>,
}

impl Writer {
    pub fn start(
        db: Arc<Database>,
        log: Arc<Log>,
        partitions: Vec<PartitionState>,
        (heads, hold, health): (Arc<Heads>, Arc<KnownHold>, Arc<Health>),
    ) -> std::io::Result<Self> {
        let (sender, receiver) = channel();
        let held = hold.get();
        let thread = WriterThread { db, log, partitions, held, heads, hold, health: Arc::clone(&health), unsettled: false };
        let thread = std::thread::Builder::new().name("adjourn-commit".into()).spawn(move || thread.run(&receiver))?;
        Ok(Self { sender: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)), health })
    }

    /// Asks and waits for the answer.
    pub async fn ask<T>(&self, request: impl FnOnce(Answer<T>) -> Request) -> Result<T, StoreError> {
        self.health.check()?;
        let (answer, answered) = oneshot::channel();
        let sent = match &*self.sender.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(sender) => sender.send(request(answer)).is_ok(),
            None => false,
        };
        if !sent {
            return Err(self.health.closed());
        }
        answered.await.unwrap_or_else(|_| Err(StoreError::OutcomeUnknown("the commit thread ended".into())))
    }

    /// Writes what was asked so far, then ends the thread.
    pub fn close(&self) {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // A panic of the thread was answered to its callers as an unknown outcome.
            let _ = thread.join();
        }
    }
}

struct WriterThread {
    db: Arc<Database>,
    log: Arc<Log>,
    /// As they will be once the group at hand is durable.
    partitions: Vec<PartitionState>,
    /// The same.
    held: Option<Hold>,
    heads: Arc<Heads>,
    /// As everybody else sees it.
    hold: Arc<KnownHold>,
    health: Arc<Health>,
    /// Something was written since the state file was last made quick to recover.
    unsettled: bool,
}

/// What passed its check, to be written together.
#[derive(Default)]
struct Group {
    commits: Vec<Commit>,
    claims: Vec<(Claimed, Answer<Claimed>)>,
    releases: Vec<Answer<()>>,
    puts: Vec<Put>,
    holds: Vec<(Option<Hold>, Answer<Option<Hold>>)>,
    touched: BTreeSet<PartitionId>,
}

pub struct Commit {
    pub partition: PartitionId,
    pub batch: Box<Prepared>,
    /// Notifications numbered in here are no longer kept.
    pub trimmed: std::ops::Range<u64>,
    answer: Answer<()>,
}

impl WriterThread {
    fn run(mut self, requests: &Receiver<Request>) {
        while let Some(first) = self.next(requests) {
            let mut group = Group::default();
            for request in gather(first, requests) {
                self.check(request, &mut group);
            }
            if group.is_empty() {
                continue;
            }
            match self.write(&mut group) {
                Ok(()) => {
                    self.unsettled = true;
                    self.announce(group);
                }
                Err(cause) => self.fail(&cause, group),
            }
        }
    }

    /// The next request. A quiet moment before it is used to make a crash from here on cheap to recover from.
    fn next(&mut self, requests: &Receiver<Request>) -> Option<Request> {
        if self.unsettled {
            match requests.recv_timeout(QUIET) {
                Ok(request) => return Some(request),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => self.settle(),
            }
        }
        requests.recv().ok()
    }

    /// Has the state file keep what it otherwise finds out again after a crash by reading all of itself: seconds for a
    /// gigabyte. Too dear for every commit, and a clean end does it anyway.
    fn settle(&mut self) {
        self.unsettled = false;
        let settled = self.db.begin_write().map_err(redb::Error::from).and_then(|mut txn| {
            txn.set_quick_repair(true);
            faults::point("state.settling");
            txn.commit().map_err(redb::Error::from)
        });
        if let Err(cause) = settled {
            self.health.fail(format!("the state file could not be written: {cause}; free the disk or replace it, then start again"));
        }
    }

    /// Refuses, or changes the partition's row in memory and takes the request into the group.
    fn check(&mut self, request: Request, group: &mut Group) {
        if let Err(error) = self.health.check() {
            return refuse(request, error);
        }
        match request {
            Request::Commit { lease, batch, answer } => match self.check_commit(lease, &batch) {
                Ok(trimmed) => {
                    group.touched.insert(lease.partition);
                    group.commits.push(Commit { partition: lease.partition, batch, trimmed, answer });
                }
                Err(error) => reply(answer, Err(error)),
            },
            Request::Claim { partition, answer } => {
                group.touched.insert(partition);
                group.claims.push((self.claim(partition), answer));
            }
            Request::Release { lease, answer } => {
                let state = self.state(lease.partition);
                if !state.holds(lease) {
                    return reply(answer, Ok(()));
                }
                // Who gives it back was not killed by what it was trying.
                (state.nonce, state.attempts, state.trying) = (None, 0, None);
                group.touched.insert(lease.partition);
                group.releases.push(answer);
            }
            Request::Put(put) => group.puts.push(put),
            Request::Hold { hold, answer } => {
                let was = self.held.clone();
                if was.is_none() || hold.is_none() {
                    self.held = hold;
                }
                group.holds.push((was, answer));
            }
        }
    }

    /// Fence, chain, order and clock, in this order; then the row as the batch leaves it, but for its counters.
    fn check_commit(&mut self, lease: Lease, batch: &Prepared) -> Result<std::ops::Range<u64>, StoreError> {
        let mut next = *self.state(lease.partition);
        if !next.holds(lease) {
            return Err(StoreError::Fenced { partition: lease.partition });
        }
        if next.head != batch.based_on {
            return Err(refused("the batch does not build on the last commit"));
        }
        if batch.checkpoint < next.checkpoint {
            return Err(refused(format!("the checkpoint would go back from {} to {}", next.checkpoint, batch.checkpoint)));
        }
        if let Some((first, last)) = batch.numbers {
            if first != next.last_notification + 1 || !batch.gapless {
                return Err(refused(format!("notifications do not go on from {} without a gap", next.last_notification)));
            }
            next.last_notification = last;
        }
        if let Some(not_before) = batch.not_before {
            if self.held.is_some() {
                return Err(refused("nothing may close now"));
            }
            let allowed = self.log.allow_close(lease.partition, batch.checkpoint, not_before);
            next.closed_at_ms = allowed.map_err(|early| too_early(&early))?;
        }
        let trimmed = batch.trimmed(next.oldest_notification, next.last_notification);
        next.oldest_notification = trimmed.end;
        if batch.checkpoint > next.checkpoint {
            next.attempts = 0;
            self.log.raise_last(batch.checkpoint);
        }
        next.head = batch.id;
        next.checkpoint = batch.checkpoint;
        next.trying = batch.trying;
        if batch.lists_are == Lists::Whole {
            next.whole_at = batch.id;
        }
        *self.state(lease.partition) = next;
        Ok(trimmed)
    }

    fn claim(&mut self, partition: PartitionId) -> Claimed {
        let nonce = crate::chance::token();
        let log = Arc::clone(&self.log);
        let state = self.state(partition);
        state.epoch += 1;
        state.nonce = Some(nonce);
        state.attempts = if log.expects(partition, state.checkpoint) { state.attempts.saturating_add(1) } else { 0 };
        Claimed { lease: state.lease(partition, nonce), state: *state }
    }

    /// One transaction, durable when this returns.
    fn write(&mut self, group: &mut Group) -> Result<(), redb::Error> {
        // Batches of one partition stay in their order; partition after partition the keys only grow.
        group.commits.sort_by_key(|commit| commit.partition);
        let txn = self.db.begin_write()?;
        let index = self.write_states(&txn, &group.commits)?;
        self.write_deadlines(&txn, &group.commits, &index)?;
        writes::notifications(&txn, &group.commits)?;
        self.write_dead_letters(&txn, &group.commits)?;
        writes::seldom(&txn, &group.commits)?;
        for (partition, more) in writes::lists(&txn, &group.commits)? {
            let entries = &mut self.state(partition).list_entries;
            *entries = entries.saturating_add_signed(more);
        }
        put::write(&txn, &mut group.puts)?;
        if !group.holds.is_empty() {
            writes::hold(&txn, self.held.as_ref())?;
        }
        let mut table = txn.open_table(tables::PARTITIONS)?;
        for partition in &group.touched {
            table.insert(partition.0, self.partitions[usize::from(partition.0)].encode().as_slice())?;
        }
        drop(table);
        faults::point("state.written");
        txn.commit()?;
        faults::point("state.committed");
        Ok(())
    }

    /// Answers what becomes of the index, batch by batch. Where a row stood in it is read from the row that is replaced,
    /// which the insert hands back anyway: whatever its writer believed, the index says what the rows say.
    fn write_states(&mut self, txn: &WriteTransaction, commits: &[Commit]) -> Result<Vec<Writes>, redb::Error> {
        let mut table = txn.open_table(tables::STATES)?;
        let mut index = Vec::with_capacity(commits.len());
        for commit in commits {
            let mut moves = Writes::default();
            let mut more = 0;
            for (key, row) in commit.batch.states.iter() {
                let replaced = match row {
                    Some(row) => table.insert(key, row)?,
                    None => table.remove(key)?,
                };
                more += i64::from(row.is_some()) - i64::from(replaced.is_some());
                let before = replaced.as_ref().and_then(|row| tables::look_at(row.value()));
                moves.move_deadline(key, before, row.and_then(tables::look_at));
            }
            let conversations = &mut self.partitions[usize::from(commit.partition.0)].conversations;
            *conversations = conversations.saturating_add_signed(more);
            moves.sort();
            index.push(moves);
        }
        Ok(index)
    }

    fn write_deadlines(&mut self, txn: &WriteTransaction, commits: &[Commit], index: &[Writes]) -> Result<(), redb::Error> {
        let mut table = txn.open_table(tables::DEADLINES)?;
        for (commit, moves) in commits.iter().zip(index) {
            let mut more = 0;
            for (key, value) in moves.iter() {
                match value {
                    Some(_) => more += i64::from(table.insert(key, ())?.is_none()),
                    None => more -= i64::from(table.remove(key)?.is_some()),
                }
            }
            let timers = &mut self.partitions[usize::from(commit.partition.0)].timers;
            *timers = timers.saturating_add_signed(more);
        }
        Ok(())
    }

    fn write_dead_letters(&mut self, txn: &WriteTransaction, commits: &[Commit]) -> Result<(), redb::Error> {
        if commits.iter().all(|commit| commit.batch.dead_letters.is_empty()) {
            return Ok(());
        }
        let mut table = txn.open_table(tables::DEAD_LETTERS)?;
        for commit in commits {
            let letters = &mut self.partitions[usize::from(commit.partition.0)].dead_letters;
            *letters = letters.saturating_add_signed(writes::put_all(&mut table, &commit.batch.dead_letters)?);
        }
        Ok(())
    }

    /// Shows what became durable, then answers.
    fn announce(&self, group: Group) {
        let mut notified = false;
        for commit in &group.commits {
            self.log.applied(commit.partition, commit.batch.checkpoint);
            if let Some((_, last)) = commit.batch.numbers {
                self.heads.heads[usize::from(commit.partition.0)].store(last, Ordering::Release);
                notified = true;
            }
        }
        if !group.holds.is_empty() {
            self.hold.note(self.held.clone());
        }
        if notified {
            self.heads.signal.send_modify(|turns| *turns += 1);
        }
        group.commits.into_iter().for_each(|commit| reply(commit.answer, Ok(())));
        group.claims.into_iter().for_each(|(claimed, answer)| reply(answer, Ok(claimed)));
        group.releases.into_iter().for_each(|answer| reply(answer, Ok(())));
        group.puts.into_iter().for_each(|put| reply(put.answer, put.replaced));
        group.holds.into_iter().for_each(|(was, answer)| reply(answer, Ok(was)));
    }

    fn fail(&self, cause: &redb::Error, group: Group) {
        self.health.fail(format!("the state file could not be written: {cause}; free the disk or replace it, then start again"));
        let unknown = || StoreError::OutcomeUnknown(format!("writing the state file failed: {cause}").into());
        group.commits.into_iter().for_each(|commit| reply(commit.answer, Err(unknown())));
        group.claims.into_iter().for_each(|(_, answer)| reply(answer, Err(unknown())));
        group.releases.into_iter().for_each(|answer| reply(answer, Err(unknown())));
        group.puts.into_iter().for_each(|put| reply(put.answer, Err(unknown())));
        group.holds.into_iter().for_each(|(_, answer)| reply(answer, Err(unknown())));
    }

    fn state(&mut self, partition: PartitionId) -> &mut PartitionState {
        &mut self.partitions[usize::from(partition.0)]
    }
}

impl Drop for WriterThread {
    /// What a panic left in memory was never written: nothing may build on it.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.health.fail("the commit thread panicked; start again, and report what the log of this process says".into());
        }
    }
}

impl Group {
    fn is_empty(&self) -> bool {
        self.touched.is_empty() && self.puts.is_empty() && self.holds.is_empty()
    }
}

/// The first request and all that wait behind it, up to a group full.
fn gather(first: Request, requests: &Receiver<Request>) -> Vec<Request> {
    let mut weight = first.weight();
    let mut group = vec![first];
    while weight < GROUP_WRITES_MAX {
        let Ok(next) = requests.try_recv() else { break };
        weight += next.weight();
        group.push(next);
    }
    group
}

impl Request {
    fn weight(&self) -> usize {
        match self {
            Self::Commit { batch, .. } => batch.weight(),
            Self::Claim { .. } | Self::Release { .. } | Self::Put(_) | Self::Hold { .. } => 1,
        }
    }
}

fn too_early(early: &TooEarly) -> StoreError {
    match early {
        TooEarly::Clock(clock) => refused(format!("the store's clock, {} ms, is not past the deadline of a close", clock.as_millis())),
        TooEarly::Entry(id) => refused(format!("entry {id} was accepted in time and is not applied")),
    }
}

fn refuse(request: Request, error: StoreError) {
    match request {
        Request::Commit { answer, .. } | Request::Release { answer, .. } => reply(answer, Err(error)),
        Request::Claim { answer, .. } => reply(answer, Err(error)),
        Request::Put(put) => reply(put.answer, Err(error)),
        Request::Hold { answer, .. } => reply(answer, Err(error)),
    }
}

fn refused(reason: impl Into<Arc<str>>) -> StoreError {
    StoreError::Refused(reason.into())
}

/// A caller who went away does not want the answer.
fn reply<T>(to: Answer<T>, with: Result<T, StoreError>) {
    let _ = to.send(with);
}
