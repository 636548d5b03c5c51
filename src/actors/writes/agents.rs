//! A workspace's agents.

use super::documents::Kept;
use crate::actors::node::handle::Node;
use crate::domain::agents::{AgentChange, AgentError, Agents};
use crate::store::{Shelf, StoreError, record};

const AGENTS: Kept<Agents> = Kept {
    shelf: Shelf::Agents,
    none: Agents::default,
    version: |agents| agents.version,
    encode: record::encode_agents,
    decode: record::decode_agents,
};

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
        AGENTS.of(&**self.store(), workspace).await
    }

    /// Changes a workspace's agents; answers with all of them when that is durable.
    ///
    /// # Errors
    /// `Invalid`, `VersionMismatch`: nothing was changed. `Store`: `OutcomeUnknown` may be done.
    pub async fn change_agents(&self, workspace: &str, change: AgentChange, expected: Option<u64>) -> Result<Agents, AgentsRefused> {
        let changed = |before: &Agents| match expected {
            Some(expected) if expected != before.version => Err(AgentsRefused::VersionMismatch { current: before.version }),
            _ => Ok(before.changed(change.clone())?),
        };
        AGENTS.change(&**self.store(), workspace, changed).await
    }
}
