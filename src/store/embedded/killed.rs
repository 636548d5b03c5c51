//! A process that writes is killed in the middle, again and again: what it was told is there, and the parts agree.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::*;
use crate::clock::WallClock;
use crate::domain::testing::{at, human, key};
use crate::domain::{Conversation, Notice, Timestamp};
use crate::store::testing::StoreInTests;
use crate::store::{Batch, DueKey, Entry, Loaded, LogId, Member, Notification, RowChange, RowWrite, Store};

const P: PartitionId = PartitionId(0);
const DIRECTORY: &str = "ADJOURN_TEST_KILLED_DIRECTORY";
const ROUNDS: usize = 4;
const COMMITS: usize = 25;

fn open(dir: &Path) -> Arc<EmbeddedStore> {
    let options = EmbeddedOptions {
        partitions: PartitionCount::new(2),
        log_retention: true,
        segment_bytes: 4_096,
        ..EmbeddedOptions::new(Arc::new(WallClock))
    };
    EmbeddedStore::open(dir, options).unwrap()
}

/// How many entries the stored conversation has counted, and how many commits.
async fn counted(store: &EmbeddedStore) -> (u64, u64) {
    match store.load(P, vec![key()]).await.unwrap().remove(0) {
        Loaded::Found { conversation, .. } => (conversation.messages.incoming, conversation.version),
        Loaded::Missing => (0, 0),
        Loaded::Corrupt { reason } => panic!("{reason}"),
    }
}

/// Appends while it commits, and says so after each commit. Does nothing unless it is the process to be killed.
#[tokio::test]
async fn the_process_to_be_killed() {
    let Some(dir) = std::env::var_os(DIRECTORY) else { return };
    let store = open(Path::new(&dir));
    let claim = store.seize(P, Member::default()).await.unwrap();
    let (mut head, mut checkpoint) = (claim.head, claim.checkpoint);
    let (mut entries, mut commits) = counted(&store).await;
    loop {
        let appended = store.append((0..3).map(|n| (P, Entry::Event(human(&format!("e{n}"), 1)))).collect());
        let read = store.read(P, checkpoint, 5, Duration::ZERO).await.unwrap();
        entries += read.len() as u64;
        commits += 1;
        checkpoint = read.last().map_or(checkpoint, |entry| entry.id);
        let mut conversation = Conversation { version: commits, ..Conversation::new(at(1)) };
        conversation.messages.incoming = entries;
        let change = RowChange::Put { conversation: Arc::new(conversation), look_at: Some(at(commits as i64)) };
        let notice = Notice::Settings { workspace: "acme".into(), at: at(1), settings: Box::default(), replaces: false };
        let batch = Batch {
            rows: vec![RowWrite { key: key(), indexed_at: Some(at(commits as i64 - 1)), change }],
            notifications: vec![Notification { number: commits, previous: None, notice }],
            ..Batch::new(head, checkpoint)
        };
        head = batch.id;
        let (appended, committed) = tokio::join!(appended, store.commit(claim.lease, batch));
        let last = appended.unwrap()[2];
        committed.unwrap();
        #[allow(clippy::print_stdout)] // how the child tells the test what it was answered
        {
            println!("\ntold {commits} {last}");
        }
    }
}

#[tokio::test]
async fn what_was_told_survives_a_kill_and_the_parts_agree() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::embedded::killed::the_process_to_be_killed", "--nocapture"])
            .env(DIRECTORY, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let told = lines.filter(|line| line.starts_with("told ")).take(COMMITS).last().expect("the child wrote something");
        child.kill().unwrap();
        child.wait().unwrap();
        let told: Vec<&str> = told.split(' ').collect();
        check(dir.path(), told[1].parse().unwrap(), LogId::parse(told[2]).unwrap()).await;
    }
}

async fn check(dir: &Path, commits_told: u64, last_told: LogId) {
    let store = open(dir);
    let log: Vec<LogId> = read_log(dir).map(|entry| entry.unwrap().1.id).collect();
    assert!(log.is_sorted() && log.contains(&last_told));
    let (entries, commits) = counted(&store).await;
    assert!(commits >= commits_told);
    let stats = store.stats().await.unwrap()[0];
    assert_eq!((stats.last_notification, stats.conversations, stats.timers), (commits, 1, 1));
    assert_eq!(store.notifications(P, 0, usize::MAX).await.unwrap().items.len() as u64, commits);
    assert_eq!(store.due(P, Timestamp::MAX, None, 9).await.unwrap(), [DueKey { at: at(commits as i64), key: key() }]);
    assert_eq!(log.iter().filter(|id| **id <= stats.checkpoint).count() as u64, entries, "applied once each");
    let tail: Vec<LogId> = store.read(P, LogId::ZERO, usize::MAX, Duration::ZERO).await.unwrap().iter().map(|entry| entry.id).collect();
    assert_eq!(tail, log[entries as usize..]);
}
