//! Lists of conversations: the partitions' rows of one workspace, merged into one order and filtered.

use std::collections::VecDeque;
use std::sync::Arc;

use super::handle::Node;
use crate::domain::agents::Beginnings;
use crate::domain::notice::Status;
use crate::domain::{Conversation, ConversationKey, PartitionId, Settings, Snapshot, Timestamp};
use crate::store::{Store, StoreError};

/// Rows looked at for one page of a list: a filter that fits few rows answers with what it found and a cursor.
const LIST_ROWS_MAX: usize = 20_000;
/// Rows read from one partition at a time while merging a list.
const LIST_CHUNK: usize = 64;
/// Where so few fit that one partition is asked again and again: each time costs it all its names (Redis), so each brings more.
const LIST_CHUNK_MAX: usize = 1_024;
#[derive(Clone, Debug, Default)]
pub struct ListQuery {
    pub status: Option<Status>,
    pub assignee: Option<AssigneeFilter>,
    pub due_before: Option<Timestamp>,
    /// Part of the conversation's id, or beginnings of words of the assignee's name.
    pub q: Option<Box<str>>,
    /// The last conversation id of the page before.
    pub after: Option<Box<str>>,
    pub limit: usize,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AssigneeFilter {
    Nobody,
    Id(Box<str>),
}

#[derive(Clone, Debug)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Continue after this; `None`: that was all.
    pub next: Option<Box<str>>,
}

impl Node {
    /// A page of a workspace's conversations that were ever opened, in order of id.
    pub async fn list(&self, workspace: &str, query: &ListQuery) -> Result<Page<(ConversationKey, Snapshot)>, StoreError> {
        let now = self.store().clock().await?;
        let mut merge = Merge::new(self.store().clone(), workspace, query.after.as_deref());
        let mut page = Page { items: Vec::new(), next: None };
        let mut settings: Vec<Option<Settings>> = vec![None; self.partitions() as usize];
        let named = query.q.as_deref().map(Beginnings::of).filter(|beginnings| !beginnings.is_empty());
        for _ in 0..LIST_ROWS_MAX {
            let Some((key, conversation)) = merge.next().await? else {
                page.next = None;
                return Ok(page);
            };
            page.next = Some(key.conversation().into());
            let partition = self.partition(&key);
            let known = &mut settings[partition.0 as usize];
            if known.is_none() {
                *known = Some(self.settings_applied(partition, workspace).await?);
            }
            let Some(settings) = known else { continue };
            let snapshot = Snapshot::of(&conversation, settings, now);
            if query.fits(&key, &snapshot, named.as_ref()) {
                page.items.push((key, snapshot));
                if page.items.len() >= query.limit {
                    break;
                }
            }
        }
        if merge.next().await?.is_none() {
            page.next = None;
        }
        Ok(page)
    }
}

impl ListQuery {
    fn fits(&self, key: &ConversationKey, snapshot: &Snapshot, named: Option<&Beginnings>) -> bool {
        let assignee = snapshot.assignee.as_ref();
        let name = assignee.and_then(|assignee| assignee.name.as_deref());
        let is_named = || named.zip(name).is_some_and(|(beginnings, name)| beginnings.fit(name));
        snapshot.episode > 0
            && self.status.is_none_or(|status| snapshot.status == status)
            && self.q.as_deref().is_none_or(|q| key.conversation().contains(q) || is_named())
            && self
                .due_before
                .is_none_or(|before| snapshot.closed_at.is_none() && snapshot.scheduled_close_at.is_some_and(|at| at < before))
            && match &self.assignee {
                None => true,
                Some(AssigneeFilter::Nobody) => assignee.is_none(),
                Some(AssigneeFilter::Id(id)) => assignee.is_some_and(|a| a.id == *id),
            }
    }
}

/// Merges the partitions' rows of one workspace into one order, by conversation id.
struct Merge {
    store: Arc<dyn Store>,
    workspace: Box<str>,
    buffers: Vec<Buffer>,
}

struct Buffer {
    rows: VecDeque<(ConversationKey, Conversation)>,
    after: Option<ConversationKey>,
    chunk: usize,
    exhausted: bool,
}

impl Merge {
    fn new(store: Arc<dyn Store>, workspace: &str, after: Option<&str>) -> Self {
        let after = after.and_then(|after| ConversationKey::new(workspace, after).ok());
        let buffer = |_| Buffer { rows: VecDeque::new(), after: after.clone(), chunk: LIST_CHUNK, exhausted: false };
        let buffers = store.partitions().all().map(buffer).collect();
        Self { store, workspace: workspace.into(), buffers }
    }

    async fn next(&mut self) -> Result<Option<(ConversationKey, Conversation)>, StoreError> {
        for (partition, buffer) in self.buffers.iter_mut().enumerate() {
            if buffer.rows.is_empty() && !buffer.exhausted {
                let scan = self.store.scan(PartitionId(partition as u16), Some(self.workspace.clone()), buffer.after.clone(), buffer.chunk);
                buffer.rows = scan.await?.into();
                buffer.exhausted = buffer.rows.len() < buffer.chunk;
                buffer.chunk = (2 * buffer.chunk).min(LIST_CHUNK_MAX);
                buffer.after = buffer.rows.back().map(|(key, _)| key.clone()).or(buffer.after.take());
            }
        }
        let first = self.buffers.iter_mut().filter(|b| !b.rows.is_empty()).min_by(|a, b| a.rows[0].0.cmp(&b.rows[0].0));
        Ok(first.and_then(|buffer| buffer.rows.pop_front()))
    }
}
