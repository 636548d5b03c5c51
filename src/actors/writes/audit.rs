//! What administrators did: written down before it is done, and what came of it after.

use super::documents::Kept;
use crate::actors::Node;
use crate::domain::audit::{AuditLog, Deed};
use crate::store::{Shelf, StoreError, record};

const AUDIT: Kept<AuditLog> = Kept {
    shelf: Shelf::Audit,
    none: AuditLog::default,
    version: |log| log.version,
    encode: record::encode_audit,
    decode: record::decode_audit,
};

impl Node {
    /// Of a workspace, or of what belongs to none ([`crate::store::EVERYWHERE`]).
    ///
    /// # Errors
    /// The store's; `Unreadable` where the document is.
    pub async fn audit_log(&self, workspace: &str) -> Result<AuditLog, StoreError> {
        AUDIT.of(&**self.store(), workspace).await
    }

    /// Writes down what is about to be done, now; its number, for [`end_deed`](Self::end_deed).
    ///
    /// # Errors
    /// The store's: it is not certain that it is written down, and it is not to be done.
    pub async fn begin_deed(&self, workspace: &str, deed: Deed) -> Result<u64, StoreError> {
        let deed = Deed { at: self.store().clock().await?, ..deed };
        let mut number = 0;
        let begun = |before: &AuditLog| {
            let mut log = before.clone();
            number = log.begin(deed.clone());
            Ok::<_, StoreError>(log)
        };
        AUDIT.change(&**self.store(), workspace, begun).await?;
        Ok(number)
    }

    /// Writes down what came of it.
    ///
    /// # Errors
    /// The store's.
    pub async fn end_deed(&self, workspace: &str, number: u64, status: u16) -> Result<(), StoreError> {
        let ended = |before: &AuditLog| {
            let mut log = before.clone();
            log.end(number, status);
            Ok::<_, StoreError>(log)
        };
        AUDIT.change(&**self.store(), workspace, ended).await.map(drop)
    }
}
