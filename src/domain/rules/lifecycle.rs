//! L0 to L6, L13. L7 to L12, L14 and L15 bind commands, writers and reports: their tests are where those live.

use super::*;

fn answered() -> Story {
    Story::on().event(contact(0)).event(human(10))
}

#[test]
fn l0_a_message_or_opened_opens_a_conversation_not_seen_before() {
    let openers = [
        (contact(5), OpeningSource::Contact),
        (human(5), OpeningSource::User),
        (message(5, MessageSource::Echo), OpeningSource::User),
        (opened_by(5, OpeningSource::CtcAds), OpeningSource::CtcAds),
    ];
    for (opener, source) in openers {
        let story = Story::on().event(opener);
        assert_eq!(story.told()[0], NoticeKind::Opened);
        let shown = story.snapshot();
        assert_eq!((shown.episode, shown.opened_at, shown.opened_source), (1, Some(at(5)), Some(source)));
    }
}

#[test]
fn l0_any_other_event_is_recorded_without_opening_it() {
    let others = [
        message(5, MessageSource::Broadcast),
        failed(5, &human(4)),
        closed(5),
        to_human(5),
        unassigned(5),
        snoozed(5, 100),
        unsnoozed(5),
        blocked(5),
        unblocked(5),
    ];
    for other in others {
        let story = Story::on().event(other.clone());
        assert_eq!((story.is_open(), story.episode(), story.outcome), (false, 0, Outcome::Changed), "{other:?}");
    }
}

#[test]
fn l0a_a_close_forgets_messages_and_snooze() {
    let story = answered().event(snoozed(11, 500)).event(closed(20)).event(opened(30));
    let shown = story.snapshot();
    assert_eq!((shown.snoozed_until, shown.scheduled_close_at), (None, None));
    assert_eq!((shown.last_human_message_at, shown.last_contact_message_at), (None, None));
    assert_eq!(story.event(human(40)).closes_at(), Some(40 + D));
}

#[test]
fn l0a_assignment_and_block_outlive_a_close() {
    let story = answered().event(to_human(15)).event(closed(20)).event(blocked(25)).event(contact(30));
    let shown = story.snapshot();
    assert_eq!((shown.blocked, shown.assignee.is_some(), story.is_open()), (true, true, false));
}

#[test]
fn l0a_a_failure_of_the_last_episode_counts_no_more() {
    let story = answered().event(closed(20)).event(human(30)).event(failed(31, &human(10)));
    assert_eq!(story.closes_at(), Some(30 + D));
}

#[test]
fn l0a_a_snooze_of_what_is_not_open_is_no_fact() {
    let story = answered().event(closed(20)).event(snoozed(25, 500));
    assert_eq!((story.told(), story.snapshot().snoozed_until), (vec![], None));
    assert_eq!(story.event(human(30)).closes_at(), Some(30 + D));
    assert_eq!(Story::on().event(snoozed(5, 500)).event(human(10)).closes_at(), Some(10 + D));
}

#[test]
fn l0a_that_is_judged_by_time_and_not_by_arrival() {
    let story = Story::on().event(human(30)).late(snoozed(20, 500), 40);
    assert_eq!(story.closes_at(), Some(30 + D), "it was not open at 20");
    assert_eq!(story.late(human(10), 50).closes_at(), Some(500 + D), "it was, after all");
}

#[test]
fn l0a_opened_when_open_is_without_effect() {
    let story = answered().event(opened_by(20, OpeningSource::Api));
    assert_eq!((story.episode(), story.told(), story.closes_at()), (1, vec![], Some(10 + D)));
    assert_eq!(story.snapshot().opened_source, Some(OpeningSource::Contact));
}

#[test]
fn l0a_closed_when_closed_is_without_effect() {
    let story = answered().event(closed(20)).event(closed_by(30, ClosingSource::Api));
    let shown = story.snapshot();
    assert_eq!((story.told(), shown.closed_source, shown.closed_at), (vec![], Some(ClosingSource::User), Some(at(20))));
    assert!(story.event(contact(40)).is_open(), "it does not wait for the next episode either");
}

#[test]
fn l0a_unblocked_when_not_blocked_is_without_effect() {
    let story = answered().event(unblocked(20));
    assert_eq!((story.closes_at(), story.told()), (Some(10 + D), vec![]));
}

#[test]
fn l1_assign_reassign_unassign() {
    let story = answered().event(to_human(20));
    assert_eq!(story.snapshot().assignee.map(|a| a.kind), Some(AssigneeKind::Human));
    let story = story.event(to_ai(30));
    assert_eq!(story.snapshot().assignee.map(|a| a.kind), Some(AssigneeKind::AiAgent));
    let story = story.event(unassigned(40));
    assert_eq!((story.snapshot().assignee, story.told()), (None, vec![NoticeKind::Unassigned]));
    assert_eq!(story.late(to_human(35), 50).snapshot().assignee, None, "by time, not arrival");
}

#[test]
fn l2_a_user_closes() {
    let shown = answered().event(closed(20)).snapshot();
    assert_eq!((shown.closed_source, shown.closed_by.as_deref()), (Some(ClosingSource::User), Some("ana")));
    assert_eq!(shown.closed_at, Some(at(20)));
}

#[test]
fn l3_a_user_opens_a_new_episode() {
    let story = answered().event(closed(20)).event(opened(30));
    assert_eq!((story.episode(), story.told()), (2, vec![NoticeKind::Reopened]));
    let shown = story.snapshot();
    assert_eq!((shown.opened_source, shown.closed_at, shown.closed_source), (Some(OpeningSource::User), None, None));
}

#[test]
fn l4_while_blocked_nothing_closes() {
    let story = answered().event(blocked(20)).event(closed(30));
    assert!(story.is_open());
    let story = story.event(unblocked(40));
    assert!(story.is_open(), "what was refused stays refused");
    assert!(!story.event(closed(50)).is_open(), "works again after unblocking");
}

#[test]
fn l4_while_blocked_nothing_opens() {
    let shut = || answered().event(closed(20)).event(blocked(25));
    for opener in [contact(30), human(30), opened(30)] {
        let story = shut().event(opener);
        assert_eq!((story.is_open(), story.told()), (false, vec![]));
        let story = story.event(unblocked(40));
        assert_eq!((story.is_open(), story.told()), (false, vec![NoticeKind::Unblocked]), "what was refused stays refused");
        assert!(story.event(contact(50)).is_open(), "works again after unblocking");
    }
}

#[test]
fn l4_a_block_is_judged_by_time_and_not_by_arrival() {
    let story = answered().event(closed(20)).event(blocked(25)).event(contact(30)).late(unblocked(28), 40);
    assert_eq!(story.told(), [NoticeKind::Reopened, NoticeKind::Unblocked]);
    let story = answered().event(blocked(20)).event(closed(30)).late(unblocked(25), 40);
    assert_eq!(story.closed_by(), Some(ClosingSource::User));
}

#[test]
fn l4_news_of_a_blocked_contact_is_recorded_only() {
    let story = answered().pass(71).event(blocked(72)).late(contact(60), 73);
    assert_eq!((story.is_open(), story.told()), (false, vec![]));
    assert_eq!(story.snapshot().messages.incoming, 2);
}

#[test]
fn l4_messages_of_an_open_one_are_facts_as_ever() {
    let story = answered().event(blocked(20)).event(human(30)).event(unblocked(40));
    assert_eq!(story.closes_at(), Some(40 + D));
    let story = answered().event(blocked(20)).event(contact(30)).event(unblocked(40));
    assert_eq!(story.closes_at(), None);
}

#[test]
fn l4_what_was_only_recorded_neither_arms_nor_starts_the_next_episode() {
    let refused = || answered().event(closed(20)).event(blocked(25)).event(human(30)).event(snoozed(31, 500)).event(unblocked(40));
    let story = refused().event(opened(50));
    assert_eq!((story.closes_at(), story.snapshot().snoozed_until), (None, None));
    assert_eq!(story.event(human(60)).closes_at(), Some(60 + D));
}

#[test]
fn l1_it_is_listed_by_whose_it_is_and_what_it_is() {
    let standing = |story: &Story| Standing::of(&story.conversation).map(|standing| (standing.status, standing.assignee));
    let whose = || Some("human".into());
    let story = Story::on().event(to_human(2));
    assert_eq!(standing(&story), None, "never opened");
    let story = Story::on().event(contact(0));
    assert_eq!(standing(&story), Some((Status::Open, None)));
    let story = story.event(to_human(5)).event(snoozed(10, 40));
    assert_eq!(standing(&story), Some((Status::Snoozed, whose())));
    let story = story.pass(41);
    assert_eq!(standing(&story), Some((Status::Open, whose())), "the snooze has ended, and that was told");
    let story = story.event(closed(50));
    assert_eq!(standing(&story), Some((Status::Closed, whose())));
    let story = story.event(contact(60)).event(unassigned(61));
    assert_eq!(standing(&story), Some((Status::Open, None)));
}

#[test]
fn l5_a_contact_reopens_whoever_closed() {
    let by_user = answered().event(to_human(15)).event(closed(20)).event(contact(30));
    let by_timer = answered().event(to_human(15)).pass(71).event(contact(72));
    for story in [by_user, by_timer] {
        let shown = story.snapshot();
        assert_eq!((story.episode(), story.told()), (2, vec![NoticeKind::Reopened]));
        assert_eq!((shown.opened_source, shown.assignee.is_some()), (Some(OpeningSource::Contact), true));
    }
}

#[test]
fn l5_a_contact_at_the_very_time_of_the_close_reopens() {
    let story = answered().event(closed(20)).event(contact(20));
    assert_eq!(story.episode(), 2, "at equal time the contact is later");
    let story = answered().event(contact(20)).event(closed(20));
    assert!(story.is_open(), "the close is older than the message, and so recorded only");
}

#[test]
fn l6_machines_leave_it_closed() {
    for source in MessageSource::ALL.iter().copied().filter(|source| source.speaker() == Speaker::Machine) {
        let story = answered().event(closed(20)).event(message(30, source));
        assert_eq!((story.is_open(), story.told()), (false, vec![]), "{source:?}");
    }
}

#[test]
fn l6_a_person_opens_it() {
    for source in [MessageSource::User, MessageSource::Echo] {
        let story = answered().event(closed(20)).event(message(30, source));
        assert_eq!((story.episode(), story.snapshot().opened_source), (2, Some(OpeningSource::User)));
        assert_eq!(story.told(), [NoticeKind::Reopened, NoticeKind::Armed]);
    }
}

#[test]
fn l13_an_auto_close_says_why() {
    let story = answered().wake(75);
    let (name, armed_at) = (human(10).name, at(10));
    let why = Cause::AutoClose {
        deadline: at(70),
        late: Span::from_mins(5),
        period: Span::from_mins(D),
        armed_by: name,
        armed_at,
        farewell: None,
    };
    assert_eq!(story.last[0].cause, why);
    assert_eq!(story.last[0].snapshot.closed_source, Some(ClosingSource::AutoClose));
}

#[test]
fn l13_another_close_names_its_event() {
    let story = answered().event(closed_by(20, ClosingSource::Workflow));
    let event = closed_by(20, ClosingSource::Workflow);
    let told = story.last.iter().find(|notice| notice.kind == NoticeKind::Closed).unwrap();
    assert!(matches!(&told.cause, Cause::Event { name, .. } if *name == event.name));
    assert_eq!(told.snapshot.closed_source, Some(ClosingSource::Workflow));
}
