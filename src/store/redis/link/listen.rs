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
        let listener = Listener { router, dialer, channel, subscriber: Subscriber { sender, missed: false } };
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
    subscriber: Subscriber,
}

/// What a listener is told, as far as it has room.
struct Subscriber {
    sender: mpsc::Sender<Heard>,
    /// Something was dropped, and it does not know yet.
    missed: bool,
}

impl Subscriber {
    /// While something is missing nothing more is passed on: the word that it is comes first.
    fn tell(&mut self, heard: Heard) {
        self.missed = self.missed || self.sender.try_send(heard).is_err();
    }

    /// Waits for room to say that something is missing; for ever where nothing is.
    async fn own_up(&mut self) {
        if !self.missed {
            return std::future::pending().await;
        }
        match self.sender.reserve().await {
            Ok(room) => room.send(Heard::Resubscribed),
            // Nobody is there to be told.
            Err(_) => return std::future::pending().await,
        }
        self.missed = false;
    }
}

impl Listener {
    async fn run(mut self) {
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
    async fn hear(&mut self, mut sink: PubSubSink, mut messages: impl Stream<Item = Msg> + Unpin) -> Arc<str> {
        let mut generation = self.router.histories.watch();
        let mut signs = interval(SIGN_OF_LIFE);
        signs.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.subscriber.tell(Heard::Resubscribed);
        loop {
            tokio::select! {
                message = messages.next() => match message {
                    None => return "the connection was lost".into(),
                    Some(message) => self.subscriber.tell(Heard::Message(message.get_payload_bytes().to_vec())),
                },
                () = self.subscriber.own_up() => {}
                _ = signs.tick() => if !matches!(timeout(self.dialer.connect_timeout, sink.ping::<redis::Value>()).await, Ok(Ok(_))) {
                    return "no sign of life".into();
                },
                Ok(()) = generation.changed() => return "another primary has taken over".into(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_listener_that_fell_behind_is_told_so_before_it_hears_more() {
        let (sender, mut heard) = mpsc::channel(2);
        let mut subscriber = Subscriber { sender, missed: false };
        let message = |n: u8| Heard::Message(vec![n]);
        for n in 1..=4 {
            subscriber.tell(message(n));
        }
        assert_eq!((heard.try_recv(), heard.try_recv()), (Ok(message(1)), Ok(message(2))));
        subscriber.tell(message(5));
        assert!(heard.try_recv().is_err());
        subscriber.own_up().await;
        subscriber.tell(message(6));
        assert_eq!((heard.try_recv(), heard.try_recv()), (Ok(Heard::Resubscribed), Ok(message(6))));
    }
}
