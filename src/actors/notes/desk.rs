//! Where a node's shards leave word of notes that are wanted, for whoever writes them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError, RwLock};

use metrics::counter;
use tokio::sync::mpsc;

use crate::domain::{ConversationKey, Settings};

/// Errands waiting. What finds no room is asked for again in some minutes, by its row.
const WAITING_MAX: usize = 10_000;

/// Something to be done with what was written in a conversation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Errand {
    /// The note of an episode that closed without one (L12).
    Write { key: ConversationKey, episode: u32 },
    /// Somebody wrote a note with this category: there is something to be learnt from it.
    Learn { key: ConversationKey, category: Box<str> },
}

pub struct Desk {
    inbox: mpsc::Sender<Errand>,
    outbox: Mutex<Option<mpsc::Receiver<Errand>>>,
    /// Workspaces that ever changed their settings: whether texts are kept there.
    keeps: RwLock<BTreeMap<Box<str>, bool>>,
    by_default: bool,
}

impl Desk {
    pub fn new(defaults: &Settings) -> Self {
        let (inbox, outbox) = mpsc::channel(WAITING_MAX);
        Self { inbox, outbox: Mutex::new(Some(outbox)), keeps: RwLock::default(), by_default: defaults.keeps_texts() }
    }

    /// What a partition of this node goes by from now on.
    pub fn heard(&self, workspace: &str, settings: &Settings) {
        let mut keeps = self.keeps.write().unwrap_or_else(PoisonError::into_inner);
        keeps.insert(workspace.into(), settings.keeps_texts());
    }

    /// Whether what is written in this workspace is worth taking along, as far as this node has heard.
    pub fn keeps(&self, workspace: &str) -> bool {
        let keeps = self.keeps.read().unwrap_or_else(PoisonError::into_inner);
        keeps.get(workspace).copied().unwrap_or(self.by_default)
    }

    pub fn leave(&self, errand: Errand) {
        if self.inbox.try_send(errand).is_err() {
            counter!("adjourn_notes_put_off_total").increment(1);
        }
    }

    /// All errands from here on; there is one who does them.
    pub fn take(&self) -> Option<mpsc::Receiver<Errand>> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
