//! What goes on beside the calls: hearing the others, watching the memory, telling a new primary what the old one had
//! acknowledged, and moving events of producers that cannot hash into their partitions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use metrics::counter;
use redis::Value;
use tokio::task::AbortHandle;

use super::link::{Answers, Heard, LinkError, text};
use super::value::{entries, number};
use super::{Inner, entry};
use crate::domain::PartitionId;
use crate::store::{Entry, LogId, StoreError};

/// Heads are read this often besides being heard of: what was lost on the way is late by as much.
const LOOK: Duration = Duration::from_millis(1_000);
/// Between two attempts at something that failed.
const RETRY: Duration = Duration::from_millis(500);
/// Events in one pipeline of what is appended again: well within a response timeout of a primary that has just begun. One that
/// fails is sent once more, not all of them.
const APPENDED_AGAIN_AT_ONCE: usize = 1_000;
/// Events moved at a time.
const MOVED_AT_ONCE: usize = 500;
/// How often the stream of unpartitioned events is looked at while it is empty.
const MOVE_ROUND: Duration = Duration::from_millis(50);

/// Starts everything; ends with the handles.
pub fn start(inner: &Arc<Inner>) -> Vec<AbortHandle> {
    let link = &inner.link;
    vec![
        link.spawn(listen(Arc::clone(inner))).abort_handle(),
        link.spawn(look(Arc::clone(inner))).abort_handle(),
        link.spawn(remind(Arc::clone(inner))).abort_handle(),
        link.spawn(move_unpartitioned(Arc::clone(inner))).abort_handle(),
    ]
}

async fn listen(inner: Arc<Inner>) {
    let mut subscription = inner.link.subscribe(&inner.keys.signals);
    while let Some(heard) = subscription.next().await {
        match heard {
            Heard::Message(message) => inner.heads.hear(&message),
            Heard::Resubscribed => {
                inner.heads.hint(crate::store::Hint::Changed);
                let _ = inner.read_heads().await; // `look` tries again soon
            }
        }
    }
}

async fn look(inner: Arc<Inner>) {
    let mut rounds = tokio::time::interval(LOOK);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        let _ = inner.is_the_same().await; // what is not to be found out now is in the next round
        if let Err(error) = inner.read_heads().await {
            tracing::debug!(%error, "the heads of the notifications cannot be read");
        }
        let mut info = redis::cmd("INFO");
        info.arg("memory");
        if let Ok(primaries) = inner.link.ask_each(vec![info]).await {
            let said = |outcome: Result<Answers, LinkError>| text(outcome.ok()?.first()?.as_ref().ok()?);
            let infos: Vec<String> = primaries.into_iter().filter_map(|(_, outcome)| said(outcome)).collect();
            inner.memory.note(infos.iter().map(String::as_str));
        }
    }
}

/// After another primary took over, tells it what was acknowledged in the last seconds (D6 makes repeats harmless).
async fn remind(inner: Arc<Inner>) {
    let mut generation = inner.link.watch_generation();
    while generation.changed().await.is_ok() {
        let again = inner.ring.again();
        if again.is_empty() {
            continue;
        }
        while inner.ended.get().is_none() && inner.is_the_same().await.is_err() {
            tokio::time::sleep(RETRY).await;
        }
        tracing::warn!(events = again.len(), "another Redis primary answers: what was acknowledged in the last seconds is appended again");
        for some in again.chunks(APPENDED_AGAIN_AT_ONCE) {
            while let Err(error) = inner.append(some.to_vec()).await {
                if inner.ended.get().is_some() {
                    return;
                }
                tracing::warn!(%error, "cannot append again what was acknowledged; trying on");
                tokio::time::sleep(RETRY).await;
            }
            counter!("adjourn_events_appended_again_total").increment(some.len() as u64);
        }
    }
}

/// One node does this, the owner of the first partition; two at a time would do no harm (D6). What cannot be moved is gone
/// past, and tried again with the next round.
async fn move_unpartitioned(inner: Arc<Inner>) {
    let mut after = LogId::ZERO;
    loop {
        let page = if inner.leases.holds(PartitionId(0)) { inner.move_some(after).await } else { Ok(Moved::default()) };
        let Moved { last, failed } = page.unwrap_or_else(|error| Moved { last: None, failed: Some(error) });
        after = last.unwrap_or_default();
        match failed {
            Some(error) => {
                tracing::debug!(%error, "events without a partition cannot be moved yet");
                tokio::time::sleep(RETRY).await;
            }
            None if last.is_none() => tokio::time::sleep(MOVE_ROUND).await,
            None => {}
        }
    }
}

/// What became of a page of events without a partition.
#[derive(Default)]
struct Moved {
    /// `None`: there was none.
    last: Option<LogId>,
    /// Of what stays.
    failed: Option<StoreError>,
}

impl Inner {
    /// The numbers of the last notifications. In `strict` with replicas only those count that the replicas have: a write of
    /// our own, and waiting for it, says so of all before it.
    pub async fn read_heads(&self) -> Result<(), StoreError> {
        let asked = self.partitions.all().map(|partition| {
            let mut get = redis::cmd("HGET");
            get.arg(&*self.keys.of(partition).lease).arg("last");
            vec![get]
        });
        let answers = self.link.pipelines(asked.collect()).await;
        let mut failed = Ok(());
        for (partition, answers) in self.partitions.all().zip(answers) {
            let answer = match answers {
                Ok(answers) => answers.into_iter().next(),
                Err(error) => {
                    failed = Err(super::errors::general(error));
                    continue; // its primary is away, those of others may not be
                }
            };
            let Some(number) = answer.and_then(Result::ok).as_ref().and_then(number) else { continue };
            if number > self.heads.all()[usize::from(partition.0)] && self.is_sure(partition).await {
                self.heads.raise(partition, number);
            }
        }
        failed
    }

    async fn is_sure(&self, partition: PartitionId) -> bool {
        if self.options.durability.replicas == 0 {
            return true;
        }
        let mut touch = redis::cmd("HDEL");
        touch.arg(&*self.keys.of(partition).settings).arg("-");
        let mut write = redis::cmd("HSET");
        write.arg(&*self.keys.of(partition).settings).arg("").arg("");
        self.surely(partition, vec![touch, write], None).await.is_ok_and(|answers| answers.iter().all(Result::is_ok))
    }

    /// Moves events into their partitions' logs, each partition's by themselves. They are taken away once they are there.
    async fn move_some(&self, after: LogId) -> Result<Moved, StoreError> {
        let mut range = redis::cmd("XRANGE");
        range.arg(&*self.keys.unpartitioned).arg(format!("({after}")).arg("+").arg("COUNT").arg(MOVED_AT_ONCE);
        let found = self.link.run(range).await.map_err(super::errors::general)?;
        let found = entries(found).unwrap_or_default();
        let mut lots: BTreeMap<PartitionId, (Vec<LogId>, Vec<(PartitionId, Entry)>)> = BTreeMap::new();
        let mut others = Vec::new();
        for (id, fields) in &found {
            let Ok(entry) = entry::decode(fields) else {
                others.push((*id, fields));
                continue;
            };
            // What is of no conversation is counted and ignored by whoever owns the first partition, as it would be by any.
            let home = entry.event().map_or(PartitionId(0), |event| event.conversation.partition(self.partitions));
            let (ids, lot) = lots.entry(home).or_default();
            ids.push(*id);
            lot.push((home, entry));
        }
        let moving = lots.into_values().map(|(ids, lot)| async move {
            // Nobody sees from then on that they came from outside; what is ignored is counted by whoever does that.
            let events = lot.iter().filter(|(_, entry)| entry.event().is_some()).count();
            self.append(lot).await?;
            counter!("adjourn_events_accepted_total", "transport" => "redis").increment(events as u64);
            self.forget_unpartitioned(&ids).await
        });
        let mut failed = join_all(moving).await.into_iter().find_map(Result::err);
        for (id, fields) in others {
            failed = self.pass_on(id, fields).await.err().or(failed);
        }
        Ok(Moved { last: found.last().map(|(id, _)| *id), failed })
    }

    async fn forget_unpartitioned(&self, ids: &[LogId]) -> Result<(), StoreError> {
        let mut delete = redis::cmd("XDEL");
        delete.arg(&*self.keys.unpartitioned);
        ids.iter().for_each(|id| {
            delete.arg(id.to_string());
        });
        self.link.run(delete).await.map(drop).map_err(super::errors::general)
    }

    /// What cannot be read goes on as it is: the owner of the first partition puts it with its dead letters.
    async fn pass_on(&self, id: LogId, fields: &[(Value, Value)]) -> Result<(), StoreError> {
        let mut add = redis::cmd("XADD");
        add.arg(&*self.keys.of(PartitionId(0)).events).arg("*");
        for (field, value) in fields {
            add.arg(super::value::bytes(field).unwrap_or_default()).arg(super::value::bytes(value).unwrap_or_default());
        }
        tracing::warn!(%id, "an event without a partition cannot be read");
        self.link.run(add).await.map_err(|error| super::errors::of_write(PartitionId(0), error))?;
        self.forget_unpartitioned(&[id]).await
    }
}
