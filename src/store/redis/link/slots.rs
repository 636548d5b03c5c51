//! Where a key lives in a cluster.

use redis::{Arg, Cmd, Value};

use super::super::target::Address;

pub const SLOTS: u16 = 16_384;

/// The slot of a key: CRC-16 (XMODEM) of its hash tag, or of all of it.
pub fn slot(key: &[u8]) -> u16 {
    crc16(hash_tag(key).unwrap_or(key)) % SLOTS
}

fn hash_tag(key: &[u8]) -> Option<&[u8]> {
    let open = key.iter().position(|byte| *byte == b'{')?;
    let rest = &key[open + 1..];
    let close = rest.iter().position(|byte| *byte == b'}')?;
    (close > 0).then(|| &rest[..close])
}

fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc: u16, _| if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 })
    })
}

/// The slot of the first of these commands that names a key. All keys of a pipeline share one.
pub fn slot_of<'a>(cmds: impl IntoIterator<Item = &'a Cmd>) -> Option<u16> {
    cmds.into_iter().find_map(first_key).map(slot)
}

/// The first key a command names, for the commands this program sends.
fn first_key(cmd: &Cmd) -> Option<&[u8]> {
    let mut args = cmd.args_iter().map(|arg| match arg {
        Arg::Simple(bytes) => bytes,
        _ => b"",
    });
    let name = args.next()?.to_ascii_uppercase();
    match name.as_slice() {
        b"EVALSHA" | b"EVAL" => args.nth(1).filter(|count| *count != b"0").and_then(|_| args.next()),
        b"XREAD" => args.find(|arg| arg.eq_ignore_ascii_case(b"STREAMS")).and_then(|_| args.next()),
        b"XINFO" => args.nth(1),
        b"ACL" | b"CLIENT" | b"CLUSTER" | b"CONFIG" | b"INFO" | b"PING" | b"PUBLISH" | b"ROLE" | b"SCRIPT" | b"TIME" | b"WAIT" => None,
        _ => args.next(),
    }
}

/// Slots and the address of their primary, first and last included.
pub type Range = (u16, u16, Address);

/// Reads the answer to `CLUSTER SLOTS`. A node that does not know its own host leaves it out: it is the one we asked.
pub fn ranges(answer: &Value, asked: &Address) -> Option<Vec<Range>> {
    let Value::Array(rows) = answer else { return None };
    rows.iter().map(|row| range(row, asked)).collect()
}

fn range(row: &Value, asked: &Address) -> Option<Range> {
    let Value::Array(fields) = row else { return None };
    let [Value::Int(first), Value::Int(last), Value::Array(primary), ..] = fields.as_slice() else { return None };
    let [host, Value::Int(port), ..] = primary.as_slice() else { return None };
    let host = match host {
        Value::BulkString(host) if !host.is_empty() && host != b"?" => std::str::from_utf8(host).ok()?.into(),
        _ => match asked {
            Address::Tcp { host, .. } => host.clone(),
            Address::Unix(_) => return None,
        },
    };
    let number = |n: &i64| u16::try_from(*n).ok();
    let (first, last) = (number(first)?, number(last).filter(|last| *last < SLOTS)?);
    Some((first, last, Address::Tcp { host, port: number(port)? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cmd(words: &str) -> Cmd {
        let mut cmd = Cmd::new();
        for word in words.split(' ') {
            cmd.arg(word);
        }
        cmd
    }

    #[test]
    fn slots_are_those_of_the_cluster_specification() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
        assert_eq!(slot(b"foo"), 12_182);
        assert_eq!(slot(b"adjourn:{p7}:events"), slot(b"p7"));
        assert_eq!(slot(b"{user1000}.following"), slot(b"user1000"));
        assert_eq!(slot(b"foo{}{bar}"), crc16(b"foo{}{bar}") % SLOTS);
        assert_eq!(slot(b"foo{{bar}}zap"), slot(b"{bar"));
    }

    #[test]
    fn a_command_goes_where_its_first_key_lives() {
        let key = |words| first_key(&cmd(words)).map(|key| String::from_utf8(key.to_vec()).unwrap());
        assert_eq!(key("HGET k f").as_deref(), Some("k"));
        assert_eq!(key("evalsha abc 2 k l a").as_deref(), Some("k"));
        assert_eq!(key("EVAL code 0 a"), None);
        assert_eq!(key("XREAD COUNT 5 BLOCK 0 streams k 0").as_deref(), Some("k"));
        assert_eq!(key("XINFO STREAM k").as_deref(), Some("k"));
        assert_eq!(key("PUBLISH channel word"), None);
        assert_eq!(slot_of(&[cmd("TIME"), cmd("GET k")]), Some(slot(b"k")));
        assert_eq!(slot_of(&[cmd("TIME")]), None);
    }

    #[test]
    fn a_node_that_does_not_know_its_host_is_the_one_we_asked() {
        let asked = Address::Tcp { host: "seed".into(), port: 1 };
        let node = |host: Value| Value::Array(vec![host, Value::Int(7_000), Value::BulkString(b"id".to_vec())]);
        let row = |host| Value::Array(vec![Value::Array(vec![Value::Int(0), Value::Int(99), node(host)])]);
        let at = |host: &str| Some(vec![(0, 99, Address::Tcp { host: host.into(), port: 7_000 })]);
        assert_eq!(ranges(&row(Value::BulkString(b"n1".to_vec())), &asked), at("n1"));
        assert_eq!(ranges(&row(Value::Nil), &asked), at("seed"));
        assert_eq!(ranges(&row(Value::BulkString(Vec::new())), &asked), at("seed"));
        assert_eq!(ranges(&Value::Nil, &asked), None);
    }
}
