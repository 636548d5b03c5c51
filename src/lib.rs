pub mod actors;
pub mod cli;
pub mod clock;
pub mod domain;
pub mod store;
pub mod wire;
