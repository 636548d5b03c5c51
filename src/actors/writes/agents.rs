//! A workspace's agents: one document, read and replaced as a whole. No partition judges by it, so a change is done when the store
//! has it.

use crate::actors::node::handle::Node;
use crate::domain::agents::{AgentChange, AgentError, Agents};
use crate::store::{Document, Shelf, StoreError, record};

/// How often a change is tried anew because somebody else's came first: people do this by hand.
const TRIES_MAX: u32 = 20;

#[derive(Clone, Debug, thiserror::Error)]
pub enum AgentsRefused {
    #[error(transparent)]
    Invalid(#[from] AgentError),
    #[error("the agents are at version {current}")]
    VersionMismatch { current: u64 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Node {
    /// # Errors
    /// The store's; `Unreadable` where the document is.
    pub async fn agents(&self, workspace: &str) -> Result<Agents, StoreError> {
        let Some(document) = self.store().document(Shelf::Agents, workspace.into()).await? else { return Ok(Agents::default()) };
        let unreadable = |error| StoreError::Unreadable(format!("the agents of {workspace} cannot be read: {error}").into());
        record::decode_agents(&document.bytes).map_err(unreadable)
    }

    /// Changes a workspace's agents; answers with all of them when that is durable.
    ///
    /// # Errors
    /// `Invalid`, `VersionMismatch`: nothing was changed. `Store`: `OutcomeUnknown` may be done.
    pub async fn change_agents(&self, workspace: &str, change: AgentChange, expected: Option<u64>) -> Result<Agents, AgentsRefused> {
        for _ in 0..TRIES_MAX {
            let before = self.agents(workspace).await?;
            if expected.is_some_and(|expected| expected != before.version) {
                return Err(AgentsRefused::VersionMismatch { current: before.version });
            }
            let after = before.changed(change.clone())?;
            let document = Document { version: after.version, bytes: record::encode_agents(&after) };
            if self.store().put_document(Shelf::Agents, workspace.into(), before.version, document).await? {
                return Ok(after);
            }
        }
        Err(StoreError::Refused("others changed the same agents all the while".into()).into())
    }
}
