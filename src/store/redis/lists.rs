//! What is asked of the lists of conversations.

use std::ops::Bound;

use redis::Value;

use super::Inner;
use super::errors::of_read;
use super::value::{list, odd, text};
use crate::domain::listing::SectionQuery;
use crate::domain::{ConversationKey, PartitionId};
use crate::store::{StoreError, lists};

impl Inner {
    /// All ranges at one instant.
    pub async fn listed(&self, partition: PartitionId, query: &SectionQuery) -> Result<Option<Vec<ConversationKey>>, StoreError> {
        let SectionQuery { workspace, sections, after, limit } = query;
        self.known(partition)?;
        let of = self.keys.of(partition);
        let ranges = sections.iter().filter_map(|section| lists::range(workspace, section, after.as_ref()));
        let args = std::iter::once(limit.to_string()).chain(ranges.flat_map(|(from, below)| [lex(from), format!("({below}")]));
        let args: Vec<String> = args.collect();
        let args: Vec<&[u8]> = args.iter().map(String::as_bytes).collect();
        let answer = self.link.script(&self.scripts.listed, &[&of.lease, &of.lists], &args).await;
        let answer = answer.map_err(|error| of_read(partition, error))?;
        if answer == Value::Nil {
            return Ok(None);
        }
        let answers = list(answer).ok_or_else(|| odd("entries of lists"))?;
        let mut found = Vec::new();
        for entries in answers {
            let entries = list(entries).ok_or_else(|| odd("entries of a list"))?;
            found.extend(entries.iter().filter_map(|entry| lists::conversation(workspace, text(entry)?)));
        }
        Ok(Some(lists::merged(found, *limit)))
    }
}

/// The end of a range of text, as Redis takes it.
fn lex(end: Bound<String>) -> String {
    match end {
        Bound::Included(text) => format!("[{text}"),
        Bound::Excluded(text) => format!("({text}"),
        Bound::Unbounded => "-".to_owned(),
    }
}
