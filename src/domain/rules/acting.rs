//! Commands: what L0a, L1 to L4, T9 to T12 and T17 say to whoever asks, and that what is refused has not happened.

use super::*;

fn answered() -> Story {
    Story::on().event(contact(0)).event(human(10))
}

/// That this was refused, and nothing is other than before.
#[track_caller]
fn assert_refused(story: Story, command: Event, expected: Option<u64>, refusal: Refusal) -> Story {
    let before = story.pass_until(command.time);
    let (conversation, told) = (before.conversation.clone(), before.all.len());
    let after = before.asked(command, expected);
    assert_eq!(after.outcome, Outcome::Refused(refusal));
    assert_eq!((&after.conversation, after.all.len()), (&conversation, told));
    after
}

#[test]
fn l2_a_close_that_is_asked_for_closes() {
    let story = answered().asked(closed(20), None);
    assert_eq!((story.outcome, story.told()), (Outcome::Changed, vec![NoticeKind::Cancelled, NoticeKind::Closed]));
    let shown = story.snapshot();
    assert_eq!((shown.closed_source, shown.closed_by.as_deref(), shown.closed_at), (Some(ClosingSource::User), Some("ana"), Some(at(20))));
}

fn noted(minute: i64, source: ClosingSource, category: Option<&str>, summary: Option<&str>) -> Event {
    let note = Note { category: category.map(Into::into), summary: summary.map(Into::into) };
    let note = (category.is_some() || summary.is_some()).then_some(note);
    event(&format!("noted@{minute}"), minute, EventKind::Closed { source, by: None, note })
}

/// Of a workspace whose one category is "Billing".
fn with_notes(mode: NotesMode) -> Story {
    let category = CategoryChange::Add(Category { name: "Billing".into(), description: None });
    answered().change(15, SettingsChange { notes_mode: Some(mode), category: Some(category), ..Default::default() })
}

#[test]
fn l7_with_notes_off_a_close_takes_none() {
    let story = assert_refused(with_notes(NotesMode::Off), noted(20, ClosingSource::User, Some("Billing"), None), None, Refusal::NotesOff);
    assert!(!story.asked(noted(21, ClosingSource::User, None, None), None).is_open());
    assert!(!answered().event(noted(20, ClosingSource::User, Some("Billing"), None)).is_open(), "an event is not bound by it");
}

#[test]
fn l8_with_notes_optional_a_close_takes_one_or_none() {
    for (category, summary) in [(None, None), (Some("Billing"), None), (None, Some("Paid")), (Some("Billing"), Some("Paid"))] {
        let story = with_notes(NotesMode::Optional).asked(noted(20, ClosingSource::User, category, summary), None);
        let note = story.snapshot().closing_note;
        assert_eq!((story.is_open(), note.is_some()), (false, category.is_some() || summary.is_some()));
    }
}

#[test]
fn l9_what_is_required_of_a_user_is_named() {
    let (some, two) = (NotesMode::CategoryRequired, NotesMode::CategoryAndSummaryRequired);
    for (mode, category, summary, missing) in [
        (some, None, None, Some(Refusal::CategoryMissing)),
        (some, None, Some("Paid"), Some(Refusal::CategoryMissing)),
        (some, Some("Billing"), None, None),
        (two, None, Some("Paid"), Some(Refusal::CategoryMissing)),
        (two, Some("Billing"), None, Some(Refusal::SummaryMissing)),
        (two, Some("Billing"), Some("Paid"), None),
    ] {
        let close = noted(20, ClosingSource::User, category, summary);
        match missing {
            Some(refusal) => drop(assert_refused(with_notes(mode), close, None, refusal)),
            None => assert!(!with_notes(mode).asked(close, None).is_open()),
        }
        assert!(!with_notes(mode).asked(noted(20, ClosingSource::Api, category, summary), None).is_open(), "no other closer is bound");
    }
}

#[test]
fn l10_a_category_is_one_of_the_workspaces() {
    for source in [ClosingSource::User, ClosingSource::Api] {
        let foreign = noted(20, source, Some("Bilking"), Some("Paid"));
        assert_refused(with_notes(NotesMode::Optional), foreign.clone(), None, Refusal::CategoryUnknown);
        assert_refused(with_notes(NotesMode::CategoryRequired), foreign, None, Refusal::CategoryUnknown);
    }
    let told = with_notes(NotesMode::Optional).event(noted(20, ClosingSource::Api, Some("Bilking"), None));
    assert_eq!(told.snapshot().closing_note.unwrap().category.as_deref(), Some("Bilking"), "what the pipeline tells has happened");
}

fn note(minute: i64, category: Option<&str>, summary: Option<&str>) -> Event {
    let note = Note { category: category.map(Into::into), summary: summary.map(Into::into) };
    event(&format!("note@{minute}"), minute, EventKind::Noted { note, by: Some("bo".into()) })
}

#[test]
fn l10_a_note_may_follow_the_close_and_be_written_anew() {
    let story = with_notes(NotesMode::Optional).asked(closed(20), None).asked(note(30, Some("Billing"), None), None);
    assert_eq!((story.outcome, story.told()), (Outcome::Changed, vec![NoticeKind::NoteAdded]));
    assert!(matches!(&story.last[0].cause, Cause::Event { by: Some(by), .. } if **by == *"bo"));
    let story = story.asked(note(31, Some("Billing"), Some("Paid")), None);
    assert_eq!(story.snapshot().closing_note.unwrap().summary.as_deref(), Some("Paid"));
    let story = story.asked(note(32, Some("Billing"), Some("Paid")), None);
    assert_eq!((story.outcome, story.told()), (Outcome::Changed, vec![]), "it says so already");
    let story = assert_refused(story, note(33, Some("Bilking"), None), None, Refusal::CategoryUnknown);
    let gone = CategoryChange::Remove { name: "Billing".into() };
    let story = story.change(34, SettingsChange { category: Some(gone), ..Default::default() });
    let story = story.asked(note(35, Some("Billing"), Some("Paid back")), None);
    assert_eq!(story.outcome, Outcome::Changed, "it names what it named when that was there");
    let story = story.asked(opened(40), None);
    assert_eq!(story.snapshot().closing_note, None);
    assert_refused(story, note(41, Some("Billing"), None), None, Refusal::NotClosed);
}

#[test]
fn l7_l9_bind_a_later_note_as_well() {
    let ended = |mode| with_notes(mode).event(closed(20));
    assert_refused(ended(NotesMode::Off), note(30, Some("Billing"), None), None, Refusal::NotesOff);
    assert_refused(ended(NotesMode::CategoryRequired), note(30, None, Some("Paid")), None, Refusal::CategoryMissing);
    assert_refused(ended(NotesMode::CategoryAndSummaryRequired), note(30, Some("Billing"), None), None, Refusal::SummaryMissing);
}

#[test]
fn l3_an_opening_that_is_asked_for_is_a_new_episode() {
    let story = answered().asked(closed(20), None).asked(opened(30), None);
    assert_eq!((story.episode(), story.snapshot().opened_source, story.told()), (2, Some(OpeningSource::User), vec![NoticeKind::Reopened]));
}

#[test]
fn l0a_what_is_so_already_is_refused() {
    let story = assert_refused(answered(), opened(20), None, Refusal::AlreadyOpen);
    let story = assert_refused(story, unsnoozed(21), None, Refusal::NotSnoozed);
    let story = assert_refused(story, unblocked(22), None, Refusal::NotBlocked);
    let story = story.asked(closed(23), None);
    let story = assert_refused(story, closed(24), None, Refusal::NotOpen);
    assert_refused(story, snoozed(25, 500), None, Refusal::NotOpen);
}

#[test]
fn l4_while_blocked_nothing_is_opened_or_closed_and_afterwards_it_works() {
    let story = answered().asked(blocked(20), None);
    let story = assert_refused(story, closed(21), None, Refusal::Blocked);
    let story = story.asked(unblocked(22), None).asked(closed(23), None).asked(blocked(24), None);
    let story = assert_refused(story, opened(25), None, Refusal::Blocked);
    assert!(story.asked(unblocked(26), None).asked(opened(27), None).is_open());
}

#[test]
fn l1_assigning_and_taking_away_whatever_the_status() {
    let story = answered().asked(to_human(20), None);
    assert_eq!(story.snapshot().assignee.unwrap().kind, AssigneeKind::Human);
    let story = story.asked(closed(21), None).asked(unassigned(22), None);
    assert_eq!((story.outcome, story.snapshot().assignee), (Outcome::Changed, None));
    assert_eq!(story.asked(unassigned(23), None).outcome, Outcome::Changed, "nobody had it, and nobody has it");
}

#[test]
fn t9_a_snooze_lies_ahead_or_is_refused() {
    let story = assert_refused(answered(), snoozed(20, 20), None, Refusal::SnoozeOver);
    let story = story.asked(snoozed(21, 100), None);
    assert_eq!(story.closes_at(), Some(100 + D));
    let story = story.asked(unsnoozed(30), None);
    assert_eq!((story.closes_at(), story.snapshot().snoozed_until), (Some(30 + D), None));
}

#[test]
fn a_conversation_that_was_never_opened_is_not_known() {
    for command in [closed(5), opened(5), to_human(5), unassigned(5), snoozed(5, 100), unsnoozed(5), blocked(5), unblocked(5)] {
        assert_refused(Story::on(), command.clone(), None, Refusal::Unknown);
        assert_refused(Story::on().event(blocked(1)), command, None, Refusal::Unknown);
    }
}

#[test]
fn a_command_for_another_version_is_refused() {
    let story = answered();
    let version = story.conversation.version;
    let story = assert_refused(story, closed(20), Some(version - 1), Refusal::OtherVersion);
    assert!(!story.asked(closed(20), Some(version)).is_open());
}

/// Asked under the same name it is done once (D6); what was refused was not done, and may be asked again.
#[test]
fn d6_a_command_that_is_asked_again_changes_nothing() {
    let story = answered().asked(closed(20), None).event(contact(30));
    assert_eq!(story.asked(closed(20), None).outcome, Outcome::Duplicate);
    let story = assert_refused(answered().asked(blocked(15), None), closed(20), None, Refusal::Blocked);
    assert_eq!(story.asked(unblocked(21), None).asked(Event { time: at(22), ..closed(20) }, None).outcome, Outcome::Changed);
}

/// D5: at the same instant a contact's message is later.
#[test]
fn d5_a_close_in_the_instant_of_a_reply_is_overtaken() {
    let story = assert_refused(answered().event(contact(20)), closed(20), None, Refusal::Overtaken);
    assert!(story.is_open());
}
