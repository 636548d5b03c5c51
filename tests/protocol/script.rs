//! `commit.lua`, call by call where the order matters: all checks, then all writes.

use crate::Protocol;
use crate::world::*;

impl Protocol {
    /// A commit comes to the primary, be it late, and its writer hears of it if it still waits.
    pub fn arrive(&self, world: &mut World, mut commit: Commit) {
        if self.writes_first {
            write_row(world, &commit);
        }
        let good = commit.half_done || self.check(world, &commit);
        if good && self.checkpoint_apart && !commit.half_done {
            move_checkpoint(self, world, commit.checkpoint);
            commit.half_done = true;
            commit.from.1 = commit.checkpoint;
            return world.socket.push(commit);
        }
        if good {
            if !self.writes_first {
                write_row(world, &commit);
            }
            world.primary.head = commit.id;
            move_checkpoint(self, world, commit.checkpoint);
            if commit.close.is_some() {
                // XSETID: nothing is accepted at or before the deadline any more, should the clock step back.
                world.primary.floor = world.primary.floor.max(world.shows(Clock::Store));
            }
        }
        let node = &mut world.nodes[commit.node];
        match node {
            Some(held) if held.waits_for == Some(commit.id) && held.written.is_none() => match (good, self.waits) {
                (true, true) => held.written = Some(false),
                (true, false) => held.waits_for = None,
                // Fenced or refused: what is in memory is dropped.
                (false, _) => *node = None,
            },
            _ => {}
        }
    }

    fn check(&self, world: &World, commit: &Commit) -> bool {
        let server = &world.primary;
        let fenced = match self.fence {
            Fence::Whole => server.lease != commit.lease,
            Fence::EpochAlone => server.lease.epoch != commit.lease.epoch,
            Fence::NodeAlone => server.lease.node != commit.lease.node,
            Fence::Missing => false,
        };
        let told = server.outbox.len() as u8;
        let in_chain = self.no_chain || (server.head == commit.based_on && (commit.close.is_none() || told == commit.told));
        !fenced && in_chain && commit.checkpoint >= server.checkpoint && self.may_close(world, commit)
    }

    /// `not_before`: D1 and D2 by the store's own clock and log.
    fn may_close(&self, world: &World, commit: &Commit) -> bool {
        let Some(close) = commit.close else { return true };
        let overlooked = |entry: &Entry| entry.id > commit.checkpoint && entry.accepted_at <= close.due;
        self.no_barrier || (world.shows(Clock::Store) > close.due && !world.primary.log.iter().any(overlooked))
    }
}

/// How a writer is told from another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fence {
    Whole,
    EpochAlone,
    NodeAlone,
    Missing,
}

fn write_row(world: &mut World, commit: &Commit) {
    let server = &mut world.primary;
    world.stale |= server.lease != commit.lease || (server.row, server.checkpoint) != commit.from;
    server.row = commit.row;
    server.outbox.extend(commit.close);
    world.early |= commit.close.is_some_and(|close| world.now <= close.due);
}

fn move_checkpoint(protocol: &Protocol, world: &mut World, checkpoint: u8) {
    let server = &mut world.primary;
    let onward = checkpoint > server.checkpoint;
    server.checkpoint = server.checkpoint.max(checkpoint);
    // One that trims by what it has read, not by what is applied, takes what came in between with it.
    server.log.retain(|entry| entry.id > checkpoint && !(protocol.trims_all && onward));
}
