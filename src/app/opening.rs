//! Opening the store: at once where it is a directory, for as long as it takes where it is somewhere else.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use crate::clock::{SharedClock, Stopwatch};
use crate::config::{Config, RedisChoice, StoreChoice};
use crate::edge::http::Front;
use crate::store::Store;
use crate::store::embedded::{EmbeddedOptions, EmbeddedStore};
use crate::store::redis::{OpenError, RedisOptions, RedisStore};

/// Between two attempts, at first and at most; the link connects less often than that. A store that is back is found soon
/// after.
const WAIT_FIRST: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(1);
/// How often the same reason is logged again: to be found by whoever looks at the log only now.
const TOLD_EVERY: Duration = Duration::from_secs(30);

/// An open store, and how to let go of it.
pub struct OpenStore {
    pub store: Arc<dyn Store>,
    close: Box<dyn FnOnce() + Send>,
}

impl OpenStore {
    fn new<S: Store>(store: Arc<S>, close: fn(&S)) -> anyhow::Result<Self> {
        let to_close = Arc::clone(&store);
        let store: Arc<dyn Store> = store;
        #[cfg(feature = "faults")]
        let store = crate::store::crash::around(store).map_err(anyhow::Error::msg)?;
        Ok(Self { store, close: Box::new(move || close(&to_close)) })
    }

    /// # Errors
    /// When closing panicked.
    pub async fn close(self) -> anyhow::Result<()> {
        // It may take as long as a commit.
        tokio::task::spawn_blocking(self.close).await.context("closing the store")
    }
}

/// A store that is open, or to be opened.
pub enum Opening {
    Open(OpenStore),
    Redis(Box<RedisChoice>, RedisOptions),
}

impl Opening {
    /// # Errors
    /// When an embedded store does not open: says what to do.
    pub fn begin(config: &Config, wall: SharedClock) -> anyhow::Result<Self> {
        Ok(match &config.store {
            StoreChoice::Embedded(path) => {
                let options = EmbeddedOptions {
                    partitions: config.partitions,
                    backlog_max: config.backlog,
                    log_retention: config.event_log.keep,
                    segment_bytes: config.event_log.segment_bytes,
                    ..EmbeddedOptions::new(wall)
                };
                Self::Open(OpenStore::new(EmbeddedStore::open(path, options).context("store")?, EmbeddedStore::close)?)
            }
            StoreChoice::Redis(choice) => {
                let options = RedisOptions {
                    partitions: config.partitions,
                    prefix: choice.prefix.clone(),
                    backlog_max: config.backlog,
                    durability: choice.durability,
                    keep_log: config.event_log.keep,
                    ..RedisOptions::new(&config.node_options.node)
                };
                Self::Redis(choice.clone(), options)
            }
        })
    }

    /// Waits for the store where it is away, and tells `front` why.
    ///
    /// # Errors
    /// When waiting does not help: says what to do.
    pub async fn finish(self, front: &Front) -> anyhow::Result<OpenStore> {
        let (choice, options) = match self {
            Self::Open(opened) => return Ok(opened),
            Self::Redis(choice, options) => (choice, options),
        };
        let refused = |reason| anyhow::anyhow!("store: {}: {reason}", choice.target);
        let link = RedisStore::link(choice.target.clone(), &options).map_err(refused)?;
        let (mut patience, waited) = (Patience::default(), Stopwatch::start());
        loop {
            match RedisStore::open_on(link.clone(), options.clone()).await {
                Ok(store) => {
                    tracing::info!(store = %choice.target, "the store is open");
                    return OpenStore::new(store, RedisStore::close);
                }
                Err(error @ OpenError::Refused(_)) => return Err(refused(error)),
                // A wrong password among others: it is set on the server by somebody else, perhaps after we were started.
                Err(OpenError::Away(reason)) => {
                    if patience.is_news(&reason, waited.elapsed()) {
                        tracing::warn!(store = %choice.target, %reason, "the store cannot be opened yet; trying again");
                    }
                    front.misses(reason);
                }
            }
            tokio::time::sleep(patience.wait()).await;
        }
    }
}

/// How often to try, and to say so.
struct Patience {
    /// The last reason that was logged, and when.
    told: Option<(Arc<str>, Duration)>,
    wait: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { told: None, wait: WAIT_FIRST }
    }
}

impl Patience {
    /// Whether to log this reason `now`: it is another than the last one, or that was some time ago.
    fn is_news(&mut self, reason: &Arc<str>, now: Duration) -> bool {
        let known = self.told.as_ref().is_some_and(|(told, at)| told == reason && now < *at + TOLD_EVERY);
        if !known {
            self.told = Some((Arc::clone(reason), now));
        }
        !known
    }

    /// Before the next attempt.
    fn wait(&mut self) -> Duration {
        let wait = self.wait;
        self.wait = (wait * 2).min(WAIT_MAX);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_told_when_it_is_new_and_every_half_minute() {
        let mut patience = Patience::default();
        let told = [("refused", 0), ("refused", 1), ("refused", 29), ("loading", 30), ("loading", 59), ("loading", 60), ("refused", 61)]
            .map(|(reason, now)| patience.is_news(&reason.into(), Duration::from_secs(now)));
        assert_eq!(told, [true, false, false, true, false, true, true]);
    }

    #[test]
    fn attempts_come_at_growing_intervals_up_to_a_bound() {
        let mut patience = Patience::default();
        assert_eq!([(); 6].map(|()| patience.wait().as_millis()), [100, 200, 400, 800, 1_000, 1_000]);
    }
}
