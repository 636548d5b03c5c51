//! Room for what comes in: events are refused before memory is full, so that closing can go on and it empties.

use std::sync::atomic::{AtomicU64, Ordering};

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

    /// Takes in what each primary's `INFO memory` said.
    pub fn note(&self, infos: impl IntoIterator<Item = String>) {
        let figures = |info: String| {
            let number = |name| field(&info, name).and_then(|text| text.parse::<u64>().ok());
            Some((number("used_memory")?, number("maxmemory")?))
        };
        // The fullest: least room below the limit, any limit before none.
        let fullest = infos.into_iter().filter_map(figures).min_by_key(|(used, max)| (*max == 0, i128::from(*max) - i128::from(*used)));
        let Some((used, max)) = fullest else { return };
        self.used.store(used, Ordering::Relaxed);
        self.limit.store(max / 100 * INGEST_PERCENT, Ordering::Relaxed);
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
        memory.note([info(801, 1_000)]);
        assert!(matches!(memory.has_room(), Err(StoreError::Full { used: 801, limit: 800 })));
        memory.note([info(800, 1_000)]);
        assert!(memory.has_room().is_ok());
        memory.note([info(800, 0)]);
        assert!(memory.has_room().is_ok(), "no limit");
    }

    #[test]
    fn the_fullest_of_several_counts() {
        let memory = Memory::default();
        memory.note([info(10, 1_000), info(900, 1_000), info(5_000, 0)]);
        assert!(matches!(memory.has_room(), Err(StoreError::Full { used: 900, limit: 800 })));
        assert!(matches!(memory.told(StoreError::Full { used: 0, limit: 0 }), StoreError::Full { used: 900, limit: 800 }));
        memory.note([]);
        assert!(memory.has_room().is_err(), "nobody answered");
    }

    fn info(used: u64, max: u64) -> String {
        format!("used_memory:{used}\r\nmaxmemory:{max}\r\n")
    }
}
