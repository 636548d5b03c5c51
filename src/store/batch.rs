//! What a commit changes.

use std::sync::Arc;

use super::{CommitId, DeadLetter, LogId, Mark};
use crate::domain::kept::TextChange;
use crate::domain::listing::Move;
use crate::domain::report::{Day, Rollup};
use crate::domain::{Conversation, ConversationKey, Notice, Settings, Timestamp};

/// One atomic change of a partition.
#[derive(Clone, PartialEq, Debug)]
pub struct Batch {
    pub id: CommitId,
    pub based_on: CommitId,
    /// Everything in the log up to here is applied with this batch.
    pub checkpoint: LogId,
    /// At most one a conversation.
    pub rows: Vec<RowWrite>,
    /// Numbered from the last number on, without a gap.
    pub notifications: Vec<Notification>,
    /// Notifications numbered below this are no longer kept.
    pub trim_notifications_below: u64,
    pub dead: Vec<DeadLetter>,
    pub dead_removed: Vec<LogId>,
    pub settings: Vec<(Box<str>, Settings)>,
    /// The latest deadline of the auto-closes in this batch: refused unless the store's clock is past it and no entry
    /// after `checkpoint` was accepted at or before it (D1, D2).
    pub not_before: Option<Timestamp>,
    /// Marks an entry as being tried alone; `None` clears the mark.
    pub trying: Option<(LogId, u32)>,
    /// What came of entries of this batch, for whoever waits to hear.
    pub marks: Vec<(LogId, Mark)>,
    /// At most one a workspace and day.
    pub rollups: Vec<RollupWrite>,
    /// Texts of messages that are kept, or are not any more, in their order.
    pub texts: Vec<(ConversationKey, TextChange)>,
    /// Conversations that stand elsewhere in lists from now on, at most once each.
    pub moves: Vec<Move>,
    pub lists: Lists,
}

/// Conversations taken out of lists by one commit: some ten milliseconds, for which all other writing waits.
pub const THINNED_MAX: usize = 5_000;

/// What a commit says of a partition's lists. Those that the last commit did not call whole are not to be read: that was of a build
/// that knows none, or they are being made anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Lists {
    /// A conversation may be missing, or stand where it does not belong.
    #[default]
    Doubtful,
    /// The same, and up to [`THINNED_MAX`] are taken out, whichever; this commit moves nobody.
    Thinned,
    /// With this commit each conversation is where it stands, and nowhere else.
    Whole,
}

impl Batch {
    /// An empty batch that changes nothing but the head of the chain.
    pub fn new(based_on: CommitId, checkpoint: LogId) -> Self {
        Self {
            id: CommitId(crate::chance::unique()),
            based_on,
            checkpoint,
            rows: Vec::new(),
            notifications: Vec::new(),
            trim_notifications_below: 0,
            dead: Vec::new(),
            dead_removed: Vec::new(),
            settings: Vec::new(),
            not_before: None,
            trying: None,
            marks: Vec::new(),
            rollups: Vec::new(),
            texts: Vec::new(),
            moves: Vec::new(),
            lists: Lists::default(),
        }
    }
}

#[derive(Clone, PartialEq, Debug)]
pub struct RowWrite {
    pub key: ConversationKey,
    /// When the stored row was to be looked at, as loaded or last committed: where the index has it.
    pub indexed_at: Option<Timestamp>,
    pub change: RowChange,
}

#[derive(Clone, PartialEq, Debug)]
pub enum RowChange {
    Put {
        conversation: Arc<Conversation>,
        look_at: Option<Timestamp>,
    },
    /// Retention took it.
    Remove,
}

/// What reports count of a workspace's day, as it is from now on; `None`: no longer kept.
#[derive(Clone, PartialEq, Debug)]
pub struct RollupWrite {
    pub workspace: Box<str>,
    pub day: Day,
    pub rollup: Option<Arc<Rollup>>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Notification {
    pub number: u64,
    /// The number of this conversation's notification before this one, if it is still kept.
    pub previous: Option<u64>,
    pub notice: Notice,
}
