//! A store whose every call is a place to die at (`faults::crash`): before it reaches the store, and after it was carried out
//! and before its caller hears of it.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{BackupRefused, BackupStatus, Store};
use crate::faults::crash::{self, AFTER, BEFORE};

/// The calls that go to the store; the others answer from memory.
pub const CALLS: [&str; 32] = [
    "clock",
    "append",
    "read",
    "barrier",
    "claim",
    "renew",
    "release",
    "commit",
    "load",
    "texts",
    "rollups",
    "rollups_before",
    "due",
    "listed",
    "scan",
    "walk",
    "applied",
    "notifications",
    "applied_settings",
    "settings",
    "all_settings",
    "record_settings",
    "document",
    "put_document",
    "dead_letters",
    "stats",
    "count_due",
    "cluster",
    "heartbeat",
    "leave",
    "drain",
    "pin",
];

/// The store itself where nothing is planned.
///
/// # Errors
/// As [`crash::is_planned`].
pub fn around(store: Arc<dyn Store>) -> Result<Arc<dyn Store>, String> {
    Ok(if crash::is_planned()? { Arc::new(Crashing(store)) } else { store })
}

struct Crashing(Arc<dyn Store>);

impl Crashing {
    fn store(&self) -> &Arc<dyn Store> {
        &self.0
    }

    fn pass<'a, T: Send + 'a>(&'a self, name: &'static str, call: impl FnOnce() -> BoxFuture<'a, T> + Send + 'a) -> BoxFuture<'a, T> {
        Box::pin(async move {
            crash::pass(name, BEFORE);
            let answer = call().await;
            crash::pass(name, AFTER);
            answer
        })
    }
}

impl Store for Crashing {
    crate::forward_store! {
        partitions incarnation clock append read barrier claim renew release commit load rollups texts rollups_before due listed scan
        walk applied notifications notification_heads notification_signal applied_settings settings all_settings record_settings
        document put_document dead_letters stats count_due is_exclusive cluster heartbeat leave drain pin closes_held hold_closes
        release_hold hints
    }

    fn begin_backup(&self, to: PathBuf) -> BoxFuture<'_, Result<BackupStatus, BackupRefused>> {
        self.0.begin_backup(to)
    }

    fn backup(&self) -> Option<BackupStatus> {
        self.0.backup()
    }
}
