//! No script writes in part: it fails before its first write, or not at all.
//!
//! Each is run as the store calls it, with a wrapper in place of `redis.call` that raises at the k-th call, for every k. Redis
//! takes nothing back of what a script has written, so nothing may follow the first write that can fail for a reason that
//! was not looked into before it.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use ::redis::Connection;
use adjourn::store::testing::StoreInTests;
use adjourn::store::*;

use crate::bench::*;
use crate::dump::Dump;
use crate::ground::*;
use crate::rig::server::Server;

/// What may come after a first write, and why it cannot fail there. All run on keys whose kind was asked for before.
const SAFE: &[(&str, &str)] = &[
    ("HSET", "pairs of strings"),
    ("HDEL", "any strings"),
    ("HINCRBY", "its field was written by us as a number, and it is the last write: one that fails has changed nothing"),
    ("ZADD", "scores are numbers of ours"),
    ("ZREM", "any strings"),
    ("ZRANGEBYLEX", "ends are made of digits"),
    ("ZREMRANGEBYRANK", "constant ranks"),
    ("XADD", "with an id: it is above the stream's last, asked before; with `*`: the stream's last is not the highest, asked before"),
    ("XDEL", "an id that was parsed before; called so that an error is nothing where a foreign name may be none"),
    ("XTRIM", "an id that was parsed before"),
    ("XLEN", "a read"),
    ("XINFO", "the stream is there, asked before"),
    ("XSETID", "not below any entry: the log is empty, or its last id is before the clock, asked before"),
    ("PUBLISH", "called so that an error is nothing: words on the channel may be lost"),
    ("DEL", "any key of ours"),
];

/// A call of a script as it went over the wire: keys and arguments.
struct Call {
    keys: Vec<Vec<u8>>,
    args: Vec<Vec<u8>>,
}

/// Hears what a server is asked, from its making on.
struct Ear(BufReader<TcpStream>);

impl Ear {
    fn at(server: &Server) -> Self {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(b"MONITOR\r\n").unwrap();
        let mut ear = Self(BufReader::new(stream));
        assert_eq!(ear.line(), b"+OK");
        ear
    }

    fn line(&mut self) -> Vec<u8> {
        let mut line = Vec::new();
        self.0.read_until(b'\n', &mut line).unwrap();
        line.truncate(line.len() - 2);
        line
    }

    /// The next call of a script with this among its words.
    fn call(&mut self, word: &[u8]) -> Call {
        loop {
            let words = words(&self.line());
            if words.first().is_some_and(|name| name == b"EVALSHA") && words.iter().any(|found| found == word) {
                let keys: usize = std::str::from_utf8(&words[2]).unwrap().parse().unwrap();
                return Call { keys: words[3..3 + keys].to_vec(), args: words[3 + keys..].to_vec() };
            }
        }
    }
}

/// The words of a line of `MONITOR`: quoted, with C's escapes.
fn words(line: &[u8]) -> Vec<Vec<u8>> {
    let (mut words, mut word) = (Vec::new(), None::<Vec<u8>>);
    let mut bytes = line.iter().copied();
    while let Some(byte) = bytes.next() {
        match (&mut word, byte) {
            (None, b'"') => word = Some(Vec::new()),
            (None, _) => {}
            (Some(_), b'"') => words.extend(word.take()),
            (Some(word), b'\\') => word.push(match bytes.next().unwrap() {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'a' => 7,
                b'b' => 8,
                b'x' => {
                    let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                other => other,
            }),
            (Some(word), byte) => word.push(byte),
        }
    }
    words
}

/// The script with every call counted: it raises at the one that the last argument names, and otherwise answers the names of
/// all commands it called.
fn wrapped(source: &str) -> String {
    let called = source.replace("redis.call(", "counted(redis.call, ").replace("redis.pcall(", "counted(redis.pcall, ");
    format!(
        "local names, raise_at = {{}}, tonumber(ARGV[#ARGV])
        local function counted(call, ...)
          names[#names + 1] = (...)
          if #names == raise_at then error('raised') end
          return call(...)
        end
        local function script() {called} end
        local answer = script()
        if type(answer) == 'table' and answer.err then return answer end
        return names"
    )
}

fn run(redis: &mut Connection, source: &str, call: &Call, raise_at: usize) -> ::redis::RedisResult<Vec<String>> {
    let mut eval = ::redis::cmd("EVAL");
    eval.arg(source).arg(call.keys.len()).arg(&call.keys).arg(&call.args).arg(raise_at);
    eval.query(redis)
}

/// Whether a command of this name may write.
fn writes(redis: &mut Connection, name: &str) -> bool {
    let info: Vec<Vec<::redis::Value>> = ::redis::cmd("COMMAND").arg("INFO").arg(name).query(redis).unwrap();
    let flags: Vec<String> = ::redis::from_redis_value(info[0][2].clone()).unwrap();
    flags.iter().any(|flag| flag == "write") || name == "PUBLISH"
}

/// Runs the call on what was there before it, again and again, and tells the commands from the first write on.
fn judge(server: &Server, name: &str, source: &str, call: &Call, before: &Dump) -> Vec<String> {
    let redis = &mut server.connection();
    let source = wrapped(source);
    before.restore(redis);
    let names = run(redis, &source, call, 0).unwrap_or_else(|error| panic!("{name}: {error}"));
    let first_write = names.iter().position(|called| writes(redis, called)).unwrap();
    assert!(!before.changed(&Dump::of(redis)).is_empty(), "{name} wrote nothing");
    for raise_at in 1..=first_write + 1 {
        before.restore(redis);
        let raised = run(redis, &source, call, raise_at);
        assert!(raised.is_err_and(|error| error.to_string().contains("raised")), "{name}, call {raise_at}");
        let changed = before.changed(&Dump::of(redis));
        assert_eq!(changed, [""; 0], "{name} raised at call {raise_at}, {}", names[raise_at - 1]);
    }
    for called in &names[first_write..] {
        assert!(SAFE.iter().any(|(safe, _)| safe == called), "{name}: why can {called} not fail after a write?");
    }
    names[first_write..].to_vec()
}

/// Some state, a call made on it, and what was there before the call.
async fn overheard(ground: &Ground, word: &[u8], act: impl AsyncFnOnce(&Ground)) -> (Call, Dump) {
    let before = ground.dump();
    let mut ear = Ear::at(&ground.server);
    act(ground).await;
    (ear.call(word), before)
}

fn nonce(owner: &Owner) -> Vec<u8> {
    format!("{:x}", owner.lease.nonce).into_bytes()
}

#[tokio::test]
async fn a_commit_fails_before_its_first_write_or_not_at_all() {
    let ground = Ground::new().await;
    let mut owner = ground.owner().await;
    let ids = ground.bench.append(&["d", "e"]).await;
    let source = include_str!("../../src/store/redis/script/commit.lua");
    let mut all = BTreeSet::new();
    let now = ground.store().clock().await.unwrap().as_millis();
    let batches: [fn(&mut Batch, LogId, i64); 3] = [
        // All there is, over what is there already.
        |batch, up_to, _| {
            *batch = everything(batch, up_to);
            batch.notifications = vec![notification(3, None), notification(4, Some(3))];
            batch.trim_notifications_below = 4;
            batch.rows = vec![put("acme/c1", Some(START), None), remove("acme/c3", Some(START + 1)), put("acme/c4", None, Some(START))];
            batch.dead.push(dead_letter(LogId { ms: 7, seq: 7 }));
            batch.trying = Some((up_to, 1));
        },
        // A close, with the log empty behind it, ahead of the log.
        |batch, up_to, now| {
            batch.checkpoint = LogId { seq: up_to.seq + 9, ..up_to };
            batch.not_before = Some(at(now - 60_000));
            batch.notifications = vec![notification(5, None)];
            batch.dead_removed = vec![LogId { ms: 7, seq: 7 }];
        },
        // Nothing but the head of the chain.
        |_, _, _| {},
    ];
    for fill in batches {
        let mut next = owner;
        let commit = async |ground: &Ground| ground.bench.commit(&mut next, |batch| fill(batch, ids[1], now)).await.unwrap();
        let (call, before) = overheard(&ground, &nonce(&owner), commit).await;
        let after = ground.dump();
        all.extend(judge(&ground.server, "commit", source, &call, &before));
        after.restore(&mut ground.redis());
        owner = next;
    }
    let used =
        ["HSET", "HDEL", "ZADD", "ZREM", "ZRANGEBYLEX", "ZREMRANGEBYRANK", "XADD", "XDEL", "XTRIM", "XLEN", "XINFO", "XSETID", "PUBLISH"];
    assert_eq!(all, used.map(str::to_owned).into(), "a command that is not tried here says nothing");
}

#[tokio::test]
async fn a_claim_fails_before_its_first_write_or_not_at_all() {
    let ground = Ground::new().await;
    let source = include_str!("../../src/store/redis/script/claim.lua");
    let member = || member("claimer", 7);
    let mut all = BTreeSet::new();
    // Of what was never held; over another owner; with its keys gone.
    let gone = [&[][..], &[], &["states", "events", "notifications"], &["deadlines", "dead", "letters", "marks", "settings"]];
    for (round, gone) in gone.into_iter().enumerate() {
        let holder = ground.bench.holder().await;
        for name in gone {
            ground.run(&["DEL", &format!("adjourn:{{p1}}:{name}")]);
        }
        let claim = async |ground: &Ground| drop(ground.store().claim(P, member(), holder).await.unwrap());
        let (call, before) = overheard(&ground, b"claimer", claim).await;
        let after = ground.dump();
        all.extend(judge(&ground.server, "claim", source, &call, &before));
        after.restore(&mut ground.redis());
        if round == 0 {
            ground.owner().await;
        }
    }
    assert_eq!(all, ["HSET", "HDEL", "ZADD", "XADD", "XDEL", "DEL"].map(str::to_owned).into());
}

#[tokio::test]
async fn the_others_fail_before_their_first_write_or_not_at_all() {
    let ground = Ground::new().await;
    let owner = ground.owner().await;
    let record =
        || NodeRecord { member: member("beater", 7), address: "".into(), version: "1".into(), started_at: at(START), beat: 1, lease_ms: 0 };
    let judged = |name: &str, source: &str, (call, before): (Call, Dump)| {
        let after = ground.dump();
        let commands = judge(&ground.server, name, source, &call, &before);
        after.restore(&mut ground.redis());
        commands
    };
    let renewed = overheard(&ground, &nonce(&owner), async |ground| ground.store().renew(owner.lease).await.unwrap()).await;
    assert_eq!(judged("renew", include_str!("../../src/store/redis/script/renew.lua"), renewed), ["HDEL", "HINCRBY"]);

    let beaten = overheard(&ground, b"beater", async |ground| assert!(ground.store().heartbeat(record(), None).await.unwrap())).await;
    let commands = judged("heartbeat", include_str!("../../src/store/redis/script/heartbeat.lua"), beaten);
    assert_eq!(commands, ["HDEL", "HSET", "HDEL", "PUBLISH"]);

    let left = overheard(&ground, b"beater", async |ground| ground.store().leave(record().member).await.unwrap()).await;
    assert_eq!(judged("leave", include_str!("../../src/store/redis/script/leave.lua"), left), ["HDEL", "PUBLISH"]);

    let put = async |ground: &Ground| assert!(ground.store().put_settings("acme".into(), 0, settings(1)).await.unwrap());
    let put = overheard(&ground, b"acme", put).await;
    assert_eq!(judged("put_document", include_str!("../../src/store/redis/script/put_document.lua"), put), ["HSET"]);

    let released = overheard(&ground, &nonce(&owner), async |ground| ground.store().release(owner.lease, None).await.unwrap()).await;
    let commands = judged("release", include_str!("../../src/store/redis/script/release.lua"), released);
    assert_eq!(commands, ["HDEL", "HSET", "PUBLISH"]);
}

/// Servers before 7 know no flags: what must run on a full memory runs there, because its first write needs no room.
#[tokio::test]
async fn on_a_full_memory_holding_and_closing_need_no_flag() {
    let ground = Ground::new().await;
    let mut owner = ground.owner().await;
    let ids = ground.bench.append(&["d"]).await;
    let (holder, first) = (ground.bench.holder().await, owner);
    let record =
        NodeRecord { member: member("beater", 7), address: "".into(), version: "1".into(), started_at: at(START), beat: 1, lease_ms: 0 };
    let full = |source: &str, (call, before): (Call, Dump)| {
        before.restore(&mut ground.redis());
        ground.run(&["CONFIG", "SET", "maxmemory", "100kb"]);
        let ran = ::redis::cmd("EVAL").arg(source).arg(call.keys.len()).arg(&call.keys).arg(&call.args).exec(&mut ground.redis());
        let changed = before.changed(&ground.dump()).len();
        ground.run(&["CONFIG", "SET", "maxmemory", "0"]);
        before.restore(&mut ground.redis());
        ran.map(|()| changed)
    };
    let renewed = overheard(&ground, &nonce(&first), async |ground| ground.store().renew(first.lease).await.unwrap()).await;
    assert_eq!(full(include_str!("../../src/store/redis/script/renew.lua"), renewed), Ok(1));
    let beaten = overheard(&ground, b"beater", async |ground| assert!(ground.store().heartbeat(record, None).await.unwrap())).await;
    assert_eq!(full(include_str!("../../src/store/redis/script/heartbeat.lua"), beaten), Ok(1));
    let claim = async |ground: &Ground| drop(ground.store().claim(P, member("claimer", 7), holder).await.unwrap());
    let claimed = overheard(&ground, b"claimer", claim).await;
    assert_eq!(full(include_str!("../../src/store/redis/script/claim.lua"), claimed), Ok(1));

    let fill = |batch: &mut Batch| {
        *batch = everything(batch, ids[0]);
        batch.notifications = vec![notification(3, None)];
    };
    let committed = overheard(&ground, &nonce(&first), async |ground| ground.bench.commit(&mut owner, fill).await.unwrap()).await;
    assert_eq!(full(include_str!("../../src/store/redis/script/commit.lua"), committed), Ok(6), "rows and settings stay as they were");

    // What comes in does need room.
    let put = async |ground: &Ground| assert!(ground.store().put_settings("acme".into(), 0, settings(1)).await.unwrap());
    let put = overheard(&ground, b"acme", put).await;
    let refused = full(include_str!("../../src/store/redis/script/put_document.lua"), put);
    assert!(refused.as_ref().is_err_and(|error| error.to_string().contains("OOM")), "{refused:?}");
}
