//! Every fuzz target: the check that has this binary's name, with no more memory than its input deserves.

#![no_main]

#[path = "checks/mod.rs"]
mod checks;

use std::alloc::System;

use cap::Cap;
use libfuzzer_sys::fuzz_target;

/// What any input may take beside its own multiple: tables that are set up once, a message of a failed check.
const ROOM: usize = 2 << 20;
/// Bytes of memory for one byte of input. The worst is a list of events, each with a name and a reason of its own.
const ROOM_PER_BYTE: usize = 2_048;

/// An allocation beyond the limit fails, which ends the process: the fuzzer keeps what led there.
#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

fuzz_target!(|data: &[u8]| {
    let limit = MEMORY.allocated() + ROOM + ROOM_PER_BYTE * data.len();
    // Growing only: what the fuzzer itself holds is in no bound of ours.
    let _ = MEMORY.set_limit(limit);
    checks::run(env!("CARGO_BIN_NAME"), data);
    let _ = MEMORY.set_limit(usize::MAX);
});
