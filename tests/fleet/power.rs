//! The power of Redis' machine goes: what it had not brought to the disk is gone with it.

use super::fleet::Plan;
use super::kills::redis_is_killed;
use super::report::Run;
use super::rig::server::{Aof, Options, Server};

#[tokio::test(flavor = "multi_thread")]
async fn s3_a_power_loss_of_redis_that_writes_before_it_answers_loses_nothing() {
    let run = Run::of("s3_a_power_loss_of_redis_that_writes_before_it_answers_loses_nothing");
    redis_is_killed(run, Plan { redis_power: true, ..Plan::new("power loss of Redis") }).await;
}

/// Of 2,000 writes that were answered, how many are there after the power went.
fn kept(aof: Aof) -> u64 {
    const WRITES: u64 = 2_000;
    let mut server = Server::start(Options { power: true, ..Options::aof(aof) });
    let mut redis = server.connection();
    for _ in 0..WRITES {
        redis::cmd("INCR").arg("written").exec(&mut redis).unwrap();
    }
    server.lose_power();
    server.restart();
    redis::cmd("GET").arg("written").query::<Option<u64>>(&mut server.connection()).unwrap().unwrap_or(0)
}

#[test]
fn the_same_power_loss_takes_what_is_written_only_every_second() {
    assert_eq!(kept(Aof::Always), 2_000, "a Redis that brings each write to the disk lost some of them");
    assert!(kept(Aof::Everysec) < 2_000, "nothing was lost: this power loss is none");
}
