//! The compose file keeps its word, and each fault is what it is called.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use super::container::{Container, Way};
use super::docker::{PROMPT_S, answers, docker, run, until};
use super::project::{LABEL, Project, remove_leftovers};

const API: u16 = 8080;
const REDIS: &str = "6379";

/// Whether a connection from one container to another comes about within a second.
fn reaches(from: &Container, to: &Container, port: &str) -> bool {
    let connect = format!("exec 3<>/dev/tcp/{}/{port}", to.address());
    let pid = from.pid();
    run(PROMPT_S, "nsenter", &["--target", &pid, "--net", "timeout", "1", "bash", "-c", &connect]).status.success()
}

/// Connections that somebody began and whose beginner has not been heard of since: its answer was lost.
fn half_open(container: &Container) -> usize {
    let table = fs::read_to_string(format!("/proc/{}/net/tcp", container.pid())).unwrap();
    table.lines().filter(|line| line.split_whitespace().nth(3) == Some("03")).count()
}

#[tokio::test]
async fn three_nodes_run_as_nobody_and_write_nowhere() {
    if !answers() {
        return;
    }
    let project = Project::up().await;
    let nodes = project.nodes();
    assert_eq!(nodes.len(), 3);
    for container in nodes.iter().chain([&project.redis()]) {
        let status = fs::read_to_string(format!("/proc/{}/status", container.pid())).unwrap();
        let of = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().split_whitespace().collect::<Vec<_>>();
        let user = if container.name().contains("redis") { "999" } else { "65532" };
        assert_eq!(of("Uid:"), [user; 4]);
        assert_eq!((of("CapEff:"), of("CapBnd:"), of("NoNewPrivs:")), (vec!["0000000000000000"], vec!["0000000000000000"], vec!["1"]));
        assert_eq!(container.inspect()["HostConfig"]["ReadonlyRootfs"], true);
        for bindings in container.inspect()["NetworkSettings"]["Ports"].as_object().unwrap().values().filter_map(|it| it.as_array()) {
            assert!(bindings.iter().all(|binding| binding["HostIp"] == "127.0.0.1"), "{bindings:?}");
        }
    }
    let urls: BTreeSet<_> = nodes.iter().map(|node| node.url(API).unwrap()).collect();
    assert_eq!(urls.len(), 3, "each has a port of its own");
    for node in &nodes {
        assert!(node.answers(API, "/v1/topology").await);
        until("healthy", async || node.inspect()["State"]["Health"]["Status"] == "healthy").await;
    }
    let config = |name: &str| project.redis().exec(&["redis-cli", "config", "get", name]);
    assert_eq!((config("appendonly"), config("maxmemory-policy")), ("appendonly\nyes".into(), "maxmemory-policy\nnoeviction".into()));
    told_to_one_it_closes_and_any_other_knows(&nodes).await;
    assert_eq!(nodes[0].stop(), "0", "asked to stop, it ends well");
}

/// The three are one service: by way of Redis, not by chance of who was asked.
async fn told_to_one_it_closes_and_any_other_knows(nodes: &[Container]) {
    let client = adjourn::tls::http(None).unwrap().no_proxy().build().unwrap();
    let [settings, events] = [(0, "/v1/workspaces/acme/settings"), (1, "/v1/events")].map(|(n, path)| nodes[n].url(API).unwrap() + path);
    let on = json!({"auto_close": {"enabled": true, "period": "1s"}}).to_string();
    let told = client.put(settings).header("content-type", "application/json").body(on).send().await.unwrap();
    assert_eq!(told.status(), 200);
    let message = json!({"specversion": "1.0", "id": "m1", "source": "/test", "type": "inbox.message.v1", "subject": "c1",
        "workspace": "acme", "time": chrono::Utc::now(), "data": {"source": "user"}});
    let told = client.post(events).header("content-type", "application/cloudevents+json").body(message.to_string()).send().await.unwrap();
    assert_eq!(told.status(), 202);
    let conversation = nodes[2].url(API).unwrap() + "/v1/workspaces/acme/conversations/c1";
    until("closed", async || {
        let answer = client.get(&conversation).send().await.unwrap().text().await.unwrap();
        serde_json::from_str::<Value>(&answer).unwrap()["status"] == "closed"
    })
    .await;
}

#[tokio::test]
async fn a_fault_is_what_it_is_called() {
    if !answers() {
        return;
    }
    let project = Project::up().await;
    let ([a, b, c], redis) = (&project.nodes()[..], project.redis()) else { panic!("three nodes") };

    a.kill();
    assert!(!a.is_running() && !a.answers(API, "/v1/topology").await);
    a.start();
    a.ready().await;

    b.pause();
    assert!(b.is_running() && !b.answers(API, "/v1/topology").await, "frozen, it says nothing");
    b.unpause();
    b.ready().await;

    c.disconnect();
    assert!(c.is_running() && c.url(API).is_none());
    c.connect();
    c.ready().await;
    redis.disconnect();
    redis.connect();
    assert!(a.exec(&["getent", "hosts", "redis"]).contains(&redis.address()), "back under its name");

    assert!(reaches(a, &redis, REDIS) && half_open(&redis) == 0, "nothing is cut yet (and entering a container's network needs root)");
    a.cut(&redis, Way::Out);
    assert!(!reaches(a, &redis, REDIS) && half_open(&redis) == 0, "what it sends does not arrive");
    assert!(reaches(b, &redis, REDIS) && a.answers(API, "/v1/topology").await, "others are not concerned");
    assert!(a.heal() > 0);
    a.cut(&redis, Way::In);
    assert!(!reaches(a, &redis, REDIS) && half_open(&redis) > 0, "what it sends arrives, the answer is lost");
    assert!(a.heal() > 0);
    a.cut(&redis, Way::Both);
    assert!(!reaches(a, &redis, REDIS) && !reaches(&redis, a, &API.to_string()));
    until("a node cut off from Redis says that it is not ready", async || !a.is_ready().await).await;
    assert!(a.answers(API, "/v1/topology").await, "it still answers this machine");
    b.ready().await;
    assert!(a.heal() > 0);
    a.ready().await;
    assert!(reaches(a, &redis, REDIS) && reaches(&redis, a, &API.to_string()));
    assert_eq!(a.heal(), 0);
}

#[test]
fn what_a_dead_run_left_is_removed_and_the_living_are_left_alone() {
    if !answers() {
        return;
    }
    // No process has this number: Linux counts to 2^22.
    let [dead, alive] = ["4194305".to_owned(), std::process::id().to_string()].map(|process| format!("adjourn-test-{process}-leftover"));
    for project in [&dead, &alive] {
        let label = format!("{LABEL}={project}");
        docker(&["network", "create", "--label", &label, project]);
        docker(&["volume", "create", "--label", &label, project]);
    }
    let there = |project: &str| {
        let all = docker(&["network", "ls", "--format", "{{.Name}}"]) + "\n" + &docker(&["volume", "ls", "--format", "{{.Name}}"]);
        all.lines().filter(|name| *name == project).count()
    };
    remove_leftovers();
    let left = (there(&dead), there(&alive));
    docker(&["network", "rm", &alive]);
    docker(&["volume", "rm", &alive]);
    assert_eq!(left, (0, 2));
}
