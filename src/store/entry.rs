//! What stands in a log: events, settings, commands, each with its place; and what became of it.

use std::collections::VecDeque;

use crate::domain::{ConversationKey, Event, Refusal, Settings, Timestamp};

/// The place of an entry in its partition's log, and when it was accepted: milliseconds, then a number within them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct LogId {
    pub ms: u64,
    pub seq: u64,
}

impl LogId {
    pub const ZERO: Self = Self { ms: 0, seq: 0 };

    pub fn accepted_at(self) -> Timestamp {
        Timestamp::from_millis(i64::try_from(self.ms).unwrap_or(i64::MAX))
    }

    /// The greatest id less than this one: to read from this one on.
    pub fn before(self) -> Self {
        match self.seq {
            0 => Self { ms: self.ms.saturating_sub(1), seq: u64::MAX },
            seq => Self { ms: self.ms, seq: seq - 1 },
        }
    }

    /// Reads `ms-seq`, as [`Display`](std::fmt::Display) writes it and Redis does.
    pub fn parse(text: &str) -> Option<Self> {
        let (ms, seq) = text.split_once('-')?;
        Some(Self { ms: ms.parse().ok()?, seq: seq.parse().ok()? })
    }
}

impl std::fmt::Display for LogId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// One thing in a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Entry {
    Event(Event),
    /// An event that was acknowledged before by a store that has lost it since: it was accepted then, not now.
    Again {
        event: Box<Event>,
        accepted_at: Timestamp,
    },
    /// From here on these settings hold in this partition, unless it knows a later version.
    Settings {
        workspace: Box<str>,
        settings: Box<Settings>,
    },
    /// An event of a type without a rule, from a producer that writes into the log itself (T20).
    Ignored {
        type_name: Box<str>,
    },
    /// Take a dead letter up again, or give it up for good.
    DeadLetter {
        id: LogId,
        action: DeadLetterAction,
    },
    /// What somebody asks of a conversation, and waits to hear of. It happens when it is accepted, whatever `time` says.
    Command {
        command: Box<Event>,
        /// The version it is meant for.
        expected: Option<u64>,
    },
}

impl Entry {
    /// The event, or what is asked for in the form of one.
    pub fn event(&self) -> Option<&Event> {
        match self {
            Self::Event(event) => Some(event),
            Self::Again { event, .. } | Self::Command { command: event, .. } => Some(event),
            Self::Settings { .. } | Self::DeadLetter { .. } | Self::Ignored { .. } => None,
        }
    }

    /// When it was accepted, of an entry at `id`: nothing was accepted later than it was taken.
    pub fn accepted_at(&self, id: LogId) -> Timestamp {
        match self {
            Self::Again { accepted_at, .. } => id.accepted_at().min(*accepted_at),
            Self::Event(_) | Self::Command { .. } | Self::Settings { .. } | Self::DeadLetter { .. } | Self::Ignored { .. } => {
                id.accepted_at()
            }
        }
    }

    /// The event, and when it was accepted: of an entry at `id`.
    pub fn into_event(self, id: LogId) -> Option<(Event, Timestamp)> {
        let accepted_at = self.accepted_at(id);
        match self {
            Self::Event(event) => Some((event, accepted_at)),
            Self::Again { event, .. } => Some((*event, accepted_at)),
            Self::Command { .. } | Self::Settings { .. } | Self::DeadLetter { .. } | Self::Ignored { .. } => None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeadLetterAction {
    Replay,
    Dismiss,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogEntry {
    pub id: LogId,
    /// `Err`: the stored bytes, which nobody can read.
    pub entry: Result<Entry, Unreadable>,
    /// Its producer put it there, not a node: nobody has counted it.
    pub foreign: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unreadable {
    pub reason: Box<str>,
    pub bytes: Vec<u8>,
    /// Whom it is about, where that much could be read. Not stored: a dead letter has it of its own.
    pub conversation: Option<ConversationKey>,
}

/// What is kept of an entry for whoever waits to hear: of an event, that it changed nothing; of a command, what came of it. The
/// [`Outcome`](crate::domain::Outcome) of its step is what this is made of, where there was a step.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Mark {
    /// It was applied before (D6).
    Duplicate,
    /// It could not be judged: it or its conversation's record cannot be read, or the judge panicked, or died.
    Failed,
    /// A command that was carried out. Said, so that silence is never taken for it.
    Done,
    /// A command that cannot be done.
    Refused(Refusal),
}

impl Mark {
    const DUPLICATE: u8 = 0;
    const FAILED: u8 = 1;
    const DONE: u8 = 2;
    const REFUSED: u8 = 3;

    /// As stores have it; it never changes.
    pub fn code(self) -> u8 {
        match self {
            Self::Duplicate => Self::DUPLICATE,
            Self::Failed => Self::FAILED,
            Self::Done => Self::DONE,
            Self::Refused(refusal) => Self::REFUSED + refusal as u8,
        }
    }

    /// Reads what [`code`](Self::code) gave; one of a later version says no more than that nobody here knows.
    pub fn of(code: u8) -> Self {
        match code {
            Self::DUPLICATE => Self::Duplicate,
            Self::DONE => Self::Done,
            _ => match code.checked_sub(Self::REFUSED).and_then(|nth| Refusal::ALL.get(usize::from(nth))) {
                Some(refusal) => Self::Refused(*refusal),
                None => Self::Failed,
            },
        }
    }
}

/// The latest marks of a partition, oldest first, in the memory of the process that made them.
#[derive(Clone, Default)]
pub struct Marks(VecDeque<(LogId, Mark)>);

impl Marks {
    /// More than the contract of [`Store::applied`](super::Store::applied) asks for.
    const KEPT: usize = 2_000;

    pub fn keep(&mut self, marks: Vec<(LogId, Mark)>) {
        self.0.extend(marks);
        self.0.drain(..self.0.len().saturating_sub(Self::KEPT));
    }

    /// Of each of these, in their order, what is known.
    pub fn of(&self, ids: &[LogId]) -> Vec<Option<Mark>> {
        let known = |id: &LogId| self.0.iter().find(|(known, _)| known == id).map(|(_, mark)| *mark);
        ids.iter().map(known).collect()
    }
}
