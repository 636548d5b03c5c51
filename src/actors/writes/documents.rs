//! Documents that are read and replaced as a whole. No partition judges by them, so a change is done when the store has it.

use crate::store::record::RecordError;
use crate::store::{Document, Shelf, Store, StoreError};

/// How often a change is tried anew because somebody else's came first: people do this by hand.
const TRIES_MAX: u32 = 20;

/// How the documents of a shelf are kept.
pub(super) struct Kept<T> {
    pub shelf: Shelf,
    /// What a workspace has that has none: version 0.
    pub none: fn() -> T,
    pub version: fn(&T) -> u64,
    pub encode: fn(&T) -> Vec<u8>,
    pub decode: fn(&[u8]) -> Result<T, RecordError>,
}

impl<T> Kept<T> {
    /// # Errors
    /// The store's; `Unreadable` where the document is.
    pub async fn of(&self, store: &dyn Store, workspace: &str) -> Result<T, StoreError> {
        let Some(document) = store.document(self.shelf, workspace.into()).await? else { return Ok((self.none)()) };
        let unreadable = |error| format!("the document {}/{workspace} cannot be read: {error}", self.shelf.as_str());
        (self.decode)(&document.bytes).map_err(|error| StoreError::Unreadable(unreadable(error).into()))
    }

    /// Changes a document, anew where somebody else's change comes first; answers when it is durable.
    ///
    /// # Errors
    /// What `change` refuses: nothing was changed. The store's: `OutcomeUnknown` may be done.
    pub async fn change<E: From<StoreError>>(
        &self,
        store: &dyn Store,
        workspace: &str,
        mut change: impl FnMut(&T) -> Result<T, E>,
    ) -> Result<T, E> {
        for _ in 0..TRIES_MAX {
            let before = self.of(store, workspace).await?;
            let after = change(&before)?;
            let document = Document { version: (self.version)(&after), bytes: (self.encode)(&after) };
            if store.put_document(self.shelf, workspace.into(), (self.version)(&before), document).await? {
                return Ok(after);
            }
        }
        Err(StoreError::Refused(format!("others changed the same {} all the while", self.shelf.as_str()).into()).into())
    }
}
