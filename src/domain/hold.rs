//! What keeps a timer from closing a conversation because somebody says so: a hold, for this episode, for good or until an
//! instant; and an exemption, for all episodes to come. Asked for, with a reason; never sent by the pipeline. "Beyond the seed"
//! in RULES.md.

use super::time::Timestamp;

/// Longest reason, in characters: as long as a note's summary.
pub const REASON_CHARS_MAX: usize = 512;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hold {
    /// No close before this; `None`: none until it is ended.
    pub until: Option<Timestamp>,
    pub reason: Box<str>,
    pub by: Option<Box<str>>,
}

/// The latest of each counts: they come in the order of the log.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Holding {
    /// Of the open episode.
    pub hold: Option<Hold>,
    /// Of this conversation, whatever the episode.
    pub exemption: Option<Hold>,
    /// When the last of them was ended, in the open episode: the full period starts there.
    pub released_at: Option<Timestamp>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Released {
    Hold,
    Exemption,
}

impl Holding {
    pub fn is_exempt(&self) -> bool {
        self.exemption.is_some()
    }

    /// Held until somebody ends it.
    pub fn is_held(&self) -> bool {
        self.hold.as_ref().is_some_and(|hold| hold.until.is_none())
    }

    /// The hold that holds at `now`: one that ends by itself may have.
    pub fn hold_at(&self, now: Timestamp) -> Option<&Hold> {
        self.hold.as_ref().filter(|hold| hold.until.is_none_or(|until| until > now))
    }

    /// No close by timer before this.
    pub fn until(&self) -> Option<Timestamp> {
        self.hold.as_ref().and_then(|hold| hold.until)
    }

    /// Holds it, in place of what held it before. Where that was for good and this is not, that has ended.
    pub fn hold(&mut self, hold: Hold, at: Timestamp) {
        if self.is_held() && hold.until.is_some() {
            self.start_anew(at);
        }
        self.hold = Some(hold);
    }

    /// Ends one of them. True when that kept the timer itself, and did not only move its deadline.
    pub fn release(&mut self, what: Released) -> bool {
        match what {
            Released::Hold => self.hold.take().is_some_and(|hold| hold.until.is_none()),
            Released::Exemption => self.exemption.take().is_some(),
        }
    }

    /// The full period starts, at an instant of the open episode.
    pub fn start_anew(&mut self, at: Timestamp) {
        self.released_at = self.released_at.max(Some(at));
    }

    /// A hold is of its episode.
    pub fn end_episode(&mut self) {
        (self.hold, self.released_at) = (None, None);
    }
}
