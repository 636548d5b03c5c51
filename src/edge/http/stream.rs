//! `GET /v1/notifications`: notifications as server-sent events.
//!
//! The `event:` of each is its CloudEvents type, its `data:` the CloudEvent. An `id:` is a cursor: it is set on the last
//! event of a page, so that what a client resumes from never skips and at most repeats. A client that filters much, or
//! waits long, gets an `id:` without an event now and then; browsers remember it and fire nothing.
//!
//! A page is read when the one before has been written: a slow subscriber holds one page, and nobody up.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header;
use actix_web::web::{self, Bytes};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;

use super::query::Parameters;
use super::{Edge, Problem, workspace_of};
use crate::actors::{Cursor, Fed, Feed};
use crate::domain::{Notice, NoticeKind};
use crate::store::Notification;
use crate::wire::CloudEvent;

/// # Errors
/// 400 for a filter or a cursor that makes no sense, 503 when too many streams are open.
pub async fn follow(edge: web::Data<Edge>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let parameters = Parameters::of(&request, &["workspace", "types", "after"])?;
    let filter = Filter::of(&parameters)?;
    let feed = feed(&edge, &request, &parameters)?;
    if edge.is_stopping() {
        return Err(Problem::unavailable("draining", "this node is stopping", 1).closing());
    }
    let permit = edge.streams.clone().try_acquire_owned().map_err(|_| {
        let detail = format!("{} streams are open, which is the bound", edge.limits.streams);
        Problem::unavailable("too-many-streams", detail, 5)
    })?;
    let subscriber = Subscriber { edge: edge.into_inner(), feed, filter, sent: None, greeted: false, ended: false, _permit: permit };
    let events = stream::unfold(subscriber, |mut subscriber| async move {
        let piece = subscriber.next().await?;
        Some((Ok::<Bytes, std::convert::Infallible>(piece), subscriber))
    });
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(events))
}

/// From where the client left off, or from `after`, or from now. What the client remembers is newer than its address.
fn feed(edge: &Edge, request: &HttpRequest, parameters: &Parameters) -> Result<Feed, Problem> {
    let remembered = request.headers().get("last-event-id").map(|value| value.to_str().unwrap_or("?").trim());
    match remembered.filter(|id| !id.is_empty()).or(parameters.get("after")) {
        None => Ok(edge.node.follow()),
        Some("0") => Ok(edge.node.follow_from_oldest()),
        Some(text) => {
            let bad = |error: crate::actors::reads::feed::BadCursor| {
                Problem::bad_request("invalid-cursor", error.to_string(), "Leave it out to start from now.")
            };
            Ok(edge.node.follow_from(Cursor::decode(text).map_err(bad)?))
        }
    }
}

/// Which notifications a client wants.
struct Filter {
    workspace: Option<Box<str>>,
    /// Empty: all.
    types: BTreeSet<&'static str>,
}

impl Filter {
    fn of(parameters: &Parameters) -> Result<Self, Problem> {
        let workspace = parameters.get("workspace").map(workspace_of).transpose()?.map(Into::into);
        let known = |name: &str| NoticeKind::ALL.iter().map(|kind| kind.as_str()).find(|known| *known == name.trim());
        let expected = "a list of notification types, such as adjourn.conversation.closed.v1,adjourn.timer.armed.v1";
        let types = parameters.read("types", expected, |text| text.split(',').map(known).collect())?;
        Ok(Self { workspace, types: types.unwrap_or_default() })
    }

    fn wants(&self, notice: &Notice) -> bool {
        let (workspace, kind) = match notice {
            Notice::Conversation(notice) => (notice.key.workspace(), notice.kind),
            Notice::Settings { workspace, .. } => (&**workspace, NoticeKind::SettingsChanged),
        };
        self.workspace.as_deref().is_none_or(|wanted| wanted == workspace) && (self.types.is_empty() || self.types.contains(kind.as_str()))
    }
}

struct Subscriber {
    edge: Arc<Edge>,
    feed: Feed,
    filter: Filter,
    /// The cursor the client was told last.
    sent: Option<Cursor>,
    greeted: bool,
    ended: bool,
    _permit: OwnedSemaphorePermit,
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
            let from = if self.feed.is_settled() { self.cursor_line() } else { "\n".to_owned() };
            return Some(format!("retry: 2000\n{from}").into());
        }
        let edge = self.edge.clone();
        let quiet: Duration = edge.limits.keep_alive;
        tokio::select! {
            () = edge.stopping.cancelled() => None,
            page = tokio::time::timeout(quiet, self.page()) => Some(page.unwrap_or_else(|_| self.sign_of_life())),
        }
    }

    /// The next page with something for this client in it.
    async fn page(&mut self) -> Bytes {
        loop {
            match self.feed.next().await {
                Ok(Fed::Notifications(notifications)) => {
                    if let Some(page) = self.render(&notifications) {
                        return page;
                    }
                }
                Ok(Fed::Reset) => return self.reset(),
                Err(error) => {
                    tracing::warn!(%error, "a notification stream ends");
                    self.ended = true;
                    return Bytes::from_static(b": the store is away, come back\n\n");
                }
            }
            // A page for somebody else was ready at once: let others on this thread have their turn.
            tokio::task::yield_now().await;
        }
    }

    fn render(&mut self, notifications: &[Notification]) -> Option<Bytes> {
        let mut text = String::new();
        let mut wanted = notifications.iter().filter(|n| self.filter.wants(&n.notice)).peekable();
        wanted.peek()?;
        for notification in wanted {
            // The blank line that ends an event is written before the next one: the last one still gets its id.
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&event(&notification.notice));
        }
        text.push_str(&self.cursor_line());
        Some(text.into())
    }

    fn reset(&mut self) -> Bytes {
        let data = json!({"oldest": self.feed.cursor().encode()});
        format!("event: reset\ndata: {data}\n{}", self.cursor_line()).into()
    }

    fn sign_of_life(&mut self) -> Bytes {
        if self.sent.as_ref() == Some(self.feed.cursor()) { Bytes::from_static(b": still here\n\n") } else { self.cursor_line().into() }
    }

    /// The end of an event, with its id; by itself, an id without an event.
    fn cursor_line(&mut self) -> String {
        let line = format!("id: {}\n\n", self.feed.cursor().encode());
        self.sent = Some(self.feed.cursor().clone());
        line
    }
}

/// One event without its end. JSON has no line breaks of its own, so `data:` is one line.
fn event(notice: &Notice) -> String {
    let kind = match notice {
        Notice::Conversation(notice) => notice.kind,
        Notice::Settings { .. } => NoticeKind::SettingsChanged,
    };
    let data = serde_json::to_string(&CloudEvent::new(notice)).unwrap_or_default();
    format!("event: {}\ndata: {data}\n", kind.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Settings, Timestamp};

    fn notice() -> Notice {
        Notice::Settings { workspace: "acme".into(), at: Timestamp::from_millis(0), settings: Box::new(Settings::default()) }
    }

    #[test]
    fn an_event_is_named_by_its_type_and_is_one_line() {
        let text = event(&notice());
        assert!(text.starts_with("event: adjourn.settings.changed.v1\ndata: {\"specversion\":\"1.0\""), "{text}");
        assert_eq!(text.lines().count(), 2);
    }

    #[test]
    fn filters() {
        let wants = |workspace: Option<&str>, types: &[&'static str]| {
            Filter { workspace: workspace.map(Into::into), types: types.iter().copied().collect() }.wants(&notice())
        };
        assert!(wants(None, &[]) && wants(Some("acme"), &["adjourn.settings.changed.v1"]));
        assert!(!wants(Some("other"), &[]) && !wants(None, &["adjourn.timer.armed.v1"]));
    }
}
