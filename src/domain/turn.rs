//! One step in the making: an event takes its place among the facts, what follows from them is settled, and each change is
//! told once.

use super::commands::{BlockCommand, CommandLog, SnoozeCommand};
use super::conversation::{AutoClosing, Closing, Conversation, Opening, ToldTimer};
use super::deadline::{Timer, deadline, timer};
use super::event::{Accepted, ClosingSource, EventKind, MessageSource, Note, OpeningSource, Speaker, Text};
use super::facts::{CloseCommand, Facts, HumanMessage, Opener};
use super::hold::{Hold, Released};
use super::id::ConversationKey;
use super::kept::{NOTES_OFF, Pending, SAID_BYTES_MAX, TRIES_MAX};
use super::notice::{Cause, ConversationNotice, Notice, NoticeKind, Snapshot};
use super::order::{Border, Position};
use super::report::{Count, Counted, Traits};
use super::settings::Settings;
use super::step::{Effects, Outcome, Step};
use super::time::Timestamp;
use super::writing::{self, Said};

/// One step in the making.
pub(super) struct Turn<'a> {
    key: &'a ConversationKey,
    pub after: Conversation,
    settings: &'a Settings,
    now: Timestamp,
    cause: Cause,
    effects: Effects,
    /// What was written, with its place: kept if it turns out to be of the open episode.
    said: Option<(Position, Said)>,
    blocked_before: bool,
    assignment_before: Option<(super::event::AssigneeKind, Box<str>)>,
    /// A second opening or closing in one step gets a version of its own, so that no two notifications share an id.
    turned: bool,
}

impl<'a> Turn<'a> {
    pub fn new(key: &'a ConversationKey, before: Conversation, settings: &'a Settings, now: Timestamp, cause: Cause) -> Self {
        let assignment_before = before.assignment.assignee().map(|a| (a.kind, a.id.clone()));
        let blocked_before = before.is_blocked();
        Self {
            key,
            after: before,
            settings,
            now,
            cause,
            effects: Effects::default(),
            said: None,
            blocked_before,
            assignment_before,
            turned: false,
        }
    }

    /// Puts the event where it belongs by its time: over all episodes, into the open one, or into the one to come.
    pub fn take_in(&mut self, accepted: &Accepted) {
        let position = Position::of(accepted);
        match &accepted.event.kind {
            EventKind::Message { source, message_id, text, .. } => {
                self.said = text.as_ref().filter(|_| self.settings.keeps_texts()).map(|text| said(&position, *source, text));
                self.message(source.speaker(), position, accepted.accepted_at, message_id);
            }
            EventKind::MessageFailed { message_id } => self.facts_to_come().record_failure(position, message_id.clone()),
            EventKind::Assigned(assignee) => self.after.assignment.assign(position, assignee.clone()),
            EventKind::Unassigned => self.after.assignment.unassign(position),
            EventKind::Blocked => self.after.blocks.insert(position, BlockCommand::Block),
            EventKind::Unblocked => self.after.blocks.insert(position, BlockCommand::Unblock),
            EventKind::Snoozed { until } => self.snooze(position, SnoozeCommand::Until(*until)),
            EventKind::Unsnoozed => self.snooze(position, SnoozeCommand::End),
            EventKind::Opened { source, .. } => self.opened(position, *source),
            EventKind::Closed { source, by, note } => {
                self.closed(CloseCommand { position, source: *source, by: by.clone(), note: note.clone() });
            }
            EventKind::Noted { note, .. } => self.noted(note.clone()),
            EventKind::Held { until, reason, by } => {
                let hold = Hold { until: *until, reason: reason.clone(), by: by.clone() };
                self.after.holding.hold(hold, position.effective);
            }
            EventKind::HoldEnded { .. } => self.release(position, Released::Hold),
            EventKind::Exempted { reason, by } => {
                self.after.holding.exemption = Some(Hold { until: None, reason: reason.clone(), by: by.clone() });
            }
            EventKind::ExemptionEnded { .. } => self.release(position, Released::Exemption),
            EventKind::Written { note, by, .. } => self.written(note, by),
            EventKind::Unwritten { reason, by, .. } => self.unwritten(reason, by),
        }
    }

    fn message(&mut self, speaker: Speaker, position: Position, accepted_at: Timestamp, message_id: &Option<Box<str>>) {
        match speaker {
            Speaker::Contact => self.after.messages.incoming += 1,
            Speaker::Human | Speaker::HumanElsewhere | Speaker::Machine => self.after.messages.outgoing += 1,
        }
        let arms = match speaker {
            Speaker::Machine => return, // T7, L6
            Speaker::Contact => return self.contact_message(position, accepted_at),
            Speaker::Human => true,
            Speaker::HumanElsewhere => self.settings.echo_arms, // T8
        };
        let (period, stamped_by) = (self.settings.period, self.settings.version);
        let opener = Opener { position: position.clone(), source: OpeningSource::User };
        let message = HumanMessage { position, accepted_at, message_id: message_id.clone(), period, stamped_by, arms, failed: false };
        if let Some((facts, blocks)) = self.facts_at(&opener.position) {
            facts.record_human(message);
            facts.record_opener(opener, blocks);
        }
    }

    fn contact_message(&mut self, position: Position, accepted_at: Timestamp) {
        if self.is_later(&position) {
            let Some((facts, blocks)) = self.facts_at(&position) else { return };
            facts.record_contact(position.clone());
            facts.record_opener(Opener { position, source: OpeningSource::Contact }, blocks);
        } else if self.is_of_the_closed(&position) {
            if self.is_news(&position) {
                return self.take_news(position, accepted_at);
            }
            // Never news again: were it only forgotten, a repeat after an unblock would reopen (D6).
            self.after.facts.record_contact(position);
        }
    }

    fn snooze(&mut self, position: Position, command: SnoozeCommand) {
        if let Some((facts, _)) = self.facts_at(&position) {
            facts.record_snooze(position, command);
        }
    }

    fn opened(&mut self, position: Position, source: OpeningSource) {
        if let Some((facts, blocks)) = self.facts_at(&position) {
            let opener = Opener { position, source };
            facts.record_opened(opener.clone());
            facts.record_opener(opener, blocks);
        }
    }

    fn closed(&mut self, close: CloseCommand) {
        if let Some((facts, _)) = self.facts_at(&close.position) {
            facts.record_close(close);
        }
    }

    /// The full period starts when what kept the timer ends.
    fn release(&mut self, position: Position, what: Released) {
        let kept_the_timer = self.after.holding.release(what);
        // Nor does it close because somebody ended what has kept it open since its deadline.
        let is_overdue = || deadline(&self.after, self.settings).is_ok_and(|due| due.at <= position.effective);
        if self.after.is_open() && (kept_the_timer || is_overdue()) {
            self.after.holding.start_anew(position.effective);
        }
    }

    /// L10: the note of the closed episode, first or anew.
    fn noted(&mut self, note: Note) {
        let counted = self.after.counted_close();
        let Some(closing) = &mut self.after.closing else { return };
        if closing.note.as_ref() != Some(&note) {
            closing.note = Some(note);
            self.effects.counts.extend(counted.map(Count::take_back));
            self.effects.counts.extend(self.after.counted_close());
            let episode = self.after.episode;
            self.after.pending_note.take_if(|pending| pending.episode == episode); // nobody needs another
            self.tell(NoticeKind::NoteAdded);
        }
    }

    /// L12: the note that a closed episode was still to get. It is that episode's, also where the conversation is open again.
    fn written(&mut self, note: &Note, by: &str) {
        // L10: one that was taken away while it was written is none.
        let category = note.category.clone().filter(|name| self.settings.has_category(name));
        let note = Note { category, summary: note.summary.clone() };
        if note.category.is_none() && note.summary.is_none() {
            return self.unwritten("its category is none of the workspace's any more", by);
        }
        let Some(pending) = self.after.pending_note.take() else { return };
        let Pending { episode, close, .. } = *pending;
        let of = Traits { category: note.category.clone(), ..close.of.clone() };
        self.effects.counts.extend([close.clone().take_back(), Count { of, ..close }]);
        if self.after.episode == episode
            && let Some(closing) = &mut self.after.closing
        {
            closing.note = Some(note.clone());
        }
        self.tell_because(Cause::Writer { episode, note: Some(note), writer: by.into(), reason: None }, NoticeKind::NoteAdded);
    }

    /// L12: given up.
    pub fn unwritten(&mut self, reason: &str, by: &str) {
        let Some(pending) = self.after.pending_note.take() else { return };
        let cause = Cause::Writer { episode: pending.episode, note: None, writer: by.into(), reason: Some(reason.into()) };
        self.tell_because(cause, NoticeKind::NoteFailed);
    }

    /// The note did not come in time: asks for it again, or gives it up.
    pub fn ask_again(&mut self) {
        let wanted = self.settings.writes_notes();
        let Some(pending) = &mut self.after.pending_note else { return };
        if !wanted {
            self.unwritten(NOTES_OFF, "");
        } else if pending.try_again(self.now) {
            self.effects.write_note = Some(pending.episode);
        } else {
            self.unwritten(&format!("no answer within {TRIES_MAX} tries"), "");
        }
    }

    /// L11, L12: an episode that the timer closed, or a user without a note, gets one.
    fn want_note(&mut self) {
        let wants = self
            .after
            .closing
            .as_ref()
            .is_some_and(|closing| closing.note.is_none() && matches!(closing.source, ClosingSource::AutoClose | ClosingSource::User));
        let Some(close) = self.after.counted_close().filter(|_| wants && self.settings.writes_notes()) else { return };
        // One note at a time: that of an episode before is told to be lost, rather than lost.
        self.unwritten("the conversation closed again before it came", "");
        let pending = Pending::new(self.after.episode, self.now, close, self.after.texts);
        self.effects.write_note = Some(pending.episode);
        self.after.pending_note = Some(Box::new(pending));
    }

    /// Keeps what was written, where it is of the open episode.
    fn keep_text(&mut self) {
        let Some((position, said)) = self.said.take() else { return };
        if self.after.is_open() && self.after.border().is_none_or(|border| border.is_before(&position)) {
            let change = self.after.texts.push(said);
            self.effects.texts.push(change);
        }
    }

    /// Nobody will write from what is kept.
    pub fn forget_texts(&mut self) {
        let gone = self.after.texts.clear();
        self.effects.texts.extend(gone);
    }

    /// An episode begins: what is kept of the one before goes, unless its note is still to be written from that.
    fn begin_texts(&mut self) {
        if self.after.pending_note.is_some() {
            self.after.texts.from = self.after.texts.to;
        } else {
            self.forget_texts();
        }
    }

    /// Whether this is later than the last close: of the open episode, or of the one to come (D5).
    fn is_later(&self, position: &Position) -> bool {
        self.after.border().is_none_or(|border| border.is_before(position))
    }

    /// Whether this falls into the latest episode, and that is closed.
    fn is_of_the_closed(&self, position: &Position) -> bool {
        let Conversation { closing, floor, .. } = &self.after;
        closing.as_ref().is_some_and(|closing| !closing.border.is_before(position))
            && floor.as_ref().is_none_or(|floor| floor.is_before(position))
    }

    /// The facts that an event at `position` belongs to, and the blocks to judge it by: of the open episode, of the one to
    /// come, or of one whose close may yet be taken back. `None`: recorded only (D5).
    fn facts_at(&mut self, position: &Position) -> Option<(&mut Facts, &CommandLog<BlockCommand>)> {
        let (later, of_the_closed) = (self.is_later(position), self.is_of_the_closed(position));
        let is_open = self.after.is_open();
        let Conversation { facts, next, late, blocks, closing, .. } = &mut self.after;
        let may_be_taken_back = closing.as_ref().is_some_and(|closing| closing.auto.is_some());
        match (later, is_open) {
            (true, true) => Some((facts, blocks)),
            (true, false) => Some((next, blocks)),
            (false, _) => (of_the_closed && may_be_taken_back).then_some((late, blocks)),
        }
    }

    /// Where a failure waits for its message, whenever either comes (T19).
    fn facts_to_come(&mut self) -> &mut Facts {
        if self.after.is_open() { &mut self.after.facts } else { &mut self.after.next }
    }

    /// D7: a contact's message of the closed episode that nobody has answered. What is older than that episode is a repeat
    /// or history, and reopens nothing (D6).
    fn is_news(&self, position: &Position) -> bool {
        !self.after.is_blocked() && self.after.facts.latest_delivered().is_none_or(|latest| position > latest)
    }

    /// D7: within the window an auto-close is taken back; else the conversation reopens, for nobody has seen this.
    fn take_news(&mut self, position: Position, accepted_at: Timestamp) {
        let Some(closing) = &self.after.closing else { return };
        let in_time = closing.auto.is_some() && accepted_at <= closing.closed_at.plus(self.settings.late_reply_window);
        if in_time {
            let counted = self.after.counted_close();
            self.effects.counts.extend(counted.iter().cloned().map(Count::take_back));
            self.effects.counts.extend(counted.map(|close| Count { what: Counted::Reversed, ..close }));
            let Conversation { closing, pending_note, episode, facts, next, late, blocks, .. } = &mut self.after;
            *closing = None;
            pending_note.take_if(|pending| pending.episode == *episode);
            facts.record_contact(position);
            facts.merge(std::mem::take(late), blocks);
            facts.merge(std::mem::take(next), blocks);
            self.turn();
            self.tell(NoticeKind::Reversed);
        } else {
            self.after.next.record_contact(position.clone());
            self.open(Opener { position, source: OpeningSource::Contact });
        }
    }

    /// What follows from the facts: a waiting `closed` closes, a waiting opener opens, as often as it takes.
    pub fn settle(&mut self) {
        loop {
            if self.after.is_open() {
                let Some(close) = self.applicable_close() else { return };
                self.close(close);
            } else {
                // L0: whatever is no opener was recorded and opens nothing. L4: nor does one that came during a block.
                let may_open = |opener: &&Opener| !self.after.was_blocked_at(&opener.position);
                let Some(opener) = self.after.next.openers.iter().find(may_open).cloned() else { return };
                self.open(opener);
            }
        }
    }

    /// The earliest `closed` of this episode that is later than its start and its messages, and that no block refused (L4).
    fn applicable_close(&self) -> Option<CloseCommand> {
        let conversation = &self.after;
        let start = conversation.start();
        let latest = conversation.facts.latest_message();
        let applies = |close: &&CloseCommand| {
            start.is_none_or(|start| close.position > *start)
                && latest.is_none_or(|latest| close.position > *latest)
                && !conversation.was_blocked_at(&close.position)
        };
        conversation.facts.closes.iter().find(applies).cloned()
    }

    /// L3, L5, L6: a new episode, with what was already known of it.
    fn open(&mut self, opener: Opener) {
        let after = &mut self.after;
        after.episode += 1;
        after.floor = after.closing.take().map(|closing| closing.border);
        after.facts = std::mem::take(&mut after.next);
        after.late = Facts::default();
        let Opener { position, source } = opener;
        after.opening = Some(Opening { position, source, enable_epoch: self.settings.epoch_in_force() });
        let kind = if after.episode == 1 { NoticeKind::Opened } else { NoticeKind::Reopened };
        self.effects.counts.extend(self.after.counted_opening());
        self.begin_texts();
        self.turn();
        self.tell(kind);
    }

    /// L2, T18: closed by somebody; a running timer is cancelled with it.
    fn close(&mut self, close: CloseCommand) {
        let CloseCommand { position, source, by, note } = close;
        let closed_at = position.effective;
        self.turn();
        self.end_episode(Closing { source, by, note, closed_at, border: Border::Event(position), auto: None, agent: None });
        self.tell_timer(Timer::None);
        self.tell(NoticeKind::Closed);
    }

    /// T6: the deadline passed and nobody replied. Sends `closed` alone. Once an episode (D3): of one that is closed nothing is due.
    pub fn auto_close(&mut self, auto: AutoClosing) {
        self.turn();
        self.tell_snooze(None);
        self.after.told.timer = ToldTimer::None;
        let (closed_at, border, source) = (self.now, Border::Instant(self.now), ClosingSource::AutoClose);
        self.end_episode(Closing { source, by: None, note: None, closed_at, border, auto: Some(auto), agent: None });
        self.tell(NoticeKind::Closed);
    }

    fn end_episode(&mut self, closing: Closing) {
        let after = &mut self.after;
        after.next = after.facts.split_after(&closing.border);
        after.touched_at = after.touched_at.max(closing.closed_at);
        let agent = after.assignment.assignee().map(|assignee| assignee.id.clone());
        after.closing = Some(Closing { agent, ..closing });
        after.told.snoozed_until = None;
        after.told.warned = None;
        after.holding.end_episode();
        self.effects.counts.extend(self.after.counted_close());
        self.want_note();
    }

    fn turn(&mut self) {
        if self.turned {
            self.after.version += 1;
        }
        self.turned = true;
    }

    /// Tells what else changed: assignee, block, snooze and timer, each against what was told before.
    pub fn finish(mut self, outcome: Outcome) -> Step {
        self.keep_text();
        self.tell_assignment();
        self.tell_block();
        let snoozed_until = self.after.snooze().holds_at(self.now);
        self.tell_snooze(snoozed_until);
        let timer = timer(&self.after, self.settings, self.now);
        self.tell_timer(timer);
        self.done(outcome)
    }

    /// Nothing else is told: what does not follow from facts changes no timer.
    pub fn done(self, outcome: Outcome) -> Step {
        Step { after: self.after, effects: self.effects, outcome }
    }

    fn tell_assignment(&mut self) {
        let assignee = self.after.assignment.assignee().map(|a| (a.kind, a.id.clone()));
        if assignee != self.assignment_before {
            self.tell(if assignee.is_some() { NoticeKind::Assigned } else { NoticeKind::Unassigned });
        }
    }

    fn tell_block(&mut self) {
        match (self.blocked_before, self.after.is_blocked()) {
            (false, true) => self.tell(NoticeKind::Blocked),
            (true, false) => self.tell(NoticeKind::Unblocked),
            (true, true) | (false, false) => {}
        }
    }

    fn tell_snooze(&mut self, snoozed_until: Option<Timestamp>) {
        let told = std::mem::replace(&mut self.after.told.snoozed_until, snoozed_until);
        match (told, snoozed_until) {
            (Some(_), None) => self.tell(NoticeKind::Unsnoozed),
            (before, Some(until)) if before != Some(until) => self.tell(NoticeKind::Snoozed),
            (Some(_), Some(_)) | (None, _) => {}
        }
    }

    /// One change, one timer notification (CONTRACT.md). Every pair of what was told and what holds has its arm.
    fn tell_timer(&mut self, timer: Timer) {
        use ToldTimer as Told;
        let (told, kind) = match (self.after.told.timer, timer) {
            (Told::None, Timer::None) => (Told::None, None),
            (Told::None, Timer::Running(at)) => (Told::Running(at), Some(NoticeKind::Armed)),
            (Told::None, Timer::Snoozed(at)) => (Told::Snoozed(at), Some(NoticeKind::Armed)),
            (Told::None, Timer::Suspended) => (Told::SuspendedUntold, None),
            (Told::Running(old), Timer::Running(at)) => (Told::Running(at), (old != at).then_some(NoticeKind::Reset)),
            (Told::Running(_), Timer::Snoozed(at)) => (Told::Snoozed(at), Some(NoticeKind::Suspended)),
            (Told::Snoozed(old), Timer::Snoozed(at)) => (Told::Snoozed(at), (old != at).then_some(NoticeKind::Reset)),
            (Told::Snoozed(_), Timer::Running(at)) => (Told::Running(at), Some(NoticeKind::Resumed)),
            (Told::Running(_) | Told::Snoozed(_), Timer::Suspended) => (Told::Suspended, Some(NoticeKind::Suspended)),
            (Told::Suspended | Told::SuspendedUntold, Timer::Running(at)) => (Told::Running(at), Some(NoticeKind::Resumed)),
            (Told::Suspended | Told::SuspendedUntold, Timer::Snoozed(at)) => (Told::Snoozed(at), Some(NoticeKind::Resumed)),
            (told @ (Told::Suspended | Told::SuspendedUntold), Timer::Suspended) => (told, None),
            (Told::SuspendedUntold, Timer::None) => (Told::None, None),
            (Told::Running(_) | Told::Snoozed(_) | Told::Suspended, Timer::None) => (Told::None, Some(NoticeKind::Cancelled)),
        };
        self.after.told.timer = told;
        if let Some(kind) = kind {
            self.tell(kind);
        }
    }

    /// Tells of something that has another cause than the rest of the step.
    fn tell_because(&mut self, cause: Cause, kind: NoticeKind) {
        let of_the_step = std::mem::replace(&mut self.cause, cause);
        self.tell(kind);
        self.cause = of_the_step;
    }

    pub fn tell(&mut self, kind: NoticeKind) {
        let snapshot = Snapshot::of(&self.after, self.settings, self.now);
        let notice = ConversationNotice { key: self.key.clone(), kind, at: self.now, cause: self.cause.clone(), snapshot };
        self.effects.notices.push(Notice::Conversation(Box::new(notice)));
    }
}

/// A message as it is kept.
fn said(position: &Position, source: MessageSource, text: &Text) -> (Position, Said) {
    let by = match source.speaker() {
        Speaker::Contact => writing::Speaker::Contact,
        Speaker::Human | Speaker::HumanElsewhere => writing::Speaker::Human,
        Speaker::Machine => writing::Speaker::Machine,
    };
    let end = writing::floor_boundary(&text.0, SAID_BYTES_MAX);
    (position.clone(), Said { by, at: position.time, text: text.0.get(..end).unwrap_or_default().into() })
}
