//! A primary, its replica, and three Sentinels that watch over them.

use super::*;

struct Trio {
    primary: Server,
    replica: Server,
    sentinels: Vec<Server>,
}

impl Trio {
    fn start() -> Self {
        let primary = Server::start(&["--repl-diskless-sync-delay", "0"]);
        let replica = Server::start(&["--replicaof", "127.0.0.1", &primary.port.to_string()]);
        until("the replica follows", || replica.info("master_link_status") == "up");
        let sentinels: Vec<Server> = (0..3).map(|_| start_sentinel(primary.port)).collect();
        let ready = |sentinel: &Server| {
            let known = sentinel.try_ask::<String>(&["SENTINEL", "CKQUORUM", "main"]).is_some_and(|answer| answer.starts_with("OK 3"));
            known && sentinel.info("master0").contains("slaves=1,sentinels=3")
        };
        until("the Sentinels know each other", || sentinels.iter().all(ready));
        Self { primary, replica, sentinels }
    }

    fn url(&self, master: &str) -> String {
        let hosts: Vec<String> = self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port)).collect();
        format!("redis+sentinel://{LOGIN}@{}/{master}", hosts.join(","))
    }
}

fn start_sentinel(primary: u16) -> Server {
    let dir = tempfile::tempdir().unwrap();
    let watch = format!("sentinel monitor main 127.0.0.1 {primary} 2\n");
    let haste = "sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000\n";
    let file = dir.path().join("sentinel.conf");
    std::fs::write(&file, watch + haste).unwrap();
    Server::start_in(dir, free_port(), &[file.to_str().unwrap(), "--sentinel"])
}

#[tokio::test]
async fn when_the_primary_dies_the_one_that_was_promoted_is_found() {
    let mut trio = Trio::start();
    // One Sentinel less is no less knowledge.
    trio.sentinels[0].kill();
    let link = link(&trio.url("main"));
    let mut heard = link.subscribe("adjourn:news");
    assert_eq!(in_time("it listens", heard.next()).await, Some(Heard::Resubscribed));
    assert_eq!(link.primary_id("k").await.unwrap(), trio.primary.info("master_replid"));
    link.pipeline(vec![cmd(&["HSET", "adjourn:k", "f", "v"]), cmd(&["WAIT", "1", "1000"])]).await.unwrap();
    trio.primary.kill();
    eventually("another primary takes writes", async || link.run(cmd(&["HSET", "adjourn:l", "f", "w"])).await.ok()).await;
    assert_eq!(link.generation(), 1);
    assert_eq!(link.run(cmd(&["HGET", "adjourn:k", "f"])).await, Ok(string("v")));
    assert_eq!(link.primary_id("k").await.unwrap(), trio.replica.info("master_replid"));
    assert_eq!(link.dedicated("k", None).await.unwrap().primary_id(), trio.replica.info("master_replid"));
    assert_eq!(in_time("it listens again", heard.next()).await, Some(Heard::Resubscribed));
}

#[tokio::test]
async fn a_primary_that_stood_still_is_let_go_of_even_by_a_link_nobody_uses() {
    let trio = Trio::start();
    let link = link(&trio.url("main"));
    link.run(cmd(&["PING"])).await.unwrap();
    let mut generations = link.watch_generation();
    trio.primary.signal("-STOP");
    in_time("it is replaced", generations.changed()).await.unwrap();
    trio.primary.signal("-CONT");
    // The old one takes writes again until it is told; none of ours reaches it.
    link.run(cmd(&["HSET", "adjourn:k", "f", "v"])).await.unwrap();
    assert_eq!(trio.replica.ask::<Option<String>>(&["HGET", "adjourn:k", "f"]).as_deref(), Some("v"));
}

#[tokio::test]
async fn a_name_no_sentinel_knows_is_said() {
    let sentinel = start_sentinel(free_port());
    let url = format!("redis+sentinel://127.0.0.1:{}/other", sentinel.port);
    let outcome = link(&url).run(cmd(&["PING"])).await;
    assert!(matches!(&outcome, Err(LinkError::Away(reason)) if reason.contains("knows no master named `other`")), "{outcome:?}");
}
