//! Redis: the URL that names it, the link that reaches it, what must be true of it.

pub mod link;
pub mod target;
