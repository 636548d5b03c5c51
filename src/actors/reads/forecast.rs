//! What closes by timer soon: read from the index of what is to be looked at, which holds every deadline or something before it.

use std::collections::BTreeMap;

use crate::actors::node::handle::Node;
use crate::domain::event::Assignee;
use crate::domain::{Conversation, Settings, Span, Timestamp, deadline};
use crate::store::{Loaded, StoreError};

/// Conversations of the workspace looked at for one forecast: a second or so of reading, and more than anybody plans for.
const ROWS_MAX: usize = 50_000;
/// And places of the index, which all workspaces share: some seconds.
const PLACES_MAX: usize = 1_000_000;
/// Rows read at a time.
const PAGE: usize = 512;

pub struct Forecast {
    pub now: Timestamp,
    /// Most closes first, then those that come first.
    pub rows: Vec<ForecastRow>,
    /// Whether everything was looked at.
    pub complete: bool,
}

#[derive(Clone, Debug)]
pub struct ForecastRow {
    pub assignee: Option<Assignee>,
    pub closes: u64,
    pub first_close_at: Timestamp,
}

impl Node {
    /// Conversations of a workspace that close by timer within this time if nobody writes, by assignee. Not one instant's
    /// picture: partitions are read one after the other.
    ///
    /// # Errors
    /// The store's.
    pub async fn forecast(&self, workspace: &str, within: Span) -> Result<Forecast, StoreError> {
        let now = self.store().clock().await?;
        let (until, mut tally) = (now.plus(within), BTreeMap::new());
        let complete =
            self.each_due(workspace, until, ROWS_MAX, |conversation, settings| count(&mut tally, conversation, settings, until)).await?;
        let mut rows: Vec<ForecastRow> = tally.into_values().collect();
        rows.sort_by_key(|row| (std::cmp::Reverse(row.closes), row.first_close_at));
        Ok(Forecast { now, rows, complete })
    }

    /// Brings by every conversation of a workspace that is to be looked at until then, with the settings its partition has applied.
    /// False: there are more than so many.
    pub(in crate::actors) async fn each_due(
        &self,
        workspace: &str,
        until: Timestamp,
        rows_max: usize,
        mut each: impl FnMut(&Conversation, &Settings),
    ) -> Result<bool, StoreError> {
        let (mut rows, mut places) = (0, 0);
        for partition in self.store().partitions().all() {
            let settings = self.settings_applied(partition, workspace).await?;
            let mut after = None;
            loop {
                if rows >= rows_max || places >= PLACES_MAX {
                    return Ok(false);
                }
                let due = self.store().due(partition, until, after, PAGE).await?;
                let full = due.len() == PAGE;
                places += due.len();
                after = due.last().cloned();
                let keys: Vec<_> = due.into_iter().map(|due| due.key).filter(|key| key.workspace() == workspace).collect();
                rows += keys.len();
                for row in self.store().load(partition, keys).await? {
                    if let Loaded::Found { conversation, .. } = row {
                        each(&conversation, &settings);
                    }
                }
                if !full {
                    break;
                }
            }
        }
        Ok(true)
    }
}

/// One agent's, by kind and id.
type Tally = BTreeMap<Option<(&'static str, Box<str>)>, ForecastRow>;

fn count(tally: &mut Tally, conversation: &Conversation, settings: &Settings, until: Timestamp) {
    let Some(due) = deadline(conversation, settings).ok().filter(|due| due.at <= until && conversation.set_aside == 0) else { return };
    let assignee = conversation.assignment.assignee();
    let row = tally.entry(assignee.map(|assignee| (assignee.kind.as_str(), assignee.id.clone()))).or_insert_with(|| ForecastRow {
        assignee: assignee.cloned(),
        closes: 0,
        first_close_at: due.at,
    });
    row.closes += 1;
    row.first_close_at = row.first_close_at.min(due.at);
}
