//! A server that answers by script, one answer a connection, and remembers what it was asked.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

#[derive(Clone)]
pub enum Answer {
    /// As it is.
    Say(String),
    /// The beginning of one, and then this again and again, for as long as somebody reads.
    Endless(&'static str, Vec<u8>),
    /// The beginning of one, and then a byte every few milliseconds.
    Trickle(&'static str),
    /// Takes the question and says nothing.
    Nothing,
}

#[derive(Clone)]
pub struct Asked {
    pub head: String,
    pub body: Value,
}

pub struct Stub {
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    /// Bytes that were taken of an endless answer.
    taken: Arc<Mutex<usize>>,
    serving: JoinHandle<()>,
}

impl Stub {
    /// The last answer is for all who come after.
    pub async fn start(answers: Vec<Answer>) -> Self {
        Self::with(answers, None).await
    }

    pub async fn with(answers: Vec<Answer>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}/v1/", listener.local_addr().unwrap());
        let (asked, taken) = (Arc::default(), Arc::default());
        let serving = tokio::spawn(serve(listener, answers, tls, Arc::clone(&asked), Arc::clone(&taken)));
        Self { url, asked, taken, serving }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub fn taken(&self) -> usize {
        *self.taken.lock().unwrap()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(
    listener: TcpListener,
    answers: Vec<Answer>,
    tls: Option<TlsAcceptor>,
    asked: Arc<Mutex<Vec<Asked>>>,
    taken: Arc<Mutex<usize>>,
) {
    let mut answers = answers.into_iter().peekable();
    let mut answer = answers.next().unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (answered, asked, taken, tls) = (answer.clone(), Arc::clone(&asked), Arc::clone(&taken), tls.clone());
        tokio::spawn(async move {
            match tls {
                None => give(stream, answered, &asked, &taken).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => give(stream, answered, &asked, &taken).await,
                    Err(_) => None,
                },
            }
        });
        if let Some(next) = answers.next() {
            answer = next;
        }
    }
}

/// `None`: the other side went away.
async fn give(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: Answer,
    asked: &Mutex<Vec<Asked>>,
    taken: &Mutex<usize>,
) -> Option<()> {
    let question = question(&mut stream).await?;
    asked.lock().unwrap().push(question);
    match answer {
        Answer::Say(text) => {
            stream.write_all(text.as_bytes()).await.ok()?;
            stream.shutdown().await.ok()
        }
        Answer::Endless(head, piece) => {
            stream.write_all(head.as_bytes()).await.ok()?;
            loop {
                stream.write_all(&piece).await.ok()?;
                *taken.lock().unwrap() += piece.len();
            }
        }
        Answer::Trickle(head) => {
            stream.write_all(head.as_bytes()).await.ok()?;
            let mut time = tokio::time::interval(Duration::from_millis(5));
            loop {
                time.tick().await;
                stream.write_all(b"1\r\n \r\n").await.ok()?;
            }
        }
        Answer::Nothing => pending().await,
    }
}

async fn question(stream: &mut (impl AsyncRead + Unpin)) -> Option<Asked> {
    let mut read = Vec::new();
    let end = loop {
        if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        stream.read_buf(&mut read).await.ok().filter(|count| *count > 0)?;
    };
    let head = String::from_utf8(read[..end].to_vec()).unwrap();
    let length: usize = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok()).unwrap();
    while read.len() < end + length {
        stream.read_buf(&mut read).await.ok().filter(|count| *count > 0)?;
    }
    Some(Asked { head, body: serde_json::from_slice(&read[end..]).unwrap() })
}

pub fn answer(status: &str, headers: &str, body: &str) -> Answer {
    let length = body.len();
    Answer::Say(format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}"))
}

/// What a model says.
pub fn says(content: &str) -> Answer {
    answer(
        "200 OK",
        "content-type: application/json\r\n",
        &json!({"choices": [{"message": {"role": "assistant", "content": content}}]}).to_string(),
    )
}

pub fn note(category: &str, summary: &str) -> Answer {
    says(&json!({"category": category, "summary": summary}).to_string())
}
