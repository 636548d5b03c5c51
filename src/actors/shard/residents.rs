//! Who lives in a shard: the conversations that were touched lately or fall due soon. All others are a row in the store.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix::prelude::*;

use super::conversation::{ConversationActor, Rest, Surroundings};
use crate::domain::{Conversation, ConversationKey, Span, Timestamp};

/// A conversation that is in memory, and what the store has of it.
pub struct Resident {
    pub address: Addr<ConversationActor>,
    /// Where the index has it, as of the last commit.
    pub indexed_at: Option<Timestamp>,
    /// The number of its latest notification, as of the last commit.
    pub last_notification: Option<u64>,
    touched_at: Timestamp,
}

/// How many actors live on this node, over all shards.
pub type LiveCount = Arc<AtomicUsize>;

pub struct Residents {
    map: HashMap<ConversationKey, Resident>,
    around: Surroundings,
    live: LiveCount,
    mine: Arc<AtomicUsize>,
}

impl Residents {
    pub fn new(around: Surroundings, live: LiveCount, mine: Arc<AtomicUsize>) -> Self {
        Self { map: HashMap::new(), around, live, mine }
    }

    pub fn contains(&self, key: &ConversationKey) -> bool {
        self.map.contains_key(key)
    }

    pub fn get_mut(&mut self, key: &ConversationKey) -> Option<&mut Resident> {
        self.map.get_mut(key)
    }

    /// Starts the actor of a conversation as the store has it; `None`: nobody has heard of it yet.
    pub fn admit(&mut self, key: ConversationKey, row: Option<(Box<Conversation>, Option<Timestamp>)>) {
        let (state, indexed_at) =
            row.map_or((None, None), |(conversation, look_at)| (Some(Arc::<Conversation>::from(conversation)), look_at));
        let last_notification = state.as_ref().and_then(|state| state.last_notification);
        let address = ConversationActor::new(key.clone(), state, indexed_at, self.around.clone()).start();
        let resident = Resident { address, indexed_at, last_notification, touched_at: self.around.steady.now() };
        if self.map.insert(key, resident).is_none() {
            self.live.fetch_add(1, Ordering::Relaxed);
            self.mine.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn touch(&mut self, key: &ConversationKey, indexed_at: Option<Timestamp>, last_notification: Option<u64>) {
        let now = self.around.steady.now();
        if let Some(resident) = self.map.get_mut(key) {
            (resident.indexed_at, resident.last_notification, resident.touched_at) = (indexed_at, last_notification, now);
        }
    }

    pub fn rest(&mut self, key: &ConversationKey) {
        if let Some(resident) = self.map.remove(key) {
            resident.address.do_send(Rest);
            self.gone(1);
        }
    }

    /// Puts to rest who was not touched for `idle` and is not due before `now + horizon`. Those who are due sooner stay:
    /// the look-ahead has passed them already.
    pub fn rest_idle(&mut self, idle: Span, horizon: Span) {
        let now = self.around.steady.now();
        let (quiet_since, near) = (now.minus(idle), now.plus(horizon));
        let before = self.map.len();
        self.map.retain(|_, resident| {
            let stays = resident.touched_at > quiet_since || resident.indexed_at.is_some_and(|at| at <= near);
            if !stays {
                resident.address.do_send(Rest);
            }
            stays
        });
        self.gone(before - self.map.len());
    }

    /// Puts to rest whoever of `keys` is not due before `now + horizon`.
    pub fn rest_far(&mut self, keys: impl Iterator<Item = ConversationKey>, horizon: Span) {
        let near = self.around.steady.now().plus(horizon);
        for key in keys {
            if self.map.get(&key).is_some_and(|resident| resident.indexed_at.is_none_or(|at| at > near)) {
                self.rest(&key);
            }
        }
    }

    /// Everybody leaves, and what they had in memory is forgotten.
    pub fn rest_all(&mut self) {
        let before = self.map.len();
        self.map.drain().for_each(|(_, resident)| resident.address.do_send(Rest));
        self.gone(before);
    }

    fn gone(&self, count: usize) {
        self.live.fetch_sub(count, Ordering::Relaxed);
        self.mine.fetch_sub(count, Ordering::Relaxed);
    }

    pub fn node_has(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }
}

impl Drop for Residents {
    fn drop(&mut self) {
        self.rest_all();
    }
}
