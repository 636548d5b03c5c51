//! Nothing closes: a store that may have lost a reply holds all closes until an operator says otherwise, and so does whoever is
//! about to set one back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::gauge;

use crate::domain::Timestamp;

/// Why nothing may close at present, whatever its time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hold {
    pub why: Arc<str>,
    /// By the store's clock. `None`: nobody noted it.
    pub since: Option<Timestamp>,
}

/// What this process knows of a hold: for whoever may not wait until the store says so again.
#[derive(Default)]
pub struct KnownHold(Mutex<Option<Hold>>);

impl KnownHold {
    pub fn get(&self) -> Option<Hold> {
        self.known().clone()
    }

    pub fn is_on(&self) -> bool {
        self.known().is_some()
    }

    /// What the store says of it now. Where that is news, the log and the metrics say so.
    pub fn note(&self, hold: Option<Hold>) {
        let mut known = self.known();
        let why = |hold: &Option<Hold>| hold.as_ref().map(|hold| Arc::clone(&hold.why));
        if why(&known) != why(&hold) {
            match why(&hold) {
                Some(why) => tracing::error!(why = &*why, "nothing closes until an operator says `adjourn resume-firing`"),
                None => tracing::warn!("an operator has said that closing may go on"),
            }
            gauge!("adjourn_closes_held").set(if hold.is_some() { 1.0 } else { 0.0 });
        }
        *known = hold;
    }

    fn known(&self) -> MutexGuard<'_, Option<Hold>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
