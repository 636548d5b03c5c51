//! Lists of conversations, as people look for them (L1): a page at a time, from names that the store keeps in order, so that a page
//! costs the same however many conversations there are.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join_all;

use super::names::{Budget, CHUNK, NAMES_A_ROW, Names, Source};
use crate::actors::node::handle::Node;
use crate::domain::agents::{Agents, Beginnings};
use crate::domain::id::is_name;
use crate::domain::listing::{Of, Section, Standing};
use crate::domain::notice::Status;
use crate::domain::{Conversation, ConversationKey, PartitionId, Settings, Snapshot, Span, Timestamp};
use crate::store::{DueKey, Loaded, StoreError};

/// Rows looked at for one page where no list has exactly what is asked for: it answers with what it found and a cursor.
const ROWS_MAX: usize = 20_000;
/// Pages put together at a time on a node: their reads share the connection that commits go through.
pub(in crate::actors) const LISTS_AT_ONCE: usize = 8;
/// Sections asked for one page, over all partitions: a few milliseconds of looking for where each begins.
const SECTIONS_MAX: usize = 4_096;
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
    /// ([`ListQuery::is_by_time`]), which is when they close or, with a warning or a snooze before that, then. Not one instant's
    /// picture: whoever fits, and is looked at at the same time, all the while is on one page. Empty with a place to go on is a page
    /// for which enough was looked at.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self, workspace: &str, query: &ListQuery) -> Result<Page<(ConversationKey, Snapshot), ListPlace>, StoreError> {
        // Never closed, so there is always a turn to come.
        let _turn = self.lists().acquire().await.ok();
        let now = self.store().clock().await?;
        let mut budget = Budget::of(ROWS_MAX * NAMES_A_ROW);
        let wanted = self.wanted(workspace, query, &mut budget).await?;
        let mut names = Names::new(self.store().clone(), workspace, wanted.source(), query.after.as_ref(), query.limit);
        let mut page = Page { items: Vec::new(), next: None };
        let mut settings = BTreeMap::new();
        loop {
            let missing = query.limit - page.items.len();
            let few = names.next(if wanted.is_exact() { missing } else { CHUNK }, &mut budget).await?;
            if few.is_empty() {
                page.next = names.stands_at();
                return Ok(page);
            }
            budget.spend(few.len() * NAMES_A_ROW);
            let rows = self.rows(&few, workspace, &mut settings).await?;
            let mut looked_at = few.into_iter().zip(rows);
            for (name, row) in looked_at.by_ref() {
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
            if page.items.len() == query.limit {
                // Of those that were brought up and not looked at any more somebody may fit.
                let is_over = looked_at.next().is_none() && names.is_over(&mut budget).await?;
                page.next = page.next.filter(|_| !is_over);
                return Ok(page);
            }
        }
    }

    async fn wanted(&self, workspace: &str, query: &ListQuery, budget: &mut Budget) -> Result<Wanted, StoreError> {
        // What is closed does not close.
        let may_fit = |status: &Status| {
            query.status.is_none_or(|asked| asked == *status) && (query.due_before.is_none() || *status != Status::Closed)
        };
        let statuses: Vec<Status> = Status::ALL.iter().copied().filter(may_fit).collect();
        let of = query.assignee.clone().unwrap_or(Of::Anybody);
        let mut wanted =
            Wanted { statuses, of, due_before: query.due_before, by_time: query.is_by_time(), prefix: None, named: Named::Anyhow };
        if let Some(q) = &query.q {
            let beginnings = Beginnings::of(q);
            wanted.prefix = is_name(q).then(|| q.clone());
            let sections = usize::from(self.partitions()) * wanted.statuses.len().max(1);
            let named = Named::of(beginnings, &self.agents(workspace).await?, (SECTIONS_MAX / sections).clamp(1, AGENTS_MAX));
            // Rows are looked at only where nothing is found without.
            wanted.named = Named::Nobody;
            if !matches!(named, Named::AsAssigned(_)) || self.finds_nobody(workspace, &wanted, budget).await? {
                wanted.named = named;
            }
        }
        Ok(wanted)
    }

    async fn finds_nobody(&self, workspace: &str, wanted: &Wanted, budget: &mut Budget) -> Result<bool, StoreError> {
        Names::new(self.store().clone(), workspace, wanted.source(), None, 1).is_over(budget).await
    }

    /// The rows of these, with the settings their partition has applied; `None`: there is none, or it cannot be read.
    async fn rows<'a>(
        &self,
        names: &[DueKey],
        workspace: &str,
        settings: &'a mut BTreeMap<PartitionId, Settings>,
    ) -> Result<Vec<Option<(Box<Conversation>, &'a Settings)>>, StoreError> {
        let keys: Vec<ConversationKey> = names.iter().map(|name| name.key.clone()).collect();
        let partitions: BTreeSet<PartitionId> = keys.iter().map(|key| self.partition(key)).collect();
        let unknown = partitions.into_iter().filter(|partition| !settings.contains_key(partition)).map(|partition| async move {
            let applied = self.settings_applied(partition, workspace).await?;
            Ok::<_, StoreError>((partition, applied))
        });
        let known = try_join_all(unknown).await?;
        settings.extend(known);
        let with_settings = |(key, row): (&ConversationKey, Loaded)| match row {
            Loaded::Found { conversation, .. } => Some((conversation, settings.get(&self.partition(key))?)),
            Loaded::Missing | Loaded::Corrupt { .. } => None,
        };
        let rows = self.load_all(&keys).await?;
        Ok(keys.iter().zip(rows).map(with_settings).collect())
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
    fn of(beginnings: Beginnings, agents: &Agents, few: usize) -> Self {
        if beginnings.is_empty() {
            return Self::Nobody;
        }
        if agents.all.is_empty() {
            return Self::AsAssigned(beginnings);
        }
        let ids: Vec<Box<str>> = agents.all.iter().filter(|agent| beginnings.fit(&agent.name)).map(|agent| agent.id.clone()).collect();
        if ids.len() <= few { Self::Agents(ids) } else { Self::Many(ids) }
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
        is_found_by_name && self.due_before.is_none()
    }

    fn source(&self) -> Source {
        match self.due_before.filter(|_| self.by_time && !self.statuses.is_empty()) {
            Some(before) => Source::Due(before.minus(Span::from_millis(1))),
            None => Source::Listed(self.sections().into()),
        }
    }

    fn sections(&self) -> Vec<Section> {
        let all = |of: &Of, prefix: &str| {
            let section = |status: &Status| Section { status: *status, of: of.clone(), prefix: prefix.into() };
            self.statuses.iter().map(section).collect::<Vec<_>>()
        };
        let mut sections = match &self.named {
            Named::Anyhow | Named::Many(_) | Named::AsAssigned(_) => return all(&self.of, ""),
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
        // Who has events among the dead letters does not close, whatever its deadline.
        let is_due = |before| conversation.set_aside == 0 && snapshot.scheduled_close_at.is_some_and(|at| at < before);
        self.statuses.contains(&standing.status)
            && self.of.is(standing.assignee.as_deref())
            && is_called
            && self.due_before.is_none_or(is_due)
    }
}
