//! The promises, as questions to one state.

use stateright::Property;

use crate::Protocol;
use crate::steps::Action;
use crate::world::*;

pub const NEVER_EARLY: &str = "never early";
pub const NOT_OVER_A_REPLY: &str = "no close over an accepted reply";
pub const ONE_CLOSE: &str = "at most one close an episode";
pub const NOTHING_STALE: &str = "nothing stale is written";
pub const NOTHING_LOST: &str = "nothing acknowledged is lost";
pub const NOTHING_LOST_BY_THE_LIVING: &str = "nothing is lost that a node remembers";
pub const EVERY_TIMER_CLOSES: &str = "every due timer closes once the faults are over";

pub const ALL: [&str; 6] = [NEVER_EARLY, NOT_OVER_A_REPLY, ONE_CLOSE, NOTHING_STALE, NOTHING_LOST, EVERY_TIMER_CLOSES];
pub const OF_WHAT_SURVIVED: [&str; 5] = [NEVER_EARLY, ONE_CLOSE, NOTHING_STALE, NOTHING_LOST_BY_THE_LIVING, EVERY_TIMER_CLOSES];
/// A reply that a primary has lost may be closed over before it is appended again.
pub const WHILE_NODES_LIVE: [&str; 5] = [NEVER_EARLY, ONE_CLOSE, NOTHING_STALE, NOTHING_LOST, EVERY_TIMER_CLOSES];

pub fn properties() -> [Property<Protocol>; 7] {
    [
        Property::<Protocol>::always(NEVER_EARLY, |_, world: &World| !world.early),
        Property::<Protocol>::always(NOT_OVER_A_REPLY, |_, world: &World| {
            world.primary.outbox.iter().all(|close| !is_over_a_reply(world, *close))
        }),
        Property::<Protocol>::always(ONE_CLOSE, |_, world: &World| !has_twice(&world.primary.outbox)),
        Property::<Protocol>::always(NOTHING_STALE, |_, world: &World| !world.stale),
        Property::<Protocol>::always(NOTHING_LOST, |_, world: &World| {
            MESSAGES.into_iter().all(|message| is_kept(world, message)) && closes_are_kept(world)
        }),
        Property::<Protocol>::always(NOTHING_LOST_BY_THE_LIVING, |_, world: &World| {
            let is_remembered = |message: Message| world.sent[message as usize].is_some_and(|sent| sent.ring != Ring::Empty);
            MESSAGES.into_iter().all(|message| !is_remembered(message) || is_kept(world, message))
        }),
        Property::always(EVERY_TIMER_CLOSES, settles),
    ]
}

fn has_twice(outbox: &[Close]) -> bool {
    outbox.iter().enumerate().any(|(place, close)| outbox[..place].iter().any(|before| before.episode == close.episode))
}

/// D2, of replies whose sender was told so.
fn is_over_a_reply(world: &World, close: Close) -> bool {
    let reply = world.sent[Message::Reply as usize].filter(|reply| reply.acknowledged);
    reply.is_some_and(|reply| reply.accepted_at <= close.due && close.knew & Message::Reply.mark() == 0)
}

/// In the store, or by the node that will append it again.
fn is_kept(world: &World, message: Message) -> bool {
    let Some(sent) = world.sent[message as usize].filter(|sent| sent.acknowledged) else { return true };
    let server = &world.primary;
    sent.ring == Ring::Owes
        || server.row.knows(message)
        || server.log.iter().any(|entry| entry.message == message && entry.id > server.checkpoint)
}

fn closes_are_kept(world: &World) -> bool {
    world.confirmed.iter().all(|close| world.primary.outbox.contains(close))
}

/// From here on nothing goes wrong, clocks go right, and time passes: whoever holds the partition goes on, or somebody takes
/// it. Then nothing is left to be applied or to be closed.
fn settles(protocol: &Protocol, world: &World) -> bool {
    let mut world = World { now: 20, ahead: [0; 2], socket: Vec::new(), ..world.clone() };
    for message in MESSAGES {
        let _ = protocol.perform(&mut world, &Action::AppendsAgain(message));
    }
    world.replicate();
    let holds = |held: &Option<Held>| held.as_ref().is_some_and(|held| held.lease == world.primary.lease && held.waits_for.is_none());
    let node = world.nodes.iter().position(holds).unwrap_or_else(|| {
        world.nodes[0] = None;
        let _ = protocol.claim(&mut world, 0);
        0
    });
    for _ in 0..20 {
        world.replicate();
        let steps = [Action::Confirmed(node), Action::Applies(node), Action::Closes(node), Action::TakesBarrier(node)];
        let Some(commit) = world.socket.first().map(|commit| commit.id) else {
            if steps.iter().any(|step| protocol.perform(&mut world, step).is_some()) {
                continue;
            }
            break;
        };
        let _ = protocol.perform(&mut world, &Action::Arrives(commit));
    }
    let server = &world.primary;
    server.row.due.is_none() && !server.log.iter().any(|entry| entry.id > server.checkpoint)
}
