//! Who may ask, what every refusal looks like, and the admin port.

use adjourn::app::App;
use adjourn::config::{Config, Sources};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::*;

#[actix_rt::test]
async fn every_refusal_is_a_problem_document() {
    let app = TestApp::start().await;
    let nowhere = app.get("/v1/nowhere").await;
    assert_eq!((nowhere.status.as_u16(), nowhere.problem()), (404, "not-found"));
    let method = Answer::of(app.client.delete(app.url("/v1/events"))).await;
    assert_eq!((method.status.as_u16(), method.problem(), method.header("allow")), (405, "method-not-allowed", "POST, OPTIONS"));
    let options = Answer::of(app.client.request(reqwest::Method::OPTIONS, app.url("/v1/topology"))).await;
    assert_eq!((options.status.as_u16(), options.header("allow")), (204, "GET, HEAD, OPTIONS"));
    let encoded = app.get("/v1/workspaces/%ff/conversations").await;
    assert_eq!(encoded.problem(), "invalid-name");
    app.stop().await;
}

#[actix_rt::test]
async fn a_name_that_was_rebound_is_not_this_machine() {
    let app = TestApp::start().await;
    let foreign = Answer::of(app.client.get(app.url("/v1/topology")).header("host", "evil.example")).await;
    assert_eq!((foreign.status.as_u16(), foreign.problem()), (421, "foreign-host"));
    let local = Answer::of(app.client.get(app.url("/v1/topology")).header("host", "localhost:1")).await;
    assert_eq!(local.status, 200);
    app.stop().await;
}

#[actix_rt::test]
async fn a_page_of_another_origin_may_not_write() {
    let app = TestApp::start().await;
    let from = |origin: String| Answer::of(app.posting(JSON, message("m-1", "c-1").to_string()).header("origin", origin));
    let foreign = from("http://evil.example".to_owned()).await;
    assert_eq!((foreign.status.as_u16(), foreign.problem()), (403, "cross-origin"));
    assert_eq!(from(format!("http://{}", app.public)).await.status, 202);
    app.stop().await;
}

#[actix_rt::test]
async fn a_request_id_comes_back() {
    let app = TestApp::start().await;
    let mine = Answer::of(app.client.get(app.url("/v1/topology")).header("x-request-id", "mine-1")).await;
    assert_eq!(mine.header("x-request-id"), "mine-1");
    assert_eq!(app.get("/v1/nowhere").await.header("x-request-id").len(), 36);
    app.stop().await;
}

#[actix_rt::test]
async fn a_slow_head_is_cut_off() {
    let app = TestApp::start().await;
    let mut connection = TcpStream::connect(app.public).await.unwrap();
    connection.write_all(b"GET /v1/topology HTTP/1.1\r\nHost: loc").await.unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&answer));
    app.stop().await;
}

/// Of a body in chunks nobody knows how much is to come: whatever the answer, its sender is not waited for.
#[actix_rt::test]
async fn an_unfinished_body_in_chunks_ends_the_connection() {
    let app = TestApp::start_with(&[("limits.stall", "1s")]).await;
    let cut_off = async |head: &str, answer: &str| {
        let mut connection = TcpStream::connect(app.public).await.unwrap();
        let request = format!("{head} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {JSON}\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{{");
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut read = Vec::new();
        let ended = tokio::time::timeout(std::time::Duration::from_secs(20), connection.read_to_end(&mut read)).await;
        assert!(ended.is_ok(), "{head}: still open after {}", String::from_utf8_lossy(&read));
        assert!(read.starts_with(answer.as_bytes()), "{head}: {}", String::from_utf8_lossy(&read));
    };
    tokio::join!(
        cut_off("POST /v1/events", "HTTP/1.1 408"),
        cut_off("POST /v1/nowhere", "HTTP/1.1 404"),
        cut_off("PUT /v1/events", "HTTP/1.1 405"),
        cut_off("GET /v1/topology", "HTTP/1.1 200"),
    );
    app.stop().await;
}

#[actix_rt::test]
async fn a_finished_body_in_chunks_keeps_the_connection() {
    let app = TestApp::start().await;
    let event = message("m-1", "c-1").to_string();
    let mut connection = TcpStream::connect(app.public).await.unwrap();
    for _ in 0..2 {
        let head = format!("POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: {JSON}\r\ntransfer-encoding: chunked\r\n\r\n");
        let request = format!("{head}{:x}\r\n{event}\r\n0\r\n\r\n", event.len());
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut read = [0; 4_096];
        let length = connection.read(&mut read).await.unwrap();
        let answer = String::from_utf8_lossy(&read[..length]);
        assert!(answer.starts_with("HTTP/1.1 202") && !answer.contains("connection: close"), "{answer}");
    }
    app.stop().await;
}

#[actix_rt::test]
async fn health_and_metrics() {
    let app = TestApp::start().await;
    assert_eq!(app.admin("/livez").await, (reqwest::StatusCode::OK, "ok\n".to_owned()));
    app.apply(&[message("m-1", "c-1")]).await;
    app.put_settings("acme", json!({"auto_close": {"enabled": true}})).await;
    let (status, text) = app.admin("/readyz?verbose").await;
    assert_eq!(
        (status.as_u16(), text.as_str()),
        (
            200,
            "[+]serving ok\n[+]store ok\n[+]clocks ok\n[+]closing ok\n[+]partitions ok: 4 run here, 0 in the cluster have no owner\nok\n"
        )
    );
    assert_eq!(app.admin("/startupz").await.0, 200);
    let (_, metrics) = app.admin("/metrics").await;
    for name in [
        "adjourn_events_accepted_total{transport=\"http\"}",
        "adjourn_events_accepted_total{transport=\"redis\"} 0",
        "adjourn_store_commit_seconds_bucket",
        "adjourn_build_info{version=",
        "adjourn_timers_overdue 0",
        "adjourn_dead_letters_total ",
        "adjourn_fenced_writes_total ",
        "adjourn_close_reversals_total ",
        "adjourn_partition_moves_total ",
        "adjourn_lease_renewals_failed_total ",
        "adjourn_partitions_owned ",
        "adjourn_nodes_live ",
    ] {
        assert!(metrics.contains(name), "{name} in {metrics}");
    }
    assert_eq!(app.admin("/nowhere").await.0, 404);
    app.stop().await;
}

#[actix_rt::test]
async fn stopping_lets_what_is_in_flight_end() {
    let mut app = TestApp::start_with(&ROOM_FOR_ONE).await;
    let Unfinished { rest, answer, .. } = app.unfinished().await;
    app.begin_stop();
    // Readiness fails first, and says why.
    let mut ready = app.admin("/readyz").await;
    while ready.0 == 200 {
        ready = app.admin("/readyz").await;
    }
    assert_eq!((ready.0.as_u16(), ready.1.as_str()), (503, "[-]serving stopping\nnot ready\n"));
    rest.send(Ok(message("m-1", "c-1").to_string().into_bytes())).unwrap();
    drop(rest);
    let answer = answer.await.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.json["accepted"]), (202, &json!(1)), "{}", answer.json);
    app.stop().await;
}

#[actix_rt::test]
async fn a_second_process_on_one_store_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = format!("embedded:{}", dir.path().join("store").display());
    let app = TestApp::start_with(&[("store", &store)]).await;
    let flags = [("listen", "127.0.0.1:0"), ("admin_listen", "127.0.0.1:0"), ("store", &store)];
    let flags = flags.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let config = Config::load(Sources { flags, ..Sources::default() }).unwrap();
    let refused = App::build(config).err().expect("one directory, one process");
    assert!(format!("{refused:#}").contains("another adjourn process"), "{refused:#}");
    app.stop().await;
}

#[actix_rt::test]
async fn what_was_accepted_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = format!("embedded:{}", dir.path().join("store").display());
    let app = TestApp::start_with(&[("store", &store)]).await;
    assert_eq!(app.post(JSON, message("m-1", "c-1").to_string()).await.status, 202);
    app.stop().await;
    let again = TestApp::start_with(&[("store", &store)]).await;
    let repeat = again.apply(&[message("m-1", "c-1")]).await;
    assert_eq!((&repeat.json["duplicates"], &repeat.json["conversations"][0]["version"]), (&json!(1), &json!(1)), "{}", repeat.json);
    again.stop().await;
}
