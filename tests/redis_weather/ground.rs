//! A Redis of a test's own with a store on it, and what every test asks of them.

use std::sync::Arc;
use std::time::Duration;

use ::redis::{Cmd, Connection, FromRedisValue, cmd};
use adjourn::domain::report::Day;
use adjourn::store::redis::{OpenError, RedisOptions, RedisStore};
use adjourn::store::*;
use futures_util::future::FutureExt;

use crate::bench::*;
use crate::dump::Dump;
use crate::rig::server::{Options, Server};

/// Shorter than anything a test waits for, longer than any answer takes here.
pub const ANSWERS_WITHIN: Duration = Duration::from_millis(500);

pub struct Ground {
    pub server: Server,
    pub bench: Bench,
}

impl Ground {
    pub async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub async fn with(options: Options) -> Self {
        let server = Server::start(options);
        let url = server.url();
        Self { bench: bench(url).await, server }
    }

    pub fn store(&self) -> &dyn Store {
        self.bench.store()
    }

    pub fn redis(&self) -> Connection {
        self.server.connection()
    }

    /// What a server answers to these words.
    pub fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        command(words).query(&mut self.redis()).unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    pub fn run(&self, words: &[&str]) {
        command(words).exec(&mut self.redis()).unwrap_or_else(|error| panic!("{words:?}: {error}"));
    }

    pub fn dump(&self) -> Dump {
        Dump::of(&mut self.redis())
    }

    /// That the server holds exactly what it held.
    pub fn is_as(&self, before: &Dump, after: &str) {
        assert_eq!(before.changed(&self.dump()), [""; 0], "changed by {after}");
    }

    /// Another store on the same server: of another node, say.
    pub async fn another(&self) -> Arc<RedisStore> {
        open(&self.server.url()).await.unwrap()
    }

    /// An owner that has committed something of every kind: the entry it applied, one that waits, a row with a deadline and
    /// one without, notifications, a letter, a repeat and settings.
    pub async fn owner(&self) -> Owner {
        let ids = self.bench.append(&["a", "b", "c"]).await;
        let mut owner = self.bench.claim().await;
        self.bench.commit(&mut owner, |batch| *batch = everything(batch, ids[1])).await.unwrap();
        owner
    }
}

/// Something of every kind, up to this place in the log.
pub fn everything(batch: &Batch, up_to: LogId) -> Batch {
    Batch {
        checkpoint: up_to,
        rows: vec![put("acme/c1", None, Some(START)), put("acme/c2", None, None), put("acme/c3", None, Some(START + 1))],
        notifications: vec![notification(1, None), notification(2, Some(1))],
        dead: vec![dead_letter(up_to)],
        settings: vec![("acme".into(), settings(3))],
        marks: vec![(up_to, Mark::Duplicate)],
        rollups: vec![RollupWrite { workspace: "acme".into(), day: Day(7), rollup: Some(Arc::default()) }],
        ..batch.clone()
    }
}

pub fn command(words: &[&str]) -> Cmd {
    let mut command = cmd(words[0]);
    command.arg(&words[1..]);
    command
}

pub fn options() -> RedisOptions {
    RedisOptions { partitions: Some(partitions()), response_timeout: ANSWERS_WITHIN, ..RedisOptions::new("weather") }
}

pub async fn open(url: &str) -> Result<Arc<RedisStore>, OpenError> {
    RedisStore::open(url.parse().unwrap(), options()).await
}

/// A bench on whatever this names; it goes by the machine's clock.
pub async fn bench(url: String) -> Bench {
    let open = move || {
        let url = url.clone();
        async move { open(&url).await.unwrap() as Arc<dyn Store> }.boxed()
    };
    Bench::new(Hands::tied(), Box::new(open)).await
}
