//! The command line as scripts see it: stdout, exit codes, and what goes over the wire.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy.toml excuses test functions, not their helpers

mod fake;
mod sending;
mod service;

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use assert_cmd::Command;

pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Runs `adjourn` against the service at `url`.
pub fn adjourn(url: &str, arguments: &[&str]) -> Ran {
    adjourn_reading(url, arguments, b"")
}

pub fn adjourn_reading(url: &str, arguments: &[&str], input: &[u8]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_adjourn"));
    let output = command.args(arguments).env("ADJOURN_URL", url).env_remove("ADJOURN_API_KEY").write_stdin(input).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

/// Nobody listens there: a port that only the system's administrator could open.
const NOWHERE: &str = "http://127.0.0.1:1";

#[test]
fn a_service_that_is_not_there_is_exit_code_5() {
    for arguments in [
        &["settings", "get", "-w", "acme"][..],
        &["conversations", "ls", "-w", "acme"],
        &["notifications", "tail"],
        &["events", "send", "-", "--patience", "1ms"],
    ] {
        let ran = adjourn_reading(NOWHERE, arguments, b"{}\n");
        assert_eq!((ran.code, ran.out.as_str()), (5, ""), "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains("adjourn serve"), "{}", ran.err);
    }
}

#[test]
fn usage_is_exit_code_2() {
    for arguments in [
        &[][..],
        &["close-everything"],
        &["settings", "set", "-w", "acme", "period"],
        &["events", "send", "-", "--speed", "fast"],
        &["events", "send", "-", "--rate", "0"],
        &["settings", "get", "-w", "acme", "--url", "ftp://x"],
        &["serve", "--listen", "everywhere"],
        &["serve", "--set", "nonsense=1"],
    ] {
        assert_eq!(adjourn(NOWHERE, arguments).code, 2, "{arguments:?}");
    }
}

#[test]
fn a_health_check_says_alive_or_not_by_its_exit_code() {
    let asked = |status: &str| {
        let fake = fake::Fake::start(vec![fake::answer(status, "", "")]);
        // Everywhere, as a container listens.
        let listen = fake.url.replace("http://127.0.0.1", "0.0.0.0");
        let ran = adjourn(NOWHERE, &["healthcheck", "--admin-listen", &listen]);
        assert!(fake.requests()[0].head.starts_with("GET /livez "));
        (ran.code, ran.out)
    };
    assert_eq!(asked("200 OK"), (0, String::new()));
    assert_eq!(asked("500 Internal Server Error"), (1, String::new()));
    let ran = adjourn(NOWHERE, &["healthcheck", "--admin-listen", "127.0.0.1:1"]);
    assert!(ran.code == 1 && ran.err.contains("127.0.0.1:1/livez"), "{}", ran.err);
}

/// Whatever the service was told, told the check as well, leads to the same port; the rest of it is no concern of the check.
#[test]
fn a_health_check_reads_the_configuration_of_the_service() {
    let fake = fake::Fake::start(vec![fake::answer("200 OK", "", "")]);
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("adjourn.toml");
    let listen = fake.url.replace("http://127.0.0.1", "0.0.0.0");
    std::fs::write(&file, format!("admin_listen = \"{listen}\"\nlisten = \"0.0.0.0:8080\"\n")).unwrap();
    let ran = adjourn(NOWHERE, &["healthcheck", "--ready", "--config", file.to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(fake.requests()[0].head.starts_with("GET /readyz "));
    assert_eq!(adjourn(NOWHERE, &["healthcheck", "--config", "/nowhere.toml"]).code, 2);
}

#[test]
fn a_list_that_was_cut_says_so_and_goes_on() {
    let page = |id: &str, next: &str| {
        let letter = format!(r#"{{"partition":1,"id":"{id}","accepted_at":null,"workspace":null,"conversation":null,"reason":"r"}}"#);
        fake::answer("200 OK", "", &format!(r#"{{"items":[{letter}],"next":{next}}}"#))
    };
    let fake = fake::Fake::start(vec![page("1-1", r#""1/1-1""#), page("2-1", "null")]);
    let ran = adjourn(&fake.url, &["dead-letters", "ls", "-o", "ndjson"]);
    assert_eq!((ran.code, ran.out.lines().count(), ran.err.as_str()), (0, 2, ""));
    let asked: Vec<String> = fake.requests().into_iter().map(|request| request.head.lines().next().unwrap().to_owned()).collect();
    assert_eq!(asked, ["GET /v1/dead-letters?limit=50 HTTP/1.1", "GET /v1/dead-letters?after=1%2F1-1&limit=49 HTTP/1.1"]);
    let fake = fake::Fake::start(vec![page("1-1", r#""1/1-1""#)]);
    let ran = adjourn(&fake.url, &["dead-letters", "ls", "--limit", "1"]);
    assert!(ran.out.contains("ACCEPTED AT") && ran.err.contains("--after 1/1-1"), "{}\n{}", ran.out, ran.err);
    fake.requests();
}

#[test]
fn completions_name_the_verbs() {
    for shell in ["bash", "zsh", "fish"] {
        let ran = adjourn(NOWHERE, &["completions", shell]);
        assert!(ran.code == 0 && ran.out.contains("rehearse"), "{shell}");
    }
}

#[test]
fn a_reader_that_hangs_up_is_no_error() {
    for arguments in [&["rehearse", "src/cli/demo/ubuntu-irc-slice.ndjson.gz", "--period", "1m"][..], &["completions", "bash"]] {
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_adjourn"))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        assert!(child.wait().unwrap().success(), "{arguments:?}");
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_event() {
    let event = r#"{"specversion":"1.0","id":"1","source":"/t","type":"inbox.message.v1","subject":"c","workspace":"w",
        "time":"2026-01-01T00:00:00Z","data":{"source":"user"}}"#;
    let marked = format!("\u{feff}{}", event.replace('\n', ""));
    let ran = adjourn_reading(NOWHERE, &["rehearse", "-", "--period", "5m", "-o", "ndjson"], marked.as_bytes());
    assert!(ran.code == 0 && ran.out.contains("2026-01-01T00:05:00.000Z"), "{}", ran.err);
}

#[test]
fn a_log_that_no_terminal_shows_has_no_colours() {
    let home = tempfile::tempdir().unwrap();
    let store = format!("embedded:{}", home.path().join("store").display());
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_adjourn"))
        .args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--store", &store, "--partitions", "1"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(line.contains("listening public_addr=127.0.0.1:") && !line.contains('\u{1b}'), "{line:?}");
}
