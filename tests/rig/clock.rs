//! The date that another process believes, moved from the test: a few lines of C (`clock_shim.c`), preloaded into it, answer
//! `gettimeofday`, `clock_gettime(CLOCK_REALTIME)` and `time` from a file that both have open. Monotonic time stays the machine's.
//!
//! What follows it in Redis 7.0: `TIME` (in scripts too), the ids of `XADD *`, expiry. Its cron, its event loop and the time
//! limit of scripts count monotonic time and go on. Where the date **stands still**, what Redis measures by it never runs
//! out: `BLOCK` and `WAIT` with a time limit, `CLIENT PAUSE`, the one second of `appendfsync everysec`, `repl-timeout`, the
//! failure detection of a cluster and of Sentinel. Move the clock past such a limit, or end the wait from the client.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};

use adjourn::clock::{Clock, ManualClock};
use adjourn::domain::Timestamp;
use tempfile::TempDir;

use super::process::directory;
use super::shim::compiled;

/// As `clock_shim.c` has them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Absolute = 1,
    Offset = 2,
}

/// A date, or how far a date is off, for any number of processes.
pub struct ClockFile {
    mode: Mode,
    value: Arc<ManualClock>,
    page: Mutex<File>,
    dir: TempDir,
}

impl ClockFile {
    /// The date is exactly this, and moves only when told to.
    pub fn absolute(now: Timestamp) -> Self {
        Self::new(Mode::Absolute, now.as_millis())
    }

    /// The machine's date, off by nothing at first.
    pub fn offset() -> Self {
        Self::new(Mode::Offset, 0)
    }

    fn new(mode: Mode, ms: i64) -> Self {
        let dir = directory();
        fs::write(dir.path().join("shim.so"), shim()).unwrap();
        let page = File::create(dir.path().join("clock")).unwrap();
        page.write_all_at(&(mode as i64).to_ne_bytes(), 0).unwrap();
        let clock = Self { mode, value: ManualClock::at(Timestamp::from_millis(ms)), page: Mutex::new(page), dir };
        clock.jump(0);
        clock
    }

    /// Milliseconds since 1970, or by how many the machine's date is off.
    pub fn set(&self, ms: i64) {
        self.write(|value| value.set(Timestamp::from_millis(ms)));
    }

    /// Moves by `ms`, backwards where negative.
    pub fn jump(&self, ms: i64) {
        self.write(|value| value.jump(ms));
    }

    /// The same date for whatever runs in this process. Only to be read: it is moved through the file.
    pub fn manual(&self) -> Arc<ManualClock> {
        assert!(self.mode == Mode::Absolute, "an offset is no date");
        Arc::clone(&self.value)
    }

    /// Lets the process that `command` starts go by this clock.
    pub fn preload(&self, command: &mut Command) {
        command.env("LD_PRELOAD", self.dir.path().join("shim.so")).env("RIG_CLOCK_FILE", self.dir.path().join("clock"));
    }

    fn write(&self, change: impl FnOnce(&ManualClock)) {
        let page = self.page.lock().unwrap();
        change(&self.value);
        let ms = self.value.now().as_millis();
        let mut pair = [0; 16];
        pair[..8].copy_from_slice(&ms.to_ne_bytes());
        pair[8..].copy_from_slice(&(!ms).to_ne_bytes());
        page.write_all_at(&pair, 8).unwrap();
    }
}

/// Compiled once in this process.
fn shim() -> &'static [u8] {
    static SHIM: OnceLock<Vec<u8>> = OnceLock::new();
    SHIM.get_or_init(|| compiled(include_str!("clock_shim.c")))
}
