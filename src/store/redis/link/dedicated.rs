//! A connection of one's own, for what would hold up others: blocking reads, waiting for replicas.

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, Pipeline, Value};
use tokio::runtime::Handle;

use super::dial::Primary;
use super::error::{Answers, LinkError, Remedy};
use super::router::Router;

/// A connection to the primary of one slot. Whoever gets an error from it drops it and asks the link for another; so does
/// whoever gave up waiting, for the next answer comes behind the one that is still owed.
pub struct Dedicated {
    primary: Arc<Primary>,
    router: Arc<Router>,
    slot: Option<u16>,
    response_timeout: Option<Duration>,
    runtime: Handle,
}

impl Dedicated {
    pub fn new(primary: Primary, router: Arc<Router>, slot: u16, response_timeout: Option<Duration>, runtime: Handle) -> Self {
        Self { primary: Arc::new(primary), router, slot: Some(slot), response_timeout, runtime }
    }

    /// The replication id of the primary at the other end.
    pub fn primary_id(&self) -> &str {
        &self.primary.replid
    }

    pub async fn run(&mut self, cmd: Cmd) -> Result<Value, LinkError> {
        Ok(self.pipeline(vec![cmd]).await?.swap_remove(0)?)
    }

    /// Sends commands together, once: nothing is sent again here.
    pub async fn pipeline(&mut self, cmds: Vec<Cmd>) -> Result<Answers, LinkError> {
        let (primary, router, slot, limit) = (Arc::clone(&self.primary), Arc::clone(&self.router), self.slot, self.response_timeout);
        let sent = self.runtime.spawn(async move {
            let mut pipeline = Pipeline::with_capacity(cmds.len());
            for cmd in cmds {
                pipeline.add_command(cmd);
            }
            let answers = primary.connection.send(&pipeline, limit).await?;
            // Whoever asks for another connection is to be given the right one.
            let remedies = answers.iter().filter_map(|answer| answer.as_ref().err()?.remedy());
            if let Some(remedy) = remedies.into_iter().find(|remedy| matches!(remedy, Remedy::FindPrimary | Remedy::Moved(_))) {
                router.heed(slot, &primary, &remedy).await;
            }
            Ok(answers)
        });
        sent.await.unwrap_or_else(|_| Err(super::closed()))
    }
}
