//! The laws (RELIABILITY.md, part c: I1 to I15), by name, and those that can be asked at the very moment of a commit.

use adjourn::domain::event::ClosingSource;
use adjourn::domain::notice::Cause;
use adjourn::domain::{ConversationNotice, Notice, NoticeKind, Timestamp};

use super::ground::{Book, Committed};
use super::time::Ms;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Law {
    /// I1: no close before its deadline, by the slowest honest clock.
    NeverEarly,
    /// I2: no close over a reply that was taken in before the deadline.
    NeverOverAReply,
    /// I3: when the weather has cleared, everything due is closed.
    EveryDueCloses,
    /// I4: one close an episode that is not taken back, under one id.
    OneCloseAnEpisode,
    /// I5: whatever a subscriber heard is stored, and it heard all that is.
    HeardIsStored,
    /// I6: whatever was acknowledged is in the log, and applied.
    AcceptedIsApplied,
    /// I7: a partition's commits are one chain, each by whoever had claimed last.
    OneChain,
    /// I8, I9: a partition's state is what its log comes to, event by event, whatever batches and crashes there were.
    StateIsTheLog,
    /// L1: who looks for a conversation finds it where it stands, and nowhere else.
    ListedWhereItStands,
    /// I11: an auto-close goes by the settings in force; none after the answer to the PUT that switched it off.
    SettingsInForce,
    /// I13: due, nothing in the way, and not closed in time.
    InTime,
    /// I14: soon after the last fault every partition has an owner, and nothing unapplied.
    Settles,
    /// I15: what was poison is set aside, and nothing else.
    QuarantineIsExact,
    /// A deadline is warned of once, and before it comes.
    WarnedOnce,
    /// What was answered to a command is what came of it.
    AnswersAreTrue,
    /// Nobody asks the store again and again in no time.
    NobodySpins,
    /// I17: nothing panics but what is poison.
    NothingPanics,
    /// T1-T8, D2, D5-D9: what the independent reading of the rules says of conversations in which only messages happen.
    RulesOfMessages,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    pub law: Law,
    pub about: String,
}

pub fn violates(law: Law, about: impl Into<String>) -> Violation {
    Violation { law, about: about.into() }
}

/// The auto-closes among what a commit tells, with their deadlines.
pub fn closes(committed: &Committed) -> impl Iterator<Item = (&ConversationNotice, Timestamp)> {
    committed.batch.notifications.iter().filter_map(|notification| match &notification.notice {
        Notice::Conversation(told) => Some((&**told, deadline_of(told)?)),
        Notice::Settings { .. } => None,
    })
}

/// The warnings among what a commit tells, with the deadlines that they are of.
fn warnings(committed: &Committed) -> impl Iterator<Item = (&ConversationNotice, Timestamp)> {
    committed.batch.notifications.iter().filter_map(|notification| match &notification.notice {
        Notice::Conversation(told) => match told.cause {
            Cause::DeadlineNear { deadline, .. } => Some((&**told, deadline)),
            Cause::Event { .. } | Cause::AutoClose { .. } | Cause::Writer { .. } | Cause::SnoozeElapsed | Cause::Settings { .. } => None,
        },
        Notice::Settings { .. } => None,
    })
}

pub fn deadline_of(told: &ConversationNotice) -> Option<Timestamp> {
    let is_auto = told.kind == NoticeKind::Closed && told.snapshot.closed_source == Some(ClosingSource::AutoClose);
    match told.cause {
        Cause::AutoClose { deadline, .. } if is_auto => Some(deadline),
        _ => None,
    }
}

/// Of a commit that the store has just taken into `book`.
pub fn of_a_commit(book: &Book, committed: &Committed, off_since: Option<Ms>) -> Vec<Violation> {
    let mut found = Vec::new();
    let Committed { lease, batch, at, shown, .. } = committed;
    if batch.based_on != book.head() {
        found.push(violates(
            Law::OneChain,
            format!("{} builds on {:?}, the last commit is {:?}", lease.partition, batch.based_on, book.head()),
        ));
    }
    if book.commits.last().is_some_and(|last| batch.checkpoint < last.batch.checkpoint) {
        found.push(violates(Law::OneChain, format!("{}: the position in the log went back to {}", lease.partition, batch.checkpoint)));
    }
    if book.lease != Some(*lease) {
        found.push(violates(Law::OneChain, format!("{lease:?} commits, {:?} has claimed since", book.lease)));
    }
    for (told, deadline) in warnings(committed) {
        let earlier = book.commits.iter().rev().flat_map(warnings);
        if told.at >= deadline || earlier.into_iter().any(|(other, of)| other.key == told.key && of == deadline) {
            found.push(violates(Law::WarnedOnce, format!("{} warned of {deadline:?} at {:?}", told.key, told.at)));
        }
    }
    for (told, deadline) in closes(committed) {
        let key = &told.key;
        if deadline >= shown.both() {
            let about = format!("{key} closed, due {deadline:?}, {shown:?}, truly {at}");
            found.push(violates(Law::NeverEarly, about));
        }
        let unseen = book.log.iter().rev().take_while(|logged| logged.id > batch.checkpoint);
        let in_time = |logged: &&super::ground::Logged| logged.at <= deadline.as_millis() || accepted_at(logged) <= deadline;
        let of_it = |logged: &super::ground::Logged| {
            let event = logged.entry.as_ref().ok().and_then(|entry| entry.event());
            event.is_some_and(|event| event.conversation == *key && event.kind.is_contact_message())
        };
        if let Some(reply) = unseen.filter(in_time).find(|logged| of_it(logged)) {
            found.push(violates(Law::NeverOverAReply, format!("{key} closed over {} of {}, due {deadline:?}", reply.id, reply.at)));
        }
        if off_since.is_some_and(|since| since < *at) {
            found.push(violates(Law::SettingsInForce, format!("{key} closed at {at}, auto-close is off since {off_since:?}")));
        }
    }
    found
}

fn accepted_at(logged: &super::ground::Logged) -> Timestamp {
    logged.entry.as_ref().map_or(logged.id.accepted_at(), |entry| entry.accepted_at(logged.id))
}
