//! Everything a conversation does. Pure: no clock, no store, no surprise.
//!
//! An event changes facts; what follows from the facts is settled, and each change is told once. Events never close a
//! conversation by timer: only a wake-up does, and the shard lets it happen only when both clocks are past the deadline
//! and everything accepted up to it has been applied (D1, D2).

use super::conversation::{AutoClosing, Conversation};
use super::deadline::{deadline, has_moved, warn_at};
use super::event::Accepted;
use super::id::ConversationKey;
use super::kept::{NOTES_OFF, TextChange};
use super::notice::{Cause, Notice, NoticeKind};
use super::order::Position;
use super::refusal::{Refusal, refusal, was_done};
use super::report::Count;
use super::settings::Settings;
use super::time::Timestamp;
use super::turn::Turn;

/// What happens to a conversation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// `now` of the step is its `accepted_at`, so that a replay of the log decides alike; for a dead letter that is taken
    /// up again it is when that was asked for, or what is long over would be told as if it held.
    Event(Accepted),
    /// What somebody asks for, meant for this version if for one. Its `time` is its `accepted_at`.
    Command { accepted: Accepted, expected: Option<u64> },
    /// Time to look. Has no authority: an early or doubled wake-up changes nothing.
    WakeUp,
    /// An event of this conversation went to the dead letters: its timer is suspended.
    SetAside,
    /// One of them was replayed or dismissed.
    Released,
    /// Nobody will write a note from the texts that are kept.
    Forget,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    pub after: Conversation,
    pub effects: Effects,
    pub outcome: Outcome,
}

/// What others are to know of a step: subscribers, reports, and whoever writes notes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Effects {
    pub notices: Vec<Notice>,
    /// What reports count by it.
    pub counts: Vec<Count>,
    /// What is kept of what was written, or is not any more.
    pub texts: Vec<TextChange>,
    /// The note of this episode is to be written now (L12).
    pub write_note: Option<u32>,
}

impl Effects {
    /// And then those of the next step.
    pub fn and(&mut self, next: Self) {
        self.notices.extend(next.notices);
        self.counts.extend(next.counts);
        self.texts.extend(next.texts);
        self.write_note = next.write_note.or(self.write_note);
    }
}

impl Step {
    /// One that nobody needs to hear of.
    fn quiet(after: Conversation, outcome: Outcome) -> Self {
        Self { after, effects: Effects::default(), outcome }
    }
}

/// What a step came to. What a store keeps of it for whoever waits is [`Mark`](crate::store::Mark).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The state changed, be it only a counter.
    Changed,
    /// This event was applied before (D6).
    Duplicate,
    /// Nothing to do.
    Unchanged,
    /// A command that nothing came of.
    Refused(Refusal),
}

/// Takes one step. Same input, same answer.
pub fn step(key: &ConversationKey, before: Conversation, input: &Input, settings: &Settings, now: Timestamp) -> Step {
    match input {
        Input::Event(accepted) => event(key, before, accepted, settings, now),
        Input::Command { accepted, expected } => command(key, before, accepted, *expected, settings, now),
        Input::WakeUp => wake_up(key, before, settings, now),
        Input::SetAside => letters(before, |count| count.saturating_add(1)),
        Input::Released => letters(before, |count| count.saturating_sub(1)),
        Input::Forget => forget(key, before, settings, now),
    }
}

fn event(key: &ConversationKey, before: Conversation, accepted: &Accepted, settings: &Settings, now: Timestamp) -> Step {
    let Accepted { event, accepted_at } = accepted;
    let name = event.name.fingerprint();
    if before.seen.contains(name) {
        return Step::quiet(before, Outcome::Duplicate);
    }
    let cause = Cause::of(event);
    let mut turn = Turn::new(key, before, settings, now, cause);
    turn.after.seen.remember(name, event.time, *accepted_at);
    turn.after.touched_at = turn.after.touched_at.max(now);
    turn.after.version += 1;
    turn.take_in(accepted);
    turn.settle();
    turn.finish(Outcome::Changed)
}

/// An event if nothing stands against it, and if it comes to what it asked for; else nothing has happened.
fn command(
    key: &ConversationKey,
    before: Conversation,
    accepted: &Accepted,
    expected: Option<u64>,
    settings: &Settings,
    now: Timestamp,
) -> Step {
    if before.seen.contains(accepted.event.name.fingerprint()) {
        return Step::quiet(before, Outcome::Duplicate);
    }
    let refused = |before, refusal| Step::quiet(before, Outcome::Refused(refusal));
    if let Some(refusal) = refusal(&before, &accepted.event.kind, expected, settings, now) {
        return refused(before, refusal);
    }
    let step = event(key, before.clone(), accepted, settings, now);
    if was_done(&step.after, &accepted.event, &Position::of(accepted), now) { step } else { refused(before, Refusal::Overtaken) }
}

fn wake_up(key: &ConversationKey, before: Conversation, settings: &Settings, now: Timestamp) -> Step {
    let wakes = Wakes::of(&before, settings, now);
    let told = before.told;
    let mut turn = Turn::new(key, before, settings, now, wakes.cause(settings, now));
    turn.after.version += 1;
    match wakes {
        Wakes::Due(auto) => {
            turn.auto_close(auto);
            turn.settle();
        }
        Wakes::Near(near) => {
            turn.after.told.warned = Some(near.deadline);
            turn.tell(NoticeKind::ClosingSoon);
        }
        Wakes::NoteLate => turn.ask_again(),
        Wakes::SnoozeOver | Wakes::Moved | Wakes::Told => {}
    }
    let mut step = turn.finish(Outcome::Changed);
    if step.effects.notices.is_empty() && step.after.told == told && step.effects.write_note.is_none() {
        step.after.version -= 1;
        step.outcome = Outcome::Unchanged;
    }
    step
}

/// What a wake-up finds. The first that holds; what else does, the next one finds.
enum Wakes {
    /// T6: the deadline has passed.
    Due(AutoClosing),
    SnoozeOver,
    /// T23: told before anything else, so that nobody hears of a close that was not announced.
    Moved,
    /// The deadline is so near that it is to be told.
    Near(AutoClosing),
    /// A note was asked for and has not come.
    NoteLate,
    /// At most that subscribers were told something that settings have changed since.
    Told,
}

impl Wakes {
    fn of(before: &Conversation, settings: &Settings, now: Timestamp) -> Self {
        let due = deadline(before, settings).ok().filter(|_| before.set_aside == 0);
        let auto = due.map(|due| AutoClosing {
            deadline: due.at,
            period: due.period,
            armed_by: due.armed_by.position.name.clone(),
            armed_at: due.armed_by.position.time,
        });
        let is_near = due.and_then(|due| warn_at(before, &due, settings)).is_some_and(|at| at <= now);
        let is_snooze_over = before.told.snoozed_until.is_some_and(|until| until <= now);
        match auto {
            _ if !is_snooze_over && has_moved(before, settings) => Self::Moved,
            Some(auto) if auto.deadline <= now => Self::Due(auto),
            _ if is_snooze_over => Self::SnoozeOver,
            Some(auto) if is_near => Self::Near(auto),
            _ if before.pending_note.as_ref().is_some_and(|pending| pending.next_at <= now) => Self::NoteLate,
            Some(_) | None => Self::Told,
        }
    }

    fn cause(&self, settings: &Settings, now: Timestamp) -> Cause {
        match self {
            Self::Due(AutoClosing { deadline, period, armed_by, armed_at }) => Cause::AutoClose {
                deadline: *deadline,
                late: now.since(*deadline),
                period: *period,
                armed_by: armed_by.clone(),
                armed_at: *armed_at,
                farewell: settings.farewell.clone(),
            },
            Self::SnoozeOver => Cause::SnoozeElapsed,
            Self::Near(AutoClosing { deadline, period, armed_by, armed_at }) => {
                Cause::DeadlineNear { deadline: *deadline, period: *period, armed_by: armed_by.clone(), armed_at: *armed_at }
            }
            Self::Moved => Cause::Settings { version: settings.running.map_or(settings.version, |running| running.version) },
            Self::Told | Self::NoteLate => Cause::Settings { version: settings.version },
        }
    }
}

/// Where a note may still be written from them, they stay.
fn forget(key: &ConversationKey, conversation: Conversation, settings: &Settings, now: Timestamp) -> Step {
    let wanted = settings.keeps_texts() && (conversation.pending_note.is_some() || conversation.is_open());
    if wanted || conversation.texts.to == 0 {
        return Step::quiet(conversation, Outcome::Unchanged);
    }
    let mut turn = Turn::new(key, conversation, settings, now, Cause::Settings { version: settings.version });
    if turn.after.pending_note.is_some() {
        turn.after.version += 1;
        turn.unwritten(NOTES_OFF, "");
    }
    turn.forget_texts();
    turn.done(Outcome::Changed)
}

/// Counts its events in the dead letters: while there are any, nothing closes it by timer.
fn letters(mut conversation: Conversation, count: impl Fn(u32) -> u32) -> Step {
    conversation.set_aside = count(conversation.set_aside);
    Step::quiet(conversation, Outcome::Changed)
}
