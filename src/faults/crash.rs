//! A process that ends at a place named beforehand, as SIGKILL would end it: nothing is flushed, nobody is told.
//!
//! `ADJOURN_CRASH_AT=commit:before:17`: before the 17th commit of this process reaches the store. `commit:after:17`: when it
//! has been carried out, and before its caller hears of it. `log.synced:here:3`: the third time at a [`point`](super::point).

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Signal, getpid, kill_process};

pub const VARIABLE: &str = "ADJOURN_CRASH_AT";
pub const BEFORE: &str = "before";
pub const AFTER: &str = "after";
pub const HERE: &str = "here";

struct Plan {
    place: Box<str>,
    side: Box<str>,
    nth: u64,
    passed: AtomicU64,
}

static PLAN: LazyLock<Result<Option<Plan>, String>> = LazyLock::new(|| {
    let Ok(text) = std::env::var(VARIABLE) else { return Ok(None) };
    let plan = parse(&text).ok_or_else(|| format!("{VARIABLE}={text}: it is `place:side:nth`, the side one of before, after, here"));
    plan.map(Some)
});

fn parse(text: &str) -> Option<Plan> {
    let (place, rest) = text.split_once(':')?;
    let (side, nth) = rest.split_once(':')?;
    let nth = nth.parse().ok().filter(|nth| *nth > 0)?;
    let is_side = [BEFORE, AFTER, HERE].contains(&side);
    (is_side && !place.is_empty()).then(|| Plan { place: place.into(), side: side.into(), nth, passed: AtomicU64::new(0) })
}

/// Whether this process is to end somewhere.
///
/// # Errors
/// When the environment asks for it in words that mean nothing: a test that meant to crash must not pass by not doing so.
pub fn is_planned() -> Result<bool, String> {
    PLAN.as_ref().map(Option::is_some).map_err(Clone::clone)
}

/// Ends the process if this is the place, and the time.
pub fn pass(place: &str, side: &str) {
    let Ok(Some(plan)) = &*PLAN else { return };
    if *plan.place == *place && *plan.side == *side && plan.passed.fetch_add(1, Ordering::SeqCst) + 1 == plan.nth {
        end();
    }
}

fn end() -> ! {
    let _ = kill_process(getpid(), Signal::KILL);
    std::process::abort() // nobody survives the line above
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_named_with_its_side_and_how_often_it_is_passed() {
        let plan = parse("commit:after:17").unwrap();
        assert_eq!((&*plan.place, &*plan.side, plan.nth), ("commit", "after", 17));
        for text in ["", "commit", "commit:after", "commit:after:0", "commit:after:x", "commit:beside:1", ":here:1"] {
            assert!(parse(text).is_none(), "{text:?}");
        }
    }
}
