//! [`Store`], by what the files beside this one do.

use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};

use super::RedisStore;
use super::tail::Tail;
use crate::domain::listing::SectionQuery;
use crate::domain::report::{Day, GroupBy, Rollup};
use crate::domain::writing::Said;
use crate::domain::{Conversation, ConversationKey, PartitionCount, PartitionId, Settings, Timestamp};
use crate::store::{
    Applied, Barrier, Batch, Claim, ClusterView, DeadLetter, Document, DueKey, Entry, Hint, Hold, Holder, Lease, Loaded, LogEntry, LogId,
    Member, NodeRecord, NotificationPage, PartitionStats, Place, Shelf, Store, StoreError, Walked,
};

type Answer<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

fn replaced() -> StoreError {
    StoreError::Refused("another Redis primary answers than when this was read".into())
}

impl Store for RedisStore {
    fn partitions(&self) -> PartitionCount {
        self.inner.partitions
    }

    fn incarnation(&self) -> u64 {
        self.inner.incarnation
    }

    fn clock(&self) -> Answer<'_, Timestamp> {
        self.inner.clock().boxed()
    }

    fn append(&self, entries: Vec<(PartitionId, Entry)>) -> Answer<'_, Vec<LogId>> {
        self.inner.append(entries).boxed()
    }

    fn read(&self, partition: PartitionId, after: LogId, limit: usize, wait: Duration) -> Answer<'_, Vec<LogEntry>> {
        async move {
            if wait.is_zero() || limit == 0 {
                return self.inner.range(partition, after, limit).await;
            }
            self.inner.known(partition)?;
            let generation = self.inner.link.generation();
            let mut tail = self.tails[usize::from(partition.0)].lock().await;
            if !tail.as_ref().is_some_and(|tail| tail.stands_at(after, limit, generation)) {
                *tail = None; // before the next is started: it ends the connection
            }
            let reading = tail.get_or_insert_with(|| Tail::start(&self.inner, partition, after, limit, generation));
            let page = tokio::time::timeout(wait, reading.next()).await.unwrap_or(Ok(Vec::new()));
            // A primary that was replaced may live on for a while and take entries that the next one never had.
            let page = if self.inner.link.generation() == generation { page } else { Err(replaced()) };
            if page.is_err() {
                *tail = None;
            }
            page
        }
        .boxed()
    }

    fn barrier(&self, partition: PartitionId) -> Answer<'_, Barrier> {
        self.inner.barrier(partition).boxed()
    }

    fn claim(&self, partition: PartitionId, by: Member, over: Option<Holder>) -> Answer<'_, Claim> {
        self.inner.claim(partition, by, over).boxed()
    }

    fn renew(&self, lease: Lease) -> Answer<'_, ()> {
        self.inner.renew(lease).boxed()
    }

    fn release(&self, lease: Lease, to: Option<Box<str>>) -> Answer<'_, ()> {
        async move {
            self.inner.release(lease, to).await?;
            *self.tails[usize::from(lease.partition.0)].lock().await = None;
            Ok(())
        }
        .boxed()
    }

    fn commit(&self, lease: Lease, batch: Batch) -> Answer<'_, ()> {
        self.inner.commit(lease, batch).boxed()
    }

    fn load(&self, partition: PartitionId, keys: Vec<ConversationKey>) -> Answer<'_, Vec<Loaded>> {
        async move { self.inner.load(partition, &keys).await }.boxed()
    }

    fn rollups(&self, partition: PartitionId, workspace: Box<str>, days: Vec<Day>, only: Option<GroupBy>) -> Answer<'_, Vec<Rollup>> {
        async move { self.inner.rollups(partition, &workspace, &days, only).await }.boxed()
    }

    fn texts(&self, partition: PartitionId, key: ConversationKey, slots: Vec<u8>) -> Answer<'_, Vec<Said>> {
        async move { self.inner.texts(partition, &key, &slots).await }.boxed()
    }

    fn rollups_before(&self, partition: PartitionId, day: Day, limit: usize) -> Answer<'_, Vec<(Day, Box<str>)>> {
        self.inner.rollups_before(partition, day, limit).boxed()
    }

    fn due(&self, partition: PartitionId, until: Timestamp, after: Option<DueKey>, limit: usize) -> Answer<'_, Vec<DueKey>> {
        self.inner.due(partition, until, after, limit).boxed()
    }

    fn listed(&self, partition: PartitionId, query: SectionQuery) -> Answer<'_, Option<Vec<ConversationKey>>> {
        async move { self.inner.listed(partition, &query).await }.boxed()
    }

    fn scan(
        &self,
        partition: PartitionId,
        workspace: Option<Box<str>>,
        after: Option<ConversationKey>,
        limit: usize,
    ) -> Answer<'_, Vec<(ConversationKey, Conversation)>> {
        self.inner.scan(partition, workspace, after, limit).boxed()
    }

    fn walk(&self, partition: PartitionId, place: Option<Place>, limit: usize) -> Answer<'_, Walked> {
        self.inner.walk(partition, place, limit).boxed()
    }

    fn applied(&self, partition: PartitionId, ids: Vec<LogId>) -> Answer<'_, Applied> {
        async move { self.inner.applied(partition, &ids).await }.boxed()
    }

    fn notifications(&self, partition: PartitionId, after: u64, limit: usize) -> Answer<'_, NotificationPage> {
        self.inner.notifications(partition, after, limit).boxed()
    }

    fn notification_heads(&self) -> Vec<u64> {
        self.inner.heads.all()
    }

    fn notification_signal(&self) -> tokio::sync::watch::Receiver<u64> {
        self.inner.heads.signal()
    }

    fn applied_settings(&self, partition: PartitionId, workspace: Box<str>) -> Answer<'_, Option<Settings>> {
        async move { self.inner.applied_settings(partition, &workspace).await }.boxed()
    }

    fn settings(&self, workspace: Box<str>) -> Answer<'_, Option<Settings>> {
        async move { self.inner.settings(&workspace).await }.boxed()
    }

    fn all_settings(&self) -> Answer<'_, Vec<(Box<str>, Settings)>> {
        self.inner.all_settings().boxed()
    }

    fn record_settings(&self, workspace: Box<str>, expected: u64, settings: Settings, history: Option<Vec<u8>>) -> Answer<'_, bool> {
        async move { self.inner.record_settings(&workspace, expected, &settings, history.as_deref()).await }.boxed()
    }

    fn document(&self, shelf: Shelf, workspace: Box<str>) -> Answer<'_, Option<Document>> {
        async move { self.inner.document(shelf, &workspace).await }.boxed()
    }

    fn put_document(&self, shelf: Shelf, workspace: Box<str>, expected: u64, document: Document) -> Answer<'_, bool> {
        async move { self.inner.put_document(shelf, &workspace, expected, &document).await }.boxed()
    }

    fn dead_letters(&self, partition: PartitionId, after: LogId, limit: usize) -> Answer<'_, Vec<DeadLetter>> {
        self.inner.dead_letters(partition, after, limit).boxed()
    }

    fn stats(&self) -> Answer<'_, Vec<PartitionStats>> {
        self.inner.stats().boxed()
    }

    fn count_due(&self, partition: PartitionId, until: Timestamp) -> Answer<'_, u64> {
        self.inner.count_due(partition, until).boxed()
    }

    fn is_exclusive(&self) -> bool {
        false
    }

    fn cluster(&self) -> Answer<'_, ClusterView> {
        self.inner.cluster().boxed()
    }

    fn heartbeat(&self, record: NodeRecord, over: Option<u64>) -> Answer<'_, bool> {
        self.inner.heartbeat(record, over).boxed()
    }

    fn leave(&self, member: Member) -> Answer<'_, ()> {
        async move { self.inner.leave(&member).await }.boxed()
    }

    fn drain(&self, node: Box<str>) -> Answer<'_, ()> {
        async move { self.inner.drain(&node).await }.boxed()
    }

    fn pin(&self, partition: PartitionId, to: Option<Box<str>>) -> Answer<'_, ()> {
        async move { self.inner.pin(partition, to.as_deref()).await }.boxed()
    }

    fn closes_held(&self) -> Option<Hold> {
        self.inner.store_hold.known.get()
    }

    fn hold_closes(&self, why: Box<str>) -> Answer<'_, bool> {
        async move { self.inner.hold_by_hand(&why).await }.boxed()
    }

    fn release_hold(&self) -> Answer<'_, Option<Hold>> {
        self.inner.release_hold().boxed()
    }

    fn hints(&self) -> tokio::sync::broadcast::Receiver<Hint> {
        self.inner.heads.hints()
    }
}
