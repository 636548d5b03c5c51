//! The protocol as a model, every history of it up to a bound: what the lease, the chain, the barrier and `WAIT` are for.
//!
//! One partition, one conversation, one primary with a replica, two nodes. A contact's reply and a human message may come at
//! any moment. Commits stay in their sockets for as long as they like, arrive twice, arrive after their writer's death,
//! also when it lives again or another has taken over; nodes die between any two steps, and begin anew knowing nothing; the
//! primary is lost with whatever the replica has not; one clock jumps and steps back.
//!
//! Each guard is then taken away, and a promise must break: a short history that breaks it is printed.
//!
//! | here | there |
//! |---|---|
//! | `Protocol::arrive`, `check`, `may_close` | `src/store/redis/script/commit.lua`: fence, chain, numbering, `not_before`, XTRIM, XSETID |
//! | `Protocol::claim` | `claim.lua`, and loading the row |
//! | `FailsOver` ends sockets and memory | `same_primary` in `src/store/redis/lease.rs` |
//! | `TakesBarrier` | `barrier.lua` |
//! | `Applies`, `Closes` | `actors::owner::apply`, `actors::owner::due` |
//! | `Dies`, and `Claims` of the same node | `kill -9`, and the next process of that name |
//! | a refusal | the memory that a shard drops (`actors::shard::tenure`) |
//! | `AppendsAgain` | `src/store/ring.rs`, and `remind` in `src/store/redis/background.rs` |
//! | `Acknowledged`, `Confirmed` | `WAIT` after `XADD` and after a commit (`strict`) |
//!
//! What it leaves out: leases run out at any moment, so it says nothing about who claims when; a failover is one instant, and
//! a primary that was cut off answers nobody; that the primary is the same is asked and the commit sent in one step, which
//! in the product are two; ids in the log never come twice, also over a failover; a message is sent once, and each node is
//! sent one of the two, so that repeats come from applying and from appending again alone; what a node remembers having
//! acknowledged it forgets by dying, not by and by; an entry is one commit; snoozes, settings and dead letters are rows like
//! any other. The rules are those of `domain` for two messages, written again (`Row::step`): the real ones would make every
//! state differ in its times.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)] // clippy.toml excuses test functions, not their helpers

use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model, Property};

mod laws;
mod script;
mod steps;
mod world;

use script::Fence;
use steps::Action;
use world::*;

/// The protocol, whole or with a guard taken away.
#[derive(Clone, Debug)]
pub struct Protocol {
    budget: Budget,
    fence: Fence,
    /// Answers wait for the replica.
    waits: bool,
    /// What a node acknowledged it appends again when another primary answers.
    remembers: bool,
    no_chain: bool,
    no_barrier: bool,
    one_clock: bool,
    checkpoint_apart: bool,
    writes_first: bool,
    trims_all: bool,
    /// Who takes over reads no index of deadlines.
    bells_die: bool,
    /// What was claimed under one primary is written under the next.
    any_primary: bool,
    /// A message is acknowledged when its node has it in memory, and appended afterwards.
    answers_first: bool,
    /// The promises asked for.
    laws: &'static [&'static str],
}

/// Faults of one history.
const BUDGET: Budget = Budget { sends: 2, ticks: 2, claims: 2, deaths: 1, doubles: 1, failovers: 1, jumps: 0 };

const STRICT: Protocol = Protocol {
    budget: BUDGET,
    fence: Fence::Whole,
    waits: true,
    remembers: false,
    no_chain: false,
    no_barrier: false,
    one_clock: false,
    checkpoint_apart: false,
    writes_first: false,
    trims_all: false,
    bells_die: false,
    any_primary: false,
    answers_first: false,
    laws: &laws::ALL,
};

/// Without `strict`, a failover may lose what was acknowledged. It breaks nothing else.
const LOOSE: Protocol = Protocol { waits: false, laws: &laws::OF_WHAT_SURVIVED, ..STRICT };

/// The same within the seconds for which nodes remember what they acknowledged.
const REMEMBERING: Protocol = Protocol { remembers: true, ..LOOSE };

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self.budget)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        use Action::*;
        actions.extend([Tick, Replicates, FailsOver]);
        actions.extend([Clock::Store, Clock::Node].into_iter().flat_map(|clock| [Jumps(clock), StepsBack(clock)]));
        actions.extend(MESSAGES.into_iter().flat_map(|message| [Sends(message), Acknowledged(message), AppendsAgain(message)]));
        for node in 0..world.nodes.len() {
            actions.extend([Claims(node), Applies(node), TakesBarrier(node), Closes(node), Confirmed(node), Dies(node)]);
        }
        for commit in &world.socket {
            actions.extend([Arrives(commit.id), ArrivesAndWillAgain(commit.id)]);
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        self.perform(&mut next, &action)?;
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        laws::properties().into_iter().filter(|law| self.laws.contains(&law.name)).collect()
    }
}

/// Explores all of it: every promise holds.
fn holds(name: &str, protocol: Protocol) {
    let begun = Instant::now();
    let checker = protocol.checker().spawn_bfs().join();
    let (states, depth) = (checker.unique_state_count(), checker.max_depth());
    println!("{name}: holds in {states} states, {depth} steps deep, {:.1?}", begun.elapsed());
    if let Some((law, path)) = checker.discoveries().into_iter().next() {
        panic!("{name}: {law} is broken:\n{}", told(path.into_vec()));
    }
    assert!(states > 10_000, "{name} explored next to nothing");
}

/// With a guard taken away this promise breaks; the history is a short one, if not the shortest.
fn breaks(name: &str, law: &'static str, protocol: Protocol) {
    assert!(protocol.laws.contains(&law), "{law} is not asked for");
    let begun = Instant::now();
    let first = HasDiscoveries::AnyOf([law].into());
    let checker = protocol.checker().finish_when(first).spawn_bfs().join();
    let states = checker.unique_state_count();
    let path = checker.discovery(law).unwrap_or_else(|| panic!("{name}: {law} holds in all of {states} states"));
    println!("{name}: breaks `{law}` after {states} states, {:.1?}:\n{}", begun.elapsed(), told(path.into_vec()));
}

/// The same, and it takes a death: while both nodes live, every promise asked for holds.
fn breaks_by_a_death(name: &str, law: &'static str, protocol: Protocol) {
    let budget = Budget { deaths: 0, ..protocol.budget };
    holds(&format!("{name}, nobody dies"), Protocol { budget, ..protocol.clone() });
    breaks(name, law, protocol);
}

/// One step a line, with what the primary holds after it.
fn told(path: Vec<(World, Option<Action>)>) -> String {
    let afters: Vec<World> = path.iter().skip(1).map(|(world, _)| world.clone()).collect();
    let line = |(action, after): (Action, &World)| {
        let World { now, primary, .. } = after;
        let Server { lease, head, checkpoint, row, outbox, .. } = primary;
        let (Lease { epoch, nonce, node }, closes) = (lease, outbox.iter().map(|close| close.episode).collect::<Vec<_>>());
        let state = if row.open { "open" } else { "closed" };
        format!(
            "  {:<28} at {now}: lease {epoch}/{nonce} of {node}, head {head}, checkpoint {checkpoint}, episode {} {state}, due {:?}, \
             closes of {closes:?}\n",
            format!("{action:?}"),
            row.episode,
            row.due,
        )
    };
    path.into_iter().filter_map(|(_, action)| action).zip(&afters).map(line).collect()
}

#[test]
fn whole_over_a_death_and_a_failover_every_promise_holds() {
    let budget = Budget { doubles: 0, ..BUDGET };
    holds("strict, a death and a failover", Protocol { budget, ..STRICT });
}

/// Time enough for a node to die, the other to take over and die, and either to come back, with what both sent still under way.
#[test]
fn whole_over_two_deaths_every_promise_holds() {
    let budget = Budget { sends: 1, claims: 3, deaths: 2, doubles: 0, failovers: 0, ..BUDGET };
    holds("strict, two deaths", Protocol { budget, ..STRICT });
}

#[test]
fn whole_with_a_lost_lease_and_a_doubled_commit_every_promise_holds() {
    let budget = Budget { deaths: 0, failovers: 0, ..BUDGET };
    holds("strict, a doubled commit", Protocol { budget, ..STRICT });
}

#[test]
fn whole_without_waiting_what_survived_is_right() {
    let budget = Budget { deaths: 0, doubles: 0, ..BUDGET };
    holds("without waiting, a failover", Protocol { budget, ..LOOSE });
}

#[test]
fn whole_without_waiting_what_the_living_remember_is_not_lost() {
    let budget = Budget { sends: 1, doubles: 0, ..BUDGET };
    holds("without waiting, a death and a failover", Protocol { budget, ..REMEMBERING });
}

#[test]
fn whole_with_a_wrong_clock_every_promise_holds() {
    let budget = Budget { claims: 1, deaths: 0, doubles: 0, failovers: 0, jumps: 1, ..BUDGET };
    holds("strict, a wrong clock", Protocol { budget, ..STRICT });
}

#[test]
fn whole_over_a_death_with_a_wrong_clock_every_promise_holds() {
    let budget = Budget { sends: 1, doubles: 0, failovers: 0, jumps: 1, ..BUDGET };
    holds("strict, a death and a wrong clock", Protocol { budget, ..STRICT });
}

#[test]
fn without_the_fence_the_stale_write() {
    breaks("no fence", laws::NOTHING_STALE, Protocol { fence: Fence::Missing, ..STRICT });
}

#[test]
fn with_a_fence_of_one_number_a_failover_makes_two_owners() {
    breaks("the epoch alone", laws::NOTHING_STALE, Protocol { fence: Fence::EpochAlone, any_primary: true, ..LOOSE });
}

#[test]
fn without_the_chain_a_doubled_close_is_told_twice() {
    breaks("no chain", laws::ONE_CLOSE, Protocol { no_chain: true, ..STRICT });
}

#[test]
fn without_the_barrier_a_reply_is_overlooked() {
    breaks("no barrier", laws::NOT_OVER_A_REPLY, Protocol { no_barrier: true, ..STRICT });
}

#[test]
fn with_the_checkpoint_in_a_step_of_its_own_a_crash_loses_an_entry() {
    breaks("the checkpoint apart", laws::NOTHING_LOST, Protocol { checkpoint_apart: true, ..STRICT });
}

#[test]
fn without_waiting_a_failover_loses_what_was_acknowledged() {
    breaks("no wait", laws::NOTHING_LOST, Protocol { laws: &laws::ALL, ..LOOSE });
}

/// What only a dead node remembered is not promised; without a death nothing is lost.
#[test]
fn without_waiting_a_failover_loses_what_a_dead_node_had_acknowledged() {
    let budget = Budget { sends: 1, doubles: 0, ..BUDGET };
    breaks_by_a_death("no wait, remembered", laws::NOTHING_LOST, Protocol { budget, laws: &laws::WHILE_NODES_LIVE, ..REMEMBERING });
}

/// The next process of a name is not the one that died: what that one sent is still under way.
#[test]
fn with_a_fence_of_the_nodes_name_a_dead_process_writes_after_its_restart() {
    let budget = Budget { sends: 1, doubles: 0, failovers: 0, ..BUDGET };
    breaks_by_a_death("the name alone", laws::NOTHING_STALE, Protocol { fence: Fence::NodeAlone, budget, ..STRICT });
}

#[test]
fn acknowledged_before_it_is_stored_a_message_dies_with_its_node() {
    let budget = Budget { sends: 1, doubles: 0, failovers: 0, ..BUDGET };
    breaks_by_a_death("answer first", laws::NOTHING_LOST, Protocol { answers_first: true, budget, laws: &[laws::NOTHING_LOST], ..STRICT });
}

#[test]
fn with_one_clock_a_jump_closes_early() {
    let budget = Budget { jumps: 1, ..BUDGET };
    breaks("one clock", laws::NEVER_EARLY, Protocol { budget, one_clock: true, ..STRICT });
}

#[test]
fn written_before_checked_what_is_refused_is_there_all_the_same() {
    breaks("write before validate", laws::NOTHING_STALE, Protocol { writes_first: true, ..STRICT });
}

#[test]
fn trimmed_beyond_the_checkpoint_an_entry_is_lost() {
    breaks("trim it all", laws::NOTHING_LOST, Protocol { trims_all: true, ..STRICT });
}

/// Found by this model: the fence and the chain alone do not save an owner that has lost its partition without hearing of
/// it. It reads on in a log that its successor has trimmed, and a failover undoes the successor's claim and commit.
#[test]
fn written_under_the_next_primary_a_trimmed_entry_is_skipped() {
    let budget = Budget { deaths: 0, doubles: 0, ..BUDGET };
    breaks("any primary", laws::NOTHING_LOST, Protocol { any_primary: true, budget, ..STRICT });
}

#[test]
fn without_the_index_a_timer_dies_with_its_node() {
    breaks("no index", laws::EVERY_TIMER_CLOSES, Protocol { bells_die: true, ..STRICT });
}
