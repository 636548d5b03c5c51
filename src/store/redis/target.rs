//! What a store URL names: servers, how they belong together, who we are to them. No secret is ever shown.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

/// Where Redis listens unless said otherwise.
const PORT: u16 = 6_379;
const SENTINEL_PORT: u16 = 26_379;

/// A checked store URL.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    pub topology: Topology,
    pub login: Login,
    pub database: u16,
    /// `None`: plain TCP or a Unix socket.
    pub tls: Option<Tls>,
}

/// How the servers belong together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Topology {
    Standalone(Address),
    Sentinel { sentinels: Vec<Address>, master: Box<str>, login: Login },
    Cluster { seeds: Vec<Address> },
}

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Address {
    Tcp { host: Box<str>, port: u16 },
    Unix(PathBuf),
}

/// Who we are to a server; without a password, whoever may come in without one.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Login {
    pub user: Option<Box<str>>,
    pub password: Option<Secret>,
}

/// Shows itself as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tls {
    /// Who may have signed the server's certificate; `None`: the public authorities.
    pub ca: Option<PathBuf>,
    /// Our own certificate and its key, where the server asks for one.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Why a store URL cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a Redis URL: {wrong}; for example {example}")]
pub struct TargetError {
    wrong: Box<str>,
    example: &'static str,
}

/// The kinds of URL, each with its example.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Standalone,
    Sentinel,
    Cluster,
    Unix,
}

impl Kind {
    fn example(self) -> &'static str {
        match self {
            Self::Standalone => "redis://adjourn:secret@redis.example.com:6379/0",
            Self::Sentinel => "redis+sentinel://adjourn:secret@s1:26379,s2:26379,s3:26379/mymaster?db=0",
            Self::Cluster => "redis+cluster://adjourn:secret@n1:7000,n2:7000,n3:7000",
            Self::Unix => "redis+unix:///run/redis/redis.sock?db=0",
        }
    }

    fn wrong(self, wrong: impl Into<Box<str>>) -> TargetError {
        TargetError { wrong: wrong.into(), example: self.example() }
    }
}

impl Secret {
    pub fn new(secret: impl Into<Box<str>>) -> Self {
        Self(secret.into())
    }

    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Target {
    /// What the servers should say they are, as `redis_mode` in `INFO server` names it.
    pub fn mode(&self) -> &'static str {
        match self.topology {
            Topology::Cluster { .. } => "cluster",
            Topology::Standalone(_) | Topology::Sentinel { .. } => "standalone",
        }
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(url: &str) -> Result<Self, TargetError> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| Kind::Standalone.wrong("it has no scheme"))?;
        let (kind, tls) = kind(scheme)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        // What follows would be read as host, path and options, and an error would show it.
        if path.contains('@') || query.contains('@') {
            return Err(kind.wrong("an @ after the host: in a password / is written %2F, ? %3F and @ %40"));
        }
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (login_of(kind, login)?, hosts),
            None => (Login::default(), authority),
        };
        let mut options = Options::read(kind, query)?;
        let tls = if tls { Some(options.tls()?) } else { None };
        let sentinel_login = options.sentinel_login();
        let database = options.database()?;
        options.nothing_left()?;
        let target = |topology, database| Self { topology, login, database, tls };
        match kind {
            Kind::Standalone => {
                let database = if path.is_empty() { database } else { number(kind, path)? };
                Ok(target(Topology::Standalone(one_host(kind, hosts)?), database))
            }
            Kind::Sentinel if path.is_empty() => Err(kind.wrong("the name of the master is missing after the sentinels")),
            Kind::Sentinel => {
                let (sentinels, master) = (all_hosts(kind, hosts, SENTINEL_PORT)?, decoded(kind, path)?);
                Ok(target(Topology::Sentinel { sentinels, master, login: sentinel_login }, database))
            }
            Kind::Cluster if database != 0 || !matches!(path, "" | "0") => Err(kind.wrong("a cluster has database 0 only")),
            Kind::Cluster => Ok(target(Topology::Cluster { seeds: all_hosts(kind, hosts, PORT)? }, 0)),
            Kind::Unix if !hosts.is_empty() || path.is_empty() => Err(kind.wrong("a socket is named by an absolute path")),
            Kind::Unix => Ok(target(Topology::Standalone(Address::Unix(format!("/{}", decoded(kind, path)?).into())), database)),
        }
    }
}

fn kind(scheme: &str) -> Result<(Kind, bool), TargetError> {
    Ok(match scheme {
        "redis" => (Kind::Standalone, false),
        "rediss" => (Kind::Standalone, true),
        "redis+sentinel" => (Kind::Sentinel, false),
        "rediss+sentinel" => (Kind::Sentinel, true),
        "redis+cluster" => (Kind::Cluster, false),
        "rediss+cluster" => (Kind::Cluster, true),
        "redis+unix" => (Kind::Unix, false),
        other => {
            let known = "redis, rediss, redis+sentinel, rediss+sentinel, redis+cluster, rediss+cluster and redis+unix";
            return Err(Kind::Standalone.wrong(format!("`{other}` is none of {known}")));
        }
    })
}

fn login_of(kind: Kind, text: &str) -> Result<Login, TargetError> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let given = |text: &str| if text.is_empty() { Ok(None) } else { decoded(kind, text).map(Some) };
    Ok(Login { user: given(user)?, password: given(password)?.map(Secret) })
}

fn one_host(kind: Kind, hosts: &str) -> Result<Address, TargetError> {
    if hosts.contains(',') {
        return Err(kind.wrong("it names several hosts: use redis+sentinel:// or redis+cluster://"));
    }
    host(kind, hosts, PORT)
}

fn all_hosts(kind: Kind, hosts: &str, port: u16) -> Result<Vec<Address>, TargetError> {
    hosts.split(',').map(|text| host(kind, text, port)).collect()
}

fn host(kind: Kind, text: &str, default: u16) -> Result<Address, TargetError> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, rest)) => (host, Some(rest.strip_prefix(':').ok_or_else(|| kind.wrong(format!("`{text}` is no host and port")))?)),
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    if host.is_empty() {
        return Err(kind.wrong("a host is missing"));
    }
    let port = match port {
        // Not shown: without a host behind it, a password stands where the port should.
        Some(port) => number(kind, port).ok().filter(|port| *port > 0).ok_or_else(|| kind.wrong("what follows the host's : is no port"))?,
        None => default,
    };
    Ok(Address::Tcp { host: host.into(), port })
}

fn number(kind: Kind, text: &str) -> Result<u16, TargetError> {
    text.parse().map_err(|_| kind.wrong(format!("`{text}` is no number of a database")))
}

fn decoded(kind: Kind, text: &str) -> Result<Box<str>, TargetError> {
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| kind.wrong("a percent-encoded part is not UTF-8"))?;
    Ok(decoded.into())
}

/// What stands behind the `?`.
struct Options {
    kind: Kind,
    pairs: Vec<(Box<str>, Box<str>)>,
}

impl Options {
    fn read(kind: Kind, query: &str) -> Result<Self, TargetError> {
        let pair = |text: &str| {
            let (name, value) = text.split_once('=').unwrap_or((text, ""));
            Ok((decoded(kind, name)?, decoded(kind, value)?))
        };
        let pairs = query.split('&').filter(|text| !text.is_empty()).map(pair).collect::<Result<_, _>>()?;
        Ok(Self { kind, pairs })
    }

    fn take(&mut self, name: &str) -> Option<Box<str>> {
        let at = self.pairs.iter().position(|(found, _)| &**found == name)?;
        Some(self.pairs.swap_remove(at).1)
    }

    fn tls(&mut self) -> Result<Tls, TargetError> {
        let ca = self.take("ca").map(|path| PathBuf::from(&*path));
        let identity = match (self.take("cert"), self.take("key")) {
            (Some(cert), Some(key)) => Some((PathBuf::from(&*cert), PathBuf::from(&*key))),
            (None, None) => None,
            _ => return Err(self.kind.wrong("`cert` and `key` belong together")),
        };
        Ok(Tls { ca, identity })
    }

    fn sentinel_login(&mut self) -> Login {
        if self.kind != Kind::Sentinel {
            return Login::default();
        }
        Login { user: self.take("sentinel_user"), password: self.take("sentinel_password").map(Secret) }
    }

    fn database(&mut self) -> Result<u16, TargetError> {
        self.take("db").map_or(Ok(0), |text| number(self.kind, &text))
    }

    fn nothing_left(&self) -> Result<(), TargetError> {
        match self.pairs.first() {
            None => Ok(()),
            Some((name, _)) if &**name == "insecure" => {
                Err(self.kind.wrong("`insecure` is not offered, it would trust anybody: name the authority with ca=/path/to/ca.pem"))
            }
            Some((name, _)) if ["ca", "cert", "key"].contains(&&**name) => {
                Err(self.kind.wrong(format!("`{name}` is for TLS, which a scheme beginning with rediss asks for")))
            }
            Some((name, _)) => Err(self.kind.wrong(format!("`{name}` is no option here"))),
        }
    }
}

impl Address {
    /// Whether what is said to it stays within this machine.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp { host, .. } => {
                host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
            }
        }
    }
}

/// `host:port`, or the path of a socket.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// As a URL without secrets and options: for showing.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls.is_some() { "rediss" } else { "redis" };
        let (kind, hosts, path): (&str, &[Address], Option<&str>) = match &self.topology {
            Topology::Standalone(address @ Address::Unix(_)) => return write!(f, "redis+unix://{address}?db={}", self.database),
            Topology::Standalone(address) => ("", std::slice::from_ref(address), None),
            Topology::Sentinel { sentinels, master, .. } => ("+sentinel", sentinels, Some(master)),
            Topology::Cluster { seeds } => ("+cluster", seeds, None),
        };
        write!(f, "{scheme}{kind}://")?;
        if let Some(user) = &self.login.user {
            write!(f, "{user}@")?;
        }
        for (n, host) in hosts.iter().enumerate() {
            write!(f, "{}{host}", if n == 0 { "" } else { "," })?;
        }
        match path {
            Some(master) => write!(f, "/{master}?db={}", self.database),
            None => write!(f, "/{}", self.database),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Target {
        url.parse().unwrap()
    }

    fn wrong(url: &str) -> String {
        url.parse::<Target>().unwrap_err().to_string()
    }

    fn tcp(host: &str, port: u16) -> Address {
        Address::Tcp { host: host.into(), port }
    }

    #[test]
    fn a_standalone_url_has_defaults_for_what_it_leaves_out() {
        assert_eq!(parse("redis://localhost").topology, Topology::Standalone(tcp("localhost", 6_379)));
        let full = parse("redis://ad%40journ:s%3Acret@[::1]:7000/3");
        assert_eq!(full.topology, Topology::Standalone(tcp("::1", 7_000)));
        assert_eq!((full.login.user.as_deref(), full.database), (Some("ad@journ"), 3));
        assert_eq!(full.login.password.unwrap().reveal(), "s:cret");
        assert_eq!(parse("redis://:only@h").login, Login { user: None, password: Some(Secret::new("only")) });
        assert_eq!(parse("redis+unix:///run/r.sock?db=2").topology, Topology::Standalone(Address::Unix("/run/r.sock".into())));
    }

    #[test]
    fn a_sentinel_url_names_the_sentinels_the_master_and_both_logins() {
        let target = parse("redis+sentinel://u:p@h1:26380,h2,h3/main?db=4&sentinel_user=s&sentinel_password=q");
        let login = Login { user: Some("s".into()), password: Some(Secret::new("q")) };
        let sentinels = vec![tcp("h1", 26_380), tcp("h2", 26_379), tcp("h3", 26_379)];
        assert_eq!(target.topology, Topology::Sentinel { sentinels, master: "main".into(), login });
        assert_eq!(target.database, 4);
        assert!(wrong("redis+sentinel://h1,h2").contains("name of the master is missing"));
    }

    #[test]
    fn a_cluster_url_names_seeds_and_no_database() {
        assert_eq!(parse("redis+cluster://a:7000,b").topology, Topology::Cluster { seeds: vec![tcp("a", 7_000), tcp("b", 6_379)] });
        assert!(wrong("redis+cluster://a/1").contains("database 0 only"));
    }

    #[test]
    fn tls_takes_an_authority_and_a_certificate_but_never_anybody() {
        let tls = parse("rediss://h?ca=/ca.pem&cert=/c.pem&key=/k.pem").tls.unwrap();
        assert_eq!(tls, Tls { ca: Some("/ca.pem".into()), identity: Some(("/c.pem".into(), "/k.pem".into())) });
        assert_eq!(parse("rediss+cluster://h").tls, Some(Tls::default()));
        assert!(wrong("rediss://h?cert=/c.pem").contains("belong together"));
        assert!(wrong("rediss://h?insecure").contains("not offered"));
        assert!(wrong("redis://h?ca=/ca.pem").contains("is for TLS"));
    }

    #[test]
    fn what_is_wrong_is_said_with_an_example() {
        assert_eq!(
            wrong("localhost:6379"),
            "not a Redis URL: it has no scheme; for example redis://adjourn:secret@redis.example.com:6379/0"
        );
        assert!(wrong("http://h").contains("`http` is none of redis, rediss"));
        assert!(wrong("redis://").contains("a host is missing"));
        assert!(wrong("redis://h:0").contains("is no port"));
        assert!(wrong("redis://h/x").contains("`x` is no number of a database"));
        assert!(wrong("redis://a,b").contains("several hosts"));
        assert!(wrong("redis://h?pool=3").contains("`pool` is no option"));
    }

    #[test]
    fn no_secret_is_shown() {
        let target = parse("rediss+sentinel://u:hidden@h/m?sentinel_password=hidden");
        for shown in [format!("{target:?}"), target.to_string()] {
            assert!(!shown.contains("hidden"), "{shown}");
        }
        for mistaken in ["redis://u:hid/den@h", "redis://u:hid?den@h", "redis://u:hidden", "redis://:hidden", "rediss://u:hid/den@h/0"] {
            let said = wrong(mistaken);
            assert!(!said.contains("hid") && !said.contains("den"), "{said}");
        }
        assert_eq!(target.to_string(), "rediss+sentinel://u@h:26379/m?db=0");
        assert_eq!(parse("redis://u:p@h/2").to_string(), "redis://u@h:6379/2");
    }
}
