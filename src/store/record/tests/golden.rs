//! Bytes that were written once and must be readable for ever. If a test here fails, rows in the field would not be read:
//! give the new form a new version, and keep reading the old one.

use crate::domain::categories::Category;
use crate::domain::commands::*;
use crate::domain::conversation::*;
use crate::domain::event::*;
use crate::domain::facts::*;
use crate::domain::history::{SettingsChanged, SettingsHistory};
use crate::domain::hold::{Hold, Holding};
use crate::domain::id::Fingerprint;
use crate::domain::kept::{Kept, Pending};
use crate::domain::notice::Cause;
use crate::domain::order::{Border, Position};
use crate::domain::report::{Group, Label, Rollup, Sums, TimeClass};
use crate::domain::settings::{NotesMode, Running};
use crate::domain::step::{Input, step};
use crate::domain::testing::at;
use crate::domain::writing::{Said, Speaker};
use crate::domain::*;
use crate::store::record::form::Form;
use crate::store::record::*;
use crate::store::{DeadLetterAction, Entry};

const NOON: i64 = 1_760_000_000_000;

fn event(id: &str, minute: i64, source: MessageSource, agent: Option<&str>) -> Accepted {
    let name = EventName::new("/ingest/whatsapp", id).unwrap();
    let kind = EventKind::Message { source, agent: agent.map(Into::into), message_id: None, text: None };
    let time = at(NOON + minute * 60_000);
    let conversation = ConversationKey::new("ws_42", "conv_991827").unwrap();
    Accepted { event: Event { name, conversation, time, kind }, accepted_at: time.plus(Span::from_millis(40)) }
}

pub fn entry() -> Entry {
    Entry::Event(event("wamid.HBgL8812", 0, MessageSource::User, Some("ana")).event)
}

/// A contact asks, a person of the team answers twice: the row that most conversations have most of the time.
pub fn typical() -> Conversation {
    let messages = [
        event("wamid.HBgL8811", 0, MessageSource::Contact, None),
        event("wamid.HBgL8812", 7, MessageSource::User, Some("ana")),
        event("wamid.HBgL8813", 9, MessageSource::User, Some("ana")),
    ];
    let settings = Settings { enabled: true, enable_epoch: 1, ..Settings::default() };
    let new = Conversation::new(messages[0].accepted_at);
    messages.into_iter().fold(new, |before, accepted| {
        let (key, now) = (accepted.event.conversation.clone(), accepted.accepted_at);
        step(&key, before, &Input::Event(accepted), &settings, now).after
    })
}

fn position(minute: i64, id: &str) -> Position {
    let time = at(NOON + minute * 60_000);
    Position { effective: time, time, contact_message: false, name: EventName::new("/ui", id).unwrap() }
}

/// Every part that version 1 has filled, no two values alike: no two fields can change places unnoticed.
fn full() -> Conversation {
    let text = |text: &str| Some(text.into());
    let note = || Some(Note { category: Some("billing".into()), summary: None });
    let opener = |minute, id, source| Opener { position: position(minute, id), source };
    let human = HumanMessage {
        position: Position { time: at(NOON + 1), contact_message: true, ..position(0, "h1") },
        accepted_at: at(NOON + 2),
        message_id: text("m1"),
        period: Span::from_mins(30),
        stamped_by: 0,
        arms: true,
        failed: false,
    };
    let snoozes = CommandLog {
        base: SnoozeState { until: Some(at(NOON + 3)), ended: Some(at(NOON + 4)) },
        floor: Some(position(5, "s0")),
        recent: vec![(position(6, "s1"), SnoozeCommand::Until(at(NOON + 7))), (position(8, "s2"), SnoozeCommand::End)],
    };
    let blocks = CommandLog {
        base: BlockState { blocked: true, unblocked_at: Some(at(NOON + 9)) },
        floor: None,
        recent: vec![(position(10, "b1"), BlockCommand::Unblock)],
    };
    let close = CloseCommand { position: position(11, "c1"), source: ClosingSource::Bot, by: text("bo"), note: note() };
    let facts = Facts {
        contact: Some(position(12, "in")),
        last_human_at: Some(at(NOON + 13)),
        humans: vec![human],
        failures: vec![(position(14, "f1"), "m9".into())],
        openers: vec![opener(15, "o1", OpeningSource::Api)],
        opened: vec![opener(16, "o2", OpeningSource::CtcAds)],
        snoozes,
        closes: vec![close],
    };
    let auto =
        AutoClosing { deadline: at(NOON + 17), period: Span::from_hours(1), armed_by: position(18, "h0").name, armed_at: at(NOON + 19) };
    Conversation {
        created_at: at(NOON),
        touched_at: at(NOON + 20),
        version: 21,
        seen: Seen { recent: [Fingerprint(22), Fingerprint(23)].into(), ahead: vec![(Fingerprint(24), at(NOON + 25))] },
        messages: MessageCounts { incoming: 26, outgoing: 27 },
        assignment: Assignment {
            assigned: Some((position(28, "a1"), Assignee { kind: AssigneeKind::AiAgent, id: "ai".into(), name: text("Ada") })),
            unassigned: Some(position(29, "a2")),
        },
        blocks,
        episode: 30,
        opening: Some(Opening { position: position(31, "o0"), source: OpeningSource::Make, enable_epoch: Some(32) }),
        closing: Some(Closing {
            source: ClosingSource::AutoClose,
            by: text("cy"),
            note: note(),
            closed_at: at(NOON + 33),
            border: Border::Instant(at(NOON + 34)),
            auto: Some(auto),
            agent: None,
        }),
        floor: Some(Border::Event(position(35, "c0"))),
        facts,
        next: Facts { contact: Some(position(36, "n1")), ..Facts::default() },
        late: Facts { contact: Some(position(41, "l1")), ..Facts::default() },
        holding: Holding::default(),
        texts: Kept::default(),
        pending_note: None,
        told: Told { timer: ToldTimer::Snoozed(at(NOON + 37)), snoozed_until: Some(at(NOON + 38)), warned: None },
        set_aside: 39,
        last_notification: Some(40),
    }
}

/// `value` is written as these bytes, and they are read as `value`.
fn check<T: Form + PartialEq + std::fmt::Debug>(value: &T, golden: &str) {
    let hex: String = super::encode(value, 0).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, golden);
    check_read(value, golden);
}

/// An older build wrote these bytes; they are read as `value`.
fn check_read<T: Form + PartialEq + std::fmt::Debug>(value: &T, golden: &str) {
    let bytes: Vec<u8> = (0..golden.len()).step_by(2).map(|at| u8::from_str_radix(&golden[at..at + 2], 16).unwrap()).collect();
    assert_eq!(super::decode::<T>(&bytes).as_ref(), Ok(value));
}

#[test]
fn entries_of_version_1() {
    check_read(
        &entry(),
        "01920094b177735f34322f636f6e765f393931383237cf00000199c82cc00092ae77616d69642e4842674c38383132b02f69\
         6e676573742f7768617473617070940001a3616e61c0",
    );
}

#[test]
fn rows_of_version_1() {
    check_read(
        &full(),
        "01dc0011cf00000199c82cc000151e9394ce001c61a000c292a26f30a32f7569052098919294d2fff15a0000c292a26f3101\
         03919294cdea6000c292a26f32010694d2fffc568000c292a2696e01919694d2fff5038001c392a268310101a26d31ce001b\
         7740c3c20b919294ce000cd13300c292a2663101a26d399392d2fff32ec30194ce000493dc00c292a2733001929294cdea60\
         00c292a27331019201d2fffa81c79294ce000752f900c292a273320100919494ce0002bf2000c292a263310104a2626f92a7\
         62696c6c696e67c0d2fff5edf492920211019608a26379920ec0fb92000194efce001b774092a268300102920194ce00200b\
         0d00c292a263300198909094cdea6000c292a26e310190c090c09098909094ce000493e000c292a26c310190c090c0909292\
         94d2fff4192000c292a26131019301a26169a341646194cdea6000c292a26132019392c3d2ffe57329c0919294ce000927b7\
         00c292a262310100921a1b272892c41000000000000000160000000000000017919218d2fff6d859",
    );
}

#[test]
fn settings_of_version_1() {
    check_read(&Settings::default(), "019a0000c2ce05265c00c3d2fae2cbc000c2c0c0");
}

/// What came with version 2, filled.
fn newer() -> (Conversation, Settings, Notice) {
    let full = full();
    let hold = |minute, reason: &str, by| Some(Hold { until: minute, reason: reason.into(), by });
    let holding = Holding {
        hold: hold(Some(at(NOON + 45)), "waits for parts", None),
        exemption: hold(None, "a friend", Some("cy".into())),
        released_at: Some(at(NOON + 46)),
    };
    let conversation = Conversation { told: Told { warned: Some(at(NOON + 42)), ..full.told }, holding, ..full };
    let category = Category { name: "Billing".into(), description: Some("Money".into()) };
    let settings = Settings { categories: vec![category], ..Settings::default() };
    let cause = Cause::Event {
        name: position(43, "e1").name,
        type_name: "t".into(),
        time: at(NOON + 43),
        by: Some("bo".into()),
        message_id: Some("m9".into()),
    };
    let snapshot = Snapshot::of(&conversation, &settings, at(NOON));
    let key = ConversationKey::new("ws_42", "conv_991827").unwrap();
    let notice = ConversationNotice { key, kind: NoticeKind::NoteAdded, at: at(NOON + 44), cause, snapshot };
    (conversation, settings, Notice::Conversation(Box::new(notice)))
}

#[test]
fn what_version_2_added() {
    let (conversation, settings, notice) = newer();
    check_read(
        &entry(),
        "02920094b177735f34322f636f6e765f393931383237cf00000199c82cc00092ae77616d69642e4842674c38383132b02f69\
         6e676573742f7768617473617070940001a3616e61c0",
    );
    check_read(&settings, "029b0000c2ce05265c00c3d2fae2cbc000c2c0c09192a742696c6c696e67a54d6f6e6579");
    check_read(
        &conversation,
        "02dc0012cf00000199c82cc000151e9394ce001c61a000c292a26f30a32f7569052098919294d2fff15a0000c292a26f3101\
         03919294cdea6000c292a26f32010694d2fffc568000c292a2696e01919694d2fff5038001c392a268310101a26d31ce001b\
         7740c3c20b919294ce000cd13300c292a2663101a26d399392d2fff32ec30194ce000493dc00c292a2733001929294cdea60\
         00c292a27331019201d2fffa81c79294ce000752f900c292a273320100919494ce0002bf2000c292a263310104a2626f92a7\
         62696c6c696e67c0d2fff5edf49392021101049608a26379920ec0f792000194efce001b774092a268300102920194ce0020\
         0b0d00c292a263300198909094cdea6000c292a26e310190c090c09098909094ce000493e000c292a26c310190c090c09092\
         9294d2fff4192000c292a26131019301a26169a341646194cdea6000c292a26132019392c3d2ffe57329c0919294ce000927\
         b700c292a262310100921a1b272892c41000000000000000160000000000000017919218d2fff6d859939314af7761697473\
         20666f72207061727473c093c0a86120667269656e640f01",
    );
    check_read(
        &notice,
        "02920095b177735f34322f636f6e765f39393138323711cf00000199c82cc02c960092a26531a32f7569a174ffa2626fa26d\
         39dc0013d0d5021e15ce001c61a005d2ffee9ae0d2fff5038dc0041008a2637992a762696c6c696e67c0c0c2921a1b930caf\
         776169747320666f72207061727473c093c0a86120667269656e6406",
    );
}

/// What came with version 3, filled.
#[test]
fn what_version_3_added() {
    let full = full();
    let closing = full.closing.clone().map(|closing| Closing { agent: Some("bo".into()), ..closing });
    let texts = Kept { from: 51, to: 52 };
    let with_agent = Conversation { closing: closing.clone(), ..full.clone() };
    let pending = Pending::new(30, at(NOON + 53), with_agent.counted_close().unwrap(), texts);
    let mut full = Conversation { texts, pending_note: Some(Box::new(pending)), ..full };
    full.facts.humans[0].stamped_by = 7;
    let running = Some(Running { version: 8, period: Span::from_hours(12), at: at(NOON), rate: 100 });
    check(
        &Settings { running, ..newer().1 },
        "039c0000c2ce05265c00c3d2fae2cbc000c2c0c09192a742696c6c696e67a54d6f6e65799408ce028a0640cf00000199c82c\
         c00064",
    );
    check(
        &Conversation { closing, ..full },
        "03dc0014cf00000199c82cc000151e9394ce001c61a000c292a26f30a32f7569052098919294d2fff15a0000c292a26f3101\
         03919294cdea6000c292a26f32010694d2fffc568000c292a2696e01919794d2fff5038001c392a268310101a26d31ce001b\
         7740c3c2070b919294ce000cd13300c292a2663101a26d399392d2fff32ec30194ce000493dc00c292a2733001929294cdea\
         6000c292a27331019201d2fffa81c79294ce000752f900c292a273320100919494ce0002bf2000c292a263310104a2626f92\
         a762696c6c696e67c0d2fff5edf49392021101c09708a26379920ec0fb92000194efce001b774092a2683001020d920194ce\
         00200b0d00c292a263300198909094cdea6000c292a26e310190c090c09098909094ce000493e000c292a26c310190c090c0\
         90929294d2fff4192000c292a26131019301a26169a341646194cdea6000c292a26132019392c3d2ffe57329c0919294ce00\
         0927b700c292a262310100921a1b272892c41000000000000000160000000000000017919218d2fff6d859c0923334951e01\
         ce0001d4dc94d2fffe2b2c9201d2ffc911809405080e0dc2923334",
    );
    let groups = [
        (Group::OpenedSource(OpeningSource::Contact), 1),
        (Group::ClosedSource(None), 2),
        (Group::Category(Label::Other), 3),
        (Group::Agent(Label::Named("ana".into())), 4),
    ];
    let sums = |n| Sums { opened: n, reopened: 5, closed: 6, reversed: 7, times: vec![(TimeClass(300), 8)] };
    check(
        &Said { by: Speaker::Human, at: at(NOON), text: "Does that help?".into() },
        "039301cf00000199c82cc000af446f657320746861742068656c703f",
    );
    check(
        &Rollup { groups: groups.into_iter().map(|(group, n)| (group, vec![(95, sums(n))])).collect() },
        "0394c413039292000191925f95010506079192cd012c08c41303929201c091925f95020506079192cd012c08c413039292020291925f95030506079192cd012c08c418039292039201a3616e6191925f95040506079192cd012c08",
    );
}

#[test]
fn a_typical_row_is_small() {
    let bytes = encode_conversation(&typical()).len();
    assert!(bytes <= 190, "{bytes} bytes: a million conversations in memory or on disk are a million of these");
}

/// What a number of an enum means never changes.
fn check_codes<T: Form + Copy + PartialEq + std::fmt::Debug>(all: &[T], codes: &[u8]) {
    assert_eq!(all.len(), codes.len());
    for (value, code) in all.iter().zip(codes) {
        assert_eq!(super::encode(value, 0), [FORM_VERSION, *code], "{value:?}");
    }
}

#[test]
fn numbers_of_enums_never_change() {
    use DeadLetterAction::{Dismiss, Replay};
    use MessageSource as M;
    check_codes(
        &[M::Contact, M::User, M::Echo, M::Broadcast, M::Workflow, M::AiAgent, M::Bot, M::Api, M::Zapier, M::Make, M::N8n],
        &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
    );
    use OpeningSource as O;
    check_codes(&[O::User, O::Contact, O::Workflow, O::Api, O::Zapier, O::Make, O::CtcAds, O::GrowthWidget], &[0, 1, 2, 3, 4, 5, 6, 7]);
    use ClosingSource as C;
    check_codes(
        &[C::User, C::Workflow, C::Api, C::Zapier, C::Bot, C::Make, C::N8n, C::AiAgent, C::AutoClose],
        &[0, 1, 2, 3, 4, 5, 6, 7, 8],
    );
    check_codes(&[AssigneeKind::Human, AssigneeKind::AiAgent], &[0, 1]);
    use NotesMode as N;
    check_codes(&[N::Off, N::Optional, N::CategoryRequired, N::CategoryAndSummaryRequired], &[0, 1, 2, 3]);
    check_codes(&[Replay, Dismiss], &[0, 1]);
    use crate::domain::notice::Status as S;
    check_codes(&[S::Open, S::Snoozed, S::Closed], &[0, 1, 2]);
    use NoticeKind as K;
    check_codes(&[K::Armed, K::Reset, K::Cancelled, K::Suspended, K::Resumed], &[0, 1, 2, 3, 4]);
    check_codes(&[K::Opened, K::Closed, K::Reopened, K::Reversed, K::Assigned, K::Unassigned], &[5, 6, 7, 8, 9, 10]);
    check_codes(&[K::Snoozed, K::Unsnoozed, K::Blocked, K::Unblocked, K::SettingsChanged], &[11, 12, 13, 14, 15]);
    check_codes(&[K::ClosingSoon, K::NoteAdded, K::NoteFailed], &[16, 17, 18]);
}

#[test]
fn a_history_of_settings() {
    let after = Settings { version: 7, enabled: true, farewell: Some("Bye".into()), period: Span::from_hours(12), ..Settings::default() };
    let mut history = SettingsHistory::default();
    history.record(SettingsChanged::restored(&Settings::default(), &Settings { version: 6, ..Settings::default() }, at(NOON)));
    history.record(SettingsChanged::between(&Settings::default(), &after, at(NOON + 1), Some("ana".into())));
    check(
        &history,
        "0391929506cf00000199c82cc000c0c390950701a3616e61c29393b26175746f5f636c6f73652e656e61626c65649201c2\
         9201c393b16175746f5f636c6f73652e706572696f649202ce05265c009202d2fd6cd20093a86661726577656c6c009203a3\
         427965",
    );
}
