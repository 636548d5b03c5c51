//! Where a conversation stands among those of its workspace, as people look for it: open, snoozed or closed, and whose it is (L1).

use std::sync::Arc;

use super::Conversation;
use super::id::ConversationKey;
use super::notice::Status;

/// What lists are made of. As subscribers were told last: a snooze that has run out ends here with the notification that says so.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Standing {
    pub status: Status,
    /// By id.
    pub assignee: Option<Box<str>>,
}

impl Standing {
    /// `None`: it was never opened, and so is not listed.
    pub fn of(conversation: &Conversation) -> Option<Self> {
        let assignee = || conversation.assignment.assignee().map(|assignee| assignee.id.clone());
        (conversation.episode > 0).then(|| Self { status: status(conversation), assignee: assignee() })
    }

    /// Whether `conversation` stands here, too.
    pub fn is_of(&self, conversation: &Conversation) -> bool {
        let assignee = conversation.assignment.assignee().map(|assignee| &assignee.id);
        conversation.episode > 0 && self.status == status(conversation) && self.assignee.as_ref() == assignee
    }
}

/// Not as it is at some instant, as a snapshot has it: lists change with what is committed.
fn status(conversation: &Conversation) -> Status {
    Status::of(conversation.is_open(), conversation.told.snoozed_until)
}

/// A conversation that stands elsewhere than before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Move {
    pub key: ConversationKey,
    /// `None`: it is not listed.
    pub from: Option<Standing>,
    pub to: Option<Standing>,
}

/// Some of a workspace's conversations, which a store can bring up in order of their ids without looking at the others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Section {
    pub status: Status,
    pub of: Of,
    /// What the id begins with; empty: anything.
    pub prefix: Box<str>,
}

/// A page of some sections of a workspace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SectionQuery {
    pub workspace: Box<str>,
    /// Side by side, in one order; who stands in several comes once.
    pub sections: Arc<[Section]>,
    /// Strictly after this conversation.
    pub after: Option<ConversationKey>,
    pub limit: usize,
}

/// Whose.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Of {
    Anybody,
    Nobody,
    /// By id.
    Agent(Box<str>),
}

impl Section {
    pub fn holds(&self, key: &ConversationKey, standing: &Standing) -> bool {
        self.status == standing.status && self.of.is(standing.assignee.as_deref()) && key.conversation().starts_with(&*self.prefix)
    }
}

impl Of {
    pub fn is(&self, assignee: Option<&str>) -> bool {
        match self {
            Self::Anybody => true,
            Self::Nobody => assignee.is_none(),
            Self::Agent(id) => assignee == Some(&**id),
        }
    }
}
