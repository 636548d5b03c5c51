//! The writers of closing notes (L11, L12): a model behind a URL, or what is built in and needs nobody.
//!
//! ```text
//! Brief ─┬▶ remote ─▶ answer (what is asked) ─▶ post (HTTP, bounded) ─▶ answer (what of it can be used) ─┬▶ Proposal
//!        └▶ built_in: sentences that say most ─▶ summary; words of notes accepted before ─▶ category    ─┘
//! ```

use std::sync::Arc;

use crate::actors::notes::writer::NoteWriter;

mod answer;
pub mod built_in;
mod post;
pub mod remote;
mod text;

pub use built_in::{BuiltIn, Learnt};
pub use post::{Key, PostError};
pub use remote::{Remote, RemoteOptions};

/// Who writes.
#[derive(Clone, Debug, Default)]
pub enum WriterChoice {
    #[default]
    BuiltIn,
    Remote(Box<RemoteOptions>),
}

/// The writer that was chosen.
///
/// # Errors
/// [`PostError`]: it could never write anything.
pub fn from_config(choice: &WriterChoice) -> Result<Arc<dyn NoteWriter>, PostError> {
    Ok(match choice {
        WriterChoice::BuiltIn => Arc::new(BuiltIn),
        WriterChoice::Remote(options) => Arc::new(Remote::new((**options).clone())?),
    })
}
