//! A comparison that cannot fail is worthless: a store that does not write what it is told is found out, each in its way.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use adjourn::domain::{Conversation, Notice, NoticeKind, Span, Timestamp};
use adjourn::store::*;
use futures_util::future::FutureExt;

use crate::bench::*;
use crate::model::{Doctoring, Run, compare};

const MS: Span = Span::from_millis(1);

/// What gives it away.
#[derive(PartialEq, Eq, Debug)]
enum Found {
    /// What it holds, read after a commit.
    Held,
    /// What it answers to a later call.
    Answered,
}

/// The model is compared with an embedded store that is told something else.
async fn found(doctoring: Doctoring) -> Option<Found> {
    let comparison = AssertUnwindSafe(compare(embedded().await, Run::USUAL, doctoring)).catch_unwind();
    let panic = comparison.await.err()?;
    let words = panic.downcast_ref::<String>().expect("what was compared");
    assert!(words.contains("left == right"), "it stumbled, and compared nothing: {words}");
    Some(if words.contains("compared after every") { Found::Held } else { Found::Answered })
}

/// The call that is told otherwise, how, and what gives it away.
macro_rules! doctored {
    ($($case:ident: $found:ident, $call:ident: $otherwise:expr;)+) => {
        $(
            #[tokio::test]
            async fn $case() {
                assert_eq!(found(Doctoring { $call: $otherwise, ..Doctoring::NONE }).await, Some(Found::$found));
            }
        )+
    };
}

doctored! {
    a_row_is_lost: Held, commit: |batch| batch.rows.retain(|write| write.change == RowChange::Remove);
    a_removed_row_stays: Held, commit: |batch| batch.rows.retain(|write| write.change != RowChange::Remove);
    a_row_is_of_another_version: Held, commit: |batch| rewrite(batch, |row, _| row.version += 1);
    a_row_remembers_another_event: Held, commit: |batch| rewrite(batch, |row, _| row.seen.recent.push_back(event("e1").name.fingerprint()));
    a_deadline_is_a_millisecond_late: Held, commit: |batch| rewrite(batch, |_, look_at| *look_at = look_at.map(|at| at.plus(MS)));
    a_deadline_is_lost: Held, commit: |batch| rewrite(batch, |_, look_at| *look_at = None);
    a_notification_is_lost: Held, commit: |batch| drop(batch.notifications.pop());
    a_notification_is_doubled: Held, commit: |batch| {
        let last = batch.notifications.last().cloned();
        batch.notifications.extend(last.map(|last| Notification { number: last.number + 1, ..last }));
    };
    a_notification_tells_something_else: Held, commit: |batch| {
        for notification in &mut batch.notifications {
            let Notice::Conversation(notice) = &mut notification.notice else { continue };
            notice.kind = NoticeKind::Cancelled;
        }
    };
    a_notification_names_none_before_it: Held, commit: |batch| batch.notifications.iter_mut().for_each(|told| told.previous = None);
    notifications_are_trimmed_by_one_too_many: Held, commit: |batch| batch.trim_notifications_below += 1;
    notifications_are_not_trimmed: Held, commit: |batch| batch.trim_notifications_below = 0;
    a_dead_letter_is_lost: Held, commit: |batch| batch.dead.clear();
    a_dead_letter_has_another_reason: Held, commit: |batch| batch.dead.iter_mut().for_each(|letter| letter.reason = "none".into());
    a_removed_letter_stays: Held, commit: |batch| batch.dead_removed.clear();
    applied_settings_are_lost: Held, commit: |batch| batch.settings.clear();
    applied_settings_differ_by_a_millisecond: Held, commit: |batch| {
        batch.settings.iter_mut().for_each(|(_, settings)| settings.period = Span::from_millis(settings.period.as_millis() + 1));
    };
    what_reports_count_is_lost: Held, commit: |batch| batch.rollups.clear();
    a_move_is_lost: Held, commit: |batch| drop(batch.moves.pop());
    a_place_is_not_left: Answered, commit: |batch| batch.moves.iter_mut().for_each(|moved| moved.from = None);
    lists_are_called_whole_and_are_not: Held, commit: |batch| batch.lists = Lists::Whole;
    lists_are_never_thinned: Answered, commit: |batch| if batch.lists == Lists::Thinned { batch.lists = Lists::Doubtful };
    the_checkpoint_is_ahead: Held, commit: |batch| batch.checkpoint.seq += 1;
    an_entry_is_another: Held, append: |entries| entries.iter_mut().for_each(|(_, taken)| *taken = entry("e1"));
    entries_change_places: Held, append: |entries| entries.reverse();
    an_entry_was_accepted_a_millisecond_later: Held, append: |entries| {
        for (_, entry) in entries {
            let Entry::Again { accepted_at, .. } = entry else { continue };
            *accepted_at = accepted_at.plus(MS);
        }
    };
    master_settings_are_of_another_version: Held, put_settings: |settings| settings.version += 1;
    somebody_else_holds_the_partition: Held, claim: |member| member.instance += 1;

    an_entry_is_lost: Answered, append: |entries| drop(entries.pop());
    a_repeat_is_forgotten: Answered, commit: |batch| batch.marks.clear();
    what_is_tried_alone_is_forgotten: Answered, commit: |batch| batch.trying = None;
    the_chain_ends_elsewhere: Answered, commit: |batch| batch.id.0 ^= 1;
    the_chain_is_not_asked: Answered, shown: |(lease, _), (_, good)| (lease, good);
    no_clock_is_asked_before_a_close: Answered, commit: |batch| batch.not_before = None;
    the_fence_is_not_asked: Answered, shown: |(_, head), (good, _)| (good, head);
    the_fence_keeps_its_holder_out: Answered, shown: |(lease, head), _| (Lease { nonce: lease.nonce ^ 1, ..lease }, head);
}

fn rewrite(batch: &mut Batch, otherwise: fn(&mut Conversation, &mut Option<Timestamp>)) {
    for write in &mut batch.rows {
        let RowChange::Put { conversation, look_at } = &mut write.change else { continue };
        otherwise(Arc::make_mut(conversation), look_at);
    }
}
