//! A node's way to its store: it can be cut, both ways or one, and mended, while other nodes of the same store go on.

use std::sync::Arc;
use std::time::Duration;

use adjourn::domain::listing::SectionQuery;
use adjourn::domain::report::{Day, GroupBy, Rollup};
use adjourn::domain::writing::Said;
use adjourn::domain::{Conversation, ConversationKey, PartitionCount, PartitionId, Settings, Timestamp};
use adjourn::store::memory::MemoryStore;
use adjourn::store::*;
use futures_util::future::{BoxFuture, FutureExt};
use tokio::sync::watch;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    Open,
    /// Calls do not arrive until it opens; one whose caller is gone by then never does.
    Cut,
    /// Calls arrive, and their answers do not until it opens.
    Deaf,
}

pub struct Line {
    store: Arc<MemoryStore>,
    way: watch::Sender<Way>,
}

type Answer<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

impl Line {
    pub fn to(store: Arc<MemoryStore>) -> Arc<Self> {
        Arc::new(Self { store, way: watch::Sender::new(Way::Open) })
    }

    pub fn set(&self, way: Way) {
        self.way.send_replace(way);
    }

    fn over<'a, T: Send + 'a>(&'a self, call: Answer<'a, T>) -> Answer<'a, T> {
        async move {
            let mut way = self.way.subscribe();
            let _ = way.wait_for(|way| *way != Way::Cut).await;
            let answer = call.await;
            let _ = way.wait_for(|way| *way == Way::Open).await;
            answer
        }
        .boxed()
    }
}

impl Store for Line {
    fn partitions(&self) -> PartitionCount {
        self.store.partitions()
    }

    fn incarnation(&self) -> u64 {
        self.store.incarnation()
    }

    fn clock(&self) -> Answer<'_, Timestamp> {
        self.over(self.store.clock())
    }

    fn append(&self, entries: Vec<(PartitionId, Entry)>) -> Answer<'_, Vec<LogId>> {
        self.over(self.store.append(entries))
    }

    fn read(&self, partition: PartitionId, after: LogId, limit: usize, wait: Duration) -> Answer<'_, Vec<LogEntry>> {
        self.over(self.store.read(partition, after, limit, wait))
    }

    fn barrier(&self, partition: PartitionId) -> Answer<'_, Barrier> {
        self.over(self.store.barrier(partition))
    }

    fn claim(&self, partition: PartitionId, by: Member, over: Option<Holder>) -> Answer<'_, Claim> {
        self.over(self.store.claim(partition, by, over))
    }

    fn renew(&self, lease: Lease) -> Answer<'_, ()> {
        self.over(self.store.renew(lease))
    }

    fn release(&self, lease: Lease, to: Option<Box<str>>) -> Answer<'_, ()> {
        self.over(self.store.release(lease, to))
    }

    fn commit(&self, lease: Lease, batch: Batch) -> Answer<'_, ()> {
        self.over(self.store.commit(lease, batch))
    }

    fn load(&self, partition: PartitionId, keys: Vec<ConversationKey>) -> Answer<'_, Vec<Loaded>> {
        self.over(self.store.load(partition, keys))
    }

    fn rollups(&self, partition: PartitionId, workspace: Box<str>, days: Vec<Day>, only: Option<GroupBy>) -> Answer<'_, Vec<Rollup>> {
        self.over(self.store.rollups(partition, workspace, days, only))
    }

    fn texts(&self, partition: PartitionId, key: ConversationKey, slots: Vec<u8>) -> Answer<'_, Vec<Said>> {
        self.over(self.store.texts(partition, key, slots))
    }

    fn rollups_before(&self, partition: PartitionId, day: Day, limit: usize) -> Answer<'_, Vec<(Day, Box<str>)>> {
        self.over(self.store.rollups_before(partition, day, limit))
    }

    fn due(&self, partition: PartitionId, until: Timestamp, after: Option<DueKey>, limit: usize) -> Answer<'_, Vec<DueKey>> {
        self.over(self.store.due(partition, until, after, limit))
    }

    fn listed(&self, partition: PartitionId, query: SectionQuery) -> Answer<'_, Option<Vec<ConversationKey>>> {
        self.over(self.store.listed(partition, query))
    }

    fn scan(
        &self,
        partition: PartitionId,
        workspace: Option<Box<str>>,
        after: Option<ConversationKey>,
        limit: usize,
    ) -> Answer<'_, Vec<(ConversationKey, Conversation)>> {
        self.over(self.store.scan(partition, workspace, after, limit))
    }

    fn walk(&self, partition: PartitionId, place: Option<Place>, limit: usize) -> Answer<'_, Walked> {
        self.over(self.store.walk(partition, place, limit))
    }

    fn applied(&self, partition: PartitionId, ids: Vec<LogId>) -> Answer<'_, Applied> {
        self.over(self.store.applied(partition, ids))
    }

    fn notifications(&self, partition: PartitionId, after: u64, limit: usize) -> Answer<'_, NotificationPage> {
        self.over(self.store.notifications(partition, after, limit))
    }

    fn notification_heads(&self) -> Vec<u64> {
        self.store.notification_heads()
    }

    fn notification_signal(&self) -> watch::Receiver<u64> {
        self.store.notification_signal()
    }

    fn applied_settings(&self, partition: PartitionId, workspace: Box<str>) -> Answer<'_, Option<Settings>> {
        self.over(self.store.applied_settings(partition, workspace))
    }

    fn settings(&self, workspace: Box<str>) -> Answer<'_, Option<Settings>> {
        self.over(self.store.settings(workspace))
    }

    fn all_settings(&self) -> Answer<'_, Vec<(Box<str>, Settings)>> {
        self.over(self.store.all_settings())
    }

    fn record_settings(&self, workspace: Box<str>, expected: u64, settings: Settings, history: Option<Vec<u8>>) -> Answer<'_, bool> {
        self.over(self.store.record_settings(workspace, expected, settings, history))
    }

    fn document(&self, shelf: Shelf, workspace: Box<str>) -> Answer<'_, Option<Document>> {
        self.over(self.store.document(shelf, workspace))
    }

    fn put_document(&self, shelf: Shelf, workspace: Box<str>, expected: u64, document: Document) -> Answer<'_, bool> {
        self.over(self.store.put_document(shelf, workspace, expected, document))
    }

    fn dead_letters(&self, partition: PartitionId, after: LogId, limit: usize) -> Answer<'_, Vec<DeadLetter>> {
        self.over(self.store.dead_letters(partition, after, limit))
    }

    fn stats(&self) -> Answer<'_, Vec<PartitionStats>> {
        self.over(self.store.stats())
    }

    fn count_due(&self, partition: PartitionId, until: Timestamp) -> Answer<'_, u64> {
        self.over(self.store.count_due(partition, until))
    }

    fn is_exclusive(&self) -> bool {
        self.store.is_exclusive()
    }

    fn cluster(&self) -> Answer<'_, ClusterView> {
        self.over(self.store.cluster())
    }

    fn heartbeat(&self, record: NodeRecord, over: Option<u64>) -> Answer<'_, bool> {
        self.over(self.store.heartbeat(record, over))
    }

    fn leave(&self, member: Member) -> Answer<'_, ()> {
        self.over(self.store.leave(member))
    }

    fn drain(&self, node: Box<str>) -> Answer<'_, ()> {
        self.over(self.store.drain(node))
    }

    fn pin(&self, partition: PartitionId, to: Option<Box<str>>) -> Answer<'_, ()> {
        self.over(self.store.pin(partition, to))
    }

    fn held(&self) -> Option<Hold> {
        self.store.held()
    }

    fn hold_closes(&self, why: Box<str>) -> Answer<'_, bool> {
        self.store.hold_closes(why)
    }

    fn release_hold(&self) -> Answer<'_, Option<Hold>> {
        self.store.release_hold()
    }

    fn hints(&self) -> tokio::sync::broadcast::Receiver<Hint> {
        self.store.hints()
    }
}
