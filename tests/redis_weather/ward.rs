//! A node on a Redis, both by a clock of the test's.

use std::sync::Arc;
use std::time::Duration;

use adjourn::actors::{Node, NodeOptions, Receipt, Verdict, node};
use adjourn::clock::{Clock, ManualClock};
use adjourn::domain::event::{EventKind, MessageSource};
use adjourn::domain::notice::Notice;
use adjourn::domain::*;
use adjourn::store::Store;

use crate::bench::key;
use crate::ground::{command, open};
use crate::patience::eventually;
use crate::rig::clock::ClockFile;
use crate::rig::server::{Options, Server};

/// An afternoon in 2026.
const BEGIN_MS: i64 = 1_795_000_000_000;
/// Only a test that fails takes it.
const PATIENCE: Duration = Duration::from_secs(30);
/// Due conversations in one commit: few, so that a test needs no more to fill a page.
pub const DUE_BATCH: usize = 16;

pub struct Ward {
    pub server: Server,
    clock: Arc<ClockFile>,
    shown: Arc<ManualClock>,
    pub store: Arc<dyn Store>,
    pub node: Node,
}

impl Ward {
    pub async fn new() -> Self {
        Self::with(Options::default()).await
    }

    /// Auto-close is on, with an hour.
    pub async fn with(options: Options) -> Self {
        let clock = Arc::new(ClockFile::absolute(Timestamp::from_millis(BEGIN_MS)));
        let server = Server::start(Options { clock: Some(Arc::clone(&clock)), ..options });
        let (shown, store): (_, Arc<dyn Store>) = (clock.manual(), open(&server.url()).await.unwrap());
        let defaults = Settings { enabled: true, enable_epoch: 1, period: Span::from_hours(1), ..Settings::default() };
        let options = NodeOptions {
            node: "ward".into(),
            defaults,
            lease: Duration::from_secs(1),
            tick: Duration::from_millis(20),
            due_batch: DUE_BATCH,
            ..NodeOptions::default()
        };
        let node = node::start(Arc::clone(&store), Arc::clone(&shown) as _, options);
        let ward = Self { server, clock, shown, store, node };
        ward.settled().await;
        ward
    }

    pub async fn settled(&self) {
        let partitions = usize::from(self.store.partitions().get());
        eventually("every partition runs", async || self.node.shards_ready() == partitions).await;
    }

    pub fn run(&self, words: &[&str]) {
        command(words).exec(&mut self.server.connection()).unwrap_or_else(|error| panic!("{words:?}: {error}"));
    }

    /// Both clocks, together.
    pub fn pass(&self, minutes: i64) {
        self.clock.jump(minutes * 60_000);
    }

    pub fn now(&self) -> Timestamp {
        self.shown.now()
    }

    /// A message stamped now.
    pub fn says(&self, conversation: &str, id: &str, source: MessageSource) -> Event {
        let kind = EventKind::Message { source, agent: None, message_id: None, text: None };
        Event { name: EventName::new("/ward", id).unwrap(), conversation: key(&format!("acme/{conversation}")), time: self.now(), kind }
    }

    /// Taken in, applied and committed.
    pub async fn take(&self, event: Event) -> Receipt {
        let receipt = match self.node.ingest(vec![event]).await.unwrap().remove(0) {
            Verdict::Accepted(receipt) => receipt,
            Verdict::Rejected(rejection) => panic!("{rejection}"),
        };
        let mut receipts = vec![receipt];
        self.node.wait_applied(&mut receipts, PATIENCE).await.unwrap();
        receipts[0]
    }

    /// A person writes, and an hour begins.
    pub async fn human(&self, conversation: &str, id: &str) {
        self.take(self.says(conversation, id, MessageSource::User)).await;
    }

    /// How often it was closed, as told.
    pub async fn closes(&self, conversation: &str) -> usize {
        let told = key(&format!("acme/{conversation}"));
        let Ok(page) = self.store.notifications(told.partition(self.store.partitions()), 0, 10_000).await else { return 0 };
        let is_close =
            |notice: &Notice| matches!(notice, Notice::Conversation(told_of) if told_of.key == told && told_of.kind == NoticeKind::Closed);
        page.items.iter().filter(|notification| is_close(&notification.notice)).count()
    }

    pub async fn closed(&self, conversation: &str) {
        eventually("the close", async || self.closes(conversation).await == 1).await;
    }
}
