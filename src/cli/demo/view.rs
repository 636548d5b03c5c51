//! The board, shown: countdowns that move on a terminal, plain lines where nobody watches.

use std::collections::VecDeque;
use std::io::{self, Write};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::board::{Board, Happening};
use super::play::Play;
use crate::cli::output::{length, note, percentile, watched};
use crate::cli::send::pace::Speed;
use crate::domain::{Span, Timestamp};
use crate::wire::time;

/// Countdowns shown at a time: those that are due first.
const TIMERS_SHOWN: usize = 8;
/// The latest of what happened.
const HAPPENINGS_SHOWN: usize = 8;
/// Of a countdown's bar.
const BAR_CELLS: i64 = 24;

pub enum View {
    Live(Box<Live>),
    Lines,
}

/// A part of the screen that is drawn over and over: the counts, the countdowns, the latest of what happened.
pub struct Live {
    screen: MultiProgress,
    head: ProgressBar,
    timers: Vec<ProgressBar>,
    happenings: Vec<ProgressBar>,
    spaces: [ProgressBar; 2],
    latest: VecDeque<String>,
    period: Span,
}

impl View {
    pub fn new(play: &Play, real_period: Span, speed: Speed, period: Span) -> Result<Self, io::Error> {
        note(format_args!(
            "Fifty minutes of a real help channel (Ubuntu IRC, 2006-06-01; Kummerfeld et al., ACL 2019, CC BY 4.0):\n\
             {} messages, {} times faster than they were written, in {}. Quiet for {real_period} then closes in {period} here.\n",
            play.events(),
            speed.0,
            length(play.length().as_millis()),
        ));
        if !watched() {
            return Ok(Self::Lines);
        }
        let screen = MultiProgress::new();
        let row = || {
            let row = screen.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{wide_msg}") {
                row.set_style(style);
            }
            row
        };
        let (head, above) = (row(), row());
        let timers = (0..TIMERS_SHOWN).map(|_| row()).collect();
        let below = row();
        let happenings = (0..HAPPENINGS_SHOWN).map(|_| row()).collect();
        let spaces = [above, below];
        Ok(Self::Live(Box::new(Live { screen, head, timers, happenings, spaces, latest: VecDeque::new(), period })))
    }

    /// Shows one thing that happened.
    pub fn tell(&mut self, happening: &Happening) -> Result<(), io::Error> {
        let text = line(happening);
        match self {
            Self::Lines => writeln!(io::stdout().lock(), "{text}"),
            Self::Live(live) => {
                live.latest.push_back(text);
                if live.latest.len() > HAPPENINGS_SHOWN {
                    live.latest.pop_front();
                }
                Ok(())
            }
        }
    }

    /// Moves the countdowns.
    pub fn draw(&self, board: &Board, now: Timestamp) {
        let Self::Live(live) = self else { return };
        live.head.set_message(format!("{} timers running   {}", board.timers.len(), counts(board)));
        let mut due: Vec<_> = board.timers.iter().map(|(conversation, at)| (*at, conversation)).collect();
        due.sort_unstable();
        for (row, shown) in live.timers.iter().zip(due.into_iter().map(Some).chain(std::iter::repeat(None))) {
            row.set_message(shown.map(|(at, conversation)| countdown(conversation, at.since(now), live.period)).unwrap_or_default());
        }
        for (row, text) in live.happenings.iter().zip(&live.latest) {
            row.set_message(text.clone());
        }
    }

    /// Leaves the screen as it was. A row that is not finished would draw itself once more when it goes.
    pub fn finish(&self) {
        let Self::Live(live) = self else { return };
        let Live { screen, head, timers, happenings, spaces, .. } = &**live;
        [head].into_iter().chain(timers).chain(happenings).chain(spaces).for_each(ProgressBar::finish_and_clear);
        let _ = screen.clear();
    }
}

fn countdown(conversation: &str, left: Span, period: Span) -> String {
    let filled = (left.as_millis() * BAR_CELLS / period.as_millis().max(1)).min(BAR_CELLS) as usize;
    let bar = format!("{}{}", "█".repeat(filled), "░".repeat(BAR_CELLS as usize - filled));
    format!("  {conversation:<20} {bar} closes in {:4.1} s", left.as_millis() as f64 / 1_000.0)
}

fn line(happening: &Happening) -> String {
    let Happening { what, conversation, at, closes_at, late_ms } = happening;
    let clock = time::format(*at);
    let clock = clock.get(11..23).unwrap_or(&clock);
    let rest = match (closes_at, late_ms, what.as_str()) {
        (Some(closes_at), _, "armed" | "reset") => {
            format!("an agent wrote: closes in {:.1} s", closes_at.since(*at).as_millis() as f64 / 1_000.0)
        }
        (_, Some(late_ms), _) => format!("nobody replied; {late_ms} ms after its deadline"),
        (_, _, "cancelled") => "the contact replied".into(),
        (_, _, "reopened") => "somebody wrote again: its next episode".into(),
        _ => String::new(),
    };
    format!("{clock}  {what:<10} {conversation:<20} {rest}").trim_end().into()
}

fn counts(board: &Board) -> String {
    board.counts.iter().filter(|(_, n)| *n > 0).map(|(what, n)| format!("{what} {n}")).collect::<Vec<_>>().join("  ")
}

/// What it came to, and what to do next.
pub fn summary(board: &Board, sent: u64, kept: bool) -> Result<(), io::Error> {
    let mut late_ms = board.late_ms.clone();
    late_ms.sort_unstable();
    let late = |percent| percentile(&late_ms, percent).map_or_else(|| "-".into(), |ms| format!("{ms} ms"));
    let mut out = io::stdout().lock();
    writeln!(out, "\n{sent} messages in {} conversations, every close on the word of the service:", board.count("opened"))?;
    for (what, meaning) in [
        ("armed", "an agent wrote and now waits for the contact"),
        ("reset", "an agent wrote again: the period starts anew"),
        ("cancelled", "the contact replied in time"),
        ("closed", "nobody replied within the period"),
        ("reopened", "somebody wrote after the close"),
        ("reversed", "a late reply took the close back"),
    ] {
        writeln!(out, "  {what:<10} {:>5}   {meaning}", board.count(what))?;
    }
    writeln!(out, "  lateness   p50 {}, p99 {}, max {} after the deadline; never before it", late(50), late(99), late(100))?;
    if !kept {
        writeln!(
            out,
            "\nNext:\n  adjourn demo --keep                                   the same, and it goes on serving\n  \
             adjourn rehearse FILE.ndjson.gz --period 24h          what that period would have done to your past\n  \
             adjourn serve                                         the service; then: adjourn settings set -w W auto_close.enabled=true"
        )?;
    }
    out.flush()
}
