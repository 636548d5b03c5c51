//! What the compiler cannot see, read from the sources.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml excuses test functions, not their helpers

use std::fs;
use std::path::{Path, PathBuf};

/// The house, from the ground up. A module may use what is below it, never what is above; a roof's rooms stand on one
/// floor and may use each other. `wire` stands below the clock: a format knows no time of day.
const FLOORS: &[&[&str]] = &[
    &["faults"],
    &["domain"],
    &["wire"],
    &["clock", "chance", "tls"],
    &["store"],
    &["actors"],
    &["edge"],
    &["config", "telemetry", "app"],
    &["cli"],
];

/// Longer than this a file wants to be two.
const FILE_LINES_MAX: usize = 500;
/// Files that may be longer, each with its reason.
const LONG_FILES: &[(&str, &str)] = &[];

/// Only these ask the machine for the time; everybody else asks a `Clock` or a `Stopwatch`.
const CLOCKS: &[&str] = &["src/clock.rs"];

struct Source {
    /// From the root of the repository, with slashes.
    path: String,
    text: String,
}

impl Source {
    /// Without comments: they may speak of every floor.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(n, line)| (n + 1, line.split("//").next().unwrap_or_default()))
    }

    /// The module directly under the crate's root that this file belongs to.
    fn module(&self) -> &str {
        let below = self.path.strip_prefix("src/").unwrap_or(&self.path);
        below.split('/').next().unwrap_or(below).trim_end_matches(".rs")
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    collect(&root().join(folder), &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn collect(folder: &Path, found: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
            found.push(Source { path: name, text: fs::read_to_string(&path).unwrap() });
        }
    }
}

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&module))
}

/// The modules under the root that a piece of code names: `crate::store::…`, `use crate::{clock, store::Store}`.
fn modules_named(code: &str) -> Vec<&str> {
    let mut named = Vec::new();
    for (start, _) in code.match_indices("crate::") {
        let own_path = !code[..start].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$');
        let rest = &code[start + "crate::".len()..];
        match rest.strip_prefix('{') {
            _ if !own_path => {}
            None => named.push(first_word(rest)),
            Some(group) => named.extend(members(group).into_iter().map(first_word)),
        }
    }
    named
}

/// The members of a `{…}` whose opening brace is gone already, however deep they nest.
fn members(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => {
                found.push(&group[start..at]);
                return found;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found
}

fn first_word(path: &str) -> &str {
    let path = path.trim_start();
    &path[..path.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(path.len())]
}

#[test]
fn imports_are_found_however_they_are_written() {
    assert_eq!(modules_named("use crate::store::Store;"), ["store"]);
    assert_eq!(modules_named("use crate::{clock, store::{Store, memory}, domain::Event};"), ["clock", "store", "domain"]);
    assert_eq!(modules_named("let x = crate::app::App::build(crate::config::load());"), ["app", "config"]);
    assert_eq!(modules_named("use mycrate::app; use super::app;"), [""; 0]);
}

#[test]
fn imports_point_down() {
    for source in sources("src") {
        let Some(own) = floor(source.module()) else {
            assert!(["lib", "main"].contains(&source.module()), "{}: which floor is this? Add it to FLOORS", source.path);
            continue;
        };
        let code: String = source.code().map(|(_, line)| format!("{line}\n")).collect();
        for module in modules_named(&code) {
            if let Some(other) = floor(module) {
                assert!(other <= own, "{}: `{}` must not know `{module}`, which stands above it", source.path, source.module());
            }
        }
    }
}

#[test]
fn the_front_door_only_opens_the_cli() {
    let main = fs::read_to_string(root().join("src/main.rs")).unwrap();
    assert!(main.lines().count() <= 20, "src/main.rs: what a verb does belongs in src/cli");
}

#[test]
fn only_clock_reads_the_time() {
    let readings = ["Instant::now", "SystemTime::now", "Utc::now", "Local::now", "clock_gettime"];
    for source in sources("src").iter().filter(|source| !CLOCKS.contains(&source.path.as_str())) {
        for (number, line) in source.code() {
            for reading in readings {
                assert!(!line.contains(reading), "{}:{number}: `{reading}` belongs in src/clock.rs alone", source.path);
            }
        }
    }
}

#[test]
fn the_ground_floor_is_pure() {
    for source in sources("src/domain") {
        for (number, line) in source.code() {
            for foreign in ["async fn", "tokio::", "actix", "serde", "std::fs", "std::net", "std::io"] {
                assert!(!line.contains(foreign), "{}:{number}: `{foreign}` has no place in the domain", source.path);
            }
        }
    }
}

#[test]
fn no_file_is_too_long() {
    for source in ["src", "tests", "benches"].iter().flat_map(|folder| sources(folder)) {
        let excused = LONG_FILES.iter().any(|(path, _)| *path == source.path);
        let lines = source.text.lines().count();
        assert!(excused || lines <= FILE_LINES_MAX, "{} has {lines} lines, {FILE_LINES_MAX} are allowed", source.path);
        assert!(!excused || lines > FILE_LINES_MAX, "{} is short again: take it off LONG_FILES", source.path);
    }
}

#[test]
fn nothing_is_left_for_later() {
    let marks = [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("#[ign", "ore"), concat!("TO", "DO"), concat!("FIX", "ME")];
    for source in ["src", "tests", "benches"].iter().flat_map(|folder| sources(folder)) {
        for (number, line) in source.text.lines().enumerate() {
            let found = marks.iter().find(|mark| line.contains(**mark));
            assert!(found.is_none(), "{}:{}: `{}` is an issue's business", source.path, number + 1, found.unwrap_or(&""));
        }
    }
}

/// Security row 15: what Redis runs is what stands in the files. No text of a request becomes part of a script, whoever
/// sent it; it is an argument.
#[test]
fn row_15_scripts_are_constants() {
    for source in sources("src") {
        let own = source.text.split("#[cfg(test)]").next().unwrap();
        let tested = source.path.contains("/tests/") || source.path.ends_with("testing.rs");
        for (start, _) in own.match_indices("Script::new(").filter(|_| !tested) {
            let argument = &own[start + "Script::new(".len()..];
            // The one place takes a file as it is, or behind a line that says what the server may let it do.
            let constant =
                argument.starts_with("source.to_owned()") || argument.starts_with("format!(\"#!lua flags=allow-oom\\n{source}\")");
            assert!(source.path.ends_with("/scripts.rs") && constant, "{}: {:.60}", source.path, argument);
        }
    }
    let scripts = root().join("src/store/redis/script");
    for entry in fs::read_dir(scripts).unwrap() {
        let (path, text) = entry.map(|entry| (entry.path(), fs::read_to_string(entry.path()).unwrap())).unwrap();
        for word in ["loadstring", "load(", "dofile", "require", "getfenv", "setfenv", "_G"] {
            assert!(!text.contains(word), "{}: `{word}` makes code of data", path.display());
        }
        for call in ["redis.call(", "redis.pcall("] {
            let named = text.split(call).skip(1).all(|rest| rest.starts_with('\''));
            assert!(named, "{}: a command that is not written out", path.display());
        }
    }
    let calls = fs::read_to_string(root().join("src/store/redis/scripts.rs")).unwrap();
    let files = calls.matches("include_str!(\"script/").count();
    assert_eq!(calls.matches("plain(").count() + calls.matches("roomy(").count(), files + 1, "each script is a file");
}

/// Who looks at a graph at three in the morning reads what it shows, and not the code that tells it.
#[test]
fn every_metric_says_what_it_is() {
    let described = fs::read_to_string(root().join("src/telemetry.rs")).unwrap();
    for source in sources("src") {
        for (at, _) in source.text.match_indices("\"adjourn_") {
            let before = source.text[..at].trim_end();
            let is_told = ["counter!(", "gauge!(", "histogram!("].iter().any(|told| before.ends_with(told));
            let name = source.text[at + 1..].split('"').next().unwrap();
            let description = format!("!(\"{name}\", \"");
            assert!(!is_told || described.contains(&description), "{}: {name} is not described in src/telemetry.rs", source.path);
        }
    }
}
