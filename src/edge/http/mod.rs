//! The HTTP API (CONTRACT.md): its routes, its bounds, and the start of its two servers.
//!
//! ```text
//! guard ─▶ front ─▶ access (who may ask) ─▶ events ─▶ body ─▶ wire ─▶ node.ingest     error: every refusal, as a problem document
//!   routes: every path, with who may      ├▶ conversations, why, forecast, acting, agents, settings, categories, …
//!                                         └▶ stream: notifications as server-sent events
//! admin: health and metrics, on a port of its own
//! ```

use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::http::{Method, StatusCode, header};
use actix_web::middleware::from_fn;
use actix_web::web;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, ResponseError, Route, guard as guards};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::actors::Node;
use crate::actors::writer::NoteWriter;
use crate::domain::ConversationKey;
use crate::domain::id::is_name;

pub mod access;
pub mod acting;
pub mod admin;
pub mod agents;
pub mod audit;
pub mod backup;
pub mod body;
pub mod categories;
pub mod conversations;
pub mod counts;
pub mod dead_letters;
pub mod error;
pub mod events;
pub mod forecast;
pub mod front;
pub mod guard;
pub mod hold;
pub mod keys;
pub mod lines;
pub mod media;
pub mod nodes;
pub mod query;
pub mod rates;
pub mod reports;
pub mod routes;
pub mod running;
pub mod settings;
pub mod stream;
pub mod suggest;
pub mod topology;
pub mod unread;
pub mod why;

use access::Gate;
use body::Buffers;
pub use error::Problem;
pub use front::Front;
use rates::Rates;

/// How long an idle connection is kept: longer than the usual proxy keeps its own, so that it is the proxy that closes.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// A request's head is a kilobyte: whoever takes longer than this holds a connection and sends nothing.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// For the other side to take its leave.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// For requests in flight when the service stops: longer than a commit, shorter than an orchestrator's patience.
pub const DRAIN_SECS: u64 = 10;
/// Longest body of a command or of settings, in bytes: they are a few hundred.
pub const COMMAND_BYTES_MAX: usize = 64 * 1024;

/// What a request may cost.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Of one body, in bytes, before and after decompression.
    pub body_bytes: usize,
    /// Of one request.
    pub events: usize,
    /// Of one line of NDJSON, in bytes.
    pub line_bytes: usize,
    /// Of all bodies being read at a time, in bytes: the bound of one says nothing about a thousand.
    pub buffered_bytes: usize,
    /// Of one workspace, a second; 0: any number.
    pub rate: u32,
    /// Server-sent event streams open at a time.
    pub streams: usize,
    /// Between two pieces of a body.
    pub stall: Duration,
    /// From a body's first byte to its last.
    pub total: Duration,
    /// For all partitions to apply a change of settings, or a dead letter's fate.
    pub apply: Duration,
    /// Between two signs of life on a quiet stream.
    pub keep_alive: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 16 * 1024 * 1024,
            events: 10_000,
            line_bytes: 256 * 1024,
            buffered_bytes: 256 * 1024 * 1024,
            rate: 0,
            streams: 1_000,
            stall: Duration::from_secs(5),
            total: Duration::from_secs(30),
            apply: Duration::from_secs(10),
            keep_alive: Duration::from_secs(15),
        }
    }
}

/// What every handler has: the node's door, the bounds, and whether the service is stopping.
pub struct Edge {
    pub node: Node,
    pub limits: Limits,
    /// Who writes closing notes.
    pub writer: Arc<dyn NoteWriter>,
    /// Who may ask.
    pub gate: Gate,
    /// How fast.
    rates: Rates,
    /// The audit log is written by one at a time: the others would come too late, and try again.
    deeds: tokio::sync::Mutex<()>,
    streams: Arc<Semaphore>,
    buffers: Arc<Buffers>,
    stopping: CancellationToken,
}

impl Edge {
    pub fn new(node: Node, limits: Limits, writer: Arc<dyn NoteWriter>, gate: Gate) -> Arc<Self> {
        let streams = Arc::new(Semaphore::new(limits.streams));
        let buffers = Arc::new(Buffers::new(limits.buffered_bytes));
        let rates = Rates::new(&limits);
        let (deeds, stopping) = (tokio::sync::Mutex::default(), CancellationToken::new());
        Arc::new(Self { node, limits, writer, gate, rates, deeds, streams, buffers, stopping })
    }

    /// From here on readiness fails, events are refused and streams end.
    pub fn begin_stopping(&self) {
        self.stopping.cancel();
    }

    /// When it stops.
    pub fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// Keeps what it knows of who asks up to date, until the service stops.
    pub async fn watch_callers(&self) {
        self.gate.watch(&self.node, &self.rates, self.stopping.clone()).await;
    }
}

/// The public API on this listener, over TLS where it is set up. The server runs when it is awaited.
///
/// # Errors
/// When the listener cannot be used.
pub fn serve_public(front: Arc<Front>, listener: TcpListener, tls: Option<rustls::ServerConfig>) -> io::Result<Server> {
    let front = web::Data::from(front);
    let app = move || {
        let app = App::new().app_data(front.clone()).wrap(from_fn(front::enter)).wrap(from_fn(guard::observe)).wrap(from_fn(unread::hold));
        app.configure(routes::configure)
    };
    // Without delay: a notification is a small write behind another one, and would wait for the first to be acknowledged,
    // which some clients put off by 40 ms.
    let server = HttpServer::new(app).tcp_nodelay(true);
    let server = match tls {
        Some(tls) => server.listen_rustls_0_23(listener, tls)?,
        None => server.listen(listener)?,
    };
    let server = server.keep_alive(KEEP_ALIVE).tls_handshake_timeout(HEAD_TIMEOUT);
    let server = server.client_request_timeout(HEAD_TIMEOUT).client_disconnect_timeout(DISCONNECT_TIMEOUT);
    Ok(server.shutdown_timeout(DRAIN_SECS).disable_signals().run())
}

/// Health and metrics on this listener.
///
/// # Errors
/// When the listener cannot be used.
pub fn serve_admin(admin: Arc<admin::Admin>, listener: TcpListener) -> io::Result<Server> {
    let admin = web::Data::from(admin);
    let app = move || {
        App::new().app_data(admin.clone()).wrap(from_fn(unread::hold)).configure(admin::routes).default_service(web::to(routes::no_route))
    };
    // Probes come every few seconds: one thread is plenty.
    let server = HttpServer::new(app).workers(1).listen(listener)?.keep_alive(KEEP_ALIVE);
    let server = server.client_request_timeout(HEAD_TIMEOUT).client_disconnect_timeout(DISCONNECT_TIMEOUT);
    Ok(server.shutdown_timeout(1).disable_signals().run())
}

/// A path with its methods; OPTIONS tells them, any other method is refused with them.
fn resource(path: &str, allow: &str, routes: impl IntoIterator<Item = Route>) -> actix_web::Resource {
    routes.into_iter().fold(web::resource(path), actix_web::Resource::route).default_service(other_methods(allow))
}

/// What a path answers to methods that it does not take.
fn other_methods(allow: &str) -> Route {
    let allow = Rc::<str>::from(allow);
    web::to(move |request: HttpRequest| {
        let allow = Rc::clone(&allow);
        async move {
            if request.method() == Method::OPTIONS {
                HttpResponse::build(StatusCode::NO_CONTENT).insert_header((header::ALLOW, &*allow)).finish()
            } else {
                Problem::method_not_allowed(&allow).error_response()
            }
        }
    })
}

/// GET, and HEAD for the same answer without its body.
fn get() -> Route {
    web::route().guard(guards::Any(guards::Get()).or(guards::Head()))
}

/// A workspace's name from the path.
fn workspace_of(text: &str) -> Result<&str, Problem> {
    is_name(text).then_some(text).ok_or_else(|| bad_name("workspace"))
}

/// A conversation's name from the path.
fn key_of(workspace: &str, conversation: &str) -> Result<ConversationKey, Problem> {
    ConversationKey::new(workspace_of(workspace)?, conversation).map_err(|_| bad_name("conversation"))
}

fn bad_name(what: &'static str) -> Problem {
    let detail = format!("the {what} in the path must be 1 to 128 of A-Z a-z 0-9 . _ : -");
    Problem::bad_request("invalid-name", detail, "Check the path.")
}
