//! Servers that live, die and come back.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use redis::{ErrorKind, cmd};

use super::rig::process::wait_until;
use super::rig::server::{Aof, Options, Server};

fn set(server: &Server, value: &str) {
    cmd("SET").arg("key").arg(value).exec(&mut server.connection()).unwrap();
}

fn get(server: &Server) -> Option<String> {
    cmd("GET").arg("key").query(&mut server.connection()).unwrap()
}

#[test]
fn a_killed_server_is_gone_and_comes_back_on_its_port_with_what_it_wrote_always() {
    let mut server = Server::start(Options::aof(Aof::Always));
    set(&server, "kept");
    server.kill();
    assert!(TcpStream::connect(server.address()).is_err());
    server.restart();
    assert_eq!(get(&server).as_deref(), Some("kept"));
}

/// Without `redis-check-aof` what is written after such a crash is lost with the next.
#[test]
fn a_transaction_cut_off_within_a_command_is_gone_and_what_follows_it_stays() {
    let mut server = Server::start(Options::aof(Aof::Always));
    let mut transaction = redis::pipe();
    transaction.atomic().set("torn", 1).set("torn too", 2);
    transaction.exec(&mut server.connection()).unwrap();
    server.kill();
    let file = server.dir().join("appendonlydir/appendonly.aof.1.incr.aof");
    let length = std::fs::metadata(&file).unwrap().len();
    // Within EXEC.
    std::fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(length - 5).unwrap();
    server.restart();
    set(&server, "kept");
    server.kill();
    server.restart();
    let torn: Option<String> = cmd("GET").arg("torn").query(&mut server.connection()).unwrap();
    assert_eq!((torn, get(&server).as_deref()), (None, Some("kept")));
}

#[test]
fn a_killed_server_without_a_file_comes_back_empty() {
    let mut server = Server::start(Options::default());
    set(&server, "lost");
    server.kill();
    server.restart();
    assert_eq!(get(&server), None);
}

#[test]
fn a_server_asked_to_end_writes_what_it_has() {
    let mut server = Server::start(Options::aof(Aof::Everysec));
    set(&server, "kept");
    assert!(server.terminate().success());
    server.restart();
    assert_eq!(get(&server).as_deref(), Some("kept"));
}

#[test]
fn a_stopped_server_accepts_but_does_not_answer_until_it_goes_on() {
    let server = Server::start(Options::default());
    server.stop();
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.write_all(b"PING\r\n").unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut reply = [0; 7];
    assert!(stream.read(&mut reply).is_err());
    server.cont();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.read_exact(&mut reply).unwrap();
    assert_eq!(&reply, b"+PONG\r\n");
}

#[test]
fn a_dropped_server_leaves_neither_process_nor_files() {
    let server = Server::start(Options::default());
    let (address, dir) = (server.address(), server.dir().to_owned());
    drop(server);
    assert!(TcpStream::connect(address).is_err());
    assert!(!Path::new(&dir).exists());
}

#[test]
fn a_replica_follows_its_primary() {
    let primary = Server::start(Options::default());
    let replica = Server::start(Options { replica_of: Some(primary.port()), ..Options::default() });
    set(&primary, "copied");
    wait_until("the replica has it", || get(&replica).is_some());
    let refused = cmd("SET").arg("key").arg("x").exec(&mut replica.connection()).unwrap_err();
    assert_eq!(refused.code(), Some("READONLY"));
}

#[test]
fn the_tls_port_is_trusted_by_who_knows_its_authority_only() {
    let server = Server::start(Options { tls: true, ..Options::default() });
    let pong: String = cmd("PING").query(&mut server.tls_connection()).unwrap();
    assert_eq!(pong, "PONG");
    let stranger = redis::Client::open(server.tls_url()).unwrap();
    assert!(stranger.get_connection_with_timeout(Duration::from_secs(10)).is_err());
}

#[test]
fn a_user_may_do_what_its_line_says() {
    let server = Server::start(Options::default().line("user app on >secret ~adjourn:* +set"));
    let client = redis::Client::open(format!("redis://app:secret@{}", server.address())).unwrap();
    let mut connection = client.get_connection().unwrap();
    cmd("SET").arg("adjourn:x").arg("1").exec(&mut connection).unwrap();
    for refused in [cmd("SET").arg("other").arg("1"), cmd("GET").arg("adjourn:x")] {
        assert_eq!(refused.exec(&mut connection).unwrap_err().kind(), ErrorKind::Server(redis::ServerErrorKind::NoPerm));
    }
}
