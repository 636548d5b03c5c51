//! The only file that asks the machine for the time.
//!
//! Two clocks that can only be wrong together by accident: the *wall* clock, which is the embedded store's, and the
//! *steady* clock of a node: the wall clock as it was when the process started, plus the monotonic time since. A step of
//! the wall clock moves only the first; a close needs both to be past its deadline (D1).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use crate::domain::Timestamp;

/// Where time comes from. Tests drive a [`ManualClock`].
pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> Timestamp;
}

pub type SharedClock = Arc<dyn Clock>;

/// What the machine believes the date to be, as the C library tells it: a preloaded shim can move it, in the tests or for
/// whoever wants to see what a wrong date does.
#[derive(Clone, Copy, Debug, Default)]
pub struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        let millis = |time: Duration| time.as_millis() as i64;
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
        Timestamp::from_millis(since_1970.map_or_else(|before| -millis(before.duration()), millis))
    }
}

/// The wall clock at the start, plus what `CLOCK_BOOTTIME` counted since: it goes on while the machine is suspended, and
/// no step or slew of the date touches it.
#[derive(Clone, Copy, Debug)]
pub struct SteadyClock {
    ahead_of_boot_ms: i64,
}

impl SteadyClock {
    pub fn start() -> Self {
        Self { ahead_of_boot_ms: WallClock.now().as_millis() - since_boot_ms() }
    }
}

impl Clock for SteadyClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(since_boot_ms() + self.ahead_of_boot_ms)
    }
}

/// From the kernel itself: the standard library has no such clock.
fn since_boot_ms() -> i64 {
    let time = clock_gettime(ClockId::Boottime);
    time.tv_sec * 1_000 + time.tv_nsec / 1_000_000
}

/// A stopwatch for measuring how long something took. It runs by the runtime's clock, as timers do: where a simulation
/// makes that jump from one timer to the next, leases run out in its time, not in the machine's.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(tokio::time::Instant);

impl Stopwatch {
    pub fn start() -> Self {
        Self(tokio::time::Instant::now())
    }

    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// A clock that moves when told to: for tests and for virtual time.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    pub fn at(now: Timestamp) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(now.as_millis())))
    }

    pub fn set(&self, now: Timestamp) {
        self.0.store(now.as_millis(), Ordering::SeqCst);
    }

    /// Moves by `ms`, backwards where negative.
    pub fn jump(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}
