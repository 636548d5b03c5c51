//! One line, one behaviour: what is taken, what is refused and how it is called.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn message() -> Value {
    json!({"specversion": "1.0", "id": "m-8812", "source": "/ingest/whatsapp", "type": "inbox.message.v1", "subject": "conv-42",
           "workspace": "acme", "time": "2026-11-22T10:00:00Z", "datacontenttype": "application/json",
           "data": {"source": "user", "agent": "ana", "text": "Does that help?"}})
}

/// The message above with some members replaced.
fn with(members: Value) -> Value {
    let mut event = message();
    for (name, value) in members.as_object().unwrap() {
        event[name] = value.clone();
    }
    event
}

fn of(type_name: &str, data: Value) -> Value {
    with(json!({"type": type_name, "data": data}))
}

fn parse(event: &Value) -> Result<Parsed, EventProblem> {
    let json = parse_json(event.to_string().as_bytes());
    let packed = parse_msgpack(&rmp_serde::to_vec(event).unwrap());
    assert_eq!(json, packed, "both forms say the same");
    json
}

fn kind(event: &Value) -> EventKind {
    match parse(event) {
        Ok(Parsed::Event(event)) => event.kind,
        other => panic!("{other:?}"),
    }
}

fn refused(event: &Value) -> &'static str {
    parse(event).expect_err("this must not be taken").kind()
}

#[test]
fn the_example_of_the_contract() {
    let Ok(Parsed::Event(event)) = parse(&message()) else { panic!() };
    assert_eq!(event.name, EventName::new("/ingest/whatsapp", "m-8812").unwrap());
    assert_eq!(event.conversation.as_str(), "acme/conv-42");
    assert_eq!(event.time, Timestamp::from_millis(1_795_341_600_000));
    assert_eq!(
        event.kind,
        EventKind::Message {
            source: MessageSource::User,
            agent: Some("ana".into()),
            message_id: None,
            text: Some(Text("Does that help?".into())),
        }
    );
}

#[test]
fn every_type_of_the_contract() {
    assert_eq!(kind(&of("inbox.message_failed.v1", json!({"message_id": "m"}))), EventKind::MessageFailed { message_id: "m".into() });
    assert_eq!(
        kind(&of("inbox.conversation.opened.v1", json!({"source": "ctc_ads"}))),
        EventKind::Opened { source: OpeningSource::CtcAds, by: None }
    );
    let note = Note { category: Some("billing".into()), summary: None };
    assert_eq!(
        kind(&of("inbox.conversation.closed.v1", json!({"source": "user", "by": "ana", "note": {"category": "billing"}}))),
        EventKind::Closed { source: ClosingSource::User, by: Some("ana".into()), note: Some(note) }
    );
    assert_eq!(
        kind(&of("inbox.conversation.assigned.v1", json!({"assignee": {"kind": "human", "id": "ana", "name": "Ana"}}))),
        EventKind::Assigned(Assignee { kind: AssigneeKind::Human, id: "ana".into(), name: Some("Ana".into()) })
    );
    assert_eq!(
        kind(&of("inbox.conversation.snoozed.v1", json!({"until": "2026-11-22T12:00:00+02:00"}))),
        EventKind::Snoozed { until: Timestamp::from_millis(1_795_341_600_000) }
    );
    for (type_name, expected) in [
        ("inbox.conversation.unassigned.v1", EventKind::Unassigned),
        ("inbox.conversation.unsnoozed.v1", EventKind::Unsnoozed),
        ("inbox.contact.blocked.v1", EventKind::Blocked),
        ("inbox.contact.unblocked.v1", EventKind::Unblocked),
    ] {
        assert_eq!(kind(&of(type_name, Value::Null)), expected);
        assert_eq!(expected.type_name(), type_name);
    }
}

#[test]
fn what_is_wrong_has_a_name() {
    for (members, expected) in [
        (json!({"specversion": "0.3"}), "unsupported-specversion"),
        (json!({"specversion": 1.0}), "wrong-type"),
        (json!({"id": null}), "missing-member"),
        (json!({"id": ""}), "not-printable"),
        (json!({"id": "x".repeat(129)}), "not-printable"),
        (json!({"id": "mé"}), "not-printable"),
        (json!({"id": 17}), "wrong-type"),
        (json!({"source": ""}), "not-printable"),
        (json!({"type": null}), "missing-member"),
        (json!({"subject": "a b"}), "invalid-name"),
        (json!({"subject": null}), "missing-member"),
        (json!({"workspace": "a/b"}), "invalid-name"),
        (json!({"time": null}), "missing-member"),
        (json!({"time": "2026-11-22 at ten"}), "invalid-time"),
        (json!({"time": "2026-11-22T10:00:00"}), "invalid-time"),
        (json!({"time": 1795341600}), "wrong-type"),
        (json!({"data": null}), "missing-member"),
        (json!({"data": "text"}), "wrong-type"),
        (json!({"data": {"source": "carrier_pigeon"}}), "unknown-value"),
        (json!({"data": {"source": "user", "message_id": ""}}), "not-printable"),
        (json!({"data": {"source": "user", "agent": "a".repeat(257)}}), "too-long"),
        (json!({"data": {"source": "user", "text": "a".repeat(65 * 1024)}}), "too-long"),
    ] {
        assert_eq!(refused(&with(members.clone())), expected, "{members}");
    }
}

#[test]
fn what_is_wrong_in_data_has_a_name() {
    let closed = "inbox.conversation.closed.v1";
    let assigned = "inbox.conversation.assigned.v1";
    for (type_name, data, expected) in [
        (closed, json!({"source": "auto_close"}), "reserved-source"),
        (closed, json!({"source": "user", "note": {"category": "x".repeat(129)}}), "too-long"),
        (closed, json!({"source": "user", "note": {"summary": "x".repeat(513)}}), "too-long"),
        (closed, json!({"source": "user", "note": "bye"}), "wrong-type"),
        ("inbox.conversation.opened.v1", json!({"source": "echo"}), "unknown-value"),
        ("inbox.message_failed.v1", json!({}), "missing-member"),
        (assigned, json!({}), "missing-member"),
        (assigned, json!({"assignee": {"kind": "robot", "id": "r"}}), "unknown-value"),
        (assigned, json!({"assignee": {"kind": "human", "id": ""}}), "not-printable"),
        (assigned, json!({"assignee": {"kind": "human", "id": "a", "name": "x".repeat(257)}}), "too-long"),
        ("inbox.conversation.snoozed.v1", json!({"until": "tomorrow"}), "invalid-time"),
    ] {
        assert_eq!(refused(&of(type_name, data.clone())), expected, "{data}");
    }
}

#[test]
fn l10_notes_are_measured_in_characters() {
    let data = json!({"source": "user", "note": {"category": "ü".repeat(128), "summary": "ü".repeat(512)}});
    assert!(parse(&of("inbox.conversation.closed.v1", data)).is_ok());
}

#[test]
fn t20_unknown_types_are_accepted_and_ignored() {
    let reaction = with(json!({"type": "inbox.reaction.v1", "data": [1, 2], "subject": null}));
    assert_eq!(parse(&reaction), Ok(Parsed::Ignored { type_name: "inbox.reaction.v1".into() }));
    assert_eq!(refused(&with(json!({"type": "inbox.reaction.v1", "time": "ten"}))), "invalid-time");
}

#[test]
fn a_problem_keeps_the_id_where_it_can_be_read() {
    assert_eq!(parse(&with(json!({"time": "ten"}))).unwrap_err().id.as_deref(), Some("m-8812"));
    assert_eq!(parse(&with(json!({"id": ""}))).unwrap_err().id, None);
}

#[test]
fn what_nobody_asked_for_is_skipped() {
    assert!(parse(&with(json!({"traceparent": "00-1", "extension": {"deep": [[]]}}))).is_ok());
    assert!(parse(&with(json!({"data": {"source": "user", "text": 7, "attachments": [{}]}}))).is_ok());
    let doubled = message().to_string().replacen('{', r#"{"id":"first","i\u0064":"second","#, 1);
    let Ok(Parsed::Event(event)) = parse_json(doubled.as_bytes()) else { panic!() };
    assert_eq!(event.name.id(), "m-8812", "the last one counts");
}

#[test]
fn what_is_no_event_at_all() {
    let nan = message().to_string().replace("\"ana\"", "NaN");
    let deep = message().to_string().replace("\"ana\"", &format!("{}1{}", "[".repeat(1_000), "]".repeat(1_000)));
    for (bytes, expected) in [
        (&b""[..], "malformed-json"),
        (b"{", "malformed-json"),
        (b"[]", "not-an-object"),
        (b"null", "not-an-object"),
        (b"7", "not-an-object"),
        (b"{\"id\":\"\xff\"}", "invalid-utf8"),
        (b"{} {}", "malformed-json"),
        (nan.as_bytes(), "malformed-json"),
        (deep.as_bytes(), "too-deep"),
    ] {
        assert_eq!(parse_json(bytes).unwrap_err().kind(), expected, "{:?}", String::from_utf8_lossy(bytes));
    }
    let mut packed_deep = vec![0x81, 0xa1, b'x'];
    packed_deep.extend([0x91; 1_000]);
    packed_deep.push(0xc0);
    assert_eq!(parse_msgpack(&packed_deep).unwrap_err().kind(), "too-deep");
    assert_eq!(parse_msgpack(&[0x81, 0xa2, b'i']).unwrap_err().kind(), "malformed-msgpack");
}

#[test]
fn binary_mode_takes_attributes_beside_the_data() {
    let attributes = [
        ("specversion", "1.0"),
        ("id", "m-1"),
        ("source", "/ingest"),
        ("type", "inbox.message.v1"),
        ("subject", "c"),
        ("workspace", "w"),
        ("time", "2026-11-22T10:00:00Z"),
    ];
    let with = |data: &[u8]| parse_binary(attributes.map(|(name, value)| (name, Cow::Borrowed(value))), data);
    let Ok(Parsed::Event(event)) = with(br#"{"source":"contact"}"#) else { panic!() };
    assert!(event.kind.is_contact_message());
    assert_eq!(with(b"").unwrap_err().kind(), "missing-member");
    assert_eq!(
        with(b"{").unwrap_err(),
        EventProblem {
            id: Some("m-1".into()),
            conversation: Some(ConversationKey::new("w", "c").unwrap()),
            fault: with(b"{").unwrap_err().fault,
        }
    );
}

proptest! {
    /// Bytes from anywhere get an answer.
    #[test]
    fn anything_is_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = (parse_json(&bytes), parse_msgpack(&bytes));
    }

    /// A good event with some bytes changed gets an answer, and a taken one is a valid event.
    #[test]
    fn damage_is_answered(at in 0..260_usize, byte in any::<u8>()) {
        let mut bytes = message().to_string().into_bytes();
        let place = at % bytes.len();
        bytes[place] = byte;
        if let Ok(Parsed::Event(event)) = parse_json(&bytes) {
            prop_assert!(is_printable(event.name.id()) && is_name(event.conversation.workspace()));
        }
        let mut packed = rmp_serde::to_vec(&message()).unwrap();
        let place = at % packed.len();
        packed[place] = byte;
        let _ = parse_msgpack(&packed);
    }
}
