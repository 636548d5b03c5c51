//! What nodes tell each other over the channel: a notification was committed, a partition was given back, the cluster
//! changed. Any of it may be lost, so it is read from the keys as well, now and then and after every reconnect.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{broadcast, watch};

use crate::domain::{PartitionCount, PartitionId};
use crate::store::Hint;

/// Hints kept for a listener that is slow; one that misses some looks at everything anyway.
const HINTS_KEPT: usize = 1_024;

/// The number of every partition's last notification, as far as this node has heard, and who listens.
pub struct Heads {
    numbers: Vec<AtomicU64>,
    signal: watch::Sender<u64>,
    hints: broadcast::Sender<Hint>,
}

impl Heads {
    pub fn new(partitions: PartitionCount) -> Self {
        let numbers = partitions.all().map(|_| AtomicU64::new(0)).collect();
        Self { numbers, signal: watch::Sender::new(0), hints: broadcast::Sender::new(HINTS_KEPT) }
    }

    pub fn all(&self) -> Vec<u64> {
        self.numbers.iter().map(|number| number.load(Ordering::Acquire)).collect()
    }

    pub fn signal(&self) -> watch::Receiver<u64> {
        self.signal.subscribe()
    }

    pub fn hints(&self) -> broadcast::Receiver<Hint> {
        self.hints.subscribe()
    }

    /// Numbers only grow: what was told late changes nothing.
    pub fn raise(&self, partition: PartitionId, number: u64) {
        let Some(head) = self.numbers.get(usize::from(partition.0)) else { return };
        if head.fetch_max(number, Ordering::AcqRel) < number {
            self.signal.send_modify(|changes| *changes += 1);
        }
    }

    /// A message from the channel. What makes no sense, from a newer version perhaps, is left alone.
    pub fn hear(&self, message: &[u8]) {
        match read(message) {
            Some(Signal::Told { partition, number }) => self.raise(partition, number),
            Some(Signal::Hint(hint)) => self.hint(hint),
            None => tracing::debug!("a message on the channel makes no sense here"),
        }
    }

    pub fn hint(&self, hint: Hint) {
        // Nobody listening is fine.
        let _ = self.hints.send(hint);
    }
}

#[derive(Debug, PartialEq)]
enum Signal {
    Told { partition: PartitionId, number: u64 },
    Hint(Hint),
}

/// Notifications up to this number are committed.
pub fn told(partition: PartitionId, number: u64) -> String {
    format!("told {} {number}", partition.0)
}

pub fn released(partition: PartitionId, to: Option<&str>) -> String {
    format!("released {} {}", partition.0, to.unwrap_or(""))
}

pub const CHANGED: &str = "changed";

fn read(message: &[u8]) -> Option<Signal> {
    let mut words = std::str::from_utf8(message).ok()?.split(' ');
    let kind = words.next()?;
    if kind == CHANGED {
        return Some(Signal::Hint(Hint::Changed));
    }
    let partition = PartitionId(words.next()?.parse().ok()?);
    match (kind, words.next()?) {
        ("told", number) => Some(Signal::Told { partition, number: number.parse().ok()? }),
        ("released", to) => Some(Signal::Hint(Hint::Released { partition, to: Some(to).filter(|to| !to.is_empty()).map(Into::into) })),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_heard() {
        let p = PartitionId(7);
        assert_eq!(read(told(p, 9).as_bytes()), Some(Signal::Told { partition: p, number: 9 }));
        let released_to = |to: Option<&str>| Some(Signal::Hint(Hint::Released { partition: p, to: to.map(Into::into) }));
        assert_eq!(read(released(p, Some("b")).as_bytes()), released_to(Some("b")));
        assert_eq!(read(released(p, None).as_bytes()), released_to(None));
        assert_eq!(read(CHANGED.as_bytes()), Some(Signal::Hint(Hint::Changed)));
        for nonsense in ["", "told", "told x 1", "told 1 x", "later 1 2"] {
            assert_eq!(read(nonsense.as_bytes()), None, "{nonsense:?}");
        }
    }

    #[test]
    fn heads_never_go_back() {
        let heads = Heads::new(PartitionCount::new(2).unwrap());
        heads.hear(told(PartitionId(1), 5).as_bytes());
        heads.hear(told(PartitionId(1), 3).as_bytes());
        heads.hear(told(PartitionId(9), 3).as_bytes());
        assert_eq!(heads.all(), [0, 5]);
    }
}
