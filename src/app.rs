//! Where everything is built, started and stopped. What was started last stops first.

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use anyhow::Context;

use crate::actors::{Node, node};
use crate::clock::{SharedClock, SteadyClock, WallClock};
use crate::config::{Config, StoreChoice};
use crate::edge::http::admin::Admin;
use crate::edge::http::{DRAIN_SECS, Edge, serve_admin, serve_public};
use crate::store::embedded::{EmbeddedOptions, EmbeddedStore};
use crate::telemetry;

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
    store: Arc<EmbeddedStore>,
    node: Node,
    edge: Arc<Edge>,
    public: Server,
    admin: Server,
    public_addr: SocketAddr,
    admin_addr: SocketAddr,
    upkeep: tokio::task::JoinHandle<()>,
}

impl App {
    /// Wires the service. Must be called within an actix `System`. Port 0 takes any free one.
    ///
    /// # Errors
    /// When an address is taken or the store does not open: each says what to do.
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
        let store = open(&config, &clocks)?;
        let mut options = config.node_options;
        if options.address.is_empty() {
            options.address = format!("http://{public_addr}").into();
        }
        let node = node::start(store.clone(), clocks.steady, options);
        let local_only = public_addr.ip().is_loopback() && !config.insecure;
        let edge = Edge::new(node.clone(), config.limits, local_only);
        let public = serve_public(edge.clone(), public)?;
        let admin = serve_admin(Admin::new(edge.clone(), metrics.clone()), admin)?;
        let upkeep = tokio::task::spawn_local(telemetry::upkeep(metrics, node.clone()));
        Ok(Self { store, node, edge, public, admin, public_addr, admin_addr, upkeep })
    }

    /// Where the API listens.
    pub fn public_addr(&self) -> SocketAddr {
        self.public_addr
    }

    /// Where health and metrics are.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin_addr
    }

    /// Answers until `shutdown` resolves, then stops in order: readiness fails, nothing new is accepted, the partitions go to
    /// other nodes while requests in flight end, the shards finish, the store closes.
    ///
    /// # Errors
    /// When a server ends by itself, or another live process has this node's name.
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
        let Self { store, node, edge, public, admin, public_addr, admin_addr, upkeep } = self;
        let (public_handle, admin_handle) = (public.handle(), admin.handle());
        let mut public = tokio::task::spawn_local(public);
        let mut admin = tokio::task::spawn_local(admin);
        tracing::info!(%public_addr, %admin_addr, "listening");
        let ended = tokio::select! {
            () = shutdown => Ok(()),
            () = node.name_is_lost() => Err(anyhow::anyhow!(
                "node: another live process is named `{}` on this store: give each its own name (--node)", node.name())),
            ended = &mut public => ended.map_err(anyhow::Error::from).and_then(|ended| Ok(ended?)).context("the API's server ended"),
            ended = &mut admin => ended.map_err(anyhow::Error::from).and_then(|ended| Ok(ended?)).context("the admin server ended"),
        };
        tracing::info!("stopping: no new requests; those in flight have {DRAIN_SECS} s");
        edge.begin_stopping();
        // Any node answers for any partition: those in flight need none of them here.
        tokio::join!(public_handle.stop(true), node.drain());
        upkeep.abort();
        if tokio::time::timeout(NODE_STOP, node.stop()).await.is_err() {
            tracing::warn!("the shards did not finish in time; what they had not committed is in the log");
        }
        admin_handle.stop(false).await;
        tokio::task::spawn_blocking(move || store.close()).await.context("closing the store")?;
        tracing::info!("stopped");
        ended
    }
}

fn listen(key: &'static str, address: SocketAddr) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).with_context(|| format!("{key}: cannot listen on {address}; is it in use?"))?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

fn open(config: &Config, clocks: &Clocks) -> anyhow::Result<Arc<EmbeddedStore>> {
    let StoreChoice::Embedded(path) = &config.store;
    let options = EmbeddedOptions {
        partitions: config.partitions,
        backlog_max: config.backlog,
        log_retention: config.event_log.keep,
        segment_bytes: config.event_log.segment_bytes,
        ..EmbeddedOptions::new(clocks.wall.clone())
    };
    EmbeddedStore::open(path, options).context("store")
}
