//! The state machine as it is, but for events that are poison: on some it panics, and of some their process dies.

use std::cell::Cell;

use adjourn::domain::{Conversation, ConversationKey, Input, Settings, Step, Timestamp, step as sound};

pub const PANICS: &str = "poison-";
pub const KILLS: &str = "deadly-";

thread_local! {
    /// The process that takes a step at this moment died of it.
    static DIED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a step since the last call was one to die of.
pub fn has_died() -> bool {
    DIED.replace(false)
}

pub fn step(key: &ConversationKey, before: Conversation, input: &Input, settings: &Settings, now: Timestamp) -> Step {
    if let Input::Event(accepted) = input {
        let id = accepted.event.name.id();
        if id.starts_with(KILLS) {
            DIED.set(true);
        }
        assert!(!is_poison(id), "poison");
    }
    sound(key, before, input, settings, now)
}

pub fn is_poison(id: &str) -> bool {
    id.starts_with(PANICS) || id.starts_with(KILLS)
}

thread_local! {
    static PANICS_SEEN: Cell<usize> = const { Cell::new(0) };
}

/// How many panics there were on this thread since the last call that no poison was to blame for.
pub fn panics() -> usize {
    PANICS_SEEN.take()
}

/// Panics of poison are the purpose; all others are counted.
pub fn hush() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.payload().downcast_ref::<&str>() != Some(&"poison") {
                PANICS_SEEN.set(PANICS_SEEN.get() + 1);
                told(info);
            }
        }));
    });
}
