//! Faults, as they strike.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use adjourn::domain::PartitionId;
use adjourn::store::{Entry, Store};
use tokio::task::spawn_local;

use super::ground::Mark;
use super::line::Line;
use super::plan::Fault;
use super::poison::{KILLS, PANICS};
use super::post::poisoned;
use super::run::{World, pause};
use super::time::SimClock;

pub fn strike(world: &Rc<World>, fault: Fault) {
    world.disturb(lasts(&fault));
    match fault {
        Fault::Kill { node, back_ms } => kill(world, node, back_ms),
        Fault::KillAtCall { node, calls, before, back_ms } => {
            world.process(node).line.troubles().end_at = Some((calls, before));
            world.seats[node].back_at.set(world.now() + back_ms as i64);
        }
        Fault::Freeze { node, ms } => world.process(node).freeze(ms),
        Fault::Cut { node, ms } => world.process(node).line.troubles().cut_until = world.now() + ms as i64,
        Fault::Deaf { node, ms } => world.process(node).line.troubles().deaf_until = world.now() + ms as i64,
        Fault::Slow { node, ms, for_ms } => {
            let process = world.process(node);
            let mut troubles = process.line.troubles();
            (troubles.slow_until, troubles.slow_ms) = (world.now() + for_ms as i64, ms);
        }
        Fault::LoseCalls { node, calls } => world.process(node).line.troubles().lose_calls += calls,
        Fault::LoseAnswers { node, calls } => world.process(node).line.troubles().lose_answers += calls,
        Fault::Refuse { node, calls } => world.process(node).line.troubles().refuse += calls,
        Fault::HoldCommits { node, commits, ms } => {
            let process = world.process(node);
            let mut troubles = process.line.troubles();
            (troubles.hold, troubles.hold_ms) = (commits, ms);
        }
        Fault::DoubleCommits { node, commits } => world.process(node).line.troubles().double += commits,
        Fault::SwallowCommits { node, commits } => world.process(node).line.troubles().swallow += commits,
        Fault::FailOver { lag_ms } => {
            spawn_local(fail_over(world.clone(), lag_ms));
        }
        Fault::LostClaim { partition, node, hold_ms } => {
            spawn_local(lost_claim(world.clone(), PartitionId(partition), node, hold_ms));
        }
        Fault::StoreClock { by_ms, for_ms } => {
            wrong_for(world.ground.clock.clone(), by_ms, for_ms);
        }
        Fault::NodeClock { node, by_ms, for_ms } => {
            wrong_for(world.seats[node].clock.clone(), by_ms, for_ms);
        }
        Fault::Poison { conversation } => poison(world, PANICS, conversation),
        Fault::Deadly { conversation } => poison(world, KILLS, conversation),
        Fault::Garbage { partition } => garbage(world, partition),
        Fault::Restart { node } => {
            spawn_local(restart(world.clone(), node));
        }
        Fault::Move { partition, node } => {
            let (to, asked) = (node.map(|node| world.seats[node].name.into()), world.some_node(node.unwrap_or(0)));
            spawn_local(async move {
                let _ = asked.move_shard(PartitionId(partition), to, Duration::from_secs(5)).await;
            });
        }
        Fault::Drain { node, restart_ms } => {
            spawn_local(drain(world.clone(), node, restart_ms));
        }
        Fault::Rival { ms } => {
            let rival = world.rival();
            spawn_local(async move {
                pause(ms).await;
                rival.kill();
            });
        }
    }
}

/// For how many ms of the machines' time it keeps somebody from doing their work, besides the time to find a new place.
fn lasts(fault: &Fault) -> i64 {
    let ms = match fault {
        Fault::Kill { back_ms, .. } => *back_ms,
        // When it strikes the seats take note.
        Fault::KillAtCall { back_ms, .. } => 20_000 + *back_ms,
        Fault::Freeze { ms, .. } | Fault::Cut { ms, .. } | Fault::Deaf { ms, .. } => *ms,
        Fault::Slow { for_ms, .. } => *for_ms + 2_000,
        Fault::HoldCommits { ms, .. } => *ms + 20_000,
        Fault::LoseCalls { .. } | Fault::LoseAnswers { .. } | Fault::Refuse { .. } | Fault::DoubleCommits { .. } => 20_000,
        Fault::SwallowCommits { .. } => 60_000,
        Fault::FailOver { lag_ms } => *lag_ms + 2_000,
        Fault::LostClaim { hold_ms, .. } => *hold_ms + 8_000,
        Fault::StoreClock { for_ms, .. } | Fault::NodeClock { for_ms, .. } => for_ms.unwrap_or(0),
        Fault::Poison { .. } | Fault::Garbage { .. } => 0,
        Fault::Deadly { .. } => 150_000,
        Fault::Restart { .. } | Fault::Move { .. } => 15_000,
        Fault::Drain { restart_ms, .. } => *restart_ms + 20_000,
        Fault::Rival { ms } => *ms + 5_000,
    };
    ms as i64
}

fn wrong_for(clock: Arc<SimClock>, by_ms: i64, for_ms: Option<u64>) {
    clock.jump(by_ms);
    if let Some(ms) = for_ms {
        spawn_local(async move {
            pause(ms).await;
            clock.set_right();
        });
    }
}

fn kill(world: &World, node: usize, back_ms: u64) {
    world.process(node).kill();
    world.seats[node].back_at.set(world.now() + back_ms as i64);
}

/// Asked to stop, it gives everything away first.
async fn restart(world: Rc<World>, node: usize) {
    let process = world.process(node);
    if !process.is_alive() {
        return;
    }
    let _ = tokio::time::timeout(Duration::from_secs(12), process.node.stop()).await;
    process.kill();
    pause(100).await;
    if !world.process(node).is_alive() {
        world.seat_anew(&world.seats[node]);
    }
}

/// Another node is told of it, as an operator does before an update.
async fn drain(world: Rc<World>, node: usize, restart_ms: u64) {
    world.under_way.set(world.under_way.get() + 1);
    let asked = world.some_node(node + 1);
    let drained = asked.drain_node(world.seats[node].name, Duration::from_millis(restart_ms));
    let _ = tokio::time::timeout(Duration::from_millis(restart_ms), drained).await;
    restart(world.clone(), node).await;
    world.under_way.set(world.under_way.get() - 1);
}

fn poison(world: &Rc<World>, prefix: &str, conversation: u64) {
    let nth = world.ledger.borrow().sent.len();
    let event = poisoned(prefix, nth, conversation, world.ground.time.now());
    world.ledger.borrow_mut().sent.insert(event.name.id().to_string(), event.clone());
    spawn_local(world.clone().deliver(nth, vec![event]));
}

fn garbage(world: &World, partition: u16) {
    let event = poisoned("garbage-", world.ledger.borrow().garbage.len(), 0, world.ground.time.now());
    let entry = Entry::Event(event);
    let Ok(ids) = Line::append_now(&world.ground, vec![(PartitionId(partition), entry)]) else { return };
    world.ground.spoiled(PartitionId(partition), ids[0]);
    if !world.ground.journal().doomed {
        world.ledger.borrow_mut().garbage.insert((partition, (ids[0].ms, ids[0].seq)));
    }
}

async fn lost_claim(world: Rc<World>, partition: PartitionId, node: usize, hold_ms: u64) {
    if world.ground.journal().doomed {
        return; // one failover at a time
    }
    let mark = world.ground.mark();
    let (to, asked, process) = (world.seats[node].name.into(), world.some_node(node), world.process(node));
    {
        let mut troubles = process.line.troubles();
        (troubles.hold, troubles.hold_ms) = (4, hold_ms);
    }
    // Whoever is asked may be dead, and says nothing then.
    let moved = asked.move_shard(partition, Some(to), Duration::from_secs(1));
    let _ = tokio::time::timeout(Duration::from_secs(2), moved).await;
    pause(200).await;
    take_over(&world, mark);
}

/// A replica that hears nothing more takes over a while later.
async fn fail_over(world: Rc<World>, lag_ms: u64) {
    if world.ground.journal().doomed {
        return; // one at a time
    }
    let mark = world.ground.mark();
    pause(lag_ms).await;
    take_over(&world, mark);
}

/// Then the nodes that live tell it what they remember.
fn take_over(world: &Rc<World>, mark: Mark) {
    let nth = world.ledger.borrow().failovers;
    world.ground.fail_over(mark);
    // What was settled may not be any more.
    world.ground.journal().off_since = None;
    world.ledger.borrow_mut().failovers += 1;
    for place in 0..world.seats.len() {
        spawn_local(remind(world.clone(), place, nth));
    }
}

/// As the Redis store does it beside the calls.
async fn remind(world: Rc<World>, place: usize, nth: u32) {
    let seat = &world.seats[place];
    let (process, serial) = (seat.process.borrow().clone(), seat.serial.get());
    let delay = world.ground.dice().below(300);
    pause(delay).await;
    let again = process.line.ring.again();
    while process.is_alive() {
        if again.is_empty() || process.line.append(again.clone()).await.is_ok() {
            seat.reminded.borrow_mut().insert((serial, nth));
            return;
        }
        pause(500).await;
    }
}
