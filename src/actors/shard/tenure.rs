//! A shard's life: it rests until its node tells it to take its partition, claims it, works, and lets go of it again.
//!
//! ```text
//! rest ──Take──▶ claim ──granted──▶ own ──GiveBack──▶ release ──▶ rest
//!   ▲              │ fenced           │ fenced
//!   └──────────────┴──────────────────┤ refused, unknown, no word in time: what is in memory is dropped
//!                                     └──▶ claim anew over its own record, while that still stands
//! ```
//! Only the shard itself renews its lease: one that is dead or stuck loses it by silence. On a store
//! that one process has to itself there is nobody to lose it to: it takes its partition whoever had it, and keeps it.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::conversation::{DueQueue, Surroundings};
use super::residents::Residents;
use super::turns::{Parted, turns};
use super::{Requests, ShardParts};
use crate::actors::meter;
use crate::actors::owner::Owner;
use crate::clock::Stopwatch;
use crate::faults::{Bug, planted};
use crate::store::{Claim, Holder, Lease, LogId, StoreError};

/// Waits between attempts to claim a partition whose store does not answer.
const CLAIM_RETRY: [Duration; 4] =
    [Duration::from_millis(20), Duration::from_millis(100), Duration::from_millis(500), Duration::from_secs(2)];

/// Between attempts to renew a lease.
const RENEWAL_RETRY: Duration = Duration::from_millis(100);
/// Leases a turn may take. One that is far behind on a busy machine takes seconds; one that waits for what never comes is to
/// be somebody else's.
const TURN_MAX_LEASES: u32 = 10;

/// What a node tells the shard of a partition.
#[derive(Clone, Debug)]
pub struct Instruction {
    pub order: Order,
    /// When the node heard that the partition was given back, if that is why.
    pub heard: Option<Stopwatch>,
}

/// What a node wants of a shard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Order {
    /// Have it, over exactly this record of who had it.
    Take { over: Option<Holder> },
    /// Have it no longer, if it is owned by this lease.
    GiveBack { lease: Lease, to: Option<Box<str>> },
}

/// How long a lease may be relied on, counted from when the last good word of the store was asked for.
pub struct LeaseClock {
    asked: Cell<Stopwatch>,
    /// When the shard's present turn began; `None`: it waits for something to do.
    turn: Cell<Option<Stopwatch>>,
    /// `None`: for ever.
    lease: Option<Duration>,
}

impl LeaseClock {
    pub fn new(asked: Stopwatch, lease: Option<Duration>) -> Self {
        Self { asked: Cell::new(asked), turn: Cell::new(None), lease }
    }

    /// The store has answered a commit, a renewal or a claim that was asked then.
    pub fn confirmed(&self, asked: Stopwatch) {
        // A commit may be answered after a renewal that was asked later.
        if asked.elapsed() < self.asked.get().elapsed() {
            self.asked.set(asked);
        }
    }

    pub fn turn_begins(&self) {
        self.turn.set(Some(Stopwatch::start()));
    }

    pub fn turn_ends(&self) {
        self.turn.set(None);
    }

    /// Whether the present turn may still end well. On a busy machine, far behind, one takes seconds.
    fn makes_headway(&self) -> bool {
        let Some((lease, turn)) = self.lease.zip(self.turn.get()) else { return true };
        turn.elapsed() < lease * TURN_MAX_LEASES || planted(Bug::LeaseRenewedApart)
    }

    /// Others take a partition over whose record stood still for a whole lease: a third of it is for the answer's way, for
    /// clocks that do not run alike and for a commit that is under way.
    pub fn is_good(&self) -> bool {
        !self.left(|lease| lease * 2 / 3).is_zero()
    }

    pub async fn runs_out(&self) {
        self.reaches(|lease| lease * 2 / 3).await;
    }

    /// Five signs of life in each lease, so that two may be lost before it is given up.
    pub async fn renewal_is_due(&self) {
        self.reaches(|lease| lease / 5).await;
    }

    fn left(&self, part: fn(Duration) -> Duration) -> Duration {
        self.lease.map_or(Duration::MAX, |lease| part(lease).saturating_sub(self.asked.get().elapsed()))
    }

    /// The clock may be set back to a later word while this waits.
    async fn reaches(&self, part: fn(Duration) -> Duration) {
        if self.lease.is_none() {
            return std::future::pending().await;
        }
        loop {
            match self.left(part) {
                Duration::ZERO => return,
                left => tokio::time::sleep(left).await,
            }
        }
    }
}

enum Next {
    Rest,
    /// Over this record; that nobody has it was heard then.
    Claim(Option<Holder>, Option<Stopwatch>),
    /// After a failure: over its own record.
    Reclaim,
}

struct Life {
    parts: ShardParts,
    requests: Rc<Requests>,
    attempt: usize,
    /// What was being tried alone when a store call failed, and its owner lived on.
    survived: Option<(LogId, u32)>,
    /// Never anything, but for a bug that is planted.
    kept: Option<Residents>,
}

/// The whole life of a shard, until it is told to stop.
pub async fn live(parts: ShardParts, requests: Rc<Requests>) {
    // At a start nobody has it: there is no need to look first, which would make 64 of them wait for each other.
    let mut next = if parts.store.is_exclusive() { Next::Claim(None, None) } else { Next::Rest };
    let mut life = Life { parts, requests, attempt: 0, survived: None, kept: None };
    while !life.requests.is_stopping() {
        next = match next {
            Next::Rest => life.rest().await,
            Next::Claim(over, heard) => life.claim(over, heard).await,
            Next::Reclaim => life.reclaim().await,
        };
    }
}

impl Life {
    async fn rest(&mut self) -> Next {
        match self.requests.take_order() {
            Some(Instruction { order: Order::Take { over }, heard }) => return Next::Claim(over, heard),
            Some(Instruction { order: Order::GiveBack { lease, to }, .. }) => self.release(lease, to).await,
            None => self.requests.called.notified().await,
        }
        Next::Rest
    }

    async fn claim(&mut self, over: Option<Holder>, heard: Option<Stopwatch>) -> Next {
        let asked = Stopwatch::start();
        let (store, partition) = (self.parts.store.clone(), self.parts.partition);
        let is_first = over.is_none();
        let is_move = !store.is_exclusive() && over.as_ref().is_none_or(|holder| holder.member != self.parts.member);
        match self.bounded(store.claim(partition, self.parts.member.clone(), over)).await {
            Ok(claim) => {
                if is_move {
                    meter::moved_here(partition, heard.map(Stopwatch::elapsed));
                }
                self.own(claim, asked).await
            }
            Err(StoreError::Fenced { .. }) if !store.is_exclusive() => self.outdone(),
            Err(StoreError::Fenced { .. }) if is_first => Next::Reclaim,
            Err(error) => {
                tracing::warn!(%partition, %error, "cannot claim the partition yet");
                self.attempt += 1;
                self.pause().await
            }
        }
    }

    async fn reclaim(&mut self) -> Next {
        if self.requests.is_told_to_give_back() {
            return Next::Rest;
        }
        let (store, place) = (self.parts.store.clone(), usize::from(self.parts.partition.0));
        match self.bounded(store.cluster()).await {
            Ok(view) => {
                let holder = view.holders.into_iter().nth(place).flatten();
                let is_mine = holder.as_ref().is_some_and(|holder| holder.member == self.parts.member);
                if is_mine || store.is_exclusive() { Next::Claim(holder, None) } else { self.outdone() }
            }
            Err(error) => {
                tracing::warn!(partition = %self.parts.partition, %error, "cannot see who has the partition");
                self.attempt += 1;
                self.pause().await
            }
        }
    }

    /// From a claim to its end, whatever ends it.
    async fn own(&mut self, claim: Claim, asked: Stopwatch) -> Next {
        let (parts, requests) = (self.parts.clone(), self.requests.clone());
        let lease = claim.lease;
        let clock = Rc::new(LeaseClock::new(asked, (!parts.store.is_exclusive()).then_some(parts.options.lease)));
        let due = Rc::new(DueQueue::default());
        let around = Surroundings { due: due.clone(), steady: parts.steady.clone(), step: parts.step, horizon: parts.options.horizon };
        let residents = Residents::new(around, parts.live.clone(), parts.status.live.clone());
        let residents = self.kept.take().unwrap_or(residents);
        let mut owner = Owner::new(&parts, claim, residents, requests.clone(), clock.clone(), self.survived.take());
        requests.begin(owner.checkpoint());
        parts.status.ready.store(true, Ordering::Relaxed);
        let ended = tokio::select! {
            biased;
            () = clock.runs_out() => Err(no_word()),
            error = keep(&parts, &clock, lease) => Err(error),
            ended = turns(&mut owner, &requests, &due, lease) => ended,
        };
        parts.status.ready.store(false, Ordering::Relaxed);
        requests.end();
        match ended {
            Ok(parted) => {
                drop(owner);
                let to = if let Parted::GaveBack(to) = parted { to } else { None };
                self.release(lease, to).await;
                Next::Rest
            }
            Err(error) => {
                meter::commit_failed(parts.partition, &error);
                self.survived = owner.trying();
                self.attempt = if owner.has_committed() { 0 } else { self.attempt + 1 };
                self.kept = planted(Bug::MemoryKept).then(|| owner.into_residents()); // else whatever was in memory is dropped
                let is_outdone = matches!(error, StoreError::Fenced { .. }) && !parts.store.is_exclusive();
                if is_outdone { self.outdone() } else { self.pause().await }
            }
        }
    }

    /// Somebody else has it: who shall have it is for the node to see.
    fn outdone(&self) -> Next {
        self.parts.news.notify_one();
        Next::Rest
    }

    async fn pause(&self) -> Next {
        let over = tokio::time::sleep(CLAIM_RETRY[self.attempt.min(CLAIM_RETRY.len() - 1)]);
        tokio::pin!(over);
        loop {
            tokio::select! {
                biased;
                () = &mut over => return Next::Reclaim,
                // To be told once more to take what cannot be taken is no reason to hurry: the node says so at every look.
                () = self.requests.called.notified() => {
                    if self.requests.is_stopping() || self.requests.is_told_to_give_back() {
                        return Next::Reclaim;
                    }
                }
            }
        }
    }

    /// A partition that cannot be given back is taken when its record has stood still for long enough.
    async fn release(&self, lease: Lease, to: Option<Box<str>>) {
        if let Err(error) = self.bounded(self.parts.store.release(lease, to)).await {
            tracing::warn!(partition = %self.parts.partition, %error, "the partition was not given back; its lease will run out");
        }
    }

    /// On a store with other owners no call is worth waiting for any longer than a lease.
    async fn bounded<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        if self.parts.store.is_exclusive() {
            return call.await;
        }
        tokio::time::timeout(self.parts.options.lease, call).await.unwrap_or_else(|_| Err(no_word()))
    }
}

fn no_word() -> StoreError {
    StoreError::OutcomeUnknown("no word from it for as long as the lease can be relied on".into())
}

/// Renews the lease beside the turns, in the same task: a thread that is stuck, a shard that died and a turn that never ends
/// renew nothing. Ends when the lease is lost.
async fn keep(parts: &ShardParts, clock: &LeaseClock, lease: Lease) -> StoreError {
    loop {
        clock.renewal_is_due().await;
        if !clock.makes_headway() {
            tracing::error!(partition = %parts.partition, "a turn does not end; the lease is not renewed any more");
            return std::future::pending().await;
        }
        let asked = Stopwatch::start();
        match parts.store.renew(lease).await {
            Ok(()) => clock.confirmed(asked),
            Err(error @ (StoreError::Fenced { .. } | StoreError::Refused(_))) => return error,
            Err(error) => {
                meter::renewal_failed();
                tracing::debug!(partition = %parts.partition, %error, "the lease was not renewed; trying on while it holds");
                tokio::time::sleep(RENEWAL_RETRY).await;
            }
        }
    }
}
