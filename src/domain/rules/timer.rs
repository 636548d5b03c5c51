//! T1 to T25.

use super::*;

/// A contact asked at 0, a person answered at 10: closes at 70.
fn answered() -> Story {
    Story::on().event(contact(0)).event(human(10))
}

#[test]
fn t1_no_timer_while_auto_close_is_off() {
    let story = Story::off().event(contact(0)).event(human(10));
    assert_eq!((story.closes_at(), story.wake_at()), (None, None));
    let story = story.pass(10_000);
    assert!(story.is_open());
    assert_eq!(story.count(NoticeKind::Armed), 0);
}

#[test]
fn t3_a_human_message_arms() {
    let story = Story::on().event(contact(0));
    assert_eq!(story.closes_at(), None);
    let story = story.event(human(10));
    assert_eq!(story.closes_at(), Some(10 + D));
    assert_eq!(story.told(), [NoticeKind::Armed]);
    assert_eq!(story.snapshot().scheduled_close_at, Some(at(10 + D)));
}

#[test]
fn t4_another_human_message_resets() {
    let other_agent =
        event("bob", 40, EventKind::Message { source: MessageSource::User, agent: Some("bob".into()), message_id: None, text: None });
    let story = answered().event(human(20));
    assert_eq!((story.closes_at(), story.told()), (Some(20 + D), vec![NoticeKind::Reset]));
    let story = story.event(other_agent);
    assert_eq!((story.closes_at(), story.told()), (Some(40 + D), vec![NoticeKind::Reset]));
}

#[test]
fn t4_an_older_human_message_that_comes_later_does_not() {
    let story = answered().late(human(5), 20);
    assert_eq!((story.closes_at(), story.told()), (Some(10 + D), vec![]));
}

#[test]
fn t5_a_reply_cancels() {
    let story = answered().event(contact(69));
    assert_eq!((story.closes_at(), story.told()), (None, vec![NoticeKind::Cancelled]));
    assert!(story.pass(10_000).is_open());
}

#[test]
fn t5_a_reply_stamped_at_the_deadline_comes_before_the_close() {
    let story = answered().event(contact(70)).pass(10_000);
    assert!(story.is_open());
    assert_eq!(story.count(NoticeKind::Closed), 0);
}

#[test]
fn t6_silence_closes_once() {
    let story = answered().pass(70);
    assert!(story.is_open());
    let story = story.pass(71);
    assert_eq!(story.told(), [NoticeKind::Closed]);
    let shown = story.snapshot();
    assert_eq!((shown.closed_source, shown.closed_at), (Some(ClosingSource::AutoClose), Some(at(70))));
    assert_eq!(shown.scheduled_close_at, Some(at(70)));
    assert_eq!(story.pass(10_000).count(NoticeKind::Closed), 1);
}

#[test]
fn t7_no_machine_arms_or_resets() {
    for source in MessageSource::ALL.iter().copied().filter(|source| source.speaker() == Speaker::Machine) {
        let story = Story::on().event(contact(0)).event(message(1, source));
        assert_eq!(story.closes_at(), None, "{source:?} arms");
        let story = story.event(human(10)).event(message(20, source));
        assert_eq!((story.closes_at(), story.told()), (Some(10 + D), vec![]), "{source:?} resets");
    }
}

#[test]
fn t8_echo_counts_as_a_person() {
    let story = Story::on().event(contact(0)).event(message(10, MessageSource::Echo));
    assert_eq!(story.closes_at(), Some(10 + D));
    assert_eq!(story.event(message(20, MessageSource::Echo)).closes_at(), Some(20 + D));
}

#[test]
fn t8_unless_switched_off_then_it_only_opens() {
    let mut story = Story::on();
    story.settings.echo_arms = false;
    let story = story.event(message(0, MessageSource::Echo));
    assert!(story.is_open());
    assert_eq!(story.closes_at(), None);
    let story = story.event(human(10)).event(message(20, MessageSource::Echo));
    assert_eq!(story.closes_at(), Some(10 + D));
}

#[test]
fn t9_a_running_timer_waits_for_the_end_of_the_snooze() {
    let story = answered().event(snoozed(20, 200));
    assert_eq!(story.closes_at(), Some(200 + D));
    let story = story.pass(200);
    assert_eq!((story.is_open(), story.count(NoticeKind::Resumed)), (true, 0));
    let story = story.pass(201);
    assert_eq!((story.closes_at(), story.told()), (Some(200 + D), vec![NoticeKind::Unsnoozed, NoticeKind::Resumed]));
    assert!(story.pass(261).closed_by() == Some(ClosingSource::AutoClose));
}

#[test]
fn t9_a_message_while_snoozed_arms_from_its_end() {
    let story = Story::on().event(contact(0)).event(snoozed(5, 200)).event(human(10));
    assert_eq!(story.closes_at(), Some(200 + D));
    assert_eq!(story.event(human(210)).closes_at(), Some(210 + D));
}

#[test]
fn t9_until_at_or_before_its_time_is_an_unsnooze() {
    let snoozing = || answered().event(snoozed(20, 200));
    for until in [30, 10] {
        let story = snoozing().event(snoozed(30, until));
        assert_eq!((story.closes_at(), story.snapshot().snoozed_until), (Some(30 + D), None));
    }
    assert_eq!(snoozing().event(snoozed(30, 31)).closes_at(), Some(31 + D));
    assert_eq!(answered().event(snoozed(30, 30)).closes_at(), Some(10 + D), "nothing was snoozed");
}

#[test]
fn t10_a_reply_ends_the_snooze() {
    let story = answered().event(snoozed(20, 200)).event(contact(30));
    assert_eq!((story.closes_at(), story.snapshot().snoozed_until), (None, None));
    assert_eq!(story.told(), [NoticeKind::Unsnoozed, NoticeKind::Cancelled]);
    assert_eq!(story.event(human(40)).closes_at(), Some(40 + D), "the snooze is over for good");
}

#[test]
fn t11_unsnoozed_by_hand_starts_the_full_period() {
    let story = answered().event(snoozed(20, 200)).event(unsnoozed(50));
    assert_eq!((story.closes_at(), story.told()), (Some(50 + D), vec![NoticeKind::Unsnoozed, NoticeKind::Resumed]));
}

#[test]
fn t11_but_not_where_the_snooze_had_run_out_or_never_was() {
    assert_eq!(answered().event(snoozed(20, 30)).event(unsnoozed(50)).closes_at(), Some(30 + D));
    assert_eq!(answered().event(unsnoozed(50)).closes_at(), Some(10 + D));
}

#[test]
fn t12_the_later_snooze_counts() {
    assert_eq!(answered().event(snoozed(20, 200)).event(snoozed(30, 100)).closes_at(), Some(100 + D));
    assert_eq!(answered().event(snoozed(30, 100)).late(snoozed(20, 200), 40).closes_at(), Some(100 + D), "by time, not arrival");
}

#[test]
fn t13_after_a_snooze_it_may_be_the_contact_who_waits() {
    let waits = Story::on().event(contact(0)).event(snoozed(10, 100)).pass(101);
    assert_eq!((waits.closes_at(), waits.told()), (None, vec![NoticeKind::Unsnoozed]));
    let no_message = Story::on().event(opened(0)).event(snoozed(10, 100)).pass(101);
    assert_eq!(no_message.closes_at(), None);
    assert!(no_message.pass(10_000).is_open());
}

#[test]
fn t14_an_assignee_gets_time_to_look() {
    assert_eq!(answered().event(to_human(20)).closes_at(), Some(10 + D), "there is time enough");
    let story = answered().event(to_human(65));
    assert_eq!((story.closes_at(), story.told()), (Some(65 + 30), vec![NoticeKind::Assigned, NoticeKind::Reset]));
    assert_eq!(story.event(human(66)).closes_at(), Some(66 + D), "an assignment before the message is past");
}

#[test]
fn t14_grace_is_never_longer_than_the_period() {
    let mut story = Story::on();
    story.settings.period = Span::from_mins(10);
    assert_eq!(story.event(human(0)).event(to_human(9)).closes_at(), Some(19));
}

#[test]
fn t14_no_timer_where_there_was_none() {
    assert_eq!(Story::on().event(opened(0)).event(to_human(10)).closes_at(), None);
    assert_eq!(answered().event(contact(20)).event(to_human(30)).closes_at(), None);
}

#[test]
fn t15_an_ai_agent_cancels() {
    let story = answered().event(to_ai(20));
    assert_eq!((story.closes_at(), story.told()), (None, vec![NoticeKind::Assigned, NoticeKind::Cancelled]));
    assert!(story.pass(10_000).is_open());
}

#[test]
fn t15_a_later_message_or_assignment_to_a_human_arms_again() {
    let story = answered().event(to_ai(20));
    assert_eq!(story.event(human(30)).closes_at(), Some(30 + D));
    let story = answered().event(to_ai(20)).event(to_human(30));
    assert_eq!((story.closes_at(), story.told()), (Some(10 + D), vec![NoticeKind::Assigned, NoticeKind::Armed]));
    assert_eq!(answered().event(to_ai(20)).event(to_human(300)).closes_at(), Some(330));
}

#[test]
fn t16_unassigning_changes_no_timer() {
    let story = answered().event(to_human(65)).event(unassigned(66));
    assert_eq!((story.closes_at(), story.told()), (Some(95), vec![NoticeKind::Unassigned]));
    assert_eq!(answered().event(to_ai(20)).event(unassigned(30)).closes_at(), None);
    assert_eq!(answered().event(unassigned(20)).closes_at(), Some(10 + D));
}

#[test]
fn t17_a_block_suspends() {
    let story = answered().event(blocked(20));
    assert_eq!((story.closes_at(), story.snapshot().scheduled_close_at), (None, None));
    assert_eq!(story.told(), [NoticeKind::Blocked, NoticeKind::Suspended]);
    let story = story.pass(10_000);
    assert!(story.is_open());
    let story = story.event(unblocked(10_000));
    assert_eq!((story.closes_at(), story.told()), (Some(10_000 + D), vec![NoticeKind::Unblocked, NoticeKind::Resumed]));
}

#[test]
fn t17_only_if_still_due() {
    let replied = answered().event(blocked(20)).event(contact(30)).event(unblocked(40));
    assert_eq!(replied.closes_at(), None);
    assert_eq!(answered().event(unblocked(40)).closes_at(), Some(10 + D), "unblocking the unblocked is no fact");
}

#[test]
fn t18_a_close_by_others_cancels() {
    for source in ClosingSource::ALL.iter().copied().filter(|source| *source != ClosingSource::AutoClose) {
        let story = answered().event(closed_by(20, source));
        assert_eq!(story.told(), [NoticeKind::Cancelled, NoticeKind::Closed]);
        let story = story.pass(10_000);
        assert_eq!((story.closed_by(), story.count(NoticeKind::Closed)), (Some(source), 1));
    }
}

#[test]
fn t19_a_failed_message_gives_way_to_the_one_before() {
    let story = answered().event(human(30)).event(failed(31, &human(30)));
    assert_eq!((story.closes_at(), story.told()), (Some(10 + D), vec![NoticeKind::Reset]));
    let story = story.event(failed(32, &human(10)));
    assert_eq!((story.closes_at(), story.told()), (None, vec![NoticeKind::Cancelled]));
}

#[test]
fn t19_what_is_past_by_then_closes_at_once() {
    let story = answered().event(human(60)).event(failed(100, &human(60)));
    assert_eq!((story.closes_at(), story.is_open()), (Some(70), true));
    let shown = story.pass(101).snapshot();
    assert_eq!((shown.closed_at, shown.scheduled_close_at), (Some(at(100)), Some(at(70))));
}

#[test]
fn t19_the_failure_may_come_before_its_message() {
    let story = answered().event(failed(20, &human(15))).late(human(15), 21);
    assert_eq!((story.closes_at(), story.told()), (Some(10 + D), vec![]));
    let named =
        |id| event(id, 30, EventKind::Message { source: MessageSource::User, agent: None, message_id: Some("wamid".into()), text: None });
    let failure = || event("failure", 31, EventKind::MessageFailed { message_id: "wamid".into() });
    assert_eq!(answered().event(named("m")).event(failure()).closes_at(), Some(10 + D));
    assert_eq!(
        answered().event(failure()).late(named("m"), 32).late(named("twin"), 33).closes_at(),
        Some(10 + D),
        "one fate for one message"
    );
}

#[test]
fn t19_sixteen_messages_are_remembered() {
    let mut story = Story::on().event(contact(0));
    for minute in 1..=16 {
        story = story.event(human(minute));
    }
    for minute in 2..=16 {
        story = story.event(failed(20, &human(minute)));
    }
    assert_eq!(story.closes_at(), Some(1 + D));
    assert_eq!(story.event(failed(20, &human(1))).closes_at(), None);
}

#[test]
fn t19_nobody_is_closed_on_a_message_the_contact_had_answered() {
    let story = answered().event(contact(20)).event(human(30)).event(failed(31, &human(30)));
    assert_eq!(story.closes_at(), None);
}

#[test]
fn t21_opened_before_it_was_turned_on_is_left_alone() {
    let story = Story::off().event(contact(0)).switch(5, true).event(human(10));
    assert_eq!(story.closes_at(), None);
    let story = story.event(closed(20)).event(contact(30)).event(human(40));
    assert_eq!((story.episode(), story.closes_at()), (2, Some(40 + D)), "a later episode is not");
}

#[test]
fn t21_switching_off_clears_it_for_good_in_that_episode() {
    let story = answered().switch(20, false).switch(30, true).event(human(40));
    assert_eq!(story.closes_at(), None);
    assert!(story.pass(10_000).is_open());
}

#[test]
fn t22_turned_off_nothing_closes_and_nothing_is_scheduled() {
    let story = answered().switch(20, false);
    assert_eq!((story.closes_at(), story.snapshot().scheduled_close_at), (None, None));
    assert_eq!(story.told(), [NoticeKind::Cancelled]);
    assert!(story.wake(70).wake(10_000).is_open());
}

#[test]
fn t23_a_new_period_counts_from_the_next_message() {
    let longer = || SettingsChange { period: Some(Span::from_mins(90)), ..Default::default() };
    let story = answered().change(20, longer());
    assert_eq!((story.closes_at(), story.told()), (Some(10 + D), vec![]));
    assert_eq!(story.event(human(30)).closes_at(), Some(30 + 90));
    let snoozed = answered().change(20, longer()).event(snoozed(25, 100)).event(unsnoozed(40));
    assert_eq!(snoozed.closes_at(), Some(40 + D), "an un-snooze is no arm");
    let unblocked = answered().change(20, longer()).event(blocked(25)).event(unblocked(40));
    assert_eq!(unblocked.closes_at(), Some(40 + D), "nor is an unblock");
    let assigned = answered().change(20, longer()).event(to_ai(25)).event(to_human(60));
    assert_eq!(assigned.closes_at(), Some(90), "nor is an assignment");
}

#[test]
fn t25_an_agents_first_message_arms() {
    let story = Story::on().event(human(0));
    assert_eq!((story.episode(), story.closes_at()), (1, Some(D)));
    assert_eq!(story.told(), [NoticeKind::Opened, NoticeKind::Armed]);
}

#[test]
fn t8_what_neither_arms_nor_resets_does_not_push_out_what_armed() {
    let mut story = Story::on();
    story.settings.echo_arms = false;
    let story = (1..40).fold(story.event(human(0)), |story, minute| story.event(message(minute, MessageSource::Echo)));
    assert_eq!(story.closes_at(), Some(D));
}

#[test]
fn t24_every_hour_of_the_week_is_alike() {
    for hour in 0..7 * 24 {
        let story = Story::on().event(human(hour * 60));
        assert_eq!(story.closes_at(), Some(hour * 60 + D), "hour {hour}");
    }
}
