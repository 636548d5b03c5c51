//! How a command can fail, named by what the caller does next.

use std::sync::Arc;

use redis::Value;

use super::super::target::Address;

/// One answer for each command, in their order: an error of one does not hide the others.
pub type Answers = Vec<Result<Value, ServerError>>;

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LinkError {
    #[error("Redis cannot be reached, nothing was sent: {0}")]
    Away(Arc<str>), // come back later
    #[error("Redis did not answer, the command may have run: {0}")]
    Unknown(Arc<str>), // reload and see
    #[error("another Redis primary answers than when this was begun, nothing was sent")]
    Replaced, // begin anew
    #[error("Redis answered: {0}")]
    Server(ServerError), // the code decides
}

impl From<ServerError> for LinkError {
    fn from(error: ServerError) -> Self {
        Self::Server(error)
    }
}

/// What a server answered instead of a value.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{code} {detail}")]
pub struct ServerError {
    /// The first word, such as `OOM`, `WRONGTYPE`, `NOPERM` or one of our scripts' own.
    pub code: Box<str>,
    pub detail: Box<str>,
}

/// What makes a command worth sending again: the server said that it has not run it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Remedy {
    /// It will be able to, soon.
    Wait,
    /// It is no primary any more, or the cluster has no primary for the slot at the moment: find out who is.
    FindPrimary,
    /// The slot lives there now.
    Moved(Redirect),
    /// This key lives there already, the slot still here.
    Ask(Redirect),
    /// It has not got the script.
    Load,
}

/// Where a server sends us: no host means its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Redirect {
    pub host: Option<Box<str>>,
    pub port: u16,
}

impl Redirect {
    /// Reads `3999 127.0.0.1:6381`; an IPv6 host has colons and no brackets.
    fn read(detail: &str) -> Option<Self> {
        let (_, address) = detail.split_once(' ')?;
        let (host, port) = address.trim().rsplit_once(':')?;
        Some(Self { host: (!matches!(host, "" | "?")).then(|| host.into()), port: port.parse().ok()? })
    }

    pub fn from(&self, asked: &Address) -> Option<Address> {
        let host = match (&self.host, asked) {
            (Some(host), _) | (None, Address::Tcp { host, .. }) => host.clone(),
            (None, Address::Unix(_)) => return None,
        };
        Some(Address::Tcp { host, port: self.port })
    }
}

impl ServerError {
    /// `None`: the answer is final.
    pub fn remedy(&self) -> Option<Remedy> {
        Some(match &*self.code {
            "LOADING" | "TRYAGAIN" | "BUSY" => Remedy::Wait,
            "READONLY" | "MASTERDOWN" | "CLUSTERDOWN" => Remedy::FindPrimary,
            "MOVED" => Remedy::Moved(Redirect::read(&self.detail)?),
            "ASK" => Remedy::Ask(Redirect::read(&self.detail)?),
            "NOSCRIPT" => Remedy::Load,
            _ => return None,
        })
    }
}

impl From<&redis::ServerError> for ServerError {
    fn from(error: &redis::ServerError) -> Self {
        Self { code: error.code().into(), detail: error.details().unwrap_or_default().into() }
    }
}

pub fn answer(value: Value) -> Result<Value, ServerError> {
    match value {
        Value::ServerError(error) => Err(ServerError::from(&error)),
        value => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: &str, detail: &str) -> ServerError {
        ServerError { code: code.into(), detail: detail.into() }
    }

    #[test]
    fn only_what_was_not_run_has_a_remedy() {
        assert_eq!(error("READONLY", "").remedy(), Some(Remedy::FindPrimary));
        assert_eq!(error("TRYAGAIN", "").remedy(), Some(Remedy::Wait));
        for code in ["ERR", "OOM", "WRONGTYPE", "NOREPLICAS", "MISCONF", "UNBLOCKED", "FENCED"] {
            assert_eq!(error(code, "").remedy(), None, "{code}");
        }
    }

    #[test]
    fn a_redirect_without_a_host_means_the_one_that_was_asked() {
        let asked = Address::Tcp { host: "10.0.0.1".into(), port: 1 };
        let to = |detail: &str| match error("MOVED", detail).remedy() {
            Some(Remedy::Moved(redirect)) => redirect.from(&asked).map(|address| address.to_string()),
            _ => None,
        };
        assert_eq!(to("3999 10.0.0.2:7001").as_deref(), Some("10.0.0.2:7001"));
        assert_eq!(to("3999 :7001").as_deref(), Some("10.0.0.1:7001"));
        assert_eq!(to("3999 ?:7001").as_deref(), Some("10.0.0.1:7001"));
        assert_eq!(to("3999 2001:db8::1:7001").as_deref(), Some("[2001:db8::1]:7001"));
        assert_eq!(to("nonsense"), None);
    }
}
