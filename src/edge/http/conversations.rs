//! Reading conversations: the list, one, its history, and why it has or has not closed.

use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::query::{LIMIT_MAX, Parameters};
use super::{Edge, Problem, key_of, workspace_of};
use crate::actors::handle::{AssigneeFilter, HISTORY_MAX};
use crate::actors::{ListQuery, Why};
use crate::domain::id::is_name;
use crate::domain::notice::Status;
use crate::domain::{ConversationKey, NoDeadline};
use crate::wire::time::{self, Rfc3339};
use crate::wire::{CloudEvent, ConversationView};

type Path = web::Path<(String, String)>;

/// A page of any list.
#[derive(Serialize)]
pub struct Items<T> {
    pub items: Vec<T>,
    /// For `after=`; null: that was all.
    pub next: Option<String>,
}

/// # Errors
/// 400 for a parameter that is unknown or makes no sense.
pub async fn list(edge: web::Data<Edge>, request: HttpRequest, workspace: web::Path<String>) -> Result<HttpResponse, Problem> {
    let workspace = workspace_of(&workspace)?;
    let known = ["status", "assignee", "due_before", "q", "after", "limit"];
    let query = list_query(&Parameters::of(&request, &known)?)?;
    let page = edge.node.list(workspace, &query).await?;
    let items = page.items.iter().map(|(key, snapshot)| ConversationView::new(key, snapshot)).collect();
    Ok(HttpResponse::Ok().json(Items { items, next: page.next.map(Into::into) }))
}

fn list_query(parameters: &Parameters) -> Result<ListQuery, Problem> {
    let assignee = parameters.get("assignee").map(|id| match id {
        "none" => AssigneeFilter::Nobody,
        id => AssigneeFilter::Id(id.into()),
    });
    Ok(ListQuery {
        status: parameters.read("status", "open, closed or snoozed", Status::parse)?,
        assignee,
        due_before: parameters.read("due_before", "RFC 3339 with an offset, such as 2026-11-22T10:00:00Z", time::parse)?,
        q: parameters.get("q").map(Into::into),
        after: parameters.read("after", "the `next` of the page before", |id| is_name(id).then(|| id.into()))?,
        limit: parameters.limit()?,
    })
}

/// # Errors
/// 404 for one that was never opened.
pub async fn one(edge: web::Data<Edge>, request: HttpRequest, path: Path) -> Result<HttpResponse, Problem> {
    Parameters::of(&request, &[])?;
    let key = key_of(&path.0, &path.1)?;
    let snapshot = edge.node.conversation(&key).await?.ok_or_else(|| unknown(&key))?;
    let tag = etag(snapshot.version);
    if names_tag(request.headers(), &tag) {
        return Ok(HttpResponse::NotModified().insert_header((header::ETAG, tag)).finish());
    }
    Ok(HttpResponse::Ok().insert_header((header::ETAG, tag)).json(ConversationView::new(&key, &snapshot)))
}

/// # Errors
/// 404 for one that was never opened.
pub async fn events(edge: web::Data<Edge>, request: HttpRequest, path: Path) -> Result<HttpResponse, Problem> {
    let parameters = Parameters::of(&request, &["after", "limit"])?;
    let key = key_of(&path.0, &path.1)?;
    let after = parameters.read("after", "the `next` of the page before", |text| text.parse().ok())?.unwrap_or(0);
    let limit = parameters.limit()?;
    // One more than asked for tells whether there is another page.
    let mut found = edge.node.history(&key, after, limit + 1).await?.ok_or_else(|| unknown(&key))?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|last| last.number.to_string());
    Ok(HttpResponse::Ok().json(Items { items: found.iter().map(|found| CloudEvent::new(&found.notice)).collect(), next }))
}
const _: () = assert!(LIMIT_MAX < HISTORY_MAX, "a page, and the one more that tells of the next, are not cut short by the node");

/// # Errors
/// 404 for one that was never opened.
pub async fn why(edge: web::Data<Edge>, request: HttpRequest, path: Path) -> Result<HttpResponse, Problem> {
    Parameters::of(&request, &[])?;
    let key = key_of(&path.0, &path.1)?;
    let why = edge.node.why(&key).await?.ok_or_else(|| unknown(&key))?;
    Ok(HttpResponse::Ok().json(WhyView::new(&key, &why)))
}

/// The answer to "why": the conversation, and what its timer waits for.
#[derive(Serialize)]
struct WhyView<'a> {
    conversation: ConversationView<'a>,
    now: Rfc3339,
    closes_at: Option<Rfc3339>,
    reason: &'static str,
    explanation: String,
    armed_by: Option<ArmedBy<'a>>,
    period: Option<String>,
    set_aside: u32,
}

#[derive(Serialize)]
struct ArmedBy<'a> {
    id: &'a str,
    time: Rfc3339,
}

impl<'a> WhyView<'a> {
    fn new(key: &'a ConversationKey, why: &'a Why) -> Self {
        let (reason, explanation) = reason(why);
        let timer = why.timer.as_ref().ok();
        Self {
            conversation: ConversationView::new(key, &why.snapshot),
            now: Rfc3339(why.now),
            closes_at: timer.filter(|_| why.set_aside == 0).map(|timer| Rfc3339(timer.at)),
            reason,
            explanation,
            armed_by: timer.map(|timer| ArmedBy { id: &timer.armed_by, time: Rfc3339(timer.armed_at) }),
            period: timer.map(|timer| timer.period.to_string()),
            set_aside: why.set_aside,
        }
    }
}

/// A word for programs and a sentence for people.
fn reason(why: &Why) -> (&'static str, String) {
    match &why.timer {
        Ok(_) if why.set_aside > 0 => {
            let (count, what) = (why.set_aside, if why.set_aside == 1 { "event is" } else { "events are" });
            ("events_set_aside", format!("{count} of its {what} in the dead letters and might be the reply: replay or dismiss first."))
        }
        Ok(timer) => {
            let sentence = format!("The message {} armed the timer for {}; no reply has come since.", timer.armed_by, timer.period);
            match (timer.at <= why.now, why.snapshot.status) {
                (true, _) => ("overdue", format!("{sentence} The deadline has passed: it closes as soon as that is certain.")),
                (false, Status::Snoozed) => ("snoozed", format!("{sentence} It is snoozed: the full period starts when that ends.")),
                (false, _) => ("timer_running", sentence),
            }
        }
        Err(none) => {
            let (reason, sentence) = no_deadline(*none);
            (reason, sentence.to_owned())
        }
    }
}

const fn no_deadline(none: NoDeadline) -> (&'static str, &'static str) {
    match none {
        NoDeadline::NotOpen => ("not_open", "It is closed."),
        NoDeadline::AutoCloseOff => ("auto_close_off", "Auto-close is switched off in this workspace."),
        NoDeadline::OpenedBeforeEnabled => {
            ("opened_before_enabled", "It was opened while auto-close was off, or before it was last switched on: the next opening counts.")
        }
        NoDeadline::ContactSpokeLast => ("contact_spoke_last", "The contact spoke last and waits for an answer."),
        NoDeadline::NoHumanMessage => ("no_human_message", "No person of the team has written in this episode, or nothing of it arrived."),
        NoDeadline::AssignedToAiAgent => ("assigned_to_ai_agent", "It is assigned to an AI agent, which cancels the timer."),
        NoDeadline::Blocked => ("blocked", "The contact is blocked, which suspends the timer; when that ends, the full period starts."),
    }
}

pub fn unknown(key: &ConversationKey) -> Problem {
    Problem::not_found(format!("the conversation {key} was never opened here, or retention took it"))
}

/// A version as a strong entity tag.
pub fn etag(version: u64) -> String {
    format!("\"{version}\"")
}

/// Whether `If-None-Match` names this tag.
fn names_tag(headers: &HeaderMap, tag: &str) -> bool {
    let values = headers.get_all(header::IF_NONE_MATCH).filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}
