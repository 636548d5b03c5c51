//! Redis: the URL that names it, the link that reaches it, what must be true of it.

pub mod acl;
pub mod check;
pub mod link;
pub mod target;
#[cfg(test)]
mod testing;
