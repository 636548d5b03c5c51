//! The time of a history: the runtime's virtual clock, which jumps from one timer to the next, and hours that pass for
//! everybody at once. Every clock shows that time, wrong by as much as somebody set it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use adjourn::clock::Clock;
use adjourn::domain::Timestamp;

/// Milliseconds since 1970.
pub type Ms = i64;

/// An afternoon in 2026, when every history begins.
const BEGIN_MS: Ms = 1_795_000_000_000;

pub struct Time {
    zero: tokio::time::Instant,
    passed: AtomicI64,
}

impl Time {
    /// Within a runtime: the history begins now.
    pub fn begin() -> Arc<Self> {
        Arc::new(Self { zero: tokio::time::Instant::now(), passed: AtomicI64::new(0) })
    }

    /// What an honest clock shows.
    pub fn now(&self) -> Ms {
        BEGIN_MS + self.virtual_ms() + self.passed.load(Ordering::Relaxed)
    }

    /// How long the machines have run: leases and timers count by this.
    pub fn virtual_ms(&self) -> Ms {
        self.zero.elapsed().as_millis() as Ms
    }

    /// So much passes for everybody while no machine runs.
    pub fn pass(&self, ms: Ms) {
        self.passed.fetch_add(ms.max(0), Ordering::Relaxed);
    }

    pub fn of_story(at: Ms) -> String {
        let ms = at - BEGIN_MS;
        format!("{:>3}:{:02}.{:03}", ms / 60_000, ms / 1_000 % 60, ms % 1_000)
    }
}

/// A clock somebody goes by.
pub struct SimClock {
    time: Arc<Time>,
    wrong_by: AtomicI64,
}

impl SimClock {
    pub fn of(time: &Arc<Time>) -> Arc<Self> {
        Arc::new(Self { time: time.clone(), wrong_by: AtomicI64::new(0) })
    }

    pub fn jump(&self, ms: Ms) {
        self.wrong_by.fetch_add(ms, Ordering::Relaxed);
    }

    pub fn set_right(&self) {
        self.wrong_by.store(0, Ordering::Relaxed);
    }

    pub fn wrong_by(&self) -> Ms {
        self.wrong_by.load(Ordering::Relaxed)
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.time.now() + self.wrong_by())
    }
}
