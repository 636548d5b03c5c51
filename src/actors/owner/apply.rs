//! What the log brings: events to their conversations, settings to the shard, dead letters back or away.

use std::collections::HashMap;

use super::Owner;
use super::draft::Draft;
use crate::actors::meter;
use crate::actors::shard::conversation::{Judged, Take, Taken, Tell};
use crate::domain::id::{Fingerprint, partition_of};
use crate::domain::{Accepted, ConversationKey, Event, Input, Notice, Outcome, Settings, Timestamp};
use crate::store::{DeadLetter, DeadLetterAction, Entry, LogEntry, LogId, Mark, StoreError, Unreadable};

/// Times an entry is tried alone before it is taken to be what kills its owner. One that is merely being applied while
/// somebody kills the process for another reason has to have that bad luck three times running.
const TRIED_ALONE_MAX: u32 = 3;

/// How the reason of a letter begins that no row counts.
const ROW_UNREADABLE: &str = "its conversation's record cannot be read";
/// Letters read at a time.
const LETTERS_PAGE: usize = 500;

/// What one commit's worth of entries came to, besides the commit.
#[derive(Default)]
struct Outcomes {
    marks: Vec<(LogId, Mark)>,
    names: Vec<Fingerprint>,
    /// Events accepted that no node took in.
    foreign: u64,
}

/// An event on its way to its conversation.
struct Delivery {
    id: LogId,
    accepted: Accepted,
    manner: Manner,
    foreign: bool,
}

/// How it is to be taken.
#[derive(Clone, Copy)]
enum Manner {
    /// It happened.
    Event,
    /// Somebody asks for it and waits, and meant this version.
    Command { expected: Option<u64> },
}

/// What came for one conversation, in log order.
struct Group {
    key: ConversationKey,
    deliveries: Vec<Delivery>,
}

impl Owner<'_> {
    /// Applies entries that follow the checkpoint, in order, and commits them: all at once, or one at a time where one of
    /// them is suspected of having killed the owner before.
    pub async fn apply(&mut self, entries: Vec<LogEntry>) -> Result<(), StoreError> {
        if entries.first().is_some_and(|first| first.id <= self.suspect_until) {
            return self.apply_one_by_one(entries).await;
        }
        let most =
            if entries.len() >= self.parts.options.batch_behind { self.parts.options.batch_behind } else { self.parts.options.batch };
        let mut entries = entries.into_iter().peekable();
        while entries.peek().is_some() {
            let _among_others = self.parts.suspects.read().await;
            let batch: Vec<LogEntry> = entries.by_ref().take(most).collect();
            self.apply_batch(batch).await?;
        }
        Ok(())
    }

    async fn apply_one_by_one(&mut self, entries: Vec<LogEntry>) -> Result<(), StoreError> {
        // Only what one batch may have held is suspect.
        if self.suspect_until.ms == u64::MAX {
            self.suspect_until = entries.last().map_or(LogId::ZERO, |last| last.id);
        }
        for entry in entries {
            let tried = self.tried.filter(|(id, _)| *id == entry.id).map_or(0, |(_, tried)| tried);
            if tried >= TRIED_ALONE_MAX {
                self.set_aside_unapplied(entry).await?;
                continue;
            }
            // Each in a turn's time: among a thousand suspects the lease is not to be given up for the turn's length.
            self.lease_clock.turn_begins();
            // A turn of another shard that does not end is no reason to wait for ever.
            let _alone = tokio::time::timeout(self.parts.options.lease / 3, self.parts.suspects.write()).await;
            let mut mark = self.draft();
            self.trying = Some((entry.id, tried + 1));
            mark.trying(self.trying);
            self.commit(mark).await?;
            self.apply_batch(vec![entry]).await?;
            self.trying = None;
        }
        Ok(())
    }

    /// Goes on without an entry that was never seen to end well.
    async fn set_aside_unapplied(&mut self, entry: LogEntry) -> Result<(), StoreError> {
        let mut draft = self.draft();
        draft.advance(entry.id);
        let reason = format!("the process died {TRIED_ALONE_MAX} times while applying it");
        self.set_aside(&mut draft, entry.id, entry.entry, reason).await?;
        let failed = [(entry.id, Mark::Failed)];
        draft.marks(&failed);
        self.commit(draft).await?;
        self.requests.applied_up_to(self.head.checkpoint, failed);
        Ok(())
    }

    /// Into the dead letters, and its conversation's timer is suspended, where it is known: the entry might be the reply (D2).
    async fn set_aside(
        &mut self,
        draft: &mut Draft,
        id: LogId,
        entry: Result<Entry, Unreadable>,
        mut reason: String,
    ) -> Result<(), StoreError> {
        if let Some(key) = conversation_of(&entry).cloned()
            && !self.tell_of_letter(draft, &key, Input::SetAside, id).await?
        {
            self.uncounted.entry(key).or_default().insert(id);
            reason = format!("{ROW_UNREADABLE}, and {reason}");
        }
        self.bury(draft, id, entry, &reason);
        Ok(())
    }

    async fn apply_batch(&mut self, entries: Vec<LogEntry>) -> Result<(), StoreError> {
        let Some(last) = entries.last().map(|entry| entry.id) else { return Ok(()) };
        let mut draft = self.draft();
        let mut outcomes = Outcomes::default();
        let mut events = Vec::with_capacity(entries.len());
        for LogEntry { id, entry, foreign } in entries {
            match entry {
                Ok(Entry::Event(event)) => events.push(Delivery::of(id, Accepted { event, accepted_at: id.accepted_at() }, foreign)),
                Ok(entry @ Entry::Again { .. }) => {
                    events.extend(
                        entry.into_event(id).map(|(event, accepted_at)| Delivery::of(id, Accepted { event, accepted_at }, foreign)),
                    );
                }
                Ok(Entry::Command { command, expected }) => events.push(Delivery::of_command(id, *command, expected)),
                // Only from outside: what comes by a door of ours is counted there, and goes no further.
                Ok(Entry::Ignored { type_name }) => {
                    meter::ignored(&type_name);
                    outcomes.foreign += 1;
                }
                // Settings and dead letters take their place between the events before and after them.
                Ok(Entry::Settings { workspace, settings }) => {
                    self.deliver(&mut draft, std::mem::take(&mut events), None, &mut outcomes).await?;
                    self.apply_settings(&mut draft, id, workspace, &settings);
                }
                Ok(Entry::DeadLetter { id: letter, action }) => {
                    self.deliver(&mut draft, std::mem::take(&mut events), None, &mut outcomes).await?;
                    self.act_on_letter(&mut draft, letter, (action, id.accepted_at()), &mut outcomes).await?;
                }
                Err(unreadable) => {
                    self.deliver(&mut draft, std::mem::take(&mut events), None, &mut outcomes).await?;
                    let reason = unreadable.reason.to_string();
                    self.set_aside(&mut draft, id, Err(unreadable), reason).await?;
                    outcomes.marks.push((id, Mark::Failed)); // it may be a command of a newer build
                }
            }
        }
        self.deliver(&mut draft, events, None, &mut outcomes).await?;
        draft.advance(last);
        draft.marks(&outcomes.marks);
        self.commit(draft).await?;
        meter::accepted_from_outside(outcomes.foreign);
        outcomes.names.into_iter().for_each(|name| self.parts.names.remember(name));
        self.requests.applied_up_to(self.head.checkpoint, outcomes.marks);
        Ok(())
    }

    /// Hands each event to its conversation and takes the steps into the draft. `replayed_at`: of a dead letter.
    async fn deliver(
        &mut self,
        draft: &mut Draft,
        mut events: Vec<Delivery>,
        replayed_at: Option<Timestamp>,
        outcomes: &mut Outcomes,
    ) -> Result<(), StoreError> {
        self.refuse(draft, &mut events, replayed_at);
        if events.is_empty() {
            return Ok(());
        }
        outcomes.foreign += events.iter().filter(|delivery| delivery.foreign).count() as u64;
        outcomes.names.extend(events.iter().map(|delivery| delivery.accepted.event.name.fingerprint()));
        let mut groups = grouped(events);
        let unreadable = self.admit(groups.iter().map(|group| group.key.clone())).await?;
        if !unreadable.is_empty() || !self.unreadable.is_empty() {
            self.bury_unreadable(draft, &mut groups, outcomes);
        }
        let mut sent = Vec::with_capacity(groups.len());
        let mut places = Vec::with_capacity(groups.len());
        for Group { key, deliveries } in groups {
            let settings = self.settings_of(key.workspace());
            let resident = self.residents.get_mut(&key).ok_or_else(|| actor_died(&key))?;
            let entries: Vec<(LogId, Manner)> = deliveries.iter().map(|delivery| (delivery.id, delivery.manner)).collect();
            let inputs = deliveries.into_iter().map(|delivery| delivery.judged_at(replayed_at)).collect();
            sent.push(resident.address.send(Take { inputs, settings }));
            places.push((key, entries, resident.indexed_at, resident.last_notification));
        }
        // All of them are on their way; in order each answer is there, or is the next to come.
        for (taken, (key, entries, indexed_at, previous)) in sent.into_iter().zip(places) {
            let taken = taken.await.map_err(|_| actor_died(&key))?;
            self.note_outcomes(draft, &entries, &taken, outcomes).await?;
            if entries.iter().zip(&taken.outcomes).any(|((_, manner), judged)| manner.may_have_changed(judged)) {
                draft.take(&key, taken, indexed_at, previous);
            }
        }
        Ok(())
    }

    /// Marks what whoever waits is to hear, and sets aside the events that nobody could apply.
    async fn note_outcomes(
        &self,
        draft: &mut Draft,
        entries: &[(LogId, Manner)],
        taken: &Taken,
        outcomes: &mut Outcomes,
    ) -> Result<(), StoreError> {
        for ((id, manner), judged) in entries.iter().zip(&taken.outcomes) {
            let mark = match (manner, judged) {
                (_, Ok(Outcome::Duplicate)) => Mark::Duplicate,
                (_, Ok(Outcome::Refused(refusal))) => Mark::Refused(*refusal),
                (Manner::Command { .. }, Ok(Outcome::Changed)) => Mark::Done,
                (Manner::Event, Ok(Outcome::Changed)) | (_, Ok(Outcome::Unchanged)) => continue,
                (Manner::Command { .. }, Err(reason)) => {
                    tracing::error!(partition = %self.parts.partition, %id, %reason, "a command could not be judged");
                    Mark::Failed
                }
                (Manner::Event, Err(reason)) => {
                    let entry = self.entry_again(*id).await?;
                    self.bury(draft, *id, entry, reason);
                    continue;
                }
            };
            outcomes.marks.push((*id, mark));
        }
        Ok(())
    }

    /// The entry itself went into the message; for the dead letter it is read once more, from the log or the letters.
    async fn entry_again(&self, id: LogId) -> Result<Result<Entry, Unreadable>, StoreError> {
        let (store, partition) = (&self.parts.store, self.parts.partition);
        let log = store.read(partition, id.before(), 1, std::time::Duration::ZERO).await?;
        if let Some(found) = log.into_iter().find(|entry| entry.id == id) {
            return Ok(found.entry);
        }
        let letters = store.dead_letters(partition, id.before(), 1).await?;
        let found = letters.into_iter().find(|letter| letter.id == id).map(|letter| letter.entry);
        Ok(found.unwrap_or_else(|| {
            Err(Unreadable { reason: "the entry is no longer in the log".into(), bytes: Vec::new(), conversation: None })
        }))
    }

    /// Not everything came by a door that looks at the clock (D9): what no door would have taken goes to the dead letters.
    /// It was never accepted, so it suspends no timer.
    fn refuse(&self, draft: &mut Draft, events: &mut Vec<Delivery>, replayed_at: Option<Timestamp>) {
        let snooze_max = self.parts.options.snooze_max;
        let rejection = |Delivery { accepted, manner, .. }: &Delivery| match manner {
            Manner::Event => accepted.event.rejection(replayed_at.unwrap_or(accepted.accepted_at), snooze_max),
            Manner::Command { .. } => None, // the door that took it looked, and nobody else writes any
        };
        for refused in events.extract_if(.., |delivery| rejection(delivery).is_some()) {
            let Some(reason) = rejection(&refused).map(|rejection| rejection.to_string()) else { continue };
            meter::refused(self.parts.partition, &reason);
            let (partition, entry) = (self.parts.partition, Ok(Entry::Event(refused.accepted.event)));
            draft.dead(DeadLetter { partition, id: refused.id, conversation: None, reason: reason.into(), entry });
        }
    }

    /// Sets aside what cannot be applied because its conversation's row cannot be read.
    fn bury_unreadable(&mut self, draft: &mut Draft, groups: &mut Vec<Group>, outcomes: &mut Outcomes) {
        let unreadable: Vec<Group> = groups.extract_if(.., |group| self.unreadable.contains(&group.key)).collect();
        for Group { key, deliveries } in unreadable {
            for Delivery { id, accepted: Accepted { event, accepted_at }, manner, .. } in deliveries {
                if let Manner::Command { .. } = manner {
                    // Whoever asked is told, and nothing waits for it.
                    outcomes.marks.push((id, Mark::Failed));
                    continue;
                }
                self.uncounted.entry(key.clone()).or_default().insert(id);
                let entry = match accepted_at == id.accepted_at() {
                    true => Entry::Event(event),
                    false => Entry::Again { event: Box::new(event), accepted_at },
                };
                self.bury(draft, id, Ok(entry), ROW_UNREADABLE);
            }
        }
    }

    /// What owners before this one set aside without a row to count it in. Asked before anything is closed.
    pub(super) async fn find_uncounted(&mut self) -> Result<(), StoreError> {
        let mut after = LogId::ZERO;
        loop {
            let page = self.parts.store.dead_letters(self.parts.partition, after, LETTERS_PAGE).await?;
            let full = page.len() == LETTERS_PAGE;
            after = page.last().map_or(after, |letter| letter.id);
            for letter in page.into_iter().filter(|letter| letter.reason.starts_with(ROW_UNREADABLE)) {
                if let Some(key) = letter.conversation {
                    self.uncounted.entry(key).or_default().insert(letter.id);
                }
            }
            if !full {
                return Ok(());
            }
        }
    }

    fn bury(&self, draft: &mut Draft, id: LogId, entry: Result<Entry, Unreadable>, reason: &str) {
        let conversation = conversation_of(&entry).cloned();
        let entry = entry.map_err(|unreadable| Unreadable { conversation: None, ..unreadable });
        meter::set_aside(self.parts.partition, conversation.as_ref(), reason);
        draft.dead(DeadLetter { partition: self.parts.partition, id, conversation, reason: reason.into(), entry });
    }

    fn apply_settings(&mut self, draft: &mut Draft, id: LogId, workspace: Box<str>, settings: &Settings) {
        let replaces = self.settings_of(&workspace).version == settings.version;
        if !self.adopt_settings(&workspace, settings) {
            return;
        }
        if partition_of(&workspace, self.parts.store.partitions()) == self.parts.partition {
            let settings = Box::new(settings.clone());
            draft.push(Notice::Settings { workspace: workspace.clone(), at: id.accepted_at(), settings, replaces }, None);
        }
        draft.settings(workspace, settings.clone());
    }

    async fn act_on_letter(
        &mut self,
        draft: &mut Draft,
        id: LogId,
        (action, asked_at): (DeadLetterAction, Timestamp),
        outcomes: &mut Outcomes,
    ) -> Result<(), StoreError> {
        let letters = self.parts.store.dead_letters(self.parts.partition, id.before(), 1).await?;
        let found = letters.into_iter().find(|letter| letter.id == id && !draft.removes_dead(id));
        let Some(letter) = found else { return Ok(()) }; // one letter releases its conversation once
        if action == DeadLetterAction::Dismiss {
            draft.dead_removed(id);
        } else if let Some((event, accepted_at)) = letter.entry.ok().and_then(|entry| entry.into_event(id)) {
            let buried = draft.dead_count();
            // One that was refused was not accepted then: if at all, it is accepted now.
            let accepted_at = if letter.conversation.is_some() { accepted_at } else { asked_at };
            self.deliver(draft, vec![Delivery::of(id, Accepted { event, accepted_at }, false)], Some(asked_at), outcomes).await?;
            if draft.dead_count() == buried {
                draft.dead_removed(id);
            }
        } else {
            return Ok(()); // nobody can read it: it can only be dismissed
        }
        let Some(key) = letter.conversation else { return Ok(()) };
        if let Some(ids) = self.uncounted.get_mut(&key).filter(|ids| ids.contains(&id)) {
            if draft.removes_dead(id) && ids.remove(&id) && ids.is_empty() {
                self.uncounted.remove(&key);
            }
            return Ok(()); // another letter's count is not this one's to take
        }
        self.tell_of_letter(draft, &key, Input::Released, id).await.map(|_| ())
    }

    /// Tells a conversation that an event of it went to the dead letters, or came back. False: its row cannot be read.
    async fn tell_of_letter(&mut self, draft: &mut Draft, key: &ConversationKey, input: Input, id: LogId) -> Result<bool, StoreError> {
        self.tell(draft, key, input, id.accepted_at()).await
    }

    /// Gives a conversation something that no event says. False: its row cannot be read.
    pub(super) async fn tell(
        &mut self,
        draft: &mut Draft,
        key: &ConversationKey,
        input: Input,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.admit(std::iter::once(key.clone())).await?;
        let settings = self.settings_of(key.workspace());
        let Some(resident) = self.residents.get_mut(key) else { return Ok(false) };
        let (indexed_at, previous) = (resident.indexed_at, resident.last_notification);
        let sent = resident.address.send(Tell { input, settings, now });
        let taken = sent.await.map_err(|_| actor_died(key))?;
        draft.take(key, taken, indexed_at, previous);
        Ok(true)
    }
}

fn conversation_of(entry: &Result<Entry, Unreadable>) -> Option<&ConversationKey> {
    match entry {
        Ok(entry) => entry.event().map(|event| &event.conversation),
        Err(unreadable) => unreadable.conversation.as_ref(),
    }
}

pub(super) fn actor_died(key: &ConversationKey) -> StoreError {
    StoreError::Refused(format!("the actor of {key} died: nothing was written").into())
}

impl Manner {
    /// Whether the conversation may be another than before: an event that nobody could apply was counted there.
    fn may_have_changed(self, judged: &Judged) -> bool {
        match judged {
            Ok(Outcome::Changed | Outcome::Unchanged) => true,
            Ok(Outcome::Duplicate | Outcome::Refused(_)) => false,
            Err(_) => matches!(self, Self::Event),
        }
    }
}

impl Delivery {
    fn of(id: LogId, accepted: Accepted, foreign: bool) -> Self {
        Self { id, accepted, manner: Manner::Event, foreign }
    }

    /// A command is of the instant in which it was taken: what it is to undo had happened by then.
    fn of_command(id: LogId, command: Event, expected: Option<u64>) -> Self {
        let accepted_at = id.accepted_at();
        let accepted = Accepted { event: Event { time: accepted_at, ..command }, accepted_at };
        Self { id, accepted, manner: Manner::Command { expected }, foreign: false }
    }

    /// With the instant it is judged at.
    fn judged_at(self, replayed_at: Option<Timestamp>) -> (Input, Timestamp) {
        let Self { accepted, manner, .. } = self;
        let now = replayed_at.unwrap_or(accepted.accepted_at);
        match manner {
            Manner::Event => (Input::Event(accepted), now),
            Manner::Command { expected } => (Input::Command { accepted, expected }, now),
        }
    }
}

/// By conversation, each conversation's in their order.
fn grouped(events: Vec<Delivery>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::with_capacity(events.len());
    let mut places: HashMap<ConversationKey, usize> = HashMap::with_capacity(events.len());
    for delivery in events {
        let key = &delivery.accepted.event.conversation;
        let place = *places.entry(key.clone()).or_insert_with(|| {
            groups.push(Group { key: key.clone(), deliveries: Vec::new() });
            groups.len() - 1
        });
        groups[place].deliveries.push(delivery);
    }
    groups
}
