//! [`Store`], by what the files beside this one do.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use redb::Database;

use super::batch::Prepared;
use super::put::PutIn;
use super::writer::Request;
use super::{EmbeddedStore, INLINE_ROWS_MAX, partition, reads, tables};
use crate::domain::listing::SectionQuery;
use crate::domain::report::{Day, GroupBy, Rollup};
use crate::domain::writing::Said;
use crate::domain::{Conversation, ConversationKey, PartitionCount, PartitionId, Settings, Timestamp};
use crate::store::{
    Applied, BackupRefused, BackupStatus, Barrier, Batch, Claim, ClusterView, DeadLetter, Document, DueKey, Entry, Hint, Hold, Holder,
    Lease, Loaded, LogEntry, LogId, Member, NodeRecord, NotificationPage, PartitionStats, Place, Shelf, Store, StoreError, Walked, lists,
    record,
};

/// Names of a list read in the time of a row.
const NAMES_A_ROW: usize = 8;
/// Overdue timers counted in each partition: beyond, it is a storm whatever their number.
const DUE_COUNTED: usize = 10_000;

impl Store for EmbeddedStore {
    fn partitions(&self) -> PartitionCount {
        self.partitions
    }

    fn incarnation(&self) -> u64 {
        self.incarnation
    }

    fn clock(&self) -> BoxFuture<'_, Result<Timestamp, StoreError>> {
        async { self.health.check().map(|()| self.clock.now()) }.boxed()
    }

    fn append(&self, entries: Vec<(PartitionId, Entry)>) -> BoxFuture<'_, Result<Vec<LogId>, StoreError>> {
        async {
            entries.iter().try_for_each(|(partition, _)| self.known(*partition))?;
            self.log.append(entries).await
        }
        .boxed()
    }

    fn read(&self, partition: PartitionId, after: LogId, limit: usize, wait: Duration) -> BoxFuture<'_, Result<Vec<LogEntry>, StoreError>> {
        async move {
            self.known(partition)?;
            self.log.read(partition, after, limit, wait).await
        }
        .boxed()
    }

    fn barrier(&self, partition: PartitionId) -> BoxFuture<'_, Result<Barrier, StoreError>> {
        async move {
            self.known(partition)?;
            Ok(Barrier { held: self.hold.is_on(), ..self.log.barrier(partition)? })
        }
        .boxed()
    }

    fn claim(&self, partition: PartitionId, by: Member, over: Option<Holder>) -> BoxFuture<'_, Result<Claim, StoreError>> {
        async move {
            self.known(partition)?;
            // Held until the claim is durable, so that two claims over one holder are not both granted.
            let mut held = self.solo.of(partition).await;
            if held.holder != over {
                return Err(StoreError::Fenced { partition });
            }
            let claimed = self.writer.ask(|answer| Request::Claim { partition, answer }).await?;
            held.holder = Some(Holder { lease: claimed.lease, member: by, beat: 0 });
            drop(held);
            // Read after the claim is durable: nobody else can change them any more.
            let settings = self.ask(None, 0, move |db| reads::all_applied_settings(db, partition)).await?;
            let state = claimed.state;
            Ok(Claim {
                lease: claimed.lease,
                head: state.head,
                checkpoint: state.checkpoint,
                last_notification: state.last_notification,
                attempts: state.attempts,
                trying: state.trying,
                numbered_from: 1,
                settings,
                lists_whole: state.lists_whole(),
                listed: lists::conversations(state.list_entries),
            })
        }
        .boxed()
    }

    fn renew(&self, lease: Lease) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            self.health.check()?;
            self.known(lease.partition)?;
            self.solo.of(lease.partition).await.renew(lease)
        }
        .boxed()
    }

    fn release(&self, lease: Lease, to: Option<Box<str>>) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            self.known(lease.partition)?;
            let mut held = self.solo.of(lease.partition).await;
            self.writer.ask(|answer| Request::Release { lease, answer }).await?;
            if held.release(lease) {
                self.solo.registry.hint(Hint::Released { partition: lease.partition, to });
            }
            Ok(())
        }
        .boxed()
    }

    fn commit(&self, lease: Lease, batch: Batch) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            self.known(lease.partition)?;
            let marks = batch.marks.clone();
            let batch = Box::new(Prepared::new(lease.partition, batch));
            self.writer.ask(|answer| Request::Commit { lease, batch, answer }).await?;
            self.solo.of(lease.partition).await.committed(lease, marks);
            Ok(())
        }
        .boxed()
    }

    fn load(&self, partition: PartitionId, keys: Vec<ConversationKey>) -> BoxFuture<'_, Result<Vec<Loaded>, StoreError>> {
        async move { self.ask(Some(partition), keys.len(), move |db| reads::load(db, partition, &keys)).await }.boxed()
    }

    fn rollups(
        &self,
        partition: PartitionId,
        workspace: Box<str>,
        days: Vec<Day>,
        only: Option<GroupBy>,
    ) -> BoxFuture<'_, Result<Vec<Rollup>, StoreError>> {
        async move { self.ask(Some(partition), days.len(), move |db| reads::rollups(db, partition, &workspace, &days, only)).await }.boxed()
    }

    fn texts(&self, partition: PartitionId, key: ConversationKey, slots: Vec<u8>) -> BoxFuture<'_, Result<Vec<Said>, StoreError>> {
        async move { self.ask(Some(partition), slots.len(), move |db| reads::texts(db, partition, &key, &slots)).await }.boxed()
    }

    fn rollups_before(&self, partition: PartitionId, day: Day, limit: usize) -> BoxFuture<'_, Result<Vec<(Day, Box<str>)>, StoreError>> {
        async move { self.ask(Some(partition), 0, move |db| reads::rollups_before(db, partition, day, limit)).await }.boxed()
    }

    fn due(
        &self,
        partition: PartitionId,
        until: Timestamp,
        after: Option<DueKey>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<DueKey>, StoreError>> {
        // Neighbours in one or two pages, whatever the limit: inline, for every shard asks this several times a second.
        async move { self.ask(Some(partition), 0, move |db| reads::due(db, partition, until, after.as_ref(), limit)).await }.boxed()
    }

    fn listed(&self, partition: PartitionId, query: SectionQuery) -> BoxFuture<'_, Result<Option<Vec<ConversationKey>>, StoreError>> {
        // Names that stand side by side: as cheap as a few rows.
        let rows = query.limit * query.sections.len() / NAMES_A_ROW;
        async move { self.ask(Some(partition), rows, move |db| reads::listed(db, partition, &query)).await }.boxed()
    }

    fn scan(
        &self,
        partition: PartitionId,
        workspace: Option<Box<str>>,
        after: Option<ConversationKey>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<(ConversationKey, Conversation)>, StoreError>> {
        let scan = move |db: &Database| reads::scan(db, partition, workspace.as_deref(), after.as_ref(), limit);
        async move { self.ask(Some(partition), usize::MAX, scan).await }.boxed()
    }

    fn walk(&self, partition: PartitionId, place: Option<Place>, limit: usize) -> BoxFuture<'_, Result<Walked, StoreError>> {
        async move {
            let after = place.and_then(|place| ConversationKey::parse(&place.0).ok());
            let rows = self.scan(partition, None, after, limit).await?;
            let next = rows.last().filter(|_| rows.len() >= limit).map(|(key, _)| Place(key.as_str().into()));
            Ok(Walked { rows, next })
        }
        .boxed()
    }

    fn applied(&self, partition: PartitionId, ids: Vec<LogId>) -> BoxFuture<'_, Result<Applied, StoreError>> {
        async move {
            let count = self.partitions.get();
            let states = self.ask(Some(partition), 0, move |db| reads::partition_states(db, count)).await?;
            let checkpoint = states.get(usize::from(partition.0)).map_or(LogId::ZERO, |state| state.checkpoint);
            Ok(Applied { checkpoint, marks: self.solo.of(partition).await.marks(&ids) })
        }
        .boxed()
    }

    fn notifications(&self, partition: PartitionId, after: u64, limit: usize) -> BoxFuture<'_, Result<NotificationPage, StoreError>> {
        async move {
            // Never closed, so there is always a turn to come; a few rows take none.
            let _turn = if limit > INLINE_ROWS_MAX { self.pages.acquire().await.ok() } else { None };
            self.ask(Some(partition), limit, move |db| reads::notifications(db, partition, after, limit)).await
        }
        .boxed()
    }

    fn notification_heads(&self) -> Vec<u64> {
        self.heads.all()
    }

    fn notification_signal(&self) -> tokio::sync::watch::Receiver<u64> {
        self.heads.subscribe()
    }

    fn applied_settings(&self, partition: PartitionId, workspace: Box<str>) -> BoxFuture<'_, Result<Option<Settings>, StoreError>> {
        async move { self.ask(Some(partition), 1, move |db| reads::applied_settings(db, partition, &workspace)).await }.boxed()
    }

    fn settings(&self, workspace: Box<str>) -> BoxFuture<'_, Result<Option<Settings>, StoreError>> {
        async move { self.ask(None, 1, move |db| reads::settings(db, &workspace)).await }.boxed()
    }

    fn all_settings(&self) -> BoxFuture<'_, Result<Vec<(Box<str>, Settings)>, StoreError>> {
        async { self.ask(None, usize::MAX, reads::all_settings).await }.boxed()
    }

    fn record_settings(
        &self,
        workspace: Box<str>,
        expected: u64,
        settings: Settings,
        history: Option<Vec<u8>>,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        let beside = history.map(|bytes| {
            let document = Document { version: settings.version, bytes };
            (tables::document_key(Shelf::SettingsHistory, &workspace), tables::document_value(&document))
        });
        self.put(PutIn::Settings, workspace, expected, record::encode_settings(&settings), beside).boxed()
    }

    fn document(&self, shelf: Shelf, workspace: Box<str>) -> BoxFuture<'_, Result<Option<Document>, StoreError>> {
        async move { self.ask(None, 1, move |db| reads::document(db, &tables::document_key(shelf, &workspace))).await }.boxed()
    }

    fn put_document(
        &self,
        shelf: Shelf,
        workspace: Box<str>,
        expected: u64,
        document: Document,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.put(PutIn::Document, tables::document_key(shelf, &workspace), expected, tables::document_value(&document), None).boxed()
    }

    fn dead_letters(&self, partition: PartitionId, after: LogId, limit: usize) -> BoxFuture<'_, Result<Vec<DeadLetter>, StoreError>> {
        async move { self.ask(Some(partition), limit, move |db| reads::dead_letters(db, partition, after, limit)).await }.boxed()
    }

    fn stats(&self) -> BoxFuture<'_, Result<Vec<PartitionStats>, StoreError>> {
        async {
            let count = self.partitions.get();
            let states = self.ask(None, 0, move |db| reads::partition_states(db, count)).await?;
            let stats = |(partition, state): (PartitionId, partition::PartitionState)| {
                let (last, backlog) = self.log.last_and_backlog(partition);
                state.stats(last, backlog)
            };
            Ok(self.partitions.all().zip(states).map(stats).collect())
        }
        .boxed()
    }

    fn count_due(&self, partition: PartitionId, until: Timestamp) -> BoxFuture<'_, Result<u64, StoreError>> {
        async move { Ok(self.due(partition, until, None, DUE_COUNTED).await?.len() as u64) }.boxed()
    }

    fn is_exclusive(&self) -> bool {
        true
    }

    fn cluster(&self) -> BoxFuture<'_, Result<ClusterView, StoreError>> {
        async { Ok(self.solo.view().await) }.boxed()
    }

    fn heartbeat(&self, record: NodeRecord, over: Option<u64>) -> BoxFuture<'_, Result<bool, StoreError>> {
        async move { Ok(self.solo.registry.heartbeat(record, over)) }.boxed()
    }

    fn leave(&self, member: Member) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            self.solo.registry.leave(&member);
            Ok(())
        }
        .boxed()
    }

    fn drain(&self, node: Box<str>) -> BoxFuture<'_, Result<(), StoreError>> {
        async move { self.solo.registry.drain(node) }.boxed()
    }

    fn pin(&self, partition: PartitionId, to: Option<Box<str>>) -> BoxFuture<'_, Result<(), StoreError>> {
        async move { self.solo.registry.pin(partition, to) }.boxed()
    }

    fn closes_held(&self) -> Option<Hold> {
        self.hold.get()
    }

    fn hold_closes(&self, why: Box<str>) -> BoxFuture<'_, Result<bool, StoreError>> {
        async move {
            let hold = Some(Hold { why: why.into(), since: Some(self.clock.now()) });
            Ok(self.writer.ask(|answer| Request::Hold { hold, answer }).await?.is_none())
        }
        .boxed()
    }

    fn release_hold(&self) -> BoxFuture<'_, Result<Option<Hold>, StoreError>> {
        self.writer.ask(|answer| Request::Hold { hold: None, answer }).boxed()
    }

    fn begin_backup(&self, to: PathBuf) -> BoxFuture<'_, Result<BackupStatus, BackupRefused>> {
        self.begin(to).boxed()
    }

    fn backup(&self) -> Option<BackupStatus> {
        self.backups.last()
    }

    fn hints(&self) -> tokio::sync::broadcast::Receiver<Hint> {
        self.solo.registry.hints()
    }
}
