//! A power loss, for files that are only appended to: a few lines of C (`power_shim.c`), preloaded into a process, note how
//! long each file was when it was last brought to the disk; once the process is killed, what came after is cut off.
//!
//! The same lines let a disk be full.
//!
//! A real power loss may keep some of the rest, in any order; of what is only appended to, losing all of it is the worst.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::shim::compiled;

/// Compiles the shim into `dir`, and lets the process that `command` starts note there what is safe.
pub fn preload(dir: &Path, command: &mut Command) {
    let object = dir.join("power_shim.so");
    if !object.exists() {
        fs::write(&object, compiled(include_str!("power_shim.c"))).unwrap();
    }
    command.env("LD_PRELOAD", object).env("RIG_POWER_FILE", notes(dir)).env("RIG_FULL_FILE", full(dir));
}

/// Cuts each of these off where it was last synced; how many bytes that took. Nobody may have them open.
pub fn lose(dir: &Path, files: &[PathBuf]) -> u64 {
    let mut safe: BTreeMap<PathBuf, u64> = BTreeMap::new();
    for line in fs::read_to_string(notes(dir)).expect("the shim noted something").lines() {
        let (len, path) = line.split_once(' ').unwrap();
        // Two threads may note in another order than they synced in: what was safe once is safe.
        let len: u64 = len.parse().unwrap();
        let known = safe.entry(path.into()).or_default();
        *known = len.max(*known);
    }
    let mut lost = 0;
    for path in files {
        let (len, kept) = (fs::metadata(path).unwrap().len(), safe.get(path).copied().unwrap_or(0));
        if kept < len {
            OpenOptions::new().write(true).open(path).unwrap().set_len(kept).unwrap();
            lost += len - kept;
        }
    }
    lost
}

/// While this file is there, nothing can be written to what is appended to: the disk is full.
pub fn full(dir: &Path) -> PathBuf {
    dir.join("full")
}

fn notes(dir: &Path) -> PathBuf {
    dir.join("synced")
}
