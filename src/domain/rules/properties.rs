//! The laws, over histories nobody thought of.

use proptest::prelude::*;

use super::super::deadline::Timer;
use super::super::order::Position;
use super::super::settings::Apply;
use super::oracle::deadline_by_hand;
use super::*;

/// What can happen, without its time.
#[derive(Clone, Copy, Debug)]
enum What {
    Message(MessageSource),
    Failed(usize),
    Assigned(AssigneeKind),
    Unassigned,
    /// For so many minutes, or back in time.
    Snoozed(i64),
    Unsnoozed,
    Blocked,
    Unblocked,
    Opened,
    Closed,
}

/// One event of a history: how long after the one before it was taken in, how old it was then, and what follows.
#[derive(Clone, Copy, Debug)]
struct Happening {
    gap: i64,
    /// Negative: stamped ahead (D9).
    lateness: i64,
    what: What,
    /// Whether the wake-ups since the last event came in time, or not at all (a stopped node).
    awake: bool,
}

fn messages() -> impl Strategy<Value = What> {
    use MessageSource::{Bot, Contact, Echo, User};
    prop_oneof![4 => Just(User), 4 => Just(Contact), 1 => Just(Echo), 1 => Just(Bot)].prop_map(What::Message)
}

/// What belongs to an open episode; blocks too, for they are ordered over all episodes.
fn inside() -> impl Strategy<Value = What> {
    prop_oneof![
        5 => messages(),
        1 => (0..8_usize).prop_map(What::Failed),
        1 => Just(What::Assigned(AssigneeKind::Human)),
        1 => Just(What::Assigned(AssigneeKind::AiAgent)),
        1 => Just(What::Unassigned),
        2 => (-5..90_i64).prop_map(What::Snoozed),
        1 => Just(What::Unsnoozed),
        1 => Just(What::Blocked),
        1 => Just(What::Unblocked),
        1 => Just(What::Opened),
    ]
}

fn anything() -> impl Strategy<Value = What> {
    prop_oneof![6 => inside(), 1 => Just(What::Closed)]
}

fn happening() -> impl Strategy<Value = Happening> {
    // Often just over a period, so that a late reply finds a fresh auto-close (D7).
    let gap = prop_oneof![6 => 0..5_i64, 2 => 0..70_i64, 2 => 61..70_i64];
    let lateness = prop_oneof![4 => Just(0), 2 => 0..5_i64, 2 => 0..90_i64, 1 => -5..0_i64];
    (gap, lateness, anything(), prop::bool::weighted(0.8)).prop_map(|(gap, lateness, what, awake)| Happening { gap, lateness, what, awake })
}

fn history(length: usize) -> impl Strategy<Value = Vec<Happening>> {
    prop::collection::vec(happening(), 1..length)
}

impl What {
    fn event(self, id: &str, minute: i64) -> Event {
        let kind = match self {
            Self::Message(source) => EventKind::Message { source, agent: None, message_id: None, text: None },
            Self::Failed(of) => EventKind::MessageFailed { message_id: format!("e{of:02}").into() },
            Self::Assigned(kind) => EventKind::Assigned(Assignee { kind, id: kind.as_str().into(), name: None }),
            Self::Unassigned => EventKind::Unassigned,
            Self::Snoozed(length) => EventKind::Snoozed { until: at(minute + length) },
            Self::Unsnoozed => EventKind::Unsnoozed,
            Self::Blocked => EventKind::Blocked,
            Self::Unblocked => EventKind::Unblocked,
            Self::Opened => EventKind::Opened { source: OpeningSource::Api, by: None },
            Self::Closed => EventKind::Closed { source: ClosingSource::User, by: None, note: None },
        };
        event(id, minute, kind)
    }
}

/// The events of a history as they were taken in, each with whether the wake-ups before it came.
fn accepted(history: &[Happening]) -> Vec<(Accepted, bool)> {
    let mut clock = 1_000;
    let happened = history.iter().enumerate().map(|(i, h)| {
        clock += h.gap;
        (Accepted { event: h.what.event(&format!("e{i:02}"), clock - h.lateness), accepted_at: at(clock) }, h.awake)
    });
    happened.collect()
}

impl Story {
    fn live(mut self, accepted: &Accepted, awake: bool) -> Self {
        if awake {
            self = self.pass_until(accepted.accepted_at);
        }
        self.take(Input::Event(accepted.clone()), accepted.accepted_at);
        self
    }

    fn lived(history: &[Happening]) -> Self {
        Self::on().living(history)
    }

    fn living(self, history: &[Happening]) -> Self {
        accepted(history).iter().fold(self, |story, (accepted, awake)| story.live(accepted, *awake))
    }

    /// What was told last of the timer is how the timer stands.
    fn timer_is_told(&self) -> bool {
        use super::super::conversation::ToldTimer as Told;
        let timer = timer_of(&self.conversation, &self.settings, self.clock);
        match (self.conversation.told.timer, timer) {
            (Told::None, Timer::None) => true,
            (Told::Running(told), Timer::Running(at)) | (Told::Snoozed(told), Timer::Snoozed(at)) => told == at,
            (Told::Suspended | Told::SuspendedUntold, Timer::Suspended) => true,
            (Told::None | Told::Running(_) | Told::Snoozed(_) | Told::Suspended | Told::SuspendedUntold, _) => false,
        }
    }

    /// What no repeat may touch, however late it comes.
    fn standing(&self) -> (bool, u32, Option<Timestamp>, Option<Timestamp>) {
        let due = deadline(&self.conversation, &self.settings).ok().map(|d| d.at);
        (self.is_open(), self.episode(), due, self.snapshot().closed_at)
    }
}

/// What no pipeline would send, from clocks that no machine has.
#[derive(Clone, Debug)]
enum Ingredient {
    Event(What, Timestamp),
    Input(Input),
    Switch(bool),
}

fn any_time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![Just(Timestamp::MIN), Just(Timestamp::MAX), any::<i64>().prop_map(Timestamp::from_millis), (0..200_i64).prop_map(at)]
}

fn ingredient() -> impl Strategy<Value = (Ingredient, Timestamp)> {
    let inputs = prop_oneof![4 => Just(Input::WakeUp), 1 => Just(Input::SetAside), 1 => Just(Input::Released)];
    let ingredient = prop_oneof![
        8 => (anything(), any_time()).prop_map(|(what, time)| Ingredient::Event(what, time)),
        4 => inputs.prop_map(Ingredient::Input),
        1 => any::<bool>().prop_map(Ingredient::Switch),
    ];
    (ingredient, any_time())
}

/// Facts that everybody sees, without how many steps it took to get there.
fn facts(story: &Story) -> Snapshot {
    Snapshot { version: 0, ..story.snapshot() }
}

/// A backlog of one episode: all taken in at the same moment, the contact's first message the earliest of them.
fn backlog() -> impl Strategy<Value = Vec<Accepted>> {
    let late = prop::collection::vec((inside(), 1..120_i64), 1..15);
    late.prop_map(|late| {
        let first = Accepted { event: What::Message(MessageSource::Contact).event("e00", 0), accepted_at: at(122) };
        let rest = late.into_iter().enumerate().map(|(i, (what, minute))| {
            let event = what.event(&format!("e{:02}", i + 1), minute);
            Accepted { event, accepted_at: at(117 + i as i64 % 3) }
        });
        std::iter::once(first).chain(rest).collect()
    })
}

/// The same events, the opener still first, the others in another order.
fn shuffled_backlog() -> impl Strategy<Value = (Vec<Accepted>, Vec<Accepted>)> {
    backlog().prop_flat_map(|events| {
        let (first, rest) = (events[..1].to_vec(), events[1..].to_vec());
        Just(rest).prop_shuffle().prop_map(move |rest| (events.clone(), [first.clone(), rest].concat()))
    })
}

fn apply(events: &[Accepted]) -> Story {
    let mut story = events.iter().fold(Story::on(), |story, accepted| story.live(accepted, false));
    story.clock = at(122);
    story
}

/// Whether this is an auto-close over a contact's message that is later than the one that armed it.
fn overruns(notice: &ConversationNotice, taken_in: &[Accepted]) -> bool {
    let Cause::AutoClose { armed_by, .. } = &notice.cause else { return false };
    let armed = taken_in.iter().find(|e| e.event.name == *armed_by).map(Position::of);
    taken_in.iter().filter(|e| e.event.kind.is_contact_message()).any(|reply| Some(Position::of(reply)) > armed)
}

proptest! {
    /// A workspace that wants to be warned hears what it would hear otherwise, and of each deadline at most once before it.
    #[test]
    fn warnings_change_nothing_else(history in history(30), before in 1..80_i64) {
        let quiet = Story::lived(&history).pass(5_000);
        let settings = Settings { warning_before: Some(Span::from_mins(before)), ..Story::on().settings };
        let warned = Story { settings, ..Story::on() }.living(&history).pass(5_000);
        let is_warning = |notice: &&ConversationNotice| notice.kind == NoticeKind::ClosingSoon;
        let (warnings, rest): (Vec<_>, Vec<_>) = warned.all.iter().partition(is_warning);
        let told = |notice: &ConversationNotice| (notice.kind, notice.at, notice.snapshot.scheduled_close_at);
        prop_assert_eq!(rest.into_iter().map(told).collect::<Vec<_>>(), quiet.all.iter().map(told).collect::<Vec<_>>());
        let of: std::collections::BTreeSet<_> = warnings.iter().map(|w| (w.snapshot.episode, w.snapshot.scheduled_close_at)).collect();
        prop_assert_eq!(of.len(), warnings.len(), "one deadline, one warning");
        for warning in warnings {
            let due = warning.snapshot.scheduled_close_at.unwrap();
            prop_assert!(warning.at < due && warning.snapshot.status == super::super::notice::Status::Open, "{warning:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn d5_any_order_of_arrival_gives_the_same_facts((forth, back) in shuffled_backlog()) {
        let (forth, back) = (apply(&forth), apply(&back));
        prop_assert_eq!(facts(&forth), facts(&back));
        prop_assert_eq!(forth.standing(), back.standing());
        prop_assert_eq!(timer_of(&forth.conversation, &forth.settings, at(122)), timer_of(&back.conversation, &back.settings, at(122)));
    }

    #[test]
    fn the_deadline_is_what_a_reader_of_the_rules_works_out(events in backlog()) {
        let story = apply(&events);
        let due = deadline(&story.conversation, &story.settings).ok().map(|d| d.at);
        prop_assert_eq!(due, deadline_by_hand(&events, Span::from_mins(D)));
    }

    #[test]
    fn t23_applied_it_is_as_if_the_period_had_been_so_all_along(events in backlog()) {
        let mut story = apply(&events);
        let running = Some(Apply { at: at(122), rate: 1 });
        let change = SettingsChange { period: Some(Span::from_mins(90)), apply: running, ..Default::default() };
        story.settings = story.settings.changed(change, &SettingsBounds::default()).unwrap();
        let due = deadline(&story.conversation, &story.settings).ok().map(|d| d.at);
        prop_assert_eq!(due, deadline_by_hand(&events, Span::from_mins(90)));
    }

    #[test]
    fn d6_a_repeat_within_32_events_changes_nothing(history in history(60), back in 0..32_usize) {
        let events = accepted(&history);
        let story = Story::lived(&history);
        let (before, clock) = (story.conversation.clone(), story.clock);
        let mut repeat = events[events.len().saturating_sub(back + 1)].0.clone();
        repeat.accepted_at = clock;
        let after = story.live(&repeat, false);
        prop_assert_eq!(after.outcome, Outcome::Duplicate);
        prop_assert!(after.last.is_empty());
        prop_assert_eq!(after.conversation, before);
    }

    #[test]
    fn d6_any_older_repeat_arms_closes_reverses_and_reopens_nothing(history in history(30), wait in 0..20_i64, awake: bool) {
        let mut story = Story::lived(&history);
        let clock = minutes(story.clock) + wait;
        if awake {
            story = story.pass(clock);
        }
        for filler in 0..33 {
            let bot = What::Message(MessageSource::Bot).event(&format!("filler{filler}"), clock);
            story = story.live(&Accepted { event: bot, accepted_at: at(clock) }, false);
        }
        let before = story.standing();
        for (mut repeat, _) in accepted(&history) {
            repeat.accepted_at = at(clock);
            story = story.live(&repeat, false);
            prop_assert_eq!(story.standing(), before, "{:?}", repeat);
        }
    }

    #[test]
    fn d1_d3_histories_close_never_early_and_once(history in history(40)) {
        let story = Story::lived(&history).pass(100_000);
        prop_assert!(story.all.iter().all(invariant::never_closes_early));
        prop_assert!(invariant::one_close_per_episode(&story.all));
        prop_assert!(invariant::opens_and_closes_alternate(&story.all));
        prop_assert!(invariant::notification_ids_differ(&story.all));
    }

    #[test]
    fn d2_a_reply_taken_in_before_the_close_is_never_overrun(history in history(40)) {
        let mut story = Story::on();
        let mut taken_in: Vec<Accepted> = Vec::new();
        for (accepted, awake) in accepted(&history) {
            let told = story.all.len();
            story = story.live(&accepted, awake);
            for notice in &story.all[told..] {
                prop_assert!(!overruns(notice, &taken_in), "{:?} after {:?}", notice, taken_in);
            }
            taken_in.push(accepted);
        }
    }

    #[test]
    fn d4_nothing_due_is_forgotten(history in history(40)) {
        let story = Story::lived(&history);
        let due = deadline(&story.conversation, &story.settings).is_ok();
        prop_assert!(!due || story.wake_at().is_some());
        let story = story.pass(100_000);
        prop_assert!(deadline(&story.conversation, &story.settings).is_err());
        prop_assert_eq!(story.wake_at(), None);
        prop_assert!(!due || story.closed_by() == Some(ClosingSource::AutoClose));
    }

    #[test]
    fn d7_a_close_taken_back_leaves_no_trace(mut events in backlog(), seen in 1..15_usize) {
        let seen = seen.min(events.len());
        let news = What::Message(MessageSource::Contact).event("news", 121);
        events.push(Accepted { event: news, accepted_at: at(301) });
        events[seen..].iter_mut().for_each(|late| late.accepted_at = at(301));
        let never_closed = apply(&events);
        let story = apply(&events[..seen]).wake(300);
        let mut story = events[seen..].iter().fold(story, |story, late| story.live(late, false));
        if story.is_open() && story.episode() == 1 {
            story.clock = never_closed.clock;
            prop_assert_eq!(facts(&story), facts(&never_closed));
            prop_assert_eq!(story.standing(), never_closed.standing());
        }
    }

    #[test]
    fn the_timer_is_told_as_it_stands_after_every_step(history in history(40)) {
        let mut story = Story::on();
        for (accepted, awake) in accepted(&history) {
            story = story.live(&accepted, awake);
            prop_assert!(story.timer_is_told(), "{:?}", accepted);
            prop_assert_eq!(story.conversation.told.snoozed_until, story.snapshot().snoozed_until);
        }
    }

    #[test]
    fn an_unasked_wake_up_changes_nothing(history in history(40), early in 0..30_i64) {
        let story = Story::lived(&history);
        let now = at(minutes(story.clock) + early);
        prop_assume!(story.wake_at().is_none_or(|due| due > now));
        let before = story.conversation.clone();
        let mut story = story;
        story.take(Input::WakeUp, now);
        prop_assert_eq!(story.outcome, Outcome::Unchanged);
        prop_assert_eq!(story.conversation, before);
    }

    #[test]
    fn no_soup_makes_it_panic_or_break_a_law(soup in prop::collection::vec(ingredient(), 1..60)) {
        let mut story = Story::on();
        for (i, (input, now)) in soup.into_iter().enumerate() {
            match input {
                Ingredient::Event(what, time) => {
                    let event = Event { time, ..what.event(&format!("e{i:02}"), 0) };
                    story.take(Input::Event(Accepted { event, accepted_at: now }), now);
                }
                Ingredient::Input(input) => story.take(input, now),
                Ingredient::Switch(enabled) => {
                    let change = SettingsChange { enabled: Some(enabled), ..Default::default() };
                    story.settings = story.settings.changed(change, &SettingsBounds::default()).unwrap();
                    story.take(Input::WakeUp, now);
                }
            }
        }
        prop_assert!(story.all.iter().all(invariant::never_closes_early));
        prop_assert!(invariant::one_close_per_episode(&story.all));
        prop_assert!(invariant::opens_and_closes_alternate(&story.all));
        prop_assert!(invariant::notification_ids_differ(&story.all));
    }
}
