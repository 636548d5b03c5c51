//! Judges a history: every accepted event is in the final state, every close was due and legal at its place in the log,
//! none is missing, none double, none early, and whoever listened missed nothing.
//!
//! A close's place among the events of its conversation is read from the message counts it was told with: everything
//! counted was applied before it. That this is a place where a close may stand is recomputed from the log alone.

use std::collections::{BTreeMap, BTreeSet};

use super::history::{Close, Entry, History, Logged, Message, Ms, Name, Policy, Speaker, State, Told, Word};
use super::model::{Expected, Model};

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Violation {
    /// Acknowledged, and not in the log.
    Lost(Name),
    /// In the log otherwise than it was sent.
    Changed {
        sent: Message,
        logged: Message,
    },
    /// In the log, and nobody sent it.
    Phantom(Name),
    /// A conversation in two partitions.
    Misplaced {
        conversation: String,
    },
    /// Accepted before what is before it in its partition.
    WentBack {
        partition: u16,
        accepted_at: Ms,
    },
    SetAside {
        letters: usize,
    },
    Unapplied {
        entries: u64,
    },
    /// No place in the log fits what the notification counts.
    NoPlace {
        conversation: String,
        at: Ms,
    },
    /// Closed while closed.
    Double {
        conversation: String,
        at: Ms,
    },
    /// Closed though the contact spoke last, or auto-close was off.
    NoTimer {
        conversation: String,
        at: Ms,
    },
    Early {
        conversation: String,
        at: Ms,
        deadline: Ms,
    },
    /// A subscriber heard of the close before its deadline.
    HeardEarly {
        conversation: String,
        heard: Ms,
        deadline: Ms,
    },
    WrongDeadline {
        conversation: String,
        recorded: Ms,
        recomputed: Ms,
    },
    WrongStory {
        conversation: String,
        at: Ms,
    },
    /// Accepted at or before the deadline, it would have kept the conversation open (D2, T4).
    Over {
        conversation: String,
        at: Ms,
        message: Message,
    },
    /// Due, and never closed.
    Missing {
        conversation: String,
        deadline: Ms,
    },
    ToldOtherwise {
        conversation: String,
        nth: usize,
        expected: Option<Expected>,
        told: Option<Expected>,
    },
    EndsOtherwise {
        conversation: String,
        expected: Option<State>,
        stored: Option<State>,
    },
    SameId(String),
    NotHeard(String),
    /// Heard, and not in the store.
    HeardOnly(String),
}

/// What there was to judge: a run in which nothing happens is right, and worth nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub events: usize,
    pub repeats: usize,
    pub conversations: usize,
    pub closes: usize,
    pub reversals: usize,
    pub reopenings: usize,
    /// Of messages, behind one of their conversation that is later.
    pub out_of_order: usize,
    pub latest_close_ms: Ms,
}

/// Everything that is wrong; timers with a deadline before `as_of` must have closed.
pub fn check(history: &History, as_of: Ms) -> (Vec<Violation>, Tally) {
    assert_eq!(history.commands, 0, "only what was said in messages can be judged");
    let mut check = Check { history, as_of, violations: Vec::new(), tally: Tally::default() };
    check.log();
    check.conversations();
    check.notifications();
    (check.violations, check.tally)
}

struct Check<'a> {
    history: &'a History,
    as_of: Ms,
    violations: Vec<Violation>,
    tally: Tally,
}

/// A message at its place in its partition's log.
#[derive(Clone, Copy)]
struct Placed<'a> {
    nth: usize,
    accepted_at: Ms,
    logged: &'a Logged,
    message: &'a Message,
}

impl Placed<'_> {
    /// Put there once more, and not before `at`: until then the store had lost it.
    fn was_lost_until(&self, at: Ms) -> bool {
        matches!(self.logged.entry, Entry::Again { .. }) && self.logged.accepted_at > at
    }
}

/// One conversation's way through its partition's log.
struct Walk<'a> {
    conversation: &'a str,
    messages: Vec<Placed<'a>>,
    next: usize,
    policies: &'a [(usize, Ms, Policy)],
    model: Model,
}

impl Check<'_> {
    fn report(&mut self, violation: Violation) {
        self.violations.push(violation);
    }

    /// What was acknowledged is there, as it was sent, and nothing else is.
    fn log(&mut self) {
        let History { sent, acknowledged, log, dead_letters, poison, unapplied, .. } = self.history;
        let by_name: BTreeMap<&Name, &Message> = sent.iter().map(|message| (&message.name, message)).collect();
        let mut logged = BTreeSet::new();
        let mut clocks: BTreeMap<u16, Ms> = BTreeMap::new();
        for entry in log {
            let clock = clocks.entry(entry.partition).or_insert(entry.accepted_at);
            if entry.accepted_at < *clock {
                self.report(Violation::WentBack { partition: entry.partition, accepted_at: entry.accepted_at });
            }
            *clock = entry.accepted_at;
            let Some((message, _)) = entry.message() else { continue };
            self.tally.events += 1;
            self.tally.repeats += usize::from(!logged.insert(&message.name));
            match by_name.get(&message.name) {
                None => self.report(Violation::Phantom(message.name.clone())),
                Some(sent) if *sent != message => {
                    self.report(Violation::Changed { sent: (*sent).clone(), logged: message.clone() });
                }
                Some(_) => {}
            }
        }
        for lost in acknowledged.iter().filter(|name| !logged.contains(name)) {
            self.report(Violation::Lost(lost.clone()));
        }
        if dead_letters != poison {
            self.report(Violation::SetAside { letters: *dead_letters });
        }
        if *unapplied > 0 {
            self.report(Violation::Unapplied { entries: *unapplied });
        }
    }

    fn conversations(&mut self) {
        let mut policies: BTreeMap<u16, Vec<(usize, Ms, Policy)>> = BTreeMap::new();
        let mut messages: BTreeMap<&str, Vec<Placed>> = BTreeMap::new();
        let mut homes: BTreeMap<&str, BTreeSet<u16>> = BTreeMap::new();
        for (nth, logged) in self.history.log.iter().enumerate() {
            if let Entry::Policy(policy) = &logged.entry {
                policies.entry(logged.partition).or_default().push((nth, logged.accepted_at, *policy));
            }
            if let Some((message, accepted_at)) = logged.message() {
                homes.entry(&message.conversation).or_default().insert(logged.partition);
                messages.entry(&message.conversation).or_default().push(Placed { nth, accepted_at, logged, message });
            }
        }
        let mut told: BTreeMap<&str, Vec<&Told>> = BTreeMap::new();
        self.history.told.iter().for_each(|one| told.entry(&one.conversation).or_default().push(one));
        let everybody: BTreeSet<&str> =
            messages.keys().chain(told.keys()).copied().chain(self.history.states.keys().map(String::as_str)).collect();
        for conversation in everybody.into_iter().filter(|conversation| !conversation.is_empty()) {
            self.tally.conversations += 1;
            let homes = homes.remove(conversation).unwrap_or_default();
            if homes.len() > 1 {
                self.report(Violation::Misplaced { conversation: conversation.into() });
            }
            let policies = homes.first().and_then(|home| policies.get(home)).map_or(&[][..], Vec::as_slice);
            let messages = messages.remove(conversation).unwrap_or_default();
            let told = told.remove(conversation).unwrap_or_default();
            self.conversation(Walk { conversation, messages, next: 0, policies, model: Model::default() }, &told);
        }
    }

    fn conversation(&mut self, mut walk: Walk, told: &[&Told]) {
        let in_order = walk.messages.is_sorted_by_key(|placed| placed.message.time);
        self.tally.out_of_order += usize::from(!in_order);
        for one in told {
            if let Some(close) = &one.close {
                self.close(&mut walk, one, close);
            }
        }
        while walk.step() {}
        if let Some(due) = walk.model.due(&walk.policy(Ms::MAX)).filter(|due| due.at < self.as_of) {
            self.report(Violation::Missing { conversation: walk.conversation.into(), deadline: due.at });
        }
        self.words(&walk, told);
        let (expected, stored) = (walk.state(), self.history.states.get(walk.conversation).cloned());
        if expected != stored {
            self.report(Violation::EndsOtherwise { conversation: walk.conversation.into(), expected, stored });
        }
    }

    /// A close, at the place it claims.
    fn close(&mut self, walk: &mut Walk, told: &Told, close: &Close) {
        self.tally.closes += 1;
        let (conversation, at) = (walk.conversation.to_owned(), close.at);
        let total = |model: &Model| model.counts.incoming + model.counts.outgoing;
        while total(&walk.model) < told.counts.incoming + told.counts.outgoing && walk.step() {}
        if walk.model.counts != told.counts {
            self.report(Violation::NoPlace { conversation: conversation.clone(), at });
        }
        if walk.model.episode > 0 && !walk.model.is_open() {
            return self.report(Violation::Double { conversation, at });
        }
        let due = walk.model.due(&walk.policy(at));
        let Some(due) = due else {
            walk.model.close(at, close.deadline);
            return self.report(Violation::NoTimer { conversation, at });
        };
        if due.at != close.deadline {
            self.report(Violation::WrongDeadline { conversation: conversation.clone(), recorded: close.deadline, recomputed: due.at });
        }
        if at < due.at {
            self.report(Violation::Early { conversation: conversation.clone(), at, deadline: due.at });
        }
        // Of a primary that was lost a moment later, with what it had taken: the same episode closes once more, when what was put into
        // the log again makes it due. Who waits for replicas hears of no such close.
        let is_made_again = |heard: Ms| walk.messages.iter().any(|placed| placed.was_lost_until(heard));
        if let Some(heard) = self.history.heard.get(&told.id).filter(|heard| **heard < due.at && !is_made_again(**heard)) {
            self.report(Violation::HeardEarly { conversation: conversation.clone(), heard: *heard, deadline: due.at });
        }
        if (&due.armed_by, due.period) != (&close.armed_by, close.period) {
            self.report(Violation::WrongStory { conversation: conversation.clone(), at });
        }
        for placed in &walk.messages[walk.next..] {
            let in_time = placed.accepted_at <= due.at && !placed.was_lost_until(at);
            if in_time && walk.model.would_be_last(placed.message, placed.accepted_at) {
                self.report(Violation::Over { conversation: conversation.clone(), at, message: placed.message.clone() });
            }
        }
        self.tally.latest_close_ms = self.tally.latest_close_ms.max(at - due.at);
        walk.model.close(at, close.deadline);
    }

    /// What was told is what had to be told, in that order.
    fn words(&mut self, walk: &Walk, told: &[&Told]) {
        // A change of the switch is told when the shard comes to it: at no place that the log knows.
        let switched = walk.policies.iter().skip(1).any(|(_, _, policy)| policy.epoch != walk.policies[0].2.epoch);
        let counts = |word: Word| !(switched && word.is_of_the_timer());
        let as_expected = |one: &&Told| Expected { word: one.word, episode: one.episode, closes_at: one.closes_at, counts: one.counts };
        let told: Vec<Expected> = told.iter().map(as_expected).filter(|one| counts(one.word)).collect();
        let expected: Vec<Expected> = walk.model.expected.iter().filter(|one| counts(one.word)).cloned().collect();
        self.tally.reversals += told.iter().filter(|one| one.word == Word::Reversed).count();
        self.tally.reopenings += told.iter().filter(|one| one.word == Word::Reopened).count();
        let nth = (0..told.len().max(expected.len())).find(|nth| told.get(*nth) != expected.get(*nth));
        if let Some(nth) = nth {
            let (expected, told) = (expected.get(nth).cloned(), told.get(nth).cloned());
            self.report(Violation::ToldOtherwise { conversation: walk.conversation.into(), nth, expected, told });
        }
    }

    /// Each has a name of its own, and whoever followed the stream has heard them all.
    fn notifications(&mut self) {
        let History { told, heard, .. } = self.history;
        let mut ids = BTreeSet::new();
        for one in told {
            if !ids.insert(one.id.as_str()) {
                self.report(Violation::SameId(one.id.clone()));
            }
        }
        for id in ids.iter().filter(|id| !heard.contains_key(**id)) {
            self.report(Violation::NotHeard((*id).to_owned()));
        }
        for id in heard.keys().filter(|id| !ids.contains(id.as_str())) {
            self.report(Violation::HeardOnly(id.clone()));
        }
    }
}

impl Walk<'_> {
    /// The settings in force after what was taken so far, for something that stands behind all that was accepted before
    /// `at`: a barrier covers that.
    fn policy(&self, at: Ms) -> Policy {
        let here = self.next.checked_sub(1).map(|last| self.messages[last].nth);
        let in_force = |(nth, accepted_at, _): &&(usize, Ms, Policy)| here.is_some_and(|here| *nth < here) || *accepted_at < at;
        let latest = self
            .policies
            .iter()
            .filter(in_force)
            .map(|(_, _, policy)| *policy)
            .max_by_key(|p| (p.version, p.epoch.is_none(), p.epoch, p.period));
        latest.unwrap_or(Policy { version: 0, epoch: None, period: 86_400_000, late_reply_window: 600_000 })
    }

    /// Takes the next message, if there is one.
    fn step(&mut self) -> bool {
        let Some(Placed { accepted_at, message, .. }) = self.messages.get(self.next).copied() else { return false };
        self.next += 1;
        let policy = self.policy(Ms::MIN);
        self.model.take(message, accepted_at, &policy);
        true
    }

    /// `None`: nobody ever heard of it.
    fn state(&self) -> Option<State> {
        (!self.messages.is_empty()).then(|| self.model.state())
    }
}

/// Whose message a violation is about is told by name only where it is a contact's.
impl Violation {
    pub fn is_over_a_reply(&self) -> bool {
        matches!(self, Self::Over { message, .. } if message.speaker == Speaker::Contact)
    }
}
