//! Hold, extend, exempt (RULES.md, "Beyond the seed"): somebody keeps the timer from closing a conversation, and says why. They are
//! asked for, never told by the pipeline, and everything else goes on as ever.

use NoticeKind::*;

use super::super::deadline::NoDeadline;
use super::*;

/// Answered at minute 10: due at 70.
fn answered() -> Story {
    Story::on().event(contact(0)).event(human(10))
}

fn held(minute: i64, until: Option<i64>) -> Event {
    event(
        &format!("held@{minute}"),
        minute,
        EventKind::Held { until: until.map(at), reason: "waits for parts".into(), by: Some("bo".into()) },
    )
}

fn hold_ended(minute: i64) -> Event {
    event(&format!("ended@{minute}"), minute, EventKind::HoldEnded { by: None })
}

fn exempted(minute: i64) -> Event {
    event(&format!("exempt@{minute}"), minute, EventKind::Exempted { reason: "a friend".into(), by: None })
}

fn exemption_ended(minute: i64) -> Event {
    event(&format!("again@{minute}"), minute, EventKind::ExemptionEnded { by: None })
}

fn why(story: &Story) -> Option<NoDeadline> {
    deadline(&story.conversation, &story.settings).err()
}

#[test]
fn held_it_is_not_closed_until_that_is_ended_and_then_the_full_period_starts() {
    let story = answered().asked(held(20, None), None);
    assert_eq!((story.told(), why(&story), story.closes_at()), (vec![Suspended], Some(NoDeadline::Held), None));
    assert_eq!(story.snapshot().hold.unwrap().reason.as_ref(), "waits for parts");
    let story = story.pass(500);
    assert!(story.is_open());
    let story = story.asked(hold_ended(500), None);
    assert_eq!((story.told(), story.closes_at(), story.snapshot().hold), (vec![Resumed], Some(500 + D), None));
    assert!(!story.pass(600).is_open());
}

#[test]
fn extended_it_closes_no_earlier_and_the_period_does_not_start_anew() {
    let story = answered().asked(held(20, Some(200)), None);
    assert_eq!((story.told(), story.closes_at()), (vec![Reset], Some(200)));
    assert_eq!(story.asked(hold_ended(30), None).closes_at(), Some(70), "as if it had not been");
    let story = answered().asked(held(20, Some(200)), None).asked(hold_ended(100), None);
    assert_eq!((story.told(), story.closes_at()), (vec![Reset], Some(100 + D)), "overdue by then, it does not close at once");
    let story = answered().asked(held(20, Some(30)), None).pass(40);
    assert_eq!(story.snapshot().hold, None, "over by itself");
    let story = answered().asked(held(20, Some(200)), None).event(human(180));
    assert_eq!(story.closes_at(), Some(180 + D), "the later of both");
    let story = answered().asked(held(20, Some(30)), None);
    assert_eq!((story.told(), story.closes_at()), (vec![], Some(70)), "sooner than it would close anyway");
    assert!(!answered().asked(held(20, Some(200)), None).pass(201).is_open());
}

#[test]
fn the_latest_hold_counts() {
    let story = answered().asked(held(20, None), None).asked(held(30, Some(100)), None);
    assert_eq!((story.told(), story.closes_at()), (vec![Resumed], Some(100)));
    assert_eq!(story.asked(held(40, None), None).told(), [Suspended]);
    let story = answered().asked(held(20, None), None).asked(held(30, Some(40)), None);
    assert_eq!(story.closes_at(), Some(30 + D), "the first one has ended, and so the full period starts");
}

/// T5, T10, L2: a hold is about the timer alone.
#[test]
fn everything_else_goes_on_while_it_is_held() {
    let story = answered().asked(held(20, None), None);
    let replied = story.asked(hold_ended(30), None).event(contact(40));
    assert_eq!((replied.told(), why(&replied)), (vec![Cancelled], Some(NoDeadline::ContactSpokeLast)));
    let story = answered().asked(held(20, None), None).event(contact(30)).event(human(40));
    assert_eq!((story.told(), why(&story)), (vec![], Some(NoDeadline::Held)), "armed while held: `resumed` is the first word");
    assert_eq!(story.asked(hold_ended(50), None).told(), [Resumed]);
    assert!(!answered().asked(held(20, None), None).asked(closed(30), None).is_open());
}

#[test]
fn l0a_a_hold_ends_with_its_episode_and_an_exemption_does_not() {
    let story = answered().asked(held(20, None), None).asked(exempted(21), None).asked(closed(30), None);
    let story = story.event(contact(40)).event(human(50));
    assert_eq!((story.episode(), story.snapshot().hold.is_none(), why(&story)), (2, true, Some(NoDeadline::Exempt)));
    assert!(story.pass(5_000).is_open());
    let story = answered().asked(held(20, None), None).asked(hold_ended(30), None).asked(closed(40), None).event(human(50));
    assert_eq!(story.closes_at(), Some(50 + D), "nor does the end of one reach into the next");
    let story = answered().asked(exempted(20), None).asked(closed(30), None).asked(exemption_ended(100), None).late(human(40), 101);
    assert_eq!((story.episode(), story.closes_at()), (2, Some(101 + 2)), "ended between two episodes, as a late message arms");
}

#[test]
fn exempt_it_has_no_timer_and_its_end_starts_the_full_period() {
    let story = answered().asked(exempted(20), None);
    assert_eq!((story.told(), why(&story)), (vec![Cancelled], Some(NoDeadline::Exempt)));
    let story = story.pass(500).asked(exemption_ended(500), None);
    assert_eq!((story.told(), story.closes_at()), (vec![Armed], Some(500 + D)));
    let waiting = answered().asked(exempted(20), None).event(contact(30)).asked(exemption_ended(40), None);
    assert_eq!(waiting.closes_at(), None, "the contact waits");
}

#[test]
fn t17_a_block_and_a_hold_both_have_to_end() {
    let story = answered().asked(held(20, None), None).event(blocked(30));
    assert_eq!((story.told(), why(&story)), (vec![Blocked], Some(NoDeadline::Blocked)));
    let story = story.event(unblocked(40));
    assert_eq!((story.told(), why(&story)), (vec![Unblocked], Some(NoDeadline::Held)));
    assert_eq!(story.asked(hold_ended(50), None).closes_at(), Some(50 + D));
}

#[test]
fn t9_a_snooze_within_a_hold_is_a_snooze() {
    let story = answered().asked(held(20, Some(300)), None).event(snoozed(30, 100));
    assert_eq!(story.closes_at(), Some(300));
    assert!(story.pass(299).is_open());
}

#[test]
fn what_cannot_be_is_refused() {
    let refused = |story: Story, command: Event| story.asked(command, None).outcome;
    assert_eq!(refused(answered(), hold_ended(20)), Outcome::Refused(Refusal::NotHeld));
    assert_eq!(refused(answered().asked(held(20, Some(30)), None), hold_ended(40)), Outcome::Refused(Refusal::NotHeld));
    assert_eq!(refused(answered(), exemption_ended(20)), Outcome::Refused(Refusal::NotExempt));
    assert_eq!(refused(answered(), held(20, Some(20))), Outcome::Refused(Refusal::HoldOver));
    assert_eq!(refused(answered().asked(closed(20), None), held(30, None)), Outcome::Refused(Refusal::NotOpen));
    assert_eq!(refused(Story::on(), held(30, None)), Outcome::Refused(Refusal::Unknown));
    let exempt = answered().asked(closed(20), None).asked(exempted(30), None);
    assert_eq!(exempt.outcome, Outcome::Changed, "an exemption is of the conversation, open or not");
}
