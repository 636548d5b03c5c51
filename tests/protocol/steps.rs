//! What can happen next, and what it does.

use crate::Protocol;
use crate::world::*;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    Tick,
    Jumps(Clock),
    StepsBack(Clock),
    Sends(Message),
    Acknowledged(Message),
    AppendsAgain(Message),
    Claims(usize),
    Applies(usize),
    TakesBarrier(usize),
    Closes(usize),
    /// The commit with this id comes out of its socket.
    Arrives(u8),
    /// The same, and it will come once more.
    ArrivesAndWillAgain(u8),
    Confirmed(usize),
    Dies(usize),
    Replicates,
    FailsOver,
}

impl Protocol {
    pub fn perform(&self, world: &mut World, action: &Action) -> Option<()> {
        match *action {
            Action::Tick => {
                world.left.ticks = world.left.ticks.checked_sub(1)?;
                world.now += 1;
            }
            Action::Jumps(clock) => {
                // No promise is made for two clocks that are wrong.
                (world.ahead == [0; 2]).then_some(())?;
                world.left.jumps = world.left.jumps.checked_sub(1)?;
                world.ahead[clock as usize] = JUMP;
            }
            Action::StepsBack(clock) => {
                (world.ahead[clock as usize] > 0).then_some(())?;
                world.ahead[clock as usize] = 0;
            }
            Action::Sends(message) => self.send(world, message)?,
            Action::Acknowledged(message) => {
                let sent = world.sent[message as usize].as_mut().filter(|sent| !sent.acknowledged && sent.safe == Some(true))?;
                sent.acknowledged = true;
            }
            Action::AppendsAgain(message) => {
                let sent = world.sent[message as usize].as_mut().filter(|sent| sent.ring == Ring::Owes)?;
                (sent.ring, sent.safe) = (Ring::Remembers, Some(false));
                let accepted_at = sent.accepted_at;
                world.append(message, accepted_at);
            }
            Action::Claims(node) => {
                world.left.claims = world.left.claims.checked_sub(1)?;
                self.claim(world, node)?;
            }
            Action::Applies(node) => self.apply(world, node)?,
            Action::TakesBarrier(node) => {
                let clock = world.shows(Clock::Store);
                let last = world.primary.log.last().map_or(world.primary.checkpoint, |entry| entry.id);
                let held = world.nodes[node].as_mut().filter(|held| held.waits_for.is_none() && held.barrier != Some((clock, last)))?;
                held.barrier = Some((clock, last));
            }
            Action::Closes(node) => self.close(world, node)?,
            Action::Arrives(id) => {
                let place = world.socket.iter().position(|commit| commit.id == id)?;
                let commit = world.socket.remove(place);
                self.arrive(world, commit);
            }
            Action::ArrivesAndWillAgain(id) => {
                world.left.doubles = world.left.doubles.checked_sub(1)?;
                let commit = world.socket.iter().find(|commit| commit.id == id)?.clone();
                self.arrive(world, commit);
            }
            Action::Confirmed(node) => {
                let held = world.nodes[node].as_mut().filter(|held| held.written == Some(true))?;
                held.written = None;
                held.waits_for = None;
                // Its own close is among them; another node's may not be there yet.
                world.confirmed = world.replica.outbox.clone();
            }
            Action::Dies(node) => {
                world.left.deaths = world.left.deaths.checked_sub(1)?;
                world.kill(node)?;
            }
            Action::Replicates => {
                (world.replica != world.primary).then_some(())?;
                world.replicate();
            }
            Action::FailsOver => {
                world.left.failovers = world.left.failovers.checked_sub(1)?;
                world.fail_over();
                if !self.any_primary {
                    world.socket.clear();
                    world.nodes = [None, None];
                }
            }
        }
        Some(())
    }

    /// `XADD`, and `WAIT` where that is asked for.
    fn send(&self, world: &mut World, message: Message) -> Option<()> {
        world.sent[message as usize].is_none().then_some(())?;
        world.left.sends = world.left.sends.checked_sub(1)?;
        let accepted_at = world.shows(Clock::Store).max(world.primary.floor);
        let ring = match (self.answers_first, self.remembers) {
            (true, _) => Ring::Owes,
            (false, true) => Ring::Remembers,
            (false, false) => Ring::Empty,
        };
        let acknowledged = !self.waits || self.answers_first;
        world.sent[message as usize] = Some(Sent { accepted_at, safe: Some(false), acknowledged, ring });
        if ring != Ring::Owes {
            world.append(message, accepted_at);
        }
        Some(())
    }

    /// `claim.lua`, over whoever holds it: how long leases last keeps nobody safe. The claim itself waits for no replica.
    pub fn claim(&self, world: &mut World, node: usize) -> Option<()> {
        // The nodes are alike: the first to claim is the first.
        (world.nodes[node].is_none() && (world.claims > 0 || node == 0)).then_some(())?;
        let bell = !self.bells_die || world.claims == 0;
        world.claims += 1;
        let server = &mut world.primary;
        server.lease = Lease { epoch: server.lease.epoch + 1, nonce: world.claims, node };
        world.nodes[node] = Some(Held {
            lease: server.lease,
            head: server.head,
            checkpoint: server.checkpoint,
            row: server.row,
            told: server.outbox.len() as u8,
            barrier: None,
            waits_for: None,
            written: None,
            bell,
        });
        Some(())
    }

    /// The next entry of the log becomes a commit (`actors::owner::apply`).
    fn apply(&self, world: &mut World, node: usize) -> Option<()> {
        let held = world.nodes[node].as_ref().filter(|held| held.waits_for.is_none())?;
        let entry = *world.primary.log.iter().find(|entry| entry.id > held.checkpoint)?;
        let row = held.row.step(entry);
        self.submit(world, node, entry.id, row, None);
        Some(())
    }

    /// The barrier is caught up with, and both clocks are past the deadline (`actors::owner::due`).
    fn close(&self, world: &mut World, node: usize) -> Option<()> {
        let held = world.nodes[node].as_ref().filter(|held| held.waits_for.is_none() && held.bell)?;
        let (clock, last) = match (self.no_barrier, held.barrier) {
            (true, _) => (world.shows(Clock::Store), 0),
            (false, barrier) => barrier?,
        };
        let trusted = if self.one_clock { clock } else { clock.min(world.shows(Clock::Node)) };
        let due = held.row.due.filter(|due| held.checkpoint >= last && *due < trusted)?;
        let close = Close { episode: held.row.episode, due, knew: held.row.applied };
        let (checkpoint, row) = (held.checkpoint, held.row.closed());
        self.submit(world, node, checkpoint, row, Some(close));
        Some(())
    }

    fn submit(&self, world: &mut World, node: usize, checkpoint: u8, row: Row, close: Option<Close>) {
        let Some(held) = world.nodes[node].as_mut() else { return };
        world.commits += 1;
        let id = world.commits;
        let (from, based_on) = ((held.row, held.checkpoint), held.head);
        world.socket.push(Commit {
            node,
            lease: held.lease,
            id,
            based_on,
            checkpoint,
            row,
            close,
            told: held.told,
            from,
            half_done: false,
        });
        // Nobody reads this before the answer; whoever gets none drops it.
        (held.head, held.checkpoint, held.row, held.told) = (id, checkpoint, row, held.told + u8::from(close.is_some()));
        held.bell |= row.due.is_some() && row != from.0;
        (held.waits_for, held.barrier) = (Some(id), if close.is_some() { None } else { held.barrier });
    }
}
