//! Reports: the sums that partitions keep of a workspace's days, put together.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::actors::node::handle::Node;
use crate::domain::report::{Day, Group, GroupBy, Rollup, Sums};
use crate::domain::{PartitionId, Span, Timestamp};
use crate::store::StoreError;

/// Partitions asked at a time: enough to keep a connection busy, few enough to leave it to others.
const AT_ONCE: usize = 4;
/// Reports put together at a time on a node; others wait their turn.
pub(in crate::actors) const REPORTS_AT_ONCE: usize = 2;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReportQuery {
    /// Where each interval begins, and where the last one ends: instants at whole quarters of an hour, in order.
    pub bounds: Vec<Timestamp>,
    /// `None`: all together.
    pub group_by: Option<GroupBy>,
}

/// By where an interval begins, then by group; `None` where nothing is grouped.
pub type Report = BTreeMap<(Timestamp, Option<Group>), Sums>;

impl Node {
    /// The store's clock: what "until now" means.
    ///
    /// # Errors
    /// The store's.
    pub async fn clock(&self) -> Result<Timestamp, StoreError> {
        self.store().clock().await
    }

    /// What happened in a workspace by interval and group. Of each partition it is one commit's picture; partitions are read one
    /// after the other. Intervals without anything are there where nothing is grouped.
    ///
    /// # Errors
    /// The store's; `Unreadable` where a day's sums cannot be read.
    pub async fn report(&self, workspace: &str, query: &ReportQuery) -> Result<Report, StoreError> {
        let (Some(first), Some(end)) = (query.bounds.first(), query.bounds.last()) else { return Ok(Report::new()) };
        let _turn = self.reports().acquire().await; // never closed
        // Before that nothing is kept, and after today nothing has happened: an event may be stamped a little ahead.
        let today = Day::of(self.clock().await?);
        let kept = today.back(self.options().report_days).0..=today.0.saturating_add(1);
        let asked = Day::of(*first).0.max(*kept.start())..=Day::of(end.minus(Span::from_millis(1))).0.min(*kept.end());
        let days: Vec<Day> = asked.map(Day).collect();
        let mut report = Report::new();
        if query.group_by.is_none() {
            let intervals = query.bounds.iter().take(query.bounds.len() - 1);
            report.extend(intervals.map(|begins| ((*begins, None), Sums::default())));
        }
        let read = |partition: PartitionId| self.store().rollups(partition, workspace.into(), days.clone(), Some(query.by()));
        let mut partitions = stream::iter(self.store().partitions().all().map(read)).buffer_unordered(AT_ONCE);
        while let Some(rollups) = partitions.try_next().await? {
            for (day, rollup) in days.iter().zip(rollups) {
                query.add(&mut report, *day, &rollup);
            }
        }
        Ok(report)
    }
}

impl ReportQuery {
    /// What all is put together from, where nothing is grouped: by whatever it is grouped, it sums up to the same.
    fn by(&self) -> GroupBy {
        self.group_by.unwrap_or(GroupBy::OpenedSource)
    }

    /// Quarters come in order: those of one group and interval are put together before they go where all partitions' go.
    fn add(&self, report: &mut Report, day: Day, rollup: &Rollup) {
        let mut at: Option<(Timestamp, &Group)> = None;
        let mut sums = Sums::default();
        for (group, begins, quarter) in rollup.sums(self.by(), day) {
            let Some(interval) = self.interval(begins) else { continue };
            if at.is_some_and(|at| at != (interval, group)) {
                self.put(report, at, std::mem::take(&mut sums));
            }
            at = Some((interval, group));
            sums.add(quarter);
        }
        self.put(report, at, sums);
    }

    fn put(&self, report: &mut Report, at: Option<(Timestamp, &Group)>, sums: Sums) {
        if let Some((interval, group)) = at {
            report.entry((interval, self.group_by.map(|_| group.clone()))).or_default().add(&sums);
        }
    }

    /// Where the interval begins that this instant lies in.
    fn interval(&self, at: Timestamp) -> Option<Timestamp> {
        let later = self.bounds.partition_point(|bound| *bound <= at);
        if later < self.bounds.len() { self.bounds.get(later.checked_sub(1)?).copied() } else { None }
    }
}
