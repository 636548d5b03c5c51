//! Who writes closing notes, as those see it who want one (L11, L12). What they are is in `edge::writers`.

use futures_util::future::BoxFuture;

use crate::domain::writing::{Brief, Proposal, Transcript, WriteError};

/// Writes a note from a conversation. It holds nothing back and stores nothing: what a workspace taught it comes with the
/// [`Brief`] and is kept by whoever asks.
pub trait NoteWriter: Send + Sync {
    /// Who signs: `built-in`, or the model's name.
    fn name(&self) -> &str;

    /// Takes seconds where a model is asked, and never longer than its own time limit allows. Dropped, it leaves nothing behind.
    fn write<'a>(&'a self, brief: Brief<'a>) -> BoxFuture<'a, Result<Proposal, WriteError>>;

    /// Somebody closed this conversation with that category: what is to be kept of the workspace from now on, at most
    /// [`LEARNT_BYTES_MAX`], given what was kept before. `None`: what was.
    fn learn(&self, learnt: Option<&[u8]>, transcript: &Transcript, category: &str) -> Option<Vec<u8>> {
        let _ = (learnt, transcript, category);
        None
    }
}

/// Of what a writer keeps of one workspace: it is read for every note, and one write of the store takes it.
pub const LEARNT_BYTES_MAX: usize = 64 * 1024;
