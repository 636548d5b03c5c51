//! Acting on a conversation: what somebody asks for goes through its partition's log, is judged there by whoever owns it,
//! and is answered when what came of it is durable.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::ingest::Receipt;
use crate::actors::node::handle::{Node, Unready};
use crate::domain::event::{COMMAND_SOURCE, Rejection};
use crate::domain::{ConversationKey, Event, EventKind, EventName, Refusal, Snapshot};
use crate::store::{Entry, Mark, StoreError};

/// Longest key that names a command: an event's id, with room for what is asked and how.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 100;

/// The log of the partition's owner says which.
const UNJUDGED: &str = "the command could not be judged: the conversation's record cannot be read, or does not fit";

/// What is asked of a conversation.
#[derive(Clone, Debug)]
pub struct Command {
    pub conversation: ConversationKey,
    pub kind: EventKind,
    /// The version it is meant for.
    pub expected: Option<u64>,
    /// The caller's own name for it, printable and of at most [`IDEMPOTENCY_KEY_BYTES_MAX`]: the same command asked again under
    /// the same name is done once, within the last 32 events of the conversation (D6). Another one under that name is another.
    pub key: Option<Box<str>>,
}

#[derive(Clone, Debug, thiserror::Error)]
pub enum ActRefused {
    #[error("{0:?}")]
    Refused(Refusal),
    #[error("the conversation is at version {current}")]
    VersionMismatch { current: u64 },
    #[error(transparent)]
    Rejected(#[from] Rejection),
    #[error(transparent)]
    Unready(#[from] Unready),
}

impl From<StoreError> for ActRefused {
    fn from(error: StoreError) -> Self {
        Self::Unready(error.into())
    }
}

impl Node {
    /// Has a command judged and carried out, whichever node owns the conversation; answers with the conversation as it stands
    /// then. Done once under its key: asked again it answers alike.
    ///
    /// # Errors
    /// `Refused`, `VersionMismatch`, `Rejected`, and the store's `Unreadable`: nothing was changed. Any other `Unready`: nobody
    /// knows yet, it may still be done.
    pub async fn act(&self, command: Command, timeout: Duration) -> Result<Snapshot, ActRefused> {
        let Command { conversation, kind, expected, key } = command;
        let clock = self.clock_for(&[]).await?;
        let name = name_of(&kind, key.as_deref())?;
        let event = Event { name, conversation: conversation.clone(), time: clock, kind };
        if let Some(rejection) = event.snooze_rejection(self.options().snooze_max) {
            return Err(rejection.into());
        }
        let partition = self.partition(&conversation);
        let ids = self.store().append(vec![(partition, Entry::Command { command: Box::new(event), expected })]).await?;
        let mut receipts: Vec<Receipt> = ids.into_iter().map(|id| Receipt { partition, id, mark: None }).collect();
        self.wait_applied(&mut receipts, timeout).await?;
        let mark = receipts.first().and_then(|receipt| receipt.mark);
        let now = self.conversation(&conversation).await?;
        match (mark, now) {
            (Some(Mark::Done | Mark::Duplicate), Some(now)) => Ok(now),
            (Some(Mark::Done | Mark::Duplicate), None) => Err(ActRefused::Refused(Refusal::Unknown)), // retention has taken it
            // So much was applied since that nobody remembers.
            (None, _) => Err(StoreError::OutcomeUnknown("what came of the command is not known any more".into()).into()),
            (Some(Mark::Refused(Refusal::OtherVersion)), Some(now)) => Err(ActRefused::VersionMismatch { current: now.version }),
            (Some(Mark::Refused(refusal)), _) => Err(ActRefused::Refused(refusal)),
            (Some(Mark::Failed), _) => Err(StoreError::Unreadable(UNJUDGED.into()).into()),
        }
    }
}

/// What the command is called for ever. Without a key of the caller's: one that sorts behind those before it on this node, for
/// of two commands taken in one millisecond the greater name counts as later.
pub(in crate::actors) fn name_of(kind: &EventKind, key: Option<&str>) -> Result<EventName, StoreError> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let id = match key {
        Some(key) => format!("{key}:{:016x}", asked(kind)),
        None => format!("{:016}-{:016x}", COUNT.fetch_add(1, Ordering::Relaxed), crate::chance::token()),
    };
    EventName::new(COMMAND_SOURCE, &id).map_err(|error| StoreError::Refused(error.to_string().into()))
}

/// What is asked, to the letter: a key that is used again for something else must not look as if that had been done.
fn asked(kind: &EventKind) -> u64 {
    let mut hasher = siphasher::sip::SipHasher13::new();
    std::hash::Hasher::write(&mut hasher, format!("{kind:?}").as_bytes());
    std::hash::Hasher::finish(&hasher)
}
