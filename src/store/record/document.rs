//! The stored forms of what a workspace has on a shelf.

use super::RecordError;
use super::form::{Form, Reader, Writer, fields, variants};
use crate::domain::agents::{Agent, Agents};
use crate::domain::history::{Difference, SettingsChanged, SettingsHistory, Value};

fields!(Agents { version, all });
fields!(Agent { id, name, avatar_url, available });

fields!(SettingsHistory { changes });
fields!(SettingsChanged { version, at, by, restored, differences });
fields!(Difference { setting, from, to });

variants!(Value, "what a setting was" { 0 = Nothing, 1 = Switch(on), 2 = Span(span), 3 = Text(text) });
