//! A node among others: it shows that it lives, sees who else does, and has its shards take and give back partitions
//! accordingly. Nobody leads: every node looks at the same records and comes to the same placement; where two differ for a
//! moment, a claim over exactly what was seen decides, and the fence makes it safe.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::ArbiterHandle;
use metrics::gauge;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, broadcast, watch};

use crate::actors::node::options::NodeOptions;
use crate::actors::shard::ShardHandle;
use crate::actors::shard::tenure::{Instruction, Order};
use crate::clock::{SharedClock, Stopwatch};
use crate::domain::placement::Stillness;
use crate::domain::{PartitionId, Timestamp};
use crate::store::{ClusterView, Hint, Holder, Lease, Member, NodeRecord, Store, StoreError};

pub mod assign;
pub mod cluster;

use assign::{Case, order, placed, takers};

/// Signs of life, and looks at the others, in each lease.
const ROUNDS_PER_LEASE: u32 = 6;
/// Partitions on their way to other nodes at a time: those that move together wait for each other, with no owner.
const GIVEN_AT_ONCE: usize = 4;
/// Until the next of them are given: about what taking one takes.
const GIVE_ON: Duration = Duration::from_millis(5);
/// A record that nobody took away when its process went is taken away after this: long enough for an operator to see who is
/// missing.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3_600);

/// What a node last saw of the cluster.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Whether this node has its name, and has looked round since.
    pub joined: bool,
    /// Whether everything that was placed here ran here at some time: from then on a move is no reason to call it unready.
    pub settled: bool,
    /// Nodes that showed no sign of life for a whole lease.
    pub lost: BTreeSet<Box<str>>,
    /// Partitions nobody has.
    pub unowned: usize,
    /// By which lease each partition is owned, and since when, as this node saw it.
    pub since: BTreeMap<PartitionId, (Lease, Timestamp)>,
    /// Partitions placed here that do not run here, and for how long that has been so.
    pub missing: BTreeMap<PartitionId, Stopwatch>,
}

/// What a node and its membership tell each other.
pub struct Presence {
    pub member: Member,
    /// Readiness fails from here on, and nothing is taken any more.
    leaving: AtomicBool,
    pub seen: watch::Sender<Arc<Seen>>,
    name_lost: watch::Sender<bool>,
    /// Why the last sign of life was not taken: a store that can be read may refuse whatever is written.
    pub unheard: Mutex<Option<Box<str>>>,
    /// Rung when it is worth looking round.
    pub news: Arc<Notify>,
}

impl Presence {
    pub fn new(member: Member) -> Arc<Self> {
        let (seen, name_lost) = (watch::Sender::default(), watch::Sender::default());
        Arc::new(Self { member, leaving: AtomicBool::default(), seen, name_lost, unheard: Mutex::default(), news: Arc::default() })
    }

    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    pub fn leave(&self) {
        // Once: whoever drains sees so at every look, and a look is what this asks for.
        if !self.leaving.swap(true, Ordering::Relaxed) {
            self.news.notify_one();
        }
    }

    fn lose_name(&self) {
        self.leave();
        self.name_lost.send_replace(true);
    }

    /// Whether what is said of this name is said of this process.
    pub fn has_name(&self) -> bool {
        self.seen.borrow().joined && !*self.name_lost.borrow()
    }

    /// Resolves when another live process turns out to have this node's name.
    pub async fn name_is_lost(&self) {
        // The sender lives as long as `self`.
        let _ = self.name_lost.subscribe().wait_for(|lost| *lost).await;
    }
}

/// The two loops of a node among others. Cheap to clone: started anew, it goes on where it was.
#[derive(Clone)]
pub struct Membership {
    pub store: Arc<dyn Store>,
    pub steady: SharedClock,
    pub options: Arc<NodeOptions>,
    pub shards: Vec<ShardHandle>,
    pub arbiters: Vec<ArbiterHandle>,
    pub presence: Arc<Presence>,
    pub started_at: Timestamp,
    pub beats: Arc<AtomicU64>,
    /// What does not work at present, so that it is said once.
    pub trouble: Arc<Mutex<BTreeSet<&'static str>>>,
}

impl Membership {
    pub async fn run(self) {
        // Heard from here on: what changes while this node looks for the first time is looked at again.
        let hints = self.store.hints();
        if !self.join().await {
            self.presence.lose_name();
        }
        tokio::join!(self.show_life(), self.look_round(hints));
    }

    fn pace(&self) -> Duration {
        self.options.lease / ROUNDS_PER_LEASE
    }

    fn lease_ms(&self) -> u64 {
        u64::try_from(self.options.lease.as_millis()).unwrap_or(u64::MAX)
    }

    fn record(&self) -> NodeRecord {
        NodeRecord {
            member: self.presence.member.clone(),
            address: self.options.address.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            started_at: self.started_at,
            beat: self.beats.fetch_add(1, Ordering::Relaxed),
            lease_ms: self.lease_ms(),
        }
    }

    /// No call of these loops is waited for any longer than until the next but one.
    async fn ask<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let late = || StoreError::OutcomeUnknown("it takes too long to answer".into());
        tokio::time::timeout(self.options.lease / 3, call).await.unwrap_or_else(|_| Err(late()))
    }

    /// Says what is wrong once, and once that it is over.
    fn say<E: std::fmt::Display>(&self, doing: &'static str, error: Option<&E>) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match error {
            Some(error) if trouble.insert(doing) => tracing::warn!(%error, "{doing} failed; trying on"),
            None if trouble.remove(doing) => tracing::info!("{doing} works again"),
            Some(_) | None => {}
        }
    }
}

// The name.
impl Membership {
    /// Takes this node's name. A process that had it and does not move for half a lease has gone. False: another process
    /// lives by this name.
    async fn join(&self) -> bool {
        if self.store.is_exclusive() {
            return true;
        }
        let (mut watched, mut since) = (None, Stopwatch::start());
        loop {
            let Some(earlier) = self.earlier_process().await else { continue };
            let over = earlier.as_ref().map(|record| record.member.instance);
            match (&earlier, &watched) {
                (Some(now), Some(before)) if now != before => return false,
                (Some(_), None) => (watched, since) = (earlier, Stopwatch::start()),
                (Some(_), Some(_)) if since.elapsed() < self.options.lease / 2 => {}
                _ if self.take_name(over).await => return true,
                _ => {}
            }
            tokio::time::sleep(self.pace() / 2).await;
        }
    }

    /// Whoever has this node's name, itself excepted; the outer `None`: the store did not say.
    async fn earlier_process(&self) -> Option<Option<NodeRecord>> {
        let member = &self.presence.member;
        match self.ask(self.store.cluster()).await {
            Ok(view) => {
                self.say("looking at the cluster", None::<&StoreError>);
                Some(view.nodes.into_iter().find(|record| record.member.node == member.node && record.member != *member))
            }
            Err(error) => {
                self.say("looking at the cluster", Some(&error));
                tokio::time::sleep(self.pace()).await;
                None
            }
        }
    }

    /// False: not yet, look again.
    async fn take_name(&self, over: Option<u64>) -> bool {
        let taken = self.ask(self.store.heartbeat(self.record(), over)).await;
        self.say("joining the cluster", taken.as_ref().err());
        taken.unwrap_or(false)
    }
}

// Signs of life.
impl Membership {
    /// Beats for as long as this node's threads answer: one that is stuck is to be taken for dead.
    async fn show_life(&self) {
        let mut pace = tokio::time::interval(self.pace());
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !*self.presence.name_lost.borrow() {
            pace.tick().await;
            if self.threads_answer().await && !self.beat().await {
                tracing::error!(node = %self.presence.member.node, "another live process has this node's name");
                self.presence.lose_name();
            }
        }
    }

    async fn threads_answer(&self) -> bool {
        let asked = self.arbiters.iter().map(|arbiter| async {
            let (answer, answered) = tokio::sync::oneshot::channel();
            arbiter.spawn(async move {
                let _ = answer.send(());
            }) && answered.await.is_ok()
        });
        let all = futures_util::future::join_all(asked);
        let answered = tokio::time::timeout(self.options.lease / 3, all).await.is_ok_and(|all| all.into_iter().all(|answered| answered));
        self.say("asking every thread of this node", (!answered).then_some(&"one does not answer, and no sign of life is given"));
        answered
    }

    /// False: another process has this node's name.
    async fn beat(&self) -> bool {
        let beaten = self.ask(self.store.heartbeat(self.record(), None)).await;
        self.say("the heartbeat", beaten.as_ref().err());
        let unheard = beaten.as_ref().err().map(|error| error.to_string().into());
        *self.presence.unheard.lock().unwrap_or_else(PoisonError::into_inner) = unheard;
        if self.store.is_exclusive() && beaten.as_ref().is_ok_and(|kept| !kept) {
            // Whoever it is has lost the store to this process.
            let earlier = self.earlier_process().await.flatten();
            self.take_name(earlier.map(|record| record.member.instance)).await;
            return true;
        }
        beaten.unwrap_or(true)
    }
}

/// What a node remembers from one look to the next.
struct Watch {
    clock: Stopwatch,
    nodes: Stillness<Box<str>, NodeRecord>,
    holders: Stillness<PartitionId, Holder>,
    /// Told to go to another node, and not seen there yet.
    given: BTreeSet<PartitionId>,
    /// Processes whose other lease was said.
    other_leases: BTreeSet<(Box<str>, u64)>,
}

// Looking round.
impl Membership {
    async fn look_round(&self, mut hints: broadcast::Receiver<Hint>) {
        let (nodes, holders, given) = (Stillness::default(), Stillness::default(), BTreeSet::new());
        let mut watch = Watch { clock: Stopwatch::start(), nodes, holders, given, other_leases: BTreeSet::new() };
        let mut pause = Duration::ZERO;
        loop {
            let mut released = self.worth_a_look(&mut hints, pause).await;
            while let Ok(hint) = hints.try_recv() {
                released.extend(self.hear(hint));
            }
            let (heard, asked) = (Stopwatch::start(), watch.clock.elapsed());
            let view = self.ask(self.store.cluster()).await;
            self.say("looking at the cluster", view.as_ref().err());
            pause = self.pace();
            if let Ok(view) = view {
                watch.look(asked, watch.clock.elapsed(), &view);
                watch.compare_leases(self.lease_ms(), &view);
                let withheld = self.act(&view, &mut watch, |partition| released.contains(&partition).then_some(heard)).await;
                pause = if withheld { GIVE_ON } else { watch.stands_still_in(self.options.lease).min(pause) };
            }
        }
    }

    /// Waits for a hint, for news of this node's own shards, or until `pause` has passed. Answers what nobody has any more.
    async fn worth_a_look(&self, hints: &mut broadcast::Receiver<Hint>, pause: Duration) -> BTreeSet<PartitionId> {
        let pause = tokio::time::sleep(pause);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                biased;
                () = &mut pause => return BTreeSet::new(),
                () = self.presence.news.notified() => return BTreeSet::new(),
                hint = hints.recv() => match hint {
                    Ok(Hint::Released { to: Some(to), .. }) if to != self.presence.member.node => {} // that is its business
                    Ok(hint) => return self.hear(hint).into_iter().collect(),
                    Err(RecvError::Lagged(_)) => return BTreeSet::new(),
                    Err(RecvError::Closed) => {
                        pause.await;
                        return BTreeSet::new();
                    }
                },
            }
        }
    }

    /// What was given to this node it takes without looking: the claim is good only if nobody else has it.
    fn hear(&self, hint: Hint) -> Option<PartitionId> {
        match hint {
            Hint::Released { partition, to: Some(to) } if to == self.presence.member.node && !self.presence.is_leaving() => {
                let told = Instruction { order: Order::Take { over: None }, heard: Some(Stopwatch::start()) };
                self.shards.get(usize::from(partition.0)).into_iter().for_each(|shard| shard.obey(told.clone()));
                None
            }
            Hint::Released { partition, to: None } => Some(partition),
            Hint::Released { .. } | Hint::Changed => None,
        }
    }

    /// True when some partitions are yet to be given to others.
    async fn act(&self, view: &ClusterView, watch: &mut Watch, heard: impl Fn(PartitionId) -> Option<Stopwatch>) -> bool {
        let (me, lease, alone) = (&self.presence.member, self.options.lease, self.store.is_exclusive());
        if view.draining.contains(&me.node) {
            self.presence.leave();
        }
        let is_leaving = self.presence.is_leaving();
        let lost: BTreeSet<Box<str>> = view.nodes.iter().map(|n| &n.member.node).filter(|n| watch.nodes.of(n) >= lease).cloned().collect();
        let nodes = if alone { self.alone() } else { takers(view, &lost) };
        let desired = placed(view, &nodes);
        let mut given: BTreeSet<_> = watch.given.iter().copied().filter(|p| view.holders[usize::from(p.0)].is_none()).collect();
        let mut withheld = false;
        for ((shard, holder), next) in self.shards.iter().zip(&view.holders).zip(&desired) {
            let (partition, next) = (shard.partition, *next);
            let case = Case {
                me,
                holder: holder.as_ref(),
                desired: next,
                desired_lives: next.is_some_and(|node| watch.nodes.has_moved(&node.into())),
                is_still: alone || watch.holders.of(&partition) >= lease,
                works: shard.is_ready(),
                leaving: is_leaving,
            };
            match order(&case) {
                Some(Order::GiveBack { to: Some(_), .. }) if given.len() >= GIVEN_AT_ONCE && !watch.given.contains(&partition) => {
                    withheld = true;
                }
                Some(order) => {
                    given.extend(matches!(order, Order::GiveBack { to: Some(_), .. }).then_some(partition));
                    shard.obey(Instruction { order, heard: heard(partition) });
                }
                None => {}
            }
        }
        watch.given = given;
        gauge!("adjourn_nodes_live").set((view.nodes.len() - lost.len()) as f64);
        let mine = desired.iter().map(|node| *node == Some(&*me.node)).collect();
        self.publish(view, lost.clone(), mine);
        self.forget_the_long_lost(view, watch).await;
        withheld
    }

    /// On a store that is this process's own there is nobody else, whatever it remembers of others.
    fn alone(&self) -> Vec<&str> {
        if self.presence.is_leaving() { Vec::new() } else { vec![&*self.presence.member.node] }
    }

    fn publish(&self, view: &ClusterView, lost: BTreeSet<Box<str>>, mine: Vec<bool>) {
        let now = self.steady.now();
        let before = self.presence.seen.borrow().clone();
        let mut seen = Seen { joined: true, lost, ..Seen::default() };
        for (place, shard) in self.shards.iter().enumerate() {
            let partition = shard.partition;
            match view.holders.get(place).and_then(Option::as_ref) {
                None => seen.unowned += 1,
                Some(Holder { lease, .. }) => {
                    let same = before.since.get(&partition).filter(|(known, _)| known == lease);
                    seen.since.insert(partition, same.copied().unwrap_or((*lease, now)));
                }
            }
            if mine[place] && !shard.is_ready() {
                let since = before.missing.get(&partition).copied().unwrap_or_else(Stopwatch::start);
                seen.missing.insert(partition, since);
            }
        }
        seen.settled = before.settled || seen.missing.is_empty();
        self.presence.seen.send_replace(Arc::new(seen));
    }

    /// Every node does this; taking away what is gone already does no harm.
    async fn forget_the_long_lost(&self, view: &ClusterView, watch: &Watch) {
        for record in view.nodes.iter().filter(|record| watch.nodes.of(&record.member.node) >= FORGOTTEN_AFTER) {
            let forgotten = self.ask(self.store.leave(record.member.clone())).await;
            self.say("forgetting a lost node", forgotten.as_ref().err());
        }
    }
}

impl Watch {
    fn look(&mut self, asked: Duration, answered: Duration, view: &ClusterView) {
        self.nodes.look(asked, answered, view.nodes.iter().map(|record| (record.member.node.clone(), record.clone())));
        let holders = view.holders.iter().flatten().map(|holder| (holder.lease.partition, holder.clone()));
        self.holders.look(asked, answered, holders);
    }

    /// Says of each process once that its lease is another: the one with the shorter takes partitions of those that live.
    fn compare_leases(&mut self, own_ms: u64, view: &ClusterView) {
        for NodeRecord { member, lease_ms, .. } in &view.nodes {
            if *lease_ms != 0 && *lease_ms != own_ms && self.other_leases.insert((member.node.clone(), member.instance)) {
                tracing::warn!(node = %member.node, lease_ms, own_ms, "another node has another `lease`: set the same on every node, or partitions are taken from nodes that live");
            }
        }
    }

    /// When a look will show somebody to have stood still for a whole lease, if nobody moves.
    fn stands_still_in(&self, lease: Duration) -> Duration {
        let longest = self.nodes.longest(lease).max(self.holders.longest(lease));
        lease.saturating_sub(longest)
    }
}
