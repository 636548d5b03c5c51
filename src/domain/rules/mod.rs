//! RULES.md, a test for each line: named after its rule, with what holds and what must not.
//!
//! A [`Story`] is one conversation lived through. Times are whole minutes; the period is an hour.

mod acting;
mod disorder;
mod holds;
mod lifecycle;
mod notes;
mod notices;
mod oracle;
mod properties;
mod running;
mod small;
mod timer;
mod warning;

use std::collections::BTreeMap;

use super::categories::{Category, CategoryChange};
use super::conversation::Conversation;
use super::deadline::{deadline, timer as timer_of, wake_at};
use super::event::*;
use super::kept::TextChange;
use super::listing::Standing;
use super::notice::{Cause, ConversationNotice, Notice, NoticeKind, Snapshot, Status};
use super::refusal::Refusal;
use super::report::Count;
use super::settings::{NotesMode, Settings, SettingsBounds, SettingsChange};
use super::step::{Input, Outcome, step};
use super::testing;
use super::time::{Span, Timestamp};
use super::{invariant, testing::key};

/// An hour, in minutes.
const D: i64 = 60;

const fn at(minutes: i64) -> Timestamp {
    Timestamp::from_millis(minutes * 60_000)
}

fn minutes(at: Timestamp) -> i64 {
    assert_eq!(at.as_millis() % 60_000, 0, "{at:?}");
    at.as_millis() / 60_000
}

struct Story {
    settings: Settings,
    conversation: Conversation,
    clock: Timestamp,
    outcome: Outcome,
    /// Of the latest step, or of every wake-up in the latest [`pass`](Self::pass).
    last: Vec<ConversationNotice>,
    all: Vec<ConversationNotice>,
    /// What reports have counted so far.
    counts: Vec<Count>,
    /// What is kept of what was written, by slot.
    texts: BTreeMap<u8, Box<str>>,
    /// Episodes whose notes were asked for, in order.
    wanted: Vec<u32>,
}

impl Story {
    fn off() -> Self {
        let settings = Settings { period: Span::from_mins(D), ..Settings::default() };
        Self {
            settings,
            conversation: Conversation::new(at(0)),
            clock: Timestamp::MIN,
            outcome: Outcome::Unchanged,
            last: Vec::new(),
            all: Vec::new(),
            counts: Vec::new(),
            texts: BTreeMap::new(),
            wanted: Vec::new(),
        }
    }

    fn on() -> Self {
        let mut story = Self::off();
        story.settings = Settings { enabled: true, enable_epoch: 1, ..story.settings };
        story
    }

    /// An event taken in the moment it happened.
    fn event(self, event: Event) -> Self {
        let accepted_at = event.time;
        self.accepted(event, accepted_at)
    }

    /// An event taken in at minute `accepted_at`.
    fn late(self, event: Event, accepted_at: i64) -> Self {
        self.accepted(event, at(accepted_at))
    }

    /// What is due before `accepted_at` happens first; what is due exactly then, after the event.
    fn accepted(mut self, event: Event, accepted_at: Timestamp) -> Self {
        self = self.pass_until(accepted_at);
        self.take(Input::Event(Accepted { event, accepted_at }), accepted_at);
        self
    }

    /// Somebody asks for it at minute `now`, meant for this version if for one.
    fn asked(mut self, command: Event, expected: Option<u64>) -> Self {
        let accepted_at = command.time;
        self = self.pass_until(accepted_at);
        self.take(Input::Command { accepted: Accepted { event: command, accepted_at }, expected }, accepted_at);
        self
    }

    /// Time goes on: every wake-up before minute `to` comes exactly when asked for.
    fn pass(self, to: i64) -> Self {
        self.pass_until(at(to))
    }

    fn pass_until(mut self, to: Timestamp) -> Self {
        let mut told = Vec::new();
        while let Some(due) = self.wake_at().filter(|due| *due < to) {
            let now = due.max(self.clock);
            self.take(Input::WakeUp, now);
            assert_ne!(self.outcome, Outcome::Unchanged, "a wake-up that was asked for has something to do, or it would be asked for ever");
            told.append(&mut self.last);
        }
        self.clock = self.clock.max(to);
        self.last = told;
        self
    }

    /// One wake-up at minute `now`, asked for or not.
    fn wake(mut self, now: i64) -> Self {
        self.take(Input::WakeUp, at(now));
        self
    }

    fn set_aside(mut self) -> Self {
        self.take(Input::SetAside, self.clock);
        self
    }

    fn release(mut self) -> Self {
        self.take(Input::Released, self.clock);
        self
    }

    /// The workspace changes its mind at minute `now`; its partitions look at every conversation then (T22).
    fn change(mut self, now: i64, change: SettingsChange) -> Self {
        self = self.pass(now);
        self.settings = self.settings.changed(change, &SettingsBounds::default()).unwrap();
        self.wake(now)
    }

    fn switch(self, now: i64, enabled: bool) -> Self {
        self.change(now, SettingsChange { enabled: Some(enabled), ..Default::default() })
    }

    fn take(&mut self, input: Input, now: Timestamp) {
        let step = step(&key(), self.conversation.clone(), &input, &self.settings, now);
        let told = |notice| match notice {
            Notice::Conversation(notice) => *notice,
            Notice::Settings { .. } => unreachable!("a conversation tells nothing of settings"),
        };
        self.last = step.effects.notices.into_iter().map(told).collect();
        self.all.extend(self.last.iter().cloned());
        self.counts.extend(step.effects.counts);
        for TextChange { slot, said } in step.effects.texts {
            match said {
                Some(said) => self.texts.insert(slot, said.text),
                None => self.texts.remove(&slot),
            };
        }
        self.wanted.extend(step.effects.write_note);
        self.conversation = step.after;
        self.outcome = step.outcome;
        self.clock = self.clock.max(now);
        self.is_listed_as_shown();
    }

    /// L1: who looks for it finds it where it is shown to be, but for a snooze whose end is yet to be told.
    fn is_listed_as_shown(&self) {
        let shown = self.snapshot();
        let standing = Standing::of(&self.conversation);
        let has_run_out = |standing: &Standing| standing.status == Status::Snoozed && self.wake_at().is_some_and(|at| at <= self.clock);
        assert_eq!(standing.is_some(), shown.episode > 0);
        if let Some(standing) = standing.filter(|standing| !has_run_out(standing)) {
            assert_eq!((standing.status, standing.assignee), (shown.status, shown.assignee.map(|assignee| assignee.id)));
        }
    }

    fn wake_at(&self) -> Option<Timestamp> {
        wake_at(&self.conversation, &self.settings)
    }

    fn closes_at(&self) -> Option<i64> {
        deadline(&self.conversation, &self.settings).ok().map(|d| minutes(d.at))
    }

    fn is_open(&self) -> bool {
        self.conversation.is_open()
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot::of(&self.conversation, &self.settings, self.clock)
    }

    fn closed_by(&self) -> Option<ClosingSource> {
        self.snapshot().closed_source
    }

    fn episode(&self) -> u32 {
        self.conversation.episode
    }

    /// What the latest step told.
    fn told(&self) -> Vec<NoticeKind> {
        self.last.iter().map(|notice| notice.kind).collect()
    }

    fn count(&self, kind: NoticeKind) -> usize {
        self.all.iter().filter(|notice| notice.kind == kind).count()
    }
}

// Events by the minute, each named after what it is and when, so that the same call is the same event.

fn event(id: &str, minute: i64, kind: EventKind) -> Event {
    testing::event(id, minute * 60_000, kind)
}

fn message(minute: i64, source: MessageSource) -> Event {
    event(&format!("{}@{minute}", source.as_str()), minute, EventKind::Message { source, agent: None, message_id: None, text: None })
}

fn human(minute: i64) -> Event {
    message(minute, MessageSource::User)
}

fn contact(minute: i64) -> Event {
    message(minute, MessageSource::Contact)
}

fn failed(minute: i64, of: &Event) -> Event {
    let id = format!("failed-{}@{minute}", of.name.id());
    event(&id, minute, EventKind::MessageFailed { message_id: of.name.id().into() })
}

fn assigned(minute: i64, kind: AssigneeKind) -> Event {
    let assignee = Assignee { kind, id: kind.as_str().into(), name: None };
    event(&format!("assigned-{}@{minute}", kind.as_str()), minute, EventKind::Assigned(assignee))
}

fn to_human(minute: i64) -> Event {
    assigned(minute, AssigneeKind::Human)
}

fn to_ai(minute: i64) -> Event {
    assigned(minute, AssigneeKind::AiAgent)
}

fn unassigned(minute: i64) -> Event {
    event(&format!("unassigned@{minute}"), minute, EventKind::Unassigned)
}

fn snoozed(minute: i64, until: i64) -> Event {
    event(&format!("snoozed@{minute}-{until}"), minute, EventKind::Snoozed { until: at(until) })
}

fn unsnoozed(minute: i64) -> Event {
    event(&format!("unsnoozed@{minute}"), minute, EventKind::Unsnoozed)
}

fn blocked(minute: i64) -> Event {
    event(&format!("blocked@{minute}"), minute, EventKind::Blocked)
}

fn unblocked(minute: i64) -> Event {
    event(&format!("unblocked@{minute}"), minute, EventKind::Unblocked)
}

fn closed(minute: i64) -> Event {
    closed_by(minute, ClosingSource::User)
}

fn closed_by(minute: i64, source: ClosingSource) -> Event {
    event(&format!("closed-{}@{minute}", source.as_str()), minute, EventKind::Closed { source, by: Some("ana".into()), note: None })
}

fn opened(minute: i64) -> Event {
    opened_by(minute, OpeningSource::User)
}

fn opened_by(minute: i64, source: OpeningSource) -> Event {
    event(&format!("opened-{}@{minute}", source.as_str()), minute, EventKind::Opened { source, by: None })
}
