//! A primary that was replaced and does not know it yet.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use adjourn::store::redis::{RedisOptions, RedisStore};
use adjourn::store::testing::StoreInTests;
use adjourn::store::{LogId, Member, Store};

use crate::bench::{P, partitions};
use crate::rig::process::PATIENCE;
use crate::rig::sentinel::{Failover, NAME, Sentinels};
use crate::rig::server::{Options, loopback};

const WAIT: Duration = Duration::from_millis(200);

/// It stood still while a replica took over, and takes an entry when it goes on: an entry that the log never had.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_not_followed_on_a_primary_that_was_replaced() {
    let mut redis = Sentinels::start(1, &Options::default());
    let hosts = redis.urls().join(",").replace("redis://", "");
    let url = format!("redis+sentinel://{hosts}/{NAME}");
    let options = RedisOptions { partitions: Some(partitions()), ..RedisOptions::new("bench") };
    let store = RedisStore::open(url.parse().unwrap(), options).await.unwrap();
    store.seize(P, Member::default()).await.unwrap();
    let read = async || store.read(P, LogId::ZERO, 9, WAIT).await;
    assert_eq!(read().await.unwrap(), []); // waits for more, on a connection of its own

    redis.wait_for_replicas();
    let old = redis.failover(Failover::Stop);
    let mut zombie = TcpStream::connect(loopback(old)).unwrap();
    let key = format!("adjourn:{{p{}}}:events", P.0);
    write!(zombie, "*5\r\n$4\r\nXADD\r\n${}\r\n{key}\r\n$1\r\n*\r\n$1\r\nx\r\n$1\r\ny\r\n", key.len()).unwrap();
    redis.wait_for_new_primary(old, Failover::Stop);
    let asked = std::time::Instant::now();
    while let Err(error) = store.seize(P, Member::default()).await {
        assert!(asked.elapsed() < PATIENCE, "the new primary is not found: {error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    redis.server(old).cont();
    for _ in 0..5 {
        let found = read().await;
        assert!(found.as_ref().map_or(true, Vec::is_empty), "read where nobody writes any more: {found:?}");
    }
    store.close();
}
