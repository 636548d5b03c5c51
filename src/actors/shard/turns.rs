//! What a shard does while it has its partition, one turn after the other: apply what the log brings (`owner::apply`), look at
//! who says to be due (`owner::due`), and at each tick what is done on the side (`owner::upkeep`). Every turn ends in a commit, or
//! changed nothing.

use std::sync::atomic::Ordering;

use super::Requests;
use super::conversation::DueQueue;
use super::tenure::{Instruction, Order};
use crate::actors::owner::Owner;
use crate::store::{Lease, LogEntry, StoreError};

/// What made a shard take a turn.
enum Woken {
    Called,
    Entries(Vec<LogEntry>),
    Due,
    Tick,
}

/// How a shard's time with its partition ended well.
pub enum Parted {
    Stopped,
    GaveBack(Option<Box<str>>),
}

/// Turns, until told to part (`Ok`) or a store call failed (`Err`: memory is not to be trusted).
pub async fn turns(owner: &mut Owner<'_>, requests: &Requests, due: &DueQueue, lease: Lease) -> Result<Parted, StoreError> {
    let parts = owner.parts;
    let clock = owner.lease_clock.clone();
    let mut tick = tokio::time::interval(parts.options.tick);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let woken = tokio::select! {
            biased;
            () = requests.called.notified() => Woken::Called,
            _ = tick.tick() => Woken::Tick,
            () = due.pushed.notified(), if due.is_empty() => Woken::Due,
            () = std::future::ready(()), if !due.is_empty() => Woken::Due,
            entries = owner.read() => Woken::Entries(entries?),
        };
        if requests.is_stopping() {
            return Ok(Parted::Stopped);
        }
        if let Some(Instruction { order: Order::GiveBack { lease: meant, to }, .. }) = requests.take_order()
            && meant == lease
        {
            return Ok(Parted::GaveBack(to));
        }
        clock.turn_begins();
        match woken {
            Woken::Called => {}
            Woken::Entries(entries) => {
                let _turn = parts.large_turn(entries.len()).await;
                owner.apply(entries).await?;
            }
            Woken::Due => {
                let keys = due.take(parts.options.due_batch);
                let _turn = parts.large_turn(keys.len()).await;
                owner.wake(keys).await?;
            }
            Woken::Tick => {
                owner.tick().await?;
                parts.status.ticks.fetch_add(1, Ordering::Relaxed);
            }
        }
        clock.turn_ends();
        if owner.has_more() {
            tick.reset_immediately();
        }
    }
}
