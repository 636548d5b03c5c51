//! The wire, whole and broken.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use redis::{Connection, cmd};

use super::rig::process::wait_until;
use super::rig::proxy::Proxy;
use super::rig::proxy::requests::Requests;
use super::rig::server::{Options, Server};

/// Long enough for what would come to have come.
const A_WHILE: Duration = Duration::from_millis(150);
const PONG: &[u8] = b"+PONG\r\n";

fn behind_proxy() -> (Server, Proxy) {
    let server = Server::start(Options::default());
    let proxy = Proxy::start(server.address());
    (server, proxy)
}

/// A client through the proxy, as raw as can be.
struct Client(TcpStream);

impl Client {
    fn of(proxy: &Proxy) -> Self {
        Self(TcpStream::connect(proxy.address()).unwrap())
    }

    fn send(&mut self, words: &[&str]) {
        let strings: String = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
        write!(self.0, "*{}\r\n{strings}", words.len()).unwrap();
    }

    fn expect(&mut self, answer: &[u8]) {
        self.0.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut read = vec![0; answer.len()];
        self.0.read_exact(&mut read).unwrap();
        assert_eq!(read, answer);
    }

    fn expect_silence(&mut self) {
        self.0.set_read_timeout(Some(A_WHILE)).unwrap();
        let silence = self.0.read(&mut [0]).unwrap_err();
        assert!(silence.kind() == std::io::ErrorKind::WouldBlock, "{silence}");
    }

    fn ask(&mut self, words: &[&str], answer: &[u8]) {
        self.send(words);
        self.expect(answer);
    }
}

fn get(direct: &mut Connection, key: &str) -> Option<String> {
    cmd("GET").arg(key).query(direct).unwrap()
}

#[test]
fn everything_passes_a_whole_wire_and_is_counted() {
    let (_server, proxy) = behind_proxy();
    let mut client = Client::of(&proxy);
    client.ask(&["PING"], PONG);
    let big = "x".repeat(3_000_000);
    client.ask(&["SET", "big", &big], b"+OK\r\n");
    client.ask(&["GET", "big"], format!("$3000000\r\n{big}\r\n").as_bytes());
    wait_until("every byte is counted", || proxy.counts().bytes_to_client == 7 + 5 + 3_000_012);
    assert!(proxy.counts().bytes_to_server > 3_000_000);
    assert_eq!((proxy.counts().accepted, proxy.counts().open), (1, 1));
    drop(client);
    wait_until("its end was passed on", || proxy.counts().open == 0);
}

#[test]
fn a_cut_both_ways_holds_everything_up_and_keeps_the_connection() {
    let (server, proxy) = behind_proxy();
    let mut client = Client::of(&proxy);
    client.ask(&["PING"], PONG);
    proxy.cut();
    client.send(&["SET", "key", "x"]);
    client.expect_silence();
    assert_eq!(get(&mut server.connection(), "key"), None);
    proxy.heal();
    client.expect(b"+OK\r\n");
}

#[test]
fn a_cut_to_the_client_lets_the_request_arrive_but_not_its_answer() {
    let (server, proxy) = behind_proxy();
    let mut client = Client::of(&proxy);
    client.ask(&["PING"], PONG);
    proxy.cut_to_client();
    client.send(&["SET", "key", "arrived"]);
    wait_until("it has arrived", || get(&mut server.connection(), "key").is_some());
    client.expect_silence();
    proxy.heal();
    client.expect(b"+OK\r\n");
}

#[test]
fn a_cut_to_the_server_lets_an_answer_arrive_but_no_request() {
    let (server, proxy) = behind_proxy();
    let mut client = Client::of(&proxy);
    client.send(&["BLPOP", "list", "0"]);
    let mut direct = server.connection();
    let blocked = |direct: &mut Connection| cmd("INFO").arg("clients").query::<String>(direct).unwrap().contains("blocked_clients:1");
    wait_until("it blocks", || blocked(&mut direct));
    proxy.cut_to_server();
    cmd("RPUSH").arg("list").arg("x").exec(&mut direct).unwrap();
    client.expect(b"*2\r\n$4\r\nlist\r\n$1\r\nx\r\n");
    client.send(&["SET", "key", "x"]);
    client.expect_silence();
    assert_eq!(get(&mut direct, "key"), None);
    proxy.heal();
    client.expect(b"+OK\r\n");
}

#[test]
fn what_a_cut_held_up_arrives_after_its_client_has_gone() {
    let (server, proxy) = behind_proxy();
    let mut client = Client::of(&proxy);
    client.ask(&["PING"], PONG);
    proxy.cut();
    client.send(&["SET", "key", "late"]);
    drop(client);
    std::thread::sleep(A_WHILE);
    assert_eq!(get(&mut server.connection(), "key"), None);
    proxy.heal();
    wait_until("it has arrived", || get(&mut server.connection(), "key").is_some());
}

#[test]
fn whoever_connects_during_a_cut_waits_for_its_end() {
    let (server, proxy) = behind_proxy();
    proxy.cut();
    let mut client = Client::of(&proxy);
    client.send(&["PING"]);
    client.expect_silence();
    let clients: String = cmd("INFO").arg("clients").query(&mut server.connection()).unwrap();
    assert!(clients.contains("connected_clients:1"), "only the one that asks: {clients}");
    proxy.heal();
    client.expect(PONG);
}

#[test]
fn a_delay_is_added_each_way() {
    let (_server, proxy) = behind_proxy();
    let mut client = Client::of(&proxy);
    client.ask(&["PING"], PONG);
    let (delay, requests) = (Duration::from_millis(200), 40);
    proxy.delay(delay);
    let asked = Instant::now();
    for _ in 0..requests {
        client.send(&["PING"]);
    }
    client.expect(&PONG.repeat(requests));
    let took = asked.elapsed();
    assert!(took >= 2 * delay, "{took:?}");
    let one_by_one = 2 * delay * requests as u32;
    assert!(took < one_by_one, "a delay is no limit on how much passes: {took:?}, one after the other takes {one_by_one:?}");
}

/// All that a client reads, read by read, until there is as much.
fn reads(client: &mut Client, len: usize) -> Vec<Vec<u8>> {
    client.0.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let (mut pieces, mut buffer) = (Vec::new(), [0; 64]);
    while pieces.iter().map(Vec::len).sum::<usize>() < len {
        let read = client.0.read(&mut buffer).unwrap();
        assert!(read > 0, "it ended");
        pieces.push(buffer[..read].to_vec());
    }
    pieces
}

#[test]
fn a_sliced_wire_passes_everything_byte_by_byte_and_a_whole_one_does_not() {
    const PINGS: usize = 50;
    let (server, proxy) = behind_proxy();
    let mut client = Client::of(&proxy);
    proxy.slice();
    (0..PINGS).for_each(|_| client.send(&["PING"]));
    let pieces = reads(&mut client, PINGS * PONG.len());
    assert_eq!(pieces.concat(), PONG.repeat(PINGS));
    // On a busy machine many wait for others; of a wire that is whole nearly all would.
    let alone = pieces.iter().filter(|piece| piece.len() == 1).count();
    assert!(alone > PINGS * PONG.len() / 10, "{alone} of {} bytes were read alone", PINGS * PONG.len());
    let both_ways = PINGS * ("*1\r\n$4\r\nPING\r\n".len() + PONG.len());
    wait_until("every byte is counted", || proxy.counts().bytes_alone as usize == both_ways);
    proxy.heal();
    client.ask(&["SET", "key", "x"], b"+OK\r\n");
    assert_eq!(get(&mut server.connection(), "key").as_deref(), Some("x"));
    assert_eq!(proxy.counts().bytes_alone as usize, both_ways);
}

#[test]
fn a_reset_ends_every_connection_and_takes_new_ones() {
    let (server, proxy) = behind_proxy();
    let mut clients = [Client::of(&proxy), Client::of(&proxy)];
    for client in &mut clients {
        client.ask(&["PING"], PONG);
    }
    proxy.reset();
    for client in &mut clients {
        assert_eq!(client.0.read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    }
    let mut direct = server.connection();
    wait_until("the server knows", || cmd("INFO").arg("clients").query::<String>(&mut direct).unwrap().contains("connected_clients:1"));
    Client::of(&proxy).ask(&["PING"], PONG);
    assert_eq!(proxy.counts().accepted, 3);
}

#[test]
fn refused_connections_are_refused_while_others_stay() {
    let (_server, proxy) = behind_proxy();
    let mut client = Client::of(&proxy);
    client.ask(&["PING"], PONG);
    proxy.refuse();
    assert_eq!(TcpStream::connect(proxy.address()).unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    client.ask(&["PING"], PONG);
    proxy.heal();
    Client::of(&proxy).ask(&["PING"], PONG);
}

#[test]
fn a_server_that_dies_ends_its_connections_and_is_found_again() {
    let (mut server, proxy) = behind_proxy();
    let mut client = Client::of(&proxy);
    client.ask(&["PING"], PONG);
    server.kill();
    assert_eq!(client.0.read(&mut [0]).unwrap_or(0), 0);
    assert_eq!(Client::of(&proxy).0.read(&mut [0]).unwrap_or(0), 0);
    server.restart();
    Client::of(&proxy).ask(&["PING"], PONG);
}

#[test]
fn a_held_request_waits_alone_with_what_its_client_sent_behind_it() {
    let (server, proxy) = behind_proxy();
    let (mut client, mut other) = (Client::of(&proxy), Client::of(&proxy));
    let held = proxy.hold_next(&[b"SET", b"{p3}"]);
    client.ask(&["SET", "{p2}", "1"], b"+OK\r\n");
    client.ask(&["GET", "{p3}"], b"$-1\r\n");
    assert!(!held.is_caught());
    client.send(&["INCR", "before"]);
    client.send(&["SET", "{p3}", "1"]);
    client.send(&["INCR", "behind"]);
    held.wait_caught();
    client.expect(b":1\r\n");
    client.expect_silence();
    other.ask(&["SET", "{p3}", "2"], b"+OK\r\n");
    held.release();
    client.expect(b"+OK\r\n:1\r\n");
    assert_eq!(get(&mut server.connection(), "{p3}").as_deref(), Some("1"));
    client.ask(&["SET", "{p3}", "3"], b"+OK\r\n");
}

#[test]
fn a_held_request_arrives_after_its_client_has_gone() {
    let (server, proxy) = behind_proxy();
    let held = proxy.hold_next(&[b"late"]);
    let mut client = Client::of(&proxy);
    client.send(&["SET", "key", "late"]);
    held.wait_caught();
    drop(client);
    let mut direct = server.connection();
    cmd("SET").arg("key").arg("of the new owner").exec(&mut direct).unwrap();
    std::thread::sleep(A_WHILE);
    assert_eq!(get(&mut direct, "key").as_deref(), Some("of the new owner"));
    held.release();
    wait_until("it has arrived", || get(&mut direct, "key").as_deref() == Some("late"));
}

#[test]
fn a_held_request_that_is_dropped_is_lost() {
    let (server, proxy) = behind_proxy();
    let held = proxy.hold_next(&[b"SET"]);
    let mut client = Client::of(&proxy);
    client.send(&["SET", "key", "x"]);
    held.wait_caught();
    drop(held);
    assert_eq!(client.0.read(&mut [0]).unwrap_or(0), 0);
    assert_eq!(get(&mut server.connection(), "key"), None);
    Client::of(&proxy).ask(&["SET", "key", "y"], b"+OK\r\n");
}

#[test]
fn requests_are_told_apart_wherever_the_bytes_are_cut() {
    let wire = b"*2\r\n$4\r\nECHO\r\n$5\r\na\r\nbc\r\n*1\r\n$4\r\nPING\r\n";
    for first in 0..wire.len() {
        let mut requests = Requests::default();
        let mut whole = requests.push(&wire[..first]);
        whole.extend(requests.push(&wire[first..]));
        assert_eq!(whole, [&wire[..25], &wire[25..]], "cut at {first}");
    }
}

#[test]
fn what_is_no_request_passes_as_it_is() {
    let mut requests = Requests::default();
    assert_eq!(requests.push(b"\x16\x03\x01"), [b"\x16\x03\x01"]);
    assert_eq!(requests.push(b"*1\r\n"), [b"*1\r\n"]);
}
