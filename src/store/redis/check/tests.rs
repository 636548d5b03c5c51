//! Against real servers, set up well and badly.

use std::sync::Arc;

use super::*;
use crate::clock::{ManualClock, WallClock};
use crate::domain::Timestamp;
use crate::store::redis::testing::{LOGIN, Server, cmd, link, until};

const STRICT: Durability = Durability { strict: true, replicas: 1 };

async fn look(server: &Server, wanted: Durability) -> Report {
    check(&server.link(), wanted, "adjourn", &WallClock).await
}

fn row<'a>(report: &'a Report, name: &str) -> &'a Row {
    report.rows.iter().find(|row| row.name == name).unwrap_or_else(|| panic!("no `{name}` in {report:?}"))
}

fn refused(report: &Report) -> Vec<&str> {
    report.refusals().map(|row| row.name).collect()
}

#[tokio::test]
async fn a_redis_set_up_as_it_should_be_is_fit() {
    let server = Server::start(&["--appendonly", "yes", "--appendfsync", "always", "--maxmemory", "100mb"]);
    let replica = Server::start(&["--replicaof", "127.0.0.1", &server.port.to_string()]);
    until("the replica follows", || replica.info("master_link_status") == "up");
    until("it is online", || server.info("slave0").contains("state=online"));
    server.ask::<()>(&["ACL", "SETUSER", "adjourn", "+config|get"]);
    let report = look(&server, STRICT).await;
    // Its patch level is that of the machine the tests run on.
    let warned: Vec<&str> = report.rows.iter().filter(|row| row.verdict != Verdict::Ok).map(|row| row.name).collect();
    assert!(warned.is_empty() || warned == ["server"], "{report:?}");
    let names: Vec<&str> = report.rows.iter().map(|row| row.name).collect();
    assert_eq!(names, ["transport", "server", "mode", "memory policy", "memory limit", "append-only file", "replicas", "rights", "clock"]);
    assert_eq!(row(&report, "rights").found, "adjourn: all that are needed");
}

#[tokio::test]
async fn a_redis_as_it_comes_is_warned_about_and_refused_where_events_must_be_safe() {
    let server = Server::start(&[]);
    let report = look(&server, Durability::default()).await;
    assert_eq!(report.verdict(), Verdict::Warning, "{report:?}");
    assert_eq!(row(&report, "memory limit").verdict, Verdict::Warning);
    assert!(row(&report, "append-only file").advice.contains("loses all since its last snapshot"));
    let report = look(&server, STRICT).await;
    assert_eq!(refused(&report), ["append-only file"]);
    assert_eq!(row(&report, "replicas").found, format!("0 online, 1 wanted (127.0.0.1:{})", server.port));
}

#[tokio::test]
async fn what_a_crash_can_lose_is_said_and_what_cannot_be_seen_too() {
    let server = Server::start(&["--appendonly", "yes"]);
    assert!(row(&look(&server, STRICT).await, "append-only file").advice.contains("cannot be seen"));
    server.ask::<()>(&["ACL", "SETUSER", "adjourn", "+config|get"]);
    let standard = look(&server, Durability::default()).await;
    assert!(row(&standard, "append-only file").advice.contains("the last two seconds"));
    assert_eq!(refused(&look(&server, STRICT).await), ["append-only file"]);
}

#[tokio::test]
async fn a_redis_that_throws_things_away_is_refused() {
    let server = Server::start(&["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]);
    assert_eq!(refused(&look(&server, Durability::default()).await), ["memory policy"]);
}

#[tokio::test]
async fn a_cluster_behind_a_url_for_one_server_is_refused() {
    let server = Server::start(&["--cluster-enabled", "yes"]);
    let report = look(&server, Durability::default()).await;
    assert_eq!(refused(&report), ["mode"]);
    assert!(row(&report, "mode").advice.contains("redis+cluster://"));
}

#[tokio::test]
async fn a_right_that_is_missing_is_named() {
    let server = Server::start(&[]);
    server.ask::<()>(&["ACL", "SETUSER", "adjourn", "-xadd", "-zadd"]);
    let report = look(&server, Durability::default()).await;
    assert!(row(&report, "rights").found.starts_with("adjourn: not xadd, zadd"), "{report:?}");
    assert_eq!(refused(&report), ["rights"]);
    server.ask::<()>(&["ACL", "SETUSER", "adjourn", "-acl|dryrun"]);
    let report = look(&server, Durability::default()).await;
    assert_eq!(row(&report, "rights").verdict, Verdict::Warning);
    assert!(row(&report, "rights").advice.contains("acl|dryrun"));
}

#[tokio::test]
async fn a_clock_that_is_off_is_noticed_either_way() {
    let server = Server::start(&[]);
    let now = WallClock.now().as_millis();
    let found = async |off: i64| {
        let clock: Arc<ManualClock> = ManualClock::at(Timestamp::from_millis(now + off));
        row(&check(&server.link(), Durability::default(), "adjourn", &*clock).await, "clock").clone()
    };
    let behind = found(60_000).await;
    assert!(behind.verdict == Verdict::Warning && behind.found.contains("ms behind this machine"), "{behind:?}");
    let ahead = found(-60_000).await;
    assert!(ahead.verdict == Verdict::Warning && ahead.found.contains("ms ahead of this machine"), "{ahead:?}");
}

#[tokio::test]
async fn a_redis_that_is_away_is_refused_with_the_reason() {
    let report = check(&link("redis://127.0.0.1:1"), Durability::default(), "adjourn", &WallClock).await;
    assert_eq!(refused(&report), ["connection"]);
    assert!(row(&report, "connection").found.contains("refused"), "{report:?}");
}

#[tokio::test]
async fn the_rights_end_at_our_keys_and_channels() {
    let server = Server::start(&[]);
    let ours = link(&format!("redis://{LOGIN}@127.0.0.1:{}", server.port));
    for words in [
        &["FLUSHALL"][..],
        &["KEYS", "*"],
        &["CONFIG", "SET", "maxmemory", "1"],
        &["EVAL", "return 1", "0"],
        &["HGET", "other", "f"],
        &["PUBLISH", "other", "word"],
        &["ACL", "LIST"],
        &["SHUTDOWN"],
    ] {
        let outcome = ours.run(cmd(words)).await;
        assert!(matches!(&outcome, Err(LinkError::Server(error)) if &*error.code == "NOPERM"), "{words:?}: {outcome:?}");
    }
}

#[test]
fn versions_before_6_2_are_too_old_and_valkey_counts_by_its_own() {
    let server = |info: &str| Seen { info: info.into(), appendfsync: Ok(String::new()), rights: Vec::new() }.server();
    for (version, verdict) in [
        ("6.0.16", Verdict::Refused),
        ("5.0.14", Verdict::Refused),
        ("6.2.0", Verdict::Warning),
        ("6.2.20", Verdict::Ok),
        ("10.0.1", Verdict::Ok),
    ] {
        assert_eq!(server(&format!("redis_version:{version}\r\n")).verdict, verdict, "{version}");
    }
    assert_eq!(server("redis_version:7.2.4\r\nvalkey_version:8.0.1\r\n").found, "Valkey 8.0.1");
}

#[test]
fn row_12_plain_text_beyond_this_machine_is_warned_about() {
    let row = |url: &str| transport(&url.parse().unwrap());
    for local in
        ["redis://localhost", "redis://127.0.0.1:7", "redis://[::1]", "redis+unix:///run/redis.sock", "redis+sentinel://127.0.0.1/m"]
    {
        assert_eq!((row(local).verdict, &*row(local).found), (Verdict::Ok, "within this machine"), "{local}");
    }
    for tls in ["rediss://redis.example.com", "rediss+cluster://n1,n2"] {
        assert_eq!((row(tls).verdict, &*row(tls).found), (Verdict::Ok, "TLS"), "{tls}");
    }
    for plain in ["redis://u:hidden@redis.example.com", "redis+cluster://127.0.0.1,10.0.0.1:7", "redis+sentinel://s1,127.0.0.1/m"] {
        let row = row(plain);
        assert_eq!(row.verdict, Verdict::Warning, "{plain}");
        assert!(row.advice.contains("rediss://") && !row.found.contains("hidden"), "{row:?}");
    }
}
