pub mod actors;
pub mod clock;
pub mod domain;
pub mod edge;
pub mod store;
pub mod wire;
