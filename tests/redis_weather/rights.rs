//! The rights that `adjourn redis acl` prints are those that are used: no command that is sent is missing, none that is never
//! sent is given. The conformance suite runs with them, and finds the server's log of refusals empty.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use adjourn::store::redis::acl::COMMANDS;

/// Sent by the client library, for a database, for listening and for whether it still listens; and by the file with the list.
const NOT_IN_OTHER_FILES: [&str; 4] = ["select", "subscribe", "ping", "acl|dryrun"];
/// They name commands that they do not send.
const TABLES: [&str; 2] = ["acl.rs", "slots.rs"];
/// Rights of Sentinels' own users, and what is asked for besides (`acl_optional_line`).
const OTHERS: [&str; 2] = ["sentinel", "config"];

/// What the scripts call and the store sends, as `ACL SETUSER` names it but for subcommands.
fn sent() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/redis")), &mut found);
    found
}

fn collect(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() && name != "tests" {
            collect(&path, found);
        } else if path.is_file() && !TABLES.contains(&&*name) && !name.starts_with("test") {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            for before in ["redis.call('", "redis.pcall('", "cmd(\"", ".arg(\"", "words(&[\""] {
                let quote = before.chars().last().unwrap();
                let words = code.split(before).skip(1).map(|rest| rest.split(quote).next().unwrap());
                // As a first argument where a command is put together in one piece.
                let in_place = |word: &&str| before != ".arg(\"" || ["XADD", "EVALSHA"].contains(word);
                found.extend(
                    words
                        .filter(|word| word.chars().all(|c| c.is_ascii_uppercase()) && !word.is_empty())
                        .filter(in_place)
                        .map(str::to_lowercase),
                );
            }
        }
    }
}

#[test]
fn the_rights_are_those_that_are_used() {
    let sent = sent();
    let given: BTreeSet<String> = COMMANDS.iter().map(|needed| needed.rule.split('|').next().unwrap().to_owned()).collect();
    let missing: Vec<_> = sent.iter().filter(|name| !given.contains(*name) && !OTHERS.contains(&name.as_str())).collect();
    assert!(missing.is_empty(), "sent without the right to: {missing:?}");
    let rules = COMMANDS.iter().map(|needed| needed.rule).filter(|rule| !NOT_IN_OTHER_FILES.contains(rule));
    let idle: Vec<_> = rules.filter(|rule| !sent.contains(rule.split('|').next().unwrap())).collect();
    assert!(idle.is_empty(), "rights that nobody uses: {idle:?}");
}
