//! How stores that sort by text keep lists: an entry for each conversation under what it is, and one under that and whose it is.
//!
//! ```text
//! acme/o⇥conv-1              acme's open ones
//! acme/o/ana⇥conv-1          ana's among them
//! acme/o/⇥conv-2             nobody's among them
//! ```
//! A tab is in no name, and sorts before whatever is: a section is one range, in order of the conversations' ids.

use std::ops::Bound;

use crate::domain::ConversationKey;
use crate::domain::listing::{Move, Of, Section, Standing};
use crate::domain::notice::Status;

/// Of each conversation that is listed.
pub const ENTRIES: usize = 2;
/// How many conversations have so many entries.
pub fn conversations(entries: u64) -> u64 {
    entries.div_ceil(ENTRIES as u64)
}

const END: char = '\t';
/// Sorts after whatever is in a name.
const BEYOND: char = '\x7f';

/// Entries that come and that go with some moves, each once.
#[derive(Default, PartialEq, Debug)]
pub struct Changes {
    pub added: Vec<String>,
    pub removed: Vec<String>,
}

impl Changes {
    pub fn of(moves: &[Move]) -> Self {
        let mut changes = Self::default();
        for Move { key, from, to } in moves {
            let [before, after] = [from, to].map(|standing| standing.as_ref().map(|standing| entries(key, standing)));
            let stays = |entry: &String, other: &Option<[String; ENTRIES]>| other.as_ref().is_some_and(|other| other.contains(entry));
            changes.removed.extend(before.iter().flatten().filter(|entry| !stays(entry, &after)).cloned());
            changes.added.extend(after.iter().flatten().filter(|entry| !stays(entry, &before)).cloned());
        }
        changes
    }
}

fn letter(status: Status) -> char {
    match status {
        Status::Open => 'o',
        Status::Snoozed => 's',
        Status::Closed => 'c',
    }
}

fn entries(key: &ConversationKey, standing: &Standing) -> [String; ENTRIES] {
    let whose = standing.assignee.as_deref().map_or(Of::Nobody, |id| Of::Agent(id.into()));
    let entry = |of: &Of| start(key.workspace(), standing.status, of) + key.conversation();
    [entry(&Of::Anybody), entry(&whose)]
}

/// What every entry of a section begins with.
fn start(workspace: &str, status: Status, of: &Of) -> String {
    let letter = letter(status);
    match of {
        Of::Anybody => format!("{workspace}/{letter}{END}"),
        Of::Nobody => format!("{workspace}/{letter}/{END}"),
        Of::Agent(id) => format!("{workspace}/{letter}/{id}{END}"),
    }
}

/// Where a section's entries are, strictly after a conversation: from where, and below what. `None`: there can be no more.
pub fn range(workspace: &str, section: &Section, after: Option<&ConversationKey>) -> Option<(Bound<String>, String)> {
    let start = start(workspace, section.status, &section.of);
    let first = start.clone() + &section.prefix;
    let end = format!("{first}{BEYOND}");
    let after = after.map(|after| start + after.conversation()).filter(|after| *after >= first);
    let is_over = after.as_ref().is_some_and(|after| *after >= end);
    (!is_over).then(|| (after.map_or(Bound::Included(first), Bound::Excluded), end))
}

/// Whose entry this is.
pub fn conversation(workspace: &str, entry: &str) -> Option<ConversationKey> {
    ConversationKey::new(workspace, entry.rsplit_once(END)?.1).ok()
}

/// The first so many of those that several sections brought up, each in order, each once.
pub fn merged(found: impl IntoIterator<Item = ConversationKey>, limit: usize) -> Vec<ConversationKey> {
    let mut all: Vec<ConversationKey> = found.into_iter().collect();
    all.sort_unstable();
    all.dedup();
    all.truncate(limit);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str) -> ConversationKey {
        ConversationKey::new("acme", id).unwrap()
    }

    fn standing(status: Status, assignee: Option<&str>) -> Option<Standing> {
        Some(Standing { status, assignee: assignee.map(Into::into) })
    }

    fn section(status: Status, of: Of, prefix: &str) -> Section {
        Section { status, of, prefix: prefix.into() }
    }

    #[test]
    fn what_stays_is_not_written() {
        let (open, anas, bens) = ("acme/o\tc", "acme/o/ana\tc", "acme/o/ben\tc");
        let changes = |from, to| Changes::of(&[Move { key: key("c"), from, to }]);
        let ana = || standing(Status::Open, Some("ana"));
        assert_eq!(changes(None, ana()), Changes { added: vec![open.into(), anas.into()], removed: vec![] });
        assert_eq!(changes(ana(), standing(Status::Open, Some("ben"))), Changes { added: vec![bens.into()], removed: vec![anas.into()] });
        assert_eq!(changes(ana(), None), Changes { added: vec![], removed: vec![open.into(), anas.into()] });
    }

    #[test]
    fn a_section_holds_its_own_entries_and_no_others() {
        let holds = |section: &Section, after: Option<&str>, entry: &str| {
            range("acme", section, after.map(key).as_ref()).is_some_and(|(from, below)| {
                let is_from = match from {
                    Bound::Included(from) => *entry >= *from,
                    Bound::Excluded(from) => *entry > *from,
                    Bound::Unbounded => true,
                };
                is_from && *entry < *below
            })
        };
        let ids = ["a", "a-b", "a.b", "ab", "a:", "b", "z"];
        let all_of = [None, Some("ana"), Some("ana b"), Some("an"), Some("ana/c")];
        let all = |of: Option<&str>, id: &str| {
            [Status::Open, Status::Closed].map(|status| (entries(&key(id), &standing(status, of).unwrap()), status))
        };
        for prefix in ["", "a", "ab"] {
            for (section_of, whose) in
                [(Of::Nobody, None), (Of::Agent("ana".into()), Some("ana")), (Of::Agent("ana b".into()), Some("ana b"))]
            {
                let section = section(Status::Open, section_of, prefix);
                for (of, id) in all_of.iter().flat_map(|of| ids.iter().map(move |id| (*of, *id))) {
                    for (entries, status) in all(of, id) {
                        let belongs = of == whose && status == Status::Open && id.starts_with(prefix);
                        assert_eq!(holds(&section, None, &entries[1]), belongs, "{section:?} {entries:?}");
                        assert!(!holds(&section, None, &entries[0]), "{section:?} {entries:?}");
                        assert_eq!(holds(&section, Some("a.b"), &entries[1]), belongs && id > "a.b", "{section:?} {entries:?}");
                    }
                }
            }
        }
        let anybody = section(Status::Closed, Of::Anybody, "a");
        for (of, id) in all_of.iter().flat_map(|of| ids.iter().map(move |id| (*of, *id))) {
            for (entries, status) in all(of, id) {
                assert_eq!(holds(&anybody, None, &entries[0]), status == Status::Closed && id.starts_with('a'));
                assert!(!holds(&anybody, None, &entries[1]), "{entries:?}");
            }
        }
    }

    #[test]
    fn an_entry_names_its_conversation() {
        assert_eq!(conversation("acme", "acme/o/ana b/c\tc-1"), Some(key("c-1")));
        assert_eq!(conversation("acme", "acme/o/ana"), None);
    }
}
