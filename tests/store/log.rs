//! The event log: what is accepted, when, in which order, and how it is read.

use std::time::Duration;

use adjourn::domain::event::*;
use adjourn::domain::{Span, Timestamp};
use adjourn::store::*;

use crate::bench::*;

pub async fn ids_grow_within_a_millisecond(bench: Bench) {
    let ids = bench.append(&["e1", "e2", "e3"]).await;
    assert!(ids.is_sorted_by(|a, b| a < b) && LogId::ZERO < ids[0], "{ids:?}");
    assert!(ids.iter().all(|id| id.accepted_at() == at(START)));
    bench.clock.jump(1);
    assert_eq!(bench.append(&["e4"]).await[0].accepted_at(), at(START + 1));
}

/// "Never less than that of any entry or checkpoint before it", whatever the clock does.
pub async fn acceptance_never_goes_back(bench: Bench) {
    let first = bench.append(&["e1"]).await[0];
    bench.clock.jump(-5_000);
    let second = bench.append(&["e2"]).await[0];
    assert!(second > first && second.accepted_at() == at(START));

    let mut owner = bench.claim().await;
    let ahead = LogId { ms: second.ms + 70, seq: 3 };
    bench.commit(&mut owner, |batch| batch.checkpoint = ahead).await.unwrap();
    let third = bench.append(&["e3"]).await[0];
    assert!(third > ahead, "{third} would count as applied");
    assert_eq!(bench.read(P, ahead).await.len(), 1);
}

pub async fn ids_come_in_the_order_of_the_entries(bench: Bench) {
    let entries = [(P, "a"), (OTHER, "b"), (P, "c"), (OTHER, "d")].map(|(partition, id)| (partition, entry(id)));
    let ids = bench.store().append(entries.into()).await.unwrap();
    let log = |entries: Vec<LogEntry>| entries.into_iter().map(|e| (e.id, e.entry.unwrap())).collect::<Vec<_>>();
    assert_eq!(log(bench.read(P, LogId::ZERO).await), [(ids[0], entry("a")), (ids[2], entry("c"))]);
    assert_eq!(log(bench.read(OTHER, LogId::ZERO).await), [(ids[1], entry("b")), (ids[3], entry("d"))]);
    assert_eq!(bench.store().append(Vec::new()).await.unwrap(), []);
}

/// One of every kind.
fn entries() -> Vec<Entry> {
    let note = Note { category: Some("billing".into()), summary: Some("päid ✓".into()) };
    let assignee = Assignee { kind: AssigneeKind::AiAgent, id: "ai-1".into(), name: Some("Ada".into()) };
    let kinds = [
        EventKind::Message { source: MessageSource::Echo, agent: None, message_id: Some("m1".into()), text: None },
        EventKind::MessageFailed { message_id: "m1".into() },
        EventKind::Opened { source: OpeningSource::CtcAds, by: None },
        EventKind::Closed { source: ClosingSource::Zapier, by: Some("ana".into()), note: Some(note) },
        EventKind::Assigned(assignee),
        EventKind::Unassigned,
        EventKind::Snoozed { until: at(i64::MAX) },
        EventKind::Unsnoozed,
        EventKind::Blocked,
        EventKind::Unblocked,
    ];
    let events = kinds.into_iter().map(|kind| Entry::Event(Event { kind, time: at(-7), ..event("e") }));
    let marker = Entry::Settings { workspace: "acme".into(), settings: Box::new(settings(7)) };
    let dismissal = Entry::DeadLetter { id: LogId { ms: 5, seq: 6 }, action: DeadLetterAction::Dismiss };
    events.chain([marker, dismissal, again(START - 700), again(i64::MAX)]).collect()
}

pub async fn every_kind_of_entry_reads_back_as_it_was(mut bench: Bench) {
    bench.store().append(entries().into_iter().map(|entry| (P, entry)).collect()).await.unwrap();
    for _ in 0..2 {
        let read: Vec<Entry> = bench.read(P, LogId::ZERO).await.into_iter().map(|e| e.entry.unwrap()).collect();
        assert_eq!(read, entries());
        bench.reopen().await;
    }
}

pub async fn a_page_begins_after_and_ends_at_its_limit(bench: Bench) {
    let ids = bench.append(&["a", "b", "c", "d"]).await;
    let page = async |after, limit| {
        let page = bench.store().read(P, after, limit, Duration::ZERO).await.unwrap();
        page.into_iter().map(|entry| entry.id).collect::<Vec<_>>()
    };
    assert_eq!(page(LogId::ZERO, 2).await, ids[..2]);
    assert_eq!(page(ids[1], 9).await, ids[2..]);
    assert_eq!(page(ids[3], 9).await, []);
    assert_eq!(page(LogId { seq: u64::MAX, ..ids[3] }, 9).await, []);
    assert_eq!(page(LogId::ZERO, 0).await, []);
}

pub async fn reading_waits_for_the_first_entry(bench: Bench) {
    let patient = bench.store().read(P, LogId::ZERO, 9, Duration::from_secs(600));
    let (read, elsewhere_then_here) = tokio::join!(patient, async {
        bench.store().append(vec![(OTHER, entry("other"))]).await.unwrap();
        bench.append(&["e1"]).await
    });
    assert_eq!(read.unwrap().into_iter().map(|e| e.id).collect::<Vec<_>>(), elsewhere_then_here);
}

pub async fn reading_gives_up_after_its_wait(bench: Bench) {
    assert_eq!(bench.store().read(P, LogId::ZERO, 9, Duration::from_millis(1)).await.unwrap(), []);
}

pub async fn a_barrier_tells_the_clock_and_the_last_id(bench: Bench) {
    let barrier = async || bench.store().barrier(P).await.unwrap();
    assert_eq!(barrier().await, Barrier { clock: at(START), last: LogId::ZERO, held: false });
    let last = bench.append(&["a", "b"]).await[1];
    bench.clock.jump(7);
    assert_eq!(barrier().await, Barrier { clock: at(START + 7), last, held: false });
    assert_eq!(bench.store().barrier(OTHER).await.unwrap().last, LogId::ZERO);
    assert_eq!(bench.store().clock().await.unwrap(), at(START + 7));
}

pub async fn nothing_is_accepted_before_a_barrier(bench: Bench) {
    for step in [1_000, 0, 7] {
        bench.clock.jump(step);
        let barrier = bench.store().barrier(P).await.unwrap();
        let later = bench.append(&["e1"]).await[0];
        assert!(later > barrier.last && later.accepted_at() >= barrier.clock, "{later} after {barrier:?}");
    }
}

/// Whoever trusts the barrier closes everything that is due before its clock. Has the clock stepped back since, an entry
/// may come in time for some of it: then that close is refused, and no other.
pub async fn a_barrier_is_not_overrun_when_the_clock_steps_back(bench: Bench) {
    bench.clock.jump(1_000);
    let mut owner = bench.claim().await;
    let barrier = bench.store().barrier(P).await.unwrap();
    bench.clock.jump(-900);
    let late = bench.append(&["reply"]).await[0];
    assert!(late > barrier.last);
    bench.clock.jump(2_000);
    let deadlines = [barrier.clock.minus(Span::from_millis(1)), late.accepted_at(), late.accepted_at().minus(Span::from_millis(1))];
    for deadline in deadlines {
        let closed = bench.commit(&mut owner, |batch| batch.not_before = Some(deadline)).await;
        let in_time = late.accepted_at() <= deadline;
        assert!(if in_time { is_refused(&closed) } else { closed.is_ok() }, "{late} before {deadline:?}: {closed:?}");
    }
    let knowing = |batch: &mut Batch| (batch.not_before, batch.checkpoint) = (Some(barrier.clock), late);
    bench.commit(&mut owner, knowing).await.unwrap();
}

async fn events(bench: &Bench) -> Vec<(LogId, (Event, Timestamp))> {
    let read = bench.read(P, LogId::ZERO).await;
    read.into_iter().map(|entry| (entry.id, entry.entry.unwrap().into_event(entry.id).unwrap())).collect()
}

pub async fn what_is_taken_again_keeps_when_it_was_accepted(mut bench: Bench) {
    let entries = vec![(P, again(START - 700)), (P, again(START)), (P, entry("e1"))];
    let ids = bench.store().append(entries).await.unwrap();
    for _ in 0..2 {
        let accepted = [START - 700, START, START].map(|ms| (event("e1"), at(ms)));
        assert_eq!(events(&bench).await, ids.iter().copied().zip(accepted).collect::<Vec<_>>());
        bench.reopen().await;
    }
}

/// Another node's clock was ahead, or the store's stepped back since.
pub async fn nothing_was_accepted_later_than_it_was_taken(bench: Bench) {
    let ids = bench.store().append(vec![(P, again(START + 1)), (P, again(i64::MAX))]).await.unwrap();
    assert_eq!(events(&bench).await, ids.into_iter().map(|id| (id, (event("e1"), id.accepted_at()))).collect::<Vec<_>>());
}

pub async fn a_full_log_takes_nothing_until_it_was_applied(mut bench: Bench) {
    let last = {
        let entries = (0..UNAPPLIED_MAX).map(|n| (P, entry(&format!("e{n}"))));
        *bench.store().append(entries.collect()).await.unwrap().last().unwrap()
    };
    let before = bench.dump().await;
    let beside = vec![(OTHER, entry("beside")), (P, entry("one too many"))];
    for _ in 0..2 {
        let behind = bench.store().append(beside.clone()).await;
        assert!(matches!(behind, Err(StoreError::Behind { unapplied: UNAPPLIED_MAX, limit: UNAPPLIED_MAX })), "{behind:?}");
        assert_eq!(bench.dump().await, before);
        bench.reopen().await;
    }

    let mut owner = bench.claim().await;
    bench.commit(&mut owner, |batch| batch.checkpoint = last).await.unwrap();
    assert_eq!(bench.store().append(beside).await.unwrap().len(), 2);
}

pub async fn what_was_accepted_survives(mut bench: Bench) {
    let ids = bench.append(&["a", "b"]).await;
    let mut owner = bench.claim().await;
    bench.commit(&mut owner, |batch| batch.checkpoint = ids[0]).await.unwrap();
    let before = (bench.dump().await, bench.store().incarnation());
    bench.clock.jump(-START / 2);
    bench.reopen().await;
    assert_eq!((bench.dump().await, bench.store().incarnation()), before);
    assert_eq!(bench.store().partitions(), partitions());
    assert!(bench.append(&["c"]).await[0] > ids[1]);
}
