//! Opening connections: socket, TLS, login, who answers.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection, PubSub};
use redis::{AsyncConnectionConfig, Cmd, Pipeline, RedisConnectionInfo, Value};
use rustix::net::sockopt;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::super::target::{Address, Login};
use super::error::{Answers, LinkError, answer};
use super::script::Scripts;

/// A connection on which nothing moves is probed after this long...
const PROBE_AFTER: Duration = Duration::from_secs(5);
/// ...this often...
const PROBE_EVERY: Duration = Duration::from_secs(2);
/// ...and is given up after this many without an answer: a cable that was pulled shows within 11 s even to those who wait
/// without a timeout.
const PROBES: u32 = 3;
/// Given up as well when the kernel could not deliver what was written for this long.
const UNDELIVERED_MS: u32 = 10_000;

/// Requests that wait to be written to one connection, before those who bring more have to wait themselves: the pipelines
/// of a few hundred partitions go out in one go.
const QUEUED_MAX: usize = 512;

trait Stream: AsyncRead + AsyncWrite + Send {}
impl<S: AsyncRead + AsyncWrite + Send> Stream for S {}
type BoxedStream = Pin<Box<dyn Stream>>;

/// How to come in.
pub struct Dialer {
    pub login: Login,
    pub database: u16,
    pub tls: Option<Arc<ClientConfig>>,
    /// Shown by `CLIENT LIST`.
    pub client_name: Box<str>,
    /// For everything until the connection can be used.
    pub connect_timeout: Duration,
    pub scripts: Arc<Scripts>,
}

/// A connection to the primary of something.
pub struct Primary {
    pub connection: Connection,
    /// Names the history of the data: new after a restart and after a failover.
    pub replid: Box<str>,
}

impl Dialer {
    /// Opens a connection, and makes sure that the other end is a primary.
    pub async fn primary(&self, address: &Address) -> Result<Primary, Arc<str>> {
        self.in_time(address, async {
            let connection = self.open(address).await?;
            let replid = self.introduce(&connection).await?;
            Ok(Primary { connection, replid })
        })
        .await
    }

    /// Opens a connection to whatever role is there: a Sentinel, any node of a cluster.
    pub async fn any(&self, address: &Address) -> Result<Connection, Arc<str>> {
        self.in_time(address, self.open(address)).await
    }

    /// Opens a connection for listening.
    pub async fn listener(&self, address: &Address) -> Result<PubSub, Arc<str>> {
        self.in_time(address, async { Ok(PubSub::new(&self.info(), self.stream(address).await?).await?) }).await
    }

    async fn in_time<T>(&self, address: &Address, opening: impl Future<Output = Result<T, DialError>>) -> Result<T, Arc<str>> {
        match timeout(self.connect_timeout, opening).await {
            Ok(Ok(opened)) => Ok(opened),
            Ok(Err(error)) => Err(format!("{address}: {error}{}", self.hint(&error)).into()),
            Err(_) => Err(format!("{address}: no answer within {:?}", self.connect_timeout).into()),
        }
    }

    /// What is usually behind it.
    fn hint(&self, error: &DialError) -> &'static str {
        let said = error.to_string();
        let is_cut = ["roken pipe", "reset by peer", "closed", "end of file", "eof"].iter().any(|words| said.contains(words));
        match error {
            DialError::NoPrimary(_) => "; where another server may take over, name the Sentinels: redis+sentinel://",
            _ if said.contains("UnknownIssuer") => "; name the authority that signed its certificate: ?ca=FILE",
            _ if said.contains("CertificateRequired") => "; it asks for a client's certificate: ?cert=FILE&key=FILE",
            _ if is_cut && self.tls.is_none() => "; if that port speaks TLS, the URL begins with rediss://",
            _ if is_cut => "; it may ask for a client's certificate (?cert=FILE&key=FILE), or speak no TLS (redis://)",
            _ => "",
        }
    }

    fn info(&self) -> RedisConnectionInfo {
        let mut info = RedisConnectionInfo::default().set_db(self.database.into()).set_skip_set_lib_name();
        if let Some(user) = &self.login.user {
            info = info.set_username(user);
        }
        match (&self.login.password, &self.login.user) {
            (Some(password), _) => info.set_password(password.reveal()),
            // A user is shown even so: without a password the crate would leave it out, and we should be somebody else.
            (None, Some(_)) => info.set_password(""),
            (None, None) => info,
        }
    }

    async fn open(&self, address: &Address) -> Result<Connection, DialError> {
        // Waiting is bounded here, not by the crate: what has run out of time takes its connection with it.
        let config =
            AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None).set_pipeline_buffer_size(QUEUED_MAX);
        let stream = self.stream(address).await?;
        let (multiplexed, driver) = MultiplexedConnection::new_with_config(&self.info(), stream, config).await?;
        let alive = Arc::new(AtomicBool::new(true));
        let flag = Arc::clone(&alive);
        let driver = tokio::spawn(async move {
            driver.await;
            flag.store(false, Ordering::Release);
        });
        Ok(Connection { multiplexed, alive, driver: driver.abort_handle(), address: address.clone() })
    }

    async fn stream(&self, address: &Address) -> Result<BoxedStream, DialError> {
        let (host, port) = match address {
            Address::Unix(path) => return Ok(Box::pin(UnixStream::connect(path).await?)),
            Address::Tcp { host, port } => (&**host, *port),
        };
        let tcp = TcpStream::connect((host, port)).await?;
        tcp.set_nodelay(true)?;
        watch_for_silence(&tcp)?;
        let Some(config) = &self.tls else { return Ok(Box::pin(tcp)) };
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        Ok(Box::pin(TlsConnector::from(Arc::clone(config)).connect(name, tcp).await?))
    }

    /// Says who we are, brings the scripts along, and asks who they are.
    async fn introduce(&self, connection: &Connection) -> Result<Box<str>, DialError> {
        let mut words = Pipeline::new();
        words.cmd("INFO").arg("replication").cmd("CLIENT").arg("SETNAME").arg(&*self.client_name);
        for load in self.scripts.loads() {
            words.add_command(load);
        }
        // Only the first answer counts: a name is a courtesy, and a script that was refused is asked for again.
        let info = connection.send(&words, None).await?.swap_remove(0).map_err(LinkError::Server)?;
        let info = text(&info).ok_or(DialError::NoRole)?;
        match field(&info, "role") {
            Some("master") => field(&info, "master_replid").map(Into::into).ok_or(DialError::NoRole),
            Some(role) => Err(DialError::NoPrimary(role.into())),
            None => Err(DialError::NoRole),
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum DialError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Login(#[from] redis::RedisError),
    #[error("{}", of_introduction(.0))]
    Introduction(#[from] LinkError),
    #[error("it is no primary, its role is {0}")]
    NoPrimary(Box<str>),
    #[error("it does not say what role it has; if it is a Sentinel, use redis+sentinel://")]
    NoRole,
}

/// Nothing was asked yet that anybody could be in doubt about.
fn of_introduction(error: &LinkError) -> String {
    match error {
        LinkError::Away(reason) | LinkError::Unknown(reason) => reason.to_string(),
        LinkError::Replaced | LinkError::Server(_) => error.to_string(),
    }
}

fn watch_for_silence(tcp: &TcpStream) -> io::Result<()> {
    sockopt::set_socket_keepalive(tcp, true)?;
    sockopt::set_tcp_keepidle(tcp, PROBE_AFTER)?;
    sockopt::set_tcp_keepintvl(tcp, PROBE_EVERY)?;
    sockopt::set_tcp_keepcnt(tcp, PROBES)?;
    sockopt::set_tcp_user_timeout(tcp, UNDELIVERED_MS)?;
    Ok(())
}

/// A reply that is text.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text.clone()),
        Value::Okay => Some("OK".into()),
        _ => None,
    }
}

/// A line of `INFO`.
pub fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim_end)
}

/// One open connection; many may send on it at once. Closed when the last who holds it lets go.
pub struct Connection {
    multiplexed: MultiplexedConnection,
    alive: Arc<AtomicBool>,
    driver: AbortHandle,
    pub address: Address,
}

impl Connection {
    pub fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Acquire)
    }

    /// Sends commands together and waits for their answers.
    ///
    /// # Errors
    /// `Away` only where the connection was known to be gone before anything was sent. After `Unknown` nobody should use it
    /// any more: the next answer has to wait for the one that did not come.
    pub async fn send(&self, cmds: &Pipeline, limit: Option<Duration>) -> Result<Answers, LinkError> {
        if !self.is_alive() {
            return Err(LinkError::Away(format!("{}: the connection was lost", self.address).into()));
        }
        let mut multiplexed = self.multiplexed.clone();
        let asked = multiplexed.req_packed_commands(cmds, 0, cmds.len());
        let answers = match limit {
            None => asked.await,
            Some(limit) => match timeout(limit, asked).await {
                Ok(answers) => answers,
                Err(_) => return Err(LinkError::Unknown(format!("{}: no answer within {limit:?}", self.address).into())),
            },
        };
        match answers {
            Ok(values) if values.len() == cmds.len() => Ok(values.into_iter().map(answer).collect()),
            Ok(_) => Err(LinkError::Unknown(format!("{}: too few answers", self.address).into())),
            Err(error) => Err(LinkError::Unknown(format!("{}: {error}", self.address).into())),
        }
    }

    /// Sends one command.
    pub async fn ask(&self, cmd: Cmd, limit: Duration) -> Result<Value, LinkError> {
        let mut cmds = Pipeline::with_capacity(1);
        cmds.add_command(cmd);
        Ok(self.send(&cmds, Some(limit)).await?.swap_remove(0)?)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
