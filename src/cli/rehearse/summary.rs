//! What a rehearsal amounts to, for people.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use super::replay::Replay;
use super::{History, contact_messages};
use crate::cli::output::{length, percentile};
use crate::domain::event::{ClosingSource, MessageSource};
use crate::domain::{ConversationKey, Span};

pub struct Summary {
    file: String,
    period: Span,
    conversations: u64,
    episodes: u64,
    closes: BTreeMap<ClosingSource, u64>,
    /// How long after an auto-close the contact wrote again, sorted.
    answered_after_ms: Vec<i64>,
    messages: Vec<(MessageSource, u64)>,
}

impl Summary {
    pub fn of(file: &str, period: Span, conversations: &[(ConversationKey, History)], replay: &Replay) -> Self {
        let mut closes = BTreeMap::new();
        replay.closes.iter().for_each(|close| *closes.entry(close.source).or_default() += 1);
        Self {
            file: file.into(),
            period,
            conversations: replay.conversations,
            episodes: replay.episodes,
            closes,
            answered_after_ms: answered_after_ms(conversations, replay),
            messages: replay.messages.iter().filter(|(_, count)| *count > 0).copied().collect(),
        }
    }
}

/// For each auto-close, the first message of that contact after it. One stamped at the deadline came before the close.
fn answered_after_ms(conversations: &[(ConversationKey, History)], replay: &Replay) -> Vec<i64> {
    let histories: HashMap<&ConversationKey, &History> = conversations.iter().map(|(key, history)| (key, history)).collect();
    let auto_closes = replay.closes.iter().filter(|close| close.source == ClosingSource::AutoClose);
    let mut delays_ms: Vec<i64> = auto_closes
        .filter_map(|close| {
            let answer = contact_messages(histories.get(&close.key)?).find(|at| *at > close.at)?;
            Some(answer.since(close.at).as_millis())
        })
        .collect();
    delays_ms.sort_unstable();
    delays_ms
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let auto_closes = self.closes.get(&ClosingSource::AutoClose).copied().unwrap_or(0);
        let closes: u64 = self.closes.values().sum();
        writeln!(f, "{}, rehearsed with a period of {}:", self.file, self.period)?;
        writeln!(f, "  conversations  {}, in {} episodes", self.conversations, self.episodes)?;
        writeln!(f, "  closes         {closes}{}", listed(self.closes.iter().map(|(source, n)| (source.as_str(), *n))))?;
        write!(f, "  auto-closes    {auto_closes}, of which the contact answered {}", self.answered_after_ms.len())?;
        let after = |percent| percentile(&self.answered_after_ms, percent).map(length);
        if let (Some(p50), Some(p90)) = (after(50), after(90)) {
            let share = self.answered_after_ms.len() as f64 / auto_closes.max(1) as f64 * 100.0;
            write!(f, " ({share:.1} %), half of them within {p50} of the close, 90 % within {p90}")?;
        }
        let messages: u64 = self.messages.iter().map(|(_, n)| n).sum();
        write!(f, "\n  messages       {messages}{}", listed(self.messages.iter().map(|(source, n)| (source.as_str(), *n))))
    }
}

fn listed<'a>(counts: impl Iterator<Item = (&'a str, u64)>) -> String {
    let parts: Vec<String> = counts.map(|(name, count)| format!("{name} {count}")).collect();
    if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) }
}
