//! The period that would have cut off at most a given share of the replies.
//!
//! A reply is the first message of the contact after a human message; its delay counts from the last human message before
//! it. A period cuts it off when the delay is longer: a reply stamped exactly at the deadline still counts.

use std::str::FromStr;

use serde::Serialize;

use super::History;
use crate::domain::ConversationKey;
use crate::domain::event::{EventKind, Speaker};

/// A share of one hundred percent, in millionths of a percent, so that "at most" is decided in whole numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Share {
    millionths: u64,
}

const PERCENT: u64 = 1_000_000;
const MINUTE_MS: u64 = 60_000;

impl FromStr for Share {
    type Err = String;

    /// Reads `5%`, `5` and `0.5%`.
    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || format!("`{text}` is not a share: write a percentage from 0 to 100 such as 5% or 0.5%");
        let number = text.strip_suffix('%').unwrap_or(text).trim();
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || whole.len() > 3 || fraction.len() > 6 || !digits(whole) || !digits(fraction) || number.ends_with('.') {
            return Err(refuse());
        }
        let whole: u64 = whole.parse().map_err(|_| refuse())?;
        let fraction: u64 = format!("{fraction:0<6}").parse().map_err(|_| refuse())?;
        let millionths = whole * PERCENT + fraction;
        if millionths > 100 * PERCENT { Err(refuse()) } else { Ok(Self { millionths }) }
    }
}

impl Share {
    /// How many of `all` are at most this share.
    fn of(self, all: u64) -> u64 {
        (u128::from(all) * u128::from(self.millionths) / u128::from(100 * PERCENT)) as u64
    }

    fn fraction(self) -> f64 {
        self.millionths as f64 / (100 * PERCENT) as f64
    }
}

/// What `--suggest` prints.
#[derive(Serialize)]
pub struct Suggestion {
    /// `null`: nobody replied to anything, so no period can be told from another.
    period: Option<String>,
    max_cut_off: f64,
    /// The share that this period cuts off, to four decimals.
    cut_off: Option<f64>,
    replies: u64,
    replies_cut_off: u64,
}

pub fn suggest(conversations: &[(ConversationKey, History)], share: Share) -> Suggestion {
    let mut delays_ms: Vec<u64> = conversations.iter().flat_map(|(_, history)| reply_delays_ms(history)).collect();
    delays_ms.sort_unstable();
    let replies = delays_ms.len() as u64;
    if replies == 0 {
        super::note("no reply to a human message in this file: no period to suggest");
        return Suggestion { period: None, max_cut_off: share.fraction(), cut_off: None, replies, replies_cut_off: 0 };
    }
    // All but the longest `allowed` replies must fit: the longest of those is what the period has to reach.
    let allowed = share.of(replies);
    let must_fit_ms = delays_ms.iter().rev().nth(allowed as usize).copied().unwrap_or(0);
    let minutes = must_fit_ms.div_ceil(MINUTE_MS).max(1);
    let replies_cut_off = delays_ms.iter().filter(|delay_ms| **delay_ms > minutes * MINUTE_MS).count() as u64;
    let cut_off = (replies_cut_off as f64 / replies as f64 * 10_000.0).round() / 10_000.0;
    Suggestion { period: Some(format!("{minutes}m")), max_cut_off: share.fraction(), cut_off: Some(cut_off), replies, replies_cut_off }
}

/// How long each reply of a conversation took.
fn reply_delays_ms(history: &History) -> Vec<u64> {
    let mut waiting_since = None;
    let mut delays_ms = Vec::new();
    for accepted in history {
        let EventKind::Message { source, .. } = accepted.event.kind else { continue };
        match source.speaker() {
            Speaker::Human | Speaker::HumanElsewhere => waiting_since = Some(accepted.event.time),
            Speaker::Contact => {
                delays_ms.extend(waiting_since.take().map(|since| accepted.event.time.since(since).as_millis().unsigned_abs()));
            }
            Speaker::Machine => {}
        }
    }
    delays_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(text: &str) -> Result<u64, String> {
        text.parse().map(|share: Share| share.millionths)
    }

    #[test]
    fn shares_are_percentages() {
        assert_eq!(["5%", "5", "0.5%", "100%", "0"].map(|text| share(text).unwrap()), [5_000_000, 5_000_000, 500_000, 100_000_000, 0]);
        for bad in ["", "%", "-1%", "101", "100.1%", "5 percent", "1.", ".5", "1e1", "0.0000001", "NaN"] {
            assert!(share(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn at_most_is_exact() {
        let five: Share = "5%".parse().unwrap();
        assert_eq!([19, 20, 39, 40].map(|all| five.of(all)), [0, 1, 1, 2]);
        let third: Share = "33.333333%".parse().unwrap();
        assert_eq!(third.of(3), 0);
    }
}
