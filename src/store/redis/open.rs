//! Opening: what is fixed when a store is created, and what a server must be.

use std::sync::{Arc, OnceLock};

use metrics::counter;
use redis::Value;

use super::append::{Backlogs, Sure};
use super::check::{CONNECTION, Report, Row, Verdict, check};
use super::errors::general;
use super::heads::Heads;
use super::hold::{self, StoreHold};
use super::keys::{self, Keys};
use super::lease::{Leases, hex};
use super::link::{Link, LinkError, LinkOptions};
use super::memory::Memory;
use super::scripts::Scripts;
use super::server::Server;
use super::target::Target;
use super::value::{list, number, text};
use super::{Inner, RedisOptions, RedisStore, background};
use crate::clock::WallClock;
use crate::domain::PartitionCount;
use crate::store::StoreError;
use crate::store::ring::Ring;

/// How the keys are laid out. A reader refuses any other.
const FORMAT: u64 = 1;
/// Partitions of a new store unless said otherwise.
const PARTITIONS_DEFAULT: u16 = 64;

/// Why a store did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{0}")]
    Away(Arc<str>), // try again
    #[error("{0}")]
    Refused(Arc<str>), // an operator has to do something
}

impl From<LinkError> for OpenError {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Away(reason) | LinkError::Unknown(reason) => Self::Away(reason),
            LinkError::Replaced => Self::Away(error.to_string().into()),
            LinkError::Server(error) => match &*error.code {
                "LOADING" | "BUSY" | "TRYAGAIN" | "CLUSTERDOWN" | "MASTERDOWN" | "READONLY" | "MISCONF" | "OOM" => {
                    Self::Away(error.to_string().into())
                }
                _ => Self::Refused(format!("Redis says {error}").into()),
            },
        }
    }
}

fn refused(reason: String) -> OpenError {
    OpenError::Refused(reason.into())
}

impl RedisStore {
    /// Opens the store behind `target`, or creates it there.
    ///
    /// # Errors
    /// `Away`: it may answer later. `Refused`: an operator has to do something first.
    pub async fn open(target: Target, options: RedisOptions) -> Result<Arc<Self>, OpenError> {
        Self::open_on(Self::link(target, &options)?, options).await
    }

    /// A link for this store: with one and the same, opening can be tried again and again.
    ///
    /// # Errors
    /// `Refused`: the certificates cannot be used.
    pub fn link(target: Target, options: &RedisOptions) -> Result<Link, OpenError> {
        let link_options = LinkOptions {
            response_timeout: options.response_timeout,
            client_name: format!("adjourn-{}", options.node).into(),
            ..LinkOptions::default()
        };
        Link::open(target, link_options).map_err(|error| refused(error.to_string()))
    }

    /// As [`open`](Self::open), over a link of the caller's.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_on(link: Link, options: RedisOptions) -> Result<Arc<Self>, OpenError> {
        let server = Server::ask(&link).await?;
        judge(check(&link, options.durability, &options.prefix, &WallClock).await)?;
        let (partitions, incarnation) = fixed(&link, &options).await?;
        let inner = Arc::new(Inner {
            keys: Keys::new(&options.prefix, partitions),
            scripts: Scripts::new(server),
            partitions,
            incarnation,
            heads: Heads::new(partitions),
            backlogs: Backlogs::new(partitions),
            leases: Leases::new(partitions),
            sure: Sure::new(partitions),
            ring: Ring::default(),
            memory: Memory::default(),
            store_hold: StoreHold::default(),
            ended: OnceLock::new(),
            link,
            options,
        });
        inner.link.teach(inner.scripts.all());
        inner.read_heads().await.map_err(|error| OpenError::Away(error.to_string().into()))?;
        let tails = partitions.all().map(|_| tokio::sync::Mutex::new(None)).collect();
        let background = background::start(&inner);
        Ok(Arc::new(Self { inner, tails, background }))
    }
}

impl Inner {
    /// Whether what answers is the store that was opened. Another one in its place, or none, is none of ours to go on with:
    /// it has other numbers, other leases, perhaps other partitions. Of the same, but as it was some time ago, all closes are
    /// held (`hold`).
    ///
    /// # Errors
    /// `Unavailable`, for good, where it is another; whatever asking comes to.
    pub async fn is_the_same(&self) -> Result<(), StoreError> {
        self.serves()?;
        let key = keys::meta(&self.options.prefix);
        let mut get = redis::cmd("HMGET");
        get.arg(&*key).arg(&["incarnation", hold::FIELD, hold::SINCE]);
        let found = list(self.link.run(get).await.map_err(general)?).unwrap_or_default();
        let field = |nth: usize| found.get(nth).and_then(text);
        if field(0).and_then(hex) == Some(self.incarnation) {
            self.store_hold.known.note(hold::read(found.get(1..).unwrap_or_default()));
            return self.has_not_gone_back().await;
        }
        let is = if field(0).is_none() { "is gone: the store was emptied" } else { "is of another store than this process opened" };
        let reason = format!("{key} {is}; restart this process if that was meant");
        if self.end(reason.as_str().into()) {
            counter!("adjourn_redis_errors_total", "code" => "another-store").increment(1);
            tracing::error!(reason, "nothing is done any more");
        }
        self.serves()
    }
}

/// Warnings are for the log; what must not be ends it here.
fn judge(report: Report) -> Result<(), OpenError> {
    for Row { name, found, advice, .. } in report.rows.iter().filter(|row| row.verdict == Verdict::Warning) {
        tracing::warn!(name, found, advice, "this Redis is not all it could be");
    }
    let refusals: Vec<String> = report.refusals().map(|Row { name, found, advice, .. }| format!("{name}: {found}: {advice}")).collect();
    match report.refusals().next() {
        None => Ok(()),
        // It answered a moment ago.
        Some(row) if row.name == CONNECTION => Err(OpenError::Away(refusals.join("; ").into())),
        Some(_) => Err(refused(refusals.join("; "))),
    }
}

/// A store without its name is one that was deleted in part: a new one would not fit what is left.
async fn nothing_is_left(link: &Link, options: &RedisOptions, meta: &str) -> Result<(), OpenError> {
    let Some(one) = PartitionCount::new(1) else { return Ok(()) };
    let lease = Keys::new(&options.prefix, one).of(crate::domain::PartitionId(0)).lease.clone();
    let mut get = redis::cmd("HGET");
    get.arg(&*lease).arg("partitions");
    match text(&link.run(get).await?) {
        None => Ok(()),
        Some(count) => Err(refused(format!(
            "{meta} is gone, and {lease} is of a store of {count} partitions: bring {meta} back from a backup, or delete every key of the prefix `{}`",
            options.prefix
        ))),
    }
}

/// What the store was created with; created now where there is none. Two that create it at once agree: the first wins.
async fn fixed(link: &Link, options: &RedisOptions) -> Result<(PartitionCount, u64), OpenError> {
    let key = keys::meta(&options.prefix);
    let asked = options.partitions.map(PartitionCount::get);
    let set = |field: &str, value: String| {
        let mut set = redis::cmd("HSETNX");
        set.arg(&*key).arg(field).arg(value);
        set
    };
    let incarnation = crate::chance::token();
    let mut get = redis::cmd("HMGET");
    get.arg(&*key).arg(&["format", "partitions", "incarnation"]);
    // Where all is there nothing is written: a full memory would refuse it, and then nobody could come back to empty it.
    let mut found = list(link.run(get.clone()).await?).unwrap_or_default();
    if found.contains(&Value::Nil) {
        nothing_is_left(link, options, &key).await?;
        let cmds = vec![
            set("format", FORMAT.to_string()),
            set("partitions", asked.unwrap_or(PARTITIONS_DEFAULT).to_string()),
            set("incarnation", format!("{incarnation:016x}")),
            get,
        ];
        let mut answers = link.pipeline(cmds).await?;
        found = list(answers.pop().unwrap_or(Ok(Value::Nil)).map_err(LinkError::from)?).unwrap_or_default();
        answers.into_iter().find_map(Result::err).map_or(Ok(()), |error| Err(LinkError::from(error)))?;
    }
    let [format, partitions, incarnation] = &found[..] else { return Err(refused(format!("{key} is no hash of adjourn's"))) };
    if number(format) != Some(FORMAT) {
        let found = text(format).unwrap_or("none");
        return Err(refused(format!(
            "{key} has format {found}, this version reads format {FORMAT}: use the version of adjourn that wrote it, or a newer one"
        )));
    }
    let stored = number(partitions).and_then(|count| PartitionCount::new(u16::try_from(count).ok()?));
    let stored = stored.ok_or_else(|| refused(format!("`partitions` in {key} is no number of partitions")))?;
    if let Some(asked) = asked.filter(|asked| *asked != stored.get()) {
        let stored = stored.get();
        return Err(refused(format!(
            "{key} has {stored} partitions, {asked} were asked for: the number is fixed when a store is created, so ask for {stored} or for none"
        )));
    }
    let incarnation = text(incarnation).and_then(hex).ok_or_else(|| refused(format!("`incarnation` in {key} cannot be read")))?;
    Ok((stored, incarnation))
}
