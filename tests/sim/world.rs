//! A node on the model store, with both clocks in hand.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use adjourn::actors::shard::conversation::StepFn;
use adjourn::actors::{Node, NodeOptions, Receipt, Verdict, node};
use adjourn::clock::ManualClock;
use adjourn::domain::event::{EventKind, MessageSource};
use adjourn::domain::settings::SettingsChange;
use adjourn::domain::{
    ConversationKey, ConversationNotice, Event, EventName, Notice, NoticeKind, PartitionCount, Settings, Snapshot, Span, Timestamp, step,
};
use adjourn::store::Store;
use adjourn::store::memory::MemoryStore;

use crate::patience::eventually;

/// An afternoon in 2026: minute 0 of every test.
const EPOCH_MS: i64 = 1_795_000_000_000;
/// Long enough for any machine; only a test that fails takes it.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn minute(minute: i64) -> Timestamp {
    Timestamp::from_millis(EPOCH_MS + minute * 60_000)
}

pub fn key(conversation: &str) -> ConversationKey {
    ConversationKey::new("acme", conversation).unwrap()
}

pub fn event(id: &str, conversation: &str, time: Timestamp, kind: EventKind) -> Event {
    Event { name: EventName::new("/sim", id).unwrap(), conversation: key(conversation), time, kind }
}

pub fn message(id: &str, conversation: &str, time: Timestamp, source: MessageSource) -> Event {
    event(id, conversation, time, EventKind::Message { source, agent: None, message_id: None, text: None })
}

pub struct World {
    pub store: Arc<MemoryStore>,
    pub wall: Arc<ManualClock>,
    pub steady: Arc<ManualClock>,
    pub node: Node,
    named: Cell<u64>,
}

/// Auto-close on with an hour; ticks as fast as they go, so that a test waits for a tick and not for a while.
pub fn options() -> NodeOptions {
    let defaults = Settings { enabled: true, enable_epoch: 1, period: Span::from_hours(1), ..Settings::default() };
    NodeOptions { defaults, tick: Duration::from_millis(2), ..NodeOptions::default() }
}

impl World {
    pub async fn start() -> Self {
        Self::start_with(options(), step).await
    }

    pub async fn start_with(options: NodeOptions, step: StepFn) -> Self {
        let wall = ManualClock::at(minute(0));
        let store = MemoryStore::new(PartitionCount::new(2).unwrap(), wall.clone());
        let world = Self::on(store, wall, options, step);
        world.ticks(1).await;
        world
    }

    /// On a store that is there already; nothing is waited for.
    pub fn on(store: Arc<MemoryStore>, wall: Arc<ManualClock>, options: NodeOptions, step: StepFn) -> Self {
        use adjourn::clock::Clock;
        let steady = ManualClock::at(wall.now());
        let node = node::start_with(store.clone(), steady.clone(), options, step);
        Self { store, wall, steady, node, named: Cell::new(0) }
    }

    /// The process dies and another starts on the same store: nothing in memory survives, no lease is given back.
    pub async fn restart(&mut self) {
        let options = self.node.options().clone();
        let before = std::mem::replace(&mut self.node, node::start(self.store.clone(), self.steady.clone(), options));
        before.stop().await;
        self.ticks(1).await;
    }

    fn name(&self) -> String {
        self.named.set(self.named.get() + 1);
        format!("e-{}", self.named.get())
    }

    /// A message stamped now.
    pub fn says(&self, conversation: &str, source: MessageSource) -> Event {
        use adjourn::clock::Clock;
        message(&self.name(), conversation, self.wall.now(), source)
    }

    /// Taken in, applied and committed.
    pub async fn take(&self, events: Vec<Event>) -> Vec<Receipt> {
        let mut receipts = self.accept(events).await;
        self.node.wait_applied(&mut receipts, PATIENCE).await.unwrap();
        receipts
    }

    /// Taken in only.
    pub async fn accept(&self, events: Vec<Event>) -> Vec<Receipt> {
        let verdicts = self.node.ingest(events).await.unwrap();
        let receipt = |verdict| match verdict {
            Verdict::Accepted(receipt) => receipt,
            Verdict::Rejected(rejection) => panic!("rejected: {rejection}"),
        };
        verdicts.into_iter().map(receipt).collect()
    }

    pub async fn human(&self, conversation: &str) {
        self.take(vec![self.says(conversation, MessageSource::User)]).await;
    }

    pub async fn contact(&self, conversation: &str) {
        self.take(vec![self.says(conversation, MessageSource::Contact)]).await;
    }

    /// Moves both clocks, together.
    pub fn pass(&self, minutes: i64) {
        self.wall.jump(minutes * 60_000);
        self.steady.jump(minutes * 60_000);
    }

    /// Every shard has looked at what is overdue now.
    pub async fn ticks(&self, count: u64) {
        // One that is under way may have looked before; the next has not.
        let before = self.node.ticks();
        let ticked = async || self.node.ticks().iter().zip(&before).all(|(now, before)| *now > before + count);
        eventually("a tick of every shard", ticked).await;
    }

    pub async fn snapshot(&self, conversation: &str) -> Snapshot {
        self.node.conversation(&key(conversation)).await.unwrap().expect("the conversation is known")
    }

    /// Everything ever told of a conversation, in order.
    pub async fn told(&self, conversation: &str) -> Vec<ConversationNotice> {
        let partition = key(conversation).partition(self.store.partitions());
        let page = self.store.notifications(partition, 0, usize::MAX).await.unwrap();
        let of_it = |notice| match notice {
            Notice::Conversation(told) if told.key == key(conversation) => Some(*told),
            Notice::Conversation(_) | Notice::Settings { .. } => None,
        };
        page.items.into_iter().filter_map(|notification| of_it(notification.notice)).collect()
    }

    pub async fn kinds(&self, conversation: &str) -> Vec<NoticeKind> {
        self.told(conversation).await.into_iter().map(|told| told.kind).collect()
    }

    pub async fn closes(&self, conversation: &str) -> usize {
        self.kinds(conversation).await.into_iter().filter(|kind| *kind == NoticeKind::Closed).count()
    }

    pub async fn switch(&self, enabled: bool) -> Settings {
        let change = SettingsChange { enabled: Some(enabled), ..SettingsChange::default() };
        self.node.change_settings("acme", change, None, PATIENCE).await.unwrap()
    }
}
