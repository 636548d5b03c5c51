//! A store to be asked, the clock it goes by, and short names for what it is asked.

use std::sync::Arc;
use std::time::Duration;

use adjourn::clock::{Clock, ManualClock};
use adjourn::domain::event::MessageSource;
use adjourn::domain::listing::{Of, Section, SectionQuery};
use adjourn::domain::notice::{Cause, Status};
use adjourn::domain::report::Day;
use adjourn::domain::*;
use adjourn::store::embedded::{EmbeddedOptions, EmbeddedStore};
use adjourn::store::memory::MemoryStore;
use adjourn::store::testing::StoreInTests;
use adjourn::store::*;
use futures_util::future::{BoxFuture, FutureExt};

pub const PARTITIONS: u16 = 4;
/// Unapplied entries from which on the stores under test refuse to take more.
pub const UNAPPLIED_MAX: u64 = 50;
/// Where nothing else is said.
pub const P: PartitionId = PartitionId(1);
pub const OTHER: PartitionId = PartitionId(2);
/// What the clock shows when a store is opened.
pub const START: i64 = 1_000_000;
pub const MANY: usize = 1_000;
/// Longest wait for what a store tells of its own accord: hints, heads and signals may come by way of another process.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// Between two looks at what nobody tells.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// One store with nothing in it.
pub struct Bench {
    pub clock: Hands,
    store: Option<Arc<dyn Store>>,
    open: Open,
}

/// The clock a store goes by, in this process or another one.
pub struct Hands {
    shown: Arc<ManualClock>,
    turn: Box<dyn Fn(i64) + Send + Sync>,
}

impl Hands {
    /// `turn` moves the clock by so many milliseconds, and what `shown` shows with it.
    pub fn new(shown: Arc<ManualClock>, turn: impl Fn(i64) + Send + Sync + 'static) -> Self {
        Self { shown, turn: Box::new(turn) }
    }

    fn here() -> Self {
        let clock = ManualClock::at(at(START));
        Self::new(Arc::clone(&clock), move |ms| clock.jump(ms))
    }

    /// A clock that nobody moves.
    pub fn tied() -> Self {
        Self::new(ManualClock::at(at(START)), |_| panic!("this store goes by the machine's clock"))
    }

    pub fn now(&self) -> Timestamp {
        self.shown.now()
    }

    /// Moves by `ms`, backwards where negative.
    pub fn jump(&self, ms: i64) {
        (self.turn)(ms);
    }
}

/// The model survives nothing but its own process: reopened, it is the one it was.
pub async fn memory() -> Bench {
    let clock = Hands::here();
    let open = memory_on(Arc::clone(&clock.shown));
    Bench::new(clock, open).await
}

/// A directory of its own, opened again from what is on the disk.
pub async fn embedded() -> Bench {
    let clock = Hands::here();
    let (shown, dir) = (Arc::clone(&clock.shown), tempfile::tempdir().unwrap());
    let open = move || {
        let options =
            EmbeddedOptions { partitions: Some(partitions()), backlog_max: UNAPPLIED_MAX, ..EmbeddedOptions::new(Arc::clone(&shown) as _) };
        let store: Arc<dyn Store> = EmbeddedStore::open(dir.path(), options).unwrap();
        std::future::ready(store).boxed()
    };
    Bench::new(clock, Box::new(open)).await
}

fn memory_on(clock: Arc<ManualClock>) -> Open {
    let store = MemoryStore::bounded(partitions(), clock, UNAPPLIED_MAX);
    Box::new(move || std::future::ready(Arc::clone(&store) as _).boxed())
}

/// Opens a store, again and again; the one opened before was dropped by then.
pub type Open = Box<dyn FnMut() -> BoxFuture<'static, Arc<dyn Store>> + Send>;

pub fn partitions() -> PartitionCount {
    PartitionCount::new(PARTITIONS).unwrap()
}

impl Bench {
    pub async fn new(clock: Hands, mut open: Open) -> Self {
        Self { clock, store: Some(open().await), open }
    }

    /// A model that goes by the clock of this bench.
    pub async fn model_beside(&self) -> Self {
        let clock = Arc::clone(&self.clock.shown);
        let never = |_| panic!("the clock is moved by whoever the model stands beside");
        Self::new(Hands::new(Arc::clone(&clock), never), memory_on(clock)).await
    }

    pub fn store(&self) -> &dyn Store {
        &**self.store.as_ref().expect("open but while it is reopened")
    }

    /// Ends the store and opens it again: what it promised to keep, it kept.
    pub async fn reopen(&mut self) {
        self.store = None;
        self.store = Some((self.open)().await);
    }

    pub async fn append(&self, ids: &[&str]) -> Vec<LogId> {
        self.store().append(ids.iter().map(|id| (P, entry(id))).collect()).await.unwrap()
    }

    pub async fn read(&self, partition: PartitionId, after: LogId) -> Vec<LogEntry> {
        self.store().read(partition, after, MANY, Duration::ZERO).await.unwrap()
    }

    pub async fn claim(&self) -> Owner {
        self.claim_of(P).await
    }

    pub async fn claim_of(&self, partition: PartitionId) -> Owner {
        let Claim { lease, head, checkpoint, .. } = self.store().seize(partition, Member::default()).await.unwrap();
        Owner { lease, head, checkpoint }
    }

    /// Writes one batch as `owner`, who goes on from it if it was written.
    pub async fn commit(&self, owner: &mut Owner, fill: impl FnOnce(&mut Batch)) -> Result<(), StoreError> {
        let mut batch = owner.batch();
        fill(&mut batch);
        let (id, checkpoint) = (batch.id, batch.checkpoint);
        self.store().commit(owner.lease, batch).await?;
        (owner.head, owner.checkpoint) = (id, checkpoint);
        Ok(())
    }

    /// The lease record of `P`, as anybody sees it.
    pub async fn holder(&self) -> Option<Holder> {
        self.store().cluster().await.unwrap().holders.swap_remove(usize::from(P.0))
    }

    /// The heads, once they have come up to what is committed.
    pub async fn heads(&self) -> Vec<u64> {
        let committed: Vec<u64> = self.store().stats().await.unwrap().iter().map(|stats| stats.last_notification).collect();
        let came_up = async {
            while self.store().notification_heads() != committed {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        // In vain: then whoever asked sees by how much.
        let _ = tokio::time::timeout(PATIENCE, came_up).await;
        self.store().notification_heads()
    }

    /// Everything a reader can see, part by part, to be compared with what it is later.
    pub async fn dump(&self) -> Vec<String> {
        let store = self.store();
        let mut parts = vec![
            format!("{:?}", store.stats().await.unwrap()),
            format!("{:?}", store.all_settings().await.unwrap()),
            format!("{:?}", self.heads().await),
        ];
        for partition in partitions().all() {
            parts.push(format!("{partition}: {:?}", store.scan(partition, None, None, MANY).await.unwrap()));
            parts.push(format!("{:?}", store.due(partition, Timestamp::MAX, None, MANY).await.unwrap()));
            parts.push(format!("{:?}", store.notifications(partition, 0, MANY).await.unwrap()));
            parts.push(format!("{:?}", store.dead_letters(partition, LogId::ZERO, MANY).await.unwrap()));
            parts.push(format!("{:?}", store.applied_settings(partition, "acme".into()).await.unwrap()));
            let days = store.rollups_before(partition, Day(i32::MAX), MANY).await.unwrap();
            parts.push(format!("{days:?} {:?}", store.rollups(partition, "acme".into(), (0..3).map(Day).collect(), None).await.unwrap()));
            let agent = |id: &str| Of::Agent(id.into());
            let lists = [
                ("a", Of::Anybody),
                ("a", Of::Nobody),
                ("a", agent("ana")),
                ("a", agent("ana b")),
                ("ab", Of::Anybody),
                ("acme", Of::Anybody),
            ];
            for (workspace, of) in lists {
                let sections: Vec<Section> = Status::ALL.iter().map(|status| section(*status, of.clone())).collect();
                parts.push(format!("{:?}", store.listed(partition, whole(workspace, &sections)).await.unwrap()));
            }
            let checkpoint = store.stats().await.unwrap()[usize::from(partition.0)].checkpoint;
            parts.push(format!("{:?}", self.read(partition, checkpoint).await));
        }
        parts
    }
}

/// Whoever holds a partition, and where its chain stands.
#[derive(Clone, Copy)]
pub struct Owner {
    pub lease: Lease,
    pub head: CommitId,
    pub checkpoint: LogId,
}

impl Owner {
    pub fn batch(&self) -> Batch {
        Batch::new(self.head, self.checkpoint)
    }
}

pub fn member(node: &str, instance: u64) -> Member {
    Member { node: node.into(), instance }
}

pub fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

pub fn key(text: &str) -> ConversationKey {
    ConversationKey::parse(text).unwrap()
}

pub fn event(id: &str) -> Event {
    let kind = EventKind::Message { source: MessageSource::User, agent: Some("ana".into()), message_id: None, text: None };
    Event { name: EventName::new("/test", id).unwrap(), conversation: key("acme/c1"), time: at(START), kind }
}

pub fn entry(id: &str) -> Entry {
    Entry::Event(event(id))
}

pub fn again(accepted_at: i64) -> Entry {
    Entry::Again { event: Box::new(event("e1")), accepted_at: at(accepted_at) }
}

pub fn settings(version: u64) -> Settings {
    Settings { version, ..Settings::default() }
}

/// A conversation that can be told from others by its version.
pub fn conversation(version: u64) -> Conversation {
    Conversation { version, ..Conversation::new(at(START)) }
}

pub fn put(key_text: &str, indexed_at: Option<i64>, look_at: Option<i64>) -> RowWrite {
    put_version(key_text, 1, indexed_at, look_at)
}

pub fn put_version(key_text: &str, version: u64, indexed_at: Option<i64>, look_at: Option<i64>) -> RowWrite {
    let change = RowChange::Put { conversation: Arc::new(conversation(version)), look_at: look_at.map(at) };
    RowWrite { key: key(key_text), indexed_at: indexed_at.map(at), change }
}

pub fn remove(key_text: &str, indexed_at: Option<i64>) -> RowWrite {
    RowWrite { key: key(key_text), indexed_at: indexed_at.map(at), change: RowChange::Remove }
}

pub fn section(status: Status, of: Of) -> Section {
    Section { status, of, prefix: "".into() }
}

/// All of these sections.
pub fn whole(workspace: &str, sections: &[Section]) -> SectionQuery {
    SectionQuery { workspace: workspace.into(), sections: sections.into(), after: None, limit: MANY }
}

pub fn notification(number: u64, previous: Option<u64>) -> Notification {
    let conversation = conversation(number);
    let snapshot = Snapshot::of(&conversation, &Settings::default(), at(START));
    let cause = Cause::SnoozeElapsed;
    let notice = ConversationNotice { key: key("acme/c1"), kind: NoticeKind::Armed, at: at(START), cause, snapshot };
    Notification { number, previous, notice: Notice::Conversation(Box::new(notice)) }
}

pub fn dead_letter(id: LogId) -> DeadLetter {
    DeadLetter { partition: P, id, conversation: Some(key("acme/c1")), reason: "it made a step panic".into(), entry: Ok(entry("e1")) }
}

pub fn is_refused(result: &Result<(), StoreError>) -> bool {
    matches!(result, Err(StoreError::Refused(_)))
}

pub fn is_fenced(result: &Result<(), StoreError>) -> bool {
    matches!(result, Err(StoreError::Fenced { partition: P }))
}
