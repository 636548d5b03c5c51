//! Where a process ends, and what it takes to get there.

use adjourn::faults::crash::{AFTER, BEFORE, HERE};
use adjourn::store::crash::CALLS;

use super::stage::Kind;

/// Calls that a running service does not make on this store, each with its reason.
pub fn unreached(kind: Kind) -> &'static [(&'static str, &'static str)] {
    match kind {
        Kind::Embedded => &[
            ("renew", "nobody else can take a partition of a store that one process has to itself: its lease needs no renewal"),
            ("applied", "asked only of partitions that another node has"),
            ("drain", "there is nobody to give a partition to"),
            UNLISTED,
        ],
        Kind::Redis => &[UNLISTED],
    }
}

const UNLISTED: (&str, &str) = ("scan", "asked only where lists of conversations are not kept");

/// Within the embedded store, while it works. Those of its opening are in `creation.rs`.
const WITHIN: [&str; 7] =
    ["log.written", "log.synced", "segment.created", "segment.headed", "segment.named", "state.written", "state.committed"];

/// One place to die at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Point {
    pub place: &'static str,
    pub side: &'static str,
}

/// All of a store's, those of one call together.
pub fn of(kind: Kind) -> Vec<Vec<Point>> {
    let is_reached = |place: &&str| unreached(kind).iter().all(|(unreached, _)| unreached != place);
    let calls = CALLS.into_iter().filter(is_reached).map(|place| [BEFORE, AFTER].map(|side| Point { place, side }).to_vec());
    let within = WITHIN.into_iter().filter(|_| kind == Kind::Embedded).map(|place| vec![Point { place, side: HERE }]);
    let only = std::env::var("ADJOURN_CRASH_ONLY").ok();
    let is_asked = |points: &Vec<Point>| only.as_ref().is_none_or(|only| only.split(',').any(|one| one == points[0].place));
    calls.chain(within).filter(is_asked).collect()
}

impl Point {
    /// Reached when the process is asked to stop, and hardly before.
    pub fn is_of_the_end(self) -> bool {
        ["leave", "drain", "release"].contains(&self.place)
    }

    /// How many times it is passed within a second or so, at least.
    pub fn passed(self) -> u64 {
        match self.place {
            "append" | "read" | "barrier" | "commit" | "load" | "due" | "log.written" | "log.synced" | "state.written"
            | "state.committed" => 40,
            "notifications" | "clock" => 12,
            "claim" | "renew" | "heartbeat" | "cluster" | "listed" => 3,
            _ => 1,
        }
    }
}
