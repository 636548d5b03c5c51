//! All that a server holds, to be compared with what it holds later, or to be put back.

use std::collections::BTreeMap;

use redis::{Connection, cmd};

#[derive(Clone, PartialEq, Eq)]
pub struct Dump(BTreeMap<String, Kept>);

#[derive(Clone)]
struct Kept {
    bytes: Vec<u8>,
    /// Of a hash, in order of name: once a value is longer than 64 bytes its own order is chance.
    fields: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        self.fields == other.fields && (!self.fields.is_empty() || self.bytes == other.bytes)
    }
}

impl Eq for Kept {}

impl Dump {
    pub fn of(redis: &mut Connection) -> Self {
        let keys: Vec<String> = cmd("KEYS").arg("*").query(redis).unwrap();
        let dumped = |key: String| {
            let bytes: Vec<u8> = cmd("DUMP").arg(&key).query(redis).unwrap();
            let kind: String = cmd("TYPE").arg(&key).query(redis).unwrap();
            let fields = if kind == "hash" { cmd("HGETALL").arg(&key).query(redis).unwrap() } else { BTreeMap::new() };
            (key, Kept { bytes, fields })
        };
        Self(keys.into_iter().map(dumped).collect())
    }

    /// The server holds this and nothing else when it returns.
    pub fn restore(&self, redis: &mut Connection) {
        cmd("FLUSHALL").exec(redis).unwrap();
        for (key, Kept { bytes, .. }) in &self.0 {
            cmd("RESTORE").arg(key).arg(0).arg(bytes).exec(redis).unwrap();
        }
    }

    /// The keys that are not as they were.
    pub fn changed(&self, later: &Self) -> Vec<String> {
        let keys: std::collections::BTreeSet<&String> = self.0.keys().chain(later.0.keys()).collect();
        keys.into_iter().filter(|key| self.0.get(*key) != later.0.get(*key)).cloned().collect()
    }
}
