//! The HTTP API from outside: the real app on free ports, the embedded store in a directory of its own, clocks that stand
//! still until told to move.

mod bad_input;
mod doors;
mod forms;
mod notifications;
mod reading;
mod settings;
mod support;
