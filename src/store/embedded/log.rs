//! The event log: one sequence of segment files over all partitions, and a thread that alone writes them.
//!
//! Appends that wait together are written together, with one write and one `fdatasync`; then their entries are shown to
//! readers, then the callers are answered. Ids are given under the lock of [`Order`], so a barrier may cover entries
//! that are still being written: a reader who asks for them waits. A write that fails breaks the store until it is
//! opened again, for after a failed `fdatasync` nobody knows what the disk holds.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

use super::super::{Barrier, Entry, LogEntry, LogId, StoreError};
use super::order::{Order, TooEarly};
use super::segment::{self, Encoded, Segment};
use super::tail::Tail;
use super::{Health, OpenError};
use crate::clock::SharedClock;
use crate::domain::{PartitionId, Timestamp};
use crate::store::record;

/// Bytes taken into one frame. About 20 ms of writing on a slow disk: more would only make those who came first wait.
const FRAME_BYTES_MAX: usize = 4 << 20;

pub struct LogOptions {
    pub clock: SharedClock,
    pub incarnation: u64,
    /// Of every partition.
    pub checkpoints: Vec<LogId>,
    /// The store's clock under which a close was last allowed, in ms.
    pub floor_ms: u64,
    /// Entries not applied, over all partitions.
    pub backlog_max: u64,
    pub keep_segments: bool,
    pub segment_bytes: u64,
}

pub struct Log {
    shared: Arc<Shared>,
    sender: Mutex<Option<Sender<Append>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    order: Mutex<Order>,
    tails: Vec<Tail>,
    /// Entries accepted or about to be, and not applied.
    backlog: AtomicU64,
    backlog_max: u64,
    health: Arc<Health>,
}

struct Append {
    encoded: Encoded,
    entries: Vec<(PartitionId, Entry)>,
    answer: oneshot::Sender<Result<Vec<LogId>, StoreError>>,
}

impl Log {
    /// Reads what is there, cuts off a torn end and starts the thread.
    pub fn open(dir: &Path, options: LogOptions, health: Arc<Health>) -> Result<Self, OpenError> {
        let mut order = Order::new(Arc::clone(&options.clock), &options.checkpoints, options.floor_ms);
        let tails: Vec<Tail> = options.checkpoints.iter().map(|_| Tail::default()).collect();
        let (segment, backlog) = recover(dir, &options, &mut order, &tails)?;
        let shared = Arc::new(Shared {
            order: Mutex::new(order),
            tails,
            backlog: AtomicU64::new(backlog),
            backlog_max: options.backlog_max,
            health,
        });
        let (sender, receiver) = channel();
        let writer = LogWriter { shared: Arc::clone(&shared), dir: dir.to_owned(), segment, options };
        let thread = std::thread::Builder::new()
            .name("adjourn-log".into())
            .spawn(move || writer.run(&receiver))
            .map_err(|cause| OpenError::io("start the log thread for", dir, cause))?;
        Ok(Self { shared, sender: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)) })
    }

    /// See [`Store::append`](super::super::Store::append). All entries of a call are durable together.
    pub async fn append(&self, entries: Vec<(PartitionId, Entry)>) -> Result<Vec<LogId>, StoreError> {
        self.shared.health.check()?;
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let count = entries.len() as u64;
        self.shared.reserve(count)?;
        let mut encoded = Encoded::default();
        for (partition, entry) in &entries {
            encoded.push(*partition, &record::encode_entry(entry));
        }
        let (answer, answered) = oneshot::channel();
        let sent = match &*lock(&self.sender) {
            Some(sender) => sender.send(Append { encoded, entries, answer }).is_ok(),
            None => false,
        };
        if !sent {
            self.shared.release(count);
            return Err(self.shared.health.closed());
        }
        answered.await.unwrap_or_else(|_| Err(StoreError::OutcomeUnknown("the log's thread ended".into())))
    }

    /// See [`Store::read`](super::super::Store::read). Waits, whatever `wait` says, for entries that have their id and are
    /// being written: a barrier may have named them.
    pub async fn read(&self, partition: PartitionId, after: LogId, limit: usize, wait: Duration) -> Result<Vec<LogEntry>, StoreError> {
        let tail = &self.shared.tails[usize::from(partition.0)];
        let patience = tokio::time::sleep(wait);
        tokio::pin!(patience);
        loop {
            let arrived = tail.arrived.notified();
            tokio::pin!(arrived);
            arrived.as_mut().enable();
            self.shared.health.check()?;
            let entries = tail.after(after, limit);
            if !entries.is_empty() || limit == 0 {
                return Ok(entries);
            }
            if self.order().expects(partition, after) {
                arrived.await;
                continue;
            }
            if wait.is_zero() {
                return Ok(entries);
            }
            tokio::select! {
                () = arrived => {}
                () = &mut patience => return Ok(Vec::new()),
            }
        }
    }

    /// The greatest id given so far, over all partitions: whatever is acknowledged has no greater one.
    pub fn last(&self) -> LogId {
        self.order().last_of_all()
    }

    /// Entries that are durable and not applied, strictly after `after`, at most `limit`.
    pub fn published(&self, partition: PartitionId, after: LogId, limit: usize) -> Vec<LogEntry> {
        self.shared.tails[usize::from(partition.0)].after(after, limit)
    }

    pub fn barrier(&self, partition: PartitionId) -> Result<Barrier, StoreError> {
        self.shared.health.check()?;
        Ok(self.order().barrier(partition))
    }

    /// See [`Order::allow_close`].
    pub fn allow_close(&self, partition: PartitionId, checkpoint: LogId, not_before: Timestamp) -> Result<u64, TooEarly> {
        self.order().allow_close(partition, checkpoint, not_before)
    }

    /// See [`Order::raise_last`].
    pub fn raise_last(&self, checkpoint: LogId) {
        self.order().raise_last(checkpoint);
    }

    /// Whether the partition's log holds anything above `checkpoint`.
    pub fn expects(&self, partition: PartitionId, checkpoint: LogId) -> bool {
        self.order().expects(partition, checkpoint)
    }

    /// The last id of a partition's log, and how many of its entries are not applied.
    pub fn last_and_backlog(&self, partition: PartitionId) -> (LogId, u64) {
        let order = self.order();
        (order.last(partition), order.backlog(partition) as u64)
    }

    /// Lets go of what a durable checkpoint covers.
    pub fn applied(&self, partition: PartitionId, checkpoint: LogId) {
        let count = self.order().applied(partition, checkpoint);
        if count > 0 {
            self.shared.release(count as u64);
        }
        self.shared.tails[usize::from(partition.0)].applied(checkpoint);
    }

    /// Writes what was taken in, then ends the thread.
    pub fn close(&self) {
        lock(&self.sender).take();
        if let Some(thread) = lock(&self.thread).take() {
            // A panic of the thread was answered to its callers as an unknown outcome.
            let _ = thread.join();
        }
    }

    /// Lets waiting readers look again, and find that the store was closed.
    pub fn wake_readers(&self) {
        self.shared.tails.iter().for_each(|tail| tail.arrived.notify_waiters());
    }

    fn order(&self) -> MutexGuard<'_, Order> {
        lock(&self.shared.order)
    }
}

impl Shared {
    /// Room for `count` entries more. Taken before they are queued, so that the queue is bounded too.
    fn reserve(&self, count: u64) -> Result<(), StoreError> {
        let limit = self.backlog_max;
        let room = |unapplied: u64| (unapplied < limit).then(|| unapplied + count);
        match self.backlog.fetch_update(Ordering::AcqRel, Ordering::Acquire, room) {
            Ok(_) => Ok(()),
            Err(unapplied) => Err(StoreError::Behind { unapplied, limit }),
        }
    }

    fn release(&self, count: u64) {
        self.backlog.fetch_sub(count, Ordering::AcqRel);
    }
}

/// The thread's own.
struct LogWriter {
    shared: Arc<Shared>,
    dir: PathBuf,
    segment: Segment,
    options: LogOptions,
}

impl LogWriter {
    fn run(mut self, appends: &Receiver<Append>) {
        while let Ok(first) = appends.recv() {
            let group = gather(first, appends);
            if let Err(error) = self.shared.health.check() {
                group.into_iter().for_each(|append| answer(append.answer, Err(error.clone())));
                continue;
            }
            self.take(group);
        }
    }

    fn take(&mut self, mut group: Vec<Append>) {
        if self.segment.len >= self.options.segment_bytes
            && let Err(cause) = self.rotate()
        {
            // Nothing of this group was written, so this is no unknown outcome; but the log cannot go on.
            let error = self.shared.health.fail(format!("the log could not begin a new segment: {cause}"));
            self.wake_all();
            return group.into_iter().for_each(|append| answer(append.answer, Err(error.clone())));
        }
        let ids = self.give_ids(&mut group);
        if let Err(cause) = self.segment.write(group.iter().map(|append| &append.encoded)) {
            self.shared.health.fail(format!("the log could not be written: {cause}; free the disk or replace it, then start again"));
            self.wake_all();
            let unknown = StoreError::OutcomeUnknown(format!("writing the log failed: {cause}").into());
            return group.into_iter().for_each(|append| answer(append.answer, Err(unknown.clone())));
        }
        self.publish(group, ids);
    }

    fn give_ids(&self, group: &mut [Append]) -> Vec<Vec<LogId>> {
        let mut order = lock(&self.shared.order);
        let mut ids_of = |append: &mut Append| {
            let ids: Vec<LogId> =
                append.entries.iter().map(|(partition, entry)| order.next(*partition, entry, self.segment.number)).collect();
            ids.iter().enumerate().for_each(|(index, id)| append.encoded.set_id(index, *id));
            ids
        };
        group.iter_mut().map(&mut ids_of).collect()
    }

    fn publish(&self, group: Vec<Append>, ids: Vec<Vec<LogId>>) {
        let mut arrived = vec![false; self.shared.tails.len()];
        let mut answers = Vec::with_capacity(group.len());
        for (append, ids) in group.into_iter().zip(ids) {
            for ((partition, entry), id) in append.entries.into_iter().zip(&ids) {
                let partition = usize::from(partition.0);
                self.shared.tails[partition].publish(LogEntry { id: *id, entry: Ok(entry), foreign: false });
                arrived[partition] = true;
            }
            answers.push((append.answer, ids));
        }
        let arrived = self.shared.tails.iter().zip(arrived).filter(|(_, arrived)| *arrived);
        arrived.for_each(|(tail, _)| tail.arrived.notify_waiters());
        answers.into_iter().for_each(|(to, ids)| answer(to, Ok(ids)));
    }

    /// Goes on in a new file and deletes those that nobody needs.
    fn rotate(&mut self) -> std::io::Result<()> {
        self.segment = Segment::create(&self.dir, self.segment.number + 1, self.options.incarnation)?;
        if self.options.keep_segments {
            return Ok(());
        }
        for number in segment::segment_numbers(&self.dir)? {
            let needed = number == self.segment.number || !lock(&self.shared.order).is_applied(number);
            if !needed && let Err(cause) = std::fs::remove_file(segment::segment_path(&self.dir, number)) {
                // It costs disk, nothing else: the next rotation tries again.
                tracing::warn!(segment = number, %cause, "a segment of the log that is fully applied could not be deleted");
            }
        }
        Ok(())
    }

    fn wake_all(&self) {
        self.shared.tails.iter().for_each(|tail| tail.arrived.notify_waiters());
    }
}

impl Drop for LogWriter {
    /// A panic may leave ids without entries: nobody is to wait for those.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shared.health.fail("the log's thread panicked; start again, and report what the log of this process says".into());
            self.wake_all();
        }
    }
}

/// The first append and all that wait behind it, up to a frame full.
fn gather(first: Append, appends: &Receiver<Append>) -> Vec<Append> {
    let mut bytes = first.encoded.len();
    let mut group = vec![first];
    while bytes < FRAME_BYTES_MAX {
        let Ok(next) = appends.try_recv() else { break };
        bytes += next.encoded.len();
        group.push(next);
    }
    group
}

/// Reads the segments, fills tails and order, and reopens the last segment behind its last sound frame.
fn recover(dir: &Path, options: &LogOptions, order: &mut Order, tails: &[Tail]) -> Result<(Segment, u64), OpenError> {
    let numbers = segment::segment_numbers(dir).map_err(|cause| OpenError::io("list", dir, cause))?;
    let mut backlog = 0;
    let mut end = None;
    for number in &numbers {
        let path = segment::segment_path(dir, *number);
        let mut foreign = None;
        let scan = segment::scan(&path, Some(number) == numbers.last(), |partition, id, bytes| {
            let Some(checkpoint) = options.checkpoints.get(usize::from(partition.0)) else {
                foreign = Some(partition);
                return;
            };
            order.found(partition, id);
            if id > *checkpoint {
                let found = segment::decode(id, bytes);
                let accepted_at = found.entry.as_ref().map_or(id.accepted_at(), |entry| entry.accepted_at(id));
                order.expect(partition, id, *number, accepted_at);
                tails[usize::from(partition.0)].publish(found);
                backlog += 1;
            }
        })?;
        if foreign.is_some() || (scan.sound_bytes > 0 && scan.incarnation != options.incarnation) {
            return Err(OpenError::ForeignSegment { file: path });
        }
        end = Some((*number, scan));
    }
    options.checkpoints.iter().enumerate().for_each(|(p, checkpoint)| order.recall_last(PartitionId(p as u16), *checkpoint));
    let segment = match end {
        None => Segment::create(dir, 1, options.incarnation),
        Some((number, scan)) if scan.sound_bytes == 0 => Segment::create(dir, number, options.incarnation),
        Some((number, scan)) => {
            if scan.sound_bytes < scan.file_bytes {
                let (kept, cut) = (scan.sound_bytes, scan.file_bytes - scan.sound_bytes);
                tracing::warn!(
                    segment = number,
                    kept,
                    cut,
                    "the end of the log was torn by a crash and is cut off: nobody was told it was accepted"
                );
            }
            Segment::reopen(dir, number, options.incarnation, scan.sound_bytes)
        }
    };
    Ok((segment.map_err(|cause| OpenError::io("write a segment in", dir, cause))?, backlog))
}

/// A caller who went away does not want the answer.
fn answer<T>(to: oneshot::Sender<T>, with: T) {
    let _ = to.send(with);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these locks guard is whole after every statement: a panic elsewhere leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::domain::testing::{at, human};

    const P: PartitionId = PartitionId(0);

    fn append() -> (Append, oneshot::Receiver<Result<Vec<LogId>, StoreError>>) {
        let (answer, answered) = oneshot::channel();
        let entry = Entry::Event(human("e", 1));
        let mut encoded = Encoded::default();
        encoded.push(P, &record::encode_entry(&entry));
        (Append { encoded, entries: vec![(P, entry)], answer }, answered)
    }

    fn writer(dir: &Path, segment_bytes: u64) -> LogWriter {
        let options = LogOptions {
            clock: ManualClock::at(at(1_000)),
            incarnation: 7,
            checkpoints: vec![LogId::ZERO],
            floor_ms: 0,
            backlog_max: 10,
            keep_segments: false,
            segment_bytes,
        };
        let shared = Shared {
            order: Mutex::new(Order::new(options.clock.clone(), &options.checkpoints, 0)),
            tails: vec![Tail::default()],
            backlog: AtomicU64::new(0),
            backlog_max: options.backlog_max,
            health: Arc::default(),
        };
        let segment = Segment::create(dir, 1, options.incarnation).unwrap();
        LogWriter { shared: Arc::new(shared), dir: dir.to_owned(), segment, options }
    }

    /// What may or may not be on the disk is shown to nobody, and nothing is written behind it.
    #[test]
    fn a_failed_write_has_an_unknown_outcome_and_ends_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = writer(dir.path(), 1_000);
        writer.segment.become_read_only(dir.path());
        let (append, mut answered) = append();
        writer.take(vec![append]);
        assert!(matches!(answered.try_recv().unwrap(), Err(StoreError::OutcomeUnknown(_))));
        assert!(matches!(writer.shared.health.check(), Err(StoreError::Unavailable(_))));
        assert_eq!(writer.shared.tails[0].after(LogId::ZERO, 9), []);
        assert!(lock(&writer.shared.order).expects(P, LogId::ZERO), "a close over it must be refused");
    }

    #[test]
    fn a_segment_that_cannot_begin_ends_the_log_with_nothing_written() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = writer(dir.path(), 0);
        std::fs::create_dir(segment::segment_path(dir.path(), 2)).unwrap();
        let (append, mut answered) = append();
        writer.take(vec![append]);
        assert!(matches!(answered.try_recv().unwrap(), Err(StoreError::Unavailable(_))));
        assert!(matches!(writer.shared.health.check(), Err(StoreError::Unavailable(_))));
    }
}
