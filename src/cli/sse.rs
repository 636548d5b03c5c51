//! Notifications as a client reads them: server-sent events, taken up again where a connection broke off.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use reqwest::Method;
use reqwest::header::ACCEPT;
use tokio_util::bytes::Bytes;

use super::client::{Answer, Client, Waits};
use super::failure::Failure;
use super::output::note;

/// One message of the stream.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Message {
    pub id: String,
    /// Empty for an ordinary one.
    pub event: String,
    pub data: String,
}

/// A single message is one notification: far below this.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// A stream that says nothing for this long is gone: the service sends a comment at least every 15 s.
const SILENCE_MAX: Duration = Duration::from_secs(60);
const WAIT_MAX: Duration = Duration::from_secs(5);

/// What to follow.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub workspace: Option<String>,
    pub types: Option<String>,
    /// `None`: from now on. `0`: the oldest kept.
    pub after: Option<String>,
}

/// Follows notifications until dropped, over as many connections as it takes.
pub struct Follow {
    client: Client,
    filter: Filter,
    stream: Option<BoxStream<'static, reqwest::Result<Bytes>>>,
    parser: Parser,
    waits: Waits,
}

impl Follow {
    /// Connects once, so that a service that is not there is told at once.
    pub async fn start(client: Client, filter: Filter) -> Result<Self, Failure> {
        let mut follow = Self { client, filter, stream: None, parser: Parser::default(), waits: Waits::up_to(WAIT_MAX) };
        follow.connect().await?;
        Ok(follow)
    }

    async fn connect(&mut self) -> Result<(), Failure> {
        let Filter { workspace, types, after } = &self.filter;
        let resume = self.parser.last_id.as_deref().filter(|id| !id.is_empty());
        let after = after.as_deref().filter(|_| resume.is_none());
        let query = [("workspace", workspace.as_deref()), ("types", types.as_deref()), ("after", after)];
        let url = self.client.url(&["v1", "notifications"], &query)?;
        let mut request = self.client.request(Method::GET, url).header(ACCEPT, "text/event-stream");
        if let Some(id) = resume {
            request = request.header("Last-Event-ID", id);
        }
        let response = request.send().await.map_err(|error| self.client.unreachable(&error))?;
        let status = response.status();
        if !status.is_success() {
            let body = response.bytes().await.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
            return Err(Answer { status, retry_after: None, body }.failure());
        }
        self.parser.begin();
        self.stream = Some(response.bytes_stream().boxed());
        Ok(())
    }

    /// The next message; reconnects as often as it takes.
    ///
    /// # Errors
    /// What no reconnecting mends: the service refuses what is asked.
    pub async fn next(&mut self) -> Result<Message, Failure> {
        loop {
            if let Some(message) = self.parser.next() {
                return Ok(message);
            }
            let Some(stream) = &mut self.stream else {
                self.reconnect().await?;
                continue;
            };
            match tokio::time::timeout(SILENCE_MAX, stream.next()).await {
                Ok(Some(Ok(bytes))) => {
                    self.waits.reset();
                    self.parser.take_in(&bytes)?;
                }
                Ok(Some(Err(_)) | None) | Err(_) => self.stream = None,
            }
        }
    }

    async fn reconnect(&mut self) -> Result<(), Failure> {
        loop {
            tokio::time::sleep(self.waits.next(None)).await;
            match self.connect().await {
                Ok(()) => return Ok(()),
                Err(failure) if failure.exit != super::failure::Exit::Unavailable => return Err(failure),
                Err(failure) => note(format_args!("{failure}; trying again")),
            }
        }
    }
}

/// Cuts a byte stream into messages.
#[derive(Default)]
struct Parser {
    bytes: Vec<u8>,
    /// What of `bytes` has been read.
    read: usize,
    message: Message,
    last_id: Option<String>,
}

impl Parser {
    /// A new connection: what was left of the old one is half a message.
    fn begin(&mut self) {
        (self.bytes, self.read, self.message) = (Vec::new(), 0, Message::default());
    }

    fn take_in(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.bytes.drain(..self.read);
        self.read = 0;
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() > MESSAGE_BYTES_MAX + bytes.len() || self.message.data.len() > MESSAGE_BYTES_MAX {
            return Err(Failure::failed(format_args!("a notification longer than {MESSAGE_BYTES_MAX} bytes: this is not adjourn")));
        }
        Ok(())
    }

    fn next(&mut self) -> Option<Message> {
        loop {
            let rest = &self.bytes[self.read..];
            let end = rest.iter().position(|byte| *byte == b'\n')?;
            let line = String::from_utf8_lossy(rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end])).into_owned();
            self.read += end + 1;
            if line.is_empty() {
                let message = std::mem::take(&mut self.message);
                if !message.id.is_empty() {
                    self.last_id = Some(message.id.clone());
                }
                if !message.data.is_empty() {
                    return Some(message);
                }
            } else {
                self.field(&line);
            }
        }
    }

    fn field(&mut self, line: &str) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "id" => self.message.id = value.into(),
            "event" => self.message.event = value.into(),
            "data" => {
                if !self.message.data.is_empty() {
                    self.message.data.push('\n');
                }
                self.message.data.push_str(value);
            }
            _ => {} // a comment, or `retry`, which our own waits stand for
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: &str, event: &str, data: &str) -> Message {
        Message { id: id.into(), event: event.into(), data: data.into() }
    }

    #[test]
    fn messages_come_whole_however_the_bytes_arrive() {
        let text = ": hello\n\nid: 7\nevent: reset\ndata: {\"a\":\ndata: 1}\r\n\r\nid:8\ndata: x\n\ndata: half";
        let mut parser = Parser::default();
        let mut found = Vec::new();
        for byte in text.bytes() {
            parser.take_in(&[byte]).unwrap();
            found.extend(parser.next());
        }
        assert_eq!(found, [message("7", "reset", "{\"a\":\n1}"), message("8", "", "x")]);
        assert_eq!(parser.last_id.as_deref(), Some("8"));
        parser.begin();
        parser.take_in(b"data: new\n\n").unwrap();
        assert_eq!(parser.next(), Some(message("", "", "new")));
        assert_eq!(parser.last_id.as_deref(), Some("8"), "a message without an id does not move the cursor");
    }
}
