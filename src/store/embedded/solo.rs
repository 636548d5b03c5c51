//! Who holds what in a store that one process has to itself: kept in memory, for when the process is gone so are they.

use tokio::sync::{Mutex, MutexGuard};

use super::super::cluster::Registry;
use super::super::{ClusterView, Holder, Lease, LogId, Mark, Marks, StoreError};
use crate::domain::{PartitionCount, PartitionId};

pub struct Solo {
    held: Vec<Mutex<Held>>,
    pub registry: Registry,
}

/// What is remembered of one partition while the process lives.
#[derive(Default)]
pub struct Held {
    pub holder: Option<Holder>,
    marks: Marks,
}

impl Solo {
    pub fn new(partitions: PartitionCount) -> Self {
        Self { held: partitions.all().map(|_| Mutex::default()).collect(), registry: Registry::default() }
    }

    pub async fn of(&self, partition: PartitionId) -> MutexGuard<'_, Held> {
        self.held[usize::from(partition.0)].lock().await
    }

    pub async fn view(&self) -> ClusterView {
        let mut holders = Vec::with_capacity(self.held.len());
        for held in &self.held {
            holders.push(held.lock().await.holder.clone());
        }
        self.registry.view(holders)
    }
}

impl Held {
    pub fn renew(&mut self, lease: Lease) -> Result<(), StoreError> {
        let holder = self.holder.as_mut().filter(|held| held.lease == lease);
        holder.ok_or(StoreError::Fenced { partition: lease.partition })?.beat += 1;
        Ok(())
    }

    pub fn release(&mut self, lease: Lease) -> bool {
        self.holder.take_if(|held| held.lease == lease).is_some()
    }

    pub fn committed(&mut self, lease: Lease, marks: Vec<(LogId, Mark)>) {
        // Fenced meanwhile: then the beat is another's.
        let _ = self.renew(lease);
        self.marks.keep(marks);
    }

    pub fn marks(&self, ids: &[LogId]) -> Vec<Option<Mark>> {
        self.marks.of(ids)
    }
}
