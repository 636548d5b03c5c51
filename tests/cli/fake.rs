//! A service that answers by script, and remembers what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

pub struct Request {
    pub head: String,
    pub body: String,
}

/// Answers each connection with the next of its answers, then closes it.
pub struct Fake {
    pub url: String,
    served: JoinHandle<Vec<Request>>,
}

impl Fake {
    pub fn start(answers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serve = move || answers.iter().map(|answer| serve(&listener.accept().unwrap().0, answer)).collect();
        Self { url, served: std::thread::spawn(serve) }
    }

    /// What it was asked, once every answer has been given.
    pub fn requests(self) -> Vec<Request> {
        self.served.join().unwrap()
    }
}

fn serve(stream: &TcpStream, answer: &str) -> Request {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "half a head: {head}");
    }
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    (&mut &*stream).write_all(answer.as_bytes()).unwrap();
    Request { head, body: String::from_utf8(body).unwrap() }
}

pub fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

pub fn accepted(count: usize) -> String {
    answer("202 Accepted", "", &format!(r#"{{"accepted":{count},"duplicates":0,"rejected":[]}}"#))
}

/// A stream that breaks off after `text`.
pub fn stream(text: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n{text}")
}
