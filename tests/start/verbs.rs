//! `adjourn redis check` and `adjourn redis acl`, and that what they say holds for the service.

use std::process::Command;

use serde_json::Value;

use crate::rig::process::free_port;
use crate::rig::server::{Aof, Options, Server};
use crate::service::Service;

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

fn adjourn(arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_adjourn"));
    let output = command.args(arguments).envs(environment.iter().copied()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// What `check` found of this.
fn finding<'a>(found: &'a Value, check: &str) -> &'a Value {
    found.as_array().unwrap().iter().find(|row| row["check"] == check).unwrap_or_else(|| panic!("no {check} in {found}"))
}

/// The rights that `acl` prints are enough for everything the service does, and `check` sees that.
#[tokio::test]
async fn the_rights_that_are_printed_are_enough() {
    let server = Server::start(Options::aof(Aof::Always).line("maxmemory 100mb"));
    let store = server.url().replace("redis://", "redis://app@");
    let secret = [("ADJOURN__REDIS__PASSWORD", "s3cret")];
    let printed = adjourn(&["redis", "acl", "--store", &store, "--prefix", "mine"], &[]);
    assert!(printed.code == Some(0) && printed.out.starts_with("ACL SETUSER app ") && printed.out.contains("~mine:*"), "{}", printed.out);
    for line in [printed.out.trim(), printed.err.trim().rsplit(": ").next().unwrap()] {
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!(words[..3], ["ACL", "SETUSER", "app"], "{line}");
        let mut command = redis::cmd(words[0]);
        let rules: Vec<String> = words[1..].iter().map(|word| word.replace("CHANGE-THIS-PASSWORD", "s3cret")).collect();
        command.arg(rules).exec(&mut server.connection()).unwrap();
    }

    let arguments = ["redis", "check", "--store", &store, "--durability", "strict", "--set", "redis.prefix=mine", "-o", "json"];
    let checked = adjourn(&arguments, &secret);
    let found: Value = serde_json::from_str(&checked.out).unwrap();
    // All but the server: its patch level is that of the machine the tests run on.
    let bad: Vec<&Value> = found.as_array().unwrap().iter().filter(|row| row["check"] != "server" && row["verdict"] != "ok").collect();
    assert!(checked.code == Some(0) && bad.is_empty(), "{found:#}\n{}", checked.err);
    let foreign = adjourn(&["redis", "check", "--store", &store, "-o", "json"], &secret);
    assert_eq!(finding(&serde_json::from_str(&foreign.out).unwrap(), "rights")["verdict"], "refused", "{}", foreign.out);

    let more = ["--partitions", "4", "--durability", "strict", "--set", "redis.prefix=mine"];
    let service = Service::start(&store, &more, &secret);
    service.until_ready().await;
    assert_eq!(service.post("m-1").await.status(), 200);
    assert_eq!(service.get("/v1/workspaces/acme/conversations/c-1").await.status(), 200);
    assert_eq!(service.get("/v1/workspaces/acme/conversations/c-1/events").await.status(), 200);
    assert_eq!(service.get("/v1/shards").await.status(), 200);
    let log = service.log();
    assert!(!log.contains("NOPERM") && !log.contains("s3cret"), "{log}");
    service.stop();
    let denied: Vec<redis::Value> = redis::cmd("ACL").arg("LOG").query(&mut server.connection()).unwrap();
    assert!(denied.is_empty(), "{denied:#?}");
}

#[test]
fn a_redis_that_is_not_fit_is_exit_code_1_with_what_to_do() {
    let server = Server::start(Options::default().line("maxmemory 100mb").line("maxmemory-policy allkeys-lru"));
    let checked = adjourn(&["redis", "check", "--store", &server.url()], &[]);
    assert_eq!(checked.code, Some(1), "{}", checked.out);
    let row = checked.out.lines().find(|line| line.contains("memory policy")).unwrap_or_default();
    assert!(row.contains("refused") && row.contains("allkeys-lru") && row.contains("noeviction"), "{}", checked.out);
    assert!(checked.err.contains("cannot be used as it is"), "{}", checked.err);
    let warned = adjourn(&["redis", "check", "-o", "ndjson"], &[("ADJOURN__STORE", &server.url()), ("ADJOURN__DURABILITY", "strict")]);
    let rows: Value = warned.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect();
    assert_eq!(finding(&rows, "append-only file")["verdict"], "refused", "{rows:#}");
}

#[test]
fn a_redis_that_is_away_is_refused_with_the_reason() {
    let checked = adjourn(&["redis", "check", "--store", &format!("redis://127.0.0.1:{}", free_port())], &[]);
    assert_eq!(checked.code, Some(1), "{}", checked.out);
    assert!(checked.out.contains("Connection refused"), "{}", checked.out);
}

/// A password that was forgotten must not make it somebody else, who may do everything.
#[test]
fn a_user_without_a_password_is_not_taken_for_another() {
    let server = Server::start(Options::default().line("user app on >s3cret ~* &* +@all").line("user open on nopass ~* &* +@all"));
    let as_user = |user: &str| {
        let store = server.url().replace("redis://", &format!("redis://{user}@"));
        adjourn(&["redis", "check", "--store", &store, "-o", "json"], &[])
    };
    let refused = as_user("app");
    assert!(refused.code == Some(1) && refused.out.contains("Password authentication failed"), "{}", refused.out);
    let found: Value = serde_json::from_str(&as_user("open").out).unwrap();
    assert_eq!(finding(&found, "rights")["verdict"], "ok", "{found:#}");
}

#[test]
fn what_is_usually_behind_a_connection_that_fails_is_said() {
    let encrypted = Server::start(Options { tls: true, ..Options::default() });
    let plain = Server::start(Options::default());
    let replica = Server::start(Options { replica_of: Some(plain.port()), ..Options::default() });
    let cluster = plain.url().replace("redis://", "redis+cluster://");
    let watched = format!("{}/main", plain.url().replace("redis://", "redis+sentinel://"));
    for (store, says) in [
        (encrypted.tls_url(), "?ca=FILE"),
        (encrypted.tls_url().replace("rediss://", "redis://"), "rediss://"),
        (replica.url(), "redis+sentinel://"),
        (cluster, "it is no cluster"),
        (watched, "it is no Sentinel"),
    ] {
        let checked = adjourn(&["redis", "check", "--store", &store, "-o", "json"], &[]);
        assert!(checked.code == Some(1) && checked.out.contains(says), "{store}: {}{}", checked.out, checked.err);
        assert!(!checked.out.contains("may have run"), "{store}: {}", checked.out);
    }
}

#[test]
fn what_is_no_redis_is_a_matter_of_usage() {
    for arguments in [
        &["redis", "check"][..],
        &["redis", "check", "--store", "http://x"],
        &["redis", "acl", "--user", "a b"],
        &["redis", "acl", "--prefix", "*"],
    ] {
        let ran = adjourn(arguments, &[]);
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{arguments:?}: {}", ran.err);
    }
    let ran = adjourn(&["redis", "acl", "-o", "json"], &[]);
    let line: Value = serde_json::from_str(&ran.out).unwrap();
    assert!(line["acl"].as_str().unwrap().starts_with("ACL SETUSER adjourn ") && line["acl"].as_str().unwrap().contains("~adjourn:*"));
}
