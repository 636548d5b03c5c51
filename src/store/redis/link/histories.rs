//! Whose data it is that we see.
//!
//! A primary names the history of its data by a replication id, which is new after every restart and every failover. What
//! was acknowledged under another one may be gone.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

/// The histories we met, and how often another one took their place.
pub struct Histories {
    generation: watch::Sender<u64>,
    met: Mutex<Met>,
}

#[derive(Default)]
struct Met {
    histories: HashSet<Box<str>>,
    /// Whether what we see first is what there is.
    settled: bool,
    /// One primary at a time: one that comes back is another again.
    single: bool,
}

impl Histories {
    /// Of one primary: the first we meet is the one there is.
    pub fn of_one() -> Self {
        Self::new(true)
    }

    /// Of a cluster: all that are met before [`settle`](Self::settle) are those there are.
    pub fn of_many() -> Self {
        Self::new(false)
    }

    fn new(single: bool) -> Self {
        Self { generation: watch::Sender::new(0), met: Mutex::new(Met { single, ..Met::default() }) }
    }

    /// Notes a primary that was connected to; true when it is another than before.
    pub fn note(&self, replid: &str) -> bool {
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        if met.histories.contains(replid) {
            return false;
        }
        if met.single {
            met.histories.clear();
        }
        met.histories.insert(replid.into());
        let other = met.settled;
        met.settled |= met.single;
        if other {
            self.generation.send_modify(|generation| *generation += 1);
        }
        other
    }

    pub fn settle(&self) {
        self.met.lock().unwrap_or_else(PoisonError::into_inner).settled = true;
    }

    pub fn generation(&self) -> u64 {
        *self.generation.borrow()
    }

    pub fn watch(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_primary_is_the_one_there_is_and_every_other_counts() {
        let histories = Histories::of_one();
        let generations: Vec<u64> = ["a", "a", "b", "a"]
            .iter()
            .map(|replid| {
                histories.note(replid);
                histories.generation()
            })
            .collect();
        assert_eq!(generations, [0, 0, 1, 2]);
    }

    #[test]
    fn in_a_cluster_only_a_history_nobody_knew_counts() {
        let histories = Histories::of_many();
        histories.note("a");
        histories.note("b");
        histories.settle();
        histories.note("a");
        histories.note("b");
        assert_eq!(histories.generation(), 0);
        assert!(histories.note("c"));
        assert_eq!(histories.generation(), 1);
    }
}
