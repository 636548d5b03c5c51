//! One partition's owner: reads its log, has each event applied by its conversation, commits what came of it in one
//! atomic write, and lets conversations close when the barrier allows it.
//!
//! Owns: the lease, the head of the chain of commits, and who lives here. Messages: [`AwaitApplied`], [`Stop`]; all else
//! comes from the log, the bell and the tick. Life: started by its node; claims, works, and claims anew after any commit
//! that was refused or whose outcome is unknown, with its memory dropped. A panic of the shard itself ends the actor; the
//! node starts another, which claims, and the old lease is good for nothing.

use std::cell::RefCell;
use std::collections::{HashSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::{Notify, oneshot};

use super::conversation::{Bell, StepFn, Surroundings};
use super::handle::Unready;
use super::options::NodeOptions;
use super::owner::{Owner, Woken};
use super::residents::{LiveCount, Residents};
use crate::clock::SharedClock;
use crate::domain::PartitionId;
use crate::domain::id::Fingerprint;
use crate::store::{LogId, Store};

/// Repeats remembered for those who wait to hear whether theirs was one: more than one request may bring.
const DUPLICATES_REMEMBERED: usize = 16_384;
/// Waits between attempts to claim a partition whose store does not answer.
const CLAIM_RETRY: [Duration; 4] =
    [Duration::from_millis(20), Duration::from_millis(100), Duration::from_millis(500), Duration::from_secs(2)];

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
pub struct Inbox {
    waiting: RefCell<Vec<Waiting>>,
    applied: RefCell<Progress>,
    stopping: std::cell::Cell<bool>,
    stopped: RefCell<Vec<oneshot::Sender<()>>>,
    pub called: Notify,
}

struct Waiting {
    ids: Vec<LogId>,
    answer: oneshot::Sender<Vec<bool>>,
}

#[derive(Default)]
struct Progress {
    checkpoint: LogId,
    repeats: HashSet<LogId>,
    order: VecDeque<LogId>,
}

impl Inbox {
    /// Everything up to `checkpoint` is committed; of what came since the last call, `repeats` changed nothing.
    pub fn applied_up_to(&self, checkpoint: LogId, repeats: impl IntoIterator<Item = LogId>) {
        let mut progress = self.applied.borrow_mut();
        progress.checkpoint = checkpoint;
        for id in repeats {
            progress.repeats.insert(id);
            progress.order.push_back(id);
        }
        while progress.order.len() > DUPLICATES_REMEMBERED {
            if let Some(oldest) = progress.order.pop_front() {
                progress.repeats.remove(&oldest);
            }
        }
        let mut waiting = self.waiting.borrow_mut();
        for reached in waiting.extract_if(.., |w| w.ids.iter().all(|id| *id <= checkpoint)) {
            let _ = reached.answer.send(reached.ids.iter().map(|id| progress.repeats.contains(id)).collect());
        }
        waiting.retain(|w| !w.answer.is_closed());
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.get()
    }
}

pub struct ShardActor {
    parts: ShardParts,
    inbox: Rc<Inbox>,
}

impl ShardActor {
    pub fn new(parts: ShardParts) -> Self {
        Self { parts, inbox: Rc::default() }
    }
}

impl Actor for ShardActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let life = live(self.parts.clone(), self.inbox.clone());
        ctx.spawn(life.into_actor(self).map(|(), _, ctx| ctx.stop()));
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.parts.status.ready.store(false, Ordering::Relaxed);
        self.inbox.stopped.borrow_mut().drain(..).for_each(|stopped| {
            let _ = stopped.send(());
        });
    }
}

/// The whole life of a shard: claim, work until a commit fails, drop everything, claim again.
async fn live(parts: ShardParts, inbox: Rc<Inbox>) {
    let (mut attempt, mut survived) = (0, None);
    while !inbox.is_stopping() {
        let claim = match parts.store.seize(parts.partition, parts.member.clone()).await {
            Ok(claim) => claim,
            Err(error) => {
                tracing::warn!(partition = %parts.partition, %error, "cannot claim the partition yet");
                tokio::time::sleep(CLAIM_RETRY[attempt.min(CLAIM_RETRY.len() - 1)]).await;
                attempt += 1;
                continue;
            }
        };
        let lease = claim.lease;
        let bell = Rc::new(Bell::default());
        let around = Surroundings { bell: bell.clone(), steady: parts.steady.clone(), step: parts.step, horizon: parts.options.horizon };
        let residents = Residents::new(around, parts.live.clone(), parts.status.live.clone());
        let mut owner = Owner::new(&parts, claim, residents, inbox.clone(), survived.take());
        inbox.applied_up_to(owner.checkpoint(), []);
        parts.status.ready.store(true, Ordering::Relaxed);
        let outcome = work(&mut owner, &parts, &inbox, &bell).await;
        parts.status.ready.store(false, Ordering::Relaxed);
        match outcome {
            Ok(()) => {
                let _ = parts.store.release(lease, None).await;
                return;
            }
            Err(error) => {
                super::meter::commit_failed(parts.partition, &error);
                survived = owner.trying();
                attempt = if owner.has_committed() { 0 } else { attempt + 1 };
                tokio::time::sleep(CLAIM_RETRY[attempt.min(CLAIM_RETRY.len() - 1)]).await;
            }
        }
    }
}

/// Turns, until told to stop (`Ok`) or a store call failed (`Err`: memory is not to be trusted).
async fn work(owner: &mut Owner<'_>, parts: &ShardParts, inbox: &Inbox, bell: &Bell) -> Result<(), crate::store::StoreError> {
    let mut tick = tokio::time::interval(parts.options.tick);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let entries = tokio::select! {
            biased;
            () = inbox.called.notified() => Woken::Called,
            _ = tick.tick() => Woken::Tick,
            () = bell.rung.notified(), if bell.is_silent() => Woken::Rung,
            () = std::future::ready(()), if !bell.is_silent() => Woken::Rung,
            entries = owner.read() => Woken::Entries(entries?),
        };
        if inbox.is_stopping() {
            return Ok(());
        }
        match entries {
            Woken::Called => {}
            Woken::Entries(entries) => owner.apply(entries).await?,
            Woken::Rung => owner.wake(bell.take(parts.options.due_batch)).await?,
            Woken::Tick => {
                owner.tick().await?;
                parts.status.ticks.fetch_add(1, Ordering::Relaxed);
            }
        }
        if owner.has_more() {
            tick.reset_immediately();
        }
    }
}

/// Answers when all of these are applied and committed: of each, whether it was a repeat.
#[derive(Message)]
#[rtype(result = "Option<Vec<bool>>")]
pub struct AwaitApplied(pub Vec<LogId>);

impl Handler<AwaitApplied> for ShardActor {
    type Result = ResponseFuture<Option<Vec<bool>>>;

    fn handle(&mut self, AwaitApplied(ids): AwaitApplied, _: &mut Self::Context) -> Self::Result {
        let (answer, answered) = oneshot::channel();
        self.inbox.waiting.borrow_mut().push(Waiting { ids, answer });
        let checkpoint = self.inbox.applied.borrow().checkpoint;
        self.inbox.applied_up_to(checkpoint, []);
        Box::pin(async move { answered.await.ok() })
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
        self.inbox.stopped.borrow_mut().push(stopped);
        self.inbox.stopping.set(true);
        self.inbox.called.notify_one();
        Box::pin(async move { drop(heard.await) })
    }
}

/// The way to a shard, whichever actor runs it at the moment.
#[derive(Clone)]
pub struct Door {
    pub(super) partition: PartitionId,
    pub(super) address: Arc<std::sync::RwLock<Addr<ShardActor>>>,
    pub(super) names: Arc<AppliedNames>,
    pub(super) status: Arc<Status>,
}

impl Door {
    pub(super) fn address(&self) -> Addr<ShardActor> {
        self.address.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    pub fn has_applied(&self, name: Fingerprint) -> bool {
        self.names.contains(name)
    }

    pub async fn applied(&self, ids: Vec<LogId>) -> Result<Vec<bool>, Unready> {
        let answer = self.address().send(AwaitApplied(ids)).await;
        answer.ok().flatten().ok_or(Unready::NoOwner { partition: self.partition })
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
