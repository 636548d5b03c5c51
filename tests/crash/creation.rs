//! An embedded store whose creation, opening or settling died is opened the next time as if nothing had been.

use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use adjourn::faults::crash::VARIABLE;
use rustix::process::Signal;

use super::judge::rng::number_from;
use super::node::{Node, Setup};
use super::rig::process::PATIENCE;
use super::stage::pause;

const STEPS: [&str; 9] = [
    "open.locked",
    "create.written",
    "create.committed",
    "open.state",
    "segment.created",
    "segment.headed",
    "segment.named",
    "open.log",
    "state.settling",
];

#[tokio::test(flavor = "multi_thread")]
async fn embedded_a_store_whose_creation_died_at_any_step_opens_the_next_time() {
    let client = adjourn::tls::http(None).unwrap().no_proxy().pool_max_idle_per_host(0).timeout(Duration::from_secs(15)).build().unwrap();
    for round in 0..number_from("ADJOURN_CRASH_ROUNDS").unwrap_or(1) {
        for step in STEPS {
            let dir = tempfile::tempdir().unwrap();
            let store = format!("embedded:{}", dir.path().join("store").display());
            let mut node = Node::new(dir.path(), 1, store, None, Setup { lease_ms: 1_000, environment: Vec::new() });
            node.start_with(&[(VARIABLE, &format!("{step}:here:1"))]);
            let asked = Instant::now();
            let status = loop {
                if let Some(status) = node.ended() {
                    break status;
                }
                assert!(asked.elapsed() < PATIENCE, "round {round}: it never came to {step}");
                pause(5).await;
            };
            assert_eq!(status.signal(), Some(Signal::KILL.as_raw()), "round {round}, {step}: it ended otherwise, {status}");
            node.start();
            node.ready(&client).await;
            node.terminate();
        }
    }
}
