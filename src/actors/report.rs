//! Reports: the sums that partitions keep of a workspace's days, put together.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::handle::Node;
use crate::domain::report::{Day, Group, GroupBy, Rollup, Sums};
use crate::domain::{PartitionId, Span, Timestamp};
use crate::store::StoreError;

/// Partitions asked at a time: enough to keep a connection busy, few enough to leave it to others.
const AT_ONCE: usize = 8;

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
        let days: Vec<Day> = (Day::of(*first).0..=Day::of(end.minus(Span::from_millis(1))).0).map(Day).collect();
        let read = |partition: PartitionId| self.store().rollups(partition, workspace.into(), days.clone());
        let read: Vec<Vec<Rollup>> =
            stream::iter(self.store().partitions().all().map(read)).buffer_unordered(AT_ONCE).try_collect().await?;
        let mut report = Report::new();
        if query.group_by.is_none() {
            let intervals = query.bounds.iter().take(query.bounds.len() - 1);
            report.extend(intervals.map(|begins| ((*begins, None), Sums::default())));
        }
        for rollups in read {
            for (day, rollup) in days.iter().zip(rollups) {
                query.add(&mut report, *day, &rollup);
            }
        }
        Ok(report)
    }
}

impl ReportQuery {
    fn add(&self, report: &mut Report, day: Day, rollup: &Rollup) {
        for (group, begins, sums) in rollup.sums(self.group_by, day) {
            let later = self.bounds.partition_point(|bound| *bound <= begins);
            let (Some(interval), true) = (later.checked_sub(1).and_then(|at| self.bounds.get(at)), later < self.bounds.len()) else {
                continue;
            };
            let group = self.group_by.map(|_| group.clone());
            report.entry((*interval, group)).or_default().add(sums);
        }
    }
}
