//! How a service comes up on a Redis that is away, not to be used, or fine: as processes, the way operators see it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy.toml excuses test functions, not their helpers

#[path = "../rig/mod.rs"]
mod rig;
mod secrets;
mod service;
mod verbs;

use rig::server::{Options, Server};
use service::{Service, problem};

const AWAY: &str = "the store cannot be opened yet; trying again";

/// A port where a Redis was and will be again.
fn server_away() -> Server {
    let mut server = Server::start(Options::default());
    server.kill();
    server
}

#[tokio::test]
async fn a_service_waits_for_its_redis_and_says_so() {
    let mut server = server_away();
    let service = Service::start(&server.url(), &["--partitions", "4"], &[]);
    service.until_missing("Connection refused").await;
    assert_eq!(service.admin("/livez").await.0, 200, "a restart would not help");
    let (status, text) = service.admin("/startupz").await;
    assert!(status == 503 && text.starts_with("[-]store ") && text.ends_with("not ready\n"), "{text}");
    for path in ["/v1/topology", "/v1/notifications", "/v1/workspaces/acme/conversations", "/nowhere"] {
        assert_eq!(problem(service.get(path).await).await, (503, "store-unavailable".into(), Some(2)), "{path}");
    }
    assert_eq!(problem(service.post("m-1").await).await, (503, "store-unavailable".into(), Some(2)));

    server.restart();
    service.until_ready().await;
    assert_eq!(service.post("m-1").await.status(), 200);
    assert_eq!(service.get("/v1/topology").await.json::<serde_json::Value>().await.unwrap()["partitions"], 4);
    assert_eq!(service.admin("/startupz").await.0, 200);
    assert_eq!((service.said(AWAY), service.said("the store is open")), (1, 1), "{}", service.log());
    service.stop();
}

#[tokio::test]
async fn asked_to_stop_while_it_waits_it_ends_well() {
    let server = server_away();
    let service = Service::start(&server.url(), &[], &[]);
    service.until_missing("Connection refused").await;
    service.stop();
}

/// A large body to a service that cannot take it: its sender reads the answer instead of a broken connection.
#[tokio::test]
async fn whoever_sends_much_is_told_as_well() {
    let server = server_away();
    let service = Service::start(&server.url(), &[], &[]);
    let many = format!("[{}]", "1,".repeat(2_000_000));
    assert_eq!(problem(service.post_raw(many).await).await.1, "store-unavailable");
    service.stop();
}

#[tokio::test]
async fn another_number_of_partitions_is_refused() {
    let server = Server::start(Options::default());
    let service = Service::start(&server.url(), &["--partitions", "4"], &[]);
    service.until_ready().await;
    service.stop();
    let said = Service::start(&server.url(), &["--partitions", "8"], &[]).gave_up();
    assert!(said.starts_with("adjourn: store: redis://127.0.0.1:") && said.contains("ask for 4 or for none"), "{said}");
    let service = Service::start(&server.url(), &[], &[]);
    service.until_ready().await;
    service.stop();
}

#[tokio::test]
async fn a_redis_that_throws_things_away_is_refused() {
    let server = Server::start(Options::default().line("maxmemory 100mb").line("maxmemory-policy allkeys-lru"));
    let said = Service::start(&server.url(), &[], &[]).gave_up();
    assert!(said.contains("allkeys-lru") && said.contains("set maxmemory-policy noeviction"), "{said}");
}

#[tokio::test]
async fn strict_needs_a_redis_that_writes_before_it_answers() {
    let server = Server::start(Options::default());
    let said = Service::start(&server.url(), &["--durability", "strict"], &[]).gave_up();
    assert!(said.contains("append-only file: off"), "{said}");
}

/// It is set on the server by somebody else, perhaps after we were started.
#[tokio::test]
async fn a_wrong_password_is_waited_for() {
    let server = Server::start(Options::default());
    let admin = |rule: &str| {
        let mut command = redis::cmd("ACL");
        command.arg("SETUSER").arg("app").arg(rule.split(' ').collect::<Vec<_>>()).exec(&mut server.connection()).unwrap();
    };
    admin("reset on >before ~* &* +@all");
    let store = server.url().replace("redis://", "redis://app@");
    let service = Service::start(&store, &["--partitions", "4"], &[("ADJOURN__REDIS__PASSWORD", "s3cret-after")]);
    service.until_missing("authentication failed").await;
    admin(">s3cret-after");
    service.until_ready().await;
    assert!(!service.log().contains("s3cret"), "{}", service.log());
    service.stop();
}

#[tokio::test]
async fn two_installations_share_a_redis_without_meeting() {
    let server = Server::start(Options::default());
    let start = |prefix: &str, partitions: &str| {
        let prefix = format!("redis.prefix={prefix}");
        Service::start(&server.url(), &["--partitions", partitions, "--set", &prefix], &[])
    };
    let (one, other) = (start("one", "4"), start("other", "2"));
    one.until_ready().await;
    other.until_ready().await;
    assert_eq!(one.post("m-1").await.status(), 200);
    assert_eq!(one.get("/v1/workspaces/acme/conversations/c-1").await.status(), 200);
    assert_eq!(other.get("/v1/workspaces/acme/conversations/c-1").await.status(), 404);
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut server.connection()).unwrap();
    assert!(keys.iter().all(|key| key.starts_with("one:") || key.starts_with("other:")), "{keys:?}");
    one.stop();
    other.stop();
}

/// By the door, into the partition's log, and into the stream for those that cannot hash.
#[tokio::test]
async fn what_producers_put_into_redis_is_counted_as_theirs() {
    let server = Server::start(Options::default());
    let service = Service::start(&server.url(), &["--partitions", "1"], &[]);
    service.until_ready().await;
    assert_eq!(service.post("m-1").await.status(), 200);
    let event = |id: &str, type_name: &str| {
        serde_json::json!({"specversion": "1.0", "id": id, "source": "/test", "type": type_name, "subject": "c-1", "workspace": "acme",
            "time": chrono::Utc::now(), "data": {"source": "contact"}})
        .to_string()
    };
    for (stream, event) in [
        ("adjourn:{p0}:events", event("m-2", "inbox.message.v1")),
        ("adjourn:{in}:events", event("m-3", "inbox.message.v1")),
        ("adjourn:{p0}:events", event("m-4", "inbox.typing.v1")),
        ("adjourn:{p0}:events", "nothing that anybody can read".to_owned()),
    ] {
        let mut add = redis::cmd("XADD");
        add.arg(stream).arg("*").arg("ct").arg("application/cloudevents+json").arg("ce").arg(event);
        add.exec(&mut server.connection()).unwrap();
    }
    let expected = [
        "adjourn_events_accepted_total{transport=\"http\"} 1",
        "adjourn_events_accepted_total{transport=\"redis\"} 3",
        "adjourn_events_ignored_total{type=\"inbox\"} 1",
        "adjourn_dead_letters_total 1",
    ];
    let mut metrics = String::new();
    let counted = async {
        while !expected.iter().all(|line| metrics.lines().any(|found| found == *line)) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            metrics = service.admin("/metrics").await.1;
        }
    };
    if tokio::time::timeout(rig::process::PATIENCE, counted).await.is_err() {
        panic!("{metrics}");
    }
    service.stop();
}

/// Nobody outside this machine is answered before there is a key to tell them apart.
#[tokio::test]
async fn row_2_other_addresses_need_keys() {
    let server = Server::start(Options::default());
    let everywhere = ["--listen", "0.0.0.0:0", "--partitions", "4"];
    let refused = Service::start(&server.url(), &everywhere, &[]);
    let said = refused.gave_up();
    assert!(said.contains("there are no keys") && said.contains("keys.operator_file") && said.contains("--insecure"), "{said}");

    // With the operator's key; and once that has made one, without it.
    let operator = "an-operators-key-of-32-characters-or-more";
    let service = Service::start(&server.url(), &everywhere, &[("ADJOURN__KEYS__OPERATOR", operator)]);
    service.until_ready().await;
    assert_eq!(service.get("/v1/topology").await.status(), 401);
    let body = serde_json::json!({"name": "root", "scopes": ["admin", "ingest"], "workspaces": ["*"]});
    let made = service.asking(reqwest::Method::POST, "/v1/keys", operator).json(&body).send().await.unwrap();
    assert_eq!(made.status(), 201);
    let key = made.json::<serde_json::Value>().await.unwrap()["key"].as_str().unwrap().to_owned();
    assert!(!service.log().contains(operator) && !service.log().contains(&key));
    service.stop();
    let service = Service::start(&server.url(), &everywhere, &[]);
    service.until_ready().await;
    let topology = service.asking(reqwest::Method::GET, "/v1/topology", &key).send().await.unwrap();
    assert_eq!(topology.status(), 200);
    service.stop();
}
