//! The link to Redis: one thing to send commands to, whatever stands behind it.
//!
//! Commands of all callers share one connection to each primary; what would hold up others gets a
//! [connection of its own](Link::dedicated). All connections live on a thread of the link, because callers live on threads
//! that may be busy for a while. A link never fails to open because Redis is away: it connects when first used and again
//! when a connection was lost, at once and then at growing intervals, never more often than once a second in the long run.
//!
//! A command that may have run is never sent twice. [`LinkError`] says what is known: nothing was sent, the outcome is
//! unknown, or the server has answered. Only what the server itself says it has not run (`READONLY`, `LOADING`,
//! `TRYAGAIN`, `MOVED`, `ASK`, `NOSCRIPT`...) is sent again, for a bounded time.
//!
//! Routing, redirects and Sentinels are done here and not by the `redis` crate: its cluster connection sends a command
//! again after a lost connection, sends a whole pipeline again when one of its commands was redirected, and has no
//! connection for blocking; its connections do not say whether a command was sent, nor whose data they show.

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, Value};
use tokio::runtime::{Builder, Handle, Runtime};

use self::cluster::Cluster;
use self::dial::Dialer;
use self::histories::Histories;
use self::node::{Node, Place};
use self::router::{Router, Servers};
use self::script::Scripts;
use self::sentinel::Sentinels;
use super::target::{Address, Login, Target, Topology};

mod backoff;
mod cluster;
mod dedicated;
mod dial;
mod error;
mod histories;
mod listen;
mod node;
mod router;
mod script;
mod sentinel;
mod slots;
#[cfg(test)]
mod tests;
mod tls;

pub use dedicated::Dedicated;
pub use dial::{field, text};
pub use error::{Answers, LinkError, ServerError};
pub use listen::{Heard, Subscription};
pub use script::Script;
pub use tls::TlsError;

/// Threads are named after what they do.
const THREAD_NAME: &str = "adjourn-redis";

#[derive(Clone, Debug)]
pub struct LinkOptions {
    /// For everything until a connection can be used: name, socket, TLS, login.
    pub connect_timeout: Duration,
    /// For an answer over a shared connection. Longer than any script may take.
    pub response_timeout: Duration,
    /// Shown by `CLIENT LIST`; without spaces.
    pub client_name: Box<str>,
}

impl Default for LinkOptions {
    fn default() -> Self {
        Self { connect_timeout: Duration::from_secs(1), response_timeout: Duration::from_secs(2), client_name: "adjourn".into() }
    }
}

/// Why a link cannot be opened: never because Redis is away.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("cannot start the thread of the connections: {0}")]
    Thread(#[from] std::io::Error),
}

/// Cheap to clone; closed when the last clone is dropped.
#[derive(Clone)]
pub struct Link {
    router: Arc<Router>,
    dialer: Arc<Dialer>,
    target: Arc<Target>,
    runtime: Arc<OwnRuntime>,
}

impl Link {
    /// # Errors
    /// See [`OpenError`].
    pub fn open(target: Target, options: LinkOptions) -> Result<Self, OpenError> {
        let tls = target.tls.as_ref().map(tls::config).transpose()?;
        let scripts = Arc::new(Scripts::default());
        let dialer = |login: &Login, database| Dialer {
            login: login.clone(),
            database,
            tls: tls.clone(),
            client_name: options.client_name.clone(),
            connect_timeout: options.connect_timeout,
            scripts: Arc::clone(&scripts),
        };
        let own = Arc::new(dialer(&target.login, target.database));
        let runtime = OwnRuntime::start()?;
        let (servers, histories) = match &target.topology {
            Topology::Cluster { seeds } => {
                let histories = Arc::new(Histories::of_many());
                let cluster = Cluster::new(seeds.clone(), Arc::clone(&own), Arc::clone(&histories));
                (Servers::Cluster(Box::new(cluster)), histories)
            }
            Topology::Standalone(address) => {
                let histories = Arc::new(Histories::of_one());
                let node = Node::new(Place::At(address.clone()), Arc::clone(&own), Arc::clone(&histories));
                (Servers::One(Arc::new(node)), histories)
            }
            Topology::Sentinel { sentinels, master, login } => {
                let histories = Arc::new(Histories::of_one());
                let sentinels = Sentinels::new(sentinels, master.clone(), dialer(login, 0));
                let node = Arc::new(Node::new(Place::AskSentinels(sentinels), Arc::clone(&own), Arc::clone(&histories)));
                runtime.handle().spawn(sentinel::watch(Arc::clone(&node)));
                (Servers::One(node), histories)
            }
        };
        let router = Arc::new(Router { servers, histories, scripts, response_timeout: options.response_timeout });
        Ok(Self { router, dialer: own, target: Arc::new(target), runtime: Arc::new(runtime) })
    }

    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Runs one command.
    ///
    /// # Errors
    /// See [`LinkError`].
    pub async fn run(&self, cmd: Cmd) -> Result<Value, LinkError> {
        Ok(self.pipeline(vec![cmd]).await?.swap_remove(0)?)
    }

    /// Runs one command, unless another primary was met since `generation`.
    ///
    /// # Errors
    /// See [`LinkError`]. `Replaced`: it was not run.
    pub async fn run_under(&self, generation: u64, cmd: Cmd) -> Result<Value, LinkError> {
        let router = Arc::clone(&self.router);
        Ok(self.apart(async move { router.execute_under(generation, vec![cmd]).await }).await?.swap_remove(0)?)
    }

    /// Sends commands together; all their keys share a slot. One answer for each.
    ///
    /// # Errors
    /// `Away`: none was run. `Unknown`: any of them may have been.
    pub async fn pipeline(&self, cmds: Vec<Cmd>) -> Result<Answers, LinkError> {
        let router = Arc::clone(&self.router);
        self.apart(async move { router.execute(cmds).await }).await
    }

    /// Sends pipelines that do not depend on each other together and waits for all: one round trip, whichever primaries
    /// they go to.
    pub async fn pipelines(&self, pipelines: Vec<Vec<Cmd>>) -> Vec<Result<Answers, LinkError>> {
        let (router, count) = (Arc::clone(&self.router), pipelines.len());
        let sent = self.apart(async move { Ok(router.execute_all(pipelines).await) }).await;
        sent.unwrap_or_else(|error| vec![Err(error); count])
    }

    /// Asks every primary the same, each once, and says where it is.
    ///
    /// # Errors
    /// `Away` where it cannot be found out who they are.
    pub async fn ask_each(&self, cmds: Vec<Cmd>) -> Result<Vec<(Option<Address>, Result<Answers, LinkError>)>, LinkError> {
        let router = Arc::clone(&self.router);
        self.apart(async move { router.ask_each(cmds).await }).await
    }

    /// Runs a script, bringing it along where the server has not got it.
    ///
    /// # Errors
    /// See [`LinkError`].
    pub async fn script(&self, script: &Script, keys: &[&str], args: &[&[u8]]) -> Result<Value, LinkError> {
        self.teach([script]);
        self.run(script.call(keys, args)).await
    }

    /// Makes scripts known, so that pipelines can call them and new connections bring them along.
    pub fn teach<'a>(&self, scripts: impl IntoIterator<Item = &'a Script>) {
        for script in scripts {
            self.router.scripts.learn(script);
        }
    }

    /// A connection of one's own to the primary that serves this key. `None`: it waits for answers as long as the
    /// connection holds.
    ///
    /// # Errors
    /// `Away`.
    pub async fn dedicated(&self, key: &str, response_timeout: Option<Duration>) -> Result<Dedicated, LinkError> {
        let (router, slot) = (Arc::clone(&self.router), slots::slot(key.as_bytes()));
        let primary = self.apart(async move { router.own(slot).await }).await?;
        Ok(Dedicated::new(primary, Arc::clone(&self.router), slot, response_timeout, self.runtime.handle().clone()))
    }

    /// Listens to a channel until the answer is dropped.
    pub fn subscribe(&self, channel: &str) -> Subscription {
        Subscription::start(Arc::clone(&self.router), Arc::clone(&self.dialer), channel.into(), self.runtime.handle())
    }

    /// Grows whenever the primary behind the link is another than before, after a restart or a failover: what was
    /// acknowledged before may be gone. Known before the first answer of that primary is handed out.
    pub fn generation(&self) -> u64 {
        self.router.histories.generation()
    }

    /// To wait for [`generation`](Self::generation) to change.
    pub fn watch_generation(&self) -> tokio::sync::watch::Receiver<u64> {
        self.router.histories.watch()
    }

    /// The replication id of the primary that serves this key.
    ///
    /// # Errors
    /// `Away`.
    pub async fn primary_id(&self, key: &str) -> Result<String, LinkError> {
        let (router, slot) = (Arc::clone(&self.router), slots::slot(key.as_bytes()));
        self.apart(async move { Ok(router.node(Some(slot)).await?.shared().await?.replid.to_string()) }).await
    }

    /// Runs something of the store's beside the calls, on the link's own thread.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> tokio::task::JoinHandle<()> {
        self.runtime.handle().spawn(work)
    }

    /// Does something on the link's own thread. It goes on when the caller is gone.
    async fn apart<T: Send + 'static>(&self, work: impl Future<Output = Result<T, LinkError>> + Send + 'static) -> Result<T, LinkError> {
        self.runtime.handle().spawn(work).await.unwrap_or_else(|_| Err(closed()))
    }
}

/// What a command comes to whose link was closed under it.
fn closed() -> LinkError {
    LinkError::Unknown("the link was closed".into())
}

/// The thread of the connections. Ends without waiting when dropped, wherever that happens.
struct OwnRuntime(Option<Runtime>, Handle);

impl OwnRuntime {
    fn start() -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name(THREAD_NAME).enable_all().build()?;
        let handle = runtime.handle().clone();
        Ok(Self(Some(runtime), handle))
    }

    fn handle(&self) -> &Handle {
        &self.1
    }
}

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
