//! All that a server holds, to be compared with what it holds later, or to be put back.

use std::collections::BTreeMap;

use redis::{Connection, cmd};

#[derive(Clone, PartialEq, Eq)]
pub struct Dump(BTreeMap<String, Vec<u8>>);

impl Dump {
    pub fn of(redis: &mut Connection) -> Self {
        let keys: Vec<String> = cmd("KEYS").arg("*").query(redis).unwrap();
        let dumped = |key: String| {
            let bytes: Vec<u8> = cmd("DUMP").arg(&key).query(redis).unwrap();
            (key, bytes)
        };
        Self(keys.into_iter().map(dumped).collect())
    }

    /// The server holds this and nothing else when it returns.
    pub fn restore(&self, redis: &mut Connection) {
        cmd("FLUSHALL").exec(redis).unwrap();
        for (key, bytes) in &self.0 {
            cmd("RESTORE").arg(key).arg(0).arg(bytes).exec(redis).unwrap();
        }
    }

    /// The keys that are not as they were.
    pub fn changed(&self, later: &Self) -> Vec<String> {
        let keys: std::collections::BTreeSet<&String> = self.0.keys().chain(later.0.keys()).collect();
        keys.into_iter().filter(|key| self.0.get(*key) != later.0.get(*key)).cloned().collect()
    }
}
