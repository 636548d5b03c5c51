//! What an operator asks who holds all closes, or takes a backup: what waits to close, and that it may.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::actors::Node;
use crate::domain::{PartitionId, Settings, Span, Timestamp, deadline};
use crate::store::{BackupRefused, BackupStatus, Hold, Loaded, StoreError};

/// Rows looked at for one count: some seconds of reading. Where there are more, at least so many are counted.
const ROWS_MAX: usize = 200_000;
/// Rows read at a time.
const PAGE: usize = 512;

/// What closes by timer if nobody writes and nothing is held.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Waiting {
    pub now: Timestamp,
    /// Most closes at once first, then most within the time.
    pub workspaces: Vec<WaitingOf>,
    /// Whether everything was looked at.
    pub complete: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WaitingOf {
    pub workspace: Box<str>,
    /// Their time has passed.
    pub at_once: u64,
    /// Their time comes within what was asked, or has passed.
    pub within: u64,
}

/// By workspace: at once, and within the time.
type Tally = BTreeMap<Box<str>, (u64, u64)>;

impl Node {
    /// Holds all closes of the store, on every node, until [`release_hold`](Self::release_hold). False: they were held already.
    ///
    /// # Errors
    /// The store's.
    pub async fn hold_closes(&self, why: &str) -> Result<bool, StoreError> {
        self.store().hold_closes(why.into()).await
    }

    /// Lets closing go on within a second or so: why it was held, if it was.
    ///
    /// # Errors
    /// The store's.
    pub async fn release_hold(&self) -> Result<Option<Hold>, StoreError> {
        self.store().release_hold().await
    }

    /// Begins a backup of the store into a new directory on this machine.
    ///
    /// # Errors
    /// [`BackupRefused`] says why nothing was begun, and what to do.
    pub async fn begin_backup(&self, to: PathBuf) -> Result<BackupStatus, BackupRefused> {
        self.store().begin_backup(to).await
    }

    /// The last backup that this process began.
    pub fn backup(&self) -> Option<BackupStatus> {
        self.store().backup()
    }

    /// Conversations of all workspaces that close by timer within this time if nobody writes. Not one instant's picture:
    /// partitions are read one after the other.
    ///
    /// # Errors
    /// The store's.
    pub async fn waiting(&self, within: Span) -> Result<Waiting, StoreError> {
        let now = self.store().clock().await?;
        let (mut tally, mut rows, mut complete) = (Tally::new(), ROWS_MAX, true);
        for partition in self.store().partitions().all() {
            complete &= self.waiting_in(partition, (now, now.plus(within)), &mut rows, &mut tally).await?;
        }
        let of = |(workspace, (at_once, within))| WaitingOf { workspace, at_once, within };
        let mut workspaces: Vec<WaitingOf> = tally.into_iter().map(of).collect();
        workspaces.sort_by_key(|of| std::cmp::Reverse((of.at_once, of.within)));
        Ok(Waiting { now, workspaces, complete })
    }

    /// False: there are more rows than were left to look at.
    async fn waiting_in(
        &self,
        partition: PartitionId,
        (now, until): (Timestamp, Timestamp),
        left: &mut usize,
        tally: &mut Tally,
    ) -> Result<bool, StoreError> {
        let (mut known, mut after) = (BTreeMap::<Box<str>, Settings>::new(), None);
        loop {
            if *left == 0 {
                return Ok(false);
            }
            let due = self.store().due(partition, until, after, PAGE.min(*left)).await?;
            let Some(last) = due.last().cloned() else { return Ok(true) };
            *left -= due.len();
            after = Some(last);
            let keys: Vec<_> = due.into_iter().map(|due| due.key).collect();
            for (key, row) in keys.iter().zip(self.store().load(partition, keys.clone()).await?) {
                let Loaded::Found { conversation, .. } = row else { continue };
                if !known.contains_key(key.workspace()) {
                    let settings = self.settings_applied(partition, key.workspace()).await?;
                    known.insert(key.workspace().into(), settings);
                }
                let at = known.get(key.workspace()).and_then(|settings| deadline(&conversation, settings).ok()).map(|due| due.at);
                if let Some(at) = at.filter(|at| *at <= until && conversation.set_aside == 0) {
                    let (at_once, within) = tally.entry(key.workspace().into()).or_default();
                    *at_once += u64::from(at < now);
                    *within += 1;
                }
            }
        }
    }
}
