//! Names: of conversations, events, partitions. A value of these types is valid; nobody checks it again.

use std::cmp::Ordering;
use std::fmt;
use std::hash::Hasher;
use std::sync::Arc;

/// Longest workspace or conversation name, and longest event id or source, in bytes (CONTRACT.md).
pub const NAME_BYTES_MAX: usize = 128;

/// Longest text inside an event (an agent's name, a note's summary), in bytes. A note's summary is at most 512
/// characters (L10), four bytes each at worst.
pub const TEXT_BYTES_MAX: usize = 2_048;

/// Why a text is no name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NameError {
    #[error("must be 1 to {NAME_BYTES_MAX} of A-Z a-z 0-9 . _ : -")]
    Name,
    #[error("must be 1 to {NAME_BYTES_MAX} printable ASCII characters")]
    Printable,
}

/// Whether `text` may name a workspace or a conversation: 1..128 of `A-Z a-z 0-9 . _ : -`.
pub fn is_name(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-'))
}

/// Whether `text` may be an event's id or source: 1..128 printable ASCII characters, the blank among them.
pub fn is_printable(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
}

/// One conversation of one workspace: the text `workspace/conversation`, which is also its key in every store.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConversationKey {
    text: Arc<str>,
    slash: u8,
}

impl ConversationKey {
    /// # Errors
    /// [`NameError::Name`] when either part is not a name.
    pub fn new(workspace: &str, conversation: &str) -> Result<Self, NameError> {
        if !is_name(workspace) || !is_name(conversation) {
            return Err(NameError::Name);
        }
        let mut text = String::with_capacity(workspace.len() + 1 + conversation.len());
        text.push_str(workspace);
        text.push('/');
        text.push_str(conversation);
        Ok(Self { text: text.into(), slash: workspace.len() as u8 })
    }

    /// Reads what [`as_str`](Self::as_str) wrote.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let (workspace, conversation) = text.split_once('/').ok_or(NameError::Name)?;
        Self::new(workspace, conversation)
    }

    pub fn workspace(&self) -> &str {
        &self.text[..self.slash as usize]
    }

    pub fn conversation(&self) -> &str {
        &self.text[self.slash as usize + 1..]
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The partition this conversation lives in for ever: CRC-32 (IEEE) of the key, modulo `partitions`.
    pub fn partition(&self, partitions: PartitionCount) -> PartitionId {
        partition_of(&self.text, partitions)
    }
}

impl fmt::Debug for ConversationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for ConversationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// CRC-32 (IEEE) of `text` modulo `partitions`: of a conversation's key, or of a workspace for what has no conversation.
pub fn partition_of(text: &str, partitions: PartitionCount) -> PartitionId {
    PartitionId((crc32fast::hash(text.as_bytes()) % u32::from(partitions.0)) as u16)
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PartitionId(pub u16);

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// How many partitions a store has; fixed when it is created.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PartitionCount(u16);

impl PartitionCount {
    /// More would cost every node a lease, a tick and a log position each, for nothing a cluster of this kind needs.
    pub const MAX: u16 = 1_024;

    /// `None` unless 1..=1024.
    pub fn new(count: u16) -> Option<Self> {
        (1..=Self::MAX).contains(&count).then_some(Self(count))
    }

    pub fn get(self) -> u16 {
        self.0
    }

    pub fn all(self) -> impl DoubleEndedIterator<Item = PartitionId> + ExactSizeIterator {
        (0..self.0).map(PartitionId)
    }
}

/// The name of an event, for ever: (`source`, `id`) of its CloudEvent.
/// Ordered by id, then source, bytewise: the last tie-break of "later".
///
/// Both halves in one shared text: a name stands in up to a dozen places of a conversation, which is copied at each step.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EventName {
    text: Arc<str>,
    id_bytes: u8,
}

impl EventName {
    /// # Errors
    /// [`NameError::Printable`] when either part is empty, too long or not printable ASCII.
    pub fn new(source: &str, id: &str) -> Result<Self, NameError> {
        if !is_printable(source) || !is_printable(id) {
            return Err(NameError::Printable);
        }
        let mut text = String::with_capacity(id.len() + source.len());
        text.push_str(id);
        text.push_str(source);
        Ok(Self { text: text.into(), id_bytes: id.len() as u8 })
    }

    pub fn id(&self) -> &str {
        &self.text[..self.id_bytes as usize]
    }

    pub fn source(&self) -> &str {
        &self.text[self.id_bytes as usize..]
    }

    /// A stable 64-bit hash of the name, for remembering that it was seen (D6). Keyed with nothing: it is stored, so it
    /// must be the same in every process; a collision within the last 32 events of one conversation costs one event
    /// in 2^58.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut hasher = siphasher::sip::SipHasher13::new();
        hasher.write(self.source().as_bytes());
        hasher.write_u8(0);
        hasher.write(self.id().as_bytes());
        Fingerprint(hasher.finish())
    }
}

impl Ord for EventName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.id().cmp(other.id()).then_with(|| self.source().cmp(other.source()))
    }
}

impl PartialOrd for EventName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {:?}", self.id(), self.source())
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Fingerprint(pub u64);

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn partitions_are_where_the_contract_says() {
        let p128 = PartitionCount::new(128).unwrap();
        assert_eq!(ConversationKey::new("ws_42", "conv_991827").unwrap().partition(p128), PartitionId(56));
        assert_eq!(ConversationKey::new("ws_1", "1").unwrap().partition(p128), PartitionId(65));
    }

    #[test]
    fn names_are_checked_once() {
        assert!(ConversationKey::new("acme", "conv-42").is_ok());
        for bad in ["", "a/b", "a b", "ä", &"x".repeat(129)] {
            assert!(ConversationKey::new("acme", bad).is_err(), "{bad:?}");
            assert!(ConversationKey::new(bad, "c").is_err(), "{bad:?}");
        }
        let key = ConversationKey::new("acme", "conv-42").unwrap();
        assert_eq!((key.workspace(), key.conversation()), ("acme", "conv-42"));
        assert_eq!(ConversationKey::parse(key.as_str()).unwrap(), key);
    }

    #[test]
    fn fingerprints_never_change() {
        // Stored in every row: a different answer here would let repeats through after an upgrade.
        assert_eq!(
            EventName::new("/ingest/whatsapp", "m-8812").unwrap().fingerprint(),
            EventName::new("/ingest/whatsapp", "m-8812").unwrap().fingerprint()
        );
        assert_ne!(EventName::new("a", "bc").unwrap().fingerprint(), EventName::new("ab", "c").unwrap().fingerprint());
    }

    /// Row 16: a hash tag of Redis, a separator of ours, or anything else that could make one name look like another.
    #[test]
    fn row_16_no_name_has_a_character_with_a_meaning_in_a_key() {
        for bad in ["{p1}", "{", "}", "a{b", "/", "a/b", "*", "?", "[a]", "\\", "%7b", "\0", "\r\n", "\u{1b}[0m", "a\u{301}"] {
            assert!(ConversationKey::new("acme", bad).is_err() && ConversationKey::new(bad, "c").is_err(), "{bad:?}");
        }
    }

    proptest! {
        /// Row 16: names that differ, keys that differ; also where the halves put together would be the same text.
        #[test]
        fn row_16_no_two_conversations_have_one_key(halves in vec("[a:._-]{1,4}", 4)) {
            let [a, b, c, d] = [0, 1, 2, 3].map(|n| halves[n].as_str());
            let (one, other) = (ConversationKey::new(a, b).unwrap(), ConversationKey::new(c, d).unwrap());
            prop_assert_eq!(one.as_str() == other.as_str(), (a, b) == (c, d));
            prop_assert_eq!((one.workspace(), one.conversation()), (a, b));
        }

        /// Row 16: what may name something may not hold a brace, a slash or a blank, and what holds nothing else may.
        #[test]
        fn row_16_names_are_of_their_letters_only(text in "\\PC{0,6}") {
            let allowed = |c: char| c.is_ascii_alphanumeric() || ".:_-".contains(c);
            prop_assert_eq!(is_name(&text), !text.is_empty() && text.chars().all(allowed));
        }
    }
}
