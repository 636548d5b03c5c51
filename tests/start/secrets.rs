//! Row 17 of the security table: what people wrote, and what opens the store, is in no log, no metric and no error.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::rig::server::{Options, Server};
use crate::service::Service;

/// In every text that a customer or a team writes.
const WORDS: &str = "canary-words-of-a-customer";
const PASSWORD: &str = "canary-password-of-the-store";

fn event(id: &str, type_name: &str, data: Value) -> String {
    let event = json!({"specversion": "1.0", "id": id, "source": "/test", "type": type_name, "subject": "c-1", "workspace": "acme",
        "time": chrono::Utc::now(), "data": data});
    event.to_string()
}

/// Whatever these bodies are answered, it is an answer; what it says of the refused.
async fn told(service: &Service, body: String) -> String {
    let answer = service.post_raw(body).await;
    assert_ne!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    answer.text().await.unwrap()
}

/// Texts where they belong, where they do not, and in what cannot be read at all.
async fn say_it_everywhere(service: &Service) -> String {
    let message = |id: &str| event(id, "inbox.message.v1", json!({"source": "user", "agent": "ana", "text": WORDS, "channel": WORDS}));
    let mut refusals = String::new();
    for body in [
        message("m-1"),
        event("m-2", "inbox.conversation.closed.v1", json!({"source": "user", "note": {"category": "billing", "summary": WORDS}})),
        event("m-3", "inbox.message.v1", json!({"source": WORDS})),
        event("m-4", "inbox.message.v1", json!({"source": "user", "text": {"deep": WORDS}, "message_id": format!("{WORDS}\n")})),
        event("m-5", "inbox.conversation.snoozed.v1", json!({"until": WORDS})),
        event("m-6", "inbox.conversation.assigned.v1", json!({"assignee": {"kind": WORDS, "id": "x"}})),
        message("m-7").replace("2.0", WORDS).replace("/test", &format!("/\\u0000{WORDS}")),
        message("m-8").replace("\"acme\"", &format!("\"{{{WORDS}}}\"")),
        message("m-9").replace("\"specversion\":\"1.0\"", &format!("\"specversion\":\"{WORDS}\"")),
        format!("{{\"text\": {WORDS}"),
        format!("[\"{WORDS}"),
    ] {
        let answer = told(service, body).await;
        // The conversation is the answer to what was taken, and its note a part of it.
        if !answer.contains("\"conversations\"") {
            refusals.push_str(&answer);
        }
    }
    for path in [format!("/v1/workspaces/acme/conversations?q={WORDS}"), format!("/v1/notifications?after={WORDS}")] {
        refusals.push_str(&service.get(&path).await.text().await.unwrap());
    }
    refusals
}

fn add_to_the_log(server: &Server) {
    let mut connection = server.connection();
    let _: String = redis::cmd("AUTH").arg(PASSWORD).query(&mut connection).unwrap();
    let unreadable = event("m-10", "inbox.message.v1", json!({"source": WORDS, "text": WORDS}));
    for stream in ["adjourn:{p0}:events", "adjourn:{in}:events"] {
        for (kind, body) in [("application/cloudevents+json", &*unreadable), ("text/plain\r\n\u{1b}[31mfaked line", WORDS)] {
            let _: String = redis::cmd("XADD").arg(stream).arg("*").arg(&["ct", kind, "ce", body]).query(&mut connection).unwrap();
        }
    }
}

#[tokio::test]
async fn row_17_no_log_metric_or_error_tells_what_was_written_or_what_opens_the_store() {
    for format in ["log.format=json", "log.format=text"] {
        let server = Server::start(Options::default());
        let _: String = redis::cmd("CONFIG").arg(&["SET", "requirepass", PASSWORD]).query(&mut server.connection()).unwrap();
        let url = server.url().replace("redis://", &format!("redis://:{PASSWORD}@"));
        let more = ["--partitions", "1", "--set", "log.level=trace", "--set", format];
        let service = Service::start(&url, &more, &[]);
        service.until_ready().await;
        let refusals = say_it_everywhere(&service).await;
        assert!(refusals.contains("unknown-value") && refusals.contains("malformed-json"), "they were refused: {refusals}");
        assert!(!refusals.contains(WORDS), "in an error: {refusals}");
        add_to_the_log(&server);
        crate::rig::process::wait_until("the unreadable entries are told of", || service.log().matches("in the dead letters").count() >= 2);
        let (_, metrics) = service.admin("/metrics").await;
        let (_, ready) = service.admin("/readyz?verbose").await;
        let log = service.log();
        service.stop();
        assert!(log.contains("/v1/workspaces/acme/conversations"), "at this level the log speaks of every request");
        for (where_to, said) in [("the log", &log), ("the metrics", &metrics), ("readiness", &ready)] {
            for secret in [WORDS, PASSWORD] {
                let found: Vec<&str> = said.lines().filter(|line| line.contains(secret)).collect();
                assert!(found.is_empty(), "in {where_to}: {found:#?}");
            }
        }
        assert!(!log.contains('\u{1b}') && !log.lines().any(|line| line.starts_with("faked line")), "a line of somebody else's");
    }
}
