//! Every small history there is, against two readers who decide as they go: one lives through it in order of time, the
//! other is told of one episode in every order of arrival.

use std::collections::BTreeSet;

use super::*;

/// What can happen, without its time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum What {
    Contact,
    Human,
    /// The human message before this one did not arrive.
    Failed,
    ToHuman,
    ToAi,
    SnoozedShort,
    SnoozedLong,
    Unsnoozed,
    Blocked,
    Unblocked,
    Opened,
    Closed,
}
use What::*;

const ALL: [What; 12] = [Contact, Human, Failed, ToHuman, ToAi, SnoozedShort, SnoozedLong, Unsnoozed, Blocked, Unblocked, Opened, Closed];
const SHORT: i64 = 20;
const LONG: i64 = 100;

impl What {
    fn event(self, index: usize, minute: i64, human_before: Option<usize>) -> Event {
        let kind = match self {
            Contact => EventKind::Message { source: MessageSource::Contact, agent: None, message_id: None, text: None },
            Human => EventKind::Message { source: MessageSource::User, agent: None, message_id: None, text: None },
            Failed => EventKind::MessageFailed { message_id: human_before.map_or("none".into(), |i| format!("e{i}").into()) },
            ToHuman => EventKind::Assigned(Assignee { kind: AssigneeKind::Human, id: "ana".into(), name: None }),
            ToAi => EventKind::Assigned(Assignee { kind: AssigneeKind::AiAgent, id: "bot".into(), name: None }),
            SnoozedShort => EventKind::Snoozed { until: at(minute + SHORT) },
            SnoozedLong => EventKind::Snoozed { until: at(minute + LONG) },
            Unsnoozed => EventKind::Unsnoozed,
            Blocked => EventKind::Blocked,
            Unblocked => EventKind::Unblocked,
            Opened => EventKind::Opened { source: OpeningSource::Api, by: None },
            Closed => EventKind::Closed { source: ClosingSource::User, by: None, note: None },
        };
        event(&format!("e{index}"), minute, kind)
    }
}

/// Every sequence of `length` out of `choices`.
fn sequences<T: Copy>(choices: &[T], length: usize) -> Vec<Vec<T>> {
    (0..length).fold(vec![Vec::new()], |all, _| {
        all.iter().flat_map(|before| choices.iter().map(|next| [before.as_slice(), &[*next]].concat())).collect()
    })
}

/// Lives through events in order of time, and remembers only what it decided.
#[derive(Default)]
struct Reader {
    open: bool,
    episode: u32,
    blocked: bool,
    unblocked_at: Option<i64>,
    snoozed_until: Option<i64>,
    snooze_ended: Option<i64>,
    /// Human messages the contact has not answered: event, minute, failed.
    waiting: Vec<(usize, i64, bool)>,
    assigned: Option<(i64, AssigneeKind)>,
    closes: Vec<(i64, u32, ClosingSource)>,
}

impl Reader {
    fn deadline(&self) -> Option<i64> {
        let (_, message, _) = *self.waiting.iter().rev().find(|(_, _, failed)| !failed).filter(|_| self.open && !self.blocked)?;
        let grace = match self.assigned.filter(|(at, _)| *at > message) {
            Some((_, AssigneeKind::AiAgent)) => return None,
            Some((at, AssigneeKind::Human)) => Some(at + 30),
            None => None,
        };
        let quiet = [Some(message), self.snoozed_until, self.snooze_ended, self.unblocked_at].into_iter().flatten().max()?;
        grace.max(Some(quiet + D))
    }

    fn close(&mut self, minute: i64, source: ClosingSource) {
        self.closes.push((minute, self.episode, source));
        self.open = false;
        (self.snoozed_until, self.snooze_ended) = (None, None);
        self.waiting.clear();
    }

    fn pass(&mut self, minute: i64) {
        if let Some(due) = self.deadline().filter(|due| *due < minute) {
            self.close(due, ClosingSource::AutoClose);
        }
        if let Some(end) = self.snoozed_until.take_if(|end| *end <= minute) {
            self.snooze_ended = Some(end);
        }
    }

    fn opens(&mut self) {
        if !self.open && !self.blocked {
            self.open = true;
            self.episode += 1;
        }
    }

    fn read(&mut self, index: usize, what: What, minute: i64, human_before: Option<usize>) {
        self.pass(minute);
        if matches!(what, Contact | Human | Opened) {
            self.opens();
        }
        match what {
            Contact if self.open => {
                self.waiting.clear();
                (self.snoozed_until, self.snooze_ended) = (None, None);
            }
            Human if self.open => self.waiting.push((index, minute, false)),
            Failed => self.waiting.iter_mut().filter(|(of, ..)| Some(*of) == human_before).for_each(|message| message.2 = true),
            ToHuman => self.assigned = Some((minute, AssigneeKind::Human)),
            ToAi => self.assigned = Some((minute, AssigneeKind::AiAgent)),
            SnoozedShort if self.open => self.snoozed_until = Some(minute + SHORT),
            SnoozedLong if self.open => self.snoozed_until = Some(minute + LONG),
            Unsnoozed if self.open && self.snoozed_until.is_some() => (self.snoozed_until, self.snooze_ended) = (None, Some(minute)),
            Blocked => self.blocked = true,
            Unblocked if self.blocked => (self.blocked, self.unblocked_at) = (false, Some(minute)),
            Closed if self.open && !self.blocked => self.close(minute, ClosingSource::User),
            Contact | Human | SnoozedShort | SnoozedLong | Unsnoozed | Unblocked | Opened | Closed => {}
        }
    }
}

/// The same history, lived by the conversation and by the reader.
fn compare(history: &[(What, i64)]) {
    let (mut story, mut reader, mut human) = (Story::on(), Reader::default(), None);
    for (index, (what, minute)) in history.iter().enumerate() {
        story = story.event(what.event(index, *minute, human));
        reader.read(index, *what, *minute, human);
        assert_eq!((story.is_open(), story.episode(), story.closes_at()), (reader.open, reader.episode, reader.deadline()), "{history:?}");
        human = if *what == Human { Some(index) } else { human };
    }
    let story = story.pass(100_000);
    reader.pass(100_000);
    let told = |told: &ConversationNotice| Some((minutes(told.snapshot.closed_at?), told.snapshot.episode, told.snapshot.closed_source?));
    let closes: Vec<_> = story.all.iter().filter(|told| told.kind == NoticeKind::Closed).filter_map(told).collect();
    assert_eq!(closes, reader.closes, "{history:?}");
    assert_eq!((story.is_open(), story.wake_at()), (reader.open, None), "{history:?}");
}

#[test]
fn every_small_history_in_order_of_time_is_what_a_reader_decides() {
    let (length, gaps): (usize, &[i64]) = if std::env::var_os("ADJOURN_LONG").is_some() { (5, &[1, 65]) } else { (4, &[1, 65]) };
    let gaps = sequences(gaps, length - 1);
    for whats in sequences(&ALL, length) {
        for gaps in &gaps {
            let minutes = std::iter::once(0).chain(gaps.iter().scan(0, |minute, gap| {
                *minute += gap;
                Some(*minute)
            }));
            compare(&whats.iter().copied().zip(minutes).collect::<Vec<_>>());
        }
    }
}

/// What does not close, in every order of arrival; all taken in at minute 5, ties of time included.
#[test]
fn d5_every_small_episode_is_the_same_in_every_order_of_arrival() {
    let length = if std::env::var_os("ADJOURN_LONG").is_some() { 5 } else { 4 };
    let whats = [Contact, Human, Failed, ToHuman, ToAi, SnoozedShort, Unsnoozed, Opened];
    let mut sets = BTreeSet::new();
    for whats in sequences(&whats, length) {
        for minutes in sequences(&[1_i64, 2], length) {
            let mut set: Vec<(What, i64)> = whats.iter().copied().zip(minutes).collect();
            set.sort_unstable();
            sets.insert(set);
        }
    }
    for set in sets {
        let human = set.iter().position(|(what, _)| *what == Human);
        let events: Vec<Event> = set.iter().enumerate().map(|(i, (what, minute))| what.event(i, *minute, human)).collect();
        let mut first = None;
        for order in orders(length) {
            let opens = matches!(set[order[0]].0, Contact | Human | Opened);
            if !opens {
                continue;
            }
            let story = order.iter().fold(Story::on(), |mut story, i| {
                story.take(Input::Event(Accepted { event: events[*i].clone(), accepted_at: at(5) }), at(5));
                story
            });
            let snapshot = Snapshot { opened_at: None, opened_source: None, ..story.snapshot() };
            let seen = (snapshot, story.closes_at(), timer_of(&story.conversation, &story.settings, at(5)));
            let first = first.get_or_insert_with(|| (seen.clone(), order.clone()));
            assert_eq!(first.0, seen, "{set:?} as {:?} and as {order:?}", first.1);
        }
    }
}

/// Every order of `length` things.
fn orders(length: usize) -> Vec<Vec<usize>> {
    let places: Vec<usize> = (0..length).collect();
    sequences(&places, length).into_iter().filter(|order| order.iter().collect::<BTreeSet<_>>().len() == length).collect()
}
