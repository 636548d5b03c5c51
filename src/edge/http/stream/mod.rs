//! Notifications to whoever follows them: one way through them for all forms, server-sent events (`sse`) and WebSockets
//! (`socket`).
//!
//! A page is read when the one before has been written: a slow subscriber holds one page, and nobody up.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;
use tokio::sync::OwnedSemaphorePermit;

use super::access::{Caller, caller};
use super::query::Parameters;
use super::{Edge, Problem, workspace_of};
use crate::actors::{Cursor, Fed, Feed};
use crate::domain::access::Reach;
use crate::domain::{Notice, NoticeKind};
use crate::store::Notification;

pub mod socket;
pub mod sse;
mod window;

/// Which notifications a client wants.
struct Filter {
    workspace: Option<Box<str>>,
    /// Empty: all.
    types: BTreeSet<&'static str>,
    /// Of which workspaces it may hear at all.
    reach: Reach,
}

impl Filter {
    fn of(parameters: &Parameters, caller: &Caller) -> Result<Self, Problem> {
        let workspace = parameters.get("workspace").map(workspace_of).transpose()?;
        workspace.map_or(Ok(()), |workspace| caller.may_see(workspace))?;
        let known = |name: &str| NoticeKind::ALL.iter().map(|kind| kind.as_str()).find(|known| *known == name.trim());
        let expected = "a list of notification types, such as adjourn.conversation.closed.v1,adjourn.timer.armed.v1";
        let types = parameters.read("types", expected, |text| text.split(',').map(known).collect())?;
        Ok(Self { workspace: workspace.map(Into::into), types: types.unwrap_or_default(), reach: caller.reach.clone() })
    }

    fn wants(&self, notice: &Notice) -> bool {
        let workspace = match notice {
            Notice::Conversation(notice) => notice.key.workspace(),
            Notice::Settings { workspace, .. } => workspace,
        };
        let is_asked_for = self.workspace.as_deref().is_none_or(|wanted| wanted == workspace);
        is_asked_for && self.reach.includes(workspace) && (self.types.is_empty() || self.types.contains(kind(notice).as_str()))
    }
}

fn kind(notice: &Notice) -> NoticeKind {
    match notice {
        Notice::Conversation(notice) => notice.kind,
        Notice::Settings { .. } => NoticeKind::SettingsChanged,
    }
}

/// Somebody who follows, as far as all forms are alike.
struct Follower {
    edge: Arc<Edge>,
    caller: Arc<Caller>,
    feed: Feed,
    filter: Filter,
    _permit: OwnedSemaphorePermit,
}

/// What comes next.
enum Piece {
    /// At least one, in order; the feed's cursor is good after the last.
    Notifications(Vec<Notification>),
    /// What the cursor pointed at is gone; the feed goes on from the oldest kept.
    Reset,
    /// Nothing for a while.
    Quiet,
    /// The service stops, or the key is not good any more.
    Ended,
    /// The store is away.
    Broken,
}

impl Follower {
    /// # Errors
    /// 400 for a filter or a cursor that makes no sense, 404 for a workspace of somebody else, 503 when too many streams are open.
    fn of(edge: Arc<Edge>, request: &HttpRequest) -> Result<Self, Problem> {
        let parameters = Parameters::of(request, &["workspace", "types", "after"])?;
        let caller = caller(request)?;
        let filter = Filter::of(&parameters, &caller)?;
        let feed = feed(&edge, request, &parameters)?;
        if edge.is_stopping() {
            return Err(Problem::unavailable("draining", "this node is stopping", 1).closing());
        }
        let permit = edge.streams.clone().try_acquire_owned().map_err(|_| {
            let detail = format!("{} streams are open, which is the bound", edge.limits.streams);
            Problem::unavailable("too-many-streams", detail, 5)
        })?;
        Ok(Self { edge, caller, feed, filter, _permit: permit })
    }

    /// Waits for something for this client. Whoever stops waiting loses nothing.
    async fn next(&mut self) -> Piece {
        let edge = Arc::clone(&self.edge);
        if !self.is_admitted() {
            return Piece::Ended;
        }
        let quiet: Duration = edge.limits.keep_alive;
        tokio::select! {
            () = edge.stopping.cancelled() => Piece::Ended,
            page = tokio::time::timeout(quiet, self.page()) => page.unwrap_or(Piece::Quiet),
        }
    }

    async fn page(&mut self) -> Piece {
        loop {
            match self.feed.next().await {
                Ok(Fed::Notifications(mut notifications)) => {
                    notifications.retain(|notification| self.filter.wants(&notification.notice));
                    // While it waited the key may have ended, and what came since is not for it.
                    if !notifications.is_empty() {
                        return if self.is_admitted() { Piece::Notifications(notifications) } else { Piece::Ended };
                    }
                }
                Ok(Fed::Reset) => return Piece::Reset,
                Err(error) => {
                    tracing::warn!(%error, "a notification stream ends");
                    return Piece::Broken;
                }
            }
            // A page for somebody else was ready at once: let others on this thread have their turn.
            tokio::task::yield_now().await;
        }
    }

    /// Whether its key is still good.
    fn is_admitted(&self) -> bool {
        self.edge.gate.still_admits(&self.caller)
    }

    fn cursor(&self) -> &Cursor {
        self.feed.cursor()
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Settings, Timestamp};

    #[test]
    fn filters() {
        let notice = Notice::Settings {
            workspace: "acme".into(),
            at: Timestamp::from_millis(0),
            settings: Box::new(Settings::default()),
            replaces: false,
        };
        let of = |workspace: Option<&str>, types: &[&'static str], reach| {
            Filter { workspace: workspace.map(Into::into), types: types.iter().copied().collect(), reach }.wants(&notice)
        };
        assert!(!of(None, &[], Reach::Only(["other".into()].into())) && of(None, &[], Reach::Only(["acme".into()].into())));
        let wants = |workspace, types: &[&'static str]| of(workspace, types, Reach::All);
        assert!(wants(None, &[]) && wants(Some("acme"), &["adjourn.settings.changed.v1"]));
        assert!(!wants(Some("other"), &[]) && !wants(None, &["adjourn.timer.armed.v1"]));
    }
}
