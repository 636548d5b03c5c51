//! The stored forms: what is written is read back, what is damaged is refused, and what was written once never changes.

mod any;
mod golden;

use proptest::prelude::*;

use super::*;
use crate::domain::event::Note;

/// `value` survives its form, and the form is one MessagePack value behind one byte.
fn check<T: Form + PartialEq + std::fmt::Debug>(value: &T) {
    let bytes = encode(value, 0);
    assert_eq!(decode::<T>(&bytes).as_ref(), Ok(value));
    let one_value: Result<serde::de::IgnoredAny, _> = rmp_serde::from_slice(&bytes[1..]);
    assert!(one_value.is_ok(), "no MessagePack: {bytes:02x?}");
}

/// Every part cut off and every byte added is noticed; every byte changed gives an answer, whatever it is.
fn check_damage<T: Form>(value: &T) {
    let bytes = encode(value, 0);
    for length in 0..bytes.len() {
        assert!(matches!(decode::<T>(&bytes[..length]), Err(RecordError::Truncated { .. })), "cut after {length}: {bytes:02x?}");
    }
    let longer = [&bytes[..], &[0xc0]].concat();
    assert!(matches!(decode::<T>(&longer), Err(RecordError::LeftOver { left: 1, .. })));
    for place in 0..bytes.len() {
        for change in [0x01, 0x40, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[place] ^= change;
            let _ = decode::<T>(&damaged);
        }
    }
}

proptest! {
    #[test]
    fn a_conversation_that_lived_reads_back(life in any::life()) {
        check(&life.conversation);
        life.notices.iter().for_each(check);
    }

    #[test]
    fn any_conversation_reads_back(conversation in any::conversation()) {
        check(&conversation);
    }

    #[test]
    fn any_entry_reads_back(entry in any::entry()) {
        check(&entry);
    }

    #[test]
    fn any_notice_reads_back(notice in any::notice()) {
        check(&notice);
    }

    #[test]
    fn any_settings_read_back(settings in any::settings()) {
        check(&settings);
    }

    #[test]
    fn any_agents_read_back(agents in any::agents()) {
        check(&agents);
    }

    #[test]
    fn any_keys_read_back(keys in any::keys()) {
        check(&keys);
        check_damage(&keys);
    }

    #[test]
    fn any_audit_log_reads_back(log in any::audit_log()) {
        check(&log);
    }

    #[test]
    fn any_text_reads_back(said in any::said()) {
        check(&said);
        check_damage(&said);
    }

    #[test]
    fn any_rollup_reads_back(rollup in any::rollup()) {
        check(&rollup);
    }

    #[test]
    fn any_history_reads_back(history in any::history()) {
        check(&history);
    }

    #[test]
    fn any_dead_letter_reads_back(letter in any::dead_letter()) {
        check(&letter);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn damage_is_refused_and_never_panics(
        life in any::life(), entry in any::entry(), notice in any::notice(), settings in any::settings(), letter in any::dead_letter(),
        rollup in any::rollup(),
    ) {
        check_damage(&life.conversation);
        check_damage(&entry);
        check_damage(&notice);
        check_damage(&settings);
        check_damage(&letter);
        check_damage(&rollup);
    }

    #[test]
    fn random_bytes_never_panic(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
        let bytes = [&[FORM_VERSION], &noise[..]].concat();
        let _ = decode_conversation(&bytes);
        let _ = decode_entry(&bytes);
        let _ = decode_notice(&bytes);
        let _ = decode_settings(&bytes);
        let _ = decode_dead_letter(&bytes);
        let _ = decode_rollup(&bytes);
        let _ = decode_history(&bytes);
    }
}

#[test]
fn another_version_is_refused() {
    let mut bytes = encode_settings(&Settings::default());
    bytes[0] = 4;
    assert_eq!(decode_settings(&bytes), Err(RecordError::Version { found: 4 }));
    assert_eq!(decode_settings(&bytes).unwrap_err().to_string(), "form version 4, this build reads versions 1 to 3");
}

#[test]
fn a_name_that_is_no_name_is_refused() {
    let entry = golden::entry();
    let bytes = encode_entry(&entry);
    let slash = bytes.iter().position(|b| *b == b'/').unwrap();
    for bad in [b' ', b'\n', b'/'] {
        let mut spoilt = bytes.clone();
        spoilt[slash + 1] = bad;
        assert!(matches!(decode_entry(&spoilt), Err(RecordError::Unexpected { expected: "a conversation's key", .. })), "{bad}");
    }
}

#[test]
fn an_event_without_a_printable_name_is_refused() {
    let bytes = encode_entry(&golden::entry());
    let name = bytes.windows(5).position(|five| five == b"wamid").unwrap();
    let spoilt = [&bytes[..name], &[7], &bytes[name + 1..]].concat();
    assert!(matches!(decode_entry(&spoilt), Err(RecordError::Unexpected { expected: "an event's name", .. })));
}

#[test]
fn an_error_says_what_was_found_and_what_was_expected() {
    let error = decode_settings(&[FORM_VERSION, 0xa1, b'x']).unwrap_err();
    assert_eq!(error.to_string(), "FixStr(1) at byte 2, expected Settings");
    let error = decode_settings(&[FORM_VERSION, 0x9b, 0]).unwrap_err();
    assert_eq!(error.to_string(), "ends after 3 bytes, where Settings should follow");
}

/// Three bytes name a text of a megabyte, and do so ten thousand times: nobody sets memory aside for that.
#[test]
fn row_19_a_text_named_without_end_is_refused() {
    let mut conversation = golden::typical();
    let position = conversation.facts.humans[0].position.clone();
    let long: Box<str> = "x".repeat(1 << 20).into();
    conversation.facts.failures = vec![(position, long); 3];
    let bytes = encode_conversation(&conversation);
    assert_eq!(decode_conversation(&bytes), Ok(conversation), "two more are well below the bound");
    let failures = bytes.windows(5).position(|head| head == [0xdb, 0, 0x10, 0, 0]).unwrap();
    let repeat = [0x92, bytes[failures - 1], bytes[failures + 5 + (1 << 20) + 2]];
    let list = failures - 3;
    assert_eq!(bytes[list], 0x93, "a list of three");
    let many = [&bytes[..list], &[0xdc, 0x27, 0x10], &bytes[list + 1..failures + 5 + (1 << 20)], &repeat.repeat(9_999)].concat();
    let refused = decode_conversation(&many).unwrap_err().to_string();
    assert!(refused.contains("one text too many times"), "{refused}");
}

#[test]
fn a_long_text_is_kept_whole() {
    let note = Note { category: Some("ä".repeat(70_000).into()), summary: None };
    check(&note);
}
