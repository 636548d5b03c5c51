//! What is broken on purpose, for the tests that must notice. Without the feature `faults` nothing of it is in the binary, and
//! no release build takes that feature.

mod planted;

pub use planted::{Bug, plant, planted};
