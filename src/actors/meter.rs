//! Log line and metric of a fact leave together, once, where the fact is handled. Message text and names stay out.

use metrics::{counter, gauge, histogram};

use crate::domain::event::{AHEAD_MAX, ClosingSource};
use crate::domain::notice::Cause;
use crate::domain::{ConversationKey, Notice, NoticeKind, PartitionId, Span};
use crate::store::{Batch, StoreError};

/// What a commit makes true, noted before it is sent and counted when it is durable.
pub struct Tally {
    told: Vec<(NoticeKind, Option<ClosingSource>, Option<Span>)>,
}

impl Tally {
    pub fn of(batch: &Batch) -> Self {
        Self { told: batch.notifications.iter().map(|notification| line(&notification.notice)).collect() }
    }

    pub fn committed(self, took: std::time::Duration) {
        histogram!("adjourn_store_commit_seconds").record(took.as_secs_f64());
        for (kind, source, late) in self.told {
            counter!("adjourn_notifications_total", "type" => kind.as_str()).increment(1);
            if let Some(source) = source.filter(|_| kind == NoticeKind::Closed) {
                counter!("adjourn_conversations_closed_total", "source" => source.as_str()).increment(1);
            }
            if let Some(late) = late.filter(|_| kind == NoticeKind::Closed) {
                histogram!("adjourn_timer_lateness_seconds").record(late.as_millis() as f64 / 1_000.0);
            }
            if kind == NoticeKind::Reversed {
                counter!("adjourn_close_reversals_total").increment(1);
            }
        }
    }
}

fn line(notice: &Notice) -> (NoticeKind, Option<ClosingSource>, Option<Span>) {
    match notice {
        Notice::Settings { .. } => (NoticeKind::SettingsChanged, None, None),
        Notice::Conversation(told) => {
            let late = if let Cause::AutoClose { late, .. } = told.cause { Some(late) } else { None };
            (told.kind, told.snapshot.closed_source, late)
        }
    }
}

pub fn commit_failed(partition: PartitionId, error: &StoreError) {
    if matches!(error, StoreError::Fenced { .. }) {
        counter!("adjourn_fenced_writes_total").increment(1);
    }
    tracing::warn!(%partition, %error, "a commit failed: the shard drops its memory and reloads");
}

/// Events that their producers put into the log themselves, once they are applied. After a crash some count twice.
pub fn accepted_from_outside(events: u64) {
    counter!("adjourn_events_accepted_total", "transport" => "redis").increment(events);
}

/// An event of a type there is no rule for. Anybody may invent a type, so only its family is a label.
pub fn ignored(type_name: &str) {
    let family = if type_name.starts_with("inbox.") { "inbox" } else { "other" };
    counter!("adjourn_events_ignored_total", "type" => family).increment(1);
    tracing::debug!(type_name, "ignored an event of a type without a rule");
}

/// A partition is this node's from now on. `after`: how long it had no owner since this node heard that it was given back.
pub fn moved_here(partition: PartitionId, after: Option<std::time::Duration>) {
    counter!("adjourn_partition_moves_total").increment(1);
    if let Some(after) = after {
        histogram!("adjourn_partition_gap_seconds").record(after.as_secs_f64());
    }
    tracing::debug!(%partition, ?after, "took the partition");
}

pub fn renewal_failed() {
    counter!("adjourn_lease_renewals_failed_total").increment(1);
}

pub fn set_aside(partition: PartitionId, conversation: Option<&ConversationKey>, reason: &str) {
    counter!("adjourn_dead_letters_total").increment(1);
    match conversation {
        Some(key) => tracing::error!(%partition, %key, reason, "an entry is in the dead letters; its conversation's timer is held"),
        None => tracing::error!(%partition, reason, "an entry is in the dead letters; of whom it is cannot be read, so no timer is held"),
    }
}

pub fn refused(partition: PartitionId, reason: &str) {
    counter!("adjourn_dead_letters_total").increment(1);
    tracing::warn!(%partition, reason, "an event that came by the log cannot be taken; it is in the dead letters");
}

/// How far the last id of a log is ahead of the store's clock. Whoever gives out such an id, or set that clock ahead, decides
/// when everything behind it was accepted.
pub fn log_ahead(partition: PartitionId, ahead: Span) {
    gauge!("adjourn_log_ahead_seconds", "partition" => partition.to_string()).set(ahead.as_millis().max(0) as f64 / 1_000.0);
    if ahead > AHEAD_MAX {
        let seconds = ahead.as_millis() / 1_000;
        tracing::error!(%partition, seconds, "the log's last id is ahead of the store's clock: timers of what comes behind it wait as long. Producers are to add with the id `*`");
    }
}

/// How far the owner is behind its log.
pub fn lag(partition: PartitionId, behind: Span) {
    gauge!("adjourn_ingest_lag_seconds", "partition" => partition.to_string()).set(behind.as_millis() as f64 / 1_000.0);
}
