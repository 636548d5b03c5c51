//! Reports as clients ask for them and see them (CONTRACT.md, "Reading and acting"; L14).

use std::fmt::Write;

use chrono::{DateTime, Datelike, Days, LocalResult, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use serde::Serialize;

use crate::domain::Timestamp;
use crate::domain::event::named;
use crate::domain::report::{GroupBy, Sums};

/// Intervals of one report: a year by day twice over, or a month by hour.
pub const INTERVALS_MAX: usize = 750;
/// Intervals where the client does not say from when.
const INTERVALS_DEFAULT: u32 = 30;

named! {
    Interval { Hour = "hour", Day = "day", Week = "week", Month = "month" }
}

/// What a client may ask for; what it leaves out has a default.
#[derive(Clone, Debug, Default)]
pub struct ReportParameters<'a> {
    pub from: Option<&'a str>,
    pub to: Option<&'a str>,
    pub interval: Option<&'a str>,
    pub group_by: Option<&'a str>,
    pub tz: Option<&'a str>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReportSpec {
    pub interval: Interval,
    pub group_by: Option<GroupBy>,
    pub tz: Tz,
    /// Where each interval begins, and where the last one ends.
    pub bounds: Vec<Timestamp>,
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReportProblem {
    #[error("`{name}` must be an instant in RFC 3339 or a date such as 2026-11-01")]
    Instant { name: &'static str },
    #[error("`interval` must be hour, day, week or month")]
    Interval,
    #[error("`group_by` must be closed_source, opened_source, category or agent")]
    GroupBy,
    #[error("`tz` must be the name of a time zone, such as Europe/Berlin or UTC")]
    Zone,
    #[error("`from` must be before `to`")]
    Order,
    #[error("that is more than {INTERVALS_MAX} intervals: ask for a longer interval or a shorter time")]
    TooMany,
}

impl ReportSpec {
    /// The intervals that hold `from` and whatever is before `to`, whole. Without `to`: until `now`; without `from`: thirty of them.
    ///
    /// # Errors
    /// What is wrong, by name.
    pub fn parse(parameters: &ReportParameters<'_>, now: Timestamp) -> Result<Self, ReportProblem> {
        let tz: Tz = parameters.tz.map_or(Ok(Tz::UTC), str::parse).map_err(|_| ReportProblem::Zone)?;
        let interval = parameters.interval.map_or(Some(Interval::Day), Interval::parse).ok_or(ReportProblem::Interval)?;
        let group_by = parameters.group_by.map(|text| GroupBy::parse(text).ok_or(ReportProblem::GroupBy)).transpose()?;
        let instant = |name, text: Option<&str>| text.map(|text| instant(text, tz).ok_or(ReportProblem::Instant { name })).transpose();
        let (from, to) = (instant("from", parameters.from)?, instant("to", parameters.to)?);
        let to = to.map_or_else(|| local(now, tz), Ok)?;
        let from = match from {
            Some(from) => from,
            None => interval.back(interval.start(to, tz).ok_or(ReportProblem::Order)?, INTERVALS_DEFAULT - 1),
        };
        if from >= to {
            return Err(ReportProblem::Order);
        }
        Ok(Self { interval, group_by, tz, bounds: interval.bounds(from, to, tz)? })
    }
}

/// An instant with its offset, or the beginning of a day in the zone.
fn instant(text: &str, tz: Tz) -> Option<DateTime<Tz>> {
    if let Ok(date) = text.parse::<NaiveDate>() {
        return begins(date.and_time(NaiveTime::MIN), tz).filter(|at| (1970..9999).contains(&at.year()));
    }
    super::time::parse(text).and_then(|at| local(at, tz).ok())
}

fn local(at: Timestamp, tz: Tz) -> Result<DateTime<Tz>, ReportProblem> {
    let utc = DateTime::<Utc>::from_timestamp_millis(at.as_millis());
    utc.map(|utc| utc.with_timezone(&tz)).ok_or(ReportProblem::Instant { name: "to" })
}

/// The first instant that a clock in the zone shows this time or a later one: where clocks go forward at midnight, a day begins at
/// one, and Samoa once had a Thursday behind which came Saturday.
fn begins(time: NaiveDateTime, tz: Tz) -> Option<DateTime<Tz>> {
    (0..=26 * 4).find_map(|quarters| match tz.from_local_datetime(&(time + TimeDelta::minutes(15 * quarters))) {
        LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => Some(at),
        LocalResult::None => None,
    })
}

impl Interval {
    /// Where the interval that holds `at` begins.
    fn start(self, at: DateTime<Tz>, tz: Tz) -> Option<DateTime<Tz>> {
        let date = at.date_naive();
        match self {
            // By the clock of the zone; not through the local time, which where clocks go back says two hours with one name.
            Self::Hour => {
                let past = i64::from(at.minute() * 60 + at.second());
                Some(DateTime::<Utc>::from_timestamp(at.timestamp() - past, 0)?.with_timezone(&tz))
            }
            Self::Day => begins(date.and_time(NaiveTime::MIN), tz),
            Self::Week => {
                let monday = date.checked_sub_days(Days::new(u64::from(date.weekday().num_days_from_monday())))?;
                begins(monday.and_time(NaiveTime::MIN), tz)
            }
            Self::Month => begins(date.with_day(1)?.and_time(NaiveTime::MIN), tz),
        }
    }

    /// Where the one after it begins.
    fn next(self, start: DateTime<Tz>, tz: Tz) -> Option<DateTime<Tz>> {
        let date = start.date_naive();
        let next = match self {
            Self::Hour => return self.start(start.checked_add_signed(TimeDelta::hours(1))?, tz).filter(|next| *next > start),
            Self::Day => date.checked_add_days(Days::new(1))?,
            Self::Week => date.checked_add_days(Days::new(7))?,
            Self::Month => date.checked_add_months(Months::new(1))?,
        };
        begins(next.and_time(NaiveTime::MIN), tz)
    }

    /// So many of them before.
    fn back(self, start: DateTime<Tz>, count: u32) -> DateTime<Tz> {
        let back = match self {
            Self::Hour => start.checked_sub_signed(TimeDelta::hours(i64::from(count))),
            Self::Day => start.checked_sub_days(Days::new(u64::from(count))),
            Self::Week => start.checked_sub_days(Days::new(7 * u64::from(count))),
            Self::Month => start.checked_sub_months(Months::new(count)),
        };
        // Where the clock of the zone never showed that time, an hour more does no harm: the interval that holds it is taken.
        back.unwrap_or_else(|| start - TimeDelta::hours(i64::from(count) * self.hours()))
    }

    const fn hours(self) -> i64 {
        match self {
            Self::Hour => 1,
            Self::Day => 24,
            Self::Week => 24 * 7,
            Self::Month => 24 * 31,
        }
    }

    fn bounds(self, from: DateTime<Tz>, to: DateTime<Tz>, tz: Tz) -> Result<Vec<Timestamp>, ReportProblem> {
        let mut at = self.start(from, tz).ok_or(ReportProblem::Order)?;
        let mut bounds = vec![Timestamp::from_millis(at.timestamp_millis())];
        while at < to {
            if bounds.len() > INTERVALS_MAX {
                return Err(ReportProblem::TooMany);
            }
            at = self.next(at, tz).ok_or(ReportProblem::Order)?;
            bounds.push(Timestamp::from_millis(at.timestamp_millis()));
        }
        Ok(bounds)
    }
}

/// One row of a report. What was opened is counted where it was opened, all else where its episode closed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ReportRow {
    /// Where its interval begins, with the offset of the zone.
    pub start: String,
    /// Null: nothing is grouped, or what has none.
    pub group: Option<Box<str>>,
    pub opened: u32,
    pub closed: u32,
    pub reversed: u32,
    pub reopened: u32,
    /// How long episodes that closed were open, in seconds, to within a thirty-second part; null where none closed.
    pub resolution_p50_s: Option<u64>,
    pub resolution_p90_s: Option<u64>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ReportView {
    pub from: String,
    pub to: String,
    pub interval: &'static str,
    pub tz: String,
    pub group_by: Option<&'static str>,
    pub rows: Vec<ReportRow>,
}

impl ReportSpec {
    /// The report of these rows, in their order.
    pub fn view<'a>(&self, rows: impl Iterator<Item = (Timestamp, Option<&'a str>, &'a Sums)>) -> ReportView {
        let row = |(start, group, sums): (Timestamp, Option<&str>, &Sums)| ReportRow {
            start: self.show(start),
            group: group.map(Into::into),
            opened: sums.opened,
            closed: sums.closed,
            reversed: sums.reversed,
            reopened: sums.reopened,
            resolution_p50_s: sums.resolved_within(50),
            resolution_p90_s: sums.resolved_within(90),
        };
        let bound = |at: Option<&Timestamp>| at.map(|at| self.show(*at)).unwrap_or_default();
        ReportView {
            from: bound(self.bounds.first()),
            to: bound(self.bounds.last()),
            interval: self.interval.as_str(),
            tz: self.tz.name().to_owned(),
            group_by: self.group_by.map(GroupBy::as_str),
            rows: rows.map(row).collect(),
        }
    }

    fn show(&self, at: Timestamp) -> String {
        local(at, self.tz).map(|at| at.format("%Y-%m-%dT%H:%M:%S%:z").to_string()).unwrap_or_default()
    }
}

impl ReportView {
    /// As RFC 4180 has it.
    pub fn to_csv(&self) -> String {
        let mut csv = String::from("start,group,opened,closed,reversed,reopened,resolution_p50_s,resolution_p90_s\r\n");
        let number = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
        for row in &self.rows {
            let ReportRow { start, group, opened, closed, reversed, reopened, resolution_p50_s, resolution_p90_s } = row;
            let group = quoted(&plain(group.as_deref().unwrap_or_default()));
            let (p50, p90) = (number(*resolution_p50_s), number(*resolution_p90_s));
            // Writing into a string does not fail.
            let _ = write!(csv, "{start},{group},{opened},{closed},{reversed},{reopened},{p50},{p90}\r\n");
        }
        csv
    }
}

/// A spreadsheet takes a cell that begins so for a formula, whoever named the category.
fn plain(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text.to_owned() }
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::time::{format, parse};

    fn spec(parameters: ReportParameters<'_>) -> Result<ReportSpec, ReportProblem> {
        ReportSpec::parse(&parameters, parse("2026-11-27T10:20:30Z").unwrap())
    }

    fn bounds(from: &str, to: &str, interval: &str, tz: &str) -> Vec<String> {
        let parameters = ReportParameters { from: Some(from), to: Some(to), interval: Some(interval), tz: Some(tz), group_by: None };
        spec(parameters).unwrap().bounds.into_iter().map(format).collect()
    }

    #[test]
    fn without_anything_it_is_the_last_thirty_days() {
        let spec = spec(ReportParameters::default()).unwrap();
        let (first, last) = (format(spec.bounds[0]), format(*spec.bounds.last().unwrap()));
        assert_eq!((&*first, &*last, spec.bounds.len()), ("2026-10-29T00:00:00.000Z", "2026-11-28T00:00:00.000Z", 31));
    }

    #[test]
    fn days_are_those_of_the_zone_however_long_they_are() {
        let berlin = bounds("2026-10-24", "2026-10-27", "day", "Europe/Berlin");
        let expected = ["2026-10-23T22:00:00.000Z", "2026-10-24T22:00:00.000Z", "2026-10-25T23:00:00.000Z", "2026-10-26T23:00:00.000Z"];
        assert_eq!(berlin, expected, "the second of them has 25 hours");
        assert_eq!(bounds("2026-01-01", "2026-01-02", "day", "Asia/Kathmandu")[0], "2025-12-31T18:15:00.000Z");
        // Where a day was left out, the one before it is followed by the one after it.
        let apia = bounds("2011-12-28", "2012-01-02", "day", "Pacific/Apia");
        assert_eq!(
            apia,
            [
                "2011-12-28T10:00:00.000Z",
                "2011-12-29T10:00:00.000Z",
                "2011-12-30T10:00:00.000Z",
                "2011-12-31T10:00:00.000Z",
                "2012-01-01T10:00:00.000Z"
            ]
        );
        // Clocks in Beirut go forward at midnight: the day begins at one.
        assert_eq!(bounds("2026-03-29", "2026-03-30", "day", "Asia/Beirut"), ["2026-03-28T22:00:00.000Z", "2026-03-29T21:00:00.000Z"]);
    }

    #[test]
    fn hours_are_told_apart_where_clocks_go_back() {
        let night = bounds("2026-10-25T00:00:00Z", "2026-10-25T03:00:00Z", "hour", "Europe/Berlin");
        let expected = ["2026-10-25T00:00:00.000Z", "2026-10-25T01:00:00.000Z", "2026-10-25T02:00:00.000Z", "2026-10-25T03:00:00.000Z"];
        assert_eq!(night, expected);
        assert_eq!(bounds("2026-10-25T00:10:00Z", "2026-10-25T00:40:00Z", "hour", "Asia/Kolkata").len(), 3);
    }

    #[test]
    fn weeks_begin_on_mondays_and_months_with_their_first() {
        assert_eq!(bounds("2026-11-27", "2026-11-28", "week", "UTC"), ["2026-11-23T00:00:00.000Z", "2026-11-30T00:00:00.000Z"]);
        assert_eq!(bounds("2026-01-31", "2026-02-01", "month", "UTC"), ["2026-01-01T00:00:00.000Z", "2026-02-01T00:00:00.000Z"]);
    }

    #[test]
    fn every_bound_is_a_whole_quarter_in_every_zone_of_today() {
        for tz in chrono_tz::TZ_VARIANTS {
            for interval in Interval::ALL {
                let parameters = ReportParameters { interval: Some(interval.as_str()), tz: Some(tz.name()), ..ReportParameters::default() };
                for bound in spec(parameters).unwrap().bounds {
                    assert_eq!(bound.as_millis() % (15 * 60 * 1_000), 0, "{tz} {interval:?}");
                }
            }
        }
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let default = ReportParameters::default;
        assert_eq!(spec(ReportParameters { tz: Some("Mars/Olympus"), ..default() }), Err(ReportProblem::Zone));
        assert_eq!(spec(ReportParameters { interval: Some("year"), ..default() }), Err(ReportProblem::Interval));
        assert_eq!(spec(ReportParameters { group_by: Some("colour"), ..default() }), Err(ReportProblem::GroupBy));
        assert_eq!(spec(ReportParameters { from: Some("yesterday"), ..default() }), Err(ReportProblem::Instant { name: "from" }));
        assert_eq!(spec(ReportParameters { from: Some("2027-01-01"), ..default() }), Err(ReportProblem::Order));
        let hours = ReportParameters { from: Some("2026-01-01"), interval: Some("hour"), ..default() };
        assert_eq!(spec(hours), Err(ReportProblem::TooMany));
    }

    #[test]
    fn csv_quotes_what_would_break_it() {
        assert_eq!((&*plain("=1+2"), &*plain("a=b")), ("'=1+2", "a=b"));
        assert_eq!((&*quoted("a,b"), &*quoted("say \"hi\""), &*quoted("plain")), ("\"a,b\"", "\"say \"\"hi\"\"\"", "plain"));
    }
}
