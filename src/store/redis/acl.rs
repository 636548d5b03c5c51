//! The rights this program needs, and no more.

use redis::Cmd;

/// A command this program sends or calls from its scripts.
#[derive(Clone, Copy, Debug)]
pub struct Needed {
    /// As `ACL SETUSER` names it after the `+`.
    pub rule: &'static str,
    /// How it is called, for asking whether it may be: `KEY` and `CHANNEL` stand for one of ours.
    call: &'static str,
}

const fn needed(rule: &'static str, call: &'static str) -> Needed {
    Needed { rule, call }
}

/// All of them. `AUTH` and `HELLO` need no right. Without `eval`: what runs was loaded.
pub const COMMANDS: &[Needed] = &[
    // The connection: who is there, whose data, where a slot lives.
    needed("ping", "PING"),
    needed("select", "SELECT 0"),
    needed("info", "INFO"),
    needed("time", "TIME"),
    needed("wait", "WAIT 0 0"),
    needed("client|setname", "CLIENT SETNAME adjourn"),
    needed("acl|dryrun", "ACL DRYRUN default PING"),
    needed("cluster|info", "CLUSTER INFO"),
    needed("cluster|slots", "CLUSTER SLOTS"),
    needed("asking", "ASKING"),
    // Scripts.
    needed("evalsha", "EVALSHA sha 1 KEY"),
    needed("script|load", "SCRIPT LOAD source"),
    // Streams: the event log, notifications, dead letters.
    needed("xadd", "XADD KEY * f v"),
    needed("xread", "XREAD STREAMS KEY 0"),
    needed("xrange", "XRANGE KEY - +"),
    needed("xrevrange", "XREVRANGE KEY + -"),
    needed("xtrim", "XTRIM KEY MAXLEN 0"),
    needed("xdel", "XDEL KEY 0-1"),
    needed("xlen", "XLEN KEY"),
    needed("xinfo|stream", "XINFO STREAM KEY"),
    needed("xsetid", "XSETID KEY 0-1"),
    // Hashes: states, leases, settings, nodes.
    needed("hset", "HSET KEY f v"),
    needed("hsetnx", "HSETNX KEY f v"),
    needed("hincrby", "HINCRBY KEY f 1"),
    needed("hget", "HGET KEY f"),
    needed("hmget", "HMGET KEY f"),
    needed("hgetall", "HGETALL KEY"),
    needed("hdel", "HDEL KEY f"),
    needed("hlen", "HLEN KEY"),
    needed("hkeys", "HKEYS KEY"),
    needed("hscan", "HSCAN KEY 0"),
    // Sorted sets: when to look at what.
    needed("zadd", "ZADD KEY 0 m"),
    needed("zrem", "ZREM KEY m"),
    needed("zrange", "ZRANGE KEY 0 1"),
    needed("zrangebyscore", "ZRANGEBYSCORE KEY 0 1"),
    needed("zrangebylex", "ZRANGEBYLEX KEY - +"),
    needed("zremrangebyrank", "ZREMRANGEBYRANK KEY 0 1"),
    needed("zcard", "ZCARD KEY"),
    needed("zcount", "ZCOUNT KEY 0 1"),
    needed("zrank", "ZRANK KEY m"),
    needed("zmscore", "ZMSCORE KEY m"),
    // Any key.
    needed("exists", "EXISTS KEY"),
    needed("del", "DEL KEY"),
    // Telling each other.
    needed("publish", "PUBLISH CHANNEL word"),
    needed("subscribe", "SUBSCRIBE CHANNEL"),
];

/// Makes a user that can do what this program needs with the keys and channels that begin with `prefix:`, and nothing else.
/// To be run on every server; the password is to be replaced.
pub fn acl_line(user: &str, prefix: &str) -> String {
    let commands: Vec<String> = COMMANDS.iter().map(|needed| format!("+{}", needed.rule)).collect();
    format!("ACL SETUSER {user} reset on >CHANGE-THIS-PASSWORD ~{prefix}:* &{prefix}:* -@all {}", commands.join(" "))
}

/// What the user may be given besides, so that the checks see how often the append-only file is synced. It shows the whole
/// configuration: no rule can name a single parameter.
pub fn acl_optional_line(user: &str) -> String {
    format!("ACL SETUSER {user} +config|get")
}

/// Questions whether `user` may do all this, in the order of [`COMMANDS`]. Redis 7 and later answer them.
pub fn dry_runs(user: &str, prefix: &str) -> Vec<Cmd> {
    let of_ours = format!("{prefix}:{{probe}}:x");
    let question = |needed: &Needed| {
        let mut cmd = redis::cmd("ACL");
        cmd.arg("DRYRUN").arg(user);
        for word in needed.call.split(' ') {
            cmd.arg(if matches!(word, "KEY" | "CHANNEL") { &of_ours } else { word });
        }
        cmd
    };
    COMMANDS.iter().map(question).collect()
}
