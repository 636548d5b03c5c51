//! Notes from what was written: proposed to whoever closes by hand (L11), and added after the close where nobody wrote one (L12).

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use metrics::counter;

use crate::actors::node::handle::Node;
use crate::actors::writes::acting::name_of;
use crate::domain::event::Note;
use crate::domain::kept::{Kept, NOTES_OFF};
use crate::domain::writing::{Brief, Proposal, Transcript, WriteError};
use crate::domain::{ConversationKey, Event, EventKind, Settings};
use crate::store::{Document, Entry, Shelf, StoreError};

pub mod desk;
pub mod writer;

use desk::Errand;
use writer::NoteWriter;

/// Notes in the making on this node: a model takes seconds for one, and a storm of closes wants thousands.
const AT_ONCE: usize = 4;
/// Longest wait for one note (L12): less than a row waits before it asks again, so that it is not written twice at a time.
const PATIENCE: Duration = Duration::from_secs(100);
/// And where somebody sits in front of the dialog (L11).
const SUGGEST_PATIENCE: Duration = Duration::from_secs(25);
/// How often what was learnt is put back because another node was first.
const LEARN_TRIES: u32 = 3;

#[derive(Clone, Debug, thiserror::Error)]
pub enum SuggestRefused {
    #[error("never heard of, or never opened")]
    Unknown,
    /// L7.
    #[error("closing notes are off in this workspace")]
    NotesOff,
    #[error("no messages with text are kept of this conversation's latest episode")]
    NothingKept,
    #[error(transparent)]
    NotWritten(#[from] WriteError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Node {
    /// A note for the latest episode, from what was written in it. Nothing is stored.
    ///
    /// # Errors
    /// By what stands against it.
    pub async fn suggest(&self, key: &ConversationKey, writer: &dyn NoteWriter) -> Result<Proposal, SuggestRefused> {
        let conversation = self.load(key).await?.filter(|c| c.episode > 0).ok_or(SuggestRefused::Unknown)?;
        let settings = self.settings_applied(self.partition(key), key.workspace()).await?;
        if !settings.keeps_texts() {
            return Err(SuggestRefused::NotesOff);
        }
        let transcript = self.transcript(key, conversation.texts.slots()).await?;
        if transcript.is_empty() {
            return Err(SuggestRefused::NothingKept);
        }
        Ok(self.write(key, &transcript, &settings, writer, SUGGEST_PATIENCE).await??)
    }

    /// Writes the notes that this node's conversations want, until the node is gone. Whatever is not done because the process ends,
    /// or the store or the writer is away, is asked for again by its conversation.
    pub async fn write_notes(&self, writer: Arc<dyn NoteWriter>) {
        let Some(errands) = self.desk().take() else { return };
        let errands = stream::unfold(errands, |mut errands| async { errands.recv().await.map(|errand| (errand, errands)) });
        let run = |errand: Errand| async {
            let (Errand::Write { ref key, .. } | Errand::Learn { ref key, .. }) = errand;
            let key = key.clone();
            let done = match errand {
                Errand::Write { key, episode } => self.write_note(&key, episode, &*writer).await,
                Errand::Learn { key, category } => self.learn(&key, &category, &*writer).await,
            };
            if let Err(error) = done {
                tracing::warn!(%key, %error, "a closing note has to wait");
            }
        };
        errands.for_each_concurrent(AT_ONCE, run).await;
    }

    /// Asks for the note and puts what comes of it into the log, where it is judged whether it is still wanted.
    async fn write_note(&self, key: &ConversationKey, episode: u32, writer: &dyn NoteWriter) -> Result<(), StoreError> {
        let Some(conversation) = self.load(key).await? else { return Ok(()) };
        let Some(pending) = conversation.pending_note.as_ref().filter(|pending| pending.episode == episode) else { return Ok(()) };
        let settings = self.settings_applied(self.partition(key), key.workspace()).await?;
        let transcript = self.transcript(key, pending.texts.still_in(&conversation.texts)).await?;
        let written = match (settings.writes_notes(), transcript.is_empty()) {
            // Nothing leaves the house any more.
            (false, _) => Err(WriteError::never(NOTES_OFF)),
            (true, true) => Err(WriteError::never(SuggestRefused::NothingKept.to_string())),
            (true, false) => self.write(key, &transcript, &settings, writer, PATIENCE).await?,
        };
        let by = Box::from(writer.name());
        let (outcome, kind) = match written {
            Ok(Proposal { category, summary }) => ("written", EventKind::Written { episode, note: Note { category, summary }, by }),
            Err(WriteError::Never { reason }) => ("given_up", EventKind::Unwritten { episode, reason, by }),
            Err(WriteError::Again { reason, .. }) => {
                counter!("adjourn_notes_total", "outcome" => "again").increment(1);
                tracing::warn!(%key, episode, tries = pending.tries, %reason, "no closing note yet");
                return Ok(());
            }
        };
        counter!("adjourn_notes_total", "outcome" => outcome).increment(1);
        let event = Event { name: name_of(&kind, None)?, conversation: key.clone(), time: self.clock_for(&[]).await?, kind };
        self.store().append(vec![(self.partition(key), Entry::Command { command: Box::new(event), expected: None })]).await.map(drop)
    }

    async fn write(
        &self,
        key: &ConversationKey,
        transcript: &Transcript,
        settings: &Settings,
        writer: &dyn NoteWriter,
        patience: Duration,
    ) -> Result<Result<Proposal, WriteError>, StoreError> {
        let learnt = self.store().document(Shelf::Learnt, key.workspace().into()).await?;
        let learnt = learnt.as_ref().map(|document| document.bytes.as_slice());
        let written = writer.write(Brief { transcript, categories: &settings.categories, learnt });
        let in_time = tokio::time::timeout(patience, written).await;
        Ok(in_time.unwrap_or_else(|_| Err(WriteError::again(format!("no answer within {} s", patience.as_secs())))))
    }

    /// Whoever reads it sees the latest of a conversation, which may have gone on since.
    async fn learn(&self, key: &ConversationKey, category: &str, writer: &dyn NoteWriter) -> Result<(), StoreError> {
        let kept: Kept = self.load(key).await?.map(|conversation| conversation.texts).unwrap_or_default();
        let transcript = self.transcript(key, kept.slots()).await?;
        if transcript.is_empty() {
            return Ok(());
        }
        self.relearn(key.workspace(), |learnt| writer.learn(learnt, &transcript, category)).await
    }

    /// Notes were switched off: nothing of what was written stays, be it only what was learnt from it.
    pub(super) async fn unlearn(&self, workspace: &str) -> Result<(), StoreError> {
        self.relearn(workspace, |learnt| learnt.filter(|learnt| !learnt.is_empty()).map(|_| Vec::new())).await
    }

    /// Replaces what was learnt by what comes of it, unless that is nothing.
    async fn relearn(&self, workspace: &str, next: impl Fn(Option<&[u8]>) -> Option<Vec<u8>>) -> Result<(), StoreError> {
        for _ in 0..LEARN_TRIES {
            let known = self.store().document(Shelf::Learnt, workspace.into()).await?;
            let version = known.as_ref().map_or(0, |document| document.version);
            let Some(bytes) = next(known.as_ref().map(|document| document.bytes.as_slice())) else { break };
            let document = Document { version: version + 1, bytes };
            if self.store().put_document(Shelf::Learnt, workspace.into(), version, document).await? {
                break;
            }
        }
        Ok(())
    }

    async fn transcript(&self, key: &ConversationKey, slots: Vec<u8>) -> Result<Transcript, StoreError> {
        let mut said = self.store().texts(self.partition(key), key.clone(), slots).await?;
        said.sort_by_key(|said| said.at); // they were kept as they came (D5)
        Ok(Transcript::latest(said))
    }
}
