//! `GET /v1/notifications/ws`: notifications over a WebSocket, acknowledged by id.
//!
//! | who | message | means |
//! |---|---|---|
//! | service | `{"type":"hello","window":N,"cursor":C}` | at most N are under way at a time; without `cursor`, one comes later |
//! | service | `{"type":"event","event":{…}}` | one notification, a CloudEvent |
//! | client | `{"type":"ack","ids":["…"]}` | it has these, by their ids, in whatever order |
//! | service | `{"type":"cursor","cursor":C}` | everything before C is acknowledged: go on with `?after=C`, on any node |
//! | service | `{"type":"reset","cursor":C}` | what the cursor pointed at is not kept any more: a gap; C is the oldest kept |
//!
//! Nothing is kept here of a subscriber that is gone: what it had not acknowledged by its last cursor comes again, under the same ids.

use std::collections::VecDeque;
use std::sync::Arc;

use actix_web::web::{self, Payload};
use actix_web::{HttpRequest, HttpResponse};
use actix_ws::{AggregatedMessage, AggregatedMessageStream, CloseCode, CloseReason, Closed, Session};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};

use super::super::{Edge, Problem};
use super::window::Window;
use super::{Follower, Piece};
use crate::actors::Cursor;
use crate::store::Notification;
use crate::wire::CloudEvent;

/// Under way at a time: a page of them, half a megabyte at most typical sizes.
const WINDOW: usize = 512;
/// Longest message of a client, in bytes: a window's acknowledgements are 20 KB.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Signs of life that a client may leave unanswered, one every `keep_alive`.
const UNANSWERED_MAX: u32 = 3;

/// # Errors
/// 400 where this is no WebSocket's beginning, else as for any who follows.
pub async fn follow(edge: web::Data<Edge>, request: HttpRequest, payload: Payload) -> Result<HttpResponse, Problem> {
    let follower = Follower::of(edge.into_inner(), &request)?;
    let (answer, session, messages) = actix_ws::handle(&request, payload).map_err(|error| {
        let action = "Open a WebSocket (version 13) here; GET /v1/notifications has the same as server-sent events.";
        Problem::bad_request("not-a-websocket", format!("this is not the beginning of a WebSocket: {error}"), action)
    })?;
    let messages = messages.max_frame_size(MESSAGE_BYTES_MAX).aggregate_continuations().max_continuation_size(MESSAGE_BYTES_MAX);
    let socket = Socket { follower, session, window: Window::new(WINDOW), waiting: VecDeque::new(), unanswered: 0 };
    actix_web::rt::spawn(socket.run(messages));
    Ok(answer)
}

/// What a client may say.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
enum Said {
    Ack { ids: Vec<String> },
}

/// What it is told.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Told<'a> {
    Hello {
        window: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        cursor: Option<String>,
    },
    Event {
        event: Box<CloudEvent<'a>>,
    },
    Cursor {
        cursor: String,
    },
    Reset {
        cursor: String,
    },
}

struct Socket {
    follower: Follower,
    session: Session,
    window: Window,
    /// Read, and not sent for want of room: one page at most. With the last, where to go on after it.
    waiting: VecDeque<(Notification, Option<Cursor>)>,
    unanswered: u32,
}

/// Why it ends.
enum End {
    /// The other side is gone, or says nothing any more.
    Gone,
    Because(CloseReason),
}

impl From<Closed> for End {
    fn from(_: Closed) -> Self {
        Self::Gone
    }
}

impl End {
    fn because(code: CloseCode, text: &str) -> Self {
        Self::Because(CloseReason { code, description: Some(text.to_owned()) })
    }
}

impl Socket {
    async fn run(mut self, mut messages: AggregatedMessageStream) {
        let end = match self.greet().await {
            Ok(()) => self.serve(&mut messages).await,
            Err(end) => end,
        };
        if let End::Because(reason) = end {
            tracing::debug!(?reason, "a WebSocket is closed");
            let _ = self.session.close(Some(reason)).await;
        }
    }

    async fn greet(&mut self) -> Result<(), End> {
        let cursor = self.follower.feed.is_settled().then(|| self.follower.cursor().encode());
        self.tell(&Told::Hello { window: WINDOW, cursor }).await
    }

    async fn serve(&mut self, messages: &mut AggregatedMessageStream) -> End {
        let edge = Arc::clone(&self.follower.edge);
        loop {
            let wants_more = self.waiting.is_empty() && self.window.has_room();
            let step = tokio::select! {
                message = messages.next() => match message {
                    Some(Ok(message)) => self.hear(message).await,
                    Some(Err(error)) => Err(End::because(CloseCode::Protocol, &error.to_string())),
                    None => Err(End::Gone),
                },
                piece = self.follower.next(), if wants_more => self.take(piece).await,
                () = tokio::time::sleep(edge.limits.keep_alive), if !wants_more => self.poke().await,
                () = edge.stopping.cancelled(), if !wants_more => Err(leaving()),
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    async fn take(&mut self, piece: Piece) -> Result<(), End> {
        match piece {
            Piece::Notifications(notifications) => {
                let cursor = self.follower.cursor().clone();
                self.waiting.extend(notifications.into_iter().map(|notification| (notification, None)));
                if let Some((_, last)) = self.waiting.back_mut() {
                    *last = Some(cursor);
                }
                self.send().await
            }
            Piece::Reset => {
                let cursor = self.follower.cursor().encode();
                self.tell(&Told::Reset { cursor }).await
            }
            Piece::Quiet => self.poke().await,
            Piece::Ended => Err(leaving()),
            Piece::Broken => Err(End::because(CloseCode::Again, "the store is away, come back")),
        }
    }

    /// As many as there is room for.
    async fn send(&mut self) -> Result<(), End> {
        while self.window.has_room() {
            let Some((notification, cursor)) = self.waiting.pop_front() else { break };
            let event = CloudEvent::new(&notification.notice);
            self.window.sent(event.id().to_owned(), cursor);
            let text = text(&Told::Event { event: Box::new(event) });
            self.session.text(text).await?;
        }
        Ok(())
    }

    async fn hear(&mut self, message: AggregatedMessage) -> Result<(), End> {
        // Whatever it says, it is there.
        self.unanswered = 0;
        if !self.follower.is_admitted() {
            return Err(leaving());
        }
        match message {
            AggregatedMessage::Text(text) => match serde_json::from_str(&text) {
                Ok(Said::Ack { ids }) => self.acknowledge(&ids).await,
                Err(error) => Err(End::because(CloseCode::Policy, &format!("not {{\"type\":\"ack\",\"ids\":[…]}}: {error}"))),
            },
            AggregatedMessage::Ping(bytes) => Ok(self.session.pong(&bytes).await?),
            AggregatedMessage::Pong(_) => Ok(()),
            AggregatedMessage::Binary(_) => Err(End::because(CloseCode::Unsupported, "messages are texts")),
            AggregatedMessage::Close(_) => Err(End::because(CloseCode::Normal, "")),
        }
    }

    /// An id that is not under way is no mistake: it may have been acknowledged twice, or on another connection.
    async fn acknowledge(&mut self, ids: &[String]) -> Result<(), End> {
        for id in ids {
            self.window.acknowledge(id);
        }
        if let Some(cursor) = self.window.settle() {
            self.tell(&Told::Cursor { cursor: cursor.encode() }).await?;
        }
        self.send().await
    }

    /// Asks whether it is still there. Where nothing is under way, it is told how far it is as well: what it does not want to hear
    /// of moves the cursor, too.
    async fn poke(&mut self) -> Result<(), End> {
        self.unanswered += 1;
        if self.unanswered > UNANSWERED_MAX {
            return Err(End::because(CloseCode::Policy, "no answer to any ping"));
        }
        if self.window.is_empty() && self.waiting.is_empty() && self.follower.feed.is_settled() {
            let cursor = self.follower.cursor().encode();
            self.tell(&Told::Cursor { cursor }).await?;
        }
        Ok(self.session.ping(b"").await?)
    }

    async fn tell(&mut self, told: &Told<'_>) -> Result<(), End> {
        Ok(self.session.text(text(told)).await?)
    }
}

fn leaving() -> End {
    End::because(CloseCode::Away, "this node is stopping, or the key is not good any more; come back with your cursor")
}

/// Texts and numbers only: there is nothing in it that could fail.
fn text(told: &Told<'_>) -> String {
    serde_json::to_string(told).unwrap_or_default()
}
