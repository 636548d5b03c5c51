//! A power loss, for the files of one directory, wherever in them is written: a few lines of C (`disk_shim.c`), preloaded into a
//! process, note what each write replaces, and what was brought to the disk; once the process is killed, what was not is taken
//! back.
//!
//! A disk may have written any of it, in any order: a sector holds what it held when it was last brought there, or what was
//! written to it since, up to any of those writes; a file's length and a new name likewise. What is taken back of each, the
//! test decides. The journal goes on over the lives of a process: what one wrote that was killed, and the next one read, is
//! still not on the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::ops::AddAssign;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use tempfile::TempDir;

use super::process::directory;
use super::shim::compiled;

/// Written as a whole or not at all, by any disk.
const SECTOR: u64 = 512;

pub struct Disk {
    /// What is in there can be lost.
    files: PathBuf,
    /// The shim and its journal.
    own: TempDir,
    slow: Duration,
    lies: bool,
}

/// What a power loss took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// What was not on the disk: writes, changes of a length, new names.
    pub open: u64,
    /// Sectors that went back.
    pub sectors: u64,
    /// Lengths that did.
    pub lengths: u64,
    /// Files and directories that nobody finds any more.
    pub names: u64,
}

impl AddAssign for Lost {
    fn add_assign(&mut self, more: Self) {
        self.open += more.open;
        self.sectors += more.sectors;
        self.lengths += more.lengths;
        self.names += more.names;
    }
}

impl Disk {
    /// Of this directory, which is there and stays.
    pub fn of(files: &Path) -> Self {
        let own = directory();
        fs::write(own.path().join("shim.so"), shim()).unwrap();
        fs::write(own.path().join("journal"), "").unwrap();
        Self { files: fs::canonicalize(files).unwrap(), own, slow: Duration::ZERO, lies: false }
    }

    /// Bringing something to it takes so much longer: a fast one is seldom caught.
    pub fn slow(self, by: Duration) -> Self {
        Self { slow: by, ..self }
    }

    /// It says that it has what it never had.
    pub fn lying(self) -> Self {
        Self { lies: true, ..self }
    }

    /// The directory, as the kernel names it: processes must know it by no other name.
    pub fn files(&self) -> &Path {
        &self.files
    }

    /// Lets the process that `command` starts write to this disk. None that did before lives on.
    pub fn preload(&self, command: &mut Command) {
        // Whoever was killed while it noted something left the beginning of it: what comes behind is to be read too.
        let whole = Open::read(&fs::read(self.journal()).unwrap()).whole;
        OpenOptions::new().write(true).open(self.journal()).unwrap().set_len(whole).unwrap();
        command.env("LD_PRELOAD", self.own.path().join("shim.so")).env("RIG_DISK_DIR", &self.files);
        command.env("RIG_DISK_JOURNAL", self.journal()).env("RIG_DISK_SLOW_US", self.slow.as_micros().to_string());
        if self.lies {
            command.env("RIG_DISK_LIES", "1");
        }
    }

    /// Grows when a write begins, and when something is on the disk.
    pub fn noted(&self) -> u64 {
        fs::metadata(self.journal()).unwrap().len()
    }

    /// Whether behind there, as [`Self::noted`] had it, a write has begun first, and not something come to be on the disk.
    pub fn has_begun_to_write(&self, noted: u64) -> bool {
        let mut kind = [0];
        let read = File::open(self.journal()).unwrap().read_at(&mut kind, noted).unwrap();
        read == 1 && kind != *b"S"
    }

    /// Takes back what is not on the disk. `keeps` is asked of each sector, length and name whether the disk happened to have
    /// it all the same: of a sector and of a length first whether it had all of it, then all but the last write, and so on.
    /// Nobody may have the files open.
    pub fn lose(&self, mut keeps: impl FnMut() -> bool) -> Lost {
        let journal = fs::read(self.journal()).unwrap();
        let Open { mut changes, mut names, .. } = Open::read(&journal);
        let mut lost = Lost { open: (changes.values().map(Vec::len).sum::<usize>() + names.len()) as u64, ..Lost::default() };
        for (path, changes) in &mut changes {
            changes.sort_by_key(|change| std::cmp::Reverse(change.noted_at));
            take_back(path, changes, &mut keeps, &mut lost);
        }
        // What is in a directory is newer than the directory.
        names.sort_by_key(|name| std::cmp::Reverse(name.noted_at));
        for Name { path, .. } in names.iter().filter(|_| !keeps()) {
            let is_there = fs::symlink_metadata(path).map(|about| about.is_dir());
            match is_there {
                Ok(true) => fs::remove_dir_all(path).unwrap(),
                Ok(false) => fs::remove_file(path).unwrap(),
                Err(_) => continue, // noted, and the process was killed before it came to be
            }
            lost.names += 1;
        }
        // What is there now is what the disk has.
        fs::write(self.journal(), "").unwrap();
        lost
    }

    fn journal(&self) -> PathBuf {
        self.own.path().join("journal")
    }
}

/// A write or a change of the length.
struct Change<'a> {
    noted_at: u64,
    at: u64,
    /// Bytes written; 0: only the length changed.
    count: u64,
    len_before: u64,
    /// What was there from `at` on.
    bytes: &'a [u8],
}

struct Name {
    noted_at: u64,
    path: PathBuf,
}

/// What is not on the disk.
#[derive(Default)]
struct Open<'a> {
    changes: BTreeMap<PathBuf, Vec<Change<'a>>>,
    names: Vec<Name>,
    /// Bytes of the journal up to the end of its last whole record.
    whole: u64,
}

impl<'a> Open<'a> {
    fn read(journal: &'a [u8]) -> Self {
        let (mut open, mut rest) = (Self::default(), journal);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let noted_at = (journal.len() - rest.len()) as u64;
            let line = str::from_utf8(&rest[..end]).unwrap();
            let mut words = line.splitn(5, ' ');
            let kind = words.next().unwrap();
            let [at, count, len_before] = std::array::from_fn(|_| words.next().unwrap().parse::<u64>().unwrap());
            let path = PathBuf::from(words.next().unwrap());
            let kept = len_before.saturating_sub(at).min(count) as usize;
            // The process was killed while it noted this, and did not come to do it.
            let Some((bytes, behind)) = rest[end + 1..].split_at_checked(kept) else { break };
            rest = behind;
            open.whole = (journal.len() - rest.len()) as u64;
            match kind {
                "W" => open.changes.entry(path).or_default().push(Change { noted_at, at, count, len_before, bytes }),
                "T" => open.changes.entry(path).or_default().push(Change { noted_at, at, count: 0, len_before, bytes }),
                "N" => open.names.push(Name { noted_at, path }),
                "S" => open.synced(&path, at),
                _ => panic!("the journal of a disk has no line like {line}"),
            }
        }
        open
    }

    /// Of a file, what is in it; of a directory, the names.
    fn synced(&mut self, path: &Path, begun: u64) {
        if let Some(changes) = self.changes.get_mut(path) {
            changes.retain(|change| change.noted_at >= begun);
        }
        self.names.retain(|name| name.noted_at >= begun || name.path.parent() != Some(path));
    }
}

/// The newest change comes first.
fn take_back(path: &Path, changes: &[Change], keeps: &mut impl FnMut() -> bool, lost: &mut Lost) {
    if changes.is_empty() {
        return;
    }
    let Ok(file) = OpenOptions::new().write(true).open(path) else { return }; // noted, and killed before it was created
    let mut len = file.metadata().unwrap().len();
    let (mut len_stays, mut stay) = (false, BTreeSet::new());
    for change in changes {
        let Change { at, count, len_before, bytes, .. } = *change;
        len_stays = len_stays || keeps();
        if !len_stays {
            lost.lengths += u64::from(len != len_before);
            len = len_before;
        }
        if count == 0 && !len_stays {
            // Not cut off after all, and whatever came there since never did.
            file.write_all_at(bytes, at).unwrap();
        }
        for sector in at / SECTOR..(at + count).div_ceil(SECTOR) {
            if stay.contains(&sector) || keeps() {
                stay.insert(sector);
                continue;
            }
            let (from, to) = (at.max(sector * SECTOR), (at + count).min((sector + 1) * SECTOR));
            put_back(&file, change, from, to);
            lost.sectors += 1;
        }
    }
    file.set_len(len).unwrap();
}

/// Behind the end there was nothing: where the length stays, that is zeros.
fn put_back(file: &File, change: &Change, from: u64, to: u64) {
    let mut bytes = vec![0; (to - from) as usize];
    let old = change.bytes.get((from - change.at) as usize..).unwrap_or_default();
    let known = old.len().min(bytes.len());
    bytes[..known].copy_from_slice(&old[..known]);
    file.write_all_at(&bytes, from).unwrap();
}

/// Compiled once in this process.
fn shim() -> &'static [u8] {
    static SHIM: OnceLock<Vec<u8>> = OnceLock::new();
    SHIM.get_or_init(|| compiled(include_str!("disk_shim.c")))
}
