//! The stored form of what somebody wrote.

use super::RecordError;
use super::form::{Form, Reader, Writer, fields, variants};
use crate::domain::writing::{Said, Speaker};

fields!(Said { by, at, text });
variants!(Speaker, "who wrote" { 0 = Contact, 1 = Human, 2 = Machine });
