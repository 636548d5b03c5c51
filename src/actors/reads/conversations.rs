//! What stands of a conversation: its state, why it closes when it does, and what was told of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use futures_util::future::try_join_all;

use crate::actors::node::handle::Node;
use crate::domain::{Conversation, ConversationKey, NoDeadline, PartitionId, Settings, Snapshot, Span, Timestamp, deadline};
use crate::store::{Loaded, Notification, StoreError};

/// Notifications walked back for one conversation's history, one by one: some 50 ms of reading on the embedded store, on Redis a
/// round trip each. What is older is left out.
pub const HISTORY_MAX: usize = 10_000;

/// What holds now: when it closes, or why not.
#[derive(Clone, Debug)]
pub struct Why {
    pub snapshot: Snapshot,
    pub now: Timestamp,
    pub timer: Result<WhyDeadline, NoDeadline>,
    /// Events in the dead letters: the timer is suspended while there are any.
    pub set_aside: u32,
    pub settings: Settings,
    /// The latest notification: where its story is read backwards from.
    pub last_notification: Option<u64>,
}

#[derive(Clone, Debug)]
pub struct WhyDeadline {
    pub at: Timestamp,
    pub armed_by: Box<str>,
    pub armed_at: Timestamp,
    pub period: Span,
}

impl Node {
    /// The conversation as it stands, committed. `None`: never heard of, or never opened.
    pub async fn conversation(&self, key: &ConversationKey) -> Result<Option<Snapshot>, StoreError> {
        Ok(self.why(key).await?.map(|why| why.snapshot))
    }

    /// Many conversations as they stand, in order of key; those never opened are left out. Each partition is asked once for
    /// its rows and once for each workspace's settings, all partitions at the same time.
    pub async fn conversations(&self, mut keys: Vec<ConversationKey>) -> Result<Vec<(ConversationKey, Snapshot)>, StoreError> {
        let now = self.store().clock().await?;
        keys.sort_unstable();
        let rows = self.load_all(&keys).await?;
        let mut opened = Vec::with_capacity(keys.len());
        for (key, row) in keys.into_iter().zip(rows) {
            opened.extend(readable(&key, row)?.filter(|conversation| conversation.episode > 0).map(|conversation| (key, conversation)));
        }
        let of = |key: &ConversationKey| (self.partition(key), Box::<str>::from(key.workspace()));
        let places: BTreeSet<(PartitionId, Box<str>)> = opened.iter().map(|(key, _)| of(key)).collect();
        let applied = places.into_iter().map(|(partition, workspace)| async move {
            let settings = self.settings_applied(partition, &workspace).await?;
            Ok::<_, StoreError>(((partition, workspace), settings))
        });
        let settings: BTreeMap<(PartitionId, Box<str>), Settings> = try_join_all(applied).await?.into_iter().collect();
        let shown = |(key, conversation): (ConversationKey, Box<Conversation>)| {
            let snapshot = Snapshot::of(&conversation, settings.get(&of(&key))?, now);
            Some((key, snapshot))
        };
        Ok(opened.into_iter().filter_map(shown).collect())
    }

    /// The rows of these, in their order. Each partition is asked once, all at the same time.
    pub(in crate::actors) async fn load_all(&self, keys: &[ConversationKey]) -> Result<Vec<Loaded>, StoreError> {
        let mut by_partition: BTreeMap<PartitionId, (Vec<usize>, Vec<ConversationKey>)> = BTreeMap::new();
        for (place, key) in keys.iter().enumerate() {
            let (places, of_it) = by_partition.entry(self.partition(key)).or_default();
            places.push(place);
            of_it.push(key.clone());
        }
        let asked = by_partition.into_iter().map(|(partition, (places, keys))| async move {
            let rows = self.store().load(partition, keys).await?;
            Ok::<_, StoreError>(places.into_iter().zip(rows))
        });
        let mut rows: Vec<(usize, Loaded)> = try_join_all(asked).await?.into_iter().flatten().collect();
        rows.sort_unstable_by_key(|(place, _)| *place);
        Ok(rows.into_iter().map(|(_, row)| row).collect())
    }

    /// What holds now of a conversation's timer.
    pub async fn why(&self, key: &ConversationKey) -> Result<Option<Why>, StoreError> {
        let Some(conversation) = self.load(key).await?.filter(|c| c.episode > 0) else { return Ok(None) };
        let settings = self.settings_applied(self.partition(key), key.workspace()).await?;
        let now = self.store().clock().await?;
        let timer = deadline(&conversation, &settings).map(|due| WhyDeadline {
            at: due.at,
            armed_by: due.armed_by.position.name.id().into(),
            armed_at: due.armed_by.position.time,
            period: due.period,
        });
        let snapshot = Snapshot::of(&conversation, &settings, now);
        let (set_aside, last_notification) = (conversation.set_aside, conversation.last_notification);
        Ok(Some(Why { snapshot, now, timer, set_aside, settings, last_notification }))
    }

    pub(in crate::actors) async fn load(&self, key: &ConversationKey) -> Result<Option<Box<Conversation>>, StoreError> {
        let loaded = self.store().load(self.partition(key), vec![key.clone()]).await?.pop();
        readable(key, loaded.unwrap_or(Loaded::Missing))
    }

    /// A conversation's notifications numbered above `after`, oldest first, at most `limit`.
    pub async fn history(&self, key: &ConversationKey, after: u64, limit: usize) -> Result<Option<Vec<Notification>>, StoreError> {
        let Some(conversation) = self.load(key).await?.filter(|c| c.episode > 0) else { return Ok(None) };
        let mut found = self.told_until(key, conversation.last_notification, after, HISTORY_MAX).await?;
        found.truncate(limit);
        Ok(Some(found))
    }

    /// A conversation's notifications up to the one numbered `last`, above `after`: the latest `most` of them, oldest first.
    pub async fn told_until(
        &self,
        key: &ConversationKey,
        last: Option<u64>,
        after: u64,
        most: usize,
    ) -> Result<Vec<Notification>, StoreError> {
        let partition = self.partition(key);
        let mut found = VecDeque::new();
        let mut number = last;
        while let Some(wanted) = number.filter(|n| *n > after && found.len() < most) {
            let page = self.store().notifications(partition, wanted - 1, 1).await?;
            let Some(notification) = page.items.into_iter().find(|n| n.number == wanted) else { break };
            number = notification.previous;
            found.push_front(notification);
        }
        Ok(found.into())
    }
}

fn readable(key: &ConversationKey, row: Loaded) -> Result<Option<Box<Conversation>>, StoreError> {
    match row {
        Loaded::Found { conversation, .. } => Ok(Some(conversation)),
        Loaded::Corrupt { reason } => Err(StoreError::Unreadable(format!("the record of {key} cannot be read: {reason}").into())),
        Loaded::Missing => Ok(None),
    }
}
