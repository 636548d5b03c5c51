//! I8, I9: what a partition's log comes to, taken event by event and without a shard, a batch or a crash. Every commit must
//! have written just that: whoever changed is in it, nobody else, and each as the fold has them.

use std::collections::{BTreeMap, BTreeSet};

use adjourn::domain::report::{Day, Rollup};
use adjourn::domain::{
    Accepted, Conversation, ConversationKey, Event, Input, Notice, Outcome, PartitionId, Settings, Span, Timestamp, step, wake_at,
};
use adjourn::store::{Batch, DeadLetterAction, Entry, LogId, RowChange};

use super::ground::{Book, Committed, Logged};
use super::laws::{Law, Violation, violates};
use super::poison::is_poison;

pub struct Fold<'a> {
    partition: PartitionId,
    defaults: &'a Settings,
    settings: BTreeMap<Box<str>, Settings>,
    pub rows: BTreeMap<ConversationKey, Conversation>,
    letters: BTreeMap<LogId, Option<ConversationKey>>,
    /// What the entries of the commit at hand came to.
    changed: BTreeSet<ConversationKey>,
    told: BTreeMap<ConversationKey, Vec<Notice>>,
    /// When each is to be looked at, by the settings in force when it was last looked at.
    look_at: BTreeMap<ConversationKey, Option<Timestamp>>,
    /// What reports are to count of each day.
    pub rollups: BTreeMap<(Day, Box<str>), Rollup>,
    /// What came of each command, by the key it was asked under.
    pub came_of: BTreeMap<String, Outcome>,
    violations: Vec<Violation>,
}

impl<'a> Fold<'a> {
    /// Through the whole book; what is wrong with it.
    pub fn through(partition: PartitionId, book: &'a Book, defaults: &'a Settings) -> (Self, Vec<Violation>) {
        let mut fold = Self {
            partition,
            defaults,
            settings: BTreeMap::new(),
            rows: BTreeMap::new(),
            letters: BTreeMap::new(),
            changed: BTreeSet::new(),
            told: BTreeMap::new(),
            look_at: BTreeMap::new(),
            rollups: BTreeMap::new(),
            came_of: BTreeMap::new(),
            violations: Vec::new(),
        };
        let mut log = book.log.iter().peekable();
        for committed in &book.commits {
            let Committed { batch, .. } = committed;
            while let Some(logged) = log.next_if(|logged| logged.id <= batch.checkpoint) {
                fold.take(logged, batch);
            }
            fold.compare(committed);
        }
        let violations = std::mem::take(&mut fold.violations);
        (fold, violations)
    }

    pub fn settings_of(&self, workspace: &str) -> Settings {
        self.settings.get(workspace).unwrap_or(self.defaults).clone()
    }

    fn wrong(&mut self, about: String) {
        self.violations.push(violates(Law::StateIsTheLog, format!("{}: {about}", self.partition)));
    }

    fn take(&mut self, logged: &Logged, batch: &Batch) {
        let id = logged.id;
        let letter = batch.dead.iter().find(|letter| letter.id == id);
        if let Some(letter) = letter {
            self.letters.insert(id, letter.conversation.clone());
            if let Some(key) = &letter.conversation {
                // One that panicked was being applied, as of its acceptance; one that killed is told of as of its place.
                let tried = logged.entry.as_ref().ok().filter(|_| letter.reason.starts_with("applying it"));
                self.step(key, &Input::SetAside, tried.map_or(id.accepted_at(), |entry| entry.accepted_at(id)));
            }
            return;
        }
        match &logged.entry {
            Err(_) => self.wrong(format!("{id} cannot be read, and was not set aside")),
            Ok(entry @ (Entry::Event(_) | Entry::Again { .. })) => {
                if let Some((event, accepted_at)) = entry.clone().into_event(id) {
                    if is_poison(event.name.id()) {
                        // Applied once, it would have left no trace but its letter; a repeat of it likewise.
                        return self.wrong(format!("{id} is poison, and was not set aside"));
                    }
                    let key = event.conversation.clone();
                    self.step(&key, &Input::Event(Accepted { event, accepted_at }), accepted_at);
                }
            }
            Ok(Entry::Command { command, expected }) => {
                let accepted_at = id.accepted_at();
                let accepted = Accepted { event: Event { time: accepted_at, ..(**command).clone() }, accepted_at };
                let outcome = self.step(&command.conversation, &Input::Command { accepted, expected: *expected }, accepted_at);
                let (key, _) = command.name.id().rsplit_once(':').unwrap_or_default();
                self.came_of.insert(key.to_owned(), outcome);
            }
            Ok(Entry::Settings { workspace, settings }) => {
                if settings.outranks(&self.settings_of(workspace)) {
                    self.settings.insert(workspace.clone(), (**settings).clone());
                }
            }
            Ok(Entry::DeadLetter { id: letter, action: DeadLetterAction::Dismiss }) => {
                if let Some(Some(key)) = self.letters.remove(letter) {
                    self.step(&key, &Input::Released, id.accepted_at());
                }
            }
            Ok(Entry::DeadLetter { action: DeadLetterAction::Replay, .. } | Entry::Ignored { .. }) => {}
        }
    }

    fn step(&mut self, key: &ConversationKey, input: &Input, now: Timestamp) -> Outcome {
        let settings = self.settings_of(key.workspace());
        // Not copied: what is not changed comes back as it went in, or differs from what is stored.
        let known = self.rows.get_mut(key).map(|row| std::mem::replace(row, Conversation::new(now)));
        let is_known = known.is_some();
        let before = known.unwrap_or_else(|| Conversation::new(now));
        let taken = step(key, before, input, &settings, now);
        // What is refused touches nothing, also where settings have changed since it was looked at last.
        if !matches!(taken.outcome, Outcome::Duplicate | Outcome::Refused(_)) {
            self.look_at.insert(key.clone(), wake_at(&taken.after, &settings));
        }
        if taken.outcome == Outcome::Changed {
            self.changed.insert(key.clone());
        }
        for count in taken.effects.counts {
            self.rollups.entry((Day::of(count.at), key.workspace().into())).or_default().take(&count);
        }
        if is_known || taken.outcome == Outcome::Changed {
            self.rows.insert(key.clone(), taken.after);
        }
        if !taken.effects.notices.is_empty() {
            self.told.entry(key.clone()).or_default().extend(taken.effects.notices);
        }
        taken.outcome
    }

    /// The rows and notifications of a commit, beside the fold's.
    fn compare(&mut self, committed: &Committed) {
        let mut told: BTreeMap<&ConversationKey, Vec<&Notice>> = BTreeMap::new();
        let mut numbers: BTreeMap<&ConversationKey, u64> = BTreeMap::new();
        for notification in &committed.batch.notifications {
            if let Notice::Conversation(notice) = &notification.notice {
                told.entry(&notice.key).or_default().push(&notification.notice);
                numbers.insert(&notice.key, notification.number);
            }
        }
        let mut changed = std::mem::take(&mut self.changed);
        let mut ours = std::mem::take(&mut self.told);
        for row in &committed.batch.rows {
            let RowChange::Put { conversation, look_at } = &row.change else {
                self.wrong(format!("{} was removed, though nothing here is old", row.key));
                continue;
            };
            let theirs = told.remove(&row.key).unwrap_or_default();
            if !changed.remove(&row.key) {
                self.wake(&row.key, &theirs, conversation, committed);
                self.changed.clear();
                ours.extend(std::mem::take(&mut self.told));
            }
            let mine = ours.remove(&row.key).unwrap_or_default();
            if !mine.iter().eq(theirs.iter().copied()) {
                self.wrong(format!("{} at {}: told {theirs:?}, the log comes to {mine:?}", row.key, committed.at));
            }
            self.compare_row(&row.key, conversation, *look_at, numbers.get(&row.key).copied());
        }
        for key in changed {
            self.wrong(format!("{key} changed before {:?}, and was not written", committed.batch.checkpoint));
        }
        for key in told.into_keys() {
            self.wrong(format!("{key} was told of, and not written"));
        }
    }

    /// No entry changed it: a wake-up did, at the time that it told of, or without a word; or it only stood wrong in the index.
    fn wake(&mut self, key: &ConversationKey, theirs: &[&Notice], row: &Conversation, committed: &Committed) {
        let told_at = theirs.iter().find_map(|notice| match notice {
            Notice::Conversation(told) => Some(told.at),
            Notice::Settings { .. } => None,
        });
        let is_same = self.rows.get(key).is_some_and(|mine| mine.version == row.version);
        let silently = committed.shown.both().minus(Span::from_millis(1));
        match told_at {
            Some(at) => {
                self.step(key, &Input::WakeUp, at);
            }
            None if is_same => {
                let settings = self.settings_of(key.workspace());
                self.look_at.insert(key.clone(), wake_at(row, &settings));
            }
            None => {
                self.step(key, &Input::WakeUp, silently);
            }
        }
    }

    fn compare_row(&mut self, key: &ConversationKey, theirs: &Conversation, look_at: Option<Timestamp>, number: Option<u64>) {
        let Some(mine) = self.rows.get_mut(key) else { return self.wrong(format!("{key} was written, and nothing is known of it")) };
        mine.last_notification = number.or(mine.last_notification);
        let (expected, same) = (self.look_at.get(key).copied().flatten(), *mine == *theirs);
        if !same {
            let mine = mine.clone();
            return self.wrong(format!("{key} was written as {theirs:?}\nwhere the log comes to {mine:?}"));
        }
        if expected != look_at {
            self.wrong(format!("{key} is to be looked at {look_at:?}, and is due {expected:?}"));
        }
    }
}
