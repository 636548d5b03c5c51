//! L11, L12: what is kept for whoever writes notes, and the note of an episode that closed without one. L14: what reports count.

use super::super::report::{Counted, Day, GroupBy, Rollup, Sums};
use super::*;

/// Of a workspace that wants notes, and has them written if `auto`.
fn wanting(auto: bool) -> Story {
    let mut story = Story::on();
    let categories = vec![Category { name: "Shipping".into(), description: None }];
    story.settings = Settings { notes_mode: NotesMode::Optional, notes_auto_generate: auto, categories, ..story.settings };
    story
}

fn says(minute: i64, source: MessageSource, text: &str) -> Event {
    let kind = EventKind::Message { source, agent: None, message_id: None, text: Some(Text(text.into())) };
    event(&format!("{}-says@{minute}", source.as_str()), minute, kind)
}

fn asks_and_is_answered(story: Story) -> Story {
    story.event(says(0, MessageSource::Contact, "Where is it?")).event(says(10, MessageSource::User, "On its way."))
}

fn note() -> Note {
    Note { category: Some("Shipping".into()), summary: Some("It is on its way.".into()) }
}

fn written(minute: i64, episode: u32) -> Event {
    event(&format!("written@{minute}"), minute, EventKind::Written { episode, note: note(), by: "built-in".into() })
}

fn texts(story: &Story) -> Vec<&str> {
    story.texts.values().map(|text| &**text).collect()
}

fn sums(story: &Story, by: GroupBy) -> Vec<(Option<String>, Sums)> {
    let mut rollup = Rollup::default();
    story.counts.iter().for_each(|count| rollup.take(count));
    let mut all: BTreeMap<Option<String>, Sums> = BTreeMap::new();
    rollup.sums(by, Day(0)).for_each(|(group, _, sums)| all.entry(group.name().map(Into::into)).or_default().add(sums));
    all.into_iter().collect()
}

fn closed_of(story: &Story, by: GroupBy) -> Vec<(Option<String>, u32)> {
    sums(story, by).into_iter().map(|(group, sums)| (group, sums.closed)).filter(|(_, closed)| *closed > 0).collect()
}

#[test]
fn l11_texts_are_kept_of_the_open_episode_where_notes_are_wanted() {
    let story = asks_and_is_answered(wanting(false)).event(says(11, MessageSource::Workflow, "Rate us!"));
    assert_eq!(texts(&story), ["Where is it?", "On its way.", "Rate us!"]);
    let story = story.asked(closed(20), None).event(says(30, MessageSource::Broadcast, "Sale!"));
    assert_eq!(texts(&story).len(), 3, "what is written to a closed one belongs to no episode");
    let again = story.event(says(40, MessageSource::Contact, "Hello again"));
    assert_eq!(texts(&again), ["Hello again"], "each episode has its own");
    assert_eq!(texts(&asks_and_is_answered(Story::on())), [""; 0], "notes are off");
}

#[test]
fn l11_a_text_is_cut_and_the_latest_hundred_stay() {
    let story = wanting(false).event(says(0, MessageSource::Contact, &"€".repeat(1_000)));
    assert_eq!(texts(&story)[0].chars().count(), 666, "2,000 bytes, and no half a letter");
    let many = (1..=130).fold(story, |story, minute| story.event(says(minute, MessageSource::Contact, "more")));
    assert_eq!(many.texts.len(), 100);
}

#[test]
fn l11_texts_go_once_nobody_can_want_them() {
    let forget = |mut story: Story| {
        story.take(Input::Forget, story.clock);
        story
    };
    let open = forget(asks_and_is_answered(wanting(false)));
    assert_eq!((open.outcome, open.texts.len()), (Outcome::Unchanged, 2));
    let closed = forget(open.asked(closed(20), None));
    assert_eq!((closed.outcome, closed.texts.len()), (Outcome::Changed, 0));
    assert_eq!(forget(closed).outcome, Outcome::Unchanged);
    let waits = forget(asks_and_is_answered(wanting(true)).pass(D + 11));
    assert_eq!((waits.outcome, waits.texts.len()), (Outcome::Unchanged, 2), "its note is still to be written");
    let mut off = asks_and_is_answered(wanting(false));
    off.settings.notes_mode = NotesMode::Off;
    assert!(forget(off).texts.is_empty());
}

#[test]
fn l12_an_auto_close_is_not_delayed_and_gets_its_note_afterwards() {
    let story = asks_and_is_answered(wanting(true)).pass(D + 11);
    assert_eq!((story.told(), story.wanted.clone()), (vec![NoticeKind::Closed], vec![1]));
    assert_eq!(closed_of(&story, GroupBy::Category), [(None, 1)]);
    let story = story.asked(written(D + 12, 1), None);
    assert_eq!((story.outcome, story.told()), (Outcome::Changed, vec![NoticeKind::NoteAdded]));
    assert_eq!(story.snapshot().closing_note, Some(note()));
    assert_eq!(closed_of(&story, GroupBy::Category), [(Some("Shipping".into()), 1)]);
    assert_eq!(story.wake_at(), None, "and that was that");
}

#[test]
fn l12_a_note_comes_at_most_once() {
    let story = asks_and_is_answered(wanting(true)).pass(D + 11).asked(written(D + 12, 1), None);
    let twice = story.asked(written(D + 13, 1), None);
    assert_eq!((twice.outcome, twice.count(NoticeKind::NoteAdded)), (Outcome::Refused(Refusal::NoteNotWanted), 1));
    let of_another = asks_and_is_answered(wanting(true)).pass(D + 11).asked(written(D + 12, 7), None);
    assert_eq!(of_another.outcome, Outcome::Refused(Refusal::NoteNotWanted));
    let by_hand = EventKind::Noted { note: Note { category: None, summary: Some("Mine".into()) }, by: None };
    let first = asks_and_is_answered(wanting(true)).pass(D + 11).asked(event("mine", D + 11, by_hand), None);
    assert_eq!(first.asked(written(D + 12, 1), None).outcome, Outcome::Refused(Refusal::NoteNotWanted), "somebody was first");
}

#[test]
fn l12_a_note_is_its_episodes_even_if_that_has_reopened() {
    let story = asks_and_is_answered(wanting(true)).pass(D + 11).event(says(D + 20, MessageSource::Contact, "Not here yet"));
    assert_eq!(texts(&story), ["Where is it?", "On its way.", "Not here yet"], "the note is still to be written from these");
    let story = story.asked(written(D + 21, 1), None);
    assert_eq!(story.snapshot().closing_note, None);
    let told = story.last.last().unwrap();
    assert_eq!(told.kind, NoticeKind::NoteAdded);
    let expected = Cause::Writer { episode: 1, note: Some(note()), writer: "built-in".into(), reason: None };
    assert_eq!((&told.cause, told.snapshot.episode), (&expected, 2));
    assert_eq!(closed_of(&story, GroupBy::Category), [(Some("Shipping".into()), 1)]);
}

#[test]
fn l12_a_note_that_does_not_come_is_asked_for_again_and_then_given_up() {
    let story = asks_and_is_answered(wanting(true)).pass(D + 11).pass(3 * D);
    assert_eq!((story.wanted.clone(), story.count(NoticeKind::NoteFailed)), (vec![1; 5], 0));
    let story = story.pass(9 * D);
    assert_eq!((story.wanted.len(), story.count(NoticeKind::NoteFailed), story.wake_at()), (5, 1, None));
    assert_eq!(story.asked(written(9 * D, 1), None).outcome, Outcome::Refused(Refusal::NoteNotWanted));
    let kind = EventKind::Unwritten { episode: 1, reason: "no key".into(), by: "gpt".into() };
    let story = asks_and_is_answered(wanting(true)).pass(D + 11).asked(event("given-up", D + 12, kind), None);
    assert_eq!((story.told(), story.wake_at()), (vec![NoticeKind::NoteFailed], None));
}

#[test]
fn l12_once_notes_are_off_none_is_written_and_nothing_is_kept() {
    let off = |mut story: Story| {
        story.settings = Settings { notes_mode: NotesMode::Off, ..story.settings };
        story
    };
    let story = off(asks_and_is_answered(wanting(true)).pass(D + 11)).asked(written(D + 12, 1), None);
    assert_eq!(story.outcome, Outcome::Refused(Refusal::NoteNotWanted));
    let story = story.pass(3 * D);
    assert_eq!((story.wanted.clone(), story.count(NoticeKind::NoteFailed), story.wake_at()), (vec![1], 1, None));
    let mut story = off(asks_and_is_answered(wanting(true)).pass(D + 11));
    story.take(Input::Forget, at(D + 12));
    assert_eq!((story.told(), story.texts.len(), story.wake_at()), (vec![NoticeKind::NoteFailed], 0, None));
}

#[test]
fn l12_a_note_that_another_episode_takes_the_place_of_is_told_to_be_lost() {
    let story = asks_and_is_answered(wanting(true)).pass(D + 11).event(says(D + 20, MessageSource::Contact, "Not here yet"));
    let story = story.asked(closed(D + 30), None);
    let lost = story.all.iter().find(|told| told.kind == NoticeKind::NoteFailed).unwrap();
    assert!(matches!(lost.cause, Cause::Writer { episode: 1, .. }), "{lost:?}");
    assert_eq!(story.last.last().map(|told| (told.kind, matches!(told.cause, Cause::Event { .. }))), Some((NoticeKind::Closed, true)));
    assert_eq!((story.wanted.last().copied(), story.asked(written(D + 31, 2), None).count(NoticeKind::NoteAdded)), (Some(2), 1));
    let noted = EventKind::Closed { source: ClosingSource::User, by: None, note: Some(note()) };
    let other = asks_and_is_answered(wanting(true)).pass(D + 11).event(says(D + 20, MessageSource::Contact, "Not here yet"));
    let other = other.asked(event("noted", D + 30, noted), None).asked(written(D + 31, 1), None);
    assert_eq!(other.told(), [NoticeKind::NoteAdded], "a note by hand is of its own episode");
}

#[test]
fn l10_l12_a_category_that_was_taken_away_meanwhile_is_left_out() {
    let mut story = asks_and_is_answered(wanting(true)).pass(D + 11);
    story.settings.categories.clear();
    let story = story.asked(written(D + 12, 1), None);
    assert_eq!(story.snapshot().closing_note, Some(Note { category: None, ..note() }));
    assert_eq!(closed_of(&story, GroupBy::Category), [(None, 1)]);
}

#[test]
fn l11_a_users_close_without_a_note_gets_one_and_no_other() {
    let wanted = |close: Event| asks_and_is_answered(wanting(true)).asked(close, None).wanted;
    assert_eq!(wanted(closed(20)), [1]);
    assert_eq!(wanted(closed_by(20, ClosingSource::Api)), [0; 0]);
    let with =
        EventKind::Closed { source: ClosingSource::User, by: None, note: Some(Note { category: None, summary: Some("Mine".into()) }) };
    assert_eq!(wanted(event("with", 20, with)), [0; 0]);
    assert_eq!(asks_and_is_answered(wanting(false)).asked(closed(20), None).wanted, [0; 0]);
}

#[test]
fn d7_a_reversed_close_wants_no_note_and_is_not_counted() {
    let story = asks_and_is_answered(wanting(true)).pass(D + 11).late(says(D, MessageSource::Contact, "Wait"), D + 12);
    assert_eq!((story.is_open(), story.count(NoticeKind::Reversed)), (true, 1));
    assert_eq!(texts(&story), ["Where is it?", "On its way.", "Wait"]);
    assert_eq!(story.wake_at(), None, "neither a timer nor a note");
    let all = sums(&story, GroupBy::ClosedSource);
    let auto = &all.iter().find(|(group, _)| group.as_deref() == Some("auto_close")).unwrap().1;
    assert_eq!((auto.closed, auto.reversed), (0, 1));
    assert_eq!(story.asked(written(D + 13, 1), None).outcome, Outcome::Refused(Refusal::NoteNotWanted));
}

#[test]
fn l14_an_episode_is_a_conversation_of_its_own_and_counts_where_it_was() {
    let story = Story::on().event(contact(0)).event(to_human(1)).asked(closed(20), None).event(to_ai(21)).event(contact(30));
    let opened: Vec<bool> = story
        .counts
        .iter()
        .filter_map(|count| match count.what {
            Counted::Opened { again } => Some(again),
            Counted::Closed { .. } | Counted::Reversed => None,
        })
        .collect();
    assert_eq!(opened, [false, true]);
    assert_eq!(closed_of(&story, GroupBy::Agent), [(Some("human".into()), 1)], "whoever has it since");
    assert_eq!(closed_of(&story, GroupBy::OpenedSource), [(Some("contact".into()), 1)]);
}
