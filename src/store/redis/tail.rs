//! Following a log: a connection of its own that waits for entries, and fetches the next while the last are applied.

use std::sync::Arc;
use std::time::Duration;

use redis::Cmd;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::errors::of_read;
use super::link::{Dedicated, LinkError};
use super::value::{entries, list, odd, pairs};
use super::{Inner, entry};
use crate::domain::PartitionId;
use crate::store::{LogEntry, LogId, StoreError};

/// How long one `XREAD` waits for entries. Shorter than what connections are cut off after.
const BLOCK: Duration = Duration::from_secs(5);
/// Beyond `BLOCK`: a server that is busy answers late.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pages fetched ahead of who applies them.
const AHEAD: usize = 1;

type Page = Result<Vec<LogEntry>, StoreError>;

/// One reader of one partition, from one place on.
pub struct Tail {
    pages: mpsc::Receiver<Page>,
    task: AbortHandle,
    limit: usize,
    /// Of the link when this began: the primary it reads from.
    generation: u64,
    /// The last entry handed out.
    position: LogId,
    /// Fetched and not handed out.
    left: Vec<LogEntry>,
}

impl Tail {
    pub fn start(inner: &Arc<Inner>, partition: PartitionId, after: LogId, limit: usize, generation: u64) -> Self {
        let (sender, pages) = mpsc::channel(AHEAD);
        let follow = follow(Arc::clone(inner), partition, after, limit, sender);
        Self { pages, task: inner.link.spawn(follow).abort_handle(), limit, generation, position: after, left: Vec::new() }
    }

    /// Whether this is the one to ask for entries after `after`, of the primary of this generation.
    pub fn stands_at(&self, after: LogId, limit: usize, generation: u64) -> bool {
        self.position == after && self.limit == limit && self.generation == generation
    }

    /// The next entries. May be given up at any moment without losing any.
    pub async fn next(&mut self) -> Page {
        if self.left.is_empty() {
            self.left = self.pages.recv().await.unwrap_or_else(|| Err(StoreError::Unavailable("the store was closed".into())))?;
        }
        let entries = std::mem::take(&mut self.left);
        self.position = entries.last().map_or(self.position, |last| last.id);
        Ok(entries)
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Ends with the first error; whoever reads on begins anew.
async fn follow(inner: Arc<Inner>, partition: PartitionId, mut after: LogId, limit: usize, pages: mpsc::Sender<Page>) {
    let mut connection = None;
    loop {
        let page = read(&inner, &mut connection, partition, after, limit).await;
        let failed = page.is_err();
        if page.as_ref().is_ok_and(Vec::is_empty) {
            continue;
        }
        if let Ok(entries) = &page {
            after = entries.last().map_or(after, |last| last.id);
        }
        if pages.send(page).await.is_err() || failed {
            return;
        }
    }
}

async fn read(inner: &Inner, connection: &mut Option<Dedicated>, partition: PartitionId, after: LogId, limit: usize) -> Page {
    let key = &inner.keys.of(partition).events;
    let mut read = redis::cmd("XREAD");
    read.arg("COUNT").arg(limit).arg("BLOCK").arg(BLOCK.as_millis() as u64);
    read.arg("STREAMS").arg(&**key).arg(after.to_string());
    let answer = ask(inner, connection, key, read).await.map_err(|error| of_read(partition, error))?;
    // A list of streams, or a map of them: here of one or none.
    let of_key = match answer {
        redis::Value::Map(_) => pairs(answer).and_then(|streams| streams.into_iter().next()).map(|(_, entries)| entries),
        streams => list(streams).and_then(|streams| streams.into_iter().next()).and_then(list).and_then(|mut stream| stream.pop()),
    };
    of_key.map_or(Ok(Vec::new()), |found| decoded(inner, partition, found))
}

async fn ask(inner: &Inner, connection: &mut Option<Dedicated>, key: &str, cmd: Cmd) -> Result<redis::Value, LinkError> {
    let mut open = match connection.take() {
        Some(open) => open,
        None => inner.link.dedicated(key, Some(BLOCK + PATIENCE)).await?,
    };
    let answer = open.run(cmd).await?;
    *connection = Some(open);
    Ok(answer)
}

fn decoded(inner: &Inner, partition: PartitionId, found: redis::Value) -> Page {
    let found = entries(found).ok_or_else(|| odd("entries of a log"))?;
    Ok(found.into_iter().map(|(id, fields)| entry::read(id, &fields, partition, inner.partitions)).collect())
}

impl Inner {
    /// Entries that are there.
    pub async fn range(&self, partition: PartitionId, after: LogId, limit: usize) -> Page {
        self.known(partition)?;
        let mut range = redis::cmd("XRANGE");
        range.arg(&*self.keys.of(partition).events).arg(format!("({after}")).arg("+").arg("COUNT").arg(limit);
        let found = self.link.run(range).await.map_err(|error| of_read(partition, error))?;
        decoded(self, partition, found)
    }
}
