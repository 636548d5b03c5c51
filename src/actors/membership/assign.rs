//! Who shall have what, and what a node does about a partition by what it sees: take it, give it back, or leave it be.

use std::collections::BTreeSet;

use crate::actors::shard::tenure::Order;
use crate::domain::PartitionId;
use crate::domain::placement::place;
use crate::store::{ClusterView, Holder, Member};

/// Who shall have each partition, of `nodes`.
pub fn placed<'a>(view: &ClusterView, nodes: &[&'a str]) -> Vec<Option<&'a str>> {
    let pin = |partition: PartitionId| view.pins.get(&partition).map(|pin| &**pin);
    (0..view.holders.len()).map(|place| PartitionId(place as u16)).map(|p| place(p, nodes.iter().copied(), pin(p))).collect()
}

/// Those that can be given work: all that live, as far as one knows, and do not drain.
pub fn takers<'a>(view: &'a ClusterView, lost: &BTreeSet<Box<str>>) -> Vec<&'a str> {
    let names = view.nodes.iter().map(|record| &*record.member.node);
    names.filter(|node| !lost.contains(*node) && !view.draining.contains(*node)).collect()
}

/// One partition as a node sees it.
#[derive(Clone, Debug)]
pub struct Case<'a> {
    pub me: &'a Member,
    pub holder: Option<&'a Holder>,
    /// Who shall have it, of the nodes that live and do not drain.
    pub desired: Option<&'a str>,
    /// Whether that node was seen to live: its record moved, it does not just stand there.
    pub desired_lives: bool,
    /// The holder has shown no sign of life for a whole lease.
    pub is_still: bool,
    /// This node's shard is at work on it.
    pub works: bool,
    /// This node is to have nothing: it drains, or has lost its name.
    pub leaving: bool,
}

pub fn order(case: &Case<'_>) -> Option<Order> {
    let Case { me, holder, desired, desired_lives, is_still, works, leaving } = *case;
    let for_me = desired == Some(&*me.node) && !leaving;
    match holder {
        None => for_me.then_some(Order::Take { over: None }),
        Some(holder) if holder.member == *me => {
            let next = desired.filter(|node| *node != &*me.node && desired_lives);
            if leaving || next.is_some() {
                // Never to a node that may be dead: it would have no owner until that is certain.
                return Some(Order::GiveBack { lease: holder.lease, to: next.map(Into::into) });
            }
            (!works).then(|| Order::Take { over: Some(holder.clone()) })
        }
        Some(holder) => {
            // Another process of this node's name gave way when this one took the name.
            let is_gone = is_still || holder.member.node == me.node;
            (for_me && is_gone).then(|| Order::Take { over: Some(holder.clone()) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Lease;

    fn member(node: &str, instance: u64) -> Member {
        Member { node: node.into(), instance }
    }

    fn held_by(member: Member) -> Holder {
        Holder { lease: Lease { partition: PartitionId(0), epoch: 1, nonce: 7 }, member, beat: 3 }
    }

    fn case<'a>(me: &'a Member, holder: Option<&'a Holder>, desired: Option<&'a str>) -> Case<'a> {
        Case { me, holder, desired, desired_lives: true, is_still: false, works: true, leaving: false }
    }

    fn take(over: Option<&Holder>) -> Option<Order> {
        Some(Order::Take { over: over.cloned() })
    }

    fn give(to: Option<&str>) -> Option<Order> {
        Some(Order::GiveBack { lease: held_by(member("a", 1)).lease, to: to.map(Into::into) })
    }

    #[test]
    fn what_nobody_has_is_taken_by_whom_it_is_for() {
        let me = member("a", 1);
        assert_eq!(order(&case(&me, None, Some("a"))), take(None));
        assert_eq!(order(&case(&me, None, Some("b"))), None);
        assert_eq!(order(&case(&me, None, None)), None);
    }

    #[test]
    fn a_holder_that_moves_is_left_in_peace() {
        let (me, other) = (member("a", 1), held_by(member("b", 2)));
        let seen = case(&me, Some(&other), Some("a"));
        assert_eq!(order(&seen), None, "it will give it back itself");
        assert_eq!(order(&Case { is_still: true, ..seen.clone() }), take(Some(&other)));
        assert_eq!(order(&Case { is_still: true, desired: Some("c"), ..seen.clone() }), None, "that is c's to take");
        assert_eq!(order(&Case { is_still: true, leaving: true, ..seen }), None);
    }

    #[test]
    fn an_earlier_process_of_this_name_is_not_waited_for() {
        let (me, earlier) = (member("a", 2), held_by(member("a", 1)));
        assert_eq!(order(&case(&me, Some(&earlier), Some("a"))), take(Some(&earlier)));
    }

    #[test]
    fn what_is_another_nodes_is_given_to_it_if_it_lives() {
        let me = member("a", 1);
        let mine = held_by(me.clone());
        let seen = case(&me, Some(&mine), Some("b"));
        assert_eq!(order(&seen), give(Some("b")));
        assert_eq!(order(&Case { desired_lives: false, ..seen.clone() }), None);
        assert_eq!(order(&Case { desired_lives: false, leaving: true, ..seen }), give(None));
    }

    #[test]
    fn whoever_leaves_gives_everything_away() {
        let me = member("a", 1);
        let mine = held_by(me.clone());
        let leaving = Case { leaving: true, ..case(&me, Some(&mine), None) };
        assert_eq!(order(&leaving), give(None));
        assert_eq!(order(&Case { desired: Some("a"), ..leaving.clone() }), give(None));
        assert_eq!(order(&Case { leaving: false, ..leaving }), None, "nobody seems to live, this node neither: it keeps what it has");
    }

    #[test]
    fn what_is_mine_and_does_not_run_is_started_again() {
        let me = member("a", 1);
        let mine = held_by(me.clone());
        let seen = case(&me, Some(&mine), Some("a"));
        assert_eq!(order(&seen), None);
        assert_eq!(order(&Case { works: false, ..seen }), take(Some(&mine)));
    }
}
