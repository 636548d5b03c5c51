//! A checker that cannot fail is worthless: a sound history passes, and each doctored one is found out.

use super::checker::{Violation, check};
use super::history::{Close, Counts, Entry, History, Logged, Message, Ms, Name, Policy, Speaker, State, Told, Word};

const PERIOD: Ms = 2_000;
const END: Ms = 1_000_000;

fn name(id: &str) -> Name {
    Name { id: id.into(), source: "/test".into() }
}

fn message(id: &str, time: Ms, speaker: Speaker) -> Message {
    let conversation = id.split('-').next().unwrap().into();
    Message { name: name(id), conversation, time, speaker }
}

fn log(history: &mut History, accepted_at: Ms, message: Message) {
    if !history.sent.contains(&message) {
        history.sent.push(message.clone());
        history.acknowledged.insert(message.name.clone());
    }
    history.log.push(Logged { partition: 3, accepted_at, entry: Entry::Message(message) });
}

fn tell(history: &mut History, conversation: &str, word: Word, episode: u32, closes_at: Option<Ms>, counts: (u64, u64)) {
    let id = format!("n{}", history.told.len());
    history.heard.insert(id.clone(), END);
    let counts = Counts { incoming: counts.0, outgoing: counts.1 };
    history.told.push(Told { id, conversation: conversation.into(), word, episode, closes_at, counts, close: None });
}

fn tell_close(history: &mut History, armed_by: &str, at: Ms, deadline: Ms, episode: u32, counts: (u64, u64)) {
    let conversation = armed_by.split('-').next().unwrap();
    tell(history, conversation, Word::Closed, episode, Some(deadline), counts);
    let close = Close { at, deadline, period: PERIOD, armed_by: name(armed_by) };
    history.told.last_mut().unwrap().close = Some(close);
}

fn end(history: &mut History, conversation: &str, episode: u32, closed_at: Option<Ms>, counts: (u64, u64), last: (Option<Ms>, Option<Ms>)) {
    let counts = Counts { incoming: counts.0, outgoing: counts.1 };
    let state = State { episode, closed_at, counts, last_contact_at: last.0, last_human_at: last.1 };
    history.states.insert(conversation.into(), state);
}

fn policy(history: &mut History, accepted_at: Ms, version: u64, epoch: Option<u64>) {
    let policy = Policy { version, epoch, period: PERIOD, late_reply_window: 600_000 };
    history.log.push(Logged { partition: 3, accepted_at, entry: Entry::Policy(policy) });
}

/// Four conversations, by hand: `quiet` closes; `answered` does not; `late` closes, is taken back, closes again and is
/// reopened by the contact; `mixed` comes out of order, with a repeat and a machine.
fn sound() -> History {
    let mut history = History::default();
    let h = &mut history;
    policy(h, 10, 1, Some(1));

    log(h, 1_005, message("quiet-1", 1_000, Speaker::Contact));
    log(h, 2_010, message("quiet-2", 2_000, Speaker::Human));
    tell(h, "quiet", Word::Opened, 1, None, (1, 0));
    tell(h, "quiet", Word::Armed, 1, Some(4_010), (1, 1));
    tell_close(h, "quiet-2", 4_013, 4_010, 1, (1, 1));
    end(h, "quiet", 1, Some(4_013), (1, 1), (Some(1_000), Some(2_000)));

    log(h, 2_020, message("answered-1", 2_000, Speaker::Human));
    log(h, 3_000, message("answered-2", 2_900, Speaker::Contact));
    tell(h, "answered", Word::Opened, 1, Some(4_020), (0, 1));
    tell(h, "answered", Word::Armed, 1, Some(4_020), (0, 1));
    tell(h, "answered", Word::Cancelled, 1, None, (1, 1));
    end(h, "answered", 1, None, (1, 1), (Some(2_900), Some(2_000)));

    log(h, 3_010, message("late-1", 3_000, Speaker::Human));
    log(h, 6_000, message("late-2", 5_000, Speaker::Contact));
    log(h, 7_000, message("late-3", 7_000, Speaker::Human));
    log(h, 9_500, message("late-4", 9_400, Speaker::Contact));
    tell(h, "late", Word::Opened, 1, Some(5_010), (0, 1));
    tell(h, "late", Word::Armed, 1, Some(5_010), (0, 1));
    tell_close(h, "late-1", 5_012, 5_010, 1, (0, 1));
    tell(h, "late", Word::Reversed, 1, None, (1, 1));
    tell(h, "late", Word::Armed, 1, Some(9_000), (1, 2));
    tell_close(h, "late-3", 9_001, 9_000, 1, (1, 2));
    tell(h, "late", Word::Reopened, 2, None, (2, 2));
    end(h, "late", 2, None, (2, 2), (Some(9_400), None));

    log(h, 10_000, message("mixed-1", 9_900, Speaker::Human));
    log(h, 10_001, message("mixed-2", 9_800, Speaker::Contact));
    log(h, 10_002, message("mixed-1", 9_900, Speaker::Human));
    log(h, 10_003, message("mixed-3", 10_000, Speaker::Machine));
    tell(h, "mixed", Word::Opened, 1, Some(12_000), (0, 1));
    tell(h, "mixed", Word::Armed, 1, Some(12_000), (0, 1));
    tell_close(h, "mixed-1", 12_001, 12_000, 1, (1, 2));
    end(h, "mixed", 1, Some(12_001), (1, 2), (Some(9_800), Some(9_900)));
    history
}

/// The violations of the sound history after `doctor` had it.
fn found(doctor: impl FnOnce(&mut History)) -> Vec<Violation> {
    let mut history = sound();
    doctor(&mut history);
    check(&history, END).0
}

fn close_of<'a>(history: &'a mut History, conversation: &str) -> &'a mut Told {
    history.told.iter_mut().find(|told| told.conversation == conversation && told.close.is_some()).unwrap()
}

fn has(found: &[Violation], what: impl Fn(&Violation) -> bool) {
    assert!(found.iter().any(what), "not found out, or called something else: {found:#?}");
}

#[test]
fn a_sound_history_passes() {
    let (violations, tally) = check(&sound(), END);
    assert_eq!(violations, []);
    assert_eq!((tally.closes, tally.reversals, tally.reopenings, tally.repeats, tally.out_of_order), (4, 1, 1, 1, 1));
}

#[test]
fn an_early_close_is_found() {
    let found = found(|h| close_of(h, "quiet").close.as_mut().unwrap().at = 4_009);
    has(&found, |v| matches!(v, Violation::Early { deadline: 4_010, .. }));
}

#[test]
fn a_close_that_moved_its_deadline_to_be_in_time_is_found() {
    let found = found(|h| {
        let close = close_of(h, "quiet").close.as_mut().unwrap();
        (close.at, close.deadline) = (3_900, 3_800);
    });
    has(&found, |v| matches!(v, Violation::Early { .. }));
    has(&found, |v| matches!(v, Violation::WrongDeadline { recorded: 3_800, recomputed: 4_010, .. }));
}

#[test]
fn a_close_heard_before_its_deadline_is_found() {
    let found = found(|h| {
        let id = close_of(h, "quiet").id.clone();
        h.heard.insert(id, 4_000);
    });
    has(&found, |v| matches!(v, Violation::HeardEarly { .. }));
}

#[test]
fn a_double_close_is_found() {
    let found = found(|h| {
        let again = Told { id: "again".into(), ..close_of(h, "quiet").clone() };
        h.heard.insert(again.id.clone(), END);
        h.told.push(again);
    });
    has(&found, |v| matches!(v, Violation::Double { .. }));
}

#[test]
fn a_close_told_twice_under_one_id_is_found() {
    let found = found(|h| {
        let again = close_of(h, "quiet").clone();
        h.told.push(again);
    });
    has(&found, |v| matches!(v, Violation::SameId(_)));
}

#[test]
fn a_missing_close_is_found() {
    let found = found(|h| {
        let at = h.told.iter().position(|told| told.conversation == "mixed" && told.close.is_some()).unwrap();
        h.heard.remove(&h.told.remove(at).id);
        h.states.get_mut("mixed").unwrap().closed_at = None;
    });
    assert_eq!(found, [Violation::Missing { conversation: "mixed".into(), deadline: 12_000 }]);
}

/// Accepted at the very deadline, not applied: the close stands before it in the log.
#[test]
fn a_close_over_a_reply_is_found() {
    let doctored = |accepted_at, speaker| {
        found(move |h| {
            let at = h.log.iter().position(|logged| logged.accepted_at > accepted_at).unwrap();
            let reply = message("quiet-3", 4_000, speaker);
            h.sent.push(reply.clone());
            h.log.insert(at, Logged { partition: 3, accepted_at, entry: Entry::Message(reply) });
        })
    };
    has(&doctored(4_010, Speaker::Contact), Violation::is_over_a_reply);
    has(&doctored(4_010, Speaker::Human), |v| matches!(v, Violation::Over { .. }));
    assert!(!doctored(4_011, Speaker::Contact).iter().any(Violation::is_over_a_reply), "that one is late, and reverses");
    assert!(!doctored(4_010, Speaker::Machine).iter().any(|v| matches!(v, Violation::Over { .. })));
}

/// Applied, and closed all the same.
#[test]
fn a_close_after_an_applied_reply_is_found() {
    let found = found(|h| {
        tell_close(h, "answered-1", 4_030, 4_020, 1, (1, 1));
    });
    has(&found, |v| matches!(v, Violation::NoTimer { .. }));
}

#[test]
fn a_close_while_switched_off_is_found() {
    let found = found(|h| policy(h, 11_000, 2, None));
    has(&found, |v| matches!(v, Violation::NoTimer { at: 12_001, .. }));
}

#[test]
fn a_lost_event_is_found() {
    let lost = found(|h| {
        h.log.retain(|logged| !matches!(&logged.entry, Entry::Message(m) if m.name.id == "answered-2"));
    });
    has(&lost, |v| *v == Violation::Lost(name("answered-2")));
    let changed = found(|h| {
        let Entry::Message(m) = &mut h.log[1].entry else { panic!("the first message") };
        m.time += 1;
    });
    has(&changed, |v| matches!(v, Violation::Changed { .. }));
    let phantom = found(|h| {
        let unsent = h.sent.pop().unwrap();
        h.acknowledged.remove(&unsent.name);
    });
    has(&phantom, |v| *v == Violation::Phantom(name("mixed-3")));
}

/// In the log, and not in the state.
#[test]
fn an_event_that_was_not_applied_is_found() {
    let found = found(|h| {
        h.states.get_mut("late").unwrap().counts.incoming -= 1;
        h.told.iter_mut().filter(|told| told.conversation == "late" && told.word == Word::Reopened).for_each(|t| t.counts.incoming -= 1);
    });
    has(&found, |v| matches!(v, Violation::EndsOtherwise { .. }));
    has(&found, |v| matches!(v, Violation::ToldOtherwise { .. }));
}

#[test]
fn a_repeat_that_counted_is_found() {
    let found = found(|h| {
        h.states.get_mut("mixed").unwrap().counts.outgoing += 1;
        close_of(h, "mixed").counts.outgoing += 1;
    });
    has(&found, |v| matches!(v, Violation::NoPlace { .. }));
    has(&found, |v| matches!(v, Violation::EndsOtherwise { .. }));
}

#[test]
fn a_wrong_story_is_found() {
    let found = found(|h| close_of(h, "late").close.as_mut().unwrap().armed_by = name("late-3"));
    has(&found, |v| matches!(v, Violation::WrongStory { .. }));
}

#[test]
fn a_reversal_nobody_was_told_of_is_found() {
    let found = found(|h| h.told.retain(|told| told.word != Word::Reversed));
    has(&found, |v| matches!(v, Violation::ToldOtherwise { nth: 3, .. }));
}

#[test]
fn a_gap_in_the_stream_is_found() {
    let gap = found(|h| {
        h.heard.remove("n4");
    });
    assert_eq!(gap, [Violation::NotHeard("n4".into())]);
    let ghost = found(|h| {
        h.heard.insert("ghost".into(), END);
    });
    assert_eq!(ghost, [Violation::HeardOnly("ghost".into())]);
}

#[test]
fn what_was_left_lying_is_found() {
    has(&found(|h| h.dead_letters = 1), |v| matches!(v, Violation::SetAside { letters: 1 }));
    has(&found(|h| h.unapplied = 2), |v| matches!(v, Violation::Unapplied { entries: 2 }));
    has(&found(|h| h.log[2].accepted_at = 1_000), |v| matches!(v, Violation::WentBack { .. }));
    has(&found(|h| h.log[2].partition = 4), |v| matches!(v, Violation::Misplaced { .. }));
}

/// D6: within the last 32 a repeat changes nothing; beyond, it may count again and does nothing else.
#[test]
fn a_repeat_from_far_back_counts_and_does_nothing() {
    let mut history = History::default();
    policy(&mut history, 0, 1, Some(1));
    for n in 0..33 {
        log(&mut history, 100 + n, message(&format!("long-{n}"), 100 + n, Speaker::Contact));
    }
    log(&mut history, 200, message("long-0", 100, Speaker::Contact));
    log(&mut history, 201, message("long-32", 132, Speaker::Contact));
    tell(&mut history, "long", Word::Opened, 1, None, (1, 0));
    end(&mut history, "long", 1, None, (34, 0), (Some(132), None));
    assert_eq!(check(&history, END).0, []);
}

/// A reply that was accepted in time and lost with its primary: `lost_until` its node appended it again.
fn appended_again(lost_until: Ms) -> Vec<Violation> {
    found(|h| {
        let at = h.log.iter().position(|logged| logged.accepted_at > lost_until).unwrap();
        let reply = message("quiet-3", 4_000, Speaker::Contact);
        h.sent.push(reply.clone());
        h.acknowledged.insert(reply.name.clone());
        let entry = Entry::Again { message: reply, first: 4_005 };
        h.log.insert(at, Logged { partition: 3, accepted_at: lost_until, entry });
    })
}

#[test]
fn a_close_over_a_reply_that_was_back_in_time_is_found() {
    has(&appended_again(4_013), Violation::is_over_a_reply);
    assert!(!appended_again(4_014).iter().any(Violation::is_over_a_reply), "the store had lost it when the close was committed");
}

#[test]
fn an_event_appended_again_is_the_same_event() {
    let mut history = sound();
    let again = history.log.iter().find(|l| matches!(&l.entry, Entry::Message(m) if m.name.id == "quiet-1")).unwrap().clone();
    let Entry::Message(message) = again.entry else { panic!("a message") };
    history.log.push(Logged {
        partition: 3,
        accepted_at: 20_000,
        entry: Entry::Again { message: message.clone(), first: again.accepted_at },
    });
    assert_eq!(check(&history, END).0, []);
    history.log.retain(|l| !matches!(&l.entry, Entry::Message(m) if m.name.id == "quiet-1"));
    history.acknowledged.insert(message.name.clone());
    assert!(!check(&history, END).0.iter().any(|v| matches!(v, Violation::Lost(_))), "once is enough");
    history.log.pop();
    has(&check(&history, END).0, |v| *v == Violation::Lost(message.name.clone()));
}
