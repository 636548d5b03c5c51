//! What only tests do with a store, whichever it is. They live in crates of their own, so this is public; nothing of the service
//! uses it.

use futures_util::future::BoxFuture;

use super::{Claim, Member, Store, StoreError};
use crate::domain::{PartitionId, Settings};

pub trait StoreInTests: Store {
    /// Takes a partition over whoever has it: nodes only claim over a holder that has stood still.
    fn seize(&self, partition: PartitionId, by: Member) -> BoxFuture<'_, Result<Claim, StoreError>> {
        Box::pin(async move {
            let holder = self.cluster().await?.holders.into_iter().nth(usize::from(partition.0)).flatten();
            self.claim(partition, by, holder).await
        })
    }

    /// Replaces the master document, and leaves its history as it is: nodes write both.
    fn put_settings(&self, workspace: Box<str>, expected: u64, settings: Settings) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.record_settings(workspace, expected, settings, None)
    }
}

impl<S: Store + ?Sized> StoreInTests for S {}
