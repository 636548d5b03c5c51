//! A commit in the making: what steps came to, put together so that the store changes once.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::actors::shard::conversation::Taken;
use crate::domain::event::ClosingSource;
use crate::domain::listing::{Move, Standing};
use crate::domain::notice::Cause;
use crate::domain::report::{Count, Day};
use crate::domain::{Conversation, ConversationKey, Effects, Notice, NoticeKind, Settings, Timestamp};
use crate::store::{Batch, CommitId, DeadLetter, Lists, LogId, Mark, Notification, RollupWrite, RowChange, RowWrite};

/// What a new commit builds on, carried from one to the next.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Head {
    pub commit: CommitId,
    pub checkpoint: LogId,
    pub last_notification: u64,
    /// Since when notifications are numbered without a gap.
    pub numbered_from: u64,
}

pub struct Draft {
    batch: Batch,
    /// Where in `batch.rows` a conversation is: only its last state is written.
    places: HashMap<ConversationKey, usize>,
    moves: BTreeMap<ConversationKey, Move>,
    /// What reports are to count with this commit.
    pub counts: BTreeMap<(Box<str>, Day), Vec<Count>>,
    /// Episodes whose notes are to be written once this is committed.
    pub wanted: Vec<(ConversationKey, u32)>,
    last_notification: u64,
    numbered_from: u64,
    kept: u64,
}

impl Draft {
    pub fn new(head: Head, notifications_kept: u64) -> Self {
        let batch = Batch::new(head.commit, head.checkpoint);
        let Head { last_notification, numbered_from, .. } = head;
        Self {
            batch,
            places: HashMap::new(),
            moves: BTreeMap::new(),
            counts: BTreeMap::new(),
            wanted: Vec::new(),
            last_notification,
            numbered_from,
            kept: notifications_kept,
        }
    }

    /// Everything up to `id` is applied with this commit.
    pub fn advance(&mut self, id: LogId) {
        self.batch.checkpoint = id;
    }

    /// Takes in what a conversation did. `indexed_at` and `previous` are the store's, before this commit; they are used
    /// only for the first time a conversation comes by.
    pub fn take(&mut self, key: &ConversationKey, taken: Taken, indexed_at: Option<Timestamp>, previous: Option<u64>) {
        let Taken { conversation, look_at, moved, effects: Effects { notices, counts, texts, write_note }, .. } = taken;
        let Some(mut conversation) = conversation else { return };
        self.move_to(moved);
        let mut last = match self.places.get(key) {
            Some(place) => self.batch.rows[*place].last_notification(),
            None => previous,
        };
        for notice in notices {
            self.note_deadline(&notice);
            last = Some(self.push(notice, last));
        }
        self.wanted.extend(write_note.map(|episode| (key.clone(), episode)));
        self.batch.texts.extend(texts.into_iter().map(|change| (key.clone(), change)));
        for count in counts {
            self.counts.entry((key.workspace().into(), Day::of(count.at))).or_default().push(count);
        }
        if conversation.last_notification != last {
            Arc::make_mut(&mut conversation).last_notification = last;
        }
        let change = RowChange::Put { conversation, look_at };
        match self.places.get(key) {
            Some(place) => self.batch.rows[*place].change = change,
            None => {
                self.places.insert(key.clone(), self.batch.rows.len());
                self.batch.rows.push(RowWrite { key: key.clone(), indexed_at, change });
            }
        }
    }

    /// From where the store has it to where it stands last.
    fn move_to(&mut self, moved: Option<Move>) {
        let Some(moved) = moved else { return };
        match self.moves.entry(moved.key.clone()) {
            Entry::Vacant(entry) => drop(entry.insert(moved)),
            Entry::Occupied(entry) => entry.into_mut().to = moved.to,
        }
    }

    /// Puts a conversation into lists that are being made anew.
    pub fn list(&mut self, key: ConversationKey, conversation: &Conversation) {
        let to = Standing::of(conversation);
        self.move_to(to.is_some().then_some(Move { key, from: None, to }));
    }

    /// Where nobody is put into lists.
    pub fn forget_moves(&mut self) {
        self.moves.clear();
    }

    /// Takes some out of the lists, to begin them anew.
    pub fn thin_lists(&mut self) {
        self.batch.lists = Lists::Thinned;
    }

    /// Retention takes a row.
    pub fn remove(&mut self, key: ConversationKey, indexed_at: Option<Timestamp>, conversation: &Conversation) {
        let from = Standing::of(conversation);
        self.move_to(from.is_some().then(|| Move { key: key.clone(), from, to: None }));
        self.batch.rows.push(RowWrite { key, indexed_at, change: RowChange::Remove });
    }

    fn note_deadline(&mut self, notice: &Notice) {
        if let Notice::Conversation(told) = notice
            && told.kind == NoticeKind::Closed
            && told.snapshot.closed_source == Some(ClosingSource::AutoClose)
            && let Cause::AutoClose { deadline, .. } = told.cause
        {
            self.batch.not_before = self.batch.not_before.max(Some(deadline));
        }
    }

    /// What reports count of a day from now on.
    pub fn rollup(&mut self, rollup: RollupWrite) {
        self.batch.rollups.push(rollup);
    }

    /// Numbers a notification.
    pub fn push(&mut self, notice: Notice, previous: Option<u64>) -> u64 {
        self.last_notification += 1;
        self.batch.notifications.push(Notification { number: self.last_notification, previous, notice });
        self.last_notification
    }

    pub fn settings(&mut self, workspace: Box<str>, settings: Settings) {
        self.batch.settings.push((workspace, settings));
    }

    pub fn dead(&mut self, letter: DeadLetter) {
        self.batch.dead.push(letter);
    }

    /// Conversations whose note somebody wrote, with its category.
    pub fn notes_by_hand(&self) -> impl Iterator<Item = (&ConversationKey, &str)> {
        self.batch.notifications.iter().filter_map(|notification| {
            let Notice::Conversation(told) = &notification.notice else { return None };
            let by_hand = match told.kind {
                NoticeKind::Closed => told.snapshot.closed_source == Some(ClosingSource::User),
                NoticeKind::NoteAdded => matches!(told.cause, Cause::Event { .. }),
                _ => false,
            };
            let category = told.snapshot.closing_note.as_ref().and_then(|note| note.category.as_deref());
            category.filter(|_| by_hand).map(|category| (&told.key, category))
        })
    }

    /// How many letters this commit adds.
    pub fn dead_count(&self) -> usize {
        self.batch.dead.len()
    }

    /// Whether this commit takes the letter away: the store still shows it until then.
    pub fn removes_dead(&self, id: LogId) -> bool {
        self.batch.dead_removed.contains(&id)
    }

    pub fn dead_removed(&mut self, id: LogId) {
        self.batch.dead_removed.push(id);
    }

    /// What came of these entries: told to whoever waits for them on another node.
    pub fn marks(&mut self, ids: &[(LogId, Mark)]) {
        self.batch.marks.extend_from_slice(ids);
    }

    pub fn trying(&mut self, trying: Option<(LogId, u32)>) {
        self.batch.trying = trying;
    }

    /// Whether committing this would change nothing.
    pub fn is_empty(&self, head: Head) -> bool {
        let batch = &self.batch;
        batch.checkpoint == head.checkpoint
            && batch.rows.is_empty()
            && batch.notifications.is_empty()
            && batch.settings.is_empty()
            && batch.dead.is_empty()
            && batch.dead_removed.is_empty()
            && batch.rollups.is_empty()
            && batch.trying.is_none()
            && batch.lists == Lists::Doubtful
            && self.moves.is_empty()
    }

    /// To be said even where nothing else is.
    pub fn lists_are_whole(&mut self) {
        self.batch.lists = Lists::Whole;
    }

    /// `lists_whole`: so they are with this commit.
    pub fn finish(mut self, lists_whole: bool) -> (Batch, Head) {
        if lists_whole {
            self.batch.lists = Lists::Whole;
        }
        self.batch.moves = self.moves.into_values().filter(|moved| moved.from != moved.to).collect();
        // Numbers that were skipped are not kept notifications: until enough came after them, those before stay.
        let bound = (self.last_notification + 1).saturating_sub(self.kept);
        self.batch.trim_notifications_below = if bound < self.numbered_from { 0 } else { bound };
        let Self { last_notification, numbered_from, .. } = self;
        let head = Head { commit: self.batch.id, checkpoint: self.batch.checkpoint, last_notification, numbered_from };
        (self.batch, head)
    }
}

impl RowWrite {
    fn last_notification(&self) -> Option<u64> {
        match &self.change {
            RowChange::Put { conversation, .. } => conversation.last_notification,
            RowChange::Remove => None,
        }
    }
}
