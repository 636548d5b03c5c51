//! What a partition's row in the state file says: who owns it, where its chain and its log stand, what it counts.

use super::super::{CommitId, Lease, LogId, PartitionStats};
use crate::domain::PartitionId;

/// The first byte of the stored form. A reader refuses any other but the one before.
const VERSION: u8 = 2;
/// Ends before `whole_at`.
const WITHOUT_LISTS: u8 = 1;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PartitionState {
    /// Claims so far.
    pub epoch: u64,
    /// Of the claim that holds; `None` once it was given back.
    pub nonce: Option<u64>,
    pub head: CommitId,
    pub checkpoint: LogId,
    pub last_notification: u64,
    pub oldest_notification: u64,
    pub attempts: u32,
    pub trying: Option<(LogId, u32)>,
    /// The store's clock under which a close was last allowed, in ms: nothing is accepted before it any more.
    pub closed_at_ms: u64,
    pub conversations: u64,
    pub timers: u64,
    pub dead_letters: u64,
    /// The last commit that called the lists whole.
    pub whole_at: CommitId,
    /// Entries in them.
    pub list_entries: u64,
}

impl PartitionState {
    /// Whether the last commit called the lists whole, or there was none.
    pub fn lists_whole(&self) -> bool {
        self.whole_at == self.head
    }

    pub fn holds(&self, lease: Lease) -> bool {
        self.epoch == lease.epoch && self.nonce == Some(lease.nonce)
    }

    pub fn lease(&self, partition: PartitionId, nonce: u64) -> Lease {
        Lease { partition, epoch: self.epoch, nonce }
    }

    pub fn stats(&self, last: LogId, backlog: u64) -> PartitionStats {
        PartitionStats {
            conversations: self.conversations,
            timers: self.timers,
            checkpoint: self.checkpoint,
            last,
            backlog,
            dead_letters: self.dead_letters,
            last_notification: self.last_notification,
            oldest_notification: self.oldest_notification,
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(161);
        out.push(VERSION);
        let (trying, tries) = self.trying.map_or((LogId::ZERO, 0), |(id, tries)| (id, tries));
        let flags = u64::from(self.nonce.is_some()) | u64::from(self.trying.is_some()) << 1;
        let words = [
            flags,
            self.epoch,
            self.nonce.unwrap_or(0),
            low(self.head),
            high(self.head),
            self.checkpoint.ms,
            self.checkpoint.seq,
            self.last_notification,
            self.oldest_notification,
            u64::from(self.attempts),
            trying.ms,
            trying.seq,
            u64::from(tries),
            self.closed_at_ms,
            self.conversations,
            self.timers,
            self.dead_letters,
            low(self.whole_at),
            high(self.whole_at),
            self.list_entries,
        ];
        words.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
        out
    }

    /// `None` when this is no partition's row of these versions.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (version, bytes) = bytes.split_first()?;
        let (words, rest) = bytes.as_chunks::<8>();
        let mut words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        match *version {
            VERSION => {}
            WITHOUT_LISTS => words.extend([0; 3]),
            _ => return None,
        }
        let words: [u64; 20] = words.try_into().ok()?;
        let [flags, epoch, nonce, head_low, head_high, ms, seq, last, oldest, attempts, words @ ..] = words;
        let [trying_ms, trying_seq, tries, closed_at_ms, conversations, timers, dead_letters, whole_low, whole_high, entries] = words;
        rest.is_empty().then_some(Self {
            epoch,
            nonce: (flags & 1 != 0).then_some(nonce),
            head: commit(head_low, head_high),
            checkpoint: LogId { ms, seq },
            last_notification: last,
            oldest_notification: oldest,
            attempts: attempts as u32,
            trying: (flags & 2 != 0).then_some((LogId { ms: trying_ms, seq: trying_seq }, tries as u32)),
            closed_at_ms,
            conversations,
            timers,
            dead_letters,
            whole_at: commit(whole_low, whole_high),
            list_entries: entries,
        })
    }
}

fn low(commit: CommitId) -> u64 {
    commit.0 as u64
}

fn high(commit: CommitId) -> u64 {
    (commit.0 >> 64) as u64
}

fn commit(low: u64, high: u64) -> CommitId {
    CommitId(u128::from(high) << 64 | u128::from(low))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_reads_back() {
        let full = PartitionState {
            epoch: 3,
            nonce: Some(u64::MAX),
            head: CommitId(u128::MAX - 5),
            checkpoint: LogId { ms: 7, seq: 8 },
            last_notification: 9,
            oldest_notification: 4,
            attempts: 2,
            trying: Some((LogId { ms: 9, seq: 1 }, 3)),
            closed_at_ms: 11,
            conversations: 12,
            timers: 13,
            dead_letters: 14,
            whole_at: CommitId(u128::MAX - 5),
            list_entries: 24,
        };
        assert!(full.lists_whole());
        for state in [full, PartitionState::default()] {
            assert_eq!(PartitionState::decode(&state.encode()), Some(state));
        }
        assert_eq!(PartitionState::decode(&full.encode()[1..]), None);
        assert_eq!(PartitionState::decode(&[3; 161]), None);
        assert_eq!(PartitionState::decode(&[2; 137]), None);

        let before = [&[1], &full.encode()[1..137]].concat();
        let read = PartitionState::decode(&before).unwrap();
        assert_eq!(read, PartitionState { whole_at: CommitId(0), list_entries: 0, ..full });
        assert!(!read.lists_whole(), "a build that knows no lists has written it");
        assert!(
            PartitionState::decode(&[&[1], &PartitionState::default().encode()[1..137]].concat()).unwrap().lists_whole(),
            "and this is empty"
        );
    }
}
