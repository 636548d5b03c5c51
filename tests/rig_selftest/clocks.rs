//! Redis goes by the date it is given.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use adjourn::clock::{Clock, Stopwatch, WallClock};
use adjourn::domain::Timestamp;
use redis::{Connection, Value, cmd};

use super::rig::clock::ClockFile;
use super::rig::process::{self, PATIENCE, Process, free_port, wait_until};
use super::rig::server::{Options, Server};

const DAY: i64 = 86_400_000;
const START: i64 = 1_000_000;

fn going_by(clock: ClockFile) -> (Server, Arc<ClockFile>) {
    let clock = Arc::new(clock);
    (Server::start(Options { clock: Some(Arc::clone(&clock)), ..Options::default() }), clock)
}

fn standing() -> (Server, Arc<ClockFile>) {
    going_by(ClockFile::absolute(Timestamp::from_millis(START)))
}

/// Milliseconds.
fn time(connection: &mut Connection) -> i64 {
    let (seconds, micros): (i64, i64) = cmd("TIME").query(connection).unwrap();
    seconds * 1_000 + micros / 1_000
}

fn time_in_script(connection: &mut Connection) -> i64 {
    let script = "local t = redis.call('TIME') return t[1] * 1000 + math.floor(t[2] / 1000)";
    cmd("EVAL").arg(script).arg(0).query(connection).unwrap()
}

fn add(connection: &mut Connection) -> String {
    cmd("XADD").arg("stream").arg("*").arg("f").arg("v").query(connection).unwrap()
}

#[test]
fn a_standing_clock_is_what_redis_says_everywhere() {
    let (server, clock) = standing();
    let mut redis = server.connection();
    assert_eq!((time(&mut redis), time_in_script(&mut redis)), (START, START));
    assert_eq!([add(&mut redis), add(&mut redis)], ["1000000-0", "1000000-1"]);
    clock.jump(1_234);
    assert_eq!((time(&mut redis), time_in_script(&mut redis)), (1_001_234, 1_001_234));
    assert_eq!(add(&mut redis), "1001234-0");
    clock.set(5 * DAY);
    assert_eq!((time(&mut redis), add(&mut redis)), (5 * DAY, "432000000-0".to_owned()));
    assert_eq!(clock.manual().now().as_millis(), 5 * DAY);
}

#[test]
fn ids_stay_where_they_were_when_the_clock_goes_back() {
    let (server, clock) = standing();
    let mut redis = server.connection();
    add(&mut redis);
    clock.jump(-500);
    assert_eq!((time(&mut redis), add(&mut redis)), (START - 500, "1000000-1".to_owned()));
}

#[test]
fn keys_expire_by_the_clock() {
    let (server, clock) = standing();
    let mut redis = server.connection();
    cmd("SET").arg("key").arg("x").arg("PX").arg(10_000).exec(&mut redis).unwrap();
    clock.jump(9_999);
    assert!(cmd("EXISTS").arg("key").query::<bool>(&mut redis).unwrap());
    clock.jump(2);
    assert!(!cmd("EXISTS").arg("key").query::<bool>(&mut redis).unwrap());
}

#[test]
fn an_offset_clock_runs() {
    let (server, clock) = going_by(ClockFile::offset());
    let mut redis = server.connection();
    for off_by in [0, DAY, -DAY] {
        clock.set(off_by);
        let difference = time(&mut redis) - WallClock.now().as_millis();
        assert!((difference - off_by).abs() < 5_000, "off by {difference} instead of {off_by}");
    }
    let before = time(&mut redis);
    wait_until("it moves by itself", || time(&mut redis) > before);
}

#[test]
fn a_blocking_read_ends_when_the_clock_passes_its_limit() {
    let (server, clock) = standing();
    let (mut redis, mut other) = (server.connection(), server.connection());
    let reader = thread::spawn(move || cmd("XREAD").arg("BLOCK").arg(50).arg("STREAMS").arg("stream").arg("$").query::<Value>(&mut redis));
    let blocked = |redis: &mut Connection| cmd("INFO").arg("clients").query::<String>(redis).unwrap().contains("blocked_clients:1");
    wait_until("the reader is blocked", || blocked(&mut other));
    thread::sleep(Duration::from_millis(500));
    assert!(blocked(&mut other), "its 50 ms are long over, but not by this clock");
    clock.jump(51);
    assert_eq!(reader.join().unwrap().unwrap(), Value::Nil);
}

/// A node on the embedded store takes events up to five minutes ahead of its date (D9).
#[tokio::test]
async fn adjourn_itself_goes_by_the_clock() {
    let (clock, dir, [port, admin_port]) = (ClockFile::offset(), tempfile::tempdir().unwrap(), [free_port(), free_port()]);
    let mut command = process::command(env!("CARGO_BIN_EXE_adjourn"));
    command.args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--admin-listen", &format!("127.0.0.1:{admin_port}")]);
    command.arg("--store").arg(format!("embedded:{}", dir.path().join("store").display())).args(["--partitions", "1"]);
    clock.preload(&mut command);
    let node = Process::start(command, &dir.path().join("log"));
    let client = adjourn::tls::http(None).unwrap().no_proxy().build().unwrap();
    let ready =
        async || client.get(format!("http://127.0.0.1:{admin_port}/readyz")).send().await.is_ok_and(|answer| answer.status() == 200);
    let asked = Stopwatch::start();
    while !ready().await {
        assert!(asked.elapsed() < PATIENCE, "not ready:\n{}", node.last_words());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let status = async |id: &str, ahead: i64| {
        let event = client.post(format!("http://127.0.0.1:{port}/v1/events")).header("content-type", "application/cloudevents+json");
        event.body(message(id, ahead)).send().await.unwrap().status().as_u16()
    };
    assert_eq!((status("1", 0).await, status("2", DAY).await), (202, 422));
    clock.jump(DAY);
    assert_eq!((status("3", DAY).await, status("4", 2 * DAY).await), (202, 422));
}

fn message(id: &str, ahead: i64) -> String {
    let time = chrono::DateTime::from_timestamp_millis(WallClock.now().as_millis() + ahead).unwrap().to_rfc3339();
    format!(
        r#"{{"specversion":"1.0","id":"{id}","source":"/rig","type":"inbox.message.v1","subject":"c","workspace":"w","time":"{time}",
            "data":{{"source":"contact"}}}}"#
    )
}
