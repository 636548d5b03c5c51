//! Servers that are slow, wrong, endless, gone, or say what nobody can use.

use std::time::Instant;

use adjourn::domain::Span;

use super::*;

/// What a server says of a refusal may repeat all that it was told.
fn refusal(status: &str, headers: &str) -> Answer {
    answer(status, headers, &format!("{{\"error\":\"{WORDS} {KEY}\"}}"))
}

fn again(written: Result<Proposal, WriteError>) -> (String, Option<Span>) {
    match written {
        Err(WriteError::Again { reason, after }) => (reason.into(), after),
        other => panic!("{other:?}"),
    }
}

fn never(written: Result<Proposal, WriteError>) -> String {
    match written {
        Err(WriteError::Never { reason }) => reason.into(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn l12_what_passes_is_tried_again() {
    for status in ["500 Internal Server Error", "503 Service Unavailable", "429 Too Many Requests", "408 Request Timeout"] {
        let stub = Stub::start(vec![refusal(status, ""), refusal(status, "retry-after: 0\r\n"), note("Billing", "Paid back.")]).await;
        assert_eq!(write(options(&stub.url)).await, proposal(Some("Billing"), "Paid back."), "{status}");
        let stub = Stub::start(vec![refusal(status, "")]).await;
        let (reason, after) = again(write(options(&stub.url)).await);
        assert!(reason.contains(&status[..3]) && after.is_none(), "{reason}");
        assert_eq!(stub.asked().len(), 3);
    }
}

#[tokio::test]
async fn l12_what_does_not_pass_is_given_up_at_once() {
    for (status, says) in [
        ("401 Unauthorized", "the key is"),
        ("403 Forbidden", "the key is"),
        ("404 Not Found", "no such model"),
        ("413 Content Too Large", "too long"),
        ("418 I'm a teapot", "418"),
    ] {
        let stub = Stub::start(vec![refusal(status, "retry-after: 0\r\n")]).await;
        let reason = never(write(options(&stub.url)).await);
        assert!(reason.contains(says) && stub.asked().len() == 1, "{reason}");
    }
    let stub = Stub::start(vec![refusal("400 Bad Request", "")]).await;
    assert!(never(write(options(&stub.url)).await).contains("400"));
    assert_eq!(stub.asked().len(), 2, "once with a schema, once without");
}

#[tokio::test]
async fn l12_a_long_wait_that_is_asked_for_is_left_to_the_caller() {
    for (asked, told) in [("60", Span::from_secs(60)), ("999999999999", Span::from_hours(1))] {
        let stub = Stub::start(vec![refusal("429 Too Many Requests", &format!("retry-after: {asked}\r\n"))]).await;
        let (_, after) = again(write(options(&stub.url)).await);
        assert_eq!((after, stub.asked().len()), (Some(told), 1));
    }
    // A date, or nonsense: as if nothing was said.
    for asked in ["Wed, 21 Oct 2026 07:28:00 GMT", "-1", "soon"] {
        let stub = Stub::start(vec![refusal("503 Service Unavailable", &format!("retry-after: {asked}\r\n"))]).await;
        assert_eq!((again(write(options(&stub.url)).await).1, stub.asked().len()), (None, 3));
    }
}

#[tokio::test]
async fn l12_a_redirect_is_not_followed() {
    let elsewhere = Stub::start(vec![note("Billing", "Paid back.")]).await;
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let stub = Stub::start(vec![refusal(status, &format!("location: {}\r\n", elsewhere.url))]).await;
        assert!(never(write(options(&stub.url)).await).contains("nothing is sent elsewhere"));
        assert_eq!(stub.asked().len(), 1);
    }
    assert!(elsewhere.asked().is_empty());
}

#[tokio::test]
async fn l12_a_server_that_never_answers_is_not_waited_for() {
    let (silent, half) = (Stub::start(vec![Answer::Nothing]).await, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{");
    // A byte now and then would keep it alive for ever, were it only the silence that is bounded.
    let trickling = Stub::start(vec![Answer::Trickle("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")]).await;
    let broken = Stub::start(vec![Answer::Say(half.to_owned())]).await;
    for stub in [&silent, &trickling] {
        let patience = RemoteOptions { timeout: Duration::from_millis(200), attempts: 2, ..options(&stub.url) };
        let reason = again(write(patience).await).0;
        assert!(reason.contains("within 200ms"), "{reason}");
    }
    assert_eq!(silent.asked().len(), 2);
    let reason = again(write(options(&broken.url)).await).0;
    assert!(reason.contains("broke off") && broken.asked().len() == 3, "{reason}");
}

#[tokio::test]
async fn l12_a_server_that_is_not_there_may_come_back() {
    let address = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let reason = again(write(options(&format!("http://{address}"))).await).0;
    assert!(reason.contains(&address.to_string()) && reason.contains("refused"), "{reason}");
}

#[tokio::test]
async fn l12_an_answer_without_an_end_costs_neither_memory_nor_time() {
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000)).into_bytes();
    let megabytes = "x".repeat(10 << 20);
    for (answer, taken_max) in [
        (Answer::Endless("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", chunk), 64 << 20),
        (Answer::Endless("HTTP/1.1 200 OK\r\n\r\n", vec![b'{'; 0x10000]), 64 << 20),
        (Answer::Endless("HTTP/1.1 200 OK\r\ncontent-length: 999999999999\r\n\r\n", vec![b' '; 0x10000]), 64 << 20),
        (says(&megabytes), 0),
    ] {
        let stub = Stub::start(vec![answer]).await;
        let began = Instant::now();
        let reason = never(write(options(&stub.url)).await);
        assert!(reason.contains("twice an answer that cannot be used"), "{reason}");
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        // Beyond what was read, only what fits into the buffers of two sockets.
        assert!(stub.asked().len() == 2 && stub.taken() <= taken_max, "{}", stub.taken());
    }
    // One that never stops its head is no answer at all.
    let stub = Stub::start(vec![Answer::Endless("HTTP/1.1 200 OK\r\n", b"x-more: and more\r\n".repeat(99))]).await;
    assert!(again(write(options(&stub.url)).await).0.contains("broke off"));
}

#[tokio::test]
async fn l12_what_stays_unusable_is_given_up() {
    for unusable in [
        says("I'd rather not."),
        says(&format!("{{\"text\": \"{WORDS}\"}}")),
        says("{\"summary\": \"no end"),
        note("", "\u{0}\n"),
        answer("200 OK", "", "<html>a portal of a hotel</html>"),
        answer("200 OK", "", r#"{"choices":[]}"#),
        answer("204 No Content", "", ""),
    ] {
        let stub = Stub::start(vec![unusable]).await;
        assert!(never(write(options(&stub.url)).await).contains("twice an answer that cannot be used"));
        assert_eq!(stub.asked().len(), 2);
    }
}
