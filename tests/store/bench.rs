//! A store to be asked, the clock it goes by, and short names for what it is asked.

use std::sync::Arc;
use std::time::Duration;

use adjourn::clock::{Clock, ManualClock};
use adjourn::domain::event::MessageSource;
use adjourn::domain::notice::Cause;
use adjourn::domain::*;
use adjourn::store::embedded::{EmbeddedOptions, EmbeddedStore};
use adjourn::store::memory::MemoryStore;
use adjourn::store::redis::{RedisOptions, RedisStore, Target};
use adjourn::store::*;

use crate::rig::clock::ClockFile;
use crate::rig::server::{Options, Server};

pub const PARTITIONS: u16 = 4;
/// Unapplied entries from which on the stores under test refuse to take more.
pub const UNAPPLIED_MAX: u64 = 50;
/// Where nothing else is said.
pub const P: PartitionId = PartitionId(1);
pub const OTHER: PartitionId = PartitionId(2);
/// What the clock shows when a store is opened.
pub const START: i64 = 1_000_000;
pub const MANY: usize = 1_000;

/// The clock a store goes by: this process's own, or the one that its server believes.
#[derive(Clone)]
pub enum BenchClock {
    Own(Arc<ManualClock>),
    Server(Arc<ClockFile>),
}

impl BenchClock {
    /// Moves by `ms`, backwards where negative.
    pub fn jump(&self, ms: i64) {
        match self {
            Self::Own(clock) => clock.jump(ms),
            Self::Server(file) => file.jump(ms),
        }
    }

    pub fn now(&self) -> Timestamp {
        self.manual().now()
    }

    fn manual(&self) -> Arc<ManualClock> {
        match self {
            Self::Own(clock) => Arc::clone(clock),
            Self::Server(file) => file.manual(),
        }
    }
}

/// One store with nothing in it.
pub struct Bench {
    pub clock: BenchClock,
    store: Option<Arc<dyn Store>>,
    open: Open,
}

/// The model survives nothing but its own process: reopened, it is the one it was.
pub fn memory() -> Bench {
    Bench::new(memory_on)
}

/// A directory of its own, opened again from what is on the disk.
pub fn embedded() -> Bench {
    Bench::new(|clock| {
        let dir = tempfile::tempdir().unwrap();
        Box::new(move || {
            let options = EmbeddedOptions {
                partitions: Some(partitions()),
                backlog_max: UNAPPLIED_MAX,
                ..EmbeddedOptions::new(Arc::clone(&clock) as _)
            };
            EmbeddedStore::open(dir.path(), options).unwrap()
        })
    })
}

/// A Redis of its own that goes by the clock of the bench; opened again, the connections are new.
pub fn redis() -> Bench {
    let file = Arc::new(ClockFile::absolute(at(START)));
    let server = Server::start(Options { clock: Some(Arc::clone(&file)), ..Options::default() });
    let open: Open = Box::new(move || open_redis(&server.url()));
    Bench::with(BenchClock::Server(file), open)
}

/// On a thread of its own: opening waits for answers, and the test's thread is busy waiting for it.
fn open_redis(url: &str) -> Arc<dyn Store> {
    let options = RedisOptions { partitions: Some(partitions()), backlog_max: UNAPPLIED_MAX, ..RedisOptions::new("bench") };
    let target: Target = url.parse().unwrap();
    let opening = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(RedisStore::open(target, options)).unwrap()
    });
    opening.join().unwrap()
}

fn memory_on(clock: Arc<ManualClock>) -> Open {
    let store = MemoryStore::bounded(partitions(), clock, UNAPPLIED_MAX);
    Box::new(move || Arc::clone(&store) as _)
}

/// Opens a store, again and again; the one opened before was dropped by then.
pub type Open = Box<dyn FnMut() -> Arc<dyn Store> + Send>;

pub fn partitions() -> PartitionCount {
    PartitionCount::new(PARTITIONS).unwrap()
}

impl Bench {
    /// `prepare` is told the clock the store is to go by.
    pub fn new(prepare: impl FnOnce(Arc<ManualClock>) -> Open) -> Self {
        Self::on(ManualClock::at(at(START)), prepare)
    }

    /// A model that goes by the clock of this bench.
    pub fn model_beside(&self) -> Self {
        Self::with(self.clock.clone(), memory_on(self.clock.manual()))
    }

    fn on(clock: Arc<ManualClock>, prepare: impl FnOnce(Arc<ManualClock>) -> Open) -> Self {
        let open = prepare(Arc::clone(&clock));
        Self::with(BenchClock::Own(clock), open)
    }

    fn with(clock: BenchClock, mut open: Open) -> Self {
        Self { clock, store: Some(open()), open }
    }

    pub fn store(&self) -> &dyn Store {
        &**self.store.as_ref().expect("open but while it is reopened")
    }

    /// Ends the store and opens it again: what it promised to keep, it kept.
    pub fn reopen(&mut self) {
        self.store = None;
        self.store = Some((self.open)());
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

    /// Everything a reader can see, part by part, to be compared with what it is later.
    pub async fn dump(&self) -> Vec<String> {
        let store = self.store();
        let mut parts = vec![
            format!("{:?}", store.stats().await.unwrap()),
            format!("{:?}", store.all_settings().await.unwrap()),
            format!("{:?}", store.notification_heads()),
        ];
        for partition in partitions().all() {
            parts.push(format!("{partition}: {:?}", store.scan(partition, None, None, MANY).await.unwrap()));
            parts.push(format!("{:?}", store.due(partition, Timestamp::MAX, None, MANY).await.unwrap()));
            parts.push(format!("{:?}", store.notifications(partition, 0, MANY).await.unwrap()));
            parts.push(format!("{:?}", store.dead_letters(partition, LogId::ZERO, MANY).await.unwrap()));
            parts.push(format!("{:?}", store.applied_settings(partition, "acme".into()).await.unwrap()));
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

pub fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

pub fn key(text: &str) -> ConversationKey {
    ConversationKey::parse(text).unwrap()
}

pub fn event(id: &str) -> Event {
    let kind = EventKind::Message { source: MessageSource::User, agent: Some("ana".into()), message_id: None };
    Event { name: EventName::new("/test", id).unwrap(), conversation: key("acme/c1"), time: at(START), kind }
}

pub fn entry(id: &str) -> Entry {
    Entry::Event(event(id))
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
