//! Following the notifications of all partitions: what a subscriber holds, and how it goes on where it stopped.

use std::collections::VecDeque;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::join_all;

use crate::actors::node::handle::Node;
use crate::domain::PartitionId;
use crate::store::{Notification, NotificationPage, Store, StoreError};

/// Notifications taken from one partition at a time, so that a busy one does not keep the others waiting.
const PAGE: usize = 512;
/// Notifications asked for at a time, of all partitions: those of one partition after the other would each wait for an
/// answer. About 1 KB each, for every subscriber that is behind.
const ROUND: usize = 1_024;

/// Where a subscriber stands: the last number seen of every partition, of one incarnation of the store. May be resumed on
/// any node; repeats what was sent after it was handed out, never skips.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cursor {
    pub incarnation: u64,
    pub positions: Vec<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("this is not a cursor of this service: use the `id` of an event of the stream, or 0 for the oldest kept")]
pub struct BadCursor;

impl Cursor {
    /// As text without blanks, for `id:` and `after=`.
    pub fn encode(&self) -> String {
        let mut bytes = Vec::with_capacity(8 + self.positions.len() * 2);
        bytes.extend_from_slice(&self.incarnation.to_be_bytes());
        for position in &self.positions {
            let mut rest = *position;
            while rest >= 0x80 {
                bytes.push(rest as u8 | 0x80);
                rest >>= 7;
            }
            bytes.push(rest as u8);
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// # Errors
    /// [`BadCursor`] for anything [`encode`](Self::encode) did not write.
    pub fn decode(text: &str) -> Result<Self, BadCursor> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| BadCursor)?;
        let (incarnation, rest) = bytes.split_first_chunk::<8>().ok_or(BadCursor)?;
        let mut positions = Vec::new();
        let (mut value, mut shift) = (0_u64, 0);
        for byte in rest {
            value |= u64::from(byte & 0x7f).checked_shl(shift).ok_or(BadCursor)?;
            shift += 7;
            if byte & 0x80 == 0 {
                positions.push(value);
                (value, shift) = (0, 0);
            } else if shift > 63 {
                return Err(BadCursor);
            }
        }
        if shift != 0 { Err(BadCursor) } else { Ok(Self { incarnation: u64::from_be_bytes(*incarnation), positions }) }
    }
}

/// What a feed has next.
#[derive(Clone, PartialEq, Debug)]
pub enum Fed {
    /// In order within each partition. After them the feed's cursor is good.
    Notifications(Vec<Notification>),
    /// What the cursor pointed at is no longer kept, or is of another incarnation; the feed goes on from the oldest kept.
    Reset,
}

/// One subscriber's way through all partitions.
pub struct Feed {
    store: Arc<dyn Store>,
    cursor: Cursor,
    signal: tokio::sync::watch::Receiver<u64>,
    next_partition: u16,
    /// Fetched and not given out: the cursor does not know of them.
    ahead: VecDeque<(u16, Vec<Notification>)>,
    /// Nothing between the cursor and the heads has been trimmed, as far as anybody knows.
    settled: bool,
    /// Whether what was trimmed is told of. Whoever asked for the oldest kept asked for what is kept.
    told: bool,
    reset: bool,
}

impl Feed {
    /// From the next notification on.
    pub fn from_now(store: Arc<dyn Store>) -> Self {
        let cursor = Cursor { incarnation: store.incarnation(), positions: store.notification_heads() };
        Self { settled: true, ..Self::new(store, cursor) }
    }

    pub fn from_oldest(store: Arc<dyn Store>) -> Self {
        let cursor = Cursor { incarnation: store.incarnation(), positions: vec![0; store.partitions().get() as usize] };
        Self { told: false, ..Self::new(store, cursor) }
    }

    /// From where `cursor` stands; if that is of another incarnation, a [`Fed::Reset`] comes first.
    pub fn from_cursor(store: Arc<dyn Store>, cursor: Cursor) -> Self {
        let good = cursor.incarnation == store.incarnation() && cursor.positions.len() == store.partitions().get() as usize;
        if good {
            return Self::new(store, cursor);
        }
        Self { reset: true, ..Self::from_oldest(store) }
    }

    fn new(store: Arc<dyn Store>, cursor: Cursor) -> Self {
        let signal = store.notification_signal();
        Self { store, cursor, signal, next_partition: 0, ahead: VecDeque::new(), settled: false, told: true, reset: false }
    }

    /// Whether [`cursor`](Self::cursor) may be handed out: before, resuming from it would hide what was trimmed.
    pub fn is_settled(&self) -> bool {
        self.settled && !self.reset
    }

    /// Good after everything the feed has given out so far.
    pub fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// Waits for what comes next: at most one page, of one partition.
    ///
    /// # Errors
    /// Whatever the store answers; the cursor has not moved then.
    pub async fn next(&mut self) -> Result<Fed, StoreError> {
        loop {
            if !self.settled {
                self.settle().await?;
            }
            if std::mem::take(&mut self.reset) {
                return Ok(Fed::Reset);
            }
            if let Some(fed) = self.give() {
                return Ok(fed);
            }
            self.signal.borrow_and_update();
            let behind = self.behind(&self.store.notification_heads());
            if !behind.is_empty() {
                self.fetch(behind).await?;
            } else if self.signal.changed().await.is_err() {
                return Err(StoreError::Unavailable("the store was closed".into()));
            }
        }
    }

    fn give(&mut self) -> Option<Fed> {
        let (partition, items) = self.ahead.pop_front()?;
        self.cursor.positions[usize::from(partition)] = items.last()?.number;
        Some(Fed::Notifications(items))
    }

    /// Moves the cursor up to what is kept, in all partitions at once: however many were trimmed, a subscriber starts
    /// over once. Zero is a position like any other: a cursor taken before a partition's first notification stands there.
    async fn settle(&mut self) -> Result<(), StoreError> {
        self.ahead.clear();
        let mut positions = self.cursor.positions.clone();
        for (partition, head) in self.store.notification_heads().into_iter().enumerate() {
            let position = &mut positions[partition];
            if head > *position {
                let oldest = self.store.notifications(PartitionId(partition as u16), *position, 1).await?.oldest;
                *position = oldest.saturating_sub(1).max(*position);
            }
        }
        self.reset |= self.told && positions != self.cursor.positions;
        self.cursor.positions = positions;
        (self.settled, self.told) = (true, true);
        Ok(())
    }

    /// The next partitions in turn with something new, and how far: as many as a round takes.
    fn behind(&mut self, heads: &[u64]) -> Vec<(u16, u64)> {
        let (count, start) = (heads.len(), usize::from(self.next_partition));
        let mut room = ROUND;
        let mut found = Vec::new();
        for partition in (start..start + count).map(|p| p % count) {
            let head = heads[partition];
            let rows = self.rows(partition as u16, head);
            if rows == 0 {
                continue;
            }
            if room == 0 {
                break;
            }
            room = room.saturating_sub(rows);
            found.push((partition as u16, head));
            self.next_partition = ((partition + 1) % count) as u16;
        }
        found
    }

    /// How many to ask a partition for: no more than there are, a store reads a few without ado.
    fn rows(&self, partition: u16, head: u64) -> usize {
        let left = head.saturating_sub(self.cursor.positions[usize::from(partition)]);
        usize::try_from(left).unwrap_or(PAGE).min(PAGE)
    }

    /// The heads were the partitions' before their pages are read: what is committed meanwhile lies above them. Of some
    /// that fail and some that answer, those are given; whoever failed is asked again.
    async fn fetch(&mut self, behind: Vec<(u16, u64)>) -> Result<(), StoreError> {
        let asked = behind.iter().map(|(partition, head)| {
            let position = self.cursor.positions[usize::from(*partition)];
            self.store.notifications(PartitionId(*partition), position, self.rows(*partition, *head))
        });
        let pages = join_all(asked).await;
        let mut failed = Ok(());
        for ((partition, head), page) in behind.into_iter().zip(pages) {
            match page {
                Ok(page) => self.note(partition, head, page),
                Err(error) => failed = Err(error),
            }
        }
        if self.ahead.is_empty() { failed } else { Ok(()) }
    }

    fn note(&mut self, partition: u16, head: u64, mut page: NotificationPage) {
        let position = &mut self.cursor.positions[usize::from(partition)];
        // Where numbers were skipped, that many lie beyond the head as well, and not all the replicas may have those yet.
        page.items.retain(|notification| notification.number <= head);
        if *position + 1 < page.oldest {
            // Trimmed while this subscriber was slow.
            self.settled = false;
        } else if page.items.is_empty() {
            // None of what is left can be read: there is nothing to give.
            *position = head.max(*position);
        } else {
            self.ahead.push_back((partition, page.items));
        }
    }
}

impl Node {
    /// Follows notifications from now on.
    pub fn follow(&self) -> Feed {
        Feed::from_now(self.store().clone())
    }

    pub fn follow_from_oldest(&self) -> Feed {
        Feed::from_oldest(self.store().clone())
    }

    pub fn follow_from(&self, cursor: Cursor) -> Feed {
        Feed::from_cursor(self.store().clone(), cursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_read_back() {
        let cursor = Cursor { incarnation: 0xdead_beef_0000_0001, positions: vec![0, 1, 127, 128, 300, u64::MAX] };
        assert_eq!(Cursor::decode(&cursor.encode()), Ok(cursor));
    }

    #[test]
    fn anything_else_is_no_cursor() {
        for text in ["", "17", "not a cursor", "AAAAAAAAAAD_", "////"] {
            assert!(Cursor::decode(text).is_err(), "{text:?}");
        }
    }
}
