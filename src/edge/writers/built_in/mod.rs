//! Notes without a model: a summary of the conversation's own sentences, and a category by the words of notes that people
//! accepted. The same conversation always gets the same note.

use futures_util::future::{BoxFuture, FutureExt};

use crate::actors::notes::writer::NoteWriter;
use crate::domain::writing::{Brief, Proposal, Speaker, Transcript, WriteError};

pub mod learnt;
mod summary;
#[cfg(test)]
mod testing;
mod words;

pub use learnt::{Learnt, LearntError};

/// How it signs.
pub const NAME: &str = "built-in";

pub struct BuiltIn;

impl NoteWriter for BuiltIn {
    fn name(&self) -> &str {
        NAME
    }

    fn write<'a>(&'a self, brief: Brief<'a>) -> BoxFuture<'a, Result<Proposal, WriteError>> {
        async move { note(&brief) }.boxed()
    }

    fn learn(&self, learnt: Option<&[u8]>, transcript: &Transcript, category: &str) -> Option<Vec<u8>> {
        let mut learnt = match learnt.map(Learnt::decode) {
            // What a newer build knows is not thrown away by an older one.
            Some(Err(LearntError::Version { .. })) => return None,
            Some(Ok(learnt)) => learnt,
            Some(Err(LearntError::Damaged)) | None => Learnt::default(),
        };
        learnt.learn(&text(transcript), category);
        learnt.encode()
    }
}

fn note(brief: &Brief<'_>) -> Result<Proposal, WriteError> {
    let learnt = brief.learnt.and_then(|bytes| Learnt::decode(bytes).ok()).unwrap_or_default();
    let category = learnt.propose(&text(brief.transcript), brief.categories);
    match summary::summary(brief.transcript) {
        None if category.is_none() => Err(WriteError::never("there is no message to write a note from")),
        summary => Ok(Proposal { category, summary: summary.map(Into::into) }),
    }
}

/// What people said: a machine says the same in every conversation.
fn text(transcript: &Transcript) -> String {
    let people = transcript.messages().iter().filter(|said| said.by != Speaker::Machine);
    people.map(|said| &*said.text).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::testing::{categories, transcript};
    use super::*;
    use Speaker::{Contact, Human};

    fn write(transcript: &Transcript, learnt: Option<&[u8]>) -> Result<Proposal, WriteError> {
        BuiltIn.write(Brief { transcript, categories: &categories(), learnt }).now_or_never().unwrap()
    }

    #[test]
    fn l11_a_note_is_written_and_what_is_accepted_is_learnt() {
        let conversation =
            transcript(&[(Contact, "My modem blinks amber, what now?"), (Human, "Hold the modem's reset pin for ten seconds.")]);
        let note = write(&conversation, None).unwrap();
        assert_eq!((note.category, note.summary.is_some(), BuiltIn.name()), (None, true, "built-in"));
        let mut learnt = None;
        for _ in 0..3 {
            learnt = BuiltIn.learn(learnt.as_deref(), &conversation, "Technical");
        }
        let other = transcript(&[(Contact, "The amber modem light again, should I reset it?")]);
        assert_eq!(write(&other, learnt.as_deref()).unwrap().category.as_deref(), Some("Technical"));
        // Damaged is like never learnt, and newer is left alone.
        assert_eq!(write(&other, Some(b"\x01x")).unwrap().category, None);
        assert!(BuiltIn.learn(Some(b"\x01x"), &other, "Technical").is_some());
        assert_eq!(BuiltIn.learn(Some(b"\xff"), &other, "Technical"), None);
    }

    #[test]
    fn l12_without_a_word_there_is_nothing_to_try_again() {
        for conversation in [Transcript::default(), transcript(&[(Contact, "👍")])] {
            assert!(matches!(write(&conversation, None), Err(WriteError::Never { .. })));
        }
    }
}
