//! Rows of the security table (RELIABILITY.md, part d) that are seen at the HTTP door, by their numbers. Also of row 4:
//! depth, size, number and NaN in `bad_input`, the gzip bomb in `forms`; of row 5: one that stalls, trickles or sends its
//! head slowly, in `bad_input` and `doors`.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::*;

const LONG: &str = "60s";

/// Slow clients at a time, half of what one process may have open on a usual machine.
const SLOW: usize = 500;

#[actix_rt::test]
async fn row_4_what_is_no_text_or_no_number_is_refused_and_says_so() {
    let app = TestApp::start().await;
    let event = message("m-1", "c-1").to_string();
    for (written, instead, status, expected) in [
        ("\"Hello?\"", "1e999999", 400, "malformed-json"),
        ("\"Hello?\"", "-Infinity", 400, "malformed-json"),
        ("Hello?", "\\ud83d", 400, "malformed-json"),
        ("Hello?", "\\ude00\\ud83d", 400, "malformed-json"),
        ("Hello?", "\u{1}", 400, "malformed-json"),
        ("m-1", "\\ud83d", 400, "malformed-json"),
        ("\"m-1\"", "1e308", 422, "wrong-type"),
        ("\"2026-11-22T10:00:00Z\"", "1795341600000", 422, "wrong-type"),
        ("m-1", "m\\u0000", 422, "not-printable"),
        ("c-1", "{p1}", 422, "invalid-name"),
    ] {
        let answer = app.post(JSON, event.replace(written, instead)).await;
        assert_eq!((answer.status.as_u16(), answer.problem()), (status, expected), "{instead}: {}", answer.json);
    }
    // A number of any length where text is optional and not kept: no member of ours, no harm, no time.
    let digits = app.post(JSON, event.replace("\"Hello?\"", &"9".repeat(200))).await;
    assert_eq!(digits.status, 202, "{}", digits.json);
    app.stop().await;
}

#[actix_rt::test]
async fn row_4_settings_are_bounded_as_well() {
    let app = TestApp::start().await;
    let put = |body: String| {
        let put = app.client.put(app.url("/v1/workspaces/acme/settings")).header("content-type", "application/json");
        Answer::of(put.body(body))
    };
    let deep = put(format!("{}{}", "[".repeat(1_000), "]".repeat(1_000))).await;
    assert_eq!((deep.status.as_u16(), deep.problem()), (400, "too-deep"));
    let long = put(json!({ "farewell": "x".repeat(100_000) }).to_string()).await;
    assert_eq!((long.status.as_u16(), long.problem()), (413, "body-too-large"));
    app.stop().await;
}

/// Sends this and leaves the connection open.
async fn begun(app: &TestApp, words: &str) -> TcpStream {
    let mut connection = TcpStream::connect(app.public).await.unwrap();
    connection.write_all(words.as_bytes()).await.unwrap();
    connection
}

/// Whether neither an answer nor an end has come yet.
fn waits(connection: &TcpStream) -> bool {
    connection.try_read(&mut [0; 64]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

/// The bounds are far away here: every one of the slow is still there when the others have been served.
#[actix_rt::test]
async fn row_5_five_hundred_slow_bodies_hold_up_nobody() {
    let app = TestApp::start_with(&[("limits.stall", LONG), ("limits.total", LONG)]).await;
    let head = format!("POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: {NDJSON}\r\ncontent-length: 90000\r\n\r\n{{");
    let mut slow = Vec::with_capacity(SLOW);
    for _ in 0..SLOW {
        slow.push(begun(&app, &head).await);
    }
    for n in 0..50 {
        app.apply(&[message(&format!("m-{n}"), "c-1")]).await;
    }
    assert_eq!(app.admin("/livez").await.0, 200);
    let waiting = slow.iter().filter(|connection| waits(connection)).count();
    assert_eq!(waiting, SLOW, "the slow ones were still being waited for");
    // One of them comes to its end after all, and is heard.
    let mut late = slow.pop().unwrap();
    late.write_all(" ".repeat(89_998).as_bytes()).await.unwrap();
    late.write_all(b"\n").await.unwrap();
    let mut answer = [0; 12];
    late.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 422", "its one line is no JSON");
    drop((slow, late));
    app.stop().await;
}

#[actix_rt::test]
async fn row_5_five_hundred_slow_heads_are_cut_off_and_hold_up_nobody() {
    let app = TestApp::start().await;
    let mut slow = Vec::with_capacity(SLOW);
    for _ in 0..SLOW {
        slow.push(begun(&app, "POST /v1/events HTTP/1.1\r\nhost: loc").await);
    }
    for n in 0..20 {
        app.apply(&[message(&format!("m-{n}"), "c-1")]).await;
    }
    for mut connection in slow {
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&answer));
    }
    app.stop().await;
}

/// Framings that two servers could read in two ways: what is between a request's head and its smuggled body.
const SMUGGLED: [(&str, &str, &str); 20] = [
    ("both lengths", "content-length: 5\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n"),
    ("both, the other way round", "transfer-encoding: chunked\r\ncontent-length: 5\r\n", "0\r\n\r\n"),
    ("two different lengths", "content-length: 0\r\ncontent-length: 5\r\n", ""),
    ("the same length twice", "content-length: 0\r\ncontent-length: 0\r\n", ""),
    ("a list of lengths", "content-length: 0, 5\r\n", ""),
    ("a length with a plus", "content-length: +0\r\n", ""),
    ("a negative length", "content-length: -1\r\n", ""),
    ("a length in hex", "content-length: 0x0\r\n", ""),
    ("a length without end", "content-length: 99999999999999999999\r\n", ""),
    ("an empty length", "content-length: \r\n", ""),
    ("a blank before the colon", "content-length : 0\r\n", ""),
    ("a folded header", "content-length: 0\r\n folded: x\r\n", ""),
    ("a coding nobody knows", "transfer-encoding: xchunked\r\n", "0\r\n\r\n"),
    ("chunked, and not last", "transfer-encoding: chunked, identity\r\n", "0\r\n\r\n"),
    ("chunked twice", "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n"),
    ("a name with a tab", "transfer-encoding\t: chunked\r\n", "0\r\n\r\n"),
    ("a chunk size that is none", "transfer-encoding: chunked\r\n", "zz\r\n\r\n"),
    ("a chunk size with a sign", "transfer-encoding: chunked\r\n", "-0\r\n\r\n"),
    ("a chunk size beyond any number", "transfer-encoding: chunked\r\n", "fffffffffffffffff\r\n\r\n"),
    ("a chunk longer than it says", "transfer-encoding: chunked\r\n", "1\r\nxyz\r\n0\r\n\r\n"),
];

/// Everything that comes back for one connection's bytes, with a second request behind the first.
async fn answers(app: &TestApp, framing: &str, body: &str) -> String {
    let second = "GET /v1/smuggled HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let first = format!("POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: {JSON}\r\n{framing}\r\n{body}");
    let mut connection = begun(app, &format!("{first}{second}")).await;
    let mut read = Vec::new();
    let ended = tokio::time::timeout(std::time::Duration::from_secs(30), connection.read_to_end(&mut read)).await;
    assert!(ended.is_ok(), "{framing:?}: still open after {}", String::from_utf8_lossy(&read));
    String::from_utf8_lossy(&read).into_owned()
}

#[actix_rt::test]
async fn row_6_a_framing_that_can_be_read_in_two_ways_ends_the_connection() {
    let app = TestApp::start().await;
    let mut wrong = Vec::new();
    for (what, framing, body) in SMUGGLED {
        let answers = answers(&app, framing, body).await;
        let count = answers.matches("HTTP/1.1 ").count();
        if !(answers.starts_with("HTTP/1.1 4") && count == 1) {
            wrong
                .push(format!("{what}: {count} answers: {}", answers.lines().filter(|line| line.starts_with("HTTP/")).collect::<String>()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // And the checker sees a second request where there is one.
    let honest = answers(&app, "content-length: 2\r\n", "{}").await;
    assert_eq!(honest.matches("HTTP/1.1 ").count(), 2, "{honest}");
    app.stop().await;
}

/// Row 15: at every door that takes a name, what could end a line, a text or a key.
#[actix_rt::test]
async fn row_15_names_that_end_lines_texts_or_keys_are_refused_at_every_door() {
    let app = TestApp::start().await;
    let long = "x".repeat(64 * 1024);
    for bad in ["a\r\nb", "a\0b", "{p1}", "a/b", "a b", "\u{1b}[31m", &long] {
        for (member, expected) in [("subject", "invalid-name"), ("workspace", "invalid-name")] {
            let event = with(message("m-1", "c-1"), json!({ member: bad }));
            for (content_type, body) in [
                (JSON, event.to_string().into_bytes()),
                (BATCH, json!([event]).to_string().into_bytes()),
                (NDJSON, event.to_string().into_bytes()),
                (MSGPACK, rmp_serde::to_vec_named(&json!([event])).unwrap()),
            ] {
                let answer = app.post(content_type, body).await;
                assert_eq!((answer.status.as_u16(), answer.problem()), (422, expected), "{content_type} {member} {bad:.20?}");
            }
        }
        let escaped: String = bad.bytes().take(1_000).map(|byte| format!("%{byte:02x}")).collect();
        for path in [format!("/v1/workspaces/{escaped}/conversations"), format!("/v1/workspaces/acme/conversations/{escaped}")] {
            let answer = app.get(&path).await;
            assert!([400, 404].contains(&answer.status.as_u16()), "{path:.60}: {}", answer.status);
            answer.problem();
        }
        let headers = Answer::of(app.posting("application/json", "{\"source\":\"contact\"}").headers(binary(&escaped))).await;
        assert_eq!((headers.status.as_u16(), headers.problem()), (422, "invalid-name"), "{bad:.20?}");
    }
    for id in ["a\r\nb", "a\0b", &long] {
        let answer = app.post(JSON, with(message("m-1", "c-1"), json!({ "id": id })).to_string()).await;
        assert_eq!((answer.status.as_u16(), answer.problem()), (422, "not-printable"), "{id:.20?}");
    }
    assert_eq!(app.get("/v1/workspaces/acme/conversations").await.json["items"], json!([]), "nothing came to be");
    app.stop().await;
}

/// The attributes of an event about this subject.
fn binary(subject: &str) -> reqwest::header::HeaderMap {
    let attributes = [
        ("ce-specversion", "1.0"),
        ("ce-id", "m-1"),
        ("ce-source", "/ingest/test"),
        ("ce-type", "inbox.message.v1"),
        ("ce-subject", subject),
        ("ce-workspace", "acme"),
        ("ce-time", "2026-11-22T10:00:00Z"),
    ];
    attributes
        .into_iter()
        .map(|(name, value)| (name.parse().unwrap(), value.parse::<reqwest::header::HeaderValue>().unwrap()))
        .collect::<Vec<(reqwest::header::HeaderName, _)>>()
        .into_iter()
        .collect()
}
