//! An app to talk to, and short words for talking to it.

use std::net::SocketAddr;
use std::sync::Arc;

use adjourn::app::{App, Clocks};
use adjourn::clock::ManualClock;
use adjourn::config::{Config, Sources};
use adjourn::domain::Timestamp;
use futures_util::stream;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

pub const JSON: &str = "application/cloudevents+json";
pub const BATCH: &str = "application/cloudevents-batch+json";
pub const NDJSON: &str = "application/x-ndjson";
pub const MSGPACK: &str = "application/vnd.msgpack";

/// The one that many tests are about.
pub const CONVERSATION: &str = "/v1/workspaces/acme/conversations/c-1";

/// When every test begins: ten seconds after the messages of [`message`] were written, so that what is stamped a second
/// after them has happened as well.
pub const START: Timestamp = Timestamp::from_millis(1_795_341_610_000);

pub struct TestApp {
    pub public: SocketAddr,
    pub admin: SocketAddr,
    pub client: Client,
    clocks: [Arc<ManualClock>; 2],
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<anyhow::Result<()>>,
    _dir: TempDir,
}

/// Bounds under which one unfinished body leaves no room for another.
pub const ROOM_FOR_ONE: [(&str, &str); 3] =
    [("limits.body_bytes", "100000"), ("limits.line_bytes", "100000"), ("limits.buffered_bytes", "100000")];

/// A request whose body is being read and has not ended.
pub struct Unfinished {
    pub rest: mpsc::UnboundedSender<Result<Vec<u8>, std::io::Error>>,
    pub answer: JoinHandle<Answer>,
    /// What another one got meanwhile.
    pub refused: Answer,
}

/// The body of an answer, with what went before it.
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub json: Value,
}

impl TestApp {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With some keys of the configuration set.
    pub async fn start_with(keys: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = format!("embedded:{}", dir.path().join("store").display());
        let usual = [("listen", "127.0.0.1:0"), ("admin_listen", "127.0.0.1:0"), ("store", &store), ("partitions", "4")];
        let flags = usual.iter().chain(keys).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let config = Config::load(Sources { flags, ..Sources::default() }).unwrap();
        let clocks = [ManualClock::at(START), ManualClock::at(START)];
        let app = App::build_with(config, Clocks { wall: clocks[0].clone(), steady: clocks[1].clone() }).unwrap();
        let (public, admin) = (app.public_addr(), app.admin_addr());
        let (stop, stopped) = oneshot::channel();
        let running = tokio::task::spawn_local(app.run_until(async {
            let _ = stopped.await;
        }));
        let client = adjourn::tls::http(None).unwrap().no_proxy().build().unwrap();
        Self { public, admin, client, clocks, stop: Some(stop), running, _dir: dir }
    }

    /// Moves both clocks.
    pub fn pass(&self, ms: i64) {
        self.clocks.iter().for_each(|clock| clock.jump(ms));
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.public)
    }

    pub async fn get(&self, path: &str) -> Answer {
        Answer::of(self.client.get(self.url(path))).await
    }

    pub async fn admin(&self, path: &str) -> (StatusCode, String) {
        let answer = self.client.get(format!("http://{}{path}", self.admin)).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    pub fn posting(&self, content_type: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.client.post(self.url("/v1/events")).header("content-type", content_type).body(body)
    }

    pub async fn post(&self, content_type: &str, body: impl Into<reqwest::Body>) -> Answer {
        Answer::of(self.posting(content_type, body)).await
    }

    /// Sends these and waits until they are applied.
    pub async fn apply(&self, events: &[Value]) -> Answer {
        let answer = Answer::of(self.posting(BATCH, json!(events).to_string()).header("prefer", "wait=30")).await;
        assert_eq!(answer.status, 200, "{}", answer.json);
        answer
    }

    /// Begins a request that is certainly being read, under [`ROOM_FOR_ONE`]: another one finds no room. Where it was the
    /// other one that took the room, it is tried again.
    pub async fn unfinished(&self) -> Unfinished {
        loop {
            let (rest, body) = mpsc::unbounded_channel();
            let body = stream::unfold(body, |mut body| async { body.recv().await.map(|piece| (piece, body)) });
            rest.send(Ok(vec![b'\n'; 90_000])).unwrap();
            let answer = tokio::task::spawn_local(Answer::of(self.posting(NDJSON, reqwest::Body::wrap_stream(body))));
            while !answer.is_finished() {
                let refused = self.post(NDJSON, vec![b'\n'; 50_000]).await;
                if refused.status == 503 && !answer.is_finished() {
                    return Unfinished { rest, answer, refused };
                }
            }
        }
    }

    /// A request with a JSON body, unless that is null.
    pub fn asking(&self, method: Method, path: &str, body: &Value) -> RequestBuilder {
        let request = self.client.request(method, self.url(path));
        if body.is_null() { request } else { request.header("content-type", "application/json").body(body.to_string()) }
    }

    pub async fn put_settings(&self, workspace: &str, settings: Value) -> Answer {
        Answer::of(self.asking(Method::PUT, &format!("/v1/workspaces/{workspace}/settings"), &settings)).await
    }

    /// What notes may name.
    pub async fn add_category(&self, workspace: &str, name: &str) {
        let path = format!("/v1/workspaces/{workspace}/categories");
        let answer = Answer::of(self.asking(Method::POST, &path, &json!({"name": name}))).await;
        assert_eq!(answer.status, 201, "{}", answer.json);
    }

    /// Asks it to stop, and goes on.
    pub fn begin_stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop.send(()).unwrap();
        }
    }

    /// Ends as the service does, which must succeed.
    pub async fn stop(mut self) {
        self.begin_stop();
        self.running.await.unwrap().unwrap();
    }
}

impl Answer {
    pub async fn of(request: RequestBuilder) -> Self {
        Self::from(request.send().await.unwrap()).await
    }

    pub async fn from(response: Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.unwrap();
        let json = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
        Self { status, headers, json }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// The last part of the problem's type, once it is sure that this is a whole problem document.
    pub fn problem(&self) -> &str {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.json);
        assert_eq!(self.json["status"], self.status.as_u16());
        kind(&self.json)
    }
}

/// A request with a JSON body, unless that is null.
pub async fn ask(app: &TestApp, method: Method, path: &str, body: Value) -> Answer {
    Answer::of(app.asking(method, path, &body)).await
}

/// The same of [`CONVERSATION`]: its hold, its assignee.
pub async fn ask_of_it(app: &TestApp, method: Method, what: &str, body: Value) -> Answer {
    ask(app, method, &format!("{CONVERSATION}/{what}"), body).await
}

/// The last part of a problem's type.
pub fn kind(problem: &Value) -> &str {
    for member in ["title", "detail", "action"] {
        assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{member} of {problem}");
    }
    problem["type"].as_str().unwrap().strip_prefix("https://adjourn.dev/problems/").unwrap()
}

/// A contact's message, written at 10:00:00, in a conversation of the workspace acme.
pub fn message(id: &str, conversation: &str) -> Value {
    json!({"specversion": "1.0", "id": id, "source": "/ingest/test", "type": "inbox.message.v1", "subject": conversation,
           "workspace": "acme", "time": "2026-11-22T10:00:00Z", "data": {"source": "contact", "text": "Hello?"}})
}

/// Some event with members replaced.
pub fn with(mut event: Value, members: Value) -> Value {
    for (name, value) in members.as_object().unwrap() {
        event[name] = value.clone();
    }
    event
}

/// An event of another type.
pub fn event(id: &str, conversation: &str, type_name: &str, data: Value) -> Value {
    with(message(id, conversation), json!({"type": type_name, "data": data}))
}

/// A person of the team writes.
pub fn human(id: &str, conversation: &str) -> Value {
    with(message(id, conversation), json!({"data": {"source": "user", "agent": "ana"}}))
}
