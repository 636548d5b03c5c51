//! What a key looks like: `adj_`, its id, `_`, its secret. Scanners for leaked secrets find it by its beginning.

use ring::digest::SHA256;
use subtle::ConstantTimeEq;

use crate::chance;

const BEGINNING: &str = "adj_";
/// Hexadecimal digits of an id, and of a secret: 40 bits, and 244 that nobody can guess.
const ID_DIGITS: usize = 10;
const SECRET_DIGITS: usize = 64;

/// A whole key, secret included. Shown once, and never written down here.
pub struct Token {
    id: Box<str>,
    secret: Box<str>,
}

impl Token {
    /// A new one of a new key.
    pub fn draw() -> Self {
        let id = format!("{:032x}", chance::unique()).chars().take(ID_DIGITS).collect::<String>().into();
        Self::draw_for(id)
    }

    /// A new one of a key that there is.
    pub fn draw_for(id: Box<str>) -> Self {
        Self { id, secret: format!("{:032x}{:032x}", chance::unique(), chance::unique()).into() }
    }

    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(BEGINNING)?.split_once('_')?;
        let is_hex = |text: &str, digits| text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        (is_hex(id, ID_DIGITS) && is_hex(secret, SECRET_DIGITS)).then(|| Self { id: id.into(), secret: secret.into() })
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// To be shown to whoever asked for it.
    pub fn shown(&self) -> String {
        format!("{BEGINNING}{}_{}", self.id, self.secret)
    }

    /// What is kept of the secret.
    pub fn digest(&self) -> Box<str> {
        digest(&self.secret)
    }
}

/// The operator's key, from the configuration: good for everything, whatever the store says. What it is, is not kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OperatorKey {
    pub(super) digest: Box<str>,
}

impl OperatorKey {
    pub fn new(secret: &str) -> Self {
        Self { digest: digest(secret) }
    }
}

/// SHA-256 in hexadecimal.
pub fn digest(secret: &str) -> Box<str> {
    let digest = ring::digest::digest(&SHA256, secret.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

/// In a time that says nothing about where they differ.
pub fn are_equal(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_and_its_secret_is_not_in_what_is_kept() {
        let token = Token::draw();
        let read = Token::parse(&token.shown()).unwrap();
        assert_eq!((read.id(), read.digest()), (token.id(), token.digest()));
        assert_ne!(Token::draw_for(token.id().into()).digest(), token.digest());
        assert!(!token.digest().contains(&*token.secret) && token.digest().len() == 64);
        assert!(are_equal("abc", "abc") && !are_equal("abc", "abd") && !are_equal("abc", "abcd"));
    }

    #[test]
    fn what_is_no_key_is_none() {
        let shown = Token::draw().shown();
        for wrong in ["", "adj_", "adj__", &shown[4..], &shown[..shown.len() - 1], &format!("{shown}0"), &shown.replace("adj_", "ADJ_")] {
            assert!(Token::parse(wrong).is_none(), "{wrong}");
        }
    }
}
