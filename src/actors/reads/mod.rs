//! What a node is asked and changes nothing by. Any node answers for any partition: what is committed is read from the store,
//! never from the memory of whoever owns it.

pub mod conversations;
pub mod feed;
pub mod forecast;
pub mod list;
pub mod names;
pub mod report;
pub mod waiting;
