//! A batch as the commit script takes it.

use std::collections::HashMap;

use super::args::Args;
use super::keys::{Keys, PartitionKeys};
use super::row;
use super::scripts::Scripts;
use crate::domain::kept::TextChange;
use crate::domain::report::Day;
use crate::domain::writing::Said;
use crate::domain::{ConversationKey, Settings, Timestamp};
use crate::store::lists::{Changes, ENTRIES};
use crate::store::{Batch, DeadLetter, Lease, Lists, LogId, Mark, Notification, RollupWrite, RowChange, THINNED_MAX, record};
use crate::wire::CloudEvent;

/// How a batch is to be written.
#[derive(Clone, Copy, Debug)]
pub struct CommitMode {
    /// The log stays as it is, for checking it from outside.
    pub keep_log: bool,
    /// Others are told by the script; if not, by whoever commits, once a replica has it too.
    pub tell: bool,
}

/// The script's call for this batch.
pub fn call(scripts: &Scripts, keys: &Keys, lease: Lease, batch: &Batch, mode: CommitMode) -> redis::Cmd {
    let of = keys.of(lease.partition);
    scripts.commit.call(&key_list(of), &arguments(keys, lease, batch, mode).slices())
}

fn key_list(of: &PartitionKeys) -> [&str; 12] {
    let PartitionKeys { lease, states, deadlines, events, notifications, settings, dead, letters, marks, rollups, texts, lists } = of;
    [lease, states, deadlines, events, notifications, settings, dead, letters, marks, rollups, texts, lists]
}

/// Rows of a batch, sorted by what the script does with them.
#[derive(Default)]
struct Rows<'a> {
    puts: Vec<(&'a ConversationKey, &'a RowChange)>,
    removes: Vec<&'a ConversationKey>,
    deadlines: Vec<(Timestamp, &'a ConversationKey)>,
    undeadlines: Vec<&'a ConversationKey>,
}

impl<'a> Rows<'a> {
    fn of(batch: &'a Batch) -> Self {
        let mut rows = Self::default();
        for row in &batch.rows {
            match &row.change {
                RowChange::Put { look_at, .. } => {
                    rows.puts.push((&row.key, &row.change));
                    match look_at {
                        // A deadline that stays costs nothing.
                        Some(at) if row.indexed_at != Some(*at) => rows.deadlines.push((*at, &row.key)),
                        None if row.indexed_at.is_some() => rows.undeadlines.push(&row.key),
                        Some(_) | None => {}
                    }
                }
                RowChange::Remove => {
                    rows.removes.push(&row.key);
                    rows.undeadlines.push(&row.key);
                }
            }
        }
        rows
    }
}

/// In the order of the script's first lines: what is compared and written, how, how many there are of each, and all of them.
fn arguments(keys: &Keys, lease: Lease, batch: &Batch, mode: CommitMode) -> Args {
    let parts = Parts::of(batch);
    let (told, counts) = (parts.told, parts.counts());
    let values: usize = counts.iter().zip(WIDTHS).map(|(count, width)| count * width).sum();
    let mut args = Args::with_capacity(14 + counts.len() + values, 512 + 1_200 * told.len() + 300 * parts.rows.puts.len());
    let last_told = told.last().map_or(0, |notification| notification.number);
    args.number(lease.epoch);
    args.push(nonce(lease.nonce));
    args.push(commit_id(batch.based_on.0));
    args.push(commit_id(batch.id.0));
    args.push(batch.checkpoint.to_string());
    args.push(batch.not_before.map_or(String::new(), |at| at.as_millis().to_string()));
    args.push(batch.trying.map_or(String::new(), |(id, times)| format!("{id} {times}")));
    args.push(format!("{}-0", trim_below(batch)));
    args.push(first_number(told));
    args.number(last_told);
    args.push(if mode.keep_log { "keep" } else { "" });
    args.push(if mode.tell { &*keys.signals } else { "" });
    args.push(super::heads::told(lease.partition, last_told));
    args.push(lists_now(batch.lists));
    counts.into_iter().for_each(|count| args.number(count));
    parts.push(&mut args);
    args
}

/// How many arguments each thing is made of that the script is given many of.
const WIDTHS: [usize; 15] = [2, 2, 1, 2, 1, 2, 2, 1, 2, 1, 1, 2, 1, 4, 2];

/// What the script is given many of.
struct Parts<'a> {
    told: &'a [Notification],
    rows: Rows<'a>,
    settings: &'a [(Box<str>, Settings)],
    rollups_put: Vec<&'a RollupWrite>,
    rollups_removed: Vec<&'a RollupWrite>,
    texts: Texts<'a>,
    lists: Changes,
    letters_removed: &'a [LogId],
    letters_added: &'a [DeadLetter],
    marks: &'a [(LogId, Mark)],
}

impl<'a> Parts<'a> {
    fn of(batch: &'a Batch) -> Self {
        let (rollups_put, rollups_removed) = batch.rollups.iter().partition(|write| write.rollup.is_some());
        Self {
            told: &batch.notifications,
            rows: Rows::of(batch),
            settings: &batch.settings,
            rollups_put,
            rollups_removed,
            texts: Texts::of(batch),
            lists: Changes::of(&batch.moves),
            letters_removed: &batch.dead_removed,
            letters_added: &batch.dead,
            marks: &batch.marks,
        }
    }

    /// In the order in which they follow.
    fn counts(&self) -> [usize; WIDTHS.len()] {
        [
            self.told.len(),
            self.rows.puts.len(),
            self.rows.removes.len(),
            self.rows.deadlines.len(),
            self.rows.undeadlines.len(),
            self.settings.len(),
            self.rollups_put.len(),
            self.rollups_removed.len(),
            self.texts.puts.len(),
            self.texts.removes.len(),
            self.lists.removed.len(),
            self.lists.added.len(),
            self.letters_removed.len(),
            self.letters_added.len(),
            self.marks.len(),
        ]
    }

    fn push(self, args: &mut Args) {
        self.told.iter().for_each(|notification| push_notification(args, notification));
        self.rows.push(args);
        for (workspace, settings) in self.settings {
            args.push(&**workspace);
            args.push(record::encode_settings(settings));
        }
        for RollupWrite { workspace, day, rollup } in self.rollups_put {
            args.push(rollup_field(*day, workspace));
            args.push(rollup.as_deref().map(record::encode_rollup).unwrap_or_default());
        }
        self.rollups_removed.into_iter().for_each(|write| args.push(rollup_field(write.day, &write.workspace)));
        self.texts.push(args);
        self.lists.removed.into_iter().for_each(|entry| args.push(entry));
        for entry in self.lists.added {
            args.number(0);
            args.push(entry);
        }
        self.letters_removed.iter().for_each(|id| args.push(sortable(*id)));
        self.letters_added.iter().for_each(|letter| push_letter(args, letter));
        for (id, mark) in self.marks {
            args.push(score(*id, *mark));
            args.push(id.to_string());
        }
    }
}

/// What the lists are with this commit: nothing known of them, some to be taken out, or whole.
fn lists_now(lists: Lists) -> String {
    match lists {
        Lists::Doubtful => String::new(),
        Lists::Thinned => (THINNED_MAX * ENTRIES).to_string(),
        Lists::Whole => "whole".to_owned(),
    }
}

impl Rows<'_> {
    fn push(&self, args: &mut Args) {
        for (key, change) in &self.puts {
            args.push(key.as_str());
            if let RowChange::Put { conversation, look_at } = change {
                args.fill(|out| row::put_row(out, conversation, *look_at));
            }
        }
        self.removes.iter().for_each(|key| args.push(key.as_str()));
        for (at, key) in &self.deadlines {
            args.number(at.as_millis());
            args.push(key.as_str());
        }
        self.undeadlines.iter().for_each(|key| args.push(key.as_str()));
    }
}

fn push_notification(args: &mut Args, notification: &Notification) {
    // Made of strings and numbers: it cannot fail to be written.
    args.fill(|out| drop(serde_json::to_writer(out, &CloudEvent::new(&notification.notice))));
    args.fill(|out| row::put_notification(out, notification.previous, &notification.notice));
}

fn push_letter(args: &mut Args, letter: &DeadLetter) {
    args.push(sortable(letter.id));
    args.push(letter.id.to_string());
    args.push(&*letter.reason);
    args.push(record::encode_dead_letter(letter));
}

/// Where an entry stands among those that have a mark: by its time, and within the millisecond by the mark. Exact: 41 bits and
/// eight behind the point.
fn score(id: LogId, mark: Mark) -> String {
    (id.ms as f64 + f64::from(mark.code()) / 256.0).to_string()
}

/// Reads the mark from what [`score`] gave.
pub fn mark(score: &str) -> Option<Mark> {
    let score: f64 = score.parse().ok()?;
    Some(Mark::of((score.fract() * 256.0) as u8))
}

/// Numbers that do not go on from each other are refused by the script, after the fence was asked.
fn first_number(told: &[Notification]) -> String {
    match told.first() {
        None => String::new(),
        Some(first) if told.iter().zip(first.number..).all(|(told, number)| told.number == number) => first.number.to_string(),
        Some(_) => "gap".to_owned(),
    }
}

/// Never what is yet to come.
fn trim_below(batch: &Batch) -> u64 {
    let last = batch.notifications.last().map(|notification| notification.number);
    last.map_or(batch.trim_notifications_below, |last| batch.trim_notifications_below.min(last + 1))
}

/// Texts of a batch, by what the script does with them: the last change of each slot, for a batch may have it twice.
struct Texts<'a> {
    puts: Vec<(String, &'a Said)>,
    removes: Vec<String>,
}

impl<'a> Texts<'a> {
    fn of(batch: &'a Batch) -> Self {
        let last: HashMap<(&ConversationKey, u8), &TextChange> =
            batch.texts.iter().map(|(key, change)| ((key, change.slot), change)).collect();
        let mut texts = Self { puts: Vec::new(), removes: Vec::new() };
        for ((key, slot), change) in last {
            match &change.said {
                Some(said) => texts.puts.push((text_field(key, slot), said)),
                None => texts.removes.push(text_field(key, slot)),
            }
        }
        texts
    }

    fn push(self, args: &mut Args) {
        for (field, said) in self.puts {
            args.push(field);
            args.push(record::encode_said(said));
        }
        self.removes.into_iter().for_each(|field| args.push(field));
    }
}

/// Under which name a text is kept: no conversation has a space in its name.
pub fn text_field(key: &ConversationKey, slot: u8) -> String {
    format!("{key} {slot}")
}

/// Under which name the sums of a workspace's day are kept.
pub fn rollup_field(day: Day, workspace: &str) -> String {
    format!("{}/{workspace}", day.0)
}

/// Reads what [`rollup_field`] wrote.
pub fn rollup_of(field: &str) -> Option<(Day, &str)> {
    let (day, workspace) = field.split_once('/')?;
    Some((Day(day.parse().ok()?), workspace))
}

pub fn commit_id(id: u128) -> String {
    format!("{id:x}")
}

pub fn nonce(nonce: u64) -> String {
    format!("{nonce:x}")
}

/// An id that sorts as text.
pub fn sortable(id: LogId) -> String {
    format!("{:020}-{:020}", id.ms, id.seq)
}

/// Reads what [`sortable`] wrote.
pub fn unsortable(text: &str) -> Option<LogId> {
    LogId::parse(text)
}
