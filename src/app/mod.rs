//! Where everything is built, started and stopped. What was started last stops first.

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use anyhow::Context;
use metrics_exporter_prometheus::PrometheusHandle;

use crate::actors::notes::writer::NoteWriter;
use crate::actors::writes::keys;
use crate::actors::{Node, NodeOptions, node};
use crate::clock::{SharedClock, SteadyClock, WallClock};
use crate::config::Config;
use crate::edge::http::access::{Gate, OperatorKey};
use crate::edge::http::admin::Admin;
use crate::edge::http::{DRAIN_SECS, Edge, Front, Limits, serve_admin, serve_public};
use crate::edge::writers;
use crate::telemetry;
use crate::tls::ServerIdentity;
use opening::{OpenStore, Opening};

mod opening;

/// For the shards to finish the commits in flight: what is accepted is in the log, so nothing is lost by going without.
const NODE_STOP: Duration = Duration::from_secs(10);

/// How long the first answers wait for a store that is being opened.
const AT_HAND: Duration = Duration::from_millis(50);
/// Between two attempts to read the keys of a store that has just been opened.
const KEYS_AGAIN: Duration = Duration::from_millis(200);

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
    operator: Option<OperatorKey>,
    /// It answers others than this machine, which only keys make safe.
    exposed: Option<SocketAddr>,
    /// What it shows who connects over TLS.
    identity: Option<Arc<ServerIdentity>>,
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
        let identity = config.tls.map(|(cert, key)| ServerIdentity::load(&cert, &key)).transpose().context("tls")?;
        let mut options = config.node_options;
        if options.address.is_empty() {
            // Of all addresses, none is one: by default a node is named as its machine is.
            let port = public_addr.port();
            let own = if public_addr.ip().is_unspecified() { format!("{}:{port}", options.node) } else { public_addr.to_string() };
            let scheme = if identity.is_some() { "https" } else { "http" };
            options.address = format!("{scheme}://{own}").into();
        }
        let front = Front::new(config.limits.clone(), public_addr.ip().is_loopback() && !config.insecure);
        let exposed = [public_addr, admin_addr].into_iter().find(|address| !address.ip().is_loopback() && !config.insecure);
        let public = serve_public(front.clone(), public, identity.as_ref().map(|identity| identity.config()).transpose().context("tls")?)?;
        let admin = serve_admin(Admin::new(front.clone(), metrics.clone()), admin)?;
        let writer = writers::from_config(&config.writer)?;
        let (stop_grace, steady, limits, operator) = (config.stop_grace, clocks.steady, config.limits, config.operator);
        let within = Within { stop_grace, steady, options, limits, writer, operator, exposed, identity, metrics };
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
        let starting = async { Service::start(opening.finish(&front).await?, &front, within).await };
        tokio::pin!(shutdown, starting);
        // Where the store is at hand, nobody is told that it is not open yet.
        let at_hand = tokio::time::timeout(AT_HAND, &mut starting).await.ok();
        let served = serve(public, admin);
        tokio::pin!(served);
        tracing::info!(%public_addr, %admin_addr, "listening");
        let started = match at_hand {
            Some(started) => started.map_err(Err),
            None => tokio::select! {
                () = &mut shutdown => Err(Ok(())),
                ended = &mut served => Err(ended),
                started = &mut starting => started.map_err(Err),
            },
        };
        let (store, ended) = match started {
            Ok(service) => {
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
    keys: tokio::task::JoinHandle<()>,
}

impl Service {
    async fn start(open: OpenStore, front: &Front, within: Within) -> anyhow::Result<Self> {
        let Within { stop_grace, steady, options, limits, writer, operator, exposed, identity, metrics } = within;
        let gate = gate(&open, operator).await;
        if let Some(address) = exposed.filter(|_| gate.is_open()) {
            open.close().await?;
            anyhow::bail!(
                "listen: {address} is not a loopback address, and there are no keys, so that anybody could read and close conversations: \
                 set keys.operator_file, or create keys while it listens on 127.0.0.1, or --insecure behind something that checks who asks"
            );
        }
        let node = node::start(open.store.clone(), steady, options);
        let edge = Edge::new(node.clone(), limits, writer.clone(), gate);
        front.open(edge.clone());
        let upkeep = tokio::task::spawn_local(telemetry::upkeep(metrics, node.clone()));
        let notes = tokio::task::spawn_local({
            let node = node.clone();
            async move { node.write_notes(writer).await }
        });
        let keys = tokio::task::spawn_local({
            let edge = edge.clone();
            async move { edge.watch_callers().await }
        });
        if let Some(identity) = identity {
            tokio::task::spawn_local(identity.watch(edge.stopping()));
        }
        Ok(Self { stop_grace, open, node, edge, upkeep, notes, keys })
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
        let _ = self.keys.await; // what it knows of their use is written down
        if tokio::time::timeout(NODE_STOP, self.node.stop()).await.is_err() {
            tracing::warn!("the shards did not finish in time; what they had not committed is in the log");
        }
        self.open
    }
}

/// The keys of the store, without which nobody can be let in or kept out.
async fn gate(open: &OpenStore, operator: Option<OperatorKey>) -> Gate {
    loop {
        match keys::stored(&*open.store).await {
            Ok((keys, now)) => return Gate::new(operator, keys, now),
            Err(error) => tracing::warn!(%error, "the keys cannot be read yet; trying again"),
        }
        tokio::time::sleep(KEYS_AGAIN).await;
    }
}

fn listen(key: &'static str, address: SocketAddr) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).with_context(|| format!("{key}: cannot listen on {address}; is it in use?"))?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}
