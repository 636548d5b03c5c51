//! Reading conversations: the list, one, and its history.

use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::query::{LIMIT_MAX, Parameters};
use super::{Edge, Problem, key_of, workspace_of};
use crate::actors::ListQuery;
use crate::actors::reads::conversations::HISTORY_MAX;
use crate::actors::reads::list::ListPlace;
use crate::domain::id::is_name;
use crate::domain::listing::Of;
use crate::domain::notice::Status;
use crate::domain::{ConversationKey, Timestamp};
use crate::wire::time;
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
    Ok(HttpResponse::Ok().json(Items { items, next: page.next.map(cursor) }))
}

fn list_query(parameters: &Parameters) -> Result<ListQuery, Problem> {
    let assignee = parameters.get("assignee").map(|id| match id {
        "none" => Of::Nobody,
        id => Of::Agent(id.into()),
    });
    let query = ListQuery {
        status: parameters.read("status", "open, closed or snoozed", Status::parse)?,
        assignee,
        due_before: parameters.read("due_before", "RFC 3339 with an offset, such as 2026-11-22T10:00:00Z", time::parse)?,
        q: parameters.search()?.map(Into::into),
        after: None,
        limit: parameters.limit()?,
    };
    let after =
        parameters.read("after", "the `next` of the page before, with the same parameters", |text| place(text, query.is_by_time()))?;
    Ok(ListQuery { after, ..query })
}

/// Where a list goes on, as `next` says it: an id, after an instant in ms and a slash, which is in no id, where the list is in order
/// of time.
fn cursor(place: ListPlace) -> String {
    match place.at {
        None => place.conversation.into(),
        Some(at) => format!("{}/{}", at.as_millis(), place.conversation),
    }
}

/// Reads what [`cursor`] wrote.
fn place(text: &str, is_by_time: bool) -> Option<ListPlace> {
    let (at, id) = match is_by_time {
        false => (None, text),
        true => text.split_once('/').and_then(|(at, id)| Some((Some(Timestamp::from_millis(at.parse().ok()?)), id)))?,
    };
    is_name(id).then(|| ListPlace { at, conversation: id.into() })
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
