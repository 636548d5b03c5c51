//! Past events in virtual time: `now` is the time of the event, or of the wake-up before it.

use crate::domain::event::{ClosingSource, EventKind, MessageSource};
use crate::domain::notice::{Cause, ConversationNotice, NoticeKind};
use crate::domain::{Accepted, Conversation, ConversationKey, Input, Notice, Outcome, Settings, Span, Timestamp, step, wake_at};

use super::History;

/// One conversation closed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Close {
    pub key: ConversationKey,
    pub episode: u32,
    /// The deadline of an auto-close, the event's time of any other.
    pub at: Timestamp,
    pub source: ClosingSource,
}

/// What became of a trace.
pub struct Replay {
    settings: Settings,
    /// Ordered by (`at`, workspace, conversation, episode).
    pub closes: Vec<Close>,
    /// Opened at least once.
    pub conversations: u64,
    pub episodes: u64,
    /// Messages by source, repeats left out, in the order of [`MessageSource::ALL`].
    pub messages: Vec<(MessageSource, u64)>,
}

impl Replay {
    /// Auto-close is on with `period` for the whole trace; the bounds on a workspace's period do not apply.
    pub fn new(period: Span) -> Self {
        let settings = Settings { version: 1, enable_epoch: 1, enabled: true, period, ..Settings::default() };
        let messages = MessageSource::ALL.iter().map(|source| (*source, 0)).collect();
        Self { settings, closes: Vec::new(), conversations: 0, episodes: 0, messages }
    }

    pub fn run(mut self, conversations: &[(ConversationKey, History)]) -> Self {
        for (key, history) in conversations {
            let episodes = self.conversation(key, history);
            self.episodes += u64::from(episodes);
            self.conversations += u64::from(episodes > 0);
        }
        self.closes.sort_by(|a, b| {
            let place = |c: &Close| (c.at, c.episode);
            let names = a.key.workspace().cmp(b.key.workspace()).then_with(|| a.key.conversation().cmp(b.key.conversation()));
            place(a).0.cmp(&place(b).0).then(names).then(place(a).1.cmp(&place(b).1))
        });
        self
    }

    /// Takes one conversation from its first event until its timer has run out; answers with its episodes.
    fn conversation(&mut self, key: &ConversationKey, history: &[Accepted]) -> u32 {
        let Some(first) = history.first() else { return 0 };
        let mut state = Conversation::new(first.accepted_at);
        let mut now = first.accepted_at;
        for accepted in history {
            state = self.wake_until(key, state, &mut now, Some(accepted.accepted_at));
            now = accepted.accepted_at;
            let taken = step(key, state, &Input::Event(accepted.clone()), &self.settings, now);
            if taken.outcome != Outcome::Duplicate {
                self.count(&accepted.event.kind);
            }
            self.record(&taken.effects.notices);
            state = taken.after;
        }
        self.wake_until(key, state, &mut now, None).episode
    }

    /// Fires every wake-up before `end`: an event stamped exactly at a deadline comes before the close. A deadline that
    /// lies in the past already (T19) is looked at now.
    fn wake_until(&mut self, key: &ConversationKey, mut state: Conversation, now: &mut Timestamp, end: Option<Timestamp>) -> Conversation {
        while let Some(at) = wake_at(&state, &self.settings).map(|at| at.max(*now)).filter(|at| end.is_none_or(|end| *at < end)) {
            *now = at;
            let woken = step(key, state, &Input::WakeUp, &self.settings, at);
            self.record(&woken.effects.notices);
            state = woken.after;
            if woken.outcome == Outcome::Unchanged {
                break; // would ask for the same wake-up for ever
            }
        }
        state
    }

    fn record(&mut self, notices: &[Notice]) {
        for notice in notices {
            if let Notice::Conversation(notice) = notice
                && notice.kind == NoticeKind::Closed
                && let Some(close) = Close::told_by(notice)
            {
                self.closes.push(close);
            }
        }
    }

    fn count(&mut self, kind: &EventKind) {
        if let EventKind::Message { source, .. } = kind
            && let Some((_, count)) = self.messages.iter_mut().find(|(counted, _)| counted == source)
        {
            *count += 1;
        }
    }
}

impl Close {
    fn told_by(notice: &ConversationNotice) -> Option<Self> {
        let snapshot = &notice.snapshot;
        let at = match notice.cause {
            Cause::AutoClose { deadline, .. } => deadline,
            Cause::Event { .. } | Cause::DeadlineNear { .. } | Cause::Writer { .. } | Cause::SnoozeElapsed | Cause::Settings { .. } => {
                snapshot.closed_at?
            }
        };
        Some(Self { key: notice.key.clone(), episode: snapshot.episode, at, source: snapshot.closed_source? })
    }
}
