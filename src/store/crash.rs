//! A store whose every call is a place to die at (`faults::crash`): before it reaches the store, and after it was carried out
//! and before its caller hears of it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::{
    Applied, Barrier, Batch, Claim, ClusterView, DeadLetter, Document, DueKey, Entry, Hint, Holder, Lease, Loaded, LogEntry, LogId, Member,
    NodeRecord, NotificationPage, PartitionStats, Place, Shelf, Store, StoreError, Walked,
};
use crate::domain::listing::SectionQuery;
use crate::domain::report::{Day, GroupBy, Rollup};
use crate::domain::writing::Said;
use crate::domain::{Conversation, ConversationKey, PartitionCount, PartitionId, Settings, Timestamp};
use crate::faults::crash::{self, AFTER, BEFORE};

/// The calls that go to the store; the others answer from memory.
pub const CALLS: [&str; 32] = [
    "clock",
    "append",
    "read",
    "barrier",
    "claim",
    "renew",
    "release",
    "commit",
    "load",
    "texts",
    "rollups",
    "rollups_before",
    "due",
    "listed",
    "scan",
    "walk",
    "applied",
    "notifications",
    "applied_settings",
    "settings",
    "all_settings",
    "put_settings",
    "document",
    "put_document",
    "dead_letters",
    "stats",
    "count_due",
    "cluster",
    "heartbeat",
    "leave",
    "drain",
    "pin",
];

/// The store itself where nothing is planned.
///
/// # Errors
/// As [`crash::is_planned`].
pub fn around(store: Arc<dyn Store>) -> Result<Arc<dyn Store>, String> {
    Ok(if crash::is_planned()? { Arc::new(Crashing(store)) } else { store })
}

struct Crashing(Arc<dyn Store>);

fn around_call<'a, T: Send + 'a>(name: &'static str, call: impl FnOnce() -> BoxFuture<'a, T> + Send + 'a) -> BoxFuture<'a, T> {
    Box::pin(async move {
        crash::pass(name, BEFORE);
        let answer = call().await;
        crash::pass(name, AFTER);
        answer
    })
}

impl Store for Crashing {
    fn partitions(&self) -> PartitionCount {
        self.0.partitions()
    }

    fn incarnation(&self) -> u64 {
        self.0.incarnation()
    }

    fn clock(&self) -> BoxFuture<'_, Result<Timestamp, StoreError>> {
        around_call("clock", move || self.0.clock())
    }

    fn append(&self, entries: Vec<(PartitionId, Entry)>) -> BoxFuture<'_, Result<Vec<LogId>, StoreError>> {
        around_call("append", move || self.0.append(entries))
    }

    fn read(&self, partition: PartitionId, after: LogId, limit: usize, wait: Duration) -> BoxFuture<'_, Result<Vec<LogEntry>, StoreError>> {
        around_call("read", move || self.0.read(partition, after, limit, wait))
    }

    fn barrier(&self, partition: PartitionId) -> BoxFuture<'_, Result<Barrier, StoreError>> {
        around_call("barrier", move || self.0.barrier(partition))
    }

    fn claim(&self, partition: PartitionId, by: Member, over: Option<Holder>) -> BoxFuture<'_, Result<Claim, StoreError>> {
        around_call("claim", move || self.0.claim(partition, by, over))
    }

    fn renew(&self, lease: Lease) -> BoxFuture<'_, Result<(), StoreError>> {
        around_call("renew", move || self.0.renew(lease))
    }

    fn release(&self, lease: Lease, to: Option<Box<str>>) -> BoxFuture<'_, Result<(), StoreError>> {
        around_call("release", move || self.0.release(lease, to))
    }

    fn commit(&self, lease: Lease, batch: Batch) -> BoxFuture<'_, Result<(), StoreError>> {
        around_call("commit", move || self.0.commit(lease, batch))
    }

    fn load(&self, partition: PartitionId, keys: Vec<ConversationKey>) -> BoxFuture<'_, Result<Vec<Loaded>, StoreError>> {
        around_call("load", move || self.0.load(partition, keys))
    }

    fn rollups(
        &self,
        partition: PartitionId,
        workspace: Box<str>,
        days: Vec<Day>,
        only: Option<GroupBy>,
    ) -> BoxFuture<'_, Result<Vec<Rollup>, StoreError>> {
        around_call("rollups", move || self.0.rollups(partition, workspace, days, only))
    }

    fn texts(&self, partition: PartitionId, key: ConversationKey, slots: Vec<u8>) -> BoxFuture<'_, Result<Vec<Said>, StoreError>> {
        around_call("texts", move || self.0.texts(partition, key, slots))
    }

    fn rollups_before(&self, partition: PartitionId, day: Day, limit: usize) -> BoxFuture<'_, Result<Vec<(Day, Box<str>)>, StoreError>> {
        around_call("rollups_before", move || self.0.rollups_before(partition, day, limit))
    }

    fn due(
        &self,
        partition: PartitionId,
        until: Timestamp,
        after: Option<DueKey>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<DueKey>, StoreError>> {
        around_call("due", move || self.0.due(partition, until, after, limit))
    }

    fn listed(&self, partition: PartitionId, query: SectionQuery) -> BoxFuture<'_, Result<Option<Vec<ConversationKey>>, StoreError>> {
        around_call("listed", move || self.0.listed(partition, query))
    }

    fn scan(
        &self,
        partition: PartitionId,
        workspace: Option<Box<str>>,
        after: Option<ConversationKey>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<(ConversationKey, Conversation)>, StoreError>> {
        around_call("scan", move || self.0.scan(partition, workspace, after, limit))
    }

    fn walk(&self, partition: PartitionId, place: Option<Place>, limit: usize) -> BoxFuture<'_, Result<Walked, StoreError>> {
        around_call("walk", move || self.0.walk(partition, place, limit))
    }

    fn applied(&self, partition: PartitionId, ids: Vec<LogId>) -> BoxFuture<'_, Result<Applied, StoreError>> {
        around_call("applied", move || self.0.applied(partition, ids))
    }

    fn notifications(&self, partition: PartitionId, after: u64, limit: usize) -> BoxFuture<'_, Result<NotificationPage, StoreError>> {
        around_call("notifications", move || self.0.notifications(partition, after, limit))
    }

    fn notification_heads(&self) -> Vec<u64> {
        self.0.notification_heads()
    }

    fn notification_signal(&self) -> tokio::sync::watch::Receiver<u64> {
        self.0.notification_signal()
    }

    fn applied_settings(&self, partition: PartitionId, workspace: Box<str>) -> BoxFuture<'_, Result<Option<Settings>, StoreError>> {
        around_call("applied_settings", move || self.0.applied_settings(partition, workspace))
    }

    fn settings(&self, workspace: Box<str>) -> BoxFuture<'_, Result<Option<Settings>, StoreError>> {
        around_call("settings", move || self.0.settings(workspace))
    }

    fn all_settings(&self) -> BoxFuture<'_, Result<Vec<(Box<str>, Settings)>, StoreError>> {
        around_call("all_settings", move || self.0.all_settings())
    }

    fn record_settings(
        &self,
        workspace: Box<str>,
        expected: u64,
        settings: Settings,
        history: Option<Vec<u8>>,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        around_call("put_settings", move || self.0.record_settings(workspace, expected, settings, history))
    }

    fn document(&self, shelf: Shelf, workspace: Box<str>) -> BoxFuture<'_, Result<Option<Document>, StoreError>> {
        around_call("document", move || self.0.document(shelf, workspace))
    }

    fn put_document(
        &self,
        shelf: Shelf,
        workspace: Box<str>,
        expected: u64,
        document: Document,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        around_call("put_document", move || self.0.put_document(shelf, workspace, expected, document))
    }

    fn dead_letters(&self, partition: PartitionId, after: LogId, limit: usize) -> BoxFuture<'_, Result<Vec<DeadLetter>, StoreError>> {
        around_call("dead_letters", move || self.0.dead_letters(partition, after, limit))
    }

    fn stats(&self) -> BoxFuture<'_, Result<Vec<PartitionStats>, StoreError>> {
        around_call("stats", move || self.0.stats())
    }

    fn count_due(&self, partition: PartitionId, until: Timestamp) -> BoxFuture<'_, Result<u64, StoreError>> {
        around_call("count_due", move || self.0.count_due(partition, until))
    }

    fn is_exclusive(&self) -> bool {
        self.0.is_exclusive()
    }

    fn cluster(&self) -> BoxFuture<'_, Result<ClusterView, StoreError>> {
        around_call("cluster", move || self.0.cluster())
    }

    fn heartbeat(&self, record: NodeRecord, over: Option<u64>) -> BoxFuture<'_, Result<bool, StoreError>> {
        around_call("heartbeat", move || self.0.heartbeat(record, over))
    }

    fn leave(&self, member: Member) -> BoxFuture<'_, Result<(), StoreError>> {
        around_call("leave", move || self.0.leave(member))
    }

    fn drain(&self, node: Box<str>) -> BoxFuture<'_, Result<(), StoreError>> {
        around_call("drain", move || self.0.drain(node))
    }

    fn pin(&self, partition: PartitionId, to: Option<Box<str>>) -> BoxFuture<'_, Result<(), StoreError>> {
        around_call("pin", move || self.0.pin(partition, to))
    }

    fn closes_held(&self) -> Option<Arc<str>> {
        self.0.closes_held()
    }

    fn hints(&self) -> tokio::sync::broadcast::Receiver<Hint> {
        self.0.hints()
    }
}
