//! The laws as named functions: the same sentence serves property tests, the simulation and the checker of real runs.

use std::collections::HashSet;

use super::event::ClosingSource;
use super::notice::{Cause, ConversationNotice, NoticeKind};

/// D1: no auto-close before its deadline.
pub fn never_closes_early(notice: &ConversationNotice) -> bool {
    match (&notice.cause, notice.snapshot.closed_source) {
        (Cause::AutoClose { deadline, .. }, Some(ClosingSource::AutoClose)) => {
            notice.snapshot.closed_at.is_some_and(|closed_at| closed_at >= *deadline)
        }
        _ => true,
    }
}

/// D3: of one conversation's notifications, in order: an episode closes at most once, unless that close was taken back.
pub fn one_close_per_episode<'a>(notices: impl IntoIterator<Item = &'a ConversationNotice>) -> bool {
    let mut closed = HashSet::new();
    notices.into_iter().all(|notice| match notice.kind {
        NoticeKind::Closed => closed.insert(notice.snapshot.episode),
        NoticeKind::Reversed => closed.remove(&notice.snapshot.episode),
        _ => true,
    })
}

/// Opens and closes alternate: nothing closes that is closed, nothing opens that is open.
pub fn opens_and_closes_alternate<'a>(notices: impl IntoIterator<Item = &'a ConversationNotice>) -> bool {
    let mut open = false;
    notices.into_iter().all(|notice| match notice.kind {
        NoticeKind::Opened | NoticeKind::Reopened | NoticeKind::Reversed => !std::mem::replace(&mut open, true),
        NoticeKind::Closed => std::mem::replace(&mut open, false),
        _ => true,
    })
}

/// No two notifications of one conversation share (`opened_at`, version, type), and so no id.
pub fn notification_ids_differ<'a>(notices: impl IntoIterator<Item = &'a ConversationNotice>) -> bool {
    let mut seen = HashSet::new();
    notices.into_iter().all(|n| seen.insert((n.snapshot.opened_at, n.snapshot.version, n.kind)))
}
