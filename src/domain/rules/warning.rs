//! "Closing soon" (RULES.md, "Beyond the seed"): a workspace may want to hear of a close by timer before it comes, once for each
//! deadline; and a word for the contact that goes with it. Neither changes when anything closes.

use NoticeKind::*;

use super::*;

fn settings(before: i64) -> Settings {
    Settings { warning_before: Some(Span::from_mins(before)), farewell: Some("Write any time".into()), ..Story::on().settings }
}

/// Answered at minute 10: due at 70, warned of 15 minutes before.
fn answered() -> Story {
    Story { settings: settings(15), ..Story::on() }.event(contact(0)).event(human(10))
}

#[test]
fn it_is_told_once_for_each_deadline() {
    let story = answered();
    assert_eq!((story.closes_at(), story.wake_at()), (Some(70), Some(at(55))));
    let story = story.pass(56);
    assert_eq!(story.told(), [ClosingSoon]);
    let near = &story.last[0];
    assert_eq!((near.at, near.snapshot.scheduled_close_at, story.is_open()), (at(55), Some(at(70)), true));
    let Cause::DeadlineNear { deadline, period, armed_by, armed_at } = near.cause.clone() else { panic!("{:?}", near.cause) };
    assert_eq!((deadline, period, armed_by, armed_at), (at(70), Span::from_mins(D), human(10).name, at(10)));
    assert_eq!(story.wake_at(), Some(at(70)), "and not again");
    let story = story.event(human(60));
    assert_eq!((story.told(), story.wake_at()), (vec![Reset], Some(at(105))));
    let story = story.pass(200);
    assert_eq!((story.told(), story.is_open()), (vec![ClosingSoon, Closed], false));
}

#[test]
fn a_reply_after_the_warning_cancels_as_ever() {
    let story = answered().pass(56).event(contact(60));
    assert_eq!((story.told(), story.pass(500).is_open()), (vec![Cancelled], true));
}

#[test]
fn a_deadline_that_moves_back_is_not_told_again() {
    let held = |minute, until| {
        event(&format!("held@{minute}"), minute, EventKind::Held { until: Some(at(until)), reason: "parts".into(), by: None })
    };
    let story = answered().pass(56).asked(held(57, 72), None).pass(59);
    assert_eq!(story.told(), [ClosingSoon], "of minute 72");
    let story = story.asked(event("ended", 60, EventKind::HoldEnded { by: None }), None);
    assert_eq!((story.closes_at(), story.count(ClosingSoon)), (Some(70), 2));
    let story = story.pass(100);
    assert_eq!((story.count(ClosingSoon), story.is_open()), (2, false));
}

/// D4: who was away at the time of the warning closes what is overdue, and warns of nothing.
#[test]
fn what_is_overdue_closes_without_a_warning() {
    let story = answered().wake(90);
    assert_eq!((story.told(), story.is_open()), (vec![Closed], false));
}

#[test]
fn t9_a_snooze_is_not_warned_in() {
    let story = answered().event(snoozed(20, 100)).pass(99);
    assert_eq!(story.told(), []);
    let story = story.pass(200);
    assert_eq!(story.told(), [Unsnoozed, Resumed, ClosingSoon, Closed]);
    assert_eq!(story.last[2].at, at(100 + D - 15));
}

/// A warning longer than what is left of a running timer: at once, and the close in its time.
#[test]
fn it_is_told_at_once_where_the_time_for_it_has_passed() {
    let story = Story { settings: settings(15), ..answered().pass(20) };
    let story = Story { settings: settings(58), ..story }.wake(30);
    assert_eq!((story.told(), story.closes_at()), (vec![ClosingSoon], Some(70)));
}

#[test]
fn t17_a_blocked_conversation_and_one_with_an_event_set_aside_are_not_warned_of() {
    assert_eq!(answered().event(blocked(20)).pass(300).told(), []);
    assert_eq!(answered().set_aside().wake(60).told(), []);
    assert_eq!(answered().set_aside().release().wake(60).told(), [ClosingSoon]);
}

#[test]
fn t22_switched_off_it_is_not_told() {
    assert_eq!(answered().switch(20, false).pass(300).told(), []);
}

#[test]
fn the_farewell_goes_with_the_close_by_timer_alone() {
    let story = answered().pass(80);
    let closed = story.last.last().unwrap();
    assert!(matches!(&closed.cause, Cause::AutoClose { farewell: Some(text), .. } if **text == *"Write any time"));
}
