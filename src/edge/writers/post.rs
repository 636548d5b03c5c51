//! One question to a server over HTTP, one answer back: bounded in time and in bytes, on a connection of its own, never anywhere
//! else than where it was sent. What it says of a failure has no part of question, answer or key in it.

use std::future::poll_fn;
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, HeaderValue, InvalidHeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use reqwest::Url;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::tls::{self, TlsError};

/// Of an answer: a note is a kilobyte, and some models think aloud before it.
pub const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// What a server is shown so that it answers. Shows itself as `Sensitive`.
#[derive(Clone, Debug)]
pub struct Key(HeaderValue);

impl Key {
    /// # Errors
    /// Something in it cannot be sent: it is no key.
    pub fn new(key: &str) -> Result<Self, InvalidHeaderValue> {
        let mut value = HeaderValue::from_str(&format!("Bearer {key}"))?;
        value.set_sensitive(true);
        Ok(Self(value))
    }
}

/// Why there is nobody to ask.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    #[error("{0}")]
    Url(&'static str),
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A server that can be asked.
pub struct Post {
    /// Scheme, host and port, to be shown: a path may have a secret in it.
    origin: Box<str>,
    host: Box<str>,
    port: u16,
    path: Box<str>,
    key: Option<Key>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    timeout: Duration,
}

/// What came back.
pub struct Answered {
    pub status: StatusCode,
    pub retry_after: Option<Duration>,
    /// Of a success; `None`: it was longer than [`ANSWER_BYTES_MAX`].
    pub body: Option<Vec<u8>>,
}

/// Nothing came back.
#[derive(Debug, thiserror::Error)]
enum Silence {
    #[error("cannot be reached: {0}")]
    Unreachable(#[from] std::io::Error),
    #[error("broke off: {0}")]
    BrokeOff(#[from] hyper::Error),
    #[error("cannot be asked: {0}")]
    Unaskable(#[from] hyper::http::Error),
}

impl Post {
    /// `authority`: a file with the certificates of those who may have signed the server's; `None`: the public authorities.
    ///
    /// # Errors
    /// [`PostError`]: nobody can be asked there, whenever.
    pub fn to(url: &Url, key: Option<Key>, authority: Option<&Path>, timeout: Duration) -> Result<Self, PostError> {
        let host = url.host_str().ok_or(PostError::Url("there is no host in the URL"))?.trim_matches(['[', ']']);
        let tls = match url.scheme() {
            "http" => None,
            "https" => {
                let name = ServerName::try_from(host.to_owned()).map_err(|_| PostError::Url("the host of the URL has no valid name"))?;
                Some((TlsConnector::from(Arc::new(tls::client(authority, None)?)), name))
            }
            _ => return Err(PostError::Url("only http:// and https:// are spoken here")),
        };
        Ok(Self {
            origin: url.origin().ascii_serialization().into(),
            host: host.into(),
            port: url.port_or_known_default().unwrap_or(80),
            path: url.path().into(),
            key,
            tls,
            timeout,
        })
    }

    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Asks once.
    ///
    /// # Errors
    /// What was met instead of an answer, for people; another time it may be one.
    pub async fn ask(&self, body: String) -> Result<Answered, String> {
        match tokio::time::timeout(self.timeout, self.connected(body)).await {
            Ok(answered) => answered.map_err(|silence| told(&silence)),
            Err(_) => Err(format!("gave no answer within {:?}", self.timeout)),
        }
    }

    async fn connected(&self, body: String) -> Result<Answered, Silence> {
        let stream = TcpStream::connect((&*self.host, self.port)).await?;
        match &self.tls {
            None => self.exchange(stream, body).await,
            Some((connector, name)) => self.exchange(connector.connect(name.clone(), stream).await?, body).await,
        }
    }

    async fn exchange(&self, stream: impl AsyncRead + AsyncWrite + Send + Unpin, body: String) -> Result<Answered, Silence> {
        let request = self.request(body)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let exchange = pin!(async { answered(sender.send_request(request).await?).await });
        // Both in this task, so that one that is dropped leaves no connection behind. The server may close before all that it
        // sent has been read here.
        let answered = match select(exchange, pin!(connection)).await {
            Either::Left((answered, _)) => answered,
            Either::Right((_, exchange)) => exchange.await,
        };
        Ok(answered?)
    }

    fn request(&self, body: String) -> Result<Request<String>, hyper::http::Error> {
        let authority = self.origin.split_once("://").map_or(&*self.origin, |(_, authority)| authority);
        let request = Request::post(&*self.path)
            .header(HOST, authority)
            .header(CONNECTION, "close")
            .header(USER_AGENT, concat!("adjourn/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/json");
        match &self.key {
            Some(Key(key)) => request.header(AUTHORIZATION, key.clone()),
            None => request,
        }
        .body(body)
    }
}

/// What it comes down to: `connection refused`, rather than that sending failed.
fn told(silence: &Silence) -> String {
    let mut cause: &dyn std::error::Error = silence;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    match silence {
        Silence::Unreachable(_) => format!("cannot be reached: {cause}"),
        Silence::BrokeOff(_) => format!("broke off: {cause}"),
        Silence::Unaskable(_) => format!("cannot be asked: {cause}"),
    }
}

async fn answered(response: Response<Incoming>) -> hyper::Result<Answered> {
    let status = response.status();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    // What is said of a refusal may repeat what was asked: nobody reads it.
    let body = if status.is_success() { whole(response.into_body()).await? } else { None };
    Ok(Answered { status, retry_after: retry_after.map(Duration::from_secs), body })
}

/// No more of it is taken than is kept.
async fn whole(mut body: Incoming) -> hyper::Result<Option<Vec<u8>>> {
    let mut read = Vec::new();
    if body.size_hint().lower() > ANSWER_BYTES_MAX as u64 {
        return Ok(None);
    }
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let Ok(data) = frame?.into_data() else { continue };
        if read.len() + data.len() > ANSWER_BYTES_MAX {
            return Ok(None);
        }
        read.extend_from_slice(&data);
    }
    Ok(Some(read))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(url: &str, authority: Option<&str>) -> Result<Post, String> {
        let post = Post::to(&url.parse().unwrap(), None, authority.map(Path::new), Duration::from_secs(1));
        post.map_err(|error| error.to_string())
    }

    #[test]
    fn a_url_says_where_and_the_path_is_not_shown() {
        for (url, origin, host, port) in [
            ("http://models:8000/v1/secret/chat", "http://models:8000", "models", 8000),
            ("https://example.com/x", "https://example.com", "example.com", 443),
            ("https://[::1]:1/x", "https://[::1]:1", "::1", 1),
        ] {
            let post = to(url, None).unwrap();
            assert_eq!((post.origin(), &*post.host, post.port, post.tls.is_some()), (origin, host, port, url.starts_with("https")));
        }
        assert!(to("ftp://example.com/", None).is_err());
    }

    #[test]
    fn an_authority_that_cannot_be_read_is_said_at_once() {
        assert_eq!(to("https://h/", Some("/dev/null")).err().unwrap(), "cannot use /dev/null: there is no certificate in it");
        assert!(to("https://h/", Some("/nowhere.pem")).err().unwrap().starts_with("cannot use /nowhere.pem:"));
    }

    #[test]
    fn a_key_is_not_shown() {
        let key = Key::new("canary").unwrap();
        assert!(!format!("{key:?}").contains("canary"));
        assert!(Key::new("can\nary").is_err_and(|error| !format!("{error} {error:?}").contains("can\n")));
    }
}
