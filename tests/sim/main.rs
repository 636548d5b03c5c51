//! The node on the model store: clocks that jump, stores that fail, events that poison. The laws hold throughout.

mod clocks;
mod faults;
mod life;
mod poison;
mod soup;
mod world;
