//! The stored forms of what a workspace has on a shelf.

use std::collections::BTreeSet;

use super::RecordError;
use super::form::{Form, Reader, Writer, fields, variants};
use crate::domain::access::{Key, KeyUse, Keys, Reach, Scope, Secret};
use crate::domain::agents::{Agent, Agents};
use crate::domain::audit::{AuditLog, Deed};
use crate::domain::history::{Difference, SettingsChanged, SettingsHistory, Value};

fields!(Agents { version, all });
fields!(Agent { id, name, avatar_url, available });

fields!(Keys { version, all });
fields!(Key { id, name, scopes, reach, created_at, expires_at, revoked_at, secrets });
fields!(Secret { digest, created_at, until });
variants!(Scope, "a scope" { 0 = Ingest, 1 = Read, 2 = Act, 3 = Admin });
variants!(Reach, "the workspaces of a key" { 0 = All, 1 = Only(workspaces) });

fields!(KeyUse { version, last });

fields!(AuditLog { version, deeds });
fields!(Deed { number, at, by, method, path, request_id, status });

impl<T: Form + Ord> Form for BTreeSet<T> {
    fn write<'a>(&'a self, to: &mut Writer<'a>) {
        to.array(self.len());
        for value in self {
            value.write(to);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        let values: Vec<T> = Vec::read(from)?;
        let (length, set) = (values.len(), values.into_iter().collect::<Self>());
        if set.len() == length { Ok(set) } else { Err(from.unexpected("each once", "something twice")) }
    }
}

fields!(SettingsHistory { changes });
fields!(SettingsChanged { version, at, by, restored, differences });
fields!(Difference { setting, from, to });

variants!(Value, "what a setting was" { 0 = Nothing, 1 = Switch(on), 2 = Span(span), 3 = Text(text) });
