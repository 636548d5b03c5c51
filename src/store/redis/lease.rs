//! Holding a partition: claims, beats, commits, and the barrier before a close.

use std::sync::atomic::{AtomicU64, Ordering};

use redis::Value;

use super::commit::{CommitMode, call, nonce};
use super::errors::{of_read, of_server, of_write, unreadable};
use super::keys::PartitionKeys;
use super::repair::Repair;
use super::scripts::NUMBERS_A_MILLISECOND;
use super::value::{bytes, list, log_id, number, odd, pairs, text};
use super::{Inner, heads};
use crate::domain::{PartitionCount, PartitionId, Settings, Timestamp};
use crate::store::{Barrier, Batch, Claim, CommitId, Holder, Lease, LogId, Member, StoreError, lists, record};

/// Under which primary each partition was claimed here. After a change of primary what its owner has in memory may be
/// more than what is stored.
pub struct Leases(Vec<AtomicU64>);

/// No claim yet.
const NOT_HELD: u64 = u64::MAX;

impl Leases {
    pub fn new(partitions: PartitionCount) -> Self {
        Self(partitions.all().map(|_| AtomicU64::new(NOT_HELD)).collect())
    }

    fn of(&self, partition: PartitionId) -> &AtomicU64 {
        &self.0[usize::from(partition.0)]
    }

    /// Whether a partition was claimed here and not given back.
    pub fn holds(&self, partition: PartitionId) -> bool {
        self.of(partition).load(Ordering::Relaxed) != NOT_HELD
    }
}

/// A claim as the script answers it.
struct Claimed {
    epoch: u64,
    head: CommitId,
    checkpoint: LogId,
    last_notification: u64,
    numbered_from: u64,
    attempts: u32,
    trying: Option<(LogId, u32)>,
    settings: Vec<(Box<str>, Settings)>,
    repair: Repair,
    lists_whole: bool,
    listed: u64,
}

impl Inner {
    pub async fn claim(&self, partition: PartitionId, by: Member, over: Option<Holder>) -> Result<Claim, StoreError> {
        self.known(partition)?;
        // Where a store was emptied nobody holds anything: a claim would begin another that knows neither its name nor its size.
        // And of one that has gone back it is known that it has, before anybody acts on what it holds.
        self.is_the_same().await?;
        let of = self.keys.of(partition);
        let generation = self.link.generation();
        let primary = self.link.primary_id(&of.lease).await.map_err(|error| of_read(partition, error))?;
        let token = crate::chance::token();
        let seen = over.map_or_else(|| std::array::from_fn(|_| String::new()), |holder| fields(&holder));
        let args = [nonce(token), by.node.into(), nonce(by.instance), primary];
        let heard = self.heads.all()[usize::from(partition.0)];
        let fixed = [NUMBERS_A_MILLISECOND.to_string(), self.partitions.get().to_string(), heard.to_string()];
        let args: Vec<&[u8]> = args.iter().chain(&seen).chain(&fixed).map(String::as_bytes).collect();
        let PartitionKeys { lease, events, notifications, dead, states, settings, deadlines, letters, marks, rollups, texts, lists } = of;
        let keys: [&str; 12] = [lease, events, notifications, dead, states, settings, deadlines, letters, marks, rollups, texts, lists];
        let answer = self.link.script(&self.scripts.claim, &keys, &args).await.map_err(|error| of_write(partition, error))?;
        let claimed = Claimed::read(answer).ok_or_else(|| odd("a claim"))?;
        self.repair(partition, &claimed.repair).await?;
        self.leases.of(partition).store(generation, Ordering::Relaxed);
        if self.options.durability.replicas == 0 {
            self.heads.raise(partition, claimed.last_notification);
        } // else when the replicas are known to have it: by the next commit, or the next look at the heads
        let Claimed { epoch, head, checkpoint, last_notification, numbered_from, attempts, trying, settings, lists_whole, listed, .. } =
            claimed;
        let lease = Lease { partition, epoch, nonce: token };
        Ok(Claim { lease, head, checkpoint, last_notification, attempts, trying, numbered_from, settings, lists_whole, listed })
    }

    /// What was claimed under another primary is to be claimed and loaded anew. Answers the generation to send under: the
    /// script cannot see who it runs on, and a failover may have undone what a stale owner would be refused by.
    fn same_primary(&self, lease: Lease) -> Result<u64, StoreError> {
        let (claimed, now) = (self.leases.of(lease.partition).load(Ordering::Relaxed), self.link.generation());
        if claimed == NOT_HELD || claimed == now {
            return Ok(now); // the script judges
        }
        Err(StoreError::Refused("another Redis primary answers than when this partition was claimed".into()))
    }

    pub async fn renew(&self, lease: Lease) -> Result<(), StoreError> {
        self.known(lease.partition)?;
        self.same_primary(lease)?;
        let (epoch, token) = (lease.epoch.to_string(), nonce(lease.nonce));
        let args = [epoch.as_bytes(), token.as_bytes()];
        let answer = self.link.script(&self.scripts.renew, &[&self.keys.of(lease.partition).lease], &args).await;
        answer.map(drop).map_err(|error| of_write(lease.partition, error))
    }

    pub async fn release(&self, lease: Lease, to: Option<Box<str>>) -> Result<(), StoreError> {
        self.known(lease.partition)?;
        self.leases.of(lease.partition).store(NOT_HELD, Ordering::Relaxed);
        let (epoch, token) = (lease.epoch.to_string(), nonce(lease.nonce));
        let hint = heads::released(lease.partition, to.as_deref());
        let args = [epoch.as_bytes(), token.as_bytes(), self.keys.signals.as_bytes(), hint.as_bytes()];
        let answer = self.link.script(&self.scripts.release, &[&self.keys.of(lease.partition).lease], &args).await;
        answer.map(drop).map_err(|error| of_write(lease.partition, error))
    }

    pub async fn commit(&self, lease: Lease, batch: Batch) -> Result<(), StoreError> {
        self.known(lease.partition)?;
        let generation = self.same_primary(lease)?;
        let replicas = self.options.durability.replicas;
        let mode = CommitMode { keep_log: self.options.keep_log, tell: replicas == 0 };
        let last = batch.notifications.last().map(|notification| notification.number);
        let call = call(&self.scripts, &self.keys, lease, &batch, mode);
        drop(batch);
        if replicas == 0 {
            self.link.run_under(generation, call).await.map_err(|error| of_write(lease.partition, error))?;
        } else {
            let answers = self.surely(lease.partition, vec![call], Some(generation)).await?;
            answers.into_iter().next().unwrap_or(Ok(Value::Nil)).map_err(|error| of_server(lease.partition, &error))?;
        }
        if let Some(last) = last {
            self.heads.raise(lease.partition, last);
            if replicas > 0 {
                self.tell(&heads::told(lease.partition, last)).await;
            }
        }
        Ok(())
    }

    /// Tells the other nodes. Lost words are made up for by looking.
    pub async fn tell(&self, message: &str) {
        let mut publish = redis::cmd("PUBLISH");
        publish.arg(&*self.keys.signals).arg(message);
        if let Err(error) = self.link.run(publish).await {
            tracing::debug!(%error, "the others were not told");
        }
    }

    pub async fn barrier(&self, partition: PartitionId) -> Result<Barrier, StoreError> {
        self.known(partition)?;
        let of = self.keys.of(partition);
        let answer = self.link.script(&self.scripts.barrier, &[&of.lease, &of.events], &[]).await;
        let answer = list(answer.map_err(|error| of_read(partition, error))?).unwrap_or_default();
        let read = || Some(Barrier { clock: clock(&answer)?, last: log_id(answer.get(2)?)?, held: self.store_hold.known.is_on() });
        read().ok_or_else(|| odd("a barrier"))
    }

    pub async fn clock(&self) -> Result<Timestamp, StoreError> {
        self.serves()?;
        let answer = self.link.run(redis::cmd("TIME")).await.map_err(super::errors::general)?;
        clock(&list(answer).unwrap_or_default()).ok_or_else(|| odd("the time"))
    }
}

/// Seconds and microseconds.
pub fn clock(parts: &[Value]) -> Option<Timestamp> {
    let (seconds, micros) = (number(parts.first()?)?, number(parts.get(1)?)?);
    Some(Timestamp::from_millis(i64::try_from(seconds * 1_000 + micros / 1_000).ok()?))
}

/// A lease record as the claim script compares it.
fn fields(holder: &Holder) -> [String; 5] {
    let Holder { lease, member, beat } = holder;
    [lease.epoch.to_string(), nonce(lease.nonce), member.node.to_string(), nonce(member.instance), beat.to_string()]
}

impl Claimed {
    fn read(answer: Value) -> Option<Self> {
        let mut parts = list(answer)?.into_iter();
        let mut next = || parts.next();
        let claimed = Self {
            epoch: number(&next()?)?,
            head: read_commit_id(&next()?)?,
            checkpoint: log_id(&next()?)?,
            last_notification: number(&next()?)?,
            numbered_from: number(&next()?)?,
            attempts: u32::try_from(number(&next()?)?).ok()?,
            trying: read_trying(text(&next()?)?),
            settings: pairs(next()?)?.iter().filter_map(|(workspace, document)| read_settings(workspace, document)).collect(),
            repair: Repair {
                reindex: !text(&next()?)?.is_empty(),
                made: list(next()?)?.iter().filter_map(|place| usize::try_from(number(place)?.checked_sub(1)?).ok()).collect(),
            },
            lists_whole: number(&next()?)? == 1,
            // One element has no name.
            listed: lists::conversations(number(&next()?)?.saturating_sub(1)),
        };
        Some(claimed)
    }
}

fn read_commit_id(value: &Value) -> Option<CommitId> {
    let text = text(value)?;
    u128::from_str_radix(text, 16).ok().map(CommitId)
}

fn read_trying(text: &str) -> Option<(LogId, u32)> {
    let (id, times) = text.split_once(' ')?;
    Some((LogId::parse(id)?, times.parse().ok()?))
}

/// The element without a name is not a workspace; a document that nobody can read is as good as none, and the master takes
/// its place.
fn read_settings(workspace: &Value, document: &Value) -> Option<(Box<str>, Settings)> {
    let name = text(workspace).filter(|name| !name.is_empty())?;
    match record::decode_settings(bytes(document)?) {
        Ok(settings) => Some((name.into(), settings)),
        Err(error) => {
            unreadable("settings applied", name, &error);
            None
        }
    }
}

pub fn read_holder(partition: PartitionId, values: &[Value]) -> Option<Holder> {
    let [epoch, token, node, instance, beat] = values else { return None };
    let lease = Lease { partition, epoch: number(epoch)?, nonce: hex(text(token)?)? };
    Some(Holder { lease, member: Member { node: text(node)?.into(), instance: hex(text(instance)?)? }, beat: number(beat)? })
}

pub fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}
