//! Reads what a stopped service left: its log, its notifications, its conversations.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use adjourn::clock::WallClock;
use adjourn::domain::event::ClosingSource;
use adjourn::domain::notice::Cause;
use adjourn::domain::{Conversation, ConversationNotice, EventKind, Notice, NoticeKind, PartitionCount, PartitionId, Settings, Timestamp};
use adjourn::store::embedded::{EmbeddedOptions, EmbeddedStore, read_log};
use adjourn::store::redis::{RedisOptions, RedisStore};
use adjourn::store::{LogEntry, LogId, Store};
use adjourn::wire::CloudEvent;

use super::history::{Close, Counts, Entry, History, Logged, Message, Name, Policy, Speaker, State, Told, Word};

/// Of each workspace: all but what was sent and heard.
pub type Histories = BTreeMap<String, History>;

/// More than a run leaves in one partition.
pub const ALL: usize = 1_000_000;

/// Numbers that the outbox of a Redis skips at least when another primary answers.
const SKIPPED: u64 = 1_000;

/// What the embedded store in this directory holds.
pub async fn left_in_directory(store_dir: &Path) -> Histories {
    let mut histories = Histories::new();
    for entry in read_log(store_dir) {
        let (partition, logged) = entry.unwrap();
        log(&mut histories, partition, logged);
    }
    let store = EmbeddedStore::open(store_dir, EmbeddedOptions::new(Arc::new(WallClock))).unwrap();
    rest(&*store, &mut histories, None).await;
    store.close();
    histories
}

/// What the store at this address holds.
pub async fn left_in_redis(url: &str, partitions: u16) -> Histories {
    let store = open_redis(url, partitions).await;
    let mut histories = Histories::new();
    for partition in store.partitions().all() {
        for entry in whole_log(&store, partition).await {
            log(&mut histories, partition, entry);
        }
    }
    rest(&*store, &mut histories, Some(SKIPPED)).await;
    store.close();
    histories
}

/// Asked again where the connection breaks: a server that has become a replica a moment ago ends those of its clients.
async fn whole_log(store: &RedisStore, partition: PartitionId) -> Vec<LogEntry> {
    for _ in 0..20 {
        if let Ok(entries) = store.read(partition, LogId::ZERO, ALL, Duration::ZERO).await {
            return entries;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    store.read(partition, LogId::ZERO, ALL, Duration::ZERO).await.unwrap()
}

/// What is told, and nothing else.
pub async fn told_in_redis(store: &RedisStore) -> Histories {
    let mut histories = Histories::new();
    rest(store, &mut histories, Some(SKIPPED)).await;
    histories
}

pub async fn open_redis(url: &str, partitions: u16) -> Arc<RedisStore> {
    let mut options = RedisOptions::new("judge");
    (options.keep_log, options.partitions) = (true, PartitionCount::new(partitions));
    // All of a partition is asked for at once.
    options.response_timeout = Duration::from_secs(60);
    RedisStore::open(url.parse().unwrap(), options).await.unwrap()
}

/// Takes down an entry of a log.
pub fn log(histories: &mut Histories, partition: PartitionId, logged: LogEntry) {
    let accepted_at = logged.id.accepted_at().as_millis();
    // What nobody can read is with the dead letters, and they are counted.
    let Ok(entry) = logged.entry else { return };
    if let Some(event) = entry.event().filter(|event| !matches!(event.kind, EventKind::Message { .. })) {
        histories.entry(event.conversation.workspace().to_owned()).or_default().commands += 1;
        return;
    }
    let (workspace, entry) = match entry {
        adjourn::store::Entry::Event(event) => (event.conversation.workspace().to_owned(), Entry::Message(message(event))),
        adjourn::store::Entry::Again { event, accepted_at: first } => {
            let first = first.as_millis().min(accepted_at);
            (event.conversation.workspace().to_owned(), Entry::Again { message: message(*event), first })
        }
        adjourn::store::Entry::Settings { workspace, settings } => (workspace.into(), Entry::Policy(policy(&settings))),
        other => panic!("nobody acted on a dead letter, nobody sent what is no event: {other:?}"),
    };
    histories.entry(workspace).or_default().log.push(Logged { partition: partition.0, accepted_at, entry });
}

/// Takes down all but the log. Numbers of notifications go on without a gap, or skip at least so many.
pub async fn rest(store: &dyn Store, histories: &mut Histories, skips: Option<u64>) {
    let unapplied = store.stats().await.unwrap().iter().map(|stats| stats.backlog).sum();
    let mut dead_letters = 0;
    for partition in store.partitions().all() {
        dead_letters += store.dead_letters(partition, LogId::ZERO, ALL).await.unwrap().len();
        let page = store.notifications(partition, 0, ALL).await.unwrap();
        let mut last = 0;
        for notification in page.items {
            let gap = notification.number - last - 1;
            let is_whole = gap == 0 || skips.is_some_and(|skips| gap >= skips);
            assert!(is_whole, "partition {partition}: notification {} follows {last}", notification.number);
            last = notification.number;
            histories.entry(workspace_of(&notification.notice).to_owned()).or_default().told.push(told(&notification.notice));
        }
        for (key, row) in store.scan(partition, None, None, ALL).await.unwrap() {
            let states = &mut histories.entry(key.workspace().to_owned()).or_default().states;
            states.insert(key.conversation().to_owned(), state(&row));
        }
    }
    // Of all workspaces together; there should be none.
    histories.values_mut().for_each(|history| (history.dead_letters, history.unapplied) = (dead_letters, unapplied));
}

fn workspace_of(notice: &Notice) -> &str {
    match notice {
        Notice::Conversation(notice) => notice.key.workspace(),
        Notice::Settings { workspace, .. } => workspace,
    }
}

pub fn message(event: adjourn::domain::Event) -> Message {
    let EventKind::Message { source, .. } = event.kind else { panic!("only messages were sent: {event:?}") };
    let speaker = speaker(source.as_str());
    Message { name: name(&event.name), conversation: event.conversation.conversation().to_owned(), time: event.time.as_millis(), speaker }
}

/// By RULES.md (T7, T8) and nothing else: were the service's own table wrong, both would be.
fn speaker(source: &str) -> Speaker {
    match source {
        "contact" => Speaker::Contact,
        "user" | "echo" => Speaker::Human,
        "broadcast" | "workflow" | "ai_agent" | "bot" | "api" | "zapier" | "make" | "n8n" => Speaker::Machine,
        other => panic!("'{other}' sends no messages"),
    }
}

fn name(name: &adjourn::domain::EventName) -> Name {
    Name { id: name.id().to_string(), source: name.source().to_string() }
}

fn policy(settings: &Settings) -> Policy {
    Policy {
        version: settings.version,
        epoch: settings.enabled.then_some(settings.enable_epoch),
        period: settings.period.as_millis(),
        late_reply_window: settings.late_reply_window.as_millis(),
    }
}

pub fn state(row: &Conversation) -> State {
    State {
        episode: row.episode,
        closed_at: row.closing.as_ref().map(|closing| closing.closed_at.as_millis()),
        counts: Counts { incoming: row.messages.incoming, outgoing: row.messages.outgoing },
        last_contact_at: row.facts.contact.as_ref().map(|contact| contact.time.as_millis()),
        last_human_at: row.facts.last_human_at.map(Timestamp::as_millis),
    }
}

pub fn told(notice: &Notice) -> Told {
    told_by(CloudEvent::new(notice).id().to_owned(), notice)
}

/// The same, by an id that is known already.
pub fn told_by(id: String, notice: &Notice) -> Told {
    match notice {
        Notice::Settings { .. } => Told {
            id,
            conversation: String::new(),
            word: Word::Settings,
            episode: 0,
            closes_at: None,
            counts: Counts::default(),
            close: None,
        },
        Notice::Conversation(notice) => Told {
            id,
            conversation: notice.key.conversation().to_owned(),
            word: word(notice.kind),
            episode: notice.snapshot.episode,
            closes_at: notice.snapshot.scheduled_close_at.map(Timestamp::as_millis),
            counts: Counts { incoming: notice.snapshot.messages.incoming, outgoing: notice.snapshot.messages.outgoing },
            close: (notice.kind == NoticeKind::Closed).then(|| close(notice)),
        },
    }
}

fn word(kind: NoticeKind) -> Word {
    match kind {
        NoticeKind::Opened => Word::Opened,
        NoticeKind::Reopened => Word::Reopened,
        NoticeKind::Reversed => Word::Reversed,
        NoticeKind::Closed => Word::Closed,
        NoticeKind::Armed => Word::Armed,
        NoticeKind::Reset => Word::Reset,
        NoticeKind::Cancelled => Word::Cancelled,
        _ => Word::Other,
    }
}

fn close(notice: &ConversationNotice) -> Close {
    assert_eq!(notice.snapshot.closed_source, Some(ClosingSource::AutoClose), "nobody else closes here: {notice:?}");
    let Cause::AutoClose { deadline, late, period, armed_by, .. } = &notice.cause else {
        panic!("an auto-close tells its story: {notice:?}")
    };
    let at = notice.snapshot.closed_at.unwrap();
    assert_eq!((notice.at, at.since(*deadline)), (at, *late), "{notice:?}");
    Close { at: at.as_millis(), deadline: deadline.as_millis(), period: period.as_millis(), armed_by: name(armed_by) }
}
