//! CONTRACT.md, "Events out": one change, one timer notification.

use NoticeKind::*;

use super::*;

fn answered() -> Story {
    Story::on().event(contact(0)).event(human(10))
}

#[test]
fn no_timer_then_one_is_armed() {
    assert_eq!(Story::on().event(human(0)).told(), [Opened, Armed]);
    assert_eq!(Story::on().event(contact(0)).told(), [Opened]);
}

#[test]
fn another_deadline_is_a_reset() {
    assert_eq!(answered().event(human(20)).told(), [Reset]);
    assert_eq!(answered().event(snoozed(20, 100)).event(snoozed(30, 200)).told(), [Snoozed, Reset]);
}

#[test]
fn the_same_deadline_is_no_news() {
    assert_eq!(answered().event(message(20, MessageSource::Bot)).told(), []);
    assert_eq!(answered().event(to_human(20)).told(), [Assigned]);
    assert_eq!(answered().late(human(5), 20).told(), []);
}

#[test]
fn none_any_more_is_cancelled() {
    assert_eq!(answered().event(contact(20)).told(), [Cancelled]);
    assert_eq!(answered().event(closed(20)).told(), [Cancelled, Closed]);
    assert_eq!(answered().switch(20, false).told(), [Cancelled]);
    assert_eq!(answered().event(contact(20)).event(contact(30)).told(), []);
}

#[test]
fn a_snooze_suspends_and_its_end_resumes() {
    let story = answered().event(snoozed(20, 100));
    assert_eq!(story.told(), [Snoozed, Suspended]);
    let story = story.pass(101);
    assert_eq!(story.told(), [Unsnoozed, Resumed]);
    assert_eq!(story.last[0].cause, Cause::SnoozeElapsed);
}

#[test]
fn an_event_after_the_end_of_a_snooze_tells_of_it_first() {
    let mut story = answered().event(snoozed(20, 100));
    story.take(Input::Event(Accepted { event: human(110), accepted_at: at(110) }), at(110));
    assert_eq!(story.told(), [Unsnoozed, Resumed]);
    assert_eq!((story.closes_at(), story.pass(110).told()), (Some(110 + D), vec![]));
}

#[test]
fn armed_while_snoozed_is_armed() {
    assert_eq!(Story::on().event(contact(0)).event(snoozed(5, 100)).event(human(10)).told(), [Armed]);
}

#[test]
fn a_block_suspends_and_its_end_resumes() {
    let story = answered().event(blocked(20));
    assert_eq!(story.told(), [Blocked, Suspended]);
    let story = story.event(human(25));
    assert_eq!(story.told(), []);
    assert_eq!(story.event(unblocked(30)).told(), [Unblocked, Resumed]);
}

#[test]
fn armed_while_blocked_is_nothing_until_resumed() {
    let story = Story::on().event(contact(0)).event(blocked(5)).event(human(10));
    assert_eq!(story.told(), []);
    assert_eq!(story.event(unblocked(30)).told(), [Unblocked, Resumed]);
    let replied = Story::on().event(contact(0)).event(blocked(5)).event(human(10)).event(contact(20));
    assert_eq!(replied.told(), [], "nobody was told of it, nobody is told that it is gone");
}

#[test]
fn cancelled_while_blocked_is_cancelled() {
    let story = answered().event(blocked(20)).event(contact(25));
    assert_eq!(story.told(), [Cancelled]);
    assert_eq!(story.event(unblocked(30)).told(), [Unblocked]);
}

#[test]
fn an_auto_close_sends_closed_alone() {
    assert_eq!(answered().pass(71).told(), [Closed]);
    let overslept = answered().event(snoozed(20, 100)).wake(500);
    assert_eq!(overslept.told(), [Unsnoozed, Closed]);
}

#[test]
fn opened_is_episode_one_and_reopened_every_later_one() {
    let story = answered().event(closed(20)).event(opened(30)).event(closed(40)).event(contact(50));
    assert_eq!((story.count(Opened), story.count(Reopened), story.episode()), (1, 2, 3));
}

#[test]
fn an_assignment_is_told_even_of_what_was_never_opened() {
    let story = Story::on().event(to_human(0));
    assert_eq!((story.told(), story.snapshot().opened_at), (vec![Assigned], None));
    assert_eq!(story.event(to_human(5)).told(), [], "the same assignee again");
}

#[test]
fn a_notification_shows_the_conversation_right_after_the_change() {
    let story = answered();
    let shown = &story.last[0].snapshot;
    assert_eq!((shown.version, shown.scheduled_close_at), (2, Some(at(70))));
    assert_eq!(story.last[0].at, at(10));
    let story = story.event(blocked(20));
    assert!(story.last.iter().all(|notice| notice.snapshot.blocked && notice.snapshot.scheduled_close_at.is_none()));
}

#[test]
fn switching_off_is_told_with_its_version() {
    let story = answered().switch(20, false);
    assert_eq!(story.last[0].cause, Cause::Settings { version: 1 });
    let again = story.wake(21);
    assert_eq!((again.outcome, again.told()), (Outcome::Unchanged, vec![]));
}

#[test]
fn a_snooze_ends_with_its_episode_without_a_word() {
    let story = answered().event(snoozed(20, 500)).event(closed(30));
    assert_eq!(story.told(), [Cancelled, Closed]);
    assert_eq!(story.wake_at(), None);
}
