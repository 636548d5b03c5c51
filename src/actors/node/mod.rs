//! A node: its Arbiters, its shards, and the watch that starts a shard anew when one has died.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::Semaphore;

use crate::actors::membership::{Membership, Presence};
use crate::actors::notes::desk::Desk;
use crate::actors::shard::conversation::StepFn;
use crate::actors::shard::{AppliedNames, ShardActor, ShardHandle, ShardParts, Status};
use crate::clock::SharedClock;
use crate::domain::{PartitionId, step};
use crate::store::{Member, Store};

pub mod handle;
pub mod options;

use handle::Node;
use options::NodeOptions;

/// How often dead shards are looked for. A shard dies of a panic only, and nothing of it can be written meanwhile.
const WATCH: Duration = Duration::from_millis(500);

/// Shards of one Arbiter that take a large turn at a time: enough to keep a store busy while others are worked on, and few
/// enough that renewals, timers and single events of the rest wait for tens of milliseconds behind them, not for seconds.
/// A store of this process's own writes whatever comes together in one go, and has no leases: there all may.
const LARGE_TURNS_MAX: usize = 8;

/// Threads that read for the shards of one Arbiter.
const READERS_MAX: usize = 4;

/// Owns the shards of this node and its membership: starts them, and starts anew what died.
pub struct NodeActor {
    shards: Vec<(ShardParts, ShardHandle, Option<ArbiterHandle>)>,
    arbiters: Vec<Arbiter>,
    membership: Membership,
    running: tokio::task::JoinHandle<()>,
}

impl Actor for NodeActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(WATCH, |node, _| node.revive());
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.running.abort();
        self.arbiters.iter().for_each(|arbiter| {
            arbiter.stop();
        });
    }
}

impl NodeActor {
    /// actix does not restart an actor whose handler panicked; a shard whose turn panicked is started anew, and claims.
    fn revive(&mut self) {
        for (parts, shard, arbiter) in &self.shards {
            if shard.address().connected() || parts.status.stopping.load(Ordering::Relaxed) {
                continue;
            }
            tracing::error!(partition = %parts.partition, "a shard died and is started anew");
            let address = start_shard(arbiter.as_ref(), parts.clone());
            *shard.address.write().unwrap_or_else(std::sync::PoisonError::into_inner) = address;
        }
        if self.running.is_finished() {
            tracing::error!("the membership died and is started anew");
            self.running = actix::spawn(self.membership.clone().run());
        }
    }
}

/// Every shard has been stopped: nothing is to be revived any more.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Retire;

impl Handler<Retire> for NodeActor {
    type Result = ();

    fn handle(&mut self, Retire: Retire, ctx: &mut Self::Context) {
        self.shards.clear();
        ctx.stop();
    }
}

/// Starts a node on `store`: it has every partition of a store that is its own, and its share of one that it is not alone
/// with. Must be called within an actix `System`.
pub fn start(store: Arc<dyn Store>, steady: SharedClock, options: NodeOptions) -> Node {
    start_with(store, steady, options, step)
}

/// The same, with another state machine: for tests of what happens when it fails.
pub fn start_with(store: Arc<dyn Store>, steady: SharedClock, options: NodeOptions, step: StepFn) -> Node {
    let arbiters: Vec<Arbiter> = (0..options.arbiters).map(|_| Arbiter::with_tokio_rt(runtime)).collect();
    let handles: Vec<ArbiterHandle> = arbiters.iter().map(Arbiter::handle).collect();
    let member = Member { node: options.node.clone(), instance: crate::chance::token() };
    let (presence, options) = (Presence::new(member.clone()), Arc::new(options));
    let (live, names) = (Arc::new(AtomicUsize::new(0)), Arc::new(AppliedNames::new()));
    let at_once = if store.is_exclusive() { Semaphore::MAX_PERMITS } else { LARGE_TURNS_MAX };
    let turns: Vec<Arc<Semaphore>> = (0..handles.len().max(1)).map(|_| Arc::new(Semaphore::new(at_once))).collect();
    let suspects = Arc::new(tokio::sync::RwLock::new(()));
    let desk = Arc::new(Desk::new(&options.defaults));
    let shard = |partition: PartitionId| {
        let status = Arc::new(Status::default());
        let parts = ShardParts {
            partition,
            member: member.clone(),
            store: store.clone(),
            steady: steady.clone(),
            options: options.clone(),
            step,
            live: live.clone(),
            names: names.clone(),
            status: status.clone(),
            news: presence.news.clone(),
            turns: turns[partition.0 as usize % turns.len()].clone(),
            suspects: suspects.clone(),
            desk: desk.clone(),
        };
        let arbiter = handles.get(partition.0 as usize % turns.len()).cloned();
        let address = Arc::new(RwLock::new(start_shard(arbiter.as_ref(), parts.clone())));
        (parts, ShardHandle { partition, address, names: names.clone(), status }, arbiter)
    };
    let shards: Vec<_> = store.partitions().all().map(shard).collect();
    let shard_handles: Vec<ShardHandle> = shards.iter().map(|(_, shard, _)| shard.clone()).collect();
    let membership = Membership {
        store: store.clone(),
        started_at: steady.now(),
        steady: steady.clone(),
        options: options.clone(),
        shards: shard_handles.clone(),
        arbiters: handles,
        presence: presence.clone(),
        beats: Arc::default(),
        trouble: Arc::default(),
    };
    let running = actix::spawn(membership.clone().run());
    let keeper = NodeActor { shards, arbiters, membership, running }.start();
    Node::new(store, steady, shard_handles, options, presence, keeper, desk)
}

/// An Arbiter's runtime, with few threads for what a store reads off it: one store reads one file, and each thread keeps
/// memory of its own.
#[allow(clippy::expect_used)] // as `Arbiter::new` does: without threads there is no service
fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().max_blocking_threads(READERS_MAX).build().expect("a runtime for an Arbiter")
}

/// `None`: on this very thread.
fn start_shard(arbiter: Option<&ArbiterHandle>, parts: ShardParts) -> Addr<ShardActor> {
    match arbiter {
        Some(arbiter) => ShardActor::start_in_arbiter(arbiter, move |_| ShardActor::new(parts)),
        None => ShardActor::new(parts).start(),
    }
}
