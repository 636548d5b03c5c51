//! What the rules say of a conversation in which only messages happen, as naively as possible: everything is kept, every
//! question is answered by looking through it. Nothing of `adjourn::domain` is used here.

use std::collections::{BTreeSet, VecDeque};

use super::history::{Counts, Message, Ms, Name, Policy, Speaker, State, Word};

/// D6: the least that a service has to remember, and what this one does.
const REMEMBERED: usize = 32;
/// D8.
const BACKLOG_GRACE: Ms = 120_000;

/// The place of a message in the order of "later": by time, a contact's later at the same, then by name. One stamped
/// ahead of its acceptance stands at its acceptance (D9).
type Place = (Ms, Ms, bool, Name);

#[derive(Clone, Debug)]
struct Fact {
    place: Place,
    speaker: Speaker,
    accepted_at: Ms,
    /// The workspace's, when it was taken in (T23).
    period: Ms,
}

/// A deadline, and the message it counts from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Due {
    pub at: Ms,
    pub armed_by: Name,
    pub period: Ms,
}

/// What must have been told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expected {
    pub word: Word,
    pub episode: u32,
    pub closes_at: Option<Ms>,
    pub counts: Counts,
}

#[derive(Clone, Debug, Default)]
pub struct Model {
    pub episode: u32,
    pub closed_at: Option<Ms>,
    pub counts: Counts,
    /// The close before this episode.
    floor: Option<Ms>,
    /// The switching-on in force at the opening (T21).
    epoch: Option<u64>,
    /// Contact's and human messages of the open episode, or of the last one as it was when it closed.
    facts: Vec<Fact>,
    /// Human messages of the closed episode that came after its close.
    late: Vec<Fact>,
    remembered: VecDeque<Name>,
    ever: BTreeSet<Name>,
    timer_told: Option<Ms>,
    pub expected: Vec<Expected>,
}

impl Model {
    pub fn is_open(&self) -> bool {
        self.episode > 0 && self.closed_at.is_none()
    }

    /// Whether this message would count, or is a repeat of one of the last.
    pub fn is_repeat(&self, name: &Name) -> bool {
        self.remembered.contains(name)
    }

    pub fn take(&mut self, message: &Message, accepted_at: Ms, policy: &Policy) {
        if self.is_repeat(&message.name) {
            return;
        }
        if self.remembered.len() == REMEMBERED {
            self.remembered.pop_front();
        }
        self.remembered.push_back(message.name.clone());
        match message.speaker {
            Speaker::Contact => self.counts.incoming += 1,
            Speaker::Human | Speaker::Machine => self.counts.outgoing += 1,
        }
        let new = self.ever.insert(message.name.clone());
        if new && message.speaker != Speaker::Machine {
            let effective = message.time.min(accepted_at);
            let place = (effective, message.time, message.speaker == Speaker::Contact, message.name.clone());
            self.place(Fact { place, speaker: message.speaker, accepted_at, period: policy.period }, policy);
        }
        self.tell_timer(policy);
    }

    fn place(&mut self, fact: Fact, policy: &Policy) {
        let effective = fact.place.0;
        let border = self.closed_at.or(self.floor);
        if border.is_none_or(|border| effective > border) {
            if self.is_open() {
                self.facts.push(fact);
            } else {
                self.open(fact, policy); // L0, L5, L6
            }
        } else if let Some(closed_at) = self.closed_at {
            if self.floor.is_some_and(|floor| effective <= floor) {
                return; // of an episode before: recorded only
            }
            if fact.speaker == Speaker::Human {
                return self.late.push(fact);
            }
            let news = self.facts.iter().all(|known| fact.place > known.place);
            if news && fact.accepted_at <= closed_at + policy.late_reply_window {
                self.closed_at = None; // D7
                self.facts.append(&mut self.late);
                self.facts.push(fact);
                self.tell(Word::Reversed, policy);
            } else if news {
                self.open(fact, policy);
            } else {
                self.facts.push(fact);
            }
        }
    }

    fn open(&mut self, opener: Fact, policy: &Policy) {
        self.episode += 1;
        self.floor = self.closed_at.take();
        self.epoch = policy.epoch;
        self.facts = vec![opener];
        self.late.clear();
        self.tell(if self.episode == 1 { Word::Opened } else { Word::Reopened }, policy);
    }

    /// The timer closes it.
    pub fn close(&mut self, at: Ms, deadline: Ms) {
        self.closed_at = Some(at);
        self.timer_told = None;
        self.expected.push(Expected { word: Word::Closed, episode: self.episode, closes_at: Some(deadline), counts: self.counts });
    }

    /// D8, where the last word is a human's.
    pub fn due(&self, policy: &Policy) -> Option<Due> {
        if !self.is_open() || policy.epoch.is_none() || policy.epoch != self.epoch {
            return None;
        }
        let last = self.last()?;
        let at = (last.place.1 + last.period).max(last.accepted_at + last.period.min(BACKLOG_GRACE));
        (last.speaker == Speaker::Human).then(|| Due { at, armed_by: last.place.3.clone(), period: last.period })
    }

    fn last(&self) -> Option<&Fact> {
        self.facts.iter().max_by(|a, b| a.place.cmp(&b.place))
    }

    /// Whether this message, accepted now, would be the last word of the episode.
    pub fn would_be_last(&self, message: &Message, accepted_at: Ms) -> bool {
        let contact = message.speaker == Speaker::Contact;
        let place = (message.time.min(accepted_at), message.time, contact, message.name.clone());
        message.speaker != Speaker::Machine && !self.ever.contains(&message.name) && self.last().is_none_or(|last| place > last.place)
    }

    pub fn state(&self) -> State {
        let of = |speaker| self.facts.iter().filter(move |f| f.speaker == speaker);
        State {
            episode: self.episode,
            closed_at: self.closed_at,
            counts: self.counts,
            // Of a contact the last word counts, be it stamped before another; of the team the latest stamp.
            last_contact_at: of(Speaker::Contact).max_by(|a, b| a.place.cmp(&b.place)).map(|f| f.place.1),
            last_human_at: of(Speaker::Human).map(|f| f.place.1).max(),
        }
    }

    fn tell(&mut self, word: Word, policy: &Policy) {
        let closes_at = self.due(policy).map(|due| due.at);
        self.expected.push(Expected { word, episode: self.episode, closes_at, counts: self.counts });
    }

    /// One change, one timer notification.
    fn tell_timer(&mut self, policy: &Policy) {
        let now = self.due(policy).map(|due| due.at);
        let word = match (std::mem::replace(&mut self.timer_told, now), now) {
            (None, Some(_)) => Word::Armed,
            (Some(before), Some(after)) if before != after => Word::Reset,
            (Some(_), None) => Word::Cancelled,
            (None, None) | (Some(_), Some(_)) => return,
        };
        self.tell(word, policy);
    }
}
