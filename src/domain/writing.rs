//! What a closing note is written from, and what comes of it (L11, L12). Whoever writes one is `actors::notes::writer`.

use std::fmt;

use super::categories::Category;
use super::time::{Span, Timestamp};

/// Messages that a note is written from: the latest (L11).
pub const MESSAGES_MAX: usize = 100;
/// Bytes of their texts together, the latest again: some 15,000 words, which small models can still read.
pub const TRANSCRIPT_BYTES_MAX: usize = 64 * 1024;
/// Longest wait that a server can ask for before a note is tried again: a slip of its pen would put it off for a century.
pub const AGAIN_MAX: Span = Span::from_hours(1);

/// Who said it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Speaker {
    Contact,
    /// Somebody of the team.
    Human,
    /// A workflow, a broadcast, an assistant.
    Machine,
}

/// One message.
#[derive(Clone, PartialEq, Eq)]
pub struct Said {
    pub by: Speaker,
    pub at: Timestamp,
    pub text: Box<str>,
}

/// What people wrote is in no log.
impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { by, at, text } = self;
        write!(f, "{by:?} at {} ms, {} bytes", at.as_millis(), text.len())
    }
}

/// The latest messages of one episode, in order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Transcript(Vec<Said>);

impl Transcript {
    /// Of these, oldest first, the latest [`MESSAGES_MAX`] with at most [`TRANSCRIPT_BYTES_MAX`] of text. The first one that has not
    /// enough room ends what is kept: a conversation with a hole in it reads like another. Blank ones do not count.
    pub fn latest(messages: Vec<Said>) -> Self {
        let mut room = TRANSCRIPT_BYTES_MAX;
        let mut kept: Vec<Said> = Vec::new();
        for mut said in messages.into_iter().rev().filter(|said| !said.text.trim().is_empty()).take(MESSAGES_MAX) {
            // The very last message is kept as far as it goes, rather than nothing at all.
            if said.text.len() > room && kept.is_empty() {
                said.text = said.text.get(..floor_boundary(&said.text, room)).unwrap_or_default().into();
            }
            let Some(left) = room.checked_sub(said.text.len()) else { break };
            room = left;
            kept.push(said);
        }
        kept.reverse();
        Self(kept)
    }

    pub fn messages(&self) -> &[Said] {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The end of the last whole character within `max` bytes.
pub(super) fn floor_boundary(text: &str, max: usize) -> usize {
    (0..=max.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default()
}

/// What a note is asked for with. Not to be shown: what was learnt is what people wrote.
#[derive(Clone, Copy)]
pub struct Brief<'a> {
    pub transcript: &'a Transcript,
    /// The workspace's: a note names one of these, or none.
    pub categories: &'a [Category],
    /// What the writer has learnt of this workspace so far, in a form that only it can read. Not every writer learns.
    pub learnt: Option<&'a [u8]>,
}

/// A note to be looked at (L11), or to be added to the close (L12). The category is one of the workspace's, the summary no longer
/// than a note's may be (L10), and one of the two is there.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Proposal {
    pub category: Option<Box<str>>,
    pub summary: Option<Box<str>>,
}

/// Why there is no note. Its text is for operators: neither what people wrote is in it, nor a key.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WriteError {
    /// Later it may work: no sooner than `after`, if that is said.
    #[error("{reason}")]
    Again { reason: Box<str>, after: Option<Span> },
    /// It will not work without somebody changing something: give up.
    #[error("{reason}")]
    Never { reason: Box<str> },
}

impl WriteError {
    pub fn again(reason: impl Into<Box<str>>) -> Self {
        Self::Again { reason: reason.into(), after: None }
    }

    pub fn never(reason: impl Into<Box<str>>) -> Self {
        Self::Never { reason: reason.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Said {
        Said { by: Speaker::Contact, at: Timestamp::from_millis(7), text: text.into() }
    }

    fn texts(transcript: &Transcript) -> Vec<&str> {
        transcript.messages().iter().map(|said| &*said.text).collect()
    }

    #[test]
    fn l11_the_latest_hundred_messages_count() {
        let transcript = Transcript::latest((0..150).map(|number| said(&number.to_string())).collect());
        assert_eq!(transcript.messages().len(), MESSAGES_MAX);
        assert_eq!((texts(&transcript)[0], texts(&transcript)[99]), ("50", "149"));
        assert_eq!(texts(&Transcript::latest(vec![said("a"), said(" \n"), said("b")])), ["a", "b"]);
        assert!(Transcript::latest(vec![said("\t")]).is_empty());
    }

    #[test]
    fn l11_texts_are_bounded_together_and_none_is_missing_in_between() {
        let half = "x".repeat(TRANSCRIPT_BYTES_MAX / 2);
        let transcript = Transcript::latest(vec![said("first"), said(&half), said(&half)]);
        assert_eq!(texts(&transcript), [&half, &half]);
        let transcript = Transcript::latest(vec![said("first"), said(&format!("{half}y")), said(&half)]);
        assert_eq!(texts(&transcript), [&half]);
        // Three bytes a character, of which a third is left over.
        let long = Transcript::latest(vec![said("first"), said(&"€".repeat(TRANSCRIPT_BYTES_MAX))]);
        assert_eq!(texts(&long), ["€".repeat(TRANSCRIPT_BYTES_MAX / 3)]);
    }

    #[test]
    fn what_people_wrote_is_not_shown() {
        let transcript = Transcript::latest(vec![said("canary")]);
        assert_eq!(format!("{transcript:?}"), "Transcript([Contact at 7 ms, 6 bytes])");
    }
}
