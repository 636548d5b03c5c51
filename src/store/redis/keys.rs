//! The names of everything adjourn keeps in Redis. All keys of a partition share a hash tag, so that one script changes
//! them together and a cluster keeps them on one primary.
//!
//! | key | kind | holds |
//! |---|---|---|
//! | `{prefix}:meta` | hash | `partitions`, `incarnation`, `format`: fixed when the store is created; `held` while nothing closes |
//! | `{prefix}:settings` | hash | workspace -> version `:` master settings document; workspace `/history` -> version `:` their history |
//! | `{prefix}:agents` | hash | workspace -> version `:` its agents |
//! | `{prefix}:learnt` | hash | workspace -> version `:` what the writer of notes has learnt |
//! | `{prefix}:audit` | hash | workspace -> version `:` what administrators did |
//! | `{prefix}:access` | hash | `keys/` -> version `:` the API keys; `key_use/` -> version `:` when each was used last |
//! | `{prefix}:nodes` | hash | `node/NAME`, `pulse/NAME`, `drain/NAME`, `pin/PARTITION` |
//! | `{prefix}:signals` | channel | what is new and worth a look: notifications, entries, nodes |
//! | `{prefix}:{in}:events` | stream | events of producers that cannot hash, until they are moved |
//! | `{prefix}:{pN}:events` | stream | the log: `e` an entry of ours, or `ct` and `ce` from outside; `at`: accepted before |
//! | `{prefix}:{pN}:states` | hash | conversation -> when to look at it, and its row |
//! | `{prefix}:{pN}:deadlines` | sorted set | conversation, by when to look at it in ms |
//! | `{prefix}:{pN}:notifications` | stream | the outbox; the id is the number, `ct`, `ce`, and `r` our own record |
//! | `{prefix}:{pN}:lease` | hash | who holds the partition, and where its chain and its log stand |
//! | `{prefix}:{pN}:settings` | hash | workspace -> settings applied |
//! | `{prefix}:{pN}:dead` | stream | dead letters: `id` in the log, `reason`, `r` our own record |
//! | `{prefix}:{pN}:letters` | sorted set | id in the log `/` id in `dead`, in order of the first |
//! | `{prefix}:{pN}:rollups` | hash | day `/` workspace -> what reports count of it |
//! | `{prefix}:{pN}:texts` | hash | conversation, a space, slot -> what somebody wrote, where notes are written from that |
//! | `{prefix}:{pN}:lists` | sorted set | entries of lists of conversations (`lists.rs`), all of one score, in order of their text |
//! | `{prefix}:{pN}:marks` | sorted set | ids of the latest entries that have a mark, by time and mark |
//!
//! Hashes and sorted sets of a partition hold one element with an empty name, so that none of them is ever missing: a
//! script that names a missing key fails while a cluster moves its slot.

use std::borrow::Cow;

use crate::domain::{PartitionCount, PartitionId};
use crate::store::Shelf;

/// All keys, made once.
pub struct Keys {
    pub settings: Box<str>,
    pub nodes: Box<str>,
    agents: Box<str>,
    learnt: Box<str>,
    audit: Box<str>,
    access: Box<str>,
    /// Where producers that cannot hash put their events.
    pub unpartitioned: Box<str>,
    /// Where nodes tell each other what is worth a look.
    pub signals: Box<str>,
    partitions: Vec<PartitionKeys>,
}

pub struct PartitionKeys {
    pub events: Box<str>,
    pub states: Box<str>,
    pub deadlines: Box<str>,
    pub notifications: Box<str>,
    pub lease: Box<str>,
    pub settings: Box<str>,
    pub dead: Box<str>,
    pub letters: Box<str>,
    pub marks: Box<str>,
    pub rollups: Box<str>,
    pub texts: Box<str>,
    pub lists: Box<str>,
}

impl Keys {
    pub fn new(prefix: &str, partitions: PartitionCount) -> Self {
        Self {
            settings: format!("{prefix}:settings").into(),
            nodes: format!("{prefix}:nodes").into(),
            agents: format!("{prefix}:agents").into(),
            learnt: format!("{prefix}:learnt").into(),
            audit: format!("{prefix}:audit").into(),
            access: format!("{prefix}:access").into(),
            unpartitioned: format!("{prefix}:{{in}}:events").into(),
            signals: format!("{prefix}:signals").into(),
            partitions: partitions.all().map(|partition| PartitionKeys::new(prefix, partition)).collect(),
        }
    }

    /// Where a workspace has its document: the key, and the field. A history is written with the settings, so it stands
    /// beside them, under a name that no workspace can have.
    pub fn shelved<'a>(&'a self, shelf: Shelf, workspace: &'a str) -> (&'a str, Cow<'a, str>) {
        match shelf {
            Shelf::Agents => (&self.agents, workspace.into()),
            Shelf::Learnt => (&self.learnt, workspace.into()),
            Shelf::SettingsHistory => (&self.settings, format!("{workspace}/history").into()),
            Shelf::Audit => (&self.audit, workspace.into()),
            Shelf::Keys | Shelf::KeyUse => (&self.access, format!("{}/{workspace}", shelf.as_str()).into()),
        }
    }

    /// Of a partition that exists.
    pub fn of(&self, partition: PartitionId) -> &PartitionKeys {
        &self.partitions[usize::from(partition.0)]
    }
}

/// Known before the number of partitions is.
pub fn meta(prefix: &str) -> Box<str> {
    format!("{prefix}:meta").into()
}

/// A field of the nodes: when this one last gave a sign of life.
pub fn pulse(node: &str) -> String {
    format!("pulse/{node}")
}

impl PartitionKeys {
    fn new(prefix: &str, partition: PartitionId) -> Self {
        let key = |name: &str| format!("{prefix}:{{p{}}}:{name}", partition.0).into();
        Self {
            events: key("events"),
            states: key("states"),
            deadlines: key("deadlines"),
            notifications: key("notifications"),
            lease: key("lease"),
            settings: key("settings"),
            dead: key("dead"),
            letters: key("letters"),
            marks: key("marks"),
            rollups: key("rollups"),
            texts: key("texts"),
            lists: key("lists"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_what_the_contract_says() {
        let keys = Keys::new("adjourn", PartitionCount::new(64).unwrap());
        assert_eq!(&*keys.of(PartitionId(7)).events, "adjourn:{p7}:events");
        assert_eq!(&*keys.of(PartitionId(63)).notifications, "adjourn:{p63}:notifications");
        assert_eq!(&*keys.of(PartitionId(0)).dead, "adjourn:{p0}:dead");
        assert_eq!((&*keys.unpartitioned, &*meta("adjourn")), ("adjourn:{in}:events", "adjourn:meta"));
    }

    /// Row 16: a partition's keys have one hash tag, its own, whatever the prefix; and no key is another's.
    #[test]
    fn row_16_every_key_is_one_partitions_and_is_named_once() {
        let keys = Keys::new("adjourn", PartitionCount::new(PartitionCount::MAX).unwrap());
        let mut all = std::collections::BTreeSet::new();
        for (number, of) in keys.partitions.iter().enumerate() {
            let PartitionKeys { events, states, deadlines, notifications, lease, settings, dead, letters, marks, rollups, texts, lists } =
                of;
            for key in [events, states, deadlines, notifications, lease, settings, dead, letters, marks, rollups, texts, lists] {
                let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
                assert_eq!(tag, Some(&*format!("p{number}")), "{key}");
                assert!(all.insert(key.clone()), "{key} twice");
            }
        }
        for key in [
            &keys.settings,
            &keys.nodes,
            &keys.agents,
            &keys.learnt,
            &keys.audit,
            &keys.access,
            &keys.unpartitioned,
            &keys.signals,
            &meta("adjourn"),
        ] {
            assert!(all.insert(key.clone()), "{key} twice");
        }
    }
}
