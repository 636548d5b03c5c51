//! `GET /v1/notifications`: notifications as server-sent events.
//!
//! The `event:` of each is its CloudEvents type, its `data:` the CloudEvent. An `id:` is a cursor: it is set on the last
//! event of a page, so that what a client resumes from never skips and at most repeats. A client that filters much, or
//! waits long, gets an `id:` without an event now and then; browsers remember it and fire nothing.

use std::convert::Infallible;

use actix_web::http::header;
use actix_web::web::{self, Bytes};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;
use serde_json::json;

use super::super::{Edge, Problem};
use super::{Follower, Piece, kind};
use crate::actors::Cursor;
use crate::domain::Notice;
use crate::store::Notification;
use crate::wire::CloudEvent;

/// # Errors
/// As for any who follows.
pub async fn follow(edge: web::Data<Edge>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let follower = Follower::of(edge.into_inner(), &request)?;
    let subscriber = Subscriber { follower, sent: None, greeted: false, ended: false };
    let events = stream::unfold(subscriber, |mut subscriber| async move {
        let piece = subscriber.next().await?;
        Some((Ok::<Bytes, Infallible>(piece), subscriber))
    });
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(events))
}

struct Subscriber {
    follower: Follower,
    /// The cursor the client was told last.
    sent: Option<Cursor>,
    greeted: bool,
    ended: bool,
}

impl Subscriber {
    /// What to write next; `None`: the stream ends, and the client comes back with its cursor.
    async fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        if !std::mem::replace(&mut self.greeted, true) {
            // A client that is cut off before its first event resumes from here, not from a later now. One that came with
            // a cursor keeps that until it has been told what was trimmed.
            let from = if self.follower.feed.is_settled() { self.cursor_line() } else { "\n".to_owned() };
            return Some(format!("retry: 2000\n{from}").into());
        }
        match self.follower.next().await {
            Piece::Notifications(notifications) => Some(self.render(&notifications)),
            Piece::Reset => Some(self.reset()),
            Piece::Quiet => Some(self.sign_of_life()),
            Piece::Ended => None,
            Piece::Broken => {
                self.ended = true;
                Some(Bytes::from_static(b": the store is away, come back\n\n"))
            }
        }
    }

    fn render(&mut self, notifications: &[Notification]) -> Bytes {
        // The blank line that ends an event is written before the next one: the last one still gets its id.
        let events: Vec<String> = notifications.iter().map(|notification| event(&notification.notice)).collect();
        let mut text = events.join("\n");
        text.push_str(&self.cursor_line());
        text.into()
    }

    fn reset(&mut self) -> Bytes {
        let data = json!({"oldest": self.follower.cursor().encode()});
        format!("event: reset\ndata: {data}\n{}", self.cursor_line()).into()
    }

    fn sign_of_life(&mut self) -> Bytes {
        let is_known = self.sent.as_ref() == Some(self.follower.cursor());
        if is_known { Bytes::from_static(b": still here\n\n") } else { self.cursor_line().into() }
    }

    /// The end of an event, with its id; by itself, an id without an event.
    fn cursor_line(&mut self) -> String {
        let line = format!("id: {}\n\n", self.follower.cursor().encode());
        self.sent = Some(self.follower.cursor().clone());
        line
    }
}

/// One event without its end. JSON has no line breaks of its own, so `data:` is one line.
fn event(notice: &Notice) -> String {
    let data = serde_json::to_string(&CloudEvent::new(notice)).unwrap_or_default();
    format!("event: {}\ndata: {data}\n", kind(notice).as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Settings, Timestamp};

    #[test]
    fn an_event_is_named_by_its_type_and_is_one_line() {
        let notice = Notice::Settings {
            workspace: "acme".into(),
            at: Timestamp::from_millis(0),
            settings: Box::new(Settings::default()),
            replaces: false,
        };
        let text = event(&notice);
        assert!(text.starts_with("event: adjourn.settings.changed.v1\ndata: {\"specversion\":\"1.0\""), "{text}");
        assert_eq!(text.lines().count(), 2);
    }
}
