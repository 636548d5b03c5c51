//! What is lost with the power, wherever it was written, and what is not.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use super::rig::disk::{Disk, Lost};
use super::rig::process::{self, Process, wait_until};

/// Where the program below writes, and whether it brings to the disk what it wrote last.
const DIRECTORY: &str = "RIG_TEST_DISK";
const SYNCS: &str = "RIG_TEST_DISK_SYNCS";
const SECTOR: usize = 512;
/// Of the file that is written anywhere.
const SECTORS: usize = 64;

/// Writes as a store does, brings it to the disk, and writes on; it waits then to be killed. Does nothing unless it is started
/// by [`after_a_power_loss`].
#[test]
fn the_program_on_the_disk() {
    let (Some(dir), Some(syncs)) = (env::var_os(DIRECTORY), env::var_os(SYNCS)) else { return };
    let (dir, syncs) = (Path::new(&dir), syncs == "1");
    let sync = |file: &File| syncs.then(|| file.sync_data().unwrap());
    let create = |name: &str| OpenOptions::new().write(true).create(true).truncate(true).open(dir.join(name)).unwrap();
    let (mut appended, placed, shortened, begun_anew) = (create("appended"), create("placed"), create("shortened"), create("begun anew"));
    appended.write_all(b"synced").unwrap();
    placed.write_all_at(&[b'o'; SECTORS * SECTOR], 0).unwrap();
    shortened.write_all_at(b"long", 0).unwrap();
    begun_anew.write_all_at(b"old", 0).unwrap();
    [&appended, &placed, &shortened, &begun_anew].into_iter().for_each(|file| file.sync_data().unwrap());
    File::open(dir).unwrap().sync_all().unwrap();

    appended.write_all(b", and not").unwrap();
    sync(&appended);
    // Twice, as a header is, and over the end.
    placed.write_all_at(&[b'x'; SECTOR], 0).unwrap();
    placed.write_all_at(&[b'n'; SECTORS * SECTOR], 0).unwrap();
    placed.write_all_at(b"more", (SECTORS * SECTOR) as u64).unwrap();
    sync(&placed);
    shortened.set_len(2).unwrap();
    sync(&shortened);
    let begun_anew = create("begun anew");
    begun_anew.write_all_at(b"n", 0).unwrap();
    sync(&begun_anew);
    fs::create_dir_all(dir.join("below")).unwrap();
    // Its bytes are on the disk, its name is not.
    let unnamed = create("below/unnamed");
    unnamed.write_all_at(b"x", 0).unwrap();
    unnamed.sync_all().unwrap();
    if syncs {
        File::open(dir.join("below")).unwrap().sync_all().unwrap();
        File::open(dir).unwrap().sync_all().unwrap();
    }
    fs::write(dir.with_extension("done"), "").unwrap();
    std::thread::sleep(Duration::from_secs(60));
}

/// The program does all that, is killed, and the power goes; what was lost, and what is left in the directory.
fn after_a_power_loss(lives: &[bool], lying: bool, keeps: impl FnMut() -> bool) -> (Lost, tempfile::TempDir) {
    let dir = process::directory();
    let files = dir.path().join("disk");
    fs::create_dir(&files).unwrap();
    let disk = if lying { Disk::of(&files).lying() } else { Disk::of(&files) };
    for syncs in lives {
        let mut command = process::command(env::current_exe().unwrap());
        command.args(["--exact", "disks::the_program_on_the_disk", "--nocapture"]).env(SYNCS, if *syncs { "1" } else { "0" });
        disk.preload(command.env(DIRECTORY, disk.files()));
        let mut program = Process::start(command, &dir.path().join("log"));
        let done = disk.files().with_extension("done");
        wait_until("the program has written", || {
            assert!(program.ended().is_none(), "it ended at once:\n{}", program.last_words());
            done.exists()
        });
        program.kill();
        fs::remove_file(done).unwrap();
    }
    (disk.lose(keeps), dir)
}

fn read(dir: &tempfile::TempDir, name: &str) -> Vec<u8> {
    fs::read(dir.path().join("disk").join(name)).unwrap()
}

#[test]
fn what_was_not_synced_is_lost_and_nothing_else() {
    let (lost, dir) = after_a_power_loss(&[false], false, || false);
    assert_eq!(read(&dir, "appended"), b"synced");
    assert_eq!(read(&dir, "placed"), [b'o'; SECTORS * SECTOR]);
    assert_eq!(read(&dir, "shortened"), b"long");
    assert_eq!(read(&dir, "begun anew"), b"old");
    assert!(!dir.path().join("disk/below").exists());
    assert_eq!(lost.names, 2, "the directory and its file: {lost:?}");
}

#[test]
fn what_was_synced_is_kept() {
    let (lost, dir) = after_a_power_loss(&[true], false, || false);
    assert_eq!(lost, Lost::default());
    assert_eq!(read(&dir, "appended"), b"synced, and not");
    assert_eq!(read(&dir, "placed"), [&[b'n'; SECTORS * SECTOR][..], b"more"].concat());
    assert_eq!(read(&dir, "shortened"), b"lo");
    assert_eq!(read(&dir, "begun anew"), b"n");
    assert_eq!(read(&dir, "below/unnamed"), b"x");
}

/// Killed without the power, what it wrote is there for whoever starts next, and no more on the disk than it was.
#[test]
fn what_a_life_before_did_not_sync_is_lost_with_the_next() {
    let (_, dir) = after_a_power_loss(&[true, false, false], false, || false);
    assert_eq!(read(&dir, "placed"), [b'o'; SECTORS * SECTOR]);
    assert_eq!(read(&dir, "below/unnamed"), b"x", "its name was on the disk");
}

#[test]
fn a_disk_that_lies_loses_everything() {
    let (_, dir) = after_a_power_loss(&[true], true, || false);
    assert_eq!(fs::read_dir(dir.path().join("disk")).unwrap().count(), 0);
}

#[test]
fn what_happened_to_be_on_the_disk_is_kept_sector_by_sector() {
    let mut asked = 0;
    let every_third = move || {
        asked += 1;
        asked % 3 == 0
    };
    let (lost, dir) = after_a_power_loss(&[false], false, every_third);
    let placed = read(&dir, "placed");
    let sectors: Vec<&[u8]> = placed[..SECTORS * SECTOR].chunks(SECTOR).collect();
    assert!(sectors.iter().all(|sector| sector.iter().all(|byte| *byte == sector[0])), "a sector is old or new");
    let of = |kind| sectors.iter().filter(|sector| sector[0] == kind).count();
    assert!(of(b'o') > 10 && of(b'n') > 10 && of(b'o') + of(b'n') + of(b'x') == SECTORS, "{} old, {} new", of(b'o'), of(b'n'));
    assert!(lost.sectors > 10, "{lost:?}");
}

#[test]
fn all_of_it_may_happen_to_be_on_the_disk() {
    let (lost, dir) = after_a_power_loss(&[false], false, || true);
    assert_eq!(Lost { open: 0, ..lost }, Lost::default());
    assert!(lost.open > 0);
    assert_eq!(read(&dir, "placed"), [&[b'n'; SECTORS * SECTOR][..], b"more"].concat());
    assert_eq!(read(&dir, "shortened"), b"lo");
}
