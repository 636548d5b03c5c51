//! T23, "Apply to running timers": a command of the workspace gives running timers the period in force. It changes no fact: the
//! deadline follows from it, in whatever order it meets the events, and each conversation tells of it once.

use NoticeKind::*;

use super::super::settings::Apply;
use super::*;

/// Answered at minute 10: due at 70.
fn answered() -> Story {
    Story::on().event(contact(0)).event(human(10))
}

fn applied(now: i64, period: i64) -> SettingsChange {
    let apply = Some(Apply { at: at(now), rate: 100 });
    SettingsChange { period: Some(Span::from_mins(period)), apply, ..Default::default() }
}

impl Story {
    /// Its partition knows of it, and has not come to this conversation yet.
    fn known(mut self, now: i64, period: i64) -> Self {
        self = self.pass(now);
        self.settings = self.settings.changed(applied(now, period), &SettingsBounds::default()).unwrap();
        self
    }

    fn applied(self, now: i64, period: i64) -> Self {
        self.known(now, period).wake(now)
    }
}

#[test]
fn t23_applied_a_running_timer_has_the_period_in_force_and_says_what_gave_it() {
    for (period, closes_at) in [(120, 130), (30, 40)] {
        let story = answered().applied(20, period);
        assert_eq!((story.told(), story.closes_at()), (vec![Reset], Some(closes_at)), "{period}");
        assert_eq!(story.last[0].cause, Cause::Settings { version: 1 });
        assert_eq!(story.last[0].snapshot.scheduled_close_at, Some(at(closes_at)));
        let story = story.wake(25);
        assert_eq!((story.outcome, story.told()), (Outcome::Unchanged, vec![]), "once");
        let story = story.pass(500);
        let Cause::AutoClose { deadline, period: kept, .. } = story.last[0].cause.clone() else { panic!("{:?}", story.last) };
        assert_eq!((story.told(), deadline, kept), (vec![Closed], at(closes_at), Span::from_mins(period)));
    }
}

#[test]
fn t23_nothing_closes_as_of_a_time_before_it_was_asked_for() {
    let story = answered().applied(60, 30);
    assert_eq!((story.told(), story.is_open(), story.closes_at()), (vec![Reset], true, Some(60)));
    assert_eq!((story.wake_at(), story.pass(61).told()), (Some(at(60)), vec![Closed]));
    let replied = answered().applied(60, 30).event(contact(60)).pass(500);
    assert!(replied.is_open(), "D2: accepted at the deadline");
    let longer = answered().known(60, 90).pass(500);
    assert_eq!(longer.all.last().unwrap().snapshot.scheduled_close_at, Some(at(100)), "and what moves later has no such bound");
}

#[test]
fn t23_known_is_in_force_before_anybody_was_told() {
    let story = answered().known(20, 120);
    assert_eq!((story.closes_at(), story.snapshot().scheduled_close_at), (Some(130), Some(at(130))));
    let story = story.wake(70);
    assert_eq!((story.told(), story.is_open()), (vec![Reset], true), "the old time is none any more");
}

#[test]
fn t23_what_comes_after_it_counts_from_its_own_period() {
    let shorter = SettingsChange { period: Some(Span::from_mins(45)), ..Default::default() };
    let story = answered().applied(20, 120).change(30, shorter);
    assert_eq!((story.told(), story.closes_at()), (vec![], Some(130)), "a change of the period alone");
    let second = human(40);
    let story = story.event(second.clone());
    assert_eq!(story.closes_at(), Some(85));
    assert_eq!(story.event(failed(50, &second)).closes_at(), Some(130), "T19: the one before keeps what it was given");
    let twice = answered().applied(20, 120).event(human(30)).applied(40, 90);
    assert_eq!(twice.closes_at(), Some(120), "the latest command counts, for all that came before it");
}

#[test]
fn t23_a_snoozed_timer_has_it_after_the_snooze() {
    let story = answered().event(snoozed(20, 100)).applied(50, 30);
    assert_eq!((story.told(), story.closes_at()), (vec![Reset], Some(130)));
    let story = story.pass(129);
    assert_eq!((story.told(), story.closes_at()), (vec![Unsnoozed, Resumed], Some(130)));
    assert_eq!(story.pass(200).told(), [Closed]);
}

#[test]
fn t23_a_suspended_timer_has_it_when_that_ends() {
    let held = |minute| event(&format!("held@{minute}"), minute, EventKind::Held { until: None, reason: "parts".into(), by: None });
    let story = answered().event(blocked(20)).applied(30, 120);
    assert_eq!((story.told(), story.closes_at()), (vec![], None));
    assert_eq!(story.event(unblocked(40)).closes_at(), Some(40 + 120));
    let story = answered().asked(held(20), None).applied(30, 120);
    let story = story.asked(event("ended", 40, EventKind::HoldEnded { by: None }), None);
    assert_eq!((story.told(), story.closes_at()), (vec![Resumed], Some(40 + 120)));
    let cancelled = answered().event(to_ai(20)).applied(30, 120);
    assert_eq!((cancelled.told(), cancelled.event(to_human(40)).closes_at()), (vec![], Some(130)), "T15: and one that is armed again");
}

#[test]
fn t23_without_a_timer_nothing_comes_of_it() {
    assert_eq!(Story::on().event(human(0)).event(contact(10)).applied(20, 120).told(), []);
    assert_eq!(Story::off().event(human(0)).applied(20, 120).told(), []);
    assert_eq!(answered().switch(20, false).applied(30, 120).told(), []);
    assert_eq!(answered().event(closed(20)).applied(30, 120).told(), []);
    let held = answered().set_aside().applied(60, 30);
    assert_eq!((held.told(), held.wake(500).is_open()), (vec![Reset], true), "an event set aside holds it as ever");
}

/// D5: whichever comes to the conversation first, an event or the walk.
#[test]
fn t23_whether_an_event_or_the_walk_comes_first_makes_no_difference() {
    let events = [to_ai(30), to_human(31), snoozed(32, 50), blocked(33), unblocked(34), human(35), failed(36, &human(10)), contact(37)];
    for event in events {
        for period in [30, 120] {
            let walked = answered().applied(25, period).event(event.clone());
            let mut late = answered().known(25, period).event(event.clone());
            assert_eq!((late.closes_at(), &late.conversation.facts), (walked.closes_at(), &walked.conversation.facts), "{event:?}");
            late = late.wake(38);
            assert_eq!(late.conversation.told.timer, walked.wake(38).conversation.told.timer, "{event:?}");
        }
    }
}

#[test]
fn t23_a_warning_is_of_the_deadline_that_holds() {
    let warned = Story { settings: Settings { warning_before: Some(Span::from_mins(15)), ..Story::on().settings }, ..answered() };
    let story = warned.applied(56, 120).pass(114);
    assert_eq!((story.told(), story.wake_at()), (vec![], Some(at(115))));
    assert_eq!(story.pass(300).told(), [ClosingSoon, Closed]);
}
