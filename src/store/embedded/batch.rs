//! A batch as the state file takes it: encoded and sorted by whoever commits, so that the one thread that writes has
//! only B-trees to work on.

use std::ops::Range;

use super::super::lists::{Changes, ENTRIES};
use super::super::{Batch, CommitId, Lists, LogId, Notification, RollupWrite, RowChange, RowWrite, THINNED_MAX};
use super::tables::{self, Writes};
use crate::domain::kept::TextChange;
use crate::domain::{PartitionId, Timestamp};
use crate::store::record;

/// Notifications a commit takes away beyond twice as many as it adds: a few milliseconds of B-tree.
const TRIMMED_SPARE: u64 = 1_024;

pub struct Prepared {
    pub id: CommitId,
    pub based_on: CommitId,
    pub checkpoint: LogId,
    pub not_before: Option<Timestamp>,
    pub trying: Option<(LogId, u32)>,
    pub trim_notifications_below: u64,
    /// First and last number; `None` when there are none.
    pub numbers: Option<(u64, u64)>,
    /// Whether each number is one above the one before. Refused with the rest, for the fence is asked first.
    pub gapless: bool,
    pub states: Writes,
    pub notifications: Writes,
    pub dead_letters: Writes,
    pub settings: Writes,
    pub rollups: Writes,
    pub texts: Writes,
    /// Entries of lists, which have no value.
    pub lists: Writes,
    pub lists_are: Lists,
}

impl Prepared {
    pub fn new(partition: PartitionId, batch: Batch) -> Self {
        let numbered = &batch.notifications;
        let mut prepared = Self {
            id: batch.id,
            based_on: batch.based_on,
            checkpoint: batch.checkpoint,
            not_before: batch.not_before,
            trying: batch.trying,
            trim_notifications_below: batch.trim_notifications_below,
            numbers: numbered.first().zip(numbered.last()).map(|(first, last)| (first.number, last.number)),
            gapless: numbered.windows(2).all(|pair| Some(pair[1].number) == pair[0].number.checked_add(1)),
            states: Writes::default(),
            notifications: Writes::default(),
            dead_letters: Writes::default(),
            settings: Writes::default(),
            rollups: Writes::default(),
            texts: Writes::default(),
            lists: Writes::default(),
            lists_are: batch.lists,
        };
        let Changes { added, removed } = Changes::of(&batch.moves);
        added.iter().for_each(|entry| prepared.lists.put(|out| tables::state_key(out, partition, entry), |_| {}));
        removed.iter().for_each(|entry| prepared.lists.remove(|out| tables::state_key(out, partition, entry)));
        batch.rows.iter().for_each(|row| prepared.row(partition, row));
        batch.notifications.iter().for_each(|notification| prepared.notification(partition, notification));
        for letter in &batch.dead {
            let key = tables::dead_letter_key(partition, letter.id);
            prepared.dead_letters.put(|out| out.extend_from_slice(&key), |out| out.extend(record::encode_dead_letter(letter)));
        }
        for id in &batch.dead_removed {
            prepared.dead_letters.remove(|out| out.extend_from_slice(&tables::dead_letter_key(partition, *id)));
        }
        for (workspace, settings) in &batch.settings {
            let value = record::encode_settings(settings);
            prepared.settings.put(|out| tables::state_key(out, partition, workspace), |out| out.extend(value));
        }
        for (conversation, TextChange { slot, said }) in &batch.texts {
            let key = |out: &mut Vec<u8>| tables::text_key(out, partition, conversation.as_str(), *slot);
            match said {
                Some(said) => prepared.texts.put(key, |out| out.extend(record::encode_said(said))),
                None => prepared.texts.remove(key),
            }
        }
        for RollupWrite { workspace, day, rollup } in &batch.rollups {
            let key = |out: &mut Vec<u8>| tables::rollup_key(out, partition, *day, workspace);
            match rollup {
                Some(rollup) => prepared.rollups.put(key, |out| out.extend(record::encode_rollup(rollup))),
                None => prepared.rollups.remove(key),
            }
        }
        prepared.sort();
        prepared
    }

    /// The notifications that this commit takes away of those kept, `oldest` to `last`: in the end all below the bound, but
    /// where that was raised by many, with a few commits, for everybody waits for each.
    pub fn trimmed(&self, oldest: u64, last: u64) -> Range<u64> {
        let most = 2 * self.notifications.len() as u64 + TRIMMED_SPARE;
        oldest..self.trim_notifications_below.min(last + 1).min(oldest + most).max(oldest)
    }

    /// How many B-tree writes this is, about: what a group is bounded by.
    pub fn weight(&self) -> usize {
        // A row brings about one move in the index.
        2 * self.states.len()
            + self.notifications.len()
            + self.dead_letters.len()
            + self.settings.len()
            + self.rollups.len()
            + self.texts.len()
            + self.lists.len()
            + if self.lists_are == Lists::Thinned { THINNED_MAX * ENTRIES } else { 0 }
    }

    fn row(&mut self, partition: PartitionId, row: &RowWrite) {
        let name = row.key.as_str();
        match &row.change {
            RowChange::Put { conversation, look_at } => {
                let value = record::encode_conversation(conversation);
                let fill = |out: &mut Vec<u8>| {
                    tables::put_look_at(out, *look_at);
                    out.extend_from_slice(&value);
                };
                self.states.put(|out| tables::state_key(out, partition, name), fill);
            }
            RowChange::Remove => self.states.remove(|out| tables::state_key(out, partition, name)),
        }
    }

    fn notification(&mut self, partition: PartitionId, notification: &Notification) {
        let key = tables::notification_key(partition, notification.number);
        let notice = record::encode_notice(&notification.notice);
        let fill = |out: &mut Vec<u8>| {
            tables::put_previous(out, notification.previous);
            out.extend_from_slice(&notice);
        };
        self.notifications.put(|out| out.extend_from_slice(&key), fill);
    }

    fn sort(&mut self) {
        let Self { states, notifications, dead_letters, settings, rollups, texts, lists, .. } = self;
        for writes in [states, notifications, dead_letters, settings, rollups, texts, lists] {
            writes.sort();
        }
    }
}
