//! Room for what comes in: events are refused before memory is full, so that closing can go on and it empties.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use metrics::gauge;

use super::link::field;
use crate::store::StoreError;

/// Per cent of `maxmemory` for what comes in.
const INGEST_PERCENT: u64 = 80;

/// As of the last look, in bytes; of several primaries, that of the fullest. Without a limit there is always room.
#[derive(Default)]
pub struct Memory {
    used: AtomicU64,
    limit: AtomicU64,
    /// What was said already.
    told_full: AtomicBool,
    told_evicting: AtomicBool,
}

impl Memory {
    /// # Errors
    /// `Full`: come back later.
    pub fn has_room(&self) -> Result<(), StoreError> {
        let (used, limit) = self.figures();
        if limit > 0 && used > limit { Err(StoreError::Full { used, limit }) } else { Ok(()) }
    }

    /// The same error, with the figures it came without: Redis itself said so.
    pub fn told(&self, error: StoreError) -> StoreError {
        let (used, limit) = self.figures();
        if let StoreError::Full { .. } = error { StoreError::Full { used, limit } } else { error }
    }

    fn figures(&self) -> (u64, u64) {
        (self.used.load(Ordering::Relaxed), self.limit.load(Ordering::Relaxed))
    }

    fn say_once(&self, told: &AtomicBool, is: bool, say: impl FnOnce(bool)) {
        if told.swap(is, Ordering::Relaxed) != is {
            say(is);
        }
    }

    /// Takes in what `INFO memory` of every primary said; the fullest counts.
    pub fn note<'a>(&self, infos: impl Iterator<Item = &'a str> + Clone) {
        let policy = infos.clone().filter_map(|info| field(info, "maxmemory_policy")).find(|policy| *policy != "noeviction");
        self.say_once(&self.told_evicting, policy.is_some(), |is| match is {
            true => tracing::error!(policy, "Redis may evict what was accepted: CONFIG SET maxmemory-policy noeviction"),
            false => tracing::info!("Redis evicts nothing again"),
        });
        let number = |info, name| field(info, name).and_then(|text| text.parse::<u64>().ok());
        let room = infos.filter_map(|info| Some((number(info, "used_memory")?, number(info, "maxmemory")?)));
        // Without a limit none is full.
        let Some((used, max)) = room.max_by_key(|(used, max)| used.saturating_mul(1_000).checked_div(*max).unwrap_or(0)) else { return };
        self.used.store(used, Ordering::Relaxed);
        self.limit.store(max.saturating_mul(INGEST_PERCENT) / 100, Ordering::Relaxed);
        let (used_bytes, limit_bytes) = self.figures();
        self.say_once(&self.told_full, self.has_room().is_err(), |is| match is {
            true => tracing::error!(
                used_bytes,
                limit_bytes,
                "Redis' memory is full: events are refused until there is room; give it more, or shorten `retention` and `notifications.keep`"
            ),
            false => tracing::info!(used_bytes, limit_bytes, "Redis has room again: events are taken"),
        });
        gauge!("adjourn_redis_memory_bytes").set(used as f64);
        gauge!("adjourn_redis_memory_limit_bytes").set(max as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_refused_from_four_fifths_on() {
        let memory = Memory::default();
        assert!(memory.has_room().is_ok());
        memory.note(["used_memory:801\r\nmaxmemory:1000\r\n"].into_iter());
        assert!(matches!(memory.has_room(), Err(StoreError::Full { used: 801, limit: 800 })));
        memory.note(["used_memory:800\r\nmaxmemory:1000\r\n"].into_iter());
        assert!(memory.has_room().is_ok());
        memory.note(["used_memory:800\r\nmaxmemory:0\r\n"].into_iter());
        assert!(memory.has_room().is_ok(), "no limit");
        memory.note(["used_memory:10\r\nmaxmemory:1000\r\n", "used_memory:90\r\nmaxmemory:100\r\n"].into_iter());
        assert!(memory.has_room().is_err(), "the fullest of them");
    }

    #[test]
    fn what_redis_refused_is_told_with_the_figures() {
        let memory = Memory::default();
        memory.note(["used_memory:900\r\nmaxmemory:1000\r\n"].into_iter());
        assert!(matches!(memory.told(StoreError::Full { used: 0, limit: 0 }), StoreError::Full { used: 900, limit: 800 }));
        assert!(matches!(memory.told(StoreError::Behind { unapplied: 1, limit: 1 }), StoreError::Behind { .. }));
        memory.note([].into_iter());
        assert!(memory.has_room().is_err(), "nobody answered");
    }
}
