//! What a verb prints: data on stdout, everything else on stderr.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use serde_json::Value;

/// How data is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// One JSON document.
    Json,
    /// One JSON document a line.
    Ndjson,
}

/// Writes a line for people to stderr. Nobody reading it is no reason to fail.
pub fn note(text: impl fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A list that `format` shows as a table of `columns`, as one array, or as one item a line.
pub struct Listing<'a, T> {
    pub items: &'a [T],
    pub columns: &'a [&'a str],
    pub row: &'a dyn Fn(&T) -> Vec<String>,
}

impl<T: Serialize> Listing<'_, T> {
    pub fn print(&self, format: Format) -> io::Result<()> {
        let mut out = io::BufWriter::new(io::stdout().lock());
        match format {
            Format::Table => {
                let mut table = table();
                table.set_header(self.columns.iter().map(|name| name.to_uppercase()));
                self.items.iter().for_each(|item| {
                    table.add_row((self.row)(item));
                });
                writeln!(out, "{}", table.trim_fmt())?;
            }
            Format::Json => {
                serde_json::to_writer_pretty(&mut out, self.items)?;
                writeln!(out)?;
            }
            Format::Ndjson => {
                for item in self.items {
                    serde_json::to_writer(&mut out, item)?;
                    writeln!(out)?;
                }
            }
        }
        out.flush()
    }
}

/// A list of documents that is shown as it is: a column for each of these members, under its name.
pub fn members(format: Format, items: &[Value], members: &[&str]) -> io::Result<()> {
    let titles: Vec<String> = members.iter().map(|member| member.replace('_', " ")).collect();
    let columns: Vec<&str> = titles.iter().map(String::as_str).collect();
    let row = |item: &Value| members.iter().map(|member| cell(&item[member])).collect();
    Listing { items, columns: &columns, row: &row }.print(format)
}

/// One document: as a table of its members, their paths joined by dots, or as JSON.
pub fn document(format: Format, document: &Value) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    match format {
        Format::Table => {
            let mut table = table();
            let mut rows = Vec::new();
            flatten("", document, &mut rows);
            rows.into_iter().for_each(|(name, value)| {
                table.add_row([name, value]);
            });
            writeln!(out, "{}", table.trim_fmt())?;
        }
        Format::Json => writeln!(out, "{document:#}")?,
        Format::Ndjson => writeln!(out, "{document}")?,
    }
    out.flush()
}

/// One JSON document on one line of stdout.
pub fn line(document: &impl Serialize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, document)?;
    writeln!(out)?;
    out.flush()
}

/// One line of text on stdout.
pub fn text_line(text: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{}", plain(text))
}

/// What comes from outside may not move the cursor.
fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter }).collect()
}

/// A table that is squeezed into less is not readable any more.
const COLUMNS_MIN: u16 = 40;

fn table() -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    // A pipe has no width: what is cut there cannot be found again. Nor has a terminal that nobody told its size.
    if io::stdout().is_terminal() && table.width().is_some_and(|columns| columns >= COLUMNS_MIN) {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    table
}

fn flatten(path: &str, value: &Value, rows: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, member) in members {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&path, member, rows);
            }
        }
        other => rows.push((path.to_owned(), cell(other))),
    }
}

/// A JSON value in a table: text without its quotes, nothing as a dash.
pub fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => plain(text),
        other => other.to_string(),
    }
}

/// Whether a person watches the progress.
pub fn watched() -> bool {
    io::stderr().is_terminal()
}

/// A length of time for people: whole seconds from ten seconds on.
pub fn length(ms: i64) -> String {
    let ms = ms.unsigned_abs();
    let shown = if ms < 10_000 { ms } else { ms / 1_000 * 1_000 };
    humantime::format_duration(Duration::from_millis(shown)).to_string()
}

/// The value below or at which `percent` of the sorted `values` lie (nearest rank). `None`: there are none.
pub fn percentile(values: &[i64], percent: usize) -> Option<i64> {
    let rank = (values.len() * percent).div_ceil(100).max(1);
    values.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let values: Vec<i64> = (1..=10).collect();
        assert_eq!([50, 90, 99, 100].map(|p| percentile(&values, p)), [Some(5), Some(9), Some(10), Some(10)]);
        assert_eq!(percentile(&[7], 50), Some(7));
        assert_eq!(percentile(&[], 50), None);
    }

    #[test]
    fn documents_are_flat_in_a_table() {
        let mut rows = Vec::new();
        flatten("", &serde_json::json!({"a": {"b": "x", "c": null}, "d": [1]}), &mut rows);
        assert_eq!(cell(&"a\u{1b}[2Jb".into()), "a\u{fffd}[2Jb");
        assert_eq!(rows, [("a.b".into(), "x".into()), ("a.c".into(), "-".into()), ("d".into(), "[1]".into())]);
    }
}
