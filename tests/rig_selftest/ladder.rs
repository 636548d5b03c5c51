//! Some Redis, from wherever there is one.

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::{env, fs, thread};

use adjourn::clock::{Clock, WallClock};
use redis::cmd;

use super::rig::process::{Afterwards, wait_until};
use super::rig::redis::{Container, Redis, Source, image, remove_leftovers, shared};
use super::rig::server::{Options, Server, answers};

fn docker(args: &[&str]) -> Option<String> {
    let told = Command::new("docker").args(args).output().ok()?;
    told.status.success().then(|| String::from_utf8(told.stdout).unwrap().trim().to_owned())
}

fn engine_answers() -> bool {
    docker(&["info"]).is_some()
}

#[test]
fn some_redis_is_found_on_the_highest_rung_there_is() {
    let pong: String = cmd("PING").query(&mut shared().database().connection()).unwrap();
    assert_eq!(pong, "PONG");
    match shared().source() {
        Source::Url => assert!(env::var("ADJOURN_TEST_REDIS_URL").is_ok()),
        Source::Container(container) => assert!(docker(&["inspect", container.id()]).is_some()),
        Source::Local(_) => assert!(!engine_answers(), "a container comes before a process"),
    }
}

#[test]
fn the_lowest_rung_is_a_process_and_leaves_nothing() {
    let redis = Redis::local();
    let Source::Local(server) = redis.source() else { panic!("not a process") };
    assert_eq!(cmd("PING").query::<String>(&mut redis.database().connection()).unwrap(), "PONG");
    let (port, dir) = (server.port(), server.dir().to_owned());
    drop(redis);
    assert!(!answers(port) && !dir.exists());
}

#[test]
fn databases_are_apart_and_empty() {
    let (one, other) = (shared().database(), shared().database());
    assert_ne!(one.url(), other.url());
    cmd("SET").arg("key").arg("x").exec(&mut one.connection()).unwrap();
    let size = |connection: &mut redis::Connection| cmd("DBSIZE").query::<u64>(connection).unwrap();
    assert_eq!((size(&mut one.connection()), size(&mut other.connection())), (1, 0));
    let mut kept = one.connection();
    drop(one);
    assert_eq!(size(&mut kept), 0);
}

#[test]
fn a_container_is_gone_when_nobody_holds_it() {
    match Container::start() {
        Ok(container) => {
            let (id, address) = (container.id().to_owned(), container.url().replace("redis://", ""));
            assert!(TcpStream::connect(&address).is_ok());
            drop(container);
            assert_eq!(docker(&["inspect", &id]), None);
            assert!(TcpStream::connect(&address).is_err());
        }
        Err(why) => assert!(!engine_answers(), "{why}"),
    }
}

#[test]
fn containers_that_nobody_ended_are_removed_after_an_hour() {
    let image = match image() {
        Ok(image) => image,
        Err(why) => return assert!(!engine_answers(), "{why}"),
    };
    let create = |label: &str| docker(&["create", "--label", label, &image]).unwrap();
    let (old, foreign) = (create("adjourn.rig=1000"), create("somebody.else=1000"));
    let young = create(&format!("adjourn.rig={}", WallClock.now().as_millis() / 1_000 - 3_000));
    remove_leftovers();
    let left = [&old, &foreign, &young].map(|id| docker(&["inspect", id]).is_some());
    docker(&["rm", "--volumes", &foreign, &young]);
    assert_eq!(left, [false, true, true]);
}

/// Two roles: started by itself, it is the run that is killed.
#[test]
fn a_killed_run_leaves_no_server_and_what_was_to_be_done_afterwards_is_done() {
    const KILLED: &str = "RIG_SELFTEST_KILLED";
    if let Some(dir) = env::var_os(KILLED).map(PathBuf::from) {
        let server = Server::start(Options::default());
        let _afterwards = Afterwards::run(&["touch", dir.join("done").to_str().unwrap()]);
        fs::write(dir.join("begun"), server.port().to_string()).unwrap();
        fs::rename(dir.join("begun"), dir.join("port")).unwrap();
        loop {
            thread::park();
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let own_name = thread::current().name().unwrap().to_owned();
    let mut run = Command::new(env::current_exe().unwrap());
    let mut run = run.args(["--exact", &own_name]).env(KILLED, dir.path()).env("TMPDIR", dir.path()).stdout(Stdio::null()).spawn().unwrap();
    wait_until("it has a server", || dir.path().join("port").exists());
    let port = fs::read_to_string(dir.path().join("port")).unwrap().parse().unwrap();
    assert!(answers(port) && !dir.path().join("done").exists());
    run.kill().unwrap();
    run.wait().unwrap();
    wait_until("the server is gone", || !answers(port));
    wait_until("the rest is done", || dir.path().join("done").exists());
}
