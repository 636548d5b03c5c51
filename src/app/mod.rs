//! Where everything is built, started and stopped. What was started last stops first.

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use anyhow::Context;
use metrics_exporter_prometheus::PrometheusHandle;

use crate::actors::notes::writer::NoteWriter;
use crate::actors::{Node, NodeOptions, node};
use crate::clock::{SharedClock, SteadyClock, WallClock};
use crate::config::Config;
use crate::edge::http::admin::Admin;
use crate::edge::http::{DRAIN_SECS, Edge, Front, Limits, serve_admin, serve_public};
use crate::edge::writers;
use crate::telemetry;
use opening::{OpenStore, Opening};

mod opening;

/// For the shards to finish the commits in flight: what is accepted is in the log, so nothing is lost by going without.
const NODE_STOP: Duration = Duration::from_secs(10);

/// The two clocks a node goes by (D1).
#[derive(Clone)]
pub struct Clocks {
    /// The embedded store's.
    pub wall: SharedClock,
    /// The node's own.
    pub steady: SharedClock,
}

impl Default for Clocks {
    fn default() -> Self {
        Self { wall: Arc::new(WallClock), steady: Arc::new(SteadyClock::start()) }
    }
}

/// The whole service. Built, it listens; run, it answers until told to stop.
pub struct App {
    opening: Opening,
    front: Arc<Front>,
    within: Within,
    public: Server,
    admin: Server,
    public_addr: SocketAddr,
    admin_addr: SocketAddr,
}

/// What the service needs once its store is open.
struct Within {
    stop_grace: Duration,
    steady: SharedClock,
    options: NodeOptions,
    limits: Limits,
    writer: Arc<dyn NoteWriter>,
    metrics: PrometheusHandle,
}

impl App {
    /// Wires the service. Must be called within an actix `System`. Port 0 takes any free one.
    ///
    /// # Errors
    /// When an address is taken or the embedded store does not open: each says what to do.
    pub fn build(config: Config) -> anyhow::Result<Self> {
        Self::build_with(config, Clocks::default())
    }

    /// The same, by other clocks.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn build_with(config: Config, clocks: Clocks) -> anyhow::Result<Self> {
        // The addresses first: a second process on one machine should not get as far as the store.
        let (public, public_addr) = listen("listen", config.listen)?;
        let (admin, admin_addr) = listen("admin_listen", config.admin_listen)?;
        let metrics = telemetry::metrics()?;
        let opening = Opening::begin(&config, clocks.wall)?;
        let mut options = config.node_options;
        if options.address.is_empty() {
            // Of all addresses, none is one: by default a node is named as its machine is.
            let port = public_addr.port();
            let own = if public_addr.ip().is_unspecified() { format!("{}:{port}", options.node) } else { public_addr.to_string() };
            options.address = format!("http://{own}").into();
        }
        let local_only = public_addr.ip().is_loopback() && !config.insecure;
        let front = Front::new(config.limits.clone(), local_only);
        let public = serve_public(front.clone(), public)?;
        let admin = serve_admin(Admin::new(front.clone(), metrics.clone()), admin)?;
        let writer = writers::from_config(&config.writer)?;
        let within = Within { stop_grace: config.stop_grace, steady: clocks.steady, options, limits: config.limits, writer, metrics };
        Ok(Self { opening, front, within, public, admin, public_addr, admin_addr })
    }

    /// Where the API listens.
    pub fn public_addr(&self) -> SocketAddr {
        self.public_addr
    }

    /// Where health and metrics are.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin_addr
    }

    /// Answers until `shutdown` resolves, then stops in order: readiness fails, the partitions go to other nodes, nothing new
    /// is accepted, requests in flight end, the shards finish, the store closes.
    ///
    /// # Errors
    /// When the store cannot be opened and waiting would not help, when a server ends by itself, or when another live
    /// process has this node's name.
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
        let Self { opening, front, within, public, admin, public_addr, admin_addr } = self;
        let (public_handle, admin_handle) = (public.handle(), admin.handle());
        let served = serve(public, admin);
        tokio::pin!(shutdown, served);
        tracing::info!(%public_addr, %admin_addr, "listening");
        let opened = tokio::select! {
            () = &mut shutdown => Err(Ok(())),
            ended = &mut served => Err(ended),
            opened = opening.finish(&front) => opened.map_err(Err),
        };
        let (store, ended) = match opened {
            Ok(open) => {
                let service = Service::start(open, &front, within);
                let ended = tokio::select! {
                    () = shutdown => Ok(()),
                    ended = served => ended,
                    ended = service.name_is_lost() => ended,
                };
                (Some(service.stop(&public_handle).await), ended)
            }
            Err(ended) => {
                public_handle.stop(true).await;
                (None, ended)
            }
        };
        admin_handle.stop(false).await;
        if let Some(store) = store {
            store.close().await?;
        }
        tracing::info!("stopped");
        ended
    }
}

/// Starts both servers. Resolves when one of them ends by itself.
fn serve(public: Server, admin: Server) -> impl Future<Output = anyhow::Result<()>> {
    let (public, admin) = (tokio::task::spawn_local(public), tokio::task::spawn_local(admin));
    async {
        tokio::select! {
            ended = public => ended.map_err(anyhow::Error::from).and_then(|ended| Ok(ended?)).context("the API's server ended"),
            ended = admin => ended.map_err(anyhow::Error::from).and_then(|ended| Ok(ended?)).context("the admin server ended"),
        }
    }
}

/// What runs while the store is open.
struct Service {
    stop_grace: Duration,
    open: OpenStore,
    node: Node,
    edge: Arc<Edge>,
    upkeep: tokio::task::JoinHandle<()>,
    notes: tokio::task::JoinHandle<()>,
}

impl Service {
    fn start(open: OpenStore, front: &Front, within: Within) -> Self {
        let Within { stop_grace, steady, options, limits, writer, metrics } = within;
        let node = node::start(open.store.clone(), steady, options);
        let edge = Edge::new(node.clone(), limits, writer.clone());
        front.open(edge.clone());
        let upkeep = tokio::task::spawn_local(telemetry::upkeep(metrics, node.clone()));
        let notes = tokio::task::spawn_local({
            let node = node.clone();
            async move { node.write_notes(writer).await }
        });
        Self { stop_grace, open, node, edge, upkeep, notes }
    }

    async fn name_is_lost(&self) -> anyhow::Result<()> {
        self.node.name_is_lost().await;
        let name = self.node.name();
        anyhow::bail!("node: another live process is named `{name}` on this store: give each its own name (--node)")
    }

    /// Ends with the store still open, and nobody using it.
    async fn stop(self, public: &ServerHandle) -> OpenStore {
        if !self.open.store.is_exclusive() {
            // Any node answers for any partition: requests need none of them here, and go on until nobody sends any more.
            tracing::info!(grace = ?self.stop_grace, "stopping: not ready any more, the partitions go to other nodes");
            tokio::join!(self.node.drain(), tokio::time::sleep(self.stop_grace));
        }
        tracing::info!("stopping: no new requests; those in flight have {DRAIN_SECS} s");
        self.edge.begin_stopping();
        public.stop(true).await;
        self.upkeep.abort();
        self.notes.abort(); // what is not written is asked for again
        if tokio::time::timeout(NODE_STOP, self.node.stop()).await.is_err() {
            tracing::warn!("the shards did not finish in time; what they had not committed is in the log");
        }
        self.open
    }
}

fn listen(key: &'static str, address: SocketAddr) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).with_context(|| format!("{key}: cannot listen on {address}; is it in use?"))?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}
