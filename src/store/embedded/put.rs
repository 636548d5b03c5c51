//! Documents that are replaced as a whole: a workspace's settings, and what it has on a shelf.

use redb::{ReadableTable, TableDefinition, WriteTransaction};

use super::tables;
use super::writer::Answer;
use crate::store::{StoreError, record};

/// A document that is replaced with another one, if that is: its key and its value.
pub type Beside = Option<(Box<str>, Vec<u8>)>;

/// Compare and set.
pub struct Put {
    pub table: PutIn,
    pub key: Box<str>,
    pub expected: u64,
    pub value: Vec<u8>,
    pub beside: Beside,
    pub replaced: Result<bool, StoreError>,
    pub answer: Answer<bool>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PutIn {
    Settings,
    Document,
}

impl PutIn {
    fn definition(self) -> TableDefinition<'static, &'static str, &'static [u8]> {
        match self {
            Self::Settings => tables::SETTINGS,
            Self::Document => tables::DOCUMENTS,
        }
    }

    fn version(self, stored: &[u8]) -> Result<u64, String> {
        match self {
            Self::Settings => record::decode_settings(stored).map(|settings| settings.version).map_err(|error| error.to_string()),
            Self::Document => tables::document(stored).map(|(version, _)| version).ok_or_else(|| "it is cut short".to_owned()),
        }
    }
}

/// Within the transaction, so two puts of one group see each other.
pub fn write(txn: &WriteTransaction, puts: &mut [Put]) -> Result<(), redb::Error> {
    for kind in [PutIn::Settings, PutIn::Document] {
        if kind == PutIn::Document {
            write_beside(txn, puts)?;
        }
        let mut puts = puts.iter_mut().filter(|put| put.table == kind).peekable();
        if puts.peek().is_none() {
            continue;
        }
        let mut table = txn.open_table(kind.definition())?;
        for put in puts {
            let stored = table.get(&*put.key)?.map_or(Ok(0), |value| kind.version(value.value()));
            put.replaced = match stored {
                Ok(version) => Ok(version == put.expected),
                Err(error) => Err(StoreError::Refused(format!("what is stored of {} cannot be read: {error}", put.key).into())),
            };
            if matches!(put.replaced, Ok(true)) {
                table.insert(&*put.key, put.value.as_slice())?;
            }
        }
    }
    Ok(())
}

/// What goes with the settings that were replaced.
fn write_beside(txn: &WriteTransaction, puts: &[Put]) -> Result<(), redb::Error> {
    let replaced = puts.iter().filter(|put| matches!(put.replaced, Ok(true)));
    for (key, value) in replaced.filter_map(|put| put.beside.as_ref()) {
        txn.open_table(tables::DOCUMENTS)?.insert(&**key, value.as_slice())?;
    }
    Ok(())
}
