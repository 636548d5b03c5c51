//! What all processes stand on: the model store, its clock, and a journal of what really happened in it. Nothing in the
//! service can see the journal; the laws are asked of it.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use adjourn::domain::{PartitionCount, PartitionId, Timestamp};
use adjourn::store::memory::{MemoryStore, Replica};
use adjourn::store::{Batch, CommitId, Entry, Lease, LogId, Store, Unreadable};

use super::judge::rng::Rng;
use super::laws::{self, Law, Violation, violates};
use super::time::{Ms, SimClock, Time};

/// Twenty times what a history takes.
const CALLS_MAX: u64 = 1_000_000;

pub struct Ground {
    pub store: Arc<MemoryStore>,
    pub time: Arc<Time>,
    /// The store's.
    pub clock: Arc<SimClock>,
    /// Calls that were made, over all lines.
    calls: AtomicU64,
    /// Until this virtual time a fault that has struck may keep a partition from getting on.
    slow_until: AtomicI64,
    journal: Mutex<Journal>,
    dice: Mutex<Rng>,
}

/// Everything that happened in the store and was not forgotten by a failover.
pub struct Journal {
    pub partitions: Vec<Book>,
    pub violations: Vec<Violation>,
    /// Failovers so far.
    pub primary: u32,
    /// A failover is on its way: what is written now will be forgotten.
    pub doomed: bool,
    /// The last notifications that the replica heard of, then.
    heads: Vec<u64>,
    /// Since when no auto-close may be committed, because a PUT that switched it off was answered (T22).
    pub off_since: Option<Ms>,
    /// The history so far, as one number: the same seed must come to the same.
    pub digest: u64,
}

/// One partition's.
#[derive(Clone, Default)]
pub struct Book {
    pub log: Vec<Logged>,
    pub commits: Vec<Committed>,
    pub lease: Option<Lease>,
}

#[derive(Clone)]
pub struct Logged {
    pub id: LogId,
    pub entry: Result<Entry, Unreadable>,
    /// The true time.
    pub at: Ms,
}

#[derive(Clone)]
pub struct Committed {
    pub lease: Lease,
    pub batch: Batch,
    /// The true time.
    pub at: Ms,
    pub virtual_ms: Ms,
    pub shown: Shown,
}

/// What both clocks showed at the last barrier before a commit: as its sender knows them.
#[derive(Clone, Copy, Default, Debug)]
pub struct Shown {
    pub store: Timestamp,
    pub node: Timestamp,
}

impl Shown {
    /// What had passed on both.
    pub fn both(self) -> Timestamp {
        self.store.min(self.node)
    }
}

impl Book {
    pub fn head(&self) -> CommitId {
        self.commits.last().map_or(CommitId::default(), |commit| commit.batch.id)
    }
}

/// How much there was of everything when a replica heard for the last time.
pub struct Mark {
    replica: Replica,
    lengths: Vec<(usize, usize, Option<Lease>)>,
}

impl Ground {
    pub fn new(partitions: u16, exclusive: bool, seed: u64) -> Arc<Self> {
        let time = Time::begin();
        let clock = SimClock::of(&time);
        let store = MemoryStore::new(PartitionCount::new(partitions).unwrap(), clock.clone());
        if !exclusive {
            store.share();
        }
        let journal = Journal::of(usize::from(partitions));
        Arc::new(Self {
            store,
            time,
            clock,
            calls: AtomicU64::new(0),
            slow_until: AtomicI64::new(0),
            journal: Mutex::new(journal),
            dice: Mutex::new(Rng::new(seed)),
        })
    }

    pub fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of it, for the judge: nothing more happens.
    pub fn close(&self) -> Journal {
        let mut journal = self.journal();
        let partitions = journal.partitions.len();
        std::mem::replace(&mut journal, Journal::of(partitions))
    }

    pub fn dice(&self) -> MutexGuard<'_, Rng> {
        self.dice.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call; false when there were so many that somebody must be turning in circles.
    pub fn may_call(&self) -> bool {
        let calls = self.calls.fetch_add(1, Ordering::Relaxed);
        if calls == CALLS_MAX {
            self.report(violates(Law::NobodySpins, format!("{CALLS_MAX} calls of the store in one history")));
        }
        calls < CALLS_MAX
    }

    /// For `ms` from now on somebody may rightly be without progress.
    pub fn slow_for(&self, ms: Ms) {
        self.slow_until.fetch_max(self.time.virtual_ms() + ms, Ordering::Relaxed);
    }

    pub fn slow_until(&self) -> Ms {
        self.slow_until.load(Ordering::Relaxed)
    }

    pub fn report(&self, violation: Violation) {
        self.journal().violations.push(violation);
    }

    /// Entries were taken into the logs.
    pub fn appended(&self, entries: &[(PartitionId, Entry)], ids: &[LogId]) {
        let mut journal = self.journal();
        for ((partition, entry), id) in entries.iter().zip(ids) {
            journal.note(&[u64::from(partition.0), id.ms, id.seq]);
            let book = &mut journal.partitions[usize::from(partition.0)];
            book.log.push(Logged { id: *id, entry: Ok(entry.clone()), at: self.time.now() });
        }
    }

    /// From now on nobody can read this entry.
    pub fn spoiled(&self, partition: PartitionId, id: LogId) {
        self.store.faults().corrupt_entry(partition, id);
        let mut journal = self.journal();
        let log = &mut journal.partitions[usize::from(partition.0)].log;
        if let Some(logged) = log.iter_mut().rev().find(|logged| logged.id == id) {
            logged.entry = Err(Unreadable { reason: "a fault switch says so".into(), bytes: vec![0xc1], conversation: None });
        }
    }

    pub fn claimed(&self, lease: Lease) {
        let mut journal = self.journal();
        journal.note(&[1, u64::from(lease.partition.0), lease.epoch]);
        journal.partitions[usize::from(lease.partition.0)].lease = Some(lease);
    }

    /// The store took a batch: the laws that can be asked at once are.
    pub fn committed(&self, lease: Lease, batch: Batch, shown: Shown) {
        let (at, virtual_ms) = (self.time.now(), self.time.virtual_ms());
        let committed = Committed { lease, batch, at, virtual_ms, shown };
        let mut journal = self.journal();
        let book = &journal.partitions[usize::from(lease.partition.0)];
        let found = laws::of_a_commit(book, &committed, journal.off_since);
        journal.violations.extend(found);
        journal.note(&[2, u64::from(lease.partition.0), committed.batch.id.0 as u64, committed.batch.rows.len() as u64]);
        journal.partitions[usize::from(lease.partition.0)].commits.push(committed);
    }

    /// The replica hears nothing more from here on.
    pub fn mark(&self) -> Mark {
        let mut journal = self.journal();
        (journal.doomed, journal.heads) = (true, self.store.notification_heads());
        let lengths = journal.partitions.iter().map(|book| (book.log.len(), book.commits.len(), book.lease)).collect();
        Mark { replica: self.store.faults().replica(), lengths }
    }

    /// It takes over.
    pub fn fail_over(&self, mark: Mark) {
        self.store.faults().fail_over(mark.replica);
        let mut journal = self.journal();
        (journal.doomed, journal.primary) = (false, journal.primary + 1);
        for (book, (log, commits, lease)) in journal.partitions.iter_mut().zip(mark.lengths) {
            book.log.truncate(log);
            book.commits.truncate(commits);
            book.lease = lease;
        }
    }
}

impl Journal {
    fn of(partitions: usize) -> Self {
        let partitions = vec![Book::default(); partitions];
        Self { partitions, violations: Vec::new(), primary: 0, doomed: false, heads: Vec::new(), off_since: None, digest: 0 }
    }

    pub fn heads_known_to_replica(&self, strict: bool) -> Option<Vec<u64>> {
        (strict && self.doomed).then(|| self.heads.clone())
    }

    fn note(&mut self, facts: &[u64]) {
        for fact in facts {
            self.digest = (self.digest ^ fact).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
        }
    }
}
