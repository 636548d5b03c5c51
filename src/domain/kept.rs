//! What is kept of an open episode for whoever writes its closing note: the texts of its latest messages, and after its close the
//! note that is still to come (L11, L12).

use super::report::Count;
use super::time::{Span, Timestamp};
use super::writing::{MESSAGES_MAX, Said};

/// Of one message: a screen or two. A hundred of them are two hundred kilobytes, in the store and only while they are wanted.
pub const SAID_BYTES_MAX: usize = 2_000;

/// Tries before a note is given up. With the waits between them that is some two hours.
pub const TRIES_MAX: u32 = 5;

/// Why a note that was wanted will not come.
pub const NOTES_OFF: &str = "notes were switched off";

/// Numbers of an episode's messages whose texts are kept. Each stands in the slot of its number modulo [`MESSAGES_MAX`]: a later one
/// takes the place of an earlier one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Kept {
    /// The first of this episode.
    pub from: u32,
    /// One past the last. Zero: none is kept.
    pub to: u32,
}

/// A change of the texts kept of a conversation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TextChange {
    pub slot: u8,
    /// `None`: it goes.
    pub said: Option<Said>,
}

/// A note that is to be written of a closed episode.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pending {
    pub episode: u32,
    /// How often it was asked for, this time included.
    pub tries: u32,
    /// When it is asked for again, unless it has come.
    pub next_at: Timestamp,
    /// What reports counted of the close: where the category belongs, whatever the conversation does meanwhile.
    pub close: Count,
    pub texts: Kept,
}

impl Pending {
    /// The first try, right after the close.
    pub fn new(episode: u32, now: Timestamp, close: Count, texts: Kept) -> Self {
        Self { episode, tries: 1, next_at: now.plus(patience(1)), close, texts }
    }

    /// One more, after the last came to nothing. False: that was the last.
    pub fn try_again(&mut self, now: Timestamp) -> bool {
        self.tries += 1;
        self.next_at = now.plus(patience(self.tries));
        self.tries <= TRIES_MAX
    }
}

/// How long a try is waited for: whoever writes may be slow, or its process gone.
fn patience(tries: u32) -> Span {
    match tries {
        0 | 1 => Span::from_mins(2),
        2 => Span::from_mins(5),
        3 => Span::from_mins(20),
        _ => Span::from_mins(60),
    }
}

impl Kept {
    /// Keeps one more.
    pub fn push(&mut self, said: Said) -> TextChange {
        let slot = slot(self.to);
        self.to = self.to.saturating_add(1);
        TextChange { slot, said: Some(said) }
    }

    /// The slots of those that are there, oldest first.
    pub fn slots(&self) -> Vec<u8> {
        self.still_in(self)
    }

    /// The slots of those of these that are still there, now that the conversation has `latest`: later ones took the place of some.
    pub fn still_in(&self, latest: &Self) -> Vec<u8> {
        let most = u32::try_from(MESSAGES_MAX).unwrap_or(u32::MAX);
        let from = self.from.max(latest.to.saturating_sub(most));
        if latest.to < self.to { Vec::new() } else { (from..self.to).map(slot).collect() }
    }

    /// Takes all of them away, those of episodes before included.
    pub fn clear(&mut self) -> Vec<TextChange> {
        let all = Self { from: 0, to: std::mem::take(self).to };
        all.slots().into_iter().map(|slot| TextChange { slot, said: None }).collect()
    }
}

fn slot(number: u32) -> u8 {
    (number % MESSAGES_MAX as u32) as u8
}

#[cfg(test)]
mod tests {
    use super::super::writing::Speaker;
    use super::*;

    fn said() -> Said {
        Said { by: Speaker::Contact, at: Timestamp::from_millis(0), text: "a".into() }
    }

    #[test]
    fn l11_the_latest_hundred_are_kept() {
        let mut kept = Kept::default();
        let slots: Vec<u8> = (0..130).map(|_| kept.push(said()).slot).collect();
        assert_eq!((slots[0], slots[99], slots[100], slots[129]), (0, 99, 0, 29));
        assert_eq!(kept.slots(), (30..100).chain(0..30).collect::<Vec<u8>>());
        assert_eq!((kept.clear().len(), kept), (100, Kept::default()));
    }

    #[test]
    fn an_episode_has_its_own() {
        let mut kept = Kept::default();
        (0..3).for_each(|_| drop(kept.push(said())));
        let before = kept;
        kept.from = kept.to;
        kept.push(said());
        assert_eq!(kept.slots(), [3]);
        assert_eq!(before.still_in(&kept), [0, 1, 2]);
        (0..98).for_each(|_| drop(kept.push(said())));
        assert_eq!(before.still_in(&kept), [2], "later ones took the place of the others");
        assert_eq!(before.still_in(&Kept::default()), [0; 0]);
        let mut kept = Kept { from: 3, to: 4 };
        assert_eq!(kept.clear().len(), 4, "what is left of the one before goes as well");
    }
}
