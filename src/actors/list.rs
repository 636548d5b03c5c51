//! Lists of conversations, as people look for them (L1): a page at a time, from names that the store keeps in order, so that a page
//! costs the same however many conversations there are.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use futures_util::future::try_join_all;

use super::handle::Node;
use crate::domain::agents::{Agents, Beginnings};
use crate::domain::id::is_name;
use crate::domain::listing::{Of, Section, Standing};
use crate::domain::notice::Status;
use crate::domain::{Conversation, ConversationKey, PartitionId, Settings, Snapshot, Span, Timestamp};
use crate::store::{DueKey, Loaded, Store, StoreError};

/// Rows looked at for one page where no list has exactly what is asked for: it answers with what it found and a cursor.
const ROWS_MAX: usize = 20_000;
/// Rows read at a time there, and names that are passed over without their row, some hundred times cheaper.
const CHUNK: usize = 256;
const CHUNK_MAX: usize = 4_096;
/// Names taken of a partition beyond its share of a page, so that few pages ask twice.
const SPARE: usize = 4;
/// Agents whose lists are brought up side by side; where more fit what somebody typed, so do most conversations that are looked at.
const AGENTS_MAX: usize = 16;

#[derive(Clone, Debug, Default)]
pub struct ListQuery {
    pub status: Option<Status>,
    pub assignee: Option<Of>,
    pub due_before: Option<Timestamp>,
    /// What the conversation's id begins with, or words of its assignee's name.
    pub q: Option<Box<str>>,
    /// The `next` of the page before.
    pub after: Option<ListPlace>,
    pub limit: usize,
}

/// Where a list goes on: strictly after this.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ListPlace {
    /// Of lists that are in order of time.
    pub at: Option<Timestamp>,
    pub conversation: Box<str>,
}

#[derive(Clone, Debug)]
pub struct Page<T, P = Box<str>> {
    pub items: Vec<T>,
    /// Continue after this; `None`: that was all.
    pub next: Option<P>,
}

impl ListQuery {
    /// Whether what comes first is looked at first; else it is in order of id.
    pub fn is_by_time(&self) -> bool {
        self.due_before.is_some() && self.assignee.is_none() && self.q.is_none()
    }
}

impl Node {
    /// A page of a workspace's conversations that were ever opened: by id, or by when they are looked at next
    /// ([`ListQuery::is_by_time`]), which is when they close or, with a warning, so long before. Not one instant's picture, but
    /// whoever fits all the while is on a page, and nobody is on two.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self, workspace: &str, query: &ListQuery) -> Result<Page<(ConversationKey, Snapshot), ListPlace>, StoreError> {
        let now = self.store().clock().await?;
        let wanted = self.wanted(workspace, query).await?;
        let mut names = Names::new(self.store().clone(), workspace, &wanted, query);
        let mut page = Page { items: Vec::new(), next: None };
        let mut settings = BTreeMap::new();
        let (mut looked_at, mut chunk) = (0, CHUNK);
        loop {
            let missing = query.limit - page.items.len();
            let few = names.next(if wanted.is_exact() { missing } else { chunk }).await?;
            chunk = (2 * chunk).min(CHUNK_MAX);
            if few.is_empty() {
                page.next = None;
                return Ok(page);
            }
            looked_at += few.len();
            let rows = self.rows(&few, workspace, &mut settings).await?;
            for (name, row) in few.into_iter().zip(rows) {
                page.next = Some(names.place(&name));
                let Some((conversation, settings)) = row else { continue };
                let snapshot = Snapshot::of(&conversation, settings, now);
                if wanted.fits(&name.key, &conversation, &snapshot) {
                    page.items.push((name.key, snapshot));
                    if page.items.len() == query.limit {
                        break;
                    }
                }
            }
            if page.items.len() == query.limit || looked_at >= ROWS_MAX {
                break;
            }
        }
        if names.is_over(&page.next).await? {
            page.next = None;
        }
        Ok(page)
    }

    async fn wanted(&self, workspace: &str, query: &ListQuery) -> Result<Wanted, StoreError> {
        let statuses = match (query.status, query.due_before) {
            (Some(status), _) => vec![status],
            (None, Some(_)) => vec![Status::Open, Status::Snoozed],
            (None, None) => Status::ALL.to_vec(),
        };
        let of = query.assignee.clone().unwrap_or(Of::Anybody);
        let mut wanted =
            Wanted { statuses, of, due_before: query.due_before, by_time: query.is_by_time(), prefix: None, named: Named::Anyhow };
        if let Some(q) = &query.q {
            let beginnings = Beginnings::of(q);
            wanted.prefix = is_name(q).then(|| q.clone());
            let named = Named::of(beginnings, &self.agents(workspace).await?);
            // Rows are looked at only where nothing is found without.
            wanted.named = Named::Nobody;
            if !matches!(named, Named::AsAssigned(_)) || self.finds_nobody(workspace, &wanted).await? {
                wanted.named = named;
            }
        }
        Ok(wanted)
    }

    async fn finds_nobody(&self, workspace: &str, wanted: &Wanted) -> Result<bool, StoreError> {
        let first = ListQuery { limit: 1, ..ListQuery::default() };
        Ok(Names::new(self.store().clone(), workspace, wanted, &first).next(1).await?.is_empty())
    }

    /// The rows of these, with the settings their partition has applied; `None`: there is none, or it cannot be read.
    async fn rows<'a>(
        &self,
        names: &[DueKey],
        workspace: &str,
        settings: &'a mut BTreeMap<PartitionId, Settings>,
    ) -> Result<Vec<Option<(Box<Conversation>, &'a Settings)>>, StoreError> {
        let mut by_partition: BTreeMap<PartitionId, Vec<(usize, ConversationKey)>> = BTreeMap::new();
        for (place, name) in names.iter().enumerate() {
            by_partition.entry(self.partition(&name.key)).or_default().push((place, name.key.clone()));
        }
        let unknown = by_partition.keys().filter(|partition| !settings.contains_key(partition)).map(|partition| async move {
            let applied = self.settings_applied(*partition, workspace).await?;
            Ok::<_, StoreError>((*partition, applied))
        });
        let known = try_join_all(unknown).await?;
        settings.extend(known);
        let asked = by_partition.into_iter().map(|(partition, names)| async move {
            let (places, keys): (Vec<usize>, Vec<ConversationKey>) = names.into_iter().unzip();
            let rows = self.store().load(partition, keys).await?;
            Ok::<_, StoreError>((partition, places.into_iter().zip(rows).collect::<Vec<_>>()))
        });
        let mut found: Vec<Option<(Box<Conversation>, &Settings)>> = names.iter().map(|_| None).collect();
        for (partition, rows) in try_join_all(asked).await? {
            let Some(settings) = settings.get(&partition) else { continue };
            for (place, row) in rows {
                if let Loaded::Found { conversation, .. } = row {
                    found[place] = Some((conversation, settings));
                }
            }
        }
        Ok(found)
    }
}

/// What a page is of.
struct Wanted {
    statuses: Vec<Status>,
    of: Of,
    due_before: Option<Timestamp>,
    by_time: bool,
    prefix: Option<Box<str>>,
    named: Named,
}

/// Whose names somebody meant.
enum Named {
    /// Nobody's in particular.
    Anyhow,
    /// These agents, who are on the workspace's list as they are called now.
    Agents(Vec<Box<str>>),
    /// More of them than are brought up one by one.
    Many(Vec<Box<str>>),
    /// The workspace has no list of agents, and no id begins so: whoever was called so when it was assigned.
    AsAssigned(Beginnings),
    /// Signs, which begin no word.
    Nobody,
}

impl Named {
    fn of(beginnings: Beginnings, agents: &Agents) -> Self {
        if beginnings.is_empty() {
            return Self::Nobody;
        }
        if agents.all.is_empty() {
            return Self::AsAssigned(beginnings);
        }
        let ids: Vec<Box<str>> = agents.all.iter().filter(|agent| beginnings.fit(&agent.name)).map(|agent| agent.id.clone()).collect();
        if ids.len() <= AGENTS_MAX { Self::Agents(ids) } else { Self::Many(ids) }
    }

    fn is(&self, conversation: &Conversation) -> bool {
        let assignee = conversation.assignment.assignee();
        match self {
            Self::Anyhow => true,
            Self::Nobody => false,
            Self::Agents(ids) | Self::Many(ids) => assignee.is_some_and(|assignee| ids.contains(&assignee.id)),
            Self::AsAssigned(beginnings) => assignee.and_then(|assignee| assignee.name.as_deref()).is_some_and(|name| beginnings.fit(name)),
        }
    }
}

impl Wanted {
    /// Whether nearly everybody who is brought up fits.
    fn is_exact(&self) -> bool {
        let is_found_by_name = matches!(self.named, Named::Anyhow | Named::Agents(_) | Named::Nobody);
        is_found_by_name && (self.due_before.is_none() || self.by_time)
    }

    fn sections(&self) -> Vec<Section> {
        let all = |of: &Of, prefix: &str| {
            let section = |status: &Status| Section { status: *status, of: of.clone(), prefix: prefix.into() };
            self.statuses.iter().map(section).collect::<Vec<_>>()
        };
        let mut sections = match &self.named {
            Named::Anyhow => return all(&self.of, ""),
            Named::Many(_) | Named::AsAssigned(_) => return all(&self.of, ""),
            Named::Nobody => Vec::new(),
            Named::Agents(ids) => {
                let meant = ids.iter().filter(|id| self.of.is(Some(id)));
                meant.flat_map(|id| all(&Of::Agent(id.clone()), "")).collect()
            }
        };
        if let Some(prefix) = &self.prefix {
            sections.extend(all(&self.of, prefix));
        }
        sections
    }

    fn fits(&self, key: &ConversationKey, conversation: &Conversation, snapshot: &Snapshot) -> bool {
        let Some(standing) = Standing::of(conversation) else { return false };
        let is_called = match (&self.named, &self.prefix) {
            (Named::Anyhow, _) => true,
            (named, prefix) => named.is(conversation) || prefix.as_deref().is_some_and(|prefix| key.conversation().starts_with(prefix)),
        };
        let is_due = |before| snapshot.closed_at.is_none() && snapshot.scheduled_close_at.is_some_and(|at| at < before);
        self.statuses.contains(&standing.status)
            && self.of.is(standing.assignee.as_deref())
            && is_called
            && self.due_before.is_none_or(is_due)
    }
}

/// Names of one workspace from all partitions in one order, each once.
struct Names {
    store: Arc<dyn Store>,
    workspace: Box<str>,
    source: Source,
    partitions: Vec<Buffer>,
}

enum Source {
    Listed(Arc<[Section]>),
    /// Up to and including this, whatever there is to look at.
    Due(Timestamp),
}

/// What was read of one partition, and not taken yet. Where names have no time they all have the same.
struct Buffer {
    partition: PartitionId,
    names: VecDeque<DueKey>,
    after: Option<DueKey>,
    chunk: usize,
    is_over: bool,
}

impl Names {
    fn new(store: Arc<dyn Store>, workspace: &str, wanted: &Wanted, query: &ListQuery) -> Self {
        let source = match query.due_before.filter(|_| wanted.by_time) {
            Some(before) => Source::Due(before.minus(Span::from_millis(1))),
            None => Source::Listed(wanted.sections().into()),
        };
        let after = query.after.as_ref().and_then(|place| {
            let key = ConversationKey::new(workspace, &place.conversation).ok()?;
            Some(DueKey { at: place.at.unwrap_or(Timestamp::MIN), key })
        });
        let share = query.limit.div_ceil(usize::from(store.partitions().get()));
        let buffer = |partition| Buffer { partition, names: VecDeque::new(), after: after.clone(), chunk: share + SPARE, is_over: false };
        let partitions = store.partitions().all().map(buffer).collect();
        Self { store, workspace: workspace.into(), source, partitions }
    }

    fn place(&self, name: &DueKey) -> ListPlace {
        let at = matches!(self.source, Source::Due(_)).then_some(name.at);
        ListPlace { at, conversation: name.key.conversation().into() }
    }

    /// The next ones, at most `limit`; none: that was all.
    async fn next(&mut self, limit: usize) -> Result<Vec<DueKey>, StoreError> {
        let mut taken = Vec::with_capacity(limit);
        while taken.len() < limit {
            self.fill().await?;
            let first = self.partitions.iter_mut().filter(|buffer| !buffer.names.is_empty()).min_by(|a, b| a.names[0].cmp(&b.names[0]));
            let Some(name) = first.and_then(|buffer| buffer.names.pop_front()) else { break };
            taken.push(name);
        }
        Ok(taken)
    }

    /// Whether nothing comes after that place.
    async fn is_over(&mut self, place: &Option<ListPlace>) -> Result<bool, StoreError> {
        Ok(place.is_none() || self.next(1).await?.is_empty())
    }

    /// Reads on wherever nothing is left that was read, until something is or there is no more.
    async fn fill(&mut self) -> Result<(), StoreError> {
        loop {
            let (store, workspace, source) = (&self.store, &*self.workspace, &self.source);
            let empty = self.partitions.iter_mut().filter(|buffer| buffer.names.is_empty() && !buffer.is_over);
            let filled = try_join_all(empty.map(|buffer| buffer.fill(&**store, workspace, source))).await?;
            if filled.is_empty() {
                return Ok(());
            }
        }
    }
}

impl Buffer {
    async fn fill(&mut self, store: &dyn Store, workspace: &str, source: &Source) -> Result<(), StoreError> {
        let limit = self.chunk;
        self.chunk = (2 * limit).min(CHUNK_MAX);
        match source {
            Source::Due(until) => {
                let due = store.due(self.partition, *until, self.after.clone(), limit).await?;
                self.is_over = due.len() < limit;
                self.after = due.last().cloned().or(self.after.take());
                self.names.extend(due.into_iter().filter(|due| due.key.workspace() == workspace));
            }
            Source::Listed(sections) => {
                let after = self.after.as_ref().map(|after| after.key.clone());
                let listed = store.listed(self.partition, workspace.into(), sections.clone(), after.clone(), limit).await?;
                let (found, last, is_over) = match listed {
                    Some(found) => {
                        let (last, is_over) = (found.last().cloned(), found.len() < limit);
                        (found, last, is_over)
                    }
                    None => by_rows(store, self.partition, workspace, sections, after, limit).await?,
                };
                let name = |key| DueKey { at: Timestamp::MIN, key };
                self.is_over = is_over;
                self.after = last.map(name).or(self.after.take());
                self.names.extend(found.into_iter().map(name));
            }
        }
        Ok(())
    }
}

/// The same where the partition's lists are not whole, with the last row that was looked at, and whether there are no more.
async fn by_rows(
    store: &dyn Store,
    partition: PartitionId,
    workspace: &str,
    sections: &[Section],
    after: Option<ConversationKey>,
    limit: usize,
) -> Result<(Vec<ConversationKey>, Option<ConversationKey>, bool), StoreError> {
    let rows = store.scan(partition, Some(workspace.into()), after, limit).await?;
    let (last, is_over) = (rows.last().map(|(key, _)| key.clone()), rows.len() < limit);
    let fits = |(key, row): (ConversationKey, Conversation)| {
        let standing = Standing::of(&row)?;
        sections.iter().any(|section| section.holds(&key, &standing)).then_some(key)
    };
    Ok((rows.into_iter().filter_map(fits).collect(), last, is_over))
}
