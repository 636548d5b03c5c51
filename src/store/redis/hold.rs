//! A store that has gone back: a backup was restored under nodes that run on. What was accepted since the backup is gone, a
//! reply among it perhaps, so nothing closes until an operator says so. Events are taken and applied meanwhile: what the
//! pipeline sends again is there before the first timer may run out.
//!
//! Each node leaves its pulse beside its record, the time of its last sign of life, and remembers it. One that finds an
//! older pulse than it left, or none, has seen the store go back. A failover loses a little as well; that much each node
//! appends again by itself ([`Ring`](crate::store::ring)), and nothing is held for it. Where no node lived through it
//! nobody can tell: whoever restores a backup under nodes that are stopped holds it by hand first.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::counter;
use redis::Value;

use super::errors::general;
use super::link::{Link, LinkError};
use super::value::{list, number, text};
use super::{Inner, keys, lease, open};
use crate::clock::Stopwatch;
use crate::domain::Timestamp;
use crate::store::hold::KnownHold;
use crate::store::{Hold, StoreError, ring};

/// In `adjourn:meta`: why closes are held.
pub const FIELD: &str = "held";
/// And since when, in ms; a moment later than why, or never where whoever wrote it died in between.
pub const SINCE: &str = "held_at";
/// A node that gave no sign of life for longer may have been forgotten by the others, its pulse with it.
const REMEMBERED_FOR: Duration = Duration::from_secs(1_800);

/// What a node knows of its pulse.
#[derive(Clone, Copy, Default)]
enum Pulse {
    /// Left none yet.
    #[default]
    None,
    /// As milliseconds of the store's clock, and since when.
    Left(u64, Stopwatch),
    /// The store lost it. What it has of this node is a record from before: ours, whichever process wrote it.
    Lost,
    /// This node is taking its record and its pulse away: no sign of life may come in between.
    Leaving,
}

/// A node's time in the cluster, from joining to leaving.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Stay(u64);

/// The pulse this node left, and whether closes are held.
#[derive(Default)]
pub struct StoreHold {
    pulse: Mutex<(Pulse, Stay)>,
    pub known: KnownHold,
}

impl StoreHold {
    fn pulses(&self) -> MutexGuard<'_, (Pulse, Stay)> {
        self.pulse.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pulse that must still be there, give or take what a failover may lose.
    pub fn pulse(&self) -> Option<u64> {
        match self.pulses().0 {
            Pulse::Left(at, since) if since.elapsed() < REMEMBERED_FOR => Some(at),
            Pulse::Left(..) | Pulse::None | Pulse::Lost | Pulse::Leaving => None,
        }
    }

    pub fn stay(&self) -> Stay {
        self.pulses().1
    }

    /// A sign of life that was sent during `stay` was taken.
    pub fn left(&self, pulse: u64, stay: Stay) {
        let mut known = self.pulses();
        if known.1 == stay {
            known.0 = Pulse::Left(pulse, Stopwatch::start());
        }
    }

    /// Before this node takes its record and its pulse away: whoever finds them missing from here on, or hears only now that an
    /// earlier one was taken, has not seen the store go back.
    pub fn leave(&self) {
        let mut known = self.pulses();
        *known = (Pulse::Leaving, Stay(known.1.0 + 1));
    }

    /// It has left, or has not: it may join again.
    pub fn has_left(&self) {
        self.pulses().0 = Pulse::None;
    }

    pub fn is_leaving(&self) -> bool {
        matches!(self.pulses().0, Pulse::Leaving)
    }

    pub fn name_is_ours(&self) -> bool {
        matches!(self.pulses().0, Pulse::Lost)
    }
}

/// How far a store may fall behind a pulse before something was lost that no node can bring back, in ms.
pub const fn behind_max() -> u64 {
    ring::KEPT.as_millis() as u64
}

impl Inner {
    /// See [`Store::hold_closes`](crate::store::Store::hold_closes).
    pub async fn hold_by_hand(&self, why: &str) -> Result<bool, StoreError> {
        self.serves()?;
        let is_new = begin(&self.link, &self.options.prefix, why, self.clock().await?).await.map_err(general)?;
        // A node that is about to look has closes on their way.
        tokio::time::sleep(HEARD_AFTER).await;
        Ok(is_new)
    }

    /// See [`Store::release_hold`](crate::store::Store::release_hold).
    pub async fn release_hold(&self) -> Result<Option<Hold>, StoreError> {
        self.serves()?;
        end(&self.link, &self.options.prefix).await.map_err(general)
    }

    /// Looks whether this node's pulse is still what it left, and holds all closes where it is not.
    pub async fn has_not_gone_back(&self) -> Result<(), StoreError> {
        let stay = self.store_hold.stay(); // before the pulse: what this node takes away it has forgotten by then
        let Some(left) = self.store_hold.pulse() else { return Ok(()) };
        let mut get = redis::cmd("HGET");
        get.arg(&*self.keys.nodes).arg(keys::pulse(&self.options.node));
        let found = self.link.run(get).await.map_err(general)?;
        let kept = number(&found).unwrap_or(0);
        if left.saturating_sub(kept) > behind_max() { self.hold_closes(left, kept, stay).await } else { Ok(()) }
    }

    /// All nodes, and those that start later, hold their closes once this is written. Only then this node's next sign of
    /// life hides what gave it away. Not where this node has left since: then it was itself who took its pulse away.
    pub async fn hold_closes(&self, left: u64, kept: u64, stay: Stay) -> Result<(), StoreError> {
        if self.store_hold.stay() != stay {
            return Ok(());
        }
        let back = match kept {
            0 => "to before this node began".to_owned(),
            kept => format!("by {} s", left.saturating_sub(kept) / 1_000),
        };
        let why =
            format!("node {} saw the store go back {back}: a backup was restored, and what was accepted since is gone", self.options.node);
        let now = self.clock().await?;
        begin(&self.link, &self.options.prefix, &why, now).await.map_err(general)?;
        counter!("adjourn_redis_errors_total", "code" => "gone-back").increment(1);
        self.store_hold.known.note(Some(Hold { why: why.into(), since: Some(now) }));
        self.store_hold.pulses().0 = Pulse::Lost;
        Ok(())
    }
}

/// When every node that lives has heard of a hold: each looks once a second, and what was on its way then has been committed.
pub const HEARD_AFTER: Duration = Duration::from_millis(2_000);

/// Holds all closes of the store of this prefix, from [`HEARD_AFTER`] on. False: they are held already.
///
/// # Errors
/// There is no store, or it does not answer.
pub async fn hold(link: &Link, prefix: &str, why: &str) -> Result<bool, open::OpenError> {
    must_exist(link, prefix).await?;
    let answer = list(link.run(redis::cmd("TIME")).await?).unwrap_or_default();
    let now = lease::clock(&answer).unwrap_or(Timestamp::from_millis(0));
    Ok(begin(link, prefix, why, now).await?)
}

/// Lets closing go on: why it was held, if it was.
///
/// # Errors
/// As [`hold`].
pub async fn resume(link: &Link, prefix: &str) -> Result<Option<Hold>, open::OpenError> {
    must_exist(link, prefix).await?;
    Ok(end(link, prefix).await?)
}

async fn begin(link: &Link, prefix: &str, why: &str, now: Timestamp) -> Result<bool, LinkError> {
    let key = keys::meta(prefix);
    let (mut set, mut since) = (redis::cmd("HSETNX"), redis::cmd("HSET"));
    set.arg(&*key).arg(FIELD).arg(why);
    let is_new = number(&link.run(set).await?) == Some(1);
    if is_new {
        since.arg(&*key).arg(SINCE).arg(now.as_millis());
        link.run(since).await?;
    }
    Ok(is_new)
}

async fn end(link: &Link, prefix: &str) -> Result<Option<Hold>, LinkError> {
    let key = keys::meta(prefix);
    let (mut get, mut delete) = (redis::cmd("HMGET"), redis::cmd("HDEL"));
    get.arg(&*key).arg(&[FIELD, SINCE]);
    delete.arg(&*key).arg(&[FIELD, SINCE]);
    let found = list(link.run(get).await?).unwrap_or_default();
    link.run(delete).await?;
    Ok(read(&found))
}

/// From the fields [`FIELD`] and [`SINCE`].
pub fn read(fields: &[Value]) -> Option<Hold> {
    let since = fields.get(1).and_then(number).and_then(|ms| i64::try_from(ms).ok());
    Some(Hold { why: fields.first().and_then(text)?.into(), since: since.map(Timestamp::from_millis) })
}

async fn must_exist(link: &Link, prefix: &str) -> Result<(), open::OpenError> {
    let key = keys::meta(prefix);
    let mut get = redis::cmd("HGET");
    get.arg(&*key).arg("incarnation");
    match text(&link.run(get).await?) {
        Some(_) => Ok(()),
        None => Err(open::OpenError::Refused(format!("there is no store: {key} has no `incarnation`").into())),
    }
}
