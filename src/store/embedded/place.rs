//! Where a backup goes: beside its name until it is whole. Whoever finds a directory under that name has a whole one.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{DirectoryLock, OpenError, segment};
use crate::store::BackupRefused;

/// In a directory that is being written; whoever opens that as a store is told so.
const INCOMPLETE: &str = "incomplete";
/// The state file, here and in a store.
pub const STATE: &str = "state.redb";

/// A directory of our own under a name of its own, and the name it is to have.
pub struct Place {
    to: PathBuf,
    parent: PathBuf,
    part: PathBuf,
    /// Against a second one with the same end, from another store.
    _lock: DirectoryLock,
}

/// Whether the directory is a backup that was cut off before it was whole.
pub fn is_cut_off(dir: &Path) -> bool {
    dir.join(INCOMPLETE).exists()
}

impl Place {
    /// `store`: the directory that is copied, which the copy must not lie in.
    ///
    /// # Errors
    /// `Place` says what is wrong with the path; nothing is left behind.
    pub fn take(to: &Path, store: &Path) -> Result<Self, BackupRefused> {
        let (to, parent) = resolved(to)?;
        let store = store.canonicalize().map_err(|cause| failed("find", store, &cause))?;
        if to.starts_with(&store) {
            return Err(refused(format!("{} lies in the directory of the store: name one outside, best on another disk", to.display())));
        }
        must_be_free(&to)?;
        let part = beside(&to);
        match fs::create_dir(&part) {
            Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => return Err(failed("create", &part, &cause)),
            Ok(()) => {}
            Err(_) => must_be_ours(&part)?,
        }
        let lock = DirectoryLock::take(&part).map_err(|error| match error {
            OpenError::InUse { .. } => {
                refused(format!("another process is writing a backup to {}: wait, or name another path", to.display()))
            }
            other => refused(other.to_string()),
        })?;
        let begun = File::create(part.join(INCOMPLETE)).and_then(|mark| mark.sync_all()).and_then(|()| segment::sync_dir(&part));
        begun.map_err(|cause| failed("write in", &part, &cause))?;
        if let Err(cause) = fs::remove_file(part.join(STATE))
            && cause.kind() != io::ErrorKind::NotFound
        {
            return Err(failed("clear", &part, &cause));
        }
        Ok(Self { to, parent, part, _lock: lock })
    }

    /// What it is called when it is whole.
    pub fn to(&self) -> &Path {
        &self.to
    }

    pub fn state(&self) -> PathBuf {
        self.part.join(STATE)
    }

    /// All is written and durable: gives it its name, durably.
    pub fn finish(self) -> io::Result<()> {
        fs::remove_file(self.part.join(INCOMPLETE))?;
        segment::sync_dir(&self.part)?;
        fs::rename(&self.part, &self.to)?;
        segment::sync_dir(&self.parent)
    }

    /// Leaves nothing behind, as far as the disk lets it.
    pub fn give_up(self) {
        if let Err(cause) = fs::remove_dir_all(&self.part) {
            tracing::warn!(path = %self.part.display(), %cause, "what was written of a backup could not be removed: remove it by hand");
        }
    }
}

/// The path with its parent as it really is, and that parent.
fn resolved(to: &Path) -> Result<(PathBuf, PathBuf), BackupRefused> {
    let named = to.file_name().filter(|_| to.is_absolute());
    let (Some(name), Some(parent)) = (named, to.parent()) else {
        return Err(refused(format!("{} is not the absolute path of a new directory: name one, such as /backups/monday", to.display())));
    };
    let parent = parent.canonicalize().map_err(|cause| {
        refused(format!("{} cannot be used: {cause}; create it on the machine of the service, writable for it", parent.display()))
    })?;
    Ok((parent.join(name), parent))
}

fn must_be_free(to: &Path) -> Result<(), BackupRefused> {
    match fs::symlink_metadata(to) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(cause) => Err(failed("look at", to, &cause)),
        Ok(found) if found.is_dir() && is_empty(to) => Ok(()),
        Ok(_) => Err(refused(format!("{} exists and is no empty directory: name a new one", to.display()))),
    }
}

fn is_empty(dir: &Path) -> bool {
    fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none())
}

/// What a backup that was cut off left, and nothing else, may be written over.
fn must_be_ours(part: &Path) -> Result<(), BackupRefused> {
    let only_locked =
        || fs::read_dir(part).is_ok_and(|mut entries| entries.all(|entry| entry.is_ok_and(|entry| entry.file_name() == "lock")));
    if is_cut_off(part) || only_locked() {
        return Ok(());
    }
    Err(refused(format!("{} is in the way and nothing that was left of a backup: move it away", part.display())))
}

fn beside(to: &Path) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

fn failed(action: &str, path: &Path, cause: &io::Error) -> BackupRefused {
    refused(format!("cannot {action} {}: {cause}; it must be writable for the service", path.display()))
}

fn refused(reason: impl Into<Arc<str>>) -> BackupRefused {
    BackupRefused::Place(reason.into())
}
