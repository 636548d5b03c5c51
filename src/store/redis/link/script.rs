//! Scripts, known to the server by the SHA-1 of their source.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use redis::{Arg, Cmd};

/// A Lua script. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Script {
    sha: Arc<str>,
    source: Arc<str>,
}

impl Script {
    pub fn new(source: impl Into<Arc<str>>) -> Self {
        let source = source.into();
        Self { sha: sha1_smol::Sha1::from(source.as_bytes()).digest().to_string().into(), source }
    }

    pub fn sha(&self) -> &str {
        &self.sha
    }

    /// The call. Where it goes over a pipeline or a dedicated connection, [`Link::teach`](super::Link::teach) the script
    /// first: what is known is loaded with every connection.
    pub fn call(&self, keys: &[&str], args: &[&[u8]]) -> Cmd {
        let bytes = self.sha.len() + keys.iter().map(|key| key.len()).sum::<usize>() + args.iter().map(|arg| arg.len()).sum::<usize>();
        let mut cmd = Cmd::with_capacity(3 + keys.len() + args.len(), bytes + 32);
        cmd.arg("EVALSHA").arg(&*self.sha).arg(keys.len());
        for key in keys {
            cmd.arg(*key);
        }
        for arg in args {
            cmd.arg(*arg);
        }
        cmd
    }

    fn load(&self) -> Cmd {
        let mut cmd = redis::cmd("SCRIPT");
        cmd.arg("LOAD").arg(&*self.source);
        cmd
    }
}

/// The scripts that were ever used here, so that a server that has not got one can be given it.
#[derive(Debug, Default)]
pub struct Scripts(RwLock<HashMap<Arc<str>, Script>>);

impl Scripts {
    pub fn learn(&self, script: &Script) {
        if !self.0.read().unwrap_or_else(PoisonError::into_inner).contains_key(script.sha()) {
            self.0.write().unwrap_or_else(PoisonError::into_inner).insert(Arc::clone(&script.sha), script.clone());
        }
    }

    /// Commands that load everything known.
    pub fn loads(&self) -> Vec<Cmd> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().map(Script::load).collect()
    }

    /// Commands that load what these call, as far as it is known, each once.
    pub fn loads_for<'a>(&self, calls: impl Iterator<Item = &'a Cmd>) -> Vec<Cmd> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let wanted: HashSet<&str> = calls.filter_map(sha_of).collect();
        wanted.into_iter().filter_map(|sha| known.get(sha)).map(Script::load).collect()
    }
}

fn sha_of(call: &Cmd) -> Option<&str> {
    match call.args_iter().nth(1)? {
        Arg::Simple(sha) => std::str::from_utf8(sha).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_names_the_script_by_the_sha1_of_its_source() {
        // What `printf 'return 1' | sha1sum` prints.
        let script = Script::new("return 1");
        assert_eq!(script.sha(), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
        let packed = String::from_utf8(script.call(&["k"], &[b"a"]).get_packed_command()).unwrap();
        assert_eq!(packed, format!("*5\r\n$7\r\nEVALSHA\r\n$40\r\n{}\r\n$1\r\n1\r\n$1\r\nk\r\n$1\r\na\r\n", script.sha()));
    }

    #[test]
    fn a_server_is_given_only_what_is_known() {
        let (known, other) = (Script::new("return 1"), Script::new("return 2"));
        let scripts = Scripts::default();
        scripts.learn(&known);
        let calls = [known.call(&[], &[]), other.call(&[], &[]), known.call(&[], &[])];
        assert_eq!(scripts.loads_for(calls.iter()).len(), 1);
        assert_eq!(scripts.loads().len(), 1);
    }
}
