//! Values for the property tests: conversations that lived through a soup of events, and ones that never could.

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use crate::domain::access::{Key, Keys, Reach, Scope, Secret};
use crate::domain::agents::{Agent, Agents};
use crate::domain::audit::{AuditLog, Deed};
use crate::domain::categories::Category;
use crate::domain::commands::*;
use crate::domain::conversation::*;
use crate::domain::event::*;
use crate::domain::facts::*;
use crate::domain::history::{self, Difference, SettingsChanged, SettingsHistory};
use crate::domain::hold::{Hold, Holding};
use crate::domain::id::Fingerprint;
use crate::domain::kept::{Kept, Pending};
use crate::domain::notice::*;
use crate::domain::order::{Border, Position};
use crate::domain::report::{Count, Counted, Group, Label, Rollup, Sums, TimeClass, Traits};
use crate::domain::settings::{NotesMode, Running};
use crate::domain::step::{Input, step};
use crate::domain::testing::{at, key};
use crate::domain::writing::{Said, Speaker};
use crate::domain::*;
use crate::store::*;

// Boxed where large: strategies are values, and these would fill a test's stack.

pub fn timestamp() -> impl Strategy<Value = Timestamp> {
    prop_oneof![8 => 0..2_000_000_000_000i64, 1 => any::<i64>()].prop_map(Timestamp::from_millis)
}

fn span() -> impl Strategy<Value = Span> {
    prop_oneof![4 => 0..1_000_000_000i64, 1 => 0..=i64::MAX].prop_map(Span::from_millis)
}

fn text() -> impl Strategy<Value = Box<str>> {
    prop_oneof![select(vec!["ana", "bo", "wa-1"]).prop_map(Into::into), ".{0,20}".prop_map(Into::into)]
}

fn name() -> impl Strategy<Value = EventName> {
    ("[ -~]{1,40}", select(vec!["/ingest/whatsapp", "/ui", "e1"])).prop_map(|(id, source)| EventName::new(source, &id).unwrap())
}

fn conversation_key() -> impl Strategy<Value = ConversationKey> {
    ("[a-z.:_-]{1,9}", "[A-Z0-9]{1,9}").prop_map(|(w, c)| ConversationKey::new(&w, &c).unwrap())
}

fn position() -> impl Strategy<Value = Position> {
    (timestamp(), timestamp(), any::<bool>(), name()).prop_map(|(effective, time, contact_message, name)| Position {
        effective,
        time,
        contact_message,
        name,
    })
}

fn note() -> impl Strategy<Value = Note> {
    (of(text()), of(text())).prop_map(|(category, summary)| Note { category, summary })
}

fn assignee() -> impl Strategy<Value = Assignee> {
    (select(AssigneeKind::ALL), text(), of(text())).prop_map(|(kind, id, name)| Assignee { kind, id, name })
}

fn opener() -> impl Strategy<Value = Opener> {
    (position(), select(OpeningSource::ALL)).prop_map(|(position, source)| Opener { position, source })
}

fn close() -> impl Strategy<Value = CloseCommand> {
    (position(), select(ClosingSource::ALL), of(text()), of(note())).prop_map(|(position, source, by, note)| CloseCommand {
        position,
        source,
        by,
        note,
    })
}

fn human() -> impl Strategy<Value = HumanMessage> {
    (position(), timestamp(), of(text()), span(), 0..3u64, any::<bool>(), any::<bool>()).prop_map(
        |(position, accepted_at, message_id, period, stamped_by, arms, failed)| HumanMessage {
            position,
            accepted_at,
            message_id,
            period,
            stamped_by,
            arms,
            failed,
        },
    )
}

fn snoozes() -> impl Strategy<Value = CommandLog<SnoozeCommand>> {
    let command = prop_oneof![Just(SnoozeCommand::End), timestamp().prop_map(SnoozeCommand::Until)];
    let base = (of(timestamp()), of(timestamp())).prop_map(|(until, ended)| SnoozeState { until, ended });
    (base, of(position()), vec((position(), command), 0..3)).prop_map(|(base, floor, recent)| CommandLog { base, floor, recent })
}

fn blocks() -> impl Strategy<Value = CommandLog<BlockCommand>> {
    let command = select(vec![BlockCommand::Block, BlockCommand::Unblock]);
    let base = (any::<bool>(), of(timestamp())).prop_map(|(blocked, unblocked_at)| BlockState { blocked, unblocked_at });
    (base, of(position()), vec((position(), command), 0..3)).prop_map(|(base, floor, recent)| CommandLog { base, floor, recent })
}

fn facts() -> impl Strategy<Value = Facts> {
    let lists = (vec(human(), 0..4), vec((position(), text()), 0..3), vec(opener(), 0..3), vec(close(), 0..3));
    (of(position()), of(timestamp()), lists, vec(opener(), 0..3), snoozes()).prop_map(|(contact, last_human_at, lists, opened, snoozes)| {
        let (humans, failures, openers, closes) = lists;
        Facts { contact, last_human_at, humans, failures, openers, opened, snoozes, closes }
    })
}

fn facts_or_none() -> BoxedStrategy<Facts> {
    of(facts().boxed()).prop_map(Option::unwrap_or_default).boxed()
}

fn border() -> impl Strategy<Value = Border> {
    prop_oneof![timestamp().prop_map(Border::Instant), position().prop_map(Border::Event)]
}

fn closing() -> impl Strategy<Value = Closing> {
    let auto = (timestamp(), span(), name(), timestamp()).prop_map(|(deadline, period, armed_by, armed_at)| AutoClosing {
        deadline,
        period,
        armed_by,
        armed_at,
    });
    (select(ClosingSource::ALL), of(text()), of(note()), timestamp(), border(), of(auto), of(text()))
        .prop_map(|(source, by, note, closed_at, border, auto, agent)| Closing { source, by, note, closed_at, border, auto, agent })
}

fn told() -> impl Strategy<Value = Told> {
    let timer = prop_oneof![
        Just(ToldTimer::None),
        timestamp().prop_map(ToldTimer::Running),
        timestamp().prop_map(ToldTimer::Snoozed),
        Just(ToldTimer::Suspended),
        Just(ToldTimer::SuspendedUntold),
    ];
    (timer, of(timestamp()), of(timestamp())).prop_map(|(timer, snoozed_until, warned)| Told { timer, snoozed_until, warned })
}

fn hold() -> impl Strategy<Value = Hold> {
    (of(timestamp()), text(), of(text())).prop_map(|(until, reason, by)| Hold { until, reason, by })
}

fn holding() -> impl Strategy<Value = Holding> {
    (of(hold()), of(hold()), of(timestamp())).prop_map(|(hold, exemption, released_at)| Holding { hold, exemption, released_at })
}

fn kept() -> impl Strategy<Value = Kept> {
    any::<(u32, u32)>().prop_map(|(from, to)| Kept { from, to })
}

fn pending() -> impl Strategy<Value = Pending> {
    let what = prop_oneof![
        any::<bool>().prop_map(|again| Counted::Opened { again }),
        span().prop_map(|after| Counted::Closed { after }),
        Just(Counted::Reversed),
    ];
    let of_it = (select(OpeningSource::ALL), of(select(ClosingSource::ALL)), of(text()), of(text()))
        .prop_map(|(opened_source, closed_source, category, agent)| Traits { opened_source, closed_source, category, agent });
    let close = (timestamp(), what, of_it, any::<bool>()).prop_map(|(at, what, of, taken_back)| Count { at, what, of, taken_back });
    (any::<(u32, u32)>(), timestamp(), close, kept()).prop_map(|((episode, tries), next_at, close, texts)| Pending {
        episode,
        tries,
        next_at,
        close,
        texts,
    })
}

fn seen() -> impl Strategy<Value = Seen> {
    let recent = vec(any::<u64>().prop_map(Fingerprint), 0..=SEEN_MAX).prop_map(Into::into);
    let ahead = vec((any::<u64>().prop_map(Fingerprint), timestamp()), 0..3);
    (recent, ahead).prop_map(|(recent, ahead)| Seen { recent, ahead })
}

fn messages() -> impl Strategy<Value = MessageCounts> {
    (0..3u64, any::<u64>()).prop_map(|(incoming, outgoing)| MessageCounts { incoming, outgoing })
}

/// Any conversation the types allow, most of which no sequence of events leads to.
pub fn conversation() -> BoxedStrategy<Conversation> {
    let opening = (position(), select(OpeningSource::ALL), of(any::<u64>())).prop_map(|(position, source, enable_epoch)| Opening {
        position,
        source,
        enable_epoch,
    });
    let assignment = (of((position(), assignee())), of(position())).prop_map(|(assigned, unassigned)| Assignment { assigned, unassigned });
    let times = (timestamp(), timestamp(), any::<u64>(), any::<u32>(), any::<u32>(), of(any::<u64>()));
    let episodes = (of(opening.boxed()), of(closing().boxed()), of(border().boxed()), facts_or_none(), facts_or_none(), facts_or_none());
    (times, episodes, seen().boxed(), messages(), assignment.boxed(), blocks().boxed(), (told(), holding(), kept(), of(pending())).boxed())
        .prop_map(|(times, episodes, seen, messages, assignment, blocks, (told, holding, texts, pending_note))| {
            let pending_note = pending_note.map(Box::new);
            let (created_at, touched_at, version, episode, set_aside, last_notification) = times;
            let (opening, closing, floor, facts, next, late) = episodes;
            Conversation {
                created_at,
                touched_at,
                version,
                seen,
                messages,
                assignment,
                blocks,
                episode,
                opening,
                closing,
                floor,
                facts,
                next,
                late,
                holding,
                texts,
                pending_note,
                told,
                set_aside,
                last_notification,
            }
        })
        .boxed()
}

fn event_kind(time: BoxedStrategy<Timestamp>) -> BoxedStrategy<EventKind> {
    let message = (select(MessageSource::ALL), of(text()), of(text()), of(text().prop_map(Text)));
    prop_oneof![
        4 => message.prop_map(|(source, agent, message_id, text)| EventKind::Message { source, agent, message_id, text }),
        1 => text().prop_map(|message_id| EventKind::MessageFailed { message_id }),
        1 => (select(OpeningSource::ALL), of(text())).prop_map(|(source, by)| EventKind::Opened { source, by }),
        1 => (select(ClosingSource::ALL), of(text()), of(note())).prop_map(|(source, by, note)| EventKind::Closed { source, by, note }),
        1 => assignee().prop_map(EventKind::Assigned),
        1 => time.prop_map(|until| EventKind::Snoozed { until }),
        1 => (note(), of(text())).prop_map(|(note, by)| EventKind::Noted { note, by }),
        1 => (any::<u32>(), note(), text()).prop_map(|(episode, note, by)| EventKind::Written { episode, note, by }),
        1 => (any::<u32>(), text(), text()).prop_map(|(episode, reason, by)| EventKind::Unwritten { episode, reason, by }),
        1 => hold().prop_map(|Hold { until, reason, by }| EventKind::Held { until, reason, by }),
        1 => hold().prop_map(|Hold { reason, by, .. }| EventKind::Exempted { reason, by }),
        1 => (any::<bool>(), of(text()))
            .prop_map(|(hold, by)| if hold { EventKind::HoldEnded { by } } else { EventKind::ExemptionEnded { by } }),
        3 => select(vec![EventKind::Unassigned, EventKind::Unsnoozed, EventKind::Blocked, EventKind::Unblocked]),
    ]
    .boxed()
}

pub fn keys() -> impl Strategy<Value = Keys> {
    let secret = (text(), timestamp(), of(timestamp())).prop_map(|(digest, created_at, until)| Secret { digest, created_at, until });
    let reach = prop_oneof![Just(Reach::All), btree_set(text(), 0..3).prop_map(Reach::Only)];
    let times = (timestamp(), of(timestamp()), of(timestamp()));
    let key = (text(), text(), btree_set(select(Scope::ALL.to_vec()), 0..4), reach, times, vec(secret, 0..3)).prop_map(
        |(id, name, scopes, reach, (created_at, expires_at, revoked_at), secrets)| Key {
            id,
            name,
            scopes,
            reach,
            created_at,
            expires_at,
            revoked_at,
            secrets,
        },
    );
    (any::<u64>(), vec(key, 0..4)).prop_map(|(version, all)| Keys { version, all })
}

pub fn audit_log() -> impl Strategy<Value = AuditLog> {
    let deed = (any::<u64>(), timestamp(), of((text(), text())), (text(), text(), text()), of(any::<u16>()))
        .prop_map(|(number, at, by, (method, path, request_id), status)| Deed { number, at, by, method, path, request_id, status });
    (any::<u64>(), vec(deed, 0..4)).prop_map(|(version, deeds)| AuditLog { version, deeds })
}

pub fn agents() -> impl Strategy<Value = Agents> {
    let agent =
        (text(), text(), of(text()), any::<bool>()).prop_map(|(id, name, avatar_url, available)| Agent { id, name, avatar_url, available });
    (any::<u64>(), vec(agent, 0..4)).prop_map(|(version, all)| Agents { version, all })
}

pub fn said() -> impl Strategy<Value = Said> {
    (select(vec![Speaker::Contact, Speaker::Human, Speaker::Machine]), timestamp(), text()).prop_map(|(by, at, text)| Said { by, at, text })
}

pub fn rollup() -> BoxedStrategy<Rollup> {
    let label = || prop_oneof![Just(Label::None), text().prop_map(Label::Named), Just(Label::Other)];
    let group = prop_oneof![
        select(OpeningSource::ALL).prop_map(Group::OpenedSource),
        of(select(ClosingSource::ALL)).prop_map(Group::ClosedSource),
        label().prop_map(Group::Category),
        label().prop_map(Group::Agent),
    ];
    let times = vec(((0..=TimeClass::MAX.0).prop_map(TimeClass), any::<u32>()), 0..4);
    let sums = (any::<(u32, u32, u32, u32)>(), times).prop_map(|((opened, reopened, closed, reversed), times)| Sums {
        opened,
        reopened,
        closed,
        reversed,
        times,
    });
    btree_map(group, vec((any::<u8>(), sums), 0..4), 0..5).prop_map(|groups| Rollup { groups }).boxed()
}

pub fn history() -> impl Strategy<Value = SettingsHistory> {
    let value = || {
        prop_oneof![
            Just(history::Value::Nothing),
            any::<bool>().prop_map(history::Value::Switch),
            span().prop_map(history::Value::Span),
            text().prop_map(history::Value::Text),
        ]
    };
    let difference = (text(), value(), value()).prop_map(|(setting, from, to)| Difference { setting, from, to });
    let changed = (any::<u64>(), timestamp(), of(text()), any::<bool>(), vec(difference, 0..4))
        .prop_map(|(version, at, by, restored, differences)| SettingsChanged { version, at, by, restored, differences });
    vec(changed, 0..4).prop_map(|changes| SettingsHistory { changes })
}

pub fn settings() -> BoxedStrategy<Settings> {
    let switches = (any::<bool>(), any::<bool>(), any::<bool>());
    let spans = (span(), span(), of(span()));
    let category = (text(), of(text())).prop_map(|(name, description)| Category { name, description });
    let running =
        (any::<u64>(), span(), timestamp(), any::<u32>()).prop_map(|(version, period, at, rate)| Running { version, period, at, rate });
    let notes = (select(NotesMode::ALL), vec(category, 0..3), of(running));
    (any::<u64>(), any::<u64>(), switches, spans, notes, of(text()))
        .prop_map(
            |(version, enable_epoch, (enabled, echo_arms, notes_auto_generate), spans, (notes_mode, categories, running), farewell)| {
                let (period, late_reply_window, warning_before) = spans;
                Settings {
                    version,
                    enable_epoch,
                    enabled,
                    period,
                    echo_arms,
                    late_reply_window,
                    notes_mode,
                    notes_auto_generate,
                    warning_before,
                    farewell,
                    categories,
                    running,
                }
            },
        )
        .boxed()
}

fn log_id() -> impl Strategy<Value = LogId> {
    (any::<u64>(), 0..9u64).prop_map(|(ms, seq)| LogId { ms, seq })
}

pub fn entry() -> impl Strategy<Value = Entry> {
    let event = (name(), conversation_key(), timestamp(), event_kind(timestamp().boxed()))
        .prop_map(|(name, conversation, time, kind)| Event { name, conversation, time, kind })
        .boxed();
    let action = select(vec![DeadLetterAction::Replay, DeadLetterAction::Dismiss]);
    prop_oneof![
        4 => event.clone().prop_map(Entry::Event),
        1 => (event, of(any::<u64>())).prop_map(|(command, expected)| Entry::Command { command: Box::new(command), expected }),
        1 => (text(), settings()).prop_map(|(workspace, s)| Entry::Settings { workspace, settings: Box::new(s) }),
        1 => (log_id(), action).prop_map(|(id, action)| Entry::DeadLetter { id, action }),
    ]
}

pub fn dead_letter() -> impl Strategy<Value = DeadLetter> {
    let unreadable = (text(), vec(any::<u8>(), 0..40)).prop_map(|(reason, bytes)| Unreadable { reason, bytes, conversation: None });
    let content = prop_oneof![entry().prop_map(Ok), unreadable.prop_map(Err)];
    (any::<u16>(), log_id(), of(conversation_key()), text(), content).prop_map(|(partition, id, conversation, reason, entry)| DeadLetter {
        partition: PartitionId(partition),
        id,
        conversation,
        reason,
        entry,
    })
}

fn cause() -> impl Strategy<Value = Cause> {
    prop_oneof![
        (any::<u32>(), of(note()), text(), of(text())).prop_map(|(episode, note, writer, reason)| Cause::Writer {
            episode,
            note,
            writer,
            reason
        }),
        (name(), text(), timestamp(), of(text()), of(text())).prop_map(|(name, type_name, time, by, message_id)| Cause::Event {
            name,
            type_name,
            time,
            by,
            message_id
        }),
        (timestamp(), span(), span(), name(), timestamp(), of(text())).prop_map(
            |(deadline, late, period, armed_by, armed_at, farewell)| Cause::AutoClose {
                deadline,
                late,
                period,
                armed_by,
                armed_at,
                farewell
            }
        ),
        (timestamp(), span(), name(), timestamp()).prop_map(|(deadline, period, armed_by, armed_at)| Cause::DeadlineNear {
            deadline,
            period,
            armed_by,
            armed_at
        }),
        Just(Cause::SnoozeElapsed),
        any::<u64>().prop_map(|version| Cause::Settings { version }),
    ]
}

/// Any notice: a snapshot of any conversation, under any cause.
pub fn notice() -> impl Strategy<Value = Notice> {
    let told = (conversation_key(), select(NoticeKind::ALL), timestamp(), cause(), conversation(), settings()).prop_map(
        |(key, kind, at, cause, conversation, settings)| {
            let snapshot = Snapshot::of(&conversation, &settings, at);
            Notice::Conversation(Box::new(ConversationNotice { key, kind, at, cause, snapshot }))
        },
    );
    let changed = (text(), timestamp(), settings(), any::<bool>()).prop_map(|(workspace, at, s, replaces)| Notice::Settings {
        workspace,
        at,
        settings: Box::new(s),
        replaces,
    });
    prop_oneof![4 => told, 1 => changed]
}

#[derive(Debug)]
pub struct Life {
    pub conversation: Conversation,
    pub notices: Vec<Notice>,
}

/// A conversation after a soup of events within some hours, wake-ups between them.
pub fn life() -> impl Strategy<Value = Life> {
    let hours = |n: i64| (0..n * 3_600_000).prop_map(at);
    let event = (0..60u32, hours(8), hours(9), event_kind(hours(12).boxed()), any::<bool>());
    (vec(event, 1..50), any::<bool>()).prop_map(|(soup, enabled)| {
        let settings = Settings { enabled, enable_epoch: 1, period: Span::from_mins(30), ..Settings::default() };
        let mut life = Life { conversation: Conversation::new(at(0)), notices: Vec::new() };
        for (id, time, accepted_at, kind, wakes) in soup {
            let name = EventName::new("/ingest/whatsapp", &format!("m-{id}")).unwrap();
            let event = Event { name, conversation: key(), time, kind };
            life.step(Input::Event(Accepted { event, accepted_at }), &settings, accepted_at);
            if wakes {
                life.step(Input::WakeUp, &settings, accepted_at);
            }
        }
        life
    })
}

impl Life {
    fn step(&mut self, input: Input, settings: &Settings, now: Timestamp) {
        let step = step(&key(), self.conversation.clone(), &input, settings, now);
        self.conversation = step.after;
        self.notices.extend(step.effects.notices);
    }
}
