//! Notes by a model, behind any server that speaks as OpenAI's does (`POST …/chat/completions`).

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use hyper::StatusCode;
use reqwest::Url;

use super::answer::{self, Question};
use super::post::{Answered, Key, Post, PostError};
use crate::actors::notes::writer::NoteWriter;
use crate::chance;
use crate::domain::Span;
use crate::domain::writing::{AGAIN_MAX, Brief, Proposal, WriteError};

/// Longest wait between two attempts of one note: somebody may be looking at a dialog. What asks for more is tried again later.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// A model, and how patient to be with it.
#[derive(Clone, Debug)]
pub struct RemoteOptions {
    /// What `/chat/completions` comes after: `https://api.example.com/v1`.
    pub base_url: Url,
    pub model: Box<str>,
    /// `None`: the server asks for none.
    pub key: Option<Key>,
    /// The authorities that may have signed the server's certificate, as PEM; `None`: the public ones.
    pub ca: Option<PathBuf>,
    /// For one attempt: connecting, asking, and the whole answer.
    pub timeout: Duration,
    /// At most so many for one answer. One that cannot be used is asked for once more.
    pub attempts: u32,
    /// Before the second attempt; from then on twice as long each time. Half of it is left to chance, so that nodes that were
    /// refused together do not come back together.
    pub pause: Duration,
}

impl RemoteOptions {
    pub fn new(base_url: Url, model: impl Into<Box<str>>) -> Self {
        Self {
            base_url,
            model: model.into(),
            key: None,
            ca: None,
            timeout: Duration::from_secs(20),
            attempts: 3,
            pause: Duration::from_millis(500),
        }
    }
}

pub struct Remote {
    model: Box<str>,
    attempts: u32,
    pause: Duration,
    post: Post,
    /// The server has answered without a schema what it had refused with one.
    knows_no_schema: AtomicBool,
}

impl Remote {
    /// # Errors
    /// [`PostError`]: nobody can be asked there, whenever.
    pub fn new(options: RemoteOptions) -> Result<Self, PostError> {
        let RemoteOptions { base_url: mut url, model, key, ca, timeout, attempts, pause } = options;
        url.path_segments_mut().map_err(|()| PostError::Url("the URL has no path"))?.pop_if_empty().extend(["chat", "completions"]);
        let post = Post::to(&url, key, ca.as_deref(), timeout)?;
        Ok(Self { model, attempts, pause, post, knows_no_schema: AtomicBool::new(false) })
    }

    async fn note(&self, brief: Brief<'_>) -> Result<Proposal, WriteError> {
        if brief.transcript.is_empty() {
            return Err(WriteError::never("there is no message to write a note from"));
        }
        let mut question = Question::new(&self.model, &brief);
        let said = self.ask(&question).await?;
        let first = said.as_deref().map(|said| answer::read(said, brief.categories));
        let had = match first {
            Some(first) if first.wrong.is_none() => return Ok(first.note),
            Some(first) => {
                question.correct(said.as_deref().unwrap_or_default(), first.wrong.unwrap_or_default());
                first.note
            }
            // Nothing that the model could be shown.
            None => Proposal::default(),
        };
        match self.ask(&question).await {
            Ok(said) => {
                let second = said.map(|said| answer::read(&said, brief.categories).note).unwrap_or_default();
                let note = Proposal { category: second.category.or(had.category), summary: second.summary.or(had.summary) };
                if is_empty(&note) { Err(self.never("gave twice an answer that cannot be used")) } else { Ok(note) }
            }
            // What the first answer had is more than nothing.
            Err(_) if !is_empty(&had) => Ok(had),
            Err(error) => Err(error),
        }
    }

    /// What the model says, after as many attempts as that takes. `None`: it was no answer of a model, or one without an end.
    async fn ask(&self, question: &Question) -> Result<Option<String>, WriteError> {
        let mut pause = self.pause;
        for left in (0..self.attempts.max(1)).rev() {
            let after = match self.attempt(question).await {
                Err(WriteError::Again { after, .. }) if left > 0 && after.is_none_or(|after| millis(after) <= PAUSE_MAX) => after,
                outcome => return outcome,
            };
            tokio::time::sleep(jittered(pause).max(after.map(millis).unwrap_or_default()).min(PAUSE_MAX)).await;
            pause *= 2;
        }
        Err(WriteError::again("nobody was asked"))
    }

    async fn attempt(&self, question: &Question) -> Result<Option<String>, WriteError> {
        let with_schema = !self.knows_no_schema.load(Ordering::Relaxed);
        let mut answered = self.post(question.body(with_schema)).await?;
        // So do servers that know no schemas. It stands in the question as well.
        if with_schema && matches!(answered.status, StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY) {
            answered = self.post(question.body(false)).await?;
            self.knows_no_schema.store(answered.status.is_success(), Ordering::Relaxed);
        }
        if !answered.status.is_success() {
            return Err(self.refused(&answered));
        }
        Ok(answered.body.as_deref().and_then(answer::content))
    }

    async fn post(&self, body: String) -> Result<Answered, WriteError> {
        self.post.ask(body).await.map_err(|silence| WriteError::again(format!("{} {silence}", self.post.origin())))
    }

    fn refused(&self, answered: &Answered) -> WriteError {
        let status = answered.status;
        let hint = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ": the key is missing, wrong, or has no right to this model",
            StatusCode::NOT_FOUND => ": there is no such model, or the URL is not the one that /chat/completions comes after",
            StatusCode::PAYLOAD_TOO_LARGE => ": the conversation is too long for it",
            status if status.is_redirection() => ": nothing is sent elsewhere; name the URL that it points to",
            _ => "",
        };
        let reason = format!("{} answered {}{hint}", self.post.origin(), status.as_u16());
        let is_passing = status.is_server_error()
            || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS);
        if !is_passing {
            return WriteError::never(reason);
        }
        let after = answered.retry_after.map(|after| Span::from_millis(after.min(millis(AGAIN_MAX)).as_millis() as i64));
        WriteError::Again { reason: reason.into(), after }
    }

    fn never(&self, what: &str) -> WriteError {
        WriteError::never(format!("{} {what}", self.post.origin()))
    }
}

impl NoteWriter for Remote {
    fn name(&self) -> &str {
        &self.model
    }

    fn write<'a>(&'a self, brief: Brief<'a>) -> BoxFuture<'a, Result<Proposal, WriteError>> {
        self.note(brief).boxed()
    }
}

fn is_empty(note: &Proposal) -> bool {
    note.category.is_none() && note.summary.is_none()
}

fn millis(span: Span) -> Duration {
    Duration::from_millis(span.as_millis().unsigned_abs())
}

/// Between half of it and all of it.
fn jittered(pause: Duration) -> Duration {
    let half = pause / 2;
    half + Duration::from_nanos(chance::token() % (half.as_nanos() as u64).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_left_to_chance_by_half() {
        let pause = Duration::from_millis(100);
        for _ in 0..99 {
            assert!((Duration::from_millis(50)..=pause).contains(&jittered(pause)));
        }
        assert_eq!(jittered(Duration::ZERO), Duration::ZERO);
    }
}
