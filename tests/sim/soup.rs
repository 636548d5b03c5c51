//! Seeded runs: random events, late and doubled; clocks that jump; a store that fails; nodes that die, and nodes that
//! fight over one store. Then everything heals, and the laws are asked for; where only messages came, a reader of the
//! accepted log says of each close whether it was legal, and of each conversation how it must have ended. `ADJOURN_SIM_SEEDS=500 cargo test --test sim soup` tries more; a failure names its
//! seed, and `ADJOURN_SIM_SEED=17` runs that one alone.

use adjourn::actors::{Node, Verdict, node};
use adjourn::clock::{Clock, ManualClock};
use adjourn::domain::event::{Assignee, AssigneeKind, ClosingSource, EventKind, MessageSource, OpeningSource};
use adjourn::domain::notice::{Cause, Status};
use adjourn::domain::order::Position;
use adjourn::domain::{Accepted, ConversationNotice, Event, NoticeKind, Span, Timestamp, invariant};

use crate::world::{World, event, minute};

/// Of these, half see nothing but messages.
const CONVERSATIONS: u64 = 6;
const STEPS: u64 = 120;

/// SplitMix64: the same numbers for the same seed, everywhere.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    fn kind(&mut self, now: Timestamp) -> EventKind {
        self.kind_of(20, now)
    }

    /// Only messages.
    fn message(&mut self, now: Timestamp) -> EventKind {
        self.kind_of(11, now)
    }

    fn kind_of(&mut self, sides: u64, now: Timestamp) -> EventKind {
        let say = |source| EventKind::Message { source, agent: None, message_id: None };
        let assign = |kind| EventKind::Assigned(Assignee { kind, id: "ana".into(), name: None });
        match self.roll(sides) {
            0..=6 => say(MessageSource::User),
            7..=9 => say(MessageSource::Contact),
            10 => say(MessageSource::Workflow),
            11 => say(MessageSource::Echo),
            12 => EventKind::Snoozed { until: now.plus(Span::from_mins(self.roll(200) as i64)) },
            13 => EventKind::Unsnoozed,
            14 => assign(AssigneeKind::Human),
            15 => assign(AssigneeKind::AiAgent),
            16 => EventKind::Blocked,
            17 => EventKind::Unblocked,
            18 => EventKind::Closed { source: ClosingSource::User, by: None, note: None },
            _ => EventKind::Opened { source: OpeningSource::User, by: None },
        }
    }
}

/// Those the environment names, or the first `few`.
pub fn seeds(few: u64) -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match number("ADJOURN_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("ADJOURN_SIM_SEEDS").unwrap_or(few),
    }
}

#[actix::test]
async fn the_laws_hold_in_any_soup() {
    for seed in seeds(12) {
        println!("seed {seed}");
        run(seed).await;
    }
}

async fn run(seed: u64) {
    let mut dice = Dice(seed);
    let mut world = World::start().await;
    let mut rival: Option<Node> = None;
    let mut sent: Vec<Accepted> = Vec::new();
    for step in 0..STEPS {
        match dice.roll(12) {
            0..=7 => {
                let late = Span::from_mins([0, 0, 0, 1, 30, 200][dice.roll(6) as usize]);
                let now = world.wall.now();
                let time = now.minus(late).max(minute(-1_000));
                let number = dice.roll(CONVERSATIONS);
                let kind = if only_messages(number) { dice.message(time) } else { dice.kind(time) };
                offer(&world, event(&format!("e{step}"), &format!("c{number}"), time, kind), &mut sent).await;
            }
            8 if !sent.is_empty() => {
                // A repeat changes nothing, whatever became of the first.
                let again = sent[dice.roll(sent.len() as u64) as usize].event.clone();
                let _ = world.node.ingest(vec![again]).await;
            }
            8 | 9 => world.pass(dice.roll(90) as i64),
            10 => trouble(&mut world, &mut rival, &mut dice).await,
            _ => world.ticks(1).await,
        }
    }
    if let Some(rival) = rival {
        rival.stop().await;
    }
    heal(&world).await;
    check(&world, &sent, seed).await;
    world.node.stop().await;
}

fn only_messages(conversation: u64) -> bool {
    conversation < CONVERSATIONS / 2
}

/// Sends until it is accepted, as a pipeline does. The clocks stand still meanwhile: an acceptance whose answer was lost
/// has the same instant.
async fn offer(world: &World, event: Event, sent: &mut Vec<Accepted>) {
    let accepted_at = loop {
        match world.node.ingest(vec![event.clone()]).await.as_deref() {
            Ok([Verdict::Accepted(receipt)]) => break receipt.id.accepted_at(),
            Ok(verdicts) => panic!("{verdicts:?}"),
            Err(_) => {}
        }
    };
    sent.push(Accepted { event, accepted_at });
}

async fn trouble(world: &mut World, rival: &mut Option<Node>, dice: &mut Dice) {
    let faults = world.store.faults();
    let jump = |dice: &mut Dice| [60_000 * 60, 60_000, 1, 7][dice.roll(4) as usize] * (dice.roll(3) as i64 - 1);
    match dice.roll(9) {
        0 => faults.refuse_commits(1),
        1 => faults.lose_commits(1),
        2 => faults.lose_commit_answers(1),
        3 => faults.double_commits(2),
        4 => faults.lose_append_answers(1),
        5 => world.wall.jump(jump(dice)),
        6 => world.steady.jump(jump(dice)),
        7 => match rival.take() {
            // Two nodes that both believe to own everything; each has a steady clock of its own.
            None => {
                let steady = ManualClock::at(world.steady.now().plus(Span::from_millis(dice.roll(9) as i64)));
                *rival = Some(node::start(world.store.clone(), steady, world.node.options().clone()));
            }
            Some(rival) => rival.stop().await,
        },
        _ => world.restart().await,
    }
}

/// The clocks agree again, later than either ever was, and everything due has come due.
async fn heal(world: &World) {
    let latest = world.wall.now().max(world.steady.now()).plus(Span::from_days(30));
    world.wall.set(latest);
    world.steady.set(latest);
    world.ticks(3).await;
    world.eventually("the log to be applied", async || world.node.stats().await.unwrap().iter().all(|p| p.backlog == 0)).await;
    world.ticks(3).await;
}

async fn check(world: &World, sent: &[Accepted], seed: u64) {
    assert_eq!(world.node.dead_letters(10).await.unwrap(), [], "seed {seed}: nothing here is poison");
    for number in 0..CONVERSATIONS {
        let name = format!("c{number}");
        let told = world.told(&name).await;
        assert!(told.iter().all(invariant::never_closes_early), "seed {seed}, {name}: early");
        assert!(invariant::one_close_per_episode(&told), "seed {seed}, {name}: two closes of one episode");
        assert!(invariant::opens_and_closes_alternate(&told), "seed {seed}, {name}: opened open or closed closed");
        assert!(invariant::notification_ids_differ(&told), "seed {seed}, {name}: two notifications with one id");
        let Some(why) = world.node.why(&crate::world::key(&name)).await.unwrap() else { continue };
        if let Ok(due) = &why.timer {
            panic!("seed {seed}, {name}: forgotten, was due at {:?}, now is {:?}, held {}", due.at, why.now, why.set_aside);
        }
        let of_it = |e: &&Accepted| e.event.conversation.conversation() == name && matches!(e.event.kind, EventKind::Message { .. });
        let messages: Vec<&Accepted> = sent.iter().filter(of_it).collect();
        let counted = why.snapshot.messages.incoming + why.snapshot.messages.outgoing;
        assert_eq!(counted, messages.len() as u64, "seed {seed}, {name}: every message counts once");
        let last = told
            .iter()
            .rev()
            .find(|t| matches!(t.kind, NoticeKind::Closed | NoticeKind::Opened | NoticeKind::Reopened | NoticeKind::Reversed));
        let open = last.is_some_and(|t| t.kind != NoticeKind::Closed);
        assert_eq!(open, why.snapshot.status != Status::Closed, "seed {seed}, {name}: told one thing, is another");
        if only_messages(number) {
            let closes: Vec<&ConversationNotice> = told.iter().filter(|told| told.kind == NoticeKind::Closed).collect();
            closes.iter().for_each(|close| assert!(is_legal(close, &messages), "seed {seed}, {name}: {close:?} after {messages:?}"));
            let expected = ends_open(&closes, &messages).unwrap_or(open);
            assert_eq!(open, expected, "seed {seed}, {name}: {closes:?} after {messages:?}");
        }
    }
}

fn is_contact(message: &Accepted) -> bool {
    message.event.kind.is_contact_message()
}

fn is_human(message: &Accepted) -> bool {
    matches!(message.event.kind, EventKind::Message { source: MessageSource::User | MessageSource::Echo, .. })
}

/// D1, D2, D8 by the accepted log alone: the close names its message, kept that message's deadline, and nobody wrote
/// after it who was taken in by then.
fn is_legal(close: &ConversationNotice, messages: &[&Accepted]) -> bool {
    let Cause::AutoClose { deadline, armed_by, .. } = &close.cause else { return false };
    let Some(armed) = messages.iter().find(|message| message.event.name == *armed_by) else { return false };
    let (hour, backlog) = (Span::from_hours(1), Span::from_mins(2));
    let later = |message: &&&Accepted| message.accepted_at <= *deadline && Position::of(message) > Position::of(armed);
    is_human(armed)
        && *deadline == armed.event.time.plus(hour).max(armed.accepted_at.plus(backlog))
        && close.snapshot.closed_at.is_some_and(|at| at > *deadline)
        && !messages.iter().filter(later).any(|message| is_contact(message) || is_human(message))
}

/// D4, D7: either the contact waits, or it was closed. `None`: a human message not later than a close opens nothing (D5),
/// and what held before it does.
fn ends_open(closes: &[&ConversationNotice], messages: &[&Accepted]) -> Option<bool> {
    let people = messages.iter().filter(|message| is_contact(message) || is_human(message));
    let last = people.max_by_key(|message| Position::of(message))?;
    let is_past = closes.iter().any(|close| close.snapshot.closed_at >= Some(Position::of(last).effective));
    (is_contact(last) || !is_past).then_some(is_contact(last))
}
