//! What changes something. What rules judge by goes through the log of its partition, whoever owns that, and is answered when it is
//! durable or applied; what only people look at is a document that is replaced as a whole.

pub mod acting;
pub mod agents;
pub mod apply_to_running;
pub mod audit;
pub mod dead_letters;
mod documents;
pub mod elsewhere;
pub mod ingest;
pub mod keys;
pub mod settings;
pub mod settings_history;
