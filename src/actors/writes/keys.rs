//! API keys: one document of all workspaces, and beside it when each was used last.

use std::collections::BTreeMap;

use super::documents::Kept;
use crate::actors::Node;
use crate::domain::Timestamp;
use crate::domain::access::{KeyChange, KeyError, KeyUse, Keys};
use crate::store::{EVERYWHERE, Shelf, Store, StoreError, record};

const KEYS: Kept<Keys> = Kept {
    shelf: Shelf::Keys,
    none: Keys::default,
    version: |keys| keys.version,
    encode: record::encode_keys,
    decode: record::decode_keys,
};

const KEY_USE: Kept<KeyUse> = Kept {
    shelf: Shelf::KeyUse,
    none: KeyUse::default,
    version: |used| used.version,
    encode: record::encode_key_use,
    decode: record::decode_key_use,
};

#[derive(Clone, Debug, thiserror::Error)]
pub enum KeysRefused {
    #[error(transparent)]
    Invalid(#[from] KeyError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The keys of a store, and its clock, by which they expire: before there is a node to ask.
///
/// # Errors
/// The store's; `Unreadable` where the document is.
pub async fn stored(store: &dyn Store) -> Result<(Keys, Timestamp), StoreError> {
    Ok((KEYS.of(store, EVERYWHERE).await?, store.clock().await?))
}

impl Node {
    /// The keys, and the clock by which they expire.
    ///
    /// # Errors
    /// The store's; `Unreadable` where the document is.
    pub async fn keys(&self) -> Result<(Keys, Timestamp), StoreError> {
        stored(&**self.store()).await
    }

    /// Changes the keys; answers with all of them, and when that was, when that is durable. Other nodes know within about a second.
    /// `ruled`: as in [`Keys::changed`].
    ///
    /// # Errors
    /// `Invalid`: nothing was changed. `Store`: `OutcomeUnknown` may be done.
    pub async fn change_keys(&self, change: KeyChange, ruled: bool) -> Result<(Keys, Timestamp), KeysRefused> {
        let now = self.store().clock().await?;
        let changed = |before: &Keys| Ok::<_, KeysRefused>(before.changed(change.clone(), now, ruled)?);
        Ok((KEYS.change(&**self.store(), EVERYWHERE, changed).await?, now))
    }

    /// When each key was used last.
    ///
    /// # Errors
    /// The store's; `Unreadable` where the document is.
    pub async fn key_use(&self) -> Result<KeyUse, StoreError> {
        KEY_USE.of(&**self.store(), EVERYWHERE).await
    }

    /// Remembers that keys were used.
    ///
    /// # Errors
    /// The store's.
    pub async fn keys_used(&self, used: &BTreeMap<Box<str>, Timestamp>, keys: &Keys) -> Result<(), StoreError> {
        KEY_USE.change(&**self.store(), EVERYWHERE, |before| Ok::<_, StoreError>(before.seen(used, keys))).await.map(drop)
    }
}
