//! Notifications over a WebSocket: what is acknowledged does not come again, what is not does, and nobody holds up anybody.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::support::*;

struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    async fn open(app: &TestApp, query: &str) -> Self {
        Self::try_open(app, query, None).await.unwrap()
    }

    async fn try_open(app: &TestApp, query: &str, key: Option<&str>) -> Result<Self, Error> {
        let mut request = format!("ws://{}/v1/notifications/ws{query}", app.public).into_client_request().unwrap();
        if let Some(key) = key {
            request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
        }
        let (socket, _) = connect_async(request).await?;
        let mut socket = Self(socket);
        let hello = socket.hear().await;
        assert_eq!((&hello["type"], &hello["window"]), (&json!("hello"), &json!(512)));
        Ok(socket)
    }

    /// The next thing it is told, signs of life aside.
    async fn hear(&mut self) -> Value {
        loop {
            match self.0.next().await.unwrap().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next event; its id, and its subject.
    async fn event(&mut self) -> (String, String) {
        let told = self.hear().await;
        let text = |member: &str| told["event"][member].as_str().unwrap_or_else(|| panic!("{told}")).to_owned();
        (text("id"), text("subject"))
    }

    async fn say(&mut self, text: String) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    async fn acknowledge(&mut self, ids: &[&str]) {
        self.say(json!({"type": "ack", "ids": ids}).to_string()).await;
    }

    /// How far it is, once it is told.
    async fn cursor(&mut self) -> String {
        let told = self.hear().await;
        assert_eq!(told["type"], "cursor", "{told}");
        told["cursor"].as_str().unwrap().to_owned()
    }

    async fn closed(&mut self) -> CloseFrame {
        loop {
            match self.0.next().await.unwrap().unwrap() {
                Message::Close(Some(frame)) => return frame,
                Message::Close(None) => panic!("closed without a reason"),
                _ => {}
            }
        }
    }
}

#[actix_rt::test]
async fn i12_what_is_not_acknowledged_comes_again_under_the_same_id() {
    let app = TestApp::start().await;
    let mut socket = Socket::open(&app, "?workspace=acme&types=adjourn.conversation.opened.v1").await;
    app.apply(&[message("m-1", "c-1")]).await;
    app.apply(&[message("m-2", "c-2")]).await;
    app.apply(&[message("m-3", "c-3")]).await;
    let (first, second, third) = (socket.event().await, socket.event().await, socket.event().await);
    assert_eq!([&first.1, &second.1, &third.1], ["c-1", "c-2", "c-3"]);
    // Out of order: as far as it goes without a gap.
    socket.acknowledge(&[&first.0, &third.0]).await;
    let cursor = socket.cursor().await;
    drop(socket);
    let mut again = Socket::open(&app, &format!("?types=adjourn.conversation.opened.v1&after={cursor}")).await;
    // The partitions' order among each other is not fixed: what lies behind the gap comes again as well, what lies before does not.
    let mut heard = vec![again.event().await, again.event().await];
    heard.sort_by(|one, other| one.1.cmp(&other.1));
    assert_eq!(heard, [second, third]);
    app.stop().await;
}

#[actix_rt::test]
async fn no_more_are_under_way_than_the_window_takes() {
    let app = TestApp::start().await;
    let events: Vec<Value> = (0..700).map(|n| message(&format!("m-{n}"), &format!("c-{n}"))).collect();
    app.apply(&events).await;
    let mut socket = Socket::open(&app, "?types=adjourn.conversation.opened.v1&after=0").await;
    let mut ids = Vec::new();
    for _ in 0..512 {
        ids.push(socket.event().await.0);
    }
    // Nothing more, until one is acknowledged: the answer to a ping comes first.
    socket.0.send(Message::Ping("there?".into())).await.unwrap();
    assert!(matches!(socket.0.next().await, Some(Ok(Message::Pong(_)))));
    socket.acknowledge(&[&ids[0]]).await;
    let mut heard = 0;
    while heard < 188 {
        let told = socket.hear().await;
        if told["type"] == "event" {
            heard += 1;
            socket.acknowledge(&[told["event"]["id"].as_str().unwrap()]).await;
        }
    }
    app.stop().await;
}

#[actix_rt::test]
async fn what_makes_no_sense_ends_it_with_a_reason() {
    let app = TestApp::start().await;
    for (said, code, why) in [
        (Message::text("{"), 1008, "ack"),
        (Message::text(r#"{"type":"subscribe"}"#), 1008, "ack"),
        (Message::text(r#"{"type":"ack","ids":[],"all":true}"#), 1008, "ack"),
        (Message::binary(vec![1]), 1003, "texts"),
        (Message::text("x".repeat(100_000)), 1002, ""),
    ] {
        let mut socket = Socket::open(&app, "").await;
        socket.0.send(said).await.unwrap();
        let frame = socket.closed().await;
        assert_eq!(u16::from(frame.code), code, "{frame:?}");
        assert!(frame.reason.contains(why), "{frame:?}");
    }
    let plain = app.get("/v1/notifications/ws").await;
    assert_eq!((plain.status.as_u16(), plain.problem()), (400, "not-a-websocket"));
    app.stop().await;
}

/// One that never reads costs itself alone, and one whose key ends hears no more.
#[actix_rt::test]
async fn i10_a_socket_asks_for_a_key_and_ends_with_it() {
    let operator = "an-operators-key-of-32-characters-or-more";
    let app = TestApp::start_with(&[("keys.operator", operator)]).await;
    assert!(matches!(Socket::try_open(&app, "", None).await, Err(Error::Http(answer)) if answer.status() == 401));
    let body = json!({"name": "k", "scopes": ["read"], "workspaces": ["acme"]});
    let made = Answer::of(app.asking(reqwest::Method::POST, "/v1/keys", &body).bearer_auth(operator)).await.json;
    let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    let mut socket = Socket::try_open(&app, "", Some(key)).await.unwrap();
    let send =
        async |event: Value| Answer::of(app.posting(JSON, event.to_string()).header("prefer", "wait=30").bearer_auth(operator)).await;
    assert_eq!(send(with(message("m-1", "canary"), json!({"workspace": "other"}))).await.status, 200);
    assert_eq!(send(message("m-2", "mine")).await.status, 200);
    assert_eq!(socket.event().await.1, "mine");
    let path = format!("/v1/keys/{id}");
    assert_eq!(Answer::of(app.asking(reqwest::Method::DELETE, &path, &Value::Null).bearer_auth(operator)).await.status, 204);
    assert_eq!(send(message("m-3", "later")).await.status, 200);
    assert_eq!(u16::from(socket.closed().await.code), 1001);
    app.stop().await;
}

#[actix_rt::test]
async fn i12_a_gap_is_said() {
    let app = TestApp::start_with(&[("notifications.keep", "1")]).await;
    let mut socket = Socket::open(&app, "").await;
    app.apply(&[message("m-1", "c-1")]).await;
    let (id, _) = socket.event().await;
    socket.acknowledge(&[&id]).await;
    let cursor = socket.cursor().await;
    drop(socket);
    // Trimming is of hundreds at a time.
    let events: Vec<Value> = (0..3_000).map(|n| message(&format!("n-{n}"), &format!("c-{}", n % 700))).collect();
    app.apply(&events).await;
    let mut again = Socket::open(&app, &format!("?after={cursor}")).await;
    let told = again.hear().await;
    assert_eq!(told["type"], "reset", "{told}");
    app.stop().await;
}
