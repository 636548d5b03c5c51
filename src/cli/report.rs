//! `adjourn report`: what was opened and closed, as bars.

use std::io::{self, Write};

use clap::Args;
use reqwest::{Method, header};
use serde_json::Value;

use super::client::{Client, Target};
use super::failure::Failure;
use super::output::{Format, cell, document, length, line};

/// Columns of the longest bar.
const BAR_COLUMNS: u64 = 40;
/// Eighths of a column, from none to seven.
const EIGHTHS: [&str; 8] = ["", "\u{258f}", "\u{258e}", "\u{258d}", "\u{258c}", "\u{258b}", "\u{258a}", "\u{2589}"];

#[derive(Args)]
pub struct ReportArgs {
    #[arg(long, short)]
    workspace: String,
    /// From this day or instant on; without it, thirty intervals
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Up to this day or instant; without it, until now
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    #[arg(long, value_parser = ["hour", "day", "week", "month"], default_value = "day")]
    interval: String,
    #[arg(long, value_parser = ["closed_source", "opened_source", "category", "agent"])]
    group_by: Option<String>,
    /// The time zone whose days these are, such as Europe/Berlin
    #[arg(long, default_value = "UTC", value_name = "ZONE")]
    tz: String,
    /// As CSV, whatever --output says
    #[arg(long)]
    csv: bool,
    #[command(flatten)]
    target: Target,
}

pub async fn run(args: ReportArgs, format: Option<Format>) -> Result<(), Failure> {
    let client = Client::new(&args.target)?;
    let query = [
        ("from", args.from.as_deref()),
        ("to", args.to.as_deref()),
        ("interval", Some(args.interval.as_str())),
        ("group_by", args.group_by.as_deref()),
        ("tz", Some(args.tz.as_str())),
    ];
    let url = client.url(&["v1", "workspaces", &args.workspace, "reports", "conversations"], &query)?;
    if args.csv {
        let request = client.request(Method::GET, url).header(header::ACCEPT, "text/csv");
        return Ok(io::stdout().lock().write_all(&client.bytes(request).await?)?);
    }
    let report = client.call(client.request(Method::GET, url)).await?;
    match format.unwrap_or(Format::Table) {
        Format::Table => Ok(bars(&report)?),
        Format::Json => Ok(document(Format::Json, &report)?),
        Format::Ndjson => rows(&report).iter().try_for_each(|row| Ok(line(row)?)),
    }
}

fn rows(report: &Value) -> &[Value] {
    report["rows"].as_array().map_or(&[], Vec::as_slice)
}

/// A line a row: when, which group, how many, and a bar as long as that many closed.
fn bars(report: &Value) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let count = |row: &Value, name: &str| row[name].as_u64().unwrap_or(0);
    let most = rows(report).iter().map(|row| count(row, "closed")).max().unwrap_or(0);
    let when = if report["interval"] == "hour" { 16 } else { 10 };
    let start = |row: &Value| cell(&row["start"]).chars().take(when).collect::<String>().replace('T', " ");
    let groups = rows(report).iter().map(|row| cell(&row["group"]).chars().count()).max().unwrap_or(0).max("group".len());
    let grouped = !report["group_by"].is_null();
    let group = |text: &str| if grouped { format!("{text:<groups$}  ") } else { String::new() };
    writeln!(out, "{:<when$}  {}{:>7} {:>7} {:>8}  closed (half within)", "start", group("group"), "opened", "closed", "reversed")?;
    for row in rows(report) {
        let (opened, closed, reversed) = (count(row, "opened"), count(row, "closed"), count(row, "reversed"));
        let half = row["resolution_p50_s"].as_i64().map(|seconds| format!(" ({})", length(seconds * 1_000))).unwrap_or_default();
        let group = group(&cell(&row["group"]));
        writeln!(out, "{:<when$}  {group}{opened:>7} {closed:>7} {reversed:>8}  {}{half}", start(row), bar(closed, most))?;
    }
    let (from, to, tz) = (cell(&report["from"]), cell(&report["to"]), cell(&report["tz"]));
    writeln!(out, "{from} to {to}, {tz}")?;
    out.flush()
}

/// As long as `count` is of `most`.
fn bar(count: u64, most: u64) -> String {
    let eighths = (count * 8 * BAR_COLUMNS).checked_div(most).unwrap_or(0).max(u64::from(count > 0));
    let rest = usize::try_from(eighths % 8).ok().and_then(|rest| EIGHTHS.get(rest)).unwrap_or(&"");
    format!("{}{rest}", "\u{2588}".repeat(usize::try_from(eighths / 8).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_what_they_show() {
        assert_eq!((bar(0, 0), bar(0, 9)), (String::new(), String::new()));
        assert_eq!(bar(9, 9).chars().count(), BAR_COLUMNS as usize);
        assert_eq!(bar(1, 2).chars().count(), BAR_COLUMNS as usize / 2);
        assert_eq!(bar(1, 1_000_000), EIGHTHS[1], "what is there is seen");
    }
}
