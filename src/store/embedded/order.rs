//! Which id comes next, and what the clock said: the two questions that must never be answered apart.
//!
//! Everything here happens under one lock, so a barrier, the check of a close and the giving of an id are in one order:
//! whatever got its id before a barrier is covered by it, whatever gets one later was accepted no earlier than its clock.

use std::collections::{BTreeMap, VecDeque};

use super::super::{Barrier, Entry, LogId};
use crate::clock::SharedClock;
use crate::domain::{PartitionId, Timestamp};

pub struct Order {
    clock: SharedClock,
    /// The latest clock that anybody was told, in ms: no id is older, also when the wall clock steps back.
    floor_ms: u64,
    /// The greatest id given or named by a checkpoint, over all partitions.
    last: LogId,
    partitions: Vec<PartitionOrder>,
    /// Entries not applied yet, by segment; a segment without any is not listed.
    unapplied: BTreeMap<u64, usize>,
}

#[derive(Clone, Default)]
struct PartitionOrder {
    last: LogId,
    /// Given and not covered by a checkpoint.
    unapplied: VecDeque<Unapplied>,
}

#[derive(Clone, Copy)]
struct Unapplied {
    id: LogId,
    /// What holds it.
    segment: u64,
    accepted_at: Timestamp,
}

/// Why a close must wait.
pub enum TooEarly {
    /// The store's clock, not past the deadline.
    Clock(Timestamp),
    /// An entry accepted in time that was not applied.
    Entry(LogId),
}

impl Order {
    /// `checkpoints`: of every partition. `floor_ms`: the clock under which a close was last allowed.
    pub fn new(clock: SharedClock, checkpoints: &[LogId], floor_ms: u64) -> Self {
        let partitions = vec![PartitionOrder::default(); checkpoints.len()];
        let last = checkpoints.iter().copied().max().unwrap_or_default();
        Self { clock, floor_ms, last, partitions, unapplied: BTreeMap::new() }
    }

    /// Takes in an entry found on disk.
    pub fn found(&mut self, partition: PartitionId, id: LogId) {
        self.last = self.last.max(id);
        let of = &mut self.partitions[usize::from(partition.0)];
        of.last = of.last.max(id);
    }

    /// The entry with this id, just found or given it, is not applied.
    pub fn expect(&mut self, partition: PartitionId, id: LogId, segment: u64, accepted_at: Timestamp) {
        self.partitions[usize::from(partition.0)].unapplied.push_back(Unapplied { id, segment, accepted_at });
        *self.unapplied.entry(segment).or_default() += 1;
    }

    /// Gives the next id.
    pub fn next(&mut self, partition: PartitionId, entry: &Entry, segment: u64) -> LogId {
        let ms = self.tell_clock().max(self.last.ms);
        let seq = if ms > self.last.ms { 0 } else { self.last.seq + 1 };
        let id = LogId { ms, seq };
        self.found(partition, id);
        self.expect(partition, id, segment, entry.accepted_at(id));
        id
    }

    pub fn barrier(&mut self, partition: PartitionId) -> Barrier {
        let clock = self.clock.now();
        self.raise_floor(clock);
        Barrier { clock, last: self.partitions[usize::from(partition.0)].last, held: false }
    }

    /// Whether closes with deadlines up to `not_before` may be written on top of `checkpoint` (D1, D2). Once allowed,
    /// nothing is accepted at or before `not_before` any more. Answers the clock it went by, in ms.
    pub fn allow_close(&mut self, partition: PartitionId, checkpoint: LogId, not_before: Timestamp) -> Result<u64, TooEarly> {
        let clock = self.clock.now();
        if clock <= not_before {
            return Err(TooEarly::Clock(clock));
        }
        let unapplied = &self.partitions[usize::from(partition.0)].unapplied;
        let mut later = unapplied.range(unapplied.partition_point(|entry| entry.id <= checkpoint)..);
        if let Some(entry) = later.find(|entry| entry.accepted_at <= not_before) {
            return Err(TooEarly::Entry(entry.id));
        }
        self.raise_floor(clock);
        Ok(self.floor_ms)
    }

    /// From now on every id is greater than `checkpoint`. To be called before the commit that names it is durable.
    pub fn raise_last(&mut self, checkpoint: LogId) {
        self.last = self.last.max(checkpoint);
    }

    /// Forgets what a durable checkpoint covers; answers how many entries that was.
    pub fn applied(&mut self, partition: PartitionId, checkpoint: LogId) -> usize {
        let unapplied = &mut self.partitions[usize::from(partition.0)].unapplied;
        let count = unapplied.partition_point(|entry| entry.id <= checkpoint);
        for Unapplied { segment, .. } in unapplied.drain(..count) {
            if let Some(left) = self.unapplied.get_mut(&segment) {
                *left -= 1;
                if *left == 0 {
                    self.unapplied.remove(&segment);
                }
            }
        }
        count
    }

    /// Whether an entry above `after` has its id and no checkpoint covers it.
    pub fn expects(&self, partition: PartitionId, after: LogId) -> bool {
        self.partitions[usize::from(partition.0)].unapplied.back().is_some_and(|entry| entry.id > after)
    }

    /// Whether nobody needs anything from this segment again.
    pub fn is_applied(&self, segment: u64) -> bool {
        !self.unapplied.contains_key(&segment)
    }

    /// The greatest id given or named by a checkpoint.
    pub fn last_of_all(&self) -> LogId {
        self.last
    }

    /// The last id of a partition's log.
    pub fn last(&self, partition: PartitionId) -> LogId {
        self.partitions[usize::from(partition.0)].last
    }

    /// Entries accepted and not applied.
    pub fn backlog(&self, partition: PartitionId) -> usize {
        self.partitions[usize::from(partition.0)].unapplied.len()
    }

    /// Takes over the checkpoint as the log's last id where all entries were applied and their segments are gone.
    pub fn recall_last(&mut self, partition: PartitionId, checkpoint: LogId) {
        let of = &mut self.partitions[usize::from(partition.0)];
        if of.last == LogId::ZERO {
            of.last = checkpoint;
        }
    }

    fn tell_clock(&mut self) -> u64 {
        let now = self.clock.now();
        self.raise_floor(now);
        self.floor_ms
    }

    fn raise_floor(&mut self, clock: Timestamp) {
        self.floor_ms = self.floor_ms.max(u64::try_from(clock.as_millis()).unwrap_or(0));
    }
}
