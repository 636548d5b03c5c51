//! The story of a timer, as one reads it who asks why a conversation has or has not closed: what was told of it, one line each.

use serde::Serialize;

use super::notification::CauseView;
use super::time::Rfc3339;
use crate::domain::hold::Hold;
use crate::domain::notice::Cause;
use crate::domain::{ConversationNotice, NoticeKind, Timestamp};

/// One thing that happened to the timer.
#[derive(Serialize)]
pub struct Happened<'a> {
    at: Rfc3339,
    episode: u32,
    what: &'static str,
    /// When it would have closed before, and when it would after; null: not by timer.
    closes_before: Option<Rfc3339>,
    closes_after: Option<Rfc3339>,
    cause: CauseView<'a>,
    text: String,
}

/// What of these notifications, oldest first, is of the timer.
pub fn story<'a>(notices: impl IntoIterator<Item = &'a ConversationNotice>) -> Vec<Happened<'a>> {
    // All that one step tells shows what it came to: what was before is what the step before it came to.
    let (mut step, mut before, mut latest) = (None, None, None);
    let mut story = Vec::new();
    for notice in notices {
        if step.replace(notice.snapshot.version) != Some(notice.snapshot.version) {
            before = latest;
        }
        let is_closed = notice.snapshot.closed_at.is_some();
        let after = notice.snapshot.scheduled_close_at.filter(|_| !is_closed);
        latest = after;
        if let Some(what) = word(notice.kind) {
            story.push(Happened {
                at: Rfc3339(notice.at),
                episode: notice.snapshot.episode,
                what,
                closes_before: before.map(Rfc3339),
                closes_after: after.map(Rfc3339),
                cause: CauseView::new(&notice.cause),
                text: sentence(notice, before, after),
            });
        }
    }
    story
}

/// `None`: nothing to the timer.
const fn word(kind: NoticeKind) -> Option<&'static str> {
    match kind {
        NoticeKind::Armed => Some("armed"),
        NoticeKind::Reset => Some("reset"),
        NoticeKind::Cancelled => Some("cancelled"),
        NoticeKind::Suspended => Some("suspended"),
        NoticeKind::Resumed => Some("resumed"),
        NoticeKind::ClosingSoon => Some("closing_soon"),
        NoticeKind::Opened => Some("opened"),
        NoticeKind::Reopened => Some("reopened"),
        NoticeKind::Reversed => Some("reversed"),
        NoticeKind::Closed => Some("closed"),
        NoticeKind::Assigned
        | NoticeKind::Unassigned
        | NoticeKind::Snoozed
        | NoticeKind::Unsnoozed
        | NoticeKind::Blocked
        | NoticeKind::Unblocked
        | NoticeKind::SettingsChanged
        | NoticeKind::NoteAdded
        | NoticeKind::NoteFailed => None,
    }
}

fn sentence(notice: &ConversationNotice, before: Option<Timestamp>, after: Option<Timestamp>) -> String {
    let who = who(notice);
    let time = |at: Option<Timestamp>| at.map_or_else(|| "no time".to_owned(), |at| Rfc3339(at).to_string());
    match notice.kind {
        NoticeKind::Armed => format!("{who} armed the timer: it closes at {}.", time(after)),
        NoticeKind::Reset => format!("{who} moved the close from {} to {}.", time(before), time(after)),
        NoticeKind::Cancelled => format!("{who} cancelled the timer: it would have closed at {}.", time(before)),
        NoticeKind::Suspended => match after {
            Some(_) => format!("{who} lets the timer wait: it closes at {} if nothing else happens.", time(after)),
            None => format!("{who} lets the timer wait, until that is ended."),
        },
        NoticeKind::Resumed => format!("{who} let the timer go on: it closes at {}.", time(after)),
        NoticeKind::ClosingSoon => format!("That it closes at {} was announced.", time(after)),
        NoticeKind::Opened | NoticeKind::Reopened => format!("{who} opened episode {}.", notice.snapshot.episode),
        NoticeKind::Reversed => format!("{who} was written before the close and arrived after it: the close was taken back."),
        NoticeKind::Closed => match &notice.cause {
            Cause::AutoClose { late, .. } => format!("Nobody replied: closed by the timer, {} ms after its time.", late.as_millis()),
            _ => format!("{who} closed it."),
        },
        _ => String::new(),
    }
}

/// What made the change, as the subject of a sentence.
fn who(notice: &ConversationNotice) -> String {
    let why = |hold: &Option<Hold>| hold.as_ref().map_or_else(String::new, |hold| format!(" ({})", hold.reason));
    match &notice.cause {
        Cause::Event { name, type_name, by, message_id, .. } => {
            let of = by.as_ref().map_or_else(String::new, |by| format!(" of {by}"));
            let by = by.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
            let id = message_id.as_deref().unwrap_or(name.id());
            match &**type_name {
                "inbox.message.v1" => format!("The message {id}{of}"),
                "inbox.message_failed.v1" => format!("The failure of the message {id}"),
                "inbox.conversation.opened.v1" => format!("The opening{by}"),
                "inbox.conversation.closed.v1" => format!("The close{by}"),
                "inbox.conversation.assigned.v1" => "The assignment".into(),
                "inbox.conversation.unassigned.v1" => "The end of the assignment".into(),
                "inbox.conversation.snoozed.v1" => "The snooze".into(),
                "inbox.conversation.unsnoozed.v1" => "The end of the snooze, by hand,".into(),
                "inbox.contact.blocked.v1" => "The block of the contact".into(),
                "inbox.contact.unblocked.v1" => "The end of the block".into(),
                "adjourn.hold.put.v1" => format!("The hold{by}{}", why(&notice.snapshot.hold)),
                "adjourn.hold.deleted.v1" => format!("The end of the hold{by}"),
                "adjourn.exemption.put.v1" => format!("The exemption{by}{}", why(&notice.snapshot.exemption)),
                "adjourn.exemption.deleted.v1" => format!("The end of the exemption{by}"),
                other => format!("The event {id} ({other})"),
            }
        }
        Cause::AutoClose { .. } | Cause::DeadlineNear { .. } => "The timer".into(),
        Cause::Writer { writer, .. } => format!("The note by {writer}"),
        Cause::SnoozeElapsed => "The end of the snooze".into(),
        Cause::Settings { version } => format!("Version {version} of the settings"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::conversation::samples;
    use super::*;
    use crate::domain::notice::Status;
    use crate::domain::{EventName, Span};

    fn notice(kind: NoticeKind, closes_at: Option<i64>, type_name: &str, by: Option<&str>) -> ConversationNotice {
        let (name, at) = (EventName::new("/ingest", "m-1").unwrap(), Timestamp::from_millis(1_795_341_600_000));
        let cause = Cause::Event { name, type_name: type_name.into(), time: at, by: by.map(Into::into), message_id: None };
        let mut snapshot = samples::open();
        snapshot.scheduled_close_at = closes_at.map(|s| Timestamp::from_millis(1_795_341_600_000 + s * 1_000));
        ConversationNotice { key: samples::key(), kind, at, cause, snapshot }
    }

    #[test]
    fn each_deadline_is_told_beside_the_one_before() {
        let message = "inbox.message.v1";
        let mut closed = notice(NoticeKind::Closed, Some(90), message, None);
        closed.cause = Cause::AutoClose {
            deadline: Timestamp::from_millis(1_795_341_690_000),
            late: Span::from_millis(12),
            period: Span::from_mins(1),
            armed_by: EventName::new("/ingest", "m-1").unwrap(),
            armed_at: Timestamp::from_millis(0),
            farewell: None,
        };
        (closed.snapshot.status, closed.snapshot.closed_at) = (Status::Closed, Some(closed.at));
        let told = [
            notice(NoticeKind::Armed, Some(60), message, Some("ana")),
            notice(NoticeKind::Assigned, Some(75), "inbox.conversation.assigned.v1", None),
            notice(NoticeKind::Reset, Some(75), "inbox.conversation.assigned.v1", None),
            notice(NoticeKind::Reset, Some(90), message, Some("bo")),
            notice(NoticeKind::Suspended, None, "adjourn.hold.put.v1", Some("bo")),
            notice(NoticeKind::Resumed, Some(90), "adjourn.hold.deleted.v1", None),
            closed,
        ];
        let mut told = told;
        for (notice, version) in told.iter_mut().zip([1, 2, 2, 3, 4, 5, 6]) {
            notice.snapshot.version = version;
        }
        let story = story(&told);
        let words: Vec<_> = story.iter().map(|happened| happened.what).collect();
        assert_eq!(words, ["armed", "reset", "reset", "suspended", "resumed", "closed"]);
        let texts: Vec<&str> = story.iter().map(|happened| happened.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "The message m-1 of ana armed the timer: it closes at 2026-11-22T10:01:00.000Z.",
                "The assignment moved the close from 2026-11-22T10:01:00.000Z to 2026-11-22T10:01:15.000Z.",
                "The message m-1 of bo moved the close from 2026-11-22T10:01:15.000Z to 2026-11-22T10:01:30.000Z.",
                "The hold by bo lets the timer wait, until that is ended.",
                "The end of the hold let the timer go on: it closes at 2026-11-22T10:01:30.000Z.",
                "Nobody replied: closed by the timer, 12 ms after its time.",
            ]
        );
        let json = serde_json::to_value(&story[2]).unwrap();
        assert_eq!(
            (&json["closes_before"], &json["closes_after"]),
            (&"2026-11-22T10:01:15.000Z".into(), &"2026-11-22T10:01:30.000Z".into())
        );
        assert_eq!(json["cause"]["by"], "bo");
    }
}
