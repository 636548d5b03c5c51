//! One primary and the connection to it that everybody shares.

use std::sync::{Arc, Mutex, PoisonError};

use super::super::target::Address;
use super::backoff::Backoff;
use super::dial::{Dialer, Primary};
use super::error::LinkError;
use super::histories::Histories;
use super::sentinel::Sentinels;

/// How the primary is found, each time anew.
pub enum Place {
    At(Address),
    AskSentinels(Sentinels),
}

pub struct Node {
    place: Place,
    dialer: Arc<Dialer>,
    histories: Arc<Histories>,
    shared: Mutex<Option<Arc<Primary>>>,
    /// Held while connecting: one at a time, the others wait for what it comes to.
    door: tokio::sync::Mutex<Backoff>,
}

impl Node {
    pub fn new(place: Place, dialer: Arc<Dialer>, histories: Arc<Histories>) -> Self {
        Self { place, dialer, histories, shared: Mutex::default(), door: tokio::sync::Mutex::default() }
    }

    /// The shared connection, if there is one that works.
    pub fn connected(&self) -> Option<Arc<Primary>> {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.as_ref().filter(|primary| primary.connection.is_alive()).map(Arc::clone)
    }

    /// The shared connection, made where there is none.
    ///
    /// # Errors
    /// `Away`, at once while it is too early for another attempt.
    pub async fn shared(&self) -> Result<Arc<Primary>, LinkError> {
        if let Some(primary) = self.connected() {
            return Ok(primary);
        }
        let mut door = self.door.lock().await;
        if let Some(primary) = self.connected() {
            return Ok(primary);
        }
        let primary = Arc::new(self.dial(&mut door).await?);
        *self.shared.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&primary));
        Ok(primary)
    }

    /// A connection of one's own. While all is well any number of them are opened side by side; behind a closed door one
    /// at a time.
    ///
    /// # Errors
    /// As [`shared`](Self::shared).
    pub async fn own(&self) -> Result<Primary, LinkError> {
        let mut door = self.door.lock().await;
        let primary = if door.is_shut() {
            self.dial(&mut door).await?
        } else {
            drop(door);
            self.dial_beside().await?
        };
        if self.connected().is_some_and(|shared| shared.replid != primary.replid) {
            self.shared.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
        Ok(primary)
    }

    async fn dial_beside(&self) -> Result<Primary, LinkError> {
        let dialed = self.reach().await;
        let mut door = self.door.lock().await;
        match dialed {
            // Many that fail together are one failure.
            Err(reason) if door.is_shut() => Err(LinkError::Away(reason)),
            dialed => self.note(&mut door, dialed),
        }
    }

    async fn dial(&self, door: &mut Backoff) -> Result<Primary, LinkError> {
        match door.wait() {
            Some((_, reason)) => Err(LinkError::Away(reason)),
            None => self.note(door, self.reach().await),
        }
    }

    fn note(&self, door: &mut Backoff, dialed: Result<Primary, Arc<str>>) -> Result<Primary, LinkError> {
        match dialed {
            Ok(primary) => {
                let other = self.histories.note(&primary.replid);
                if door.succeeded() || other {
                    tracing::info!(server = %primary.connection.address, replid = %primary.replid, other, "connected to Redis");
                }
                Ok(primary)
            }
            Err(reason) => {
                if door.failed(Arc::clone(&reason)) {
                    tracing::warn!(%reason, "Redis cannot be reached, trying on");
                }
                Err(LinkError::Away(reason))
            }
        }
    }

    async fn reach(&self) -> Result<Primary, Arc<str>> {
        self.dialer.primary(&self.find().await?).await
    }

    /// Where it always is, if it is always the same place.
    pub fn address(&self) -> Option<&Address> {
        match &self.place {
            Place::At(address) => Some(address),
            Place::AskSentinels(_) => None,
        }
    }

    /// Where the primary is now.
    pub async fn find(&self) -> Result<Address, Arc<str>> {
        match &self.place {
            Place::At(address) => Ok(address.clone()),
            Place::AskSentinels(sentinels) => sentinels.primary().await,
        }
    }

    /// Nobody gets this connection any more; the next who asks makes another.
    pub fn forget(&self, primary: &Arc<Primary>) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.as_ref().is_some_and(|current| Arc::ptr_eq(current, primary)) {
            *shared = None;
        }
    }
}
