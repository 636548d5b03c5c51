//! D1 to D9, example by example; `properties.rs` has them over histories nobody thought of.

use super::*;

fn answered() -> Story {
    Story::on().event(contact(0)).event(human(10))
}

/// Closed by its timer at 70.
fn auto_closed() -> Story {
    answered().pass(71)
}

#[test]
fn d1_an_early_wake_up_has_no_authority() {
    let story = answered().wake(69);
    assert_eq!((story.is_open(), story.outcome), (true, Outcome::Unchanged));
    assert!(!story.wake(70).is_open());
}

#[test]
fn d1_nor_has_a_wake_up_for_a_deadline_that_moved() {
    let story = answered().event(human(60)).wake(70);
    assert_eq!((story.is_open(), story.outcome), (true, Outcome::Unchanged));
}

#[test]
fn d2_a_reply_applied_before_the_close_wins_however_late() {
    let mut story = answered();
    let reply = Accepted { event: contact(65), accepted_at: at(300) };
    story.take(Input::Event(reply), at(300));
    assert!(story.wake(300).pass(10_000).is_open(), "nobody had closed it yet");
}

#[test]
fn d2_at_equal_time_the_contact_is_later() {
    let tie = || Story::on().event(opened(0)).event(contact(10)).event(human(10));
    assert_eq!(tie().closes_at(), None);
    assert_eq!(Story::on().event(opened(0)).event(human(10)).event(contact(10)).closes_at(), None);
    assert_eq!(answered().late(contact(9), 20).closes_at(), Some(10 + D), "an older reply cancels nothing");
}

#[test]
fn d3_a_doubled_wake_up_closes_nothing_twice() {
    let story = auto_closed().wake(71).wake(72);
    assert_eq!((story.outcome, story.count(NoticeKind::Closed)), (Outcome::Unchanged, 1));
}

#[test]
fn d4_an_overdue_deadline_closes_at_the_first_look() {
    let story = answered().wake(5_000);
    let shown = story.snapshot();
    assert_eq!((shown.closed_at, shown.scheduled_close_at), (Some(at(5_000)), Some(at(70))));
}

#[test]
fn d4_what_was_set_aside_holds_the_timer_until_released() {
    let story = answered().set_aside().set_aside();
    assert_eq!(story.wake_at(), None);
    let story = story.wake(100).release().wake(100);
    assert!(story.is_open(), "one is still set aside");
    let story = story.release();
    assert_eq!(story.wake_at(), Some(at(70)));
    assert!(!story.wake(100).is_open());
}

#[test]
fn d5_an_older_event_after_a_newer_one_changes_what_it_would_have() {
    let in_order = answered().event(snoozed(20, 100)).event(to_ai(30)).event(human(40)).late(unassigned(50), 50);
    let late = answered().event(human(40)).late(unassigned(50), 50).late(to_ai(30), 50).late(snoozed(20, 100), 50);
    assert_eq!(in_order.closes_at(), late.closes_at());
    assert_eq!(in_order.snapshot().assignee, late.snapshot().assignee);
}

#[test]
fn d5_what_is_not_later_than_the_last_close_is_recorded_only() {
    for old in [human(20), opened(20), snoozed(20, 500), closed(20), failed(20, &human(10))] {
        let story = auto_closed().late(old, 72);
        assert_eq!((story.is_open(), story.episode(), story.told()), (false, 1, vec![]));
    }
    let story = answered().event(closed(20)).late(human(15), 30);
    assert_eq!((story.is_open(), story.snapshot().messages.outgoing), (false, 2));
}

#[test]
fn d5_what_is_later_than_the_close_waits_for_its_opener() {
    let story = answered().event(closed(20)).event(snoozed(40, 500)).late(contact(30), 50).event(human(60));
    assert_eq!((story.episode(), story.closes_at()), (2, Some(500 + D)));
    let before_it = answered().event(closed(20)).event(snoozed(25, 500)).event(contact(30)).event(human(60));
    assert_eq!(before_it.closes_at(), Some(60 + D), "a snooze of what was not open is no fact");
}

#[test]
fn d5_an_older_message_belongs_to_the_episode_that_its_successor_opened() {
    let story = answered().event(closed(20)).event(contact(40)).late(human(30), 50);
    assert_eq!((story.episode(), story.closes_at()), (2, None));
    let shown = story.late(snoozed(35, 500), 51).event(human(60)).snapshot();
    assert_eq!((shown.opened_at, shown.opened_source), (Some(at(40)), Some(OpeningSource::Contact)), "the opener stays");
    assert_eq!(shown.scheduled_close_at, Some(at(60 + D)), "the contact's message at 40 had ended the snooze");
}

#[test]
fn d5_a_close_older_than_a_message_is_recorded_only() {
    for newer in [contact(30), human(30)] {
        let story = answered().event(newer).late(closed(20), 40);
        assert!(story.is_open());
    }
    let story = answered().late(closed(20), 40);
    assert_eq!((story.is_open(), story.snapshot().closed_at), (false, Some(at(20))));
}

#[test]
fn d5_a_close_that_comes_before_its_opener_closes_it() {
    let story = Story::on().event(closed(20));
    assert_eq!((story.episode(), story.told()), (0, vec![]));
    let story = story.late(contact(10), 30);
    assert_eq!(story.told(), [NoticeKind::Opened, NoticeKind::Closed]);
    assert!(Story::on().event(closed(20)).event(contact(30)).is_open(), "closed before it was open: without effect");
}

#[test]
fn d5_a_late_close_between_two_openings_parts_them() {
    let story = answered().event(opened(30)).late(closed(20), 40);
    assert_eq!(story.told(), [NoticeKind::Cancelled, NoticeKind::Closed, NoticeKind::Reopened]);
    let shown = story.snapshot();
    assert_eq!((shown.episode, shown.opened_at), (2, Some(at(30))));
}

#[test]
fn d5_and_the_earlier_of_two_openings_is_where_commands_count_from() {
    let late = Story::on().event(contact(0)).event(opened(10)).event(snoozed(15, 500)).event(opened(20)).late(closed(5), 30);
    let in_order = Story::on().event(contact(0)).event(closed(5)).event(opened(10)).event(snoozed(15, 500)).event(opened(20));
    assert_eq!((late.episode(), in_order.episode()), (2, 2));
    assert_eq!(late.event(human(40)).closes_at(), Some(500 + D));
    assert_eq!(in_order.event(human(40)).closes_at(), Some(500 + D));
}

#[test]
fn d5_assignments_are_ordered_over_all_episodes() {
    let story = auto_closed().late(to_human(20), 72);
    assert_eq!(story.told(), [NoticeKind::Assigned]);
    assert_eq!(story.event(contact(80)).event(human(90)).late(to_ai(50), 91).closes_at(), Some(90 + D));
}

#[test]
fn d6_a_repeat_changes_nothing_at_all() {
    let before = answered();
    let conversation = before.conversation.clone();
    let after = before.late(human(10), 20);
    assert_eq!((after.outcome, after.told()), (Outcome::Duplicate, vec![]));
    assert_eq!(after.conversation, conversation);
}

/// Enough other events that the names before them are no longer remembered.
fn forgotten(mut story: Story, minute: i64) -> Story {
    for i in 0..33 {
        let other = event(&format!("other{i}"), minute, message(0, MessageSource::Bot).kind);
        story = story.event(other);
    }
    story
}

#[test]
fn d6_a_forgotten_repeat_is_counted_and_that_is_all() {
    let story = forgotten(answered(), 20).late(human(10), 21);
    assert_eq!((story.outcome, story.closes_at(), story.told()), (Outcome::Changed, Some(10 + D), vec![]));
    let story = forgotten(answered().event(contact(20)), 30).late(human(10), 31);
    assert_eq!(story.closes_at(), None);
    let story = forgotten(auto_closed(), 72).late(contact(0), 73).late(human(10), 73);
    assert_eq!((story.is_open(), story.told()), (false, vec![]));
}

#[test]
fn d6_a_repeat_of_what_was_stamped_ahead_does_not_count_as_newer() {
    // Taken in at 10 with the stamp 14, and answered at 12: the repeat, at 50, would stand at 14.
    let story = Story::on().event(contact(0)).late(human(14), 10).event(contact(12));
    assert_eq!(story.closes_at(), None);
    assert_eq!(forgotten(story, 30).late(human(14), 50).closes_at(), None);
}

#[test]
fn d6_a_message_that_a_block_refused_does_not_reopen_by_being_repeated() {
    let refused = answered().event(closed(30)).event(blocked(40)).late(contact(20), 50);
    assert_eq!(refused.told(), []);
    let story = forgotten(refused.event(unblocked(60)), 70).late(contact(20), 80);
    assert!(!story.is_open());
}

#[test]
fn d7_news_within_the_window_takes_the_close_back() {
    for stamp in [11, 69, 70] {
        let story = auto_closed().late(contact(stamp), 80);
        assert_eq!((story.is_open(), story.episode(), story.told()), (true, 1, vec![NoticeKind::Reversed]), "{stamp}");
        let shown = story.snapshot();
        assert_eq!((shown.closed_at, shown.closed_source, shown.scheduled_close_at), (None, None, None));
        assert!(story.pass(10_000).is_open());
    }
}

#[test]
fn d7_a_reversed_episode_closes_again_in_its_time() {
    let story = auto_closed().late(contact(60), 75).event(human(80)).pass(141);
    assert_eq!((story.count(NoticeKind::Closed), story.episode()), (2, 1));
    assert!(invariant::one_close_per_episode(&story.all));
    assert!(invariant::notification_ids_differ(&story.all));
}

#[test]
fn d7_news_outside_the_window_reopens() {
    let story = auto_closed().late(contact(60), 81);
    assert_eq!((story.episode(), story.told()), (2, vec![NoticeKind::Reopened]));
    assert_eq!(story.snapshot().opened_source, Some(OpeningSource::Contact));
}

#[test]
fn d7_news_after_another_closer_reopens() {
    let story = answered().event(closed(20)).late(contact(15), 21);
    assert_eq!((story.episode(), story.told()), (2, vec![NoticeKind::Reopened]));
    assert_eq!(story.snapshot().opened_at, Some(at(15)));
}

#[test]
fn d7_what_was_answered_is_no_news() {
    let story = auto_closed().late(contact(5), 72);
    assert_eq!((story.is_open(), story.told()), (false, vec![]));
    assert_eq!(story.snapshot().messages.incoming, 2);
    let tie = Story::on().event(human(10)).pass(71).late(contact(10), 72);
    assert!(tie.is_open(), "at equal time the contact is later");
}

#[test]
fn d7_a_message_that_never_arrived_answered_nothing() {
    let story = answered().event(human(20)).event(failed(21, &human(20))).pass(71).late(contact(15), 72);
    assert_eq!(story.told(), [NoticeKind::Reversed]);
}

#[test]
fn d7_a_later_episode_makes_it_old() {
    let story = auto_closed().event(human(80)).late(contact(60), 81);
    assert_eq!((story.episode(), story.told(), story.closes_at()), (2, vec![], Some(80 + D)));
    let story = story.event(closed(90)).late(contact(61), 95);
    assert!(!story.is_open());
}

#[test]
fn d7_a_close_taken_back_is_as_if_it_had_never_been() {
    let reversed = auto_closed().late(human(65), 72).late(snoozed(68, 300), 73).late(contact(60), 74);
    assert_eq!(reversed.told(), [NoticeKind::Reversed, NoticeKind::Snoozed, NoticeKind::Armed]);
    let never = answered().event(contact(60)).event(human(65)).event(snoozed(68, 300));
    assert_eq!(reversed.closes_at(), never.closes_at());
    let reopened = auto_closed().late(human(65), 72).late(contact(60), 90);
    assert_eq!((reopened.episode(), reopened.closes_at()), (2, None), "another episode knows nothing of it");
}

#[test]
fn d8_a_message_from_a_backlog_leaves_two_minutes() {
    let story = Story::on().late(contact(0), 300).late(human(10), 300);
    assert_eq!(story.closes_at(), Some(302));
    let story = story.late(contact(20), 302).pass(10_000);
    assert!(story.is_open());
    assert_eq!(answered().late(human(20), 69).closes_at(), Some(20 + D), "a little late changes nothing");
}

#[test]
fn d8_a_period_of_two_minutes_or_less_runs_from_acceptance() {
    let mut story = Story::on();
    story.settings.period = Span::from_mins(1);
    assert_eq!(story.late(human(10), 15).closes_at(), Some(16));
}

#[test]
fn d9_ahead_is_ordered_by_acceptance_and_counts_from_its_stamp() {
    let story = Story::on().event(contact(0)).late(human(14), 10);
    assert_eq!(story.closes_at(), Some(14 + D));
    assert_eq!(story.event(contact(11)).closes_at(), None, "taken in later: later, whatever the stamp");
}

#[test]
fn d9_those_of_one_acceptance_by_their_own_time() {
    let story = |events: [Event; 2]| events.into_iter().fold(Story::on().event(opened(0)), |story, event| story.late(event, 10));
    assert_eq!(story([human(13), contact(12)]).closes_at(), Some(13 + D));
    assert_eq!(story([contact(13), human(12)]).closes_at(), None);
    assert_eq!(story([human(13), contact(13)]).closes_at(), None);
}

#[test]
fn d9_closed_ahead_is_closed_when_taken_in() {
    let story = answered().late(closed(24), 20);
    assert_eq!(story.snapshot().closed_at, Some(at(20)));
    let story = story.event(contact(21));
    assert_eq!((story.episode(), story.snapshot().opened_at), (2, Some(at(21))));
}
