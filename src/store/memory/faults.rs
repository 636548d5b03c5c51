//! What can be made to go wrong with the model, at run time: what a real store does once a year, as often as a test likes.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::partition::Partition;
use super::{Documents, MemoryStore};
use crate::domain::{ConversationKey, PartitionId, Settings};
use crate::store::{Batch, Lease, LogId, StoreError, Unreadable};

/// How many calls to come each fault still strikes.
#[derive(Default)]
pub struct Switches {
    pub refuse_appends: u32,
    pub lose_append_answers: u32,
    pub refuse_commits: u32,
    pub lose_commits: u32,
    pub lose_commit_answers: u32,
    pub stall_commits: u32,
    pub double_commits: u32,
}

/// Counts one strike off; false when none is left.
pub fn strikes(left: &mut u32) -> bool {
    let strike = *left > 0;
    *left = left.saturating_sub(1);
    strike
}

/// A commit on its way through a slow network. It arrives even if whoever sent it has gone.
pub struct Stalled {
    pub lease: Lease,
    pub batch: Batch,
    pub answer: oneshot::Sender<Result<(), StoreError>>,
}

/// All that a store held at one moment, as its replica has it.
pub struct Replica {
    partitions: Vec<Partition>,
    settings: BTreeMap<Box<str>, Settings>,
    documents: Documents,
}

/// The switches of one model. Each `next` counts calls from now on and replaces what was left of it before.
#[derive(Clone)]
pub struct Faults(pub(super) Arc<MemoryStore>);

impl Faults {
    /// Nothing is taken, and `append` says so.
    pub fn refuse_appends(&self, next: u32) {
        self.0.lock().switches.refuse_appends = next;
    }

    /// Entries are taken, and `append` answers `OutcomeUnknown`.
    pub fn lose_append_answers(&self, next: u32) {
        self.0.lock().switches.lose_append_answers = next;
    }

    /// Nothing is written, and `commit` says so.
    pub fn refuse_commits(&self, next: u32) {
        self.0.lock().switches.refuse_commits = next;
    }

    /// Nothing is written, and `commit` answers `OutcomeUnknown`.
    pub fn lose_commits(&self, next: u32) {
        self.0.lock().switches.lose_commits = next;
    }

    /// The batch is checked and written as ever, and `commit` answers `OutcomeUnknown`.
    pub fn lose_commit_answers(&self, next: u32) {
        self.0.lock().switches.lose_commit_answers = next;
    }

    /// The batch arrives a second time right after the first, and is checked like any other; the first is answered.
    pub fn double_commits(&self, next: u32) {
        self.0.lock().switches.double_commits = next;
    }

    /// Commits wait until [`release_stalled`](Self::release_stalled); those after them go ahead.
    pub fn stall_commits(&self, next: u32) {
        self.0.lock().switches.stall_commits = next;
    }

    /// How many commits wait.
    pub fn stalled(&self) -> usize {
        self.0.lock().stalled.len()
    }

    /// Stalled commits arrive now, in the order in which they were made, and are answered.
    pub fn release_stalled(&self) {
        let mut state = self.0.lock();
        for Stalled { lease, batch, answer } in std::mem::take(&mut state.stalled) {
            // Nobody may be waiting any more; the commit arrived all the same.
            let _ = answer.send(self.0.arrive(&mut state, lease, batch));
        }
    }

    /// Drops every entry after `id`, as a store does that lost its last second.
    pub fn forget_log_after(&self, partition: PartitionId, id: LogId) {
        if let Ok(partition) = self.0.lock().partition(partition) {
            partition.forget_after(id);
        }
    }

    /// What a replica has that hears nothing more from here on.
    pub fn replica(&self) -> Replica {
        let state = self.0.lock();
        Replica { partitions: state.partitions.clone(), settings: state.settings.clone(), documents: state.documents.clone() }
    }

    /// The replica takes over: what it had not heard of never was. Leases and chains are as it has them; whoever claimed under
    /// the primary before has to claim anew.
    pub fn fail_over(&self, replica: Replica) {
        let mut state = self.0.lock();
        let told = state.partitions.iter().map(|partition| partition.last_notification);
        let heard: Vec<u64> = told.enumerate().map(|(at, last)| state.heard.get(at).copied().unwrap_or(0).max(last)).collect();
        state.heard = heard;
        (state.partitions, state.settings, state.documents) = (replica.partitions, replica.settings, replica.documents);
        state.primary += 1;
    }

    /// From now on this entry, if it is in the log, cannot be read.
    pub fn corrupt_entry(&self, partition: PartitionId, id: LogId) {
        let mut state = self.0.lock();
        let entry = state.partition(partition).ok().and_then(|partition| partition.log.get_mut(&id));
        if let Some(entry) = entry {
            *entry = Err(Unreadable { reason: "a fault switch says so".into(), bytes: vec![0xc1], conversation: None });
        }
    }

    /// From now on this conversation's row, if there is one, cannot be read; writing it anew heals it.
    pub fn corrupt_row(&self, key: &ConversationKey) {
        self.set_corrupt(key, true);
    }

    /// It can be read again, as by the build that wrote it.
    pub fn mend_row(&self, key: &ConversationKey) {
        self.set_corrupt(key, false);
    }

    fn set_corrupt(&self, key: &ConversationKey, corrupt: bool) {
        let partition = key.partition(self.0.partitions);
        let mut state = self.0.lock();
        let row = state.partition(partition).ok().and_then(|partition| partition.rows.get_mut(key));
        if let Some(row) = row {
            row.corrupt = corrupt;
        }
    }
}
