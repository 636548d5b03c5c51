//! What must hold of every decoder, whatever bytes it is given. The fuzz targets (`tests/fuzz`) and the replay of their
//! corpus (`tests/decoders.rs`) run these very functions.
//!
//! Beside "does not panic": what was decoded, written again, decodes to the same; the forms of one event agree; what is
//! refused is refused with a reason that can be shown. That none takes more memory than its input deserves is seen to by
//! the allocator of whoever runs them.

pub mod events;
pub mod stored;
mod texts;

/// Each decoder's name, and its check.
pub const DECODERS: &[(&str, fn(&[u8]))] = &[
    ("event_json", events::json),
    ("event_batch", events::batch),
    ("event_binary", events::binary),
    ("event_lines", events::lines),
    ("event_msgpack", events::msgpack),
    ("record_conversation", stored::conversation),
    ("record_entry", stored::entry),
    ("record_notice", stored::notice),
    ("record_settings", stored::settings),
    ("record_dead_letter", stored::dead_letter),
    ("record_agents", stored::agents),
    ("record_keys", stored::keys),
    ("record_audit", stored::audit),
    ("record_rollup", stored::rollup),
    ("record_said", stored::said),
    ("record_history", stored::history),
    ("learnt", stored::learnt),
    ("redis_entry", stored::redis_entry),
    ("cursor", texts::cursor),
    ("settings", texts::settings),
    ("new_key", texts::new_key),
    ("time", texts::time),
    ("duration", texts::duration),
    ("store_url", texts::store_url),
];

/// Checks `data` against the decoder of this name.
pub fn run(decoder: &str, data: &[u8]) {
    let (_, check) = DECODERS.iter().find(|(name, _)| *name == decoder).expect("a decoder of this name");
    check(data);
}

/// A reason is for people, logs and metrics: there is one, it is short, and nothing in it moves a cursor or ends a line.
pub fn presentable(reason: &str) {
    assert!(!reason.is_empty() && reason.len() <= 1_024, "no reason to show: {reason:?}");
    assert!(!reason.chars().any(char::is_control), "a reason with control characters: {reason:?}");
}
