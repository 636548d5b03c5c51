//! Hearing what is published, across lost connections and changes of primary.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use redis::Msg;
use redis::aio::PubSubSink;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::backoff::Backoff;
use super::dial::Dialer;
use super::error::LinkError;
use super::router::Router;

/// Messages a listener may be behind; what is published beyond is dropped, and the listener told that it missed something.
const BEHIND_MAX: usize = 1_024;
/// A connection on which nothing is heard is asked for a sign of life this often: it writes nothing itself, so a broken
/// one would look like silence.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// What a listener hears.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Heard {
    Message(Vec<u8>),
    /// From here on it hears what is published; before, it may have missed something.
    Resubscribed,
}

/// One channel. Goes on until dropped.
pub struct Subscription {
    heard: mpsc::Receiver<Heard>,
    task: AbortHandle,
}

impl Subscription {
    pub fn start(router: Arc<Router>, dialer: Arc<Dialer>, channel: Box<str>, runtime: &tokio::runtime::Handle) -> Self {
        let (sender, heard) = mpsc::channel(BEHIND_MAX);
        let listener = Listener { router, dialer, channel, sender };
        Self { heard, task: runtime.spawn(listener.run()).abort_handle() }
    }

    /// The next thing heard; `None` after the link was closed.
    pub async fn next(&mut self) -> Option<Heard> {
        self.heard.recv().await
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Listener {
    router: Arc<Router>,
    dialer: Arc<Dialer>,
    channel: Box<str>,
    sender: mpsc::Sender<Heard>,
}

impl Listener {
    async fn run(self) {
        let mut backoff = Backoff::default();
        loop {
            if let Some((wait, _)) = backoff.wait() {
                sleep(wait).await;
            }
            let reason = match self.connect().await {
                Ok((sink, messages)) => {
                    backoff.succeeded();
                    self.hear(sink, messages).await
                }
                Err(reason) => reason,
            };
            if backoff.failed(Arc::clone(&reason)) {
                tracing::debug!(channel = %self.channel, %reason, "not listening, trying on");
            }
        }
    }

    async fn connect(&self) -> Result<(PubSubSink, impl Stream<Item = Msg> + use<>), Arc<str>> {
        let node = self.router.node(None).await.map_err(|error| match error {
            LinkError::Away(reason) => reason,
            other => other.to_string().into(),
        })?;
        let (mut sink, messages) = self.dialer.listener(&node.find().await?).await?.split();
        match timeout(self.dialer.connect_timeout, sink.subscribe(&*self.channel)).await {
            Ok(Ok(())) => Ok((sink, messages)),
            Ok(Err(error)) => Err(error.to_string().into()),
            Err(_) => Err("no answer to SUBSCRIBE".into()),
        }
    }

    /// Passes on what it hears until the connection is lost or belongs to a primary of the past; says which.
    async fn hear(&self, mut sink: PubSubSink, mut messages: impl Stream<Item = Msg> + Unpin) -> Arc<str> {
        let mut generation = self.router.ledger.watch();
        let mut signs = interval(SIGN_OF_LIFE);
        signs.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut missed = self.sender.try_send(Heard::Resubscribed).is_err();
        loop {
            tokio::select! {
                message = messages.next() => match message {
                    None => return "the connection was lost".into(),
                    // While something is missing nothing is passed on: the word that it is comes first.
                    Some(_) if missed => {}
                    Some(message) => missed = self.sender.try_send(Heard::Message(message.get_payload_bytes().to_vec())).is_err(),
                },
                Ok(room) = self.sender.reserve(), if missed => {
                    room.send(Heard::Resubscribed);
                    missed = false;
                }
                _ = signs.tick() => if !matches!(timeout(self.dialer.connect_timeout, sink.ping::<redis::Value>()).await, Ok(Ok(_))) {
                    return "no sign of life".into();
                },
                Ok(()) = generation.changed() => return "another primary has taken over".into(),
            }
        }
    }
}
