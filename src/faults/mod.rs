//! What is broken on purpose, for the tests that must notice. Without the feature `faults` nothing of it is in the binary, and
//! no release build takes that feature.

#[cfg(feature = "faults")]
pub mod crash;
mod planted;

pub use planted::{Bug, plant, planted};

/// A place within a store at which a process may be made to end (`crash`).
#[inline]
pub fn point(_name: &str) {
    #[cfg(feature = "faults")]
    crash::pass(_name, crash::HERE);
}
