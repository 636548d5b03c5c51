//! A process's way to the store. Calls arrive late, twice, or never; answers get lost; and the process may die just before a
//! call arrives or just after it was carried out, before it hears of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use adjourn::clock::Clock;
use adjourn::domain::{PartitionId, Settings};
use adjourn::faults::{Bug, planted};
use adjourn::store::memory::MemoryStore;
use adjourn::store::ring::Ring;
use adjourn::store::*;
use futures_util::future::{BoxFuture, FutureExt};
use tokio::sync::oneshot;

use super::fate::{Fate, Troubles};
use super::ground::{Ground, Shown};
use super::poison;
use super::time::SimClock;

/// How long a caller of the real store waits for an answer.
const PATIENCE: Duration = Duration::from_millis(1_000);
pub struct Line {
    pub ground: Arc<Ground>,
    clock: Arc<SimClock>,
    ended: AtomicBool,
    troubles: Mutex<Troubles>,
    /// What was acknowledged over this line in the last seconds, in case the store loses it.
    pub ring: Ring,
    /// What both clocks showed at each partition's last barrier.
    shown: Mutex<BTreeMap<PartitionId, Shown>>,
    strict: bool,
}

type Answer<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

impl Line {
    pub fn to(ground: &Arc<Ground>, clock: &Arc<SimClock>, strict: bool) -> Arc<Self> {
        Arc::new(Self {
            ground: ground.clone(),
            clock: clock.clone(),
            ended: AtomicBool::new(false),
            troubles: Mutex::default(),
            ring: Ring::default(),
            shown: Mutex::default(),
            strict,
        })
    }

    pub fn troubles(&self) -> MutexGuard<'_, Troubles> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The process is gone.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    pub fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    pub fn heal(&self) {
        *self.troubles() = Troubles::default();
    }

    fn store(&self) -> &Arc<MemoryStore> {
        &self.ground.store
    }

    fn shown(&self) -> MutexGuard<'_, BTreeMap<PartitionId, Shown>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pass<'a, T: Send + 'a>(&'a self, _: &'static str, call: impl FnOnce() -> Answer<'a, T>) -> Answer<'a, T> {
        self.ask(call())
    }

    /// A call that changes nothing: nobody is harmed by its arrival after its caller has gone.
    fn ask<'a, T: Send + 'a>(&'a self, call: Answer<'a, T>) -> Answer<'a, T> {
        async move {
            if self.ends_here() {
                return std::future::pending().await;
            }
            match self.fate(false, false) {
                Fate::EndBefore => self.die().await,
                Fate::EndAfter => {
                    let _ = call.await;
                    self.die().await
                }
                Fate::Late(before, after) => {
                    pause(before).await;
                    let answer = call.await;
                    pause(after).await;
                    self.if_alive(answer).await
                }
                Fate::Lost | Fate::AnswerLost | Fate::Held(_) => self.no_answer().await,
                Fate::Refused => Err(refused()),
                Fate::Straight | Fate::Doubled | Fate::Swallowed => {
                    let answer = call.await;
                    // A question may have been waiting when the line broke.
                    if self.is_broken() { self.no_answer().await } else { self.if_alive(answer).await }
                }
            }
        }
        .boxed()
    }

    fn is_broken(&self) -> bool {
        let (now, troubles) = (self.ground.time.virtual_ms(), self.troubles());
        troubles.cut_until > now || troubles.deaf_until > now
    }

    /// A call that writes. It may arrive long after its caller is gone. `call` is told whether it is made for the last time.
    fn tell<T: Send + 'static>(&self, is_commit: bool, mut call: impl FnMut(bool) -> Answer<'static, T> + Send + 'static) -> Answer<'_, T> {
        async move {
            if self.ends_here() {
                return std::future::pending().await;
            }
            match self.fate(is_commit, true) {
                Fate::EndBefore => self.die().await,
                Fate::EndAfter => {
                    let _ = call(true).await;
                    self.die().await
                }
                Fate::Late(before, after) => {
                    let answered = later(before, call);
                    let answer = answered.await.unwrap_or_else(|_| Err(no_word()));
                    pause(after).await;
                    self.if_alive(answer).await
                }
                Fate::Held(ms) => {
                    let answered = later(ms, call);
                    match tokio::time::timeout(PATIENCE, answered).await {
                        Ok(answer) => self.if_alive(answer.unwrap_or_else(|_| Err(no_word()))).await,
                        Err(_) => self.if_alive(Err(no_word())).await,
                    }
                }
                Fate::Lost => self.no_answer().await,
                Fate::AnswerLost => {
                    let _ = call(true).await;
                    self.no_answer().await
                }
                Fate::Refused => Err(refused()),
                Fate::Doubled => {
                    let answer = call(false).await;
                    let _ = call(true).await;
                    self.if_alive(answer).await
                }
                Fate::Swallowed => std::future::pending().await,
                Fate::Straight => {
                    let answer = call(true).await;
                    self.if_alive(answer).await
                }
            }
        }
        .boxed()
    }

    /// Whether the process is gone, be it by the step it has just taken.
    fn ends_here(&self) -> bool {
        if poison::has_died() {
            // The event may kill as many as it takes to find it: each death is a fault of its own.
            self.ground.slow_for(0);
            self.end();
        }
        if !self.ground.may_call() {
            self.end();
        }
        self.is_ended()
    }

    async fn die<T>(&self) -> T {
        self.end();
        std::future::pending().await
    }

    async fn if_alive<T>(&self, answer: T) -> T {
        if self.is_ended() { std::future::pending().await } else { answer }
    }

    async fn no_answer<T>(&self) -> Result<T, StoreError> {
        tokio::time::sleep(PATIENCE).await;
        self.if_alive(Err(no_word())).await
    }

    /// Takes entries without any trouble on the way, and takes note.
    pub fn append_now(ground: &Ground, entries: Vec<(PartitionId, Entry)>) -> Result<Vec<LogId>, StoreError> {
        let taken = ground.store.append(entries.clone()).now_or_never().unwrap_or_else(|| Err(no_word()))?;
        ground.appended(&entries, &taken);
        Ok(taken)
    }
}

/// Carries out a call after a while, whatever becomes of its caller.
fn later<T: Send + 'static>(
    ms: u64,
    mut call: impl FnMut(bool) -> Answer<'static, T> + Send + 'static,
) -> oneshot::Receiver<Result<T, StoreError>> {
    let (answer, answered) = oneshot::channel();
    tokio::spawn(async move {
        pause(ms).await;
        let _ = answer.send(call(true).await);
    });
    answered
}

async fn pause(ms: u64) {
    if ms > 0 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}

fn no_word() -> StoreError {
    StoreError::OutcomeUnknown("the line says nothing".into())
}

fn refused() -> StoreError {
    StoreError::Refused("the line says so".into())
}

impl Store for Line {
    // Nothing but questions, but for a node that goes, a drain and a pin: these may be asked for again.
    adjourn::forward_store! {
        partitions incarnation clock read load rollups texts rollups_before due listed scan walk applied notifications
        notification_signal applied_settings settings all_settings document dead_letters stats count_due is_exclusive cluster
        leave drain pin closes_held hold_closes release_hold hints
    }

    fn append(&self, entries: Vec<(PartitionId, Entry)>) -> Answer<'_, Vec<LogId>> {
        let (ground, strict, kept) = (self.ground.clone(), self.strict, entries.clone());
        let mut entries = entries;
        let call = move |last: bool| {
            let ground = ground.clone();
            let entries = if last { std::mem::take(&mut entries) } else { entries.clone() };
            async move {
                let ids = Self::append_now(&ground, entries)?;
                // In strict mode nothing counts before the replica has it, and that hears nothing.
                let waits = strict && !planted(Bug::AckBeforeReplica);
                if waits && ground.journal().doomed { Err(no_word()) } else { Ok(ids) }
            }
            .boxed()
        };
        let told = self.tell(false, call);
        async move {
            let primary = self.ground.journal().primary;
            let ids = told.await?;
            self.ring.remember(kept.into_iter().zip(&ids));
            // As the Redis store does: the next primary may have been told what to take again before these were remembered.
            if self.ground.journal().primary == primary { Ok(ids) } else { Err(no_word()) }
        }
        .boxed()
    }

    fn barrier(&self, partition: PartitionId) -> Answer<'_, Barrier> {
        let (node, barrier) = (self.clock.now(), self.ask(self.store().barrier(partition)));
        async move {
            let barrier = barrier.await?;
            self.shown().insert(partition, Shown { store: barrier.clock, node });
            Ok(barrier)
        }
        .boxed()
    }

    fn claim(&self, partition: PartitionId, by: Member, over: Option<Holder>) -> Answer<'_, Claim> {
        let ground = self.ground.clone();
        self.tell(false, move |_| {
            let (ground, by, over) = (ground.clone(), by.clone(), over.clone());
            async move {
                let claim = ground.store.claim(partition, by, over).await?;
                ground.claimed(claim.lease);
                Ok(claim)
            }
            .boxed()
        })
    }

    fn renew(&self, lease: Lease) -> Answer<'_, ()> {
        let store = self.store().clone();
        self.tell(false, move |_| {
            let store = store.clone();
            async move { store.renew(lease).await }.boxed()
        })
    }

    fn release(&self, lease: Lease, to: Option<Box<str>>) -> Answer<'_, ()> {
        let store = self.store().clone();
        self.tell(false, move |_| {
            let (store, to) = (store.clone(), to.clone());
            async move { store.release(lease, to).await }.boxed()
        })
    }

    fn commit(&self, lease: Lease, batch: Batch) -> Answer<'_, ()> {
        let ground = self.ground.clone();
        // A clock that is set back while a commit is on its way takes nothing back.
        let shown = self.shown().get(&lease.partition).copied().unwrap_or_default();
        let mut batch = Some(batch);
        self.tell(true, move |last| {
            let ground = ground.clone();
            let batch = if last { batch.take() } else { batch.clone() };
            async move {
                let batch = batch.ok_or_else(no_word)?;
                ground.store.commit(lease, batch.clone()).await?;
                ground.committed(lease, batch, shown);
                Ok(())
            }
            .boxed()
        })
    }

    fn notification_heads(&self) -> Vec<u64> {
        let known = self.ground.journal().heads_known_to_replica(self.strict);
        known.unwrap_or_else(|| self.store().notification_heads())
    }

    fn record_settings(&self, workspace: Box<str>, expected: u64, settings: Settings, history: Option<Vec<u8>>) -> Answer<'_, bool> {
        let (ground, strict) = (self.ground.clone(), self.strict);
        self.tell(false, move |_| {
            let (ground, workspace, settings, history) = (ground.clone(), workspace.clone(), settings.clone(), history.clone());
            async move {
                let put = ground.store.record_settings(workspace, expected, settings, history).await?;
                if strict && ground.journal().doomed { Err(no_word()) } else { Ok(put) }
            }
            .boxed()
        })
    }

    fn put_document(&self, shelf: Shelf, workspace: Box<str>, expected: u64, document: Document) -> Answer<'_, bool> {
        let ground = self.ground.clone();
        self.tell(false, move |_| {
            let (ground, workspace, document) = (ground.clone(), workspace.clone(), document.clone());
            async move { ground.store.put_document(shelf, workspace, expected, document).await }.boxed()
        })
    }

    fn heartbeat(&self, record: NodeRecord, over: Option<u64>) -> Answer<'_, bool> {
        let store = self.store().clone();
        self.tell(false, move |_| {
            let (store, record) = (store.clone(), record.clone());
            async move { store.heartbeat(record, over).await }.boxed()
        })
    }
}
