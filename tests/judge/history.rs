//! What a run leaves behind, in types of its own: what was sent, what the log accepted, what was told, and how the
//! conversations ended up. The checker knows nothing of the service but this.

use std::collections::{BTreeMap, BTreeSet};

/// Milliseconds since 1970.
pub type Ms = i64;

/// An event's name, in the order of "later".
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Name {
    pub id: String,
    pub source: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Speaker {
    Contact,
    Human,
    /// Neither arms nor opens (T7, L6).
    Machine,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    pub name: Name,
    pub conversation: String,
    pub time: Ms,
    pub speaker: Speaker,
}

/// The settings of the workspace, as far as they matter here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    pub version: u64,
    /// Which switching-on of auto-close holds; `None`: it is off.
    pub epoch: Option<u64>,
    pub period: Ms,
    pub late_reply_window: Ms,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Entry {
    Message(Message),
    /// Appended once more after a change of primary, and accepted when it was accepted first.
    Again {
        message: Message,
        first: Ms,
    },
    Policy(Policy),
}

/// An entry of the log, in the log's order within its partition; `accepted_at`: when it was put there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Logged {
    pub partition: u16,
    pub accepted_at: Ms,
    pub entry: Entry,
}

impl Logged {
    /// The message, and when it was accepted.
    pub fn message(&self) -> Option<(&Message, Ms)> {
        match &self.entry {
            Entry::Message(message) => Some((message, self.accepted_at)),
            Entry::Again { message, first } => Some((message, *first)),
            Entry::Policy(_) => None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Word {
    Opened,
    Reopened,
    Reversed,
    Closed,
    Armed,
    Reset,
    Cancelled,
    /// Of the workspace, not of a conversation.
    Settings,
    /// Nothing that messages alone can bring about.
    Other,
}

impl Word {
    pub fn is_of_the_timer(self) -> bool {
        matches!(self, Self::Armed | Self::Reset | Self::Cancelled)
    }
}

/// A recorded notification.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    pub id: String,
    /// Empty where it is about the workspace.
    pub conversation: String,
    pub word: Word,
    pub episode: u32,
    pub closes_at: Option<Ms>,
    pub counts: Counts,
    pub close: Option<Close>,
}

/// What an auto-close says of itself (L13).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Close {
    pub at: Ms,
    pub deadline: Ms,
    pub period: Ms,
    pub armed_by: Name,
}

/// Messages of a conversation's whole life.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    pub incoming: u64,
    pub outgoing: u64,
}

/// A conversation as it is stored at the end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct State {
    pub episode: u32,
    /// `None`: open.
    pub closed_at: Option<Ms>,
    pub counts: Counts,
    pub last_contact_at: Option<Ms>,
    pub last_human_at: Option<Ms>,
}

#[derive(Clone, Debug, Default)]
pub struct History {
    /// All that may have been sent.
    pub sent: Vec<Message>,
    /// Those of them that were acknowledged.
    pub acknowledged: BTreeSet<Name>,
    pub log: Vec<Logged>,
    /// In order within each conversation.
    pub told: Vec<Told>,
    pub states: BTreeMap<String, State>,
    /// Ids of notifications that a subscriber heard, and when by its own clock.
    pub heard: BTreeMap<String, Ms>,
    /// Events that are no messages: what they ought to do, this judge does not know.
    pub commands: usize,
    pub dead_letters: usize,
    /// How many of those there are to be: somebody wrote that much into the logs that nobody can read.
    pub poison: usize,
    /// Entries accepted and not applied.
    pub unapplied: u64,
}
