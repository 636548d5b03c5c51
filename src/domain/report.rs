//! What reports count (L14): openings, closings, and closes that were taken back, by when they happened and by what they have in
//! common. A step says what it makes true ([`Count`]), a [`Rollup`] holds the sums of a day.

use std::collections::BTreeMap;

use super::event::{ClosingSource, OpeningSource, named};
use super::time::{Span, Timestamp};

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// The clocks of today's time zones differ by whole quarters of an hour: from quarters a day of any of them can be put together.
pub const QUARTER: Span = Span::from_mins(15);

/// Categories, and agents, that one day of one partition tells apart: what comes later in the day is counted with the others.
/// Whoever sends a new name with every event shall not make commits slow.
pub const LABELS_MAX: usize = 256;

/// One thing that reports count, or cease to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Count {
    /// When it happened: an opening at its `opened_at`, all else at the `closed_at` of its episode.
    pub at: Timestamp,
    pub what: Counted,
    pub of: Traits,
    /// It was counted before, and is not any more.
    pub taken_back: bool,
}

impl Count {
    pub fn take_back(self) -> Self {
        Self { taken_back: true, ..self }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Counted {
    /// An episode, which to reports is a conversation. `again`: the conversation had one before.
    Opened { again: bool },
    /// A close that holds, and how long its episode was open.
    Closed { after: Span },
    /// A close that was taken back (D7).
    Reversed,
}

/// What episodes are grouped by, as known when they were counted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Traits {
    pub opened_source: OpeningSource,
    pub closed_source: Option<ClosingSource>,
    pub category: Option<Box<str>>,
    /// Whose it was.
    pub agent: Option<Box<str>>,
}

named! {
    GroupBy { ClosedSource = "closed_source", OpenedSource = "opened_source", Category = "category", Agent = "agent" }
}

/// One of what a report is grouped by.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Group {
    OpenedSource(OpeningSource),
    /// `None`: an opening, which nothing has closed yet.
    ClosedSource(Option<ClosingSource>),
    Category(Label),
    Agent(Label),
}

/// A name that anybody may give.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Label {
    /// No category, nobody's.
    None,
    Named(Box<str>),
    /// One beyond [`LABELS_MAX`].
    Other,
}

impl Group {
    pub const fn by(&self) -> GroupBy {
        match self {
            Self::OpenedSource(_) => GroupBy::OpenedSource,
            Self::ClosedSource(_) => GroupBy::ClosedSource,
            Self::Category(_) => GroupBy::Category,
            Self::Agent(_) => GroupBy::Agent,
        }
    }

    /// As reports call it; `None`: those that have none.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::OpenedSource(source) => Some(source.as_str()),
            Self::ClosedSource(source) => source.map(ClosingSource::as_str),
            Self::Category(label) | Self::Agent(label) => match label {
                Label::None => None,
                Label::Named(name) => Some(name),
                Label::Other => Some("(others)"),
            },
        }
    }
}

impl Traits {
    fn groups(&self) -> [Group; 4] {
        let label = |name: &Option<Box<str>>| name.as_ref().map_or(Label::None, |name| Label::Named(name.clone()));
        [
            Group::OpenedSource(self.opened_source),
            Group::ClosedSource(self.closed_source),
            Group::Category(label(&self.category)),
            Group::Agent(label(&self.agent)),
        ]
    }
}

/// Days since 1970, in UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Day(pub i32);

impl Day {
    pub fn of(at: Timestamp) -> Self {
        Self(i32::try_from(at.as_millis().div_euclid(DAY_MS)).unwrap_or(i32::MAX))
    }

    pub fn start(self) -> Timestamp {
        Timestamp::from_millis(i64::from(self.0) * DAY_MS)
    }

    /// `days` before this one.
    pub const fn back(self, days: i32) -> Self {
        Self(self.0.saturating_sub(days))
    }
}

/// The sums of one day, of a workspace, in a partition: by group and quarter of an hour. What is grouped by one thing sums up to
/// the same as by any other.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rollup {
    /// Of each group its quarters, in order.
    pub groups: BTreeMap<Group, Vec<(u8, Sums)>>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sums {
    /// Those that opened again included.
    pub opened: u32,
    pub reopened: u32,
    pub closed: u32,
    pub reversed: u32,
    /// Of those closed, how long they were open: by [`TimeClass`], in order.
    pub times: Vec<(TimeClass, u32)>,
}

impl Rollup {
    /// Takes in what happened on this day.
    pub fn take(&mut self, count: &Count) {
        let quarter = (count.at.as_millis().rem_euclid(DAY_MS) / QUARTER.as_millis()) as u8;
        for group in count.of.groups() {
            let group = self.place(group);
            place(self.groups.entry(group).or_default(), quarter).take(count);
        }
    }

    /// The group itself, or the others where there are too many. One that is there stays, so that whatever is taken back is taken
    /// from where it was put.
    fn place(&self, group: Group) -> Group {
        let others = match &group {
            Group::Category(Label::Named(_)) => Group::Category(Label::Other),
            Group::Agent(Label::Named(_)) => Group::Agent(Label::Other),
            Group::OpenedSource(_) | Group::ClosedSource(_) | Group::Category(_) | Group::Agent(_) => return group,
        };
        let alike = self.groups.keys().filter(|known| known.by() == group.by()).count();
        if alike < LABELS_MAX || self.groups.contains_key(&group) { group } else { others }
    }

    /// The sums of those grouped by this, group by group and in order of time, with when their quarter begins.
    pub fn sums(&self, by: GroupBy, day: Day) -> impl Iterator<Item = (&Group, Timestamp, &Sums)> {
        self.groups.iter().filter(move |(group, _)| group.by() == by).flat_map(move |(group, quarters)| {
            let begins = move |quarter: u8| day.start().plus(Span::from_millis(i64::from(quarter) * QUARTER.as_millis()));
            quarters.iter().map(move |(quarter, sums)| (group, begins(*quarter), sums))
        })
    }

    /// Only what is grouped by this.
    pub fn only(mut self, by: GroupBy) -> Self {
        self.groups.retain(|group, _| group.by() == by);
        self
    }
}

/// What stands under a key of a short list in order of key: shorter in memory than a map, and read from a store in no time.
fn place<K: Ord, V: Default>(list: &mut Vec<(K, V)>, key: K) -> &mut V {
    let at = list.partition_point(|(known, _)| *known < key);
    if list.get(at).is_none_or(|(known, _)| *known != key) {
        list.insert(at, (key, V::default()));
    }
    #[expect(clippy::indexing_slicing, reason = "it is there, or was put there")]
    let (_, value) = &mut list[at];
    value
}

impl Sums {
    fn take(&mut self, count: &Count) {
        let change = |sum: &mut u32| *sum = if count.taken_back { sum.saturating_sub(1) } else { sum.saturating_add(1) };
        match count.what {
            Counted::Opened { again } => {
                change(&mut self.opened);
                if again {
                    change(&mut self.reopened);
                }
            }
            Counted::Closed { after } => {
                change(&mut self.closed);
                let class = TimeClass::of(after);
                change(place(&mut self.times, class));
                self.times.retain(|(_, closed)| *closed > 0);
            }
            Counted::Reversed => change(&mut self.reversed),
        }
    }

    pub fn add(&mut self, other: &Self) {
        self.opened += other.opened;
        self.reopened += other.reopened;
        self.closed += other.closed;
        self.reversed += other.reversed;
        for (class, closed) in &other.times {
            *place(&mut self.times, *class) += closed;
        }
    }

    /// How long the quickest `percent` of those closed were open at most, in seconds; `None` where none closed.
    pub fn resolved_within(&self, percent: u32) -> Option<u64> {
        let all: u64 = self.times.iter().map(|(_, closed)| u64::from(*closed)).sum();
        let rank = (all * u64::from(percent)).div_ceil(100).max(1);
        let mut so_far = 0;
        let class = self.times.iter().find(|(_, closed)| {
            so_far += u64::from(*closed);
            so_far >= rank
        });
        class.map(|(class, _)| class.seconds())
    }
}

/// How long something took, to within a thirty-second part (3 %): seconds up to 32, from there on sixteen classes to each doubling.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct TimeClass(pub u16);

impl TimeClass {
    /// The last there is: longer than a thousand years.
    pub const MAX: Self = Self(16 * 32);

    pub fn of(span: Span) -> Self {
        let seconds = (span.as_millis().max(0) / 1_000) as u64;
        if seconds < 32 {
            return Self(seconds as u16);
        }
        let doublings = seconds.ilog2();
        let class = 16 * (doublings as u16 - 3) + ((seconds >> (doublings - 4)) & 15) as u16;
        Self(class).min(Self::MAX)
    }

    /// The middle of the class.
    pub fn seconds(self) -> u64 {
        let Self(class) = self;
        if class < 32 {
            return u64::from(class);
        }
        let shift = u32::from(class / 16 - 1);
        let least = u64::from(16 + class % 16) << shift;
        least + (1 << shift) / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing::at;

    fn closed(category: Option<&str>, minutes: i64) -> Count {
        let of = Traits {
            opened_source: OpeningSource::Contact,
            closed_source: Some(ClosingSource::AutoClose),
            category: category.map(Into::into),
            agent: Some("ana".into()),
        };
        Count { at: at(0), what: Counted::Closed { after: Span::from_mins(minutes) }, of, taken_back: false }
    }

    fn total(rollup: &Rollup, by: GroupBy) -> Sums {
        let mut total = Sums::default();
        rollup.sums(by, Day(0)).for_each(|(_, _, sums)| total.add(sums));
        total
    }

    #[test]
    fn l14_a_close_is_counted_once_in_each_grouping() {
        let mut rollup = Rollup::default();
        rollup.take(&closed(Some("billing"), 5));
        rollup.take(&closed(None, 7));
        for by in GroupBy::ALL {
            assert_eq!(total(&rollup, *by).closed, 2, "{by:?}");
        }
        let categories: Vec<_> = rollup.sums(GroupBy::Category, Day(0)).map(|(group, ..)| group.name()).collect();
        assert_eq!(categories, [None, Some("billing")]);
    }

    #[test]
    fn l14_a_reversed_close_is_not_counted() {
        let mut rollup = Rollup::default();
        rollup.take(&closed(None, 5));
        rollup.take(&Count { taken_back: true, ..closed(None, 5) });
        rollup.take(&Count { what: Counted::Reversed, ..closed(None, 5) });
        let sums = total(&rollup, GroupBy::Agent);
        assert_eq!((sums.closed, sums.reversed, sums.resolved_within(50)), (0, 1, None));
    }

    #[test]
    fn what_is_taken_back_is_taken_from_where_it_was_put_however_many_names_came_since() {
        let mut rollup = Rollup::default();
        let names: Vec<String> = (0..2 * LABELS_MAX).map(|n| format!("category {n}")).collect();
        names.iter().for_each(|name| rollup.take(&closed(Some(name), 1)));
        assert!(rollup.groups.len() <= LABELS_MAX + 5, "{}", rollup.groups.len());
        names.iter().for_each(|name| rollup.take(&Count { taken_back: true, ..closed(Some(name), 1) }));
        assert!(rollup.sums(GroupBy::Category, Day(0)).all(|(_, _, sums)| sums.closed == 0));
    }

    #[test]
    fn times_are_right_to_within_a_thirty_second() {
        for seconds in (0..200_000u64).chain((0..60).map(|power| 1 << (power % 36))) {
            let shown = TimeClass::of(Span::from_millis(seconds as i64 * 1_000)).seconds();
            assert!(shown.abs_diff(seconds) * 32 <= seconds, "{seconds} is shown as {shown}");
        }
        let classes: Vec<TimeClass> = (0..100_000).map(|s| TimeClass::of(Span::from_secs(s))).collect();
        assert!(classes.is_sorted());
    }

    #[test]
    fn percentiles_are_the_nearest_rank() {
        let mut rollup = Rollup::default();
        (1..=10).for_each(|second| rollup.take(&Count { what: Counted::Closed { after: Span::from_secs(second) }, ..closed(None, 0) }));
        let sums = total(&rollup, GroupBy::OpenedSource);
        assert_eq!((sums.resolved_within(50), sums.resolved_within(90), sums.resolved_within(100)), (Some(5), Some(9), Some(10)));
    }

    #[test]
    fn days_and_quarters_go_on_before_1970() {
        let mut rollup = Rollup::default();
        rollup.take(&Count { at: at(-1), ..closed(None, 0) });
        assert_eq!(Day::of(at(-1)), Day(-1));
        assert_eq!(rollup.sums(GroupBy::Agent, Day(-1)).map(|(_, begins, _)| begins).collect::<Vec<_>>(), [at(-15 * 60 * 1_000)]);
    }
}
