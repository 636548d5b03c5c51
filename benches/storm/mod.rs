//! Timers that all run out within a second: what is heard of them, on whatever store.

use adjourn::actors::{Fed, Feed};
use adjourn::clock::{Clock, WallClock};
use adjourn::domain::{Notice, NoticeKind, Span, Timestamp};

pub const TIMERS: u64 = 50_000;

/// When the timer of this number begins to run, of a storm whose first does at `first`.
pub fn time(first: Timestamp, nth: u64) -> Timestamp {
    first.plus(Span::from_millis((nth * 1_000 / TIMERS) as i64))
}

/// Hears `TIMERS` closes, the first of which is due at `due`; says how late each was committed, and heard.
pub async fn hear(mut feed: Feed, due: Timestamp) {
    println!("storm: loaded {} ms before the first deadline", due.since(WallClock.now()).as_millis());
    let (mut late, mut seen) = (Vec::new(), Vec::new());
    while (late.len() as u64) < TIMERS {
        let Fed::Notifications(told) = feed.next().await.unwrap() else { continue };
        let now = WallClock.now();
        for notification in told {
            let Notice::Conversation(told) = notification.notice else { continue };
            if told.kind == NoticeKind::Closed {
                let due = told.snapshot.scheduled_close_at.unwrap();
                late.push(told.snapshot.closed_at.unwrap().since(due).as_millis());
                seen.push(now.since(due).as_millis());
            }
        }
    }
    let last = WallClock.now().since(due).as_millis();
    for (what, mut values) in [("closed", late), ("heard", seen)] {
        values.sort_unstable();
        let at = |share: f64| values[((values.len() - 1) as f64 * share) as usize];
        println!("storm: {TIMERS} timers in 1 s, {what} late p50 {} p99 {} max {} ms", at(0.5), at(0.99), at(1.0));
    }
    println!("storm: the last was heard {last} ms after the first deadline");
}
