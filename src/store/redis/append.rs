//! Taking entries into the logs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::Cmd;

use super::errors::{of_read, of_server, of_write};
use super::link::{Answers, Dedicated, LinkError};
use super::value::{log_id, number, odd};
use super::{Inner, entry};
use crate::clock::Stopwatch;
use crate::domain::{PartitionCount, PartitionId};
use crate::store::{Entry, LogId, StoreError};

/// Replicas are a network round trip away; when they have not answered by then they are gone, or far behind.
const REPLICAS_WAIT: Duration = Duration::from_millis(1_000);

/// So long what was not run is sent again, as over the shared connections.
const TRY_FOR: Duration = Duration::from_secs(1);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(20);

/// How many entries each log held when this node last heard; before it has heard, as many as there can be, so that it asks.
pub struct Backlogs(Vec<AtomicU64>);

impl Backlogs {
    pub fn new(partitions: PartitionCount) -> Self {
        Self(partitions.all().map(|_| AtomicU64::new(u64::MAX)).collect())
    }

    fn of(&self, partition: PartitionId) -> &AtomicU64 {
        &self.0[usize::from(partition.0)]
    }
}

/// A connection for each partition whose writes wait for replicas: `WAIT` holds up whatever comes behind it.
pub struct Sure(Vec<tokio::sync::Mutex<Option<Dedicated>>>);

impl Sure {
    pub fn new(partitions: PartitionCount) -> Self {
        Self(partitions.all().map(|_| tokio::sync::Mutex::default()).collect())
    }
}

/// Entries of one partition, and where in the caller's list they were.
#[derive(Default)]
struct Lot {
    places: Vec<usize>,
    cmds: Vec<Cmd>,
}

impl Inner {
    pub async fn append(&self, entries: Vec<(PartitionId, Entry)>) -> Result<Vec<LogId>, StoreError> {
        self.memory.has_room()?;
        let mut lots: BTreeMap<PartitionId, Lot> = BTreeMap::new();
        for (place, (partition, entry)) in entries.iter().enumerate() {
            self.known(*partition)?;
            let lot = lots.entry(*partition).or_default();
            lot.places.push(place);
            lot.cmds.push(entry::add(&self.keys.of(*partition).events, entry));
        }
        self.check_backlogs(lots.keys().copied()).await?;
        let mut ids = vec![LogId::ZERO; entries.len()];
        let generation = self.link.generation();
        let sent: Vec<(PartitionId, Vec<usize>)> = lots.iter_mut().map(|(p, lot)| (*p, std::mem::take(&mut lot.places))).collect();
        let answers = self.send(lots).await;
        let mut failed = None;
        for ((partition, places), answers) in sent.into_iter().zip(answers) {
            if let Err(error) = self.taken(partition, &places, answers, &mut ids) {
                failed = Some(worse(failed, error));
            }
        }
        self.ring.remember(entries.into_iter().zip(&ids));
        match failed {
            // The next primary may have been told what to take again before these were remembered.
            None if self.link.generation() != generation => {
                Err(StoreError::OutcomeUnknown("another Redis primary answers than when this was sent".into()))
            }
            None => Ok(ids),
            Some(error) if ids.iter().all(|id| *id == LogId::ZERO) => Err(self.memory.told(error)),
            // Some were taken: that is not "nothing was taken".
            Some(error) => Err(StoreError::OutcomeUnknown(error.to_string().into())),
        }
    }

    /// A log that is full as far as this node has heard is asked once more.
    async fn check_backlogs(&self, partitions: impl Iterator<Item = PartitionId>) -> Result<(), StoreError> {
        let limit = self.options.backlog_max;
        let full: Vec<PartitionId> = partitions.filter(|p| self.backlogs.of(*p).load(Ordering::Relaxed) >= limit).collect();
        if full.is_empty() || self.options.keep_log {
            return Ok(());
        }
        let asked = full.iter().map(|partition| vec![length(&self.keys.of(*partition).events)]).collect();
        for (partition, answers) in full.into_iter().zip(self.link.pipelines(asked).await) {
            // Only asked so far: whatever became of that, nothing was taken.
            let answers = answers.map_err(|error| of_read(partition, error))?;
            let unapplied = self.note_backlog(partition, answers).unwrap_or(0);
            if unapplied >= limit {
                return Err(StoreError::Behind { unapplied, limit });
            }
        }
        Ok(())
    }

    /// One lot after the other is sent without waiting for the answers of those before.
    async fn send(&self, lots: BTreeMap<PartitionId, Lot>) -> Vec<Result<Answers, StoreError>> {
        let with_length = |(partition, lot): (PartitionId, Lot)| {
            let mut cmds = lot.cmds;
            cmds.push(length(&self.keys.of(partition).events));
            (partition, cmds)
        };
        let lots: Vec<(PartitionId, Vec<Cmd>)> = lots.into_iter().map(with_length).collect();
        if self.options.durability.replicas > 0 {
            return futures_util::future::join_all(lots.into_iter().map(|(partition, cmds)| self.surely(partition, cmds, None))).await;
        }
        let partitions: Vec<PartitionId> = lots.iter().map(|(partition, _)| *partition).collect();
        let answers = self.link.pipelines(lots.into_iter().map(|(_, cmds)| cmds).collect()).await;
        partitions.into_iter().zip(answers).map(|(partition, answers)| answers.map_err(|error| of_write(partition, error))).collect()
    }

    /// Takes down the ids of a lot that was sent.
    fn taken(
        &self,
        partition: PartitionId,
        places: &[usize],
        answers: Result<Answers, StoreError>,
        ids: &mut [LogId],
    ) -> Result<(), StoreError> {
        let mut answers = answers?;
        let length = answers.split_off(places.len().min(answers.len()));
        self.note_backlog(partition, length);
        let mut failed = Ok(());
        for (place, answer) in places.iter().zip(answers) {
            match answer {
                Ok(id) => ids[*place] = log_id(&id).ok_or_else(|| odd("the id of an entry"))?,
                Err(error) => failed = Err(of_server(partition, &error)),
            }
        }
        failed
    }

    fn note_backlog(&self, partition: PartitionId, mut answers: Answers) -> Option<u64> {
        let length = number(&answers.pop()?.ok()?)?;
        self.backlogs.of(partition).store(length, Ordering::Relaxed);
        Some(length)
    }

    /// Sends commands that count only when the replicas have them too. A server error of one of them is among the answers.
    /// Where the server says of all that it has not run them, they are sent again over another connection, which knows the
    /// scripts and leads to who is the primary now.
    ///
    /// `under`: not on a primary that was met since this generation.
    ///
    /// # Errors
    /// `OutcomeUnknown`: it was written here, and too few replicas said that they have it.
    pub async fn surely(&self, partition: PartitionId, cmds: Vec<Cmd>, under: Option<u64>) -> Result<Answers, StoreError> {
        let started = Stopwatch::start();
        loop {
            let answers = self.surely_once(partition, cmds.clone(), under).await?;
            let none_ran = answers.iter().all(|answer| answer.as_ref().is_err_and(|error| error.remedy().is_some()));
            if !none_ran || started.elapsed() >= TRY_FOR {
                return Ok(answers);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn surely_once(&self, partition: PartitionId, mut cmds: Vec<Cmd>, under: Option<u64>) -> Result<Answers, StoreError> {
        let replicas = self.options.durability.replicas;
        let mut wait = redis::cmd("WAIT");
        wait.arg(replicas).arg(REPLICAS_WAIT.as_millis() as u64);
        cmds.push(wait);
        let mut connection = self.sure.0[usize::from(partition.0)].lock().await;
        let sent = self.send_on(&mut connection, partition, cmds, under).await;
        let mut answers = match sent {
            Ok(answers) => answers,
            Err(error) => {
                *connection = None;
                return Err(of_write(partition, error));
            }
        };
        let acknowledged = answers.pop().and_then(Result::ok).as_ref().and_then(number).unwrap_or(0);
        if answers.iter().any(|answer| answer.as_ref().is_err_and(|error| error.remedy().is_some())) {
            *connection = None; // it leads to the wrong server
        }
        if acknowledged >= u64::from(replicas) || answers.iter().all(Result::is_err) {
            return Ok(answers);
        }
        Err(StoreError::OutcomeUnknown(format!("{acknowledged} of {replicas} replicas have it").into()))
    }

    async fn send_on(
        &self,
        connection: &mut Option<Dedicated>,
        partition: PartitionId,
        cmds: Vec<Cmd>,
        under: Option<u64>,
    ) -> Result<Answers, LinkError> {
        // Used by whoever wants to be sure: an answer that is still owed would be taken for the next one's.
        let mut open = match connection.take() {
            Some(open) => open,
            None => {
                let limit = self.options.response_timeout + REPLICAS_WAIT;
                self.link.dedicated(&self.keys.of(partition).lease, Some(limit)).await?
            }
        };
        if under.is_some_and(|generation| generation != self.link.generation()) {
            return Err(LinkError::Replaced);
        }
        let answers = open.pipeline(cmds).await?;
        *connection = Some(open);
        Ok(answers)
    }
}

fn length(key: &str) -> Cmd {
    let mut cmd = redis::cmd("XLEN");
    cmd.arg(key);
    cmd
}

/// An unknown outcome outweighs a refusal.
fn worse(one: Option<StoreError>, other: StoreError) -> StoreError {
    match one {
        Some(unknown @ StoreError::OutcomeUnknown(_)) => unknown,
        _ => other,
    }
}
