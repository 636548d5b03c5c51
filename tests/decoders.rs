//! The corpus of the fuzz targets (`tests/fuzz`), replayed by the checks that the fuzzer runs: on every `cargo test`, without
//! a fuzzer.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy.toml excuses test functions, not their helpers

#[path = "fuzz/checks/mod.rs"]
mod checks;
#[path = "judge/rng.rs"]
mod rng;

use std::alloc::System;
use std::fs;
use std::path::{Path, PathBuf};

use adjourn::domain::{Event, EventKind, Settings};
use adjourn::store::record;
use adjourn::wire::{Parsed, parse_json};
use cap::Cap;
use rng::{Rng, number_from};

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

/// The checks themselves: each of these is a decoder with a mistake.
#[test]
fn row_19_a_decoder_with_a_mistake_does_not_pass() {
    let fails = |what: &str, check: &dyn Fn()| {
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).is_err(), "{what} went unnoticed");
    };
    let golden = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus/record_settings/golden")).unwrap();
    let forgets = |settings: &Settings| record::encode_settings(&Settings { echo_arms: false, ..settings.clone() });
    fails("a field that is not written", &|| checks::stored::check(&golden, record::decode_settings, forgets));
    let any_version = |bytes: &[u8]| match bytes {
        [_, rest @ ..] => record::decode_settings(&[&[record::FORM_OLDEST], rest].concat()),
        [] => record::decode_settings(bytes),
    };
    let other = [&[record::FORM_VERSION + 1], &golden[1..]].concat();
    fails("a version that is not looked at", &|| checks::stored::check(&other, any_version, record::encode_settings));
    fails("no reason", &|| checks::presentable(""));
    fails("a reason that moves the cursor", &|| checks::presentable("no such thing: \u{1b}[31m"));
    fails("a reason without end", &|| checks::presentable(&"x".repeat(2_000)));
    let text = r#"{"specversion":"1.0","id":"m","source":"s","type":"inbox.message.v1","subject":"c","workspace":"w",
        "time":"2026-11-22T10:00:00Z","data":{"source":"user","agent":"ana"}}"#;
    let Ok(Parsed::Event(event)) = parse_json(text.as_bytes()) else { panic!("it is an event") };
    let nobody = Event { kind: EventKind::MessageFailed { message_id: "".into() }, ..event };
    fails("an event that no form can carry", &|| checks::events::judge(Ok(Parsed::Event(nobody.clone()))));
}

/// Changed inputs for each decoder here, at every `cargo test`. The fuzzer, which sees where they lead, makes millions.
const ROUNDS: u64 = 2_000;

/// `ADJOURN_TEST_SEED=N` replays a run; `ADJOURN_TEST_ROUNDS=N` makes it longer.
#[test]
fn row_19_changed_inputs_hold_as_well() {
    let seed = number_from("ADJOURN_TEST_SEED").unwrap_or_else(|| std::process::id().into());
    let rounds = number_from("ADJOURN_TEST_ROUNDS").unwrap_or(ROUNDS);
    for (decoder, _) in checks::DECODERS {
        let inputs: Vec<Vec<u8>> = corpus(decoder).iter().map(|file| fs::read(file).unwrap()).collect();
        let mut rng = Rng::new(seed);
        for round in 0..rounds {
            let input = changed(&inputs, &mut rng);
            if std::panic::catch_unwind(|| checks::run(decoder, &input)).is_err() {
                let replay = format!("ADJOURN_TEST_SEED={seed} ADJOURN_TEST_ROUNDS={rounds} cargo test --test decoders changed");
                panic!("{decoder}, round {round}: {}\n{replay}", input.escape_ascii());
            }
        }
    }
}

/// One of these inputs after one to four changes: a byte, a piece doubled, moved, cut out, or of another input.
fn changed(inputs: &[Vec<u8>], rng: &mut Rng) -> Vec<u8> {
    const TELLING: &[u8] = b"\x00\x01\x7f\x80\x90\x92\xc0\xc1\xc4\xd9\xdc\xdd\xdf\xff\"\\{}[],:\n\r\x1b %-+.0";
    let mut below = |bound: usize| rng.below(bound as u64) as usize;
    let mut input = inputs[below(inputs.len())].clone();
    for _ in 0..=below(4) {
        let at = below(input.len() + 1);
        let end = at + below((input.len() - at).min(40) + 1);
        match below(6) {
            0 if at < input.len() => input[at] ^= 1 << below(8),
            1 if at < input.len() => input[at] = TELLING[below(TELLING.len())],
            2 => input.insert(at, TELLING[below(TELLING.len())]),
            3 => drop(input.drain(at..end)),
            4 => {
                let piece = input[at..end].to_vec();
                input.splice(at..at, piece);
            }
            _ => {
                let other = &inputs[below(inputs.len())];
                let from = below(other.len() + 1);
                let piece = other[from..(from + below(40)).min(other.len())].to_vec();
                input.splice(at..at, piece);
            }
        }
    }
    input
}
