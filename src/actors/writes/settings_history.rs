//! Who changed a workspace's settings, when, and what. Written with the change itself, so that what was answered is in it and what
//! was not is not.

use crate::actors::node::handle::Node;
use crate::domain::Settings;
use crate::domain::history::{SettingsChanged, SettingsHistory};
use crate::store::{Shelf, Store, StoreError, record};

impl Node {
    /// The latest changes of a workspace's settings, oldest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn settings_history(&self, workspace: &str) -> Result<SettingsHistory, StoreError> {
        read(&**self.store(), workspace).await
    }

    /// The history with one more change, as it is stored: `master` is what the store has, which may have lost what it had
    /// before `before`. To be read after `master`, or a change between the two would be lost.
    pub(super) async fn recorded(
        &self,
        workspace: &str,
        master: &Settings,
        (before, after): (&Settings, &Settings),
        by: Option<Box<str>>,
    ) -> Result<Vec<u8>, StoreError> {
        let (mut history, at) = (read(&**self.store(), workspace).await?, self.store().clock().await?);
        if before.version > master.version {
            history.record(SettingsChanged::restored(master, before, at));
        }
        history.record(SettingsChanged::between(before, after, at, by));
        Ok(record::encode_history(&history))
    }
}

/// The history after a partition has given the store back what that had lost.
pub(in crate::actors) async fn restored(
    store: &dyn Store,
    workspace: &str,
    known: &Settings,
    applied: &Settings,
) -> Result<Vec<u8>, StoreError> {
    let (mut history, at) = (read(store, workspace).await?, store.clock().await?);
    history.record(SettingsChanged::restored(known, applied, at));
    Ok(record::encode_history(&history))
}

async fn read(store: &dyn Store, workspace: &str) -> Result<SettingsHistory, StoreError> {
    let Some(document) = store.document(Shelf::SettingsHistory, workspace.into()).await? else { return Ok(SettingsHistory::default()) };
    Ok(record::decode_history(&document.bytes).unwrap_or_else(|error| {
        // It begins anew: that nobody can read it is no reason to let nobody change anything.
        tracing::error!(workspace, %error, "the history of a workspace's settings cannot be read");
        SettingsHistory::default()
    }))
}
