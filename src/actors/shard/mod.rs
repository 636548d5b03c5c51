//! One partition's owner: reads its log, has each event applied by its conversation, commits what came of it in one
//! atomic write, and lets conversations close when the barrier allows it.
//!
//! Owns: the lease, the head of the chain of commits, and who lives here. Messages: [`Obey`], [`AwaitApplied`], [`Stop`];
//! all else comes from the log, the queue of who is due and the tick. Life ([`tenure`]): started by its node; rests until told to take
//! its partition, works, and claims anew after any commit that was refused or whose outcome is unknown, with its memory
//! dropped. A panic of the shard itself ends the actor; the node starts another, which claims, and the old lease is good
//! for nothing.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use actix::prelude::*;
use tokio::sync::{Notify, RwLock, Semaphore, SemaphorePermit, oneshot};

use crate::actors::node::options::NodeOptions;
use crate::actors::notes::desk::Desk;
use crate::clock::SharedClock;
use crate::domain::PartitionId;
use crate::domain::id::Fingerprint;
use crate::store::{LogId, Mark, Store};

pub mod conversation;
pub mod residents;
pub mod tenure;
pub mod turns;

use conversation::StepFn;
use residents::LiveCount;
use tenure::{Instruction, Order, live};

/// Marks of entries, remembered for those who wait to hear what came of theirs: more than one request may bring.
const MARKS_REMEMBERED: usize = 16_384;
/// Entries or wake-ups from which on a turn is large: less takes the thread for a fraction of a millisecond.
const LARGE_TURN: usize = 64;

/// What a shard is made of.
#[derive(Clone)]
pub struct ShardParts {
    pub partition: PartitionId,
    pub member: crate::store::Member,
    pub store: Arc<dyn Store>,
    pub steady: SharedClock,
    pub options: Arc<NodeOptions>,
    pub step: StepFn,
    pub live: LiveCount,
    pub names: Arc<AppliedNames>,
    pub status: Arc<Status>,
    /// Rung when the node should see anew who has what.
    pub news: Arc<Notify>,
    /// For turns that carry much, shared by the shards of one Arbiter.
    pub turns: Arc<Semaphore>,
    /// Written by the shard that tries a suspect entry alone, read by all others of the node that apply entries: were anything
    /// else applied meanwhile, a death of that would be blamed on the suspect, each time anew.
    pub suspects: Arc<RwLock<()>>,
    /// Where notes that are wanted are left word of.
    pub desk: Arc<Desk>,
}

impl ShardParts {
    /// The right to a turn that carries so much; a small one needs none. Not to be asked for by whoever has one.
    pub(super) async fn large_turn(&self, load: usize) -> Option<SemaphorePermit<'_>> {
        if load <= LARGE_TURN {
            return None;
        }
        self.turns.acquire().await.ok() // never closed
    }
}

/// What everybody may see of a shard.
#[derive(Default)]
pub struct Status {
    pub ready: AtomicBool,
    /// Told to stop: nobody is to start it anew.
    pub stopping: AtomicBool,
    pub live: Arc<AtomicUsize>,
    /// Ticks finished: what was overdue before one has been looked at after it.
    pub ticks: AtomicU64,
}

/// Names of events applied lately on this node, in a table of fixed size: a hint for answers that do not wait.
pub struct AppliedNames(Box<[AtomicU64]>);

impl AppliedNames {
    /// 512 KiB: the last tens of thousands of events, which is where repeats of a retrying producer are.
    const SLOTS: usize = 1 << 16;

    pub fn new() -> Self {
        Self((0..Self::SLOTS).map(|_| AtomicU64::new(0)).collect())
    }

    pub fn remember(&self, name: Fingerprint) {
        self.0[name.0 as usize % Self::SLOTS].store(name.0, Ordering::Relaxed);
    }

    pub fn contains(&self, name: Fingerprint) -> bool {
        self.0[name.0 as usize % Self::SLOTS].load(Ordering::Relaxed) == name.0
    }
}

impl Default for AppliedNames {
    fn default() -> Self {
        Self::new()
    }
}

/// What others have asked of the shard, until its loop comes to it.
#[derive(Default)]
pub struct Requests {
    waiting: RefCell<Vec<Waiting>>,
    /// Of the tenure that is going on; `None`: the partition is not owned here.
    applied: RefCell<Option<Progress>>,
    order: RefCell<Option<Instruction>>,
    stopping: std::cell::Cell<bool>,
    stopped: RefCell<Vec<oneshot::Sender<()>>>,
    pub called: Notify,
}

struct Waiting {
    ids: Vec<LogId>,
    answer: oneshot::Sender<Vec<Option<Mark>>>,
}

#[derive(Default)]
struct Progress {
    /// What the owners before this one had applied: what came of it, they knew.
    begin: LogId,
    checkpoint: LogId,
    marks: HashMap<LogId, Mark>,
    order: VecDeque<LogId>,
}

impl Requests {
    /// The partition is owned from here on, with everything up to `checkpoint` applied.
    pub fn begin(&self, checkpoint: LogId) {
        *self.applied.borrow_mut() = Some(Progress { begin: checkpoint, checkpoint, ..Progress::default() });
    }

    /// It is owned no longer. Whoever waits is told so, and asks the store.
    pub fn end(&self) {
        self.applied.borrow_mut().take();
        self.waiting.borrow_mut().clear();
    }

    /// Everything up to `checkpoint` is committed; these are the marks of what came since the last call.
    pub fn applied_up_to(&self, checkpoint: LogId, marks: impl IntoIterator<Item = (LogId, Mark)>) {
        let mut applied = self.applied.borrow_mut();
        let Some(progress) = applied.as_mut() else { return };
        progress.checkpoint = checkpoint;
        for (id, mark) in marks {
            progress.marks.insert(id, mark);
            progress.order.push_back(id);
        }
        while progress.order.len() > MARKS_REMEMBERED {
            if let Some(oldest) = progress.order.pop_front() {
                progress.marks.remove(&oldest);
            }
        }
        let mut waiting = self.waiting.borrow_mut();
        for reached in waiting.extract_if(.., |w| w.ids.iter().all(|id| *id <= checkpoint)) {
            let _ = reached.answer.send(reached.ids.iter().map(|id| progress.marks.get(id).copied()).collect());
        }
        waiting.retain(|w| !w.answer.is_closed());
    }

    /// `None`: this is not for this tenure to say.
    fn wait(&self, ids: Vec<LogId>) -> Option<oneshot::Receiver<Vec<Option<Mark>>>> {
        let checkpoint = match &*self.applied.borrow() {
            Some(progress) if ids.iter().all(|id| *id > progress.begin) => progress.checkpoint,
            Some(_) | None => return None,
        };
        let (answer, answered) = oneshot::channel();
        self.waiting.borrow_mut().push(Waiting { ids, answer });
        self.applied_up_to(checkpoint, []);
        Some(answered)
    }

    /// The latest order, once.
    pub fn take_order(&self) -> Option<Instruction> {
        self.order.borrow_mut().take()
    }

    pub fn is_told_to_give_back(&self) -> bool {
        self.order.borrow().as_ref().is_some_and(|told| matches!(told.order, Order::GiveBack { .. }))
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.get()
    }
}

pub struct ShardActor {
    parts: ShardParts,
    requests: Rc<Requests>,
}

impl ShardActor {
    pub fn new(parts: ShardParts) -> Self {
        Self { parts, requests: Rc::default() }
    }
}

impl Actor for ShardActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let life = live(self.parts.clone(), self.requests.clone());
        ctx.spawn(life.into_actor(self).map(|(), _, ctx| ctx.stop()));
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.parts.status.ready.store(false, Ordering::Relaxed);
        self.requests.stopped.borrow_mut().drain(..).for_each(|stopped| {
            let _ = stopped.send(());
        });
    }
}

/// What the node wants of its partition. The latest order counts.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Obey(pub Instruction);

impl Handler<Obey> for ShardActor {
    type Result = ();

    fn handle(&mut self, Obey(told): Obey, _: &mut Self::Context) {
        *self.requests.order.borrow_mut() = Some(told);
        self.requests.called.notify_one();
    }
}

/// Answers when all of these are applied and committed: of each, what is known of it. `None`: ask the store.
#[derive(Message)]
#[rtype(result = "Option<Vec<Option<Mark>>>")]
pub struct AwaitApplied(pub Vec<LogId>);

impl Handler<AwaitApplied> for ShardActor {
    type Result = ResponseFuture<Option<Vec<Option<Mark>>>>;

    fn handle(&mut self, AwaitApplied(ids): AwaitApplied, _: &mut Self::Context) -> Self::Result {
        let answered = self.requests.wait(ids);
        Box::pin(async move { answered?.await.ok() })
    }
}

/// Finish the turn, give the partition back and leave. Answers when that is done.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Stop;

impl Handler<Stop> for ShardActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, Stop: Stop, _: &mut Self::Context) -> Self::Result {
        let (stopped, heard) = oneshot::channel();
        self.requests.stopped.borrow_mut().push(stopped);
        self.requests.stopping.set(true);
        self.requests.called.notify_one();
        Box::pin(async move { drop(heard.await) })
    }
}

/// The way to a shard, whichever actor runs it at the moment.
#[derive(Clone)]
pub struct ShardHandle {
    pub(super) partition: PartitionId,
    pub(super) address: Arc<std::sync::RwLock<Addr<ShardActor>>>,
    pub(super) names: Arc<AppliedNames>,
    pub(super) status: Arc<Status>,
}

impl ShardHandle {
    pub(super) fn address(&self) -> Addr<ShardActor> {
        self.address.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    pub fn has_applied(&self, name: Fingerprint) -> bool {
        self.names.contains(name)
    }

    /// `None`: its shard does not have the partition, or no longer; ask the store.
    pub async fn applied(&self, ids: Vec<LogId>) -> Option<Vec<Option<Mark>>> {
        if !self.is_ready() {
            return None;
        }
        self.address().send(AwaitApplied(ids)).await.ok().flatten()
    }

    /// An order that finds the mailbox full is given again at the next round.
    pub(super) fn obey(&self, told: Instruction) {
        let _ = self.address().try_send(Obey(told));
    }

    pub fn is_ready(&self) -> bool {
        self.status.ready.load(Ordering::Relaxed)
    }

    pub fn live(&self) -> usize {
        self.status.live.load(Ordering::Relaxed)
    }

    pub fn ticks(&self) -> u64 {
        self.status.ticks.load(Ordering::Relaxed)
    }

    pub async fn stop(&self) {
        self.status.stopping.store(true, Ordering::Relaxed);
        let _ = self.address().send(Stop).await;
    }
}
