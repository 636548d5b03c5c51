//! Finding what is due: a page of the index of deadlines, and the rows behind it, as a tick and a take-over do.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use adjourn::clock::{Clock, WallClock};
use adjourn::domain::event::{EventKind, MessageSource};
use adjourn::domain::{
    Accepted, Conversation, ConversationKey, Event, EventName, Input, PartitionCount, PartitionId, Settings, Span, Timestamp, step, wake_at,
};
use adjourn::store::embedded::{EmbeddedOptions, EmbeddedStore};
use adjourn::store::testing::StoreInTests;
use adjourn::store::{Batch, RowChange, RowWrite, Store};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const ROWS: usize = 100_000;
const PAGE: usize = 1_000;
const P: PartitionId = PartitionId(0);

fn row(number: usize, now: Timestamp, settings: &Settings) -> RowWrite {
    let key = ConversationKey::new("acme", &format!("conversation-{number:010}")).unwrap();
    let name = EventName::new("/bench", &format!("message-{number:010}")).unwrap();
    let time = now.plus(Span::from_millis(number as i64));
    let kind = EventKind::Message { source: MessageSource::User, agent: None, message_id: None, text: None };
    let event = Event { name, conversation: key.clone(), time, kind };
    let conversation = step(&key, Conversation::new(time), &Input::Event(Accepted { event, accepted_at: time }), settings, time).after;
    let look_at = wake_at(&conversation, settings);
    RowWrite { key, indexed_at: None, change: RowChange::Put { conversation: Arc::new(conversation), look_at } }
}

fn benches(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut options = EmbeddedOptions::new(Arc::new(WallClock));
    options.partitions = PartitionCount::new(1);
    let store = EmbeddedStore::open(directory.path(), options).unwrap();
    let settings = Settings { enabled: true, enable_epoch: 1, version: 1, ..Settings::default() };
    let now = WallClock.now();
    runtime.block_on(async {
        let claim = store.seize(P, adjourn::store::Member::default()).await.unwrap();
        let mut head = claim.head;
        for from in (0..ROWS).step_by(10_000) {
            let mut batch = Batch::new(head, claim.checkpoint);
            batch.rows = (from..from + 10_000).map(|number| row(number, now, &settings)).collect();
            head = batch.id;
            store.commit(claim.lease, batch).await.unwrap();
        }
    });
    let due = || runtime.block_on(store.due(P, Timestamp::MAX, None, PAGE)).unwrap();
    let page = due();
    let keys: Vec<ConversationKey> = page.iter().map(|due| due.key.clone()).collect();

    let mut group = c.benchmark_group("agenda");
    group.throughput(Throughput::Elements(PAGE as u64));
    group.bench_function("a page of what is due", |b| b.iter(due));
    let after = page.last().cloned();
    group.bench_function("the page after it", |b| {
        b.iter(|| runtime.block_on(store.due(P, Timestamp::MAX, after.clone(), PAGE)).unwrap());
    });
    group.bench_function("its rows", |b| b.iter(|| runtime.block_on(store.load(P, keys.clone())).unwrap()));
    group.finish();
}

criterion_group!(agenda_benches, benches);
criterion_main!(agenda_benches);
