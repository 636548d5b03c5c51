//! The corpus of the fuzz targets (`tests/fuzz`), replayed by the checks that the fuzzer runs: on every `cargo test`, without
//! a fuzzer.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy.toml excuses test functions, not their helpers

#[path = "fuzz/checks/mod.rs"]
mod checks;

use std::alloc::System;
use std::fs;
use std::path::{Path, PathBuf};

use cap::Cap;

/// For all that runs here at a time; the largest of these inputs has some kilobytes.
#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, 256 << 20);

/// Of the whole corpus, in bytes.
const CORPUS_MAX: u64 = 1 << 20;

fn corpus(decoder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(decoder);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Security row 19: each input that was worth keeping, by its decoder's check. To run one alone: its file to the same
/// target, `tests/fuzz/run 0 DECODER FILE`.
#[test]
fn row_19_the_corpus_of_every_decoder_holds() {
    let mut bytes = 0;
    for (decoder, _) in checks::DECODERS {
        let files = corpus(decoder);
        assert!(files.len() >= 3, "{decoder}: {} inputs", files.len());
        for file in files {
            let input = fs::read(&file).unwrap();
            bytes += input.len() as u64;
            // A check that fails says what; this says of which file.
            if std::panic::catch_unwind(|| checks::run(decoder, &input)).is_err() {
                panic!("{}", file.display());
            }
        }
    }
    assert!(bytes <= CORPUS_MAX, "{bytes} bytes of corpus: minimise it");
}
