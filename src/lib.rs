pub mod actors;
pub mod clock;
pub mod domain;
pub mod store;
