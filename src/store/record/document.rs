//! The stored forms of what a workspace has on a shelf.

use super::RecordError;
use super::form::{Form, Reader, Writer, fields};
use crate::domain::agents::{Agent, Agents};

fields!(Agents { version, all });
fields!(Agent { id, name, avatar_url, available });
