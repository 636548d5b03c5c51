//! Dead letters: what they are, and taking one up again or giving it up, which goes through the log like all else.

use std::time::Duration;

use super::ingest::Receipt;
use crate::actors::node::handle::{Node, Unready};
use crate::domain::PartitionId;
use crate::store::{DeadLetter, DeadLetterAction, Entry, LogId, StoreError};

impl Node {
    /// Dead letters of all partitions, by partition and oldest first within each, at most `limit`.
    pub async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, StoreError> {
        self.dead_letters_after(PartitionId(0), LogId::ZERO, limit).await
    }

    /// The same, from behind this one on.
    pub async fn dead_letters_after(&self, partition: PartitionId, id: LogId, limit: usize) -> Result<Vec<DeadLetter>, StoreError> {
        let mut found = Vec::new();
        for place in self.store().partitions().all().filter(|place| *place >= partition) {
            let room = limit.saturating_sub(found.len());
            if room == 0 {
                break;
            }
            let after = if place == partition { id } else { LogId::ZERO };
            found.extend(self.store().dead_letters(place, after, room).await?);
        }
        Ok(found)
    }

    /// Takes a dead letter up again or gives it up, through the partition's log; answers when that is applied. False:
    /// there is no such letter.
    pub async fn act_on_dead_letter(
        &self,
        partition: PartitionId,
        id: LogId,
        action: DeadLetterAction,
        timeout: Duration,
    ) -> Result<bool, Unready> {
        if partition.0 >= self.partitions() {
            return Ok(false);
        }
        let letters = self.store().dead_letters(partition, id.before(), 1).await?;
        if !letters.iter().any(|letter| letter.id == id) {
            return Ok(false);
        }
        let ids = self.store().append(vec![(partition, Entry::DeadLetter { id, action })]).await?;
        let mut receipts: Vec<Receipt> = ids.into_iter().map(|id| Receipt { partition, id, mark: None }).collect();
        self.wait_applied(&mut receipts, timeout).await?;
        Ok(true)
    }
}
