//! The `docker` command, and the few others that faults take: each with a limit, none hangs a test.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::LazyLock;
use std::time::Duration;

use crate::patience::eventually_every;

/// For what the engine does at once: it may be busy, it may not be gone.
pub const PROMPT_S: u32 = 60;
/// For building an image or starting a project on a busy machine.
pub const PATIENT_S: u32 = 600;

/// Runs a command for at most so many seconds.
pub fn run(limit_s: u32, program: &str, arguments: &[&str]) -> Output {
    let mut command = limited(limit_s, program, arguments);
    command.output().unwrap_or_else(|error| panic!("{program}: {error}"))
}

/// The command, killed when it takes longer.
pub fn limited(limit_s: u32, program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("timeout");
    command.arg("--kill-after=5").arg(limit_s.to_string()).arg(program).args(arguments);
    command
}

/// What it wrote to stdout; whatever is not a success fails the test.
pub fn told(output: &Output, what: &str) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    assert!(output.status.success(), "{what}: {}\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

pub fn docker(arguments: &[&str]) -> String {
    told(&run(PROMPT_S, "docker", arguments), &format!("docker {}", arguments.join(" ")))
}

/// Builds the image `tag` of a directory; answers when it is there.
pub fn build(tag: &str, directory: &Path, arguments: &[&str]) {
    let directory = directory.to_str().unwrap();
    let all = [&["build", "--tag", tag][..], arguments, &[directory]].concat();
    told(&run(PATIENT_S, "docker", &all), &format!("docker {}", all.join(" ")));
}

/// Whether there is an engine to test with. Where there is none, everybody who watches is told so, captured or not.
pub fn answers() -> bool {
    static ANSWERS: LazyLock<bool> = LazyLock::new(|| {
        let engine = limited(PROMPT_S, "docker", &["info"]).output();
        let answers = engine.is_ok_and(|told| told.status.success());
        if !answers {
            assert!(std::env::var("ADJOURN_TEST_DOCKER").as_deref() != Ok("required"), "no Docker engine answers `docker info`");
            let _ = writeln!(std::io::stderr(), "compose: no Docker engine answers, NOT RUN");
        }
        answers
    });
    *ANSWERS
}

/// The compose command of this machine: the plugin of today, or the program of old.
pub fn compose() -> (&'static str, &'static [&'static str]) {
    static PLUGIN: LazyLock<bool> = LazyLock::new(|| run(PROMPT_S, "docker", &["compose", "version"]).status.success());
    if *PLUGIN { ("docker", &["compose"]) } else { ("docker-compose", &[]) }
}

/// Asks again and again until the answer is yes: each question is a command, and takes its time.
pub async fn until(what: &str, asked: impl AsyncFnMut() -> bool) {
    eventually_every(Duration::from_millis(50), what, asked).await;
}
