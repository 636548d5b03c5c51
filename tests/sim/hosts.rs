//! Several nodes on one model store, each with a line of its own to it.

use std::sync::Arc;
use std::time::Duration;

use adjourn::actors::shard::conversation::StepFn;
use adjourn::actors::{Node, NodeOptions, Receipt, Verdict, node};
use adjourn::clock::{Clock, ManualClock};
use adjourn::domain::event::MessageSource;
use adjourn::domain::{ConversationKey, ConversationNotice, Event, Notice, NoticeKind, PartitionCount, PartitionId, step};
use adjourn::store::memory::MemoryStore;
use adjourn::store::{Holder, Store};

use crate::line::{Line, Way};
use crate::patience::eventually;
use crate::world::{PATIENCE, key, message, minute, options};

/// Short, so that a test need not wait long; long enough that a busy machine is not taken for a dead node often.
pub const LEASE: Duration = Duration::from_millis(1_500);

pub struct Host {
    pub line: Arc<Line>,
    pub node: Node,
}

impl Host {
    pub fn start(name: &str, store: &Arc<MemoryStore>, steady: &Arc<ManualClock>) -> Self {
        Self::start_with(name, store, steady, step)
    }

    pub fn start_with(name: &str, store: &Arc<MemoryStore>, steady: &Arc<ManualClock>, step: StepFn) -> Self {
        let line = Line::to(store.clone());
        let options = NodeOptions { node: name.into(), lease: LEASE, ..options() };
        Self { node: node::start_with(line.clone(), steady.clone(), options, step), line }
    }

    /// The process is gone: nothing it does arrives anywhere any more.
    pub fn die(&self) {
        self.line.set(Way::Cut);
    }
}

pub struct Hosts {
    pub store: Arc<MemoryStore>,
    pub wall: Arc<ManualClock>,
    pub steady: Arc<ManualClock>,
    pub all: Vec<Host>,
}

impl Hosts {
    /// So many nodes, `a`, `b` and so on, that have shared out `partitions` among them.
    pub async fn start(nodes: usize, partitions: u16) -> Self {
        Self::start_with(nodes, partitions, step).await
    }

    pub async fn start_with(nodes: usize, partitions: u16, step: StepFn) -> Self {
        let (wall, steady) = (ManualClock::at(minute(0)), ManualClock::at(minute(0)));
        let store = MemoryStore::new(PartitionCount::new(partitions).unwrap(), wall.clone());
        store.share();
        let mut hosts = Self { store, wall, steady, all: Vec::new() };
        for number in 0..nodes {
            hosts.all.push(Host::start_with(["a", "b", "c", "d"][number], &hosts.store, &hosts.steady, step));
        }
        hosts.settled().await;
        hosts
    }

    pub fn join(&mut self, name: &str) {
        self.all.push(Host::start(name, &self.store, &self.steady));
    }

    pub fn node(&self, name: &str) -> &Node {
        &self.host(name).node
    }

    pub fn host(&self, name: &str) -> &Host {
        self.all.iter().rev().find(|host| host.node.name() == name).unwrap()
    }

    pub async fn holders(&self) -> Vec<Option<Holder>> {
        self.store.cluster().await.unwrap().holders
    }

    pub async fn owned_by(&self, name: &str) -> usize {
        self.holders().await.iter().flatten().filter(|holder| &*holder.member.node == name).count()
    }

    /// Every partition is where the nodes want it, and runs there.
    pub async fn settled(&self) {
        let settled = async || {
            let shards = self.all[0].node.shards().await.unwrap();
            let running: usize = self.all.iter().map(|host| host.node.shards_ready()).sum();
            let ready = self.all.iter().all(|host| host.node.has_joined() && host.node.partitions_missing() == 0);
            ready && running == shards.len() && shards.iter().all(|shard| shard.node.is_some() && shard.node == shard.desired)
        };
        eventually("every partition to be where it belongs", settled).await;
    }

    pub fn partition(&self, conversation: &str) -> PartitionId {
        key(conversation).partition(self.store.partitions())
    }

    /// A conversation whose partition `name` has.
    pub async fn conversation_of(&self, name: &str) -> String {
        let holders = self.holders().await;
        let mine = |c: &String| holders[usize::from(self.partition(c).0)].as_ref().is_some_and(|h| &*h.member.node == name);
        (0..10_000).map(|n| format!("c{n}")).find(mine).unwrap()
    }

    pub fn says(&self, id: &str, conversation: &str, source: MessageSource) -> Event {
        message(id, conversation, self.wall.now(), source)
    }

    /// Accepted by `node`, and applied by whoever has the partition.
    pub async fn take(&self, node: &Node, event: Event) -> Receipt {
        let mut receipts = vec![accept(node, event).await];
        node.wait_applied(&mut receipts, PATIENCE).await.unwrap();
        receipts[0]
    }

    pub fn pass(&self, minutes: i64) {
        self.wall.jump(minutes * 60_000);
        self.steady.jump(minutes * 60_000);
    }

    pub async fn told(&self, conversation: &ConversationKey) -> Vec<ConversationNotice> {
        let page = self.store.notifications(conversation.partition(self.store.partitions()), 0, usize::MAX).await.unwrap();
        let of_it = |notice| match notice {
            Notice::Conversation(told) if told.key == *conversation => Some(*told),
            Notice::Conversation(_) | Notice::Settings { .. } => None,
        };
        page.items.into_iter().filter_map(|notification| of_it(notification.notice)).collect()
    }

    pub async fn closes(&self, conversation: &str) -> usize {
        self.told(&key(conversation)).await.iter().filter(|told| told.kind == NoticeKind::Closed).count()
    }
}

pub async fn accept(node: &Node, event: Event) -> Receipt {
    match node.ingest(vec![event]).await.unwrap().remove(0) {
        Verdict::Accepted(receipt) => receipt,
        Verdict::Rejected(rejection) => panic!("rejected: {rejection}"),
    }
}
