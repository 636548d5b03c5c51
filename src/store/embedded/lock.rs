//! One process, one directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use super::OpenError;

/// Held while the store is open. The operating system lets go of it when the process dies, however it dies, so there is
/// no stale lock to clear away.
pub struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// # Errors
    /// [`OpenError::InUse`] when another process, or another store of this one, has the directory.
    pub fn take(dir: &Path) -> Result<Self, OpenError> {
        let path = dir.join("lock");
        let file =
            OpenOptions::new().write(true).create(true).truncate(false).open(&path).map_err(|cause| OpenError::io("open", &path, cause))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse { dir: dir.to_owned() }),
            Err(TryLockError::Error(cause)) => Err(OpenError::io("lock", &path, cause)),
        }
    }
}
