//! Which node shall have which partition, and when one that is silent counts as gone. Every node works this out for
//! itself from the same records; nobody is asked, and nothing here makes a write safe: the lease does.

use std::collections::BTreeMap;
use std::hash::Hasher;
use std::time::Duration;

use super::id::PartitionId;

/// Keys of the hash: the first digits of pi, so that no other hash of a name falls the same way. Fixed for ever, for nodes
/// of two versions must agree while the one replaces the other.
const KEYS: (u64, u64) = (0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344);

/// The node a partition belongs to: the one it is pinned to if that is among `nodes`, else the one of them with the
/// greatest weight (rendezvous hashing: a node more or less moves its own share only). `nodes`: those that live and do not
/// drain, in any order. `None`: there are none.
pub fn place<'a>(partition: PartitionId, nodes: impl IntoIterator<Item = &'a str>, pin: Option<&str>) -> Option<&'a str> {
    let rank = |node: &'a str| (pin == Some(node), weight(partition, node), node);
    nodes.into_iter().map(rank).max().map(|(_, _, node)| node)
}

fn weight(partition: PartitionId, node: &str) -> u64 {
    let mut hasher = siphasher::sip::SipHasher13::new_with_keys(KEYS.0, KEYS.1);
    hasher.write(&partition.0.to_le_bytes());
    hasher.write(node.as_bytes());
    hasher.finish()
}

/// A watch over records that move while somebody lives. Whether one stands still is told by the watcher's own monotonic
/// clock alone: a record that does not change has no say in it, nor has any date.
#[derive(Debug)]
pub struct Stillness<K, R> {
    seen: BTreeMap<K, Sight<R>>,
}

#[derive(Debug)]
struct Sight<R> {
    record: R,
    /// When the answer that first showed the record came in.
    since: Duration,
    /// When the question was asked whose answer showed it last.
    until: Duration,
    moved: bool,
}

impl<K, R> Default for Stillness<K, R> {
    fn default() -> Self {
        Self { seen: BTreeMap::new() }
    }
}

impl<K: Ord, R: PartialEq> Stillness<K, R> {
    /// All the records there are, by an answer to a question asked at `asked` that came at `answered`, both read off one
    /// monotonic clock. A record seen for the first time begins to count; one that is gone is forgotten.
    pub fn look(&mut self, asked: Duration, answered: Duration, records: impl IntoIterator<Item = (K, R)>) {
        let mut before = std::mem::take(&mut self.seen);
        for (key, record) in records {
            let sight = match before.remove(&key) {
                Some(sight) if sight.record == record => Sight { until: sight.until.max(asked), ..sight },
                Some(_) => Sight { record, since: answered, until: answered, moved: true },
                None => Sight { record, since: answered, until: answered, moved: false },
            };
            self.seen.insert(key, sight);
        }
    }

    /// How long this record is known to have stood still: never more than it did, whatever held up the questions.
    pub fn of(&self, key: &K) -> Duration {
        self.seen.get(key).map_or(Duration::ZERO, |sight| sight.until.saturating_sub(sight.since))
    }

    /// How long the stillest of those has stood that are not known to have stood still for `below`.
    pub fn longest(&self, below: Duration) -> Duration {
        self.seen.keys().map(|key| self.of(key)).filter(|still| *still < below).max().unwrap_or_default()
    }

    /// Whether it was ever seen to move.
    pub fn has_moved(&self, key: &K) -> bool {
        self.seen.get(key).is_some_and(|sight| sight.moved)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::PartitionCount;

    const PARTITIONS: u16 = 256;

    fn placed(nodes: &BTreeSet<String>) -> Vec<Option<&str>> {
        let all = PartitionCount::new(PARTITIONS).unwrap().all();
        all.map(|partition| place(partition, nodes.iter().map(String::as_str), None)).collect()
    }

    proptest! {
        #[test]
        fn a_node_more_or_less_moves_only_its_own_share(mut nodes in prop::collection::btree_set("[a-z0-9-]{1,12}", 1..9), joins in "[A-Z]{1,6}") {
            let fewer = nodes.clone();
            nodes.insert(joins.clone());
            let (before, after) = (placed(&fewer), placed(&nodes));
            for (partition, (before, after)) in before.iter().zip(&after).enumerate() {
                prop_assert!(before == after || *after == Some(&joins), "partition {partition} went from {before:?} to {after:?}");
            }
        }

        #[test]
        fn the_order_of_the_nodes_does_not_matter(nodes in prop::collection::btree_set("[a-z]{1,8}", 1..6), partition in 0_u16..PARTITIONS) {
            let forward = place(PartitionId(partition), nodes.iter().map(String::as_str), None);
            prop_assert_eq!(forward, place(PartitionId(partition), nodes.iter().rev().map(String::as_str), None));
        }
    }

    #[test]
    fn shares_are_fair_within_reason() {
        for count in 2..=8_usize {
            let nodes: BTreeSet<String> = (1..=count).map(|n| format!("node-{n}")).collect();
            let placed = placed(&nodes);
            for node in &nodes {
                let share = placed.iter().filter(|owner| **owner == Some(node)).count();
                let fair = usize::from(PARTITIONS) / count;
                assert!((fair / 2..=fair * 2).contains(&share), "{node} of {count} has {share}, fair were {fair}");
            }
        }
    }

    #[test]
    fn placement_never_changes_with_a_version() {
        let nodes = ["a", "b", "c"];
        let first: String = (0..16).filter_map(|p| place(PartitionId(p), nodes, None)).collect();
        assert_eq!(first, "ccbaaacccbccbcbc");
    }

    #[test]
    fn a_pin_holds_while_its_node_is_there() {
        let partition = PartitionId(7);
        let by_hash = place(partition, ["a", "b"], None).unwrap();
        let other = if by_hash == "a" { "b" } else { "a" };
        assert_eq!(place(partition, ["a", "b"], Some(other)), Some(other));
        assert_eq!(place(partition, ["a", "b"], Some("gone")), Some(by_hash));
        assert_eq!(place(partition, [], Some("a")), None);
    }

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn the_first_sight_starts_the_count() {
        let mut watch = Stillness::default();
        watch.look(secs(100), secs(101), [("a", 1)]);
        assert_eq!((watch.of(&"a"), watch.has_moved(&"a")), (secs(0), false));
        watch.look(secs(103), secs(104), [("a", 1)]);
        assert_eq!(watch.of(&"a"), secs(2), "from the first answer to the last question");
        assert_eq!(watch.of(&"never seen"), secs(0));
    }

    #[test]
    fn whoever_moves_begins_anew() {
        let mut watch = Stillness::default();
        watch.look(secs(0), secs(0), [("a", 1), ("b", 1)]);
        watch.look(secs(5), secs(5), [("a", 2), ("b", 1)]);
        assert_eq!((watch.of(&"a"), watch.of(&"b")), (secs(0), secs(5)));
        assert_eq!((watch.has_moved(&"a"), watch.has_moved(&"b")), (true, false));
        assert_eq!((watch.longest(secs(9)), watch.longest(secs(5))), (secs(5), secs(0)));
        watch.look(secs(6), secs(6), [("a", 2)]);
        assert_eq!((watch.of(&"a"), watch.of(&"b")), (secs(1), secs(0)), "who is gone is forgotten");
        watch.look(secs(9), secs(9), [("b", 1)]);
        assert_eq!(watch.of(&"b"), secs(0));
    }

    /// A watcher that was suspended between question and answer, or before its next question, has not seen anybody stand
    /// still meanwhile.
    #[test]
    fn an_answer_that_took_long_says_nothing_of_the_time_it_took() {
        let mut watch = Stillness::default();
        watch.look(secs(0), secs(60), [("a", 1)]);
        assert_eq!(watch.of(&"a"), secs(0));
        watch.look(secs(61), secs(200), [("a", 1)]);
        assert_eq!(watch.of(&"a"), secs(1));
    }

    /// Dates are in the records at most, and a record counts by whether it changed.
    #[test]
    fn a_jump_of_wall_clocks_has_no_say() {
        let mut watch = Stillness::default();
        watch.look(secs(0), secs(0), [("a", "2026-01-01")]);
        watch.look(secs(1), secs(1), [("a", "2031-01-01")]);
        assert_eq!(watch.of(&"a"), secs(0));
        watch.look(secs(2), secs(2), [("a", "2026-01-01")]);
        assert_eq!(watch.of(&"a"), secs(0));
    }
}
