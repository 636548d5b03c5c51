//! What Redis wrote down: every claim and every commit that was executed, in its order, from the append-only file; and who
//! asked for each commit, with which token, built on what, from the wire. Together they say whether the chain of a partition
//! was ever forked, and whether anybody wrote with a token that was no longer the stored one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::node::PARTITIONS;

/// Arguments of the commit script beside its keys, at least; of all others there are fewer.
const COMMIT_ARGUMENTS: usize = 20;

/// A call of the commit script, as it passed by.
#[derive(Clone, Debug)]
pub struct Call {
    pub script: String,
    pub lease_key: String,
    pub token: (String, String),
    pub based_on: String,
    pub id: String,
}

impl Call {
    /// `None`: the request is another one.
    pub fn read(request: &[u8]) -> Option<Self> {
        let words = words(request)?.0;
        let text = |at: usize| words.get(at).map(|word| String::from_utf8_lossy(word).into_owned());
        let keys: usize = text(2)?.parse().ok()?;
        if !text(0)?.starts_with("EVAL") || words.len() < 3 + keys + COMMIT_ARGUMENTS {
            return None;
        }
        let argument = |nth: usize| text(3 + keys + nth);
        let token = (argument(0)?, argument(1)?);
        Some(Self { script: text(1)?, lease_key: text(3)?, token, based_on: argument(2)?, id: argument(3)? })
    }
}

/// What the file says, against what passed by.
#[derive(Debug, Default)]
pub struct Proof {
    pub claims: usize,
    pub commits: usize,
    /// Commits that were asked for and never executed.
    pub refused: BTreeSet<String>,
    pub violations: Vec<String>,
}

/// Walks through the append-only file in `dir`.
pub fn prove(dir: &Path, calls: &[Call]) -> Proof {
    let mut proof = Proof::default();
    let by_id: BTreeMap<&str, &Call> = calls.iter().map(|call| (call.id.as_str(), call)).collect();
    let mut partitions: BTreeMap<String, Chain> = (0..PARTITIONS).map(|p| (lease_key(p), Chain::default())).collect();
    let mut executed = BTreeSet::new();
    for file in increments(dir) {
        let bytes = fs::read(&file).unwrap();
        let mut rest = &bytes[..];
        // A file that was cut off in the middle of a command was cut short by Redis when it came back.
        while let Some((command, len)) = words(rest) {
            rest = &rest[len..];
            let text = |at: usize| command.get(at).map(|word| String::from_utf8_lossy(word).into_owned()).unwrap_or_default();
            let Some(chain) = partitions.get_mut(&text(1)) else { continue };
            let fields: BTreeMap<String, String> = (2..command.len()).step_by(2).map(|at| (text(at), text(at + 1))).collect();
            match &*text(0).to_ascii_uppercase() {
                "HSET" if fields.contains_key("epoch") => {
                    chain.token = Some((fields["epoch"].clone(), fields["nonce"].clone()));
                    proof.claims += 1;
                }
                "HSET" if fields.contains_key("commit") => {
                    let id = &fields["commit"];
                    proof.commits += 1;
                    executed.insert(id.clone());
                    proof.violations.extend(chain.takes(by_id.get(id.as_str()).copied(), id, &text(1)));
                    chain.head = Some(id.clone());
                }
                "HDEL" if (2..command.len()).any(|at| text(at) == "nonce") => chain.token = None,
                _ => {}
            }
        }
    }
    proof.refused = calls.iter().map(|call| &call.id).filter(|id| !executed.contains(*id)).cloned().collect();
    proof
}

#[derive(Default)]
struct Chain {
    token: Option<(String, String)>,
    head: Option<String>,
}

impl Chain {
    /// What is wrong with a commit at this place.
    fn takes(&self, call: Option<&Call>, id: &str, key: &str) -> Option<String> {
        let Some(call) = call else { return Some(format!("{key}: nobody asked for commit {id}")) };
        if call.lease_key != key {
            return Some(format!("{key}: commit {id} was meant for {}", call.lease_key));
        }
        if self.token.as_ref() != Some(&call.token) {
            return Some(format!("{key}: commit {id} was written with {:?} while {:?} held it", call.token, self.token));
        }
        let head = self.head.as_deref().unwrap_or("0");
        (call.based_on != head).then(|| format!("{key}: commit {id} builds on {}, not on {head}", call.based_on))
    }
}

pub fn lease_key(partition: u16) -> String {
    format!("adjourn:{{p{partition}}}:lease")
}

/// The files that commands are appended to, oldest first.
fn increments(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir.join("appendonlydir")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.to_string_lossy().ends_with(".incr.aof")).collect();
    files.sort();
    files
}

/// The first command, an array of strings, and its length; `None`: there is no whole one.
fn words(bytes: &[u8]) -> Option<(Vec<&[u8]>, usize)> {
    let (count, mut at) = header(bytes, 0, b'*')?;
    let mut words = Vec::with_capacity(count.min(1_024));
    for _ in 0..count {
        let (len, begin) = header(bytes, at, b'$')?;
        words.push(bytes.get(begin..begin + len)?);
        at = begin + len + 2;
    }
    (at <= bytes.len()).then_some((words, at))
}

fn header(bytes: &[u8], at: usize, kind: u8) -> Option<(usize, usize)> {
    let rest = bytes.get(at..)?;
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let digits = rest[..end].strip_prefix(&[kind])?.strip_suffix(b"\r")?;
    Some((str::from_utf8(digits).ok()?.parse().ok()?, at + end + 1))
}

#[test]
fn a_forked_chain_and_a_stale_writer_are_found() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("appendonlydir")).unwrap();
    let command = |words: &[&str]| {
        let words: String = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
        move |count: usize| format!("*{count}\r\n{words}")
    };
    let key = lease_key(3);
    let claim = |epoch: &str| command(&["HSET", &key, "epoch", epoch, "nonce", "n"])(6);
    let commit = |id: &str| command(&["HSET", &key, "commit", id, "checkpoint", "1-1"])(6);
    let call = |epoch: &str, based_on: &str, id: &str| Call {
        script: String::new(),
        lease_key: key.clone(),
        token: (epoch.into(), "n".into()),
        based_on: based_on.into(),
        id: id.into(),
    };
    let calls = [call("1", "0", "a"), call("1", "a", "b"), call("2", "b", "c"), call("1", "b", "d"), call("2", "a", "e")];
    let found = |file: &[String]| {
        fs::write(dir.path().join("appendonlydir/appendonly.aof.1.incr.aof"), file.concat()).unwrap();
        prove(dir.path(), &calls)
    };
    let sound = found(&[claim("1"), commit("a"), commit("b"), claim("2"), commit("c")]);
    assert_eq!((sound.violations, sound.claims, sound.commits), (Vec::<String>::new(), 2, 3));
    assert_eq!(sound.refused, ["d".to_owned(), "e".to_owned()].into());
    for (wrong, says) in [
        (vec![claim("1"), commit("a"), commit("b"), claim("2"), commit("d")], "while"),
        (vec![claim("1"), commit("a"), commit("b"), claim("2"), commit("e")], "builds on a, not on b"),
        (vec![claim("1"), commit("a"), commit("x")], "nobody asked"),
    ] {
        let violations = found(&wrong).violations;
        assert!(violations.len() == 1 && violations[0].contains(says), "{violations:?}");
    }
}
