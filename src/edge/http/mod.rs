//! The HTTP API (CONTRACT.md): its routes, its bounds, and the start of its two servers.
//!
//! ```text
//! guard (who may ask) ─▶ events ─▶ body ─▶ wire ─▶ node.ingest          error: every refusal, as a problem document
//!                     ├▶ conversations, why, forecast, acting, agents, settings, categories, dead_letters, topology, nodes
//!                     └▶ stream: notifications as server-sent events     admin: health and metrics, on a port of its own
//! ```

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::http::{Method, StatusCode, header};
use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, ResponseError, Route, guard as guards};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::actors::Node;
use crate::actors::writer::NoteWriter;
use crate::domain::ConversationKey;
use crate::domain::id::is_name;

pub mod acting;
pub mod admin;
pub mod agents;
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
pub mod lines;
pub mod media;
pub mod nodes;
pub mod query;
pub mod reports;
pub mod running;
pub mod settings;
pub mod stream;
pub mod suggest;
pub mod topology;
pub mod unread;
pub mod why;

use body::Buffers;
pub use error::Problem;
pub use front::Front;

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
    streams: Arc<Semaphore>,
    buffers: Arc<Buffers>,
    stopping: CancellationToken,
}

impl Edge {
    pub fn new(node: Node, limits: Limits, writer: Arc<dyn NoteWriter>) -> Arc<Self> {
        let streams = Arc::new(Semaphore::new(limits.streams));
        let buffers = Arc::new(Buffers::new(limits.buffered_bytes));
        Arc::new(Self { node, limits, writer, streams, buffers, stopping: CancellationToken::new() })
    }

    /// From here on readiness fails, events are refused and streams end.
    pub fn begin_stopping(&self) {
        self.stopping.cancel();
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }
}

/// The public API on this listener. The server runs when it is awaited.
///
/// # Errors
/// When the listener cannot be used.
pub fn serve_public(front: Arc<Front>, listener: TcpListener) -> io::Result<Server> {
    let front = web::Data::from(front);
    let app = move || {
        let app = App::new().app_data(front.clone()).wrap(from_fn(front::enter)).wrap(from_fn(guard::observe)).wrap(from_fn(unread::hold));
        app.configure(public_routes)
    };
    // Without delay: a notification is a small write behind another one, and would wait for the first to be acknowledged,
    // which some clients put off by 40 ms.
    let server = HttpServer::new(app).tcp_nodelay(true).listen(listener)?.keep_alive(KEEP_ALIVE);
    let server = server.client_request_timeout(HEAD_TIMEOUT).client_disconnect_timeout(DISCONNECT_TIMEOUT);
    Ok(server.shutdown_timeout(DRAIN_SECS).disable_signals().run())
}

/// Health and metrics on this listener.
///
/// # Errors
/// When the listener cannot be used.
pub fn serve_admin(admin: Arc<admin::Admin>, listener: TcpListener) -> io::Result<Server> {
    let admin = web::Data::from(admin);
    let app =
        move || App::new().app_data(admin.clone()).wrap(from_fn(unread::hold)).configure(admin::routes).default_service(web::to(no_route));
    // Probes come every few seconds: one thread is plenty.
    let server = HttpServer::new(app).workers(1).listen(listener)?.keep_alive(KEEP_ALIVE);
    let server = server.client_request_timeout(HEAD_TIMEOUT).client_disconnect_timeout(DISCONNECT_TIMEOUT);
    Ok(server.shutdown_timeout(1).disable_signals().run())
}

fn public_routes(config: &mut ServiceConfig) {
    let no_path = |_, _: &HttpRequest| Problem::not_found("there is nothing at this path").into();
    config
        .app_data(web::PathConfig::default().error_handler(no_path))
        .service(resource("/v1/events", "POST, OPTIONS", [web::post().to(events::post)]))
        .service(resource("/v1/workspaces/{workspace}/conversations", "GET, HEAD, OPTIONS", [get().to(conversations::list)]))
        .service(resource("/v1/workspaces/{workspace}/conversations/{conversation}", "GET, HEAD, OPTIONS", [get().to(conversations::one)]))
        .service(resource(
            "/v1/workspaces/{workspace}/conversations/{conversation}/events",
            "GET, HEAD, OPTIONS",
            [get().to(conversations::events)],
        ))
        .service(resource("/v1/workspaces/{workspace}/conversations/{conversation}/why", "GET, HEAD, OPTIONS", [get().to(why::why)]))
        .service(resource(
            "/v1/workspaces/{workspace}/conversations/{conversation}/close",
            "POST, OPTIONS",
            [web::post().to(acting::close)],
        ))
        .service(resource("/v1/workspaces/{workspace}/conversations/{conversation}/open", "POST, OPTIONS", [web::post().to(acting::open)]))
        .service(resource(
            "/v1/workspaces/{workspace}/conversations/{conversation}/assignee",
            "PUT, DELETE, OPTIONS",
            [web::put().to(acting::assign), web::delete().to(acting::unassign)],
        ))
        .service(resource(
            "/v1/workspaces/{workspace}/conversations/{conversation}/snooze",
            "PUT, DELETE, OPTIONS",
            [web::put().to(acting::snooze), web::delete().to(acting::unsnooze)],
        ))
        .service(resource(
            "/v1/workspaces/{workspace}/conversations/{conversation}/block",
            "PUT, DELETE, OPTIONS",
            [web::put().to(acting::block), web::delete().to(acting::unblock)],
        ))
        .service(resource(
            "/v1/workspaces/{workspace}/conversations/{conversation}/hold",
            "PUT, DELETE, OPTIONS",
            [web::put().to(acting::hold), web::delete().to(acting::end_hold)],
        ))
        .service(resource(
            "/v1/workspaces/{workspace}/conversations/{conversation}/exemption",
            "PUT, DELETE, OPTIONS",
            [web::put().to(acting::exempt), web::delete().to(acting::end_exemption)],
        ))
        .service(resource(
            "/v1/workspaces/{workspace}/conversations/{conversation}/closing-note/suggest",
            "POST, OPTIONS",
            [web::post().to(suggest::suggest)],
        ))
        .service(resource(
            "/v1/workspaces/{workspace}/conversations/{conversation}/closing-note",
            "PUT, OPTIONS",
            [web::put().to(acting::note)],
        ))
        .service(resource("/v1/workspaces/{workspace}/reports/conversations", "GET, HEAD, OPTIONS", [get().to(reports::conversations)]))
        .service(resource("/v1/workspaces/{workspace}/forecast", "GET, HEAD, OPTIONS", [get().to(forecast::get)]))
        .service(resource(
            "/v1/workspaces/{workspace}/agents",
            "GET, HEAD, POST, OPTIONS",
            [get().to(agents::list), web::post().to(agents::add)],
        ))
        .service(resource(
            "/v1/workspaces/{workspace}/agents/{agent}",
            "GET, HEAD, PATCH, DELETE, OPTIONS",
            [get().to(agents::one), web::patch().to(agents::update), web::delete().to(agents::remove)],
        ))
        .service(resource(
            "/v1/workspaces/{workspace}/categories",
            "GET, HEAD, POST, OPTIONS",
            [get().to(categories::list), web::post().to(categories::add)],
        ))
        .service(resource(
            "/v1/workspaces/{workspace}/categories/{category}",
            "PATCH, DELETE, OPTIONS",
            [web::patch().to(categories::describe), web::delete().to(categories::remove)],
        ))
        .service(resource(
            "/v1/workspaces/{workspace}/settings",
            "GET, HEAD, PUT, OPTIONS",
            [get().to(settings::get), web::put().to(settings::put)],
        ))
        .service(resource("/v1/workspaces/{workspace}/settings/history", "GET, HEAD, OPTIONS", [get().to(settings::history)]))
        .service(resource("/v1/workspaces/{workspace}/settings/apply-to-running", "POST, OPTIONS", [web::post().to(running::apply)]))
        .service(resource("/v1/notifications", "GET, OPTIONS", [web::get().to(stream::follow)]))
        .service(resource("/v1/dead-letters", "GET, HEAD, OPTIONS", [get().to(dead_letters::list)]))
        .service(resource("/v1/dead-letters/{partition}/{id}", "DELETE, OPTIONS", [web::delete().to(dead_letters::dismiss)]))
        .service(resource("/v1/dead-letters/{partition}/{id}/replay", "POST, OPTIONS", [web::post().to(dead_letters::replay)]))
        .service(resource("/v1/topology", "GET, HEAD, OPTIONS", [get().to(topology::topology)]))
        .service(resource("/v1/shards", "GET, HEAD, OPTIONS", [get().to(topology::shards)]))
        .service(resource("/v1/shards/{partition}/move", "POST, OPTIONS", [web::post().to(topology::move_shard)]))
        .service(resource("/v1/nodes", "GET, HEAD, OPTIONS", [get().to(nodes::list)]))
        .service(resource(
            "/v1/hold",
            "GET, HEAD, PUT, DELETE, OPTIONS",
            [get().to(hold::get), web::put().to(hold::put), web::delete().to(hold::release)],
        ))
        .service(resource("/v1/nodes/{node}/drain", "POST, OPTIONS", [web::post().to(nodes::drain)]))
        .default_service(web::to(no_route));
}

/// A path with its methods; OPTIONS tells them, any other method is refused with them.
fn resource(path: &str, allow: &'static str, routes: impl IntoIterator<Item = Route>) -> actix_web::Resource {
    let other = move |request: HttpRequest| async move {
        if request.method() == Method::OPTIONS {
            HttpResponse::build(StatusCode::NO_CONTENT).insert_header((header::ALLOW, allow)).finish()
        } else {
            Problem::method_not_allowed(allow).error_response()
        }
    };
    routes.into_iter().fold(web::resource(path), actix_web::Resource::route).default_service(web::to(other))
}

/// GET, and HEAD for the same answer without its body.
fn get() -> Route {
    web::route().guard(guards::Any(guards::Get()).or(guards::Head()))
}

async fn no_route() -> HttpResponse {
    Problem::not_found("there is nothing at this path").error_response()
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
