//! Events that were set aside, for an operator to take up again or to give up.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::conversations::Items;
use super::query::Parameters;
use super::{Edge, Problem};
use crate::domain::{ConversationKey, PartitionId};
use crate::store::{DeadLetter, DeadLetterAction, Entry, LogId};
use crate::wire::time::Rfc3339;

/// # Errors
/// 400 for a cursor that is none; 503 when the store does not answer.
pub async fn list(edge: web::Data<Edge>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let parameters = Parameters::of(&request, &["after", "limit"])?;
    let limit = parameters.limit()?;
    let known = |(partition, id): (PartitionId, LogId)| (partition.0 < edge.node.partitions()).then_some((partition, id));
    let after = parameters.read("after", "the `next` of the page before", |text| cursor(text).and_then(known))?;
    let (partition, id) = after.unwrap_or((PartitionId(0), LogId::ZERO));
    // One more than asked for tells whether there is another page.
    let mut letters = edge.node.dead_letters_after(partition, id, limit + 1).await?;
    let more = letters.len() > limit;
    letters.truncate(limit);
    let next = letters.last().filter(|_| more).map(|last| format!("{}/{}", last.partition, last.id));
    Ok(HttpResponse::Ok().json(Items { items: letters.iter().map(view).collect(), next }))
}

/// `partition/id`, as the paths below have it.
fn cursor(text: &str) -> Option<(PartitionId, LogId)> {
    let (partition, id) = text.split_once('/')?;
    Some((PartitionId(partition.parse().ok()?), LogId::parse(id)?))
}

/// # Errors
/// 404 when there is no such letter, 503 when its partition does not answer in time.
pub async fn replay(edge: web::Data<Edge>, path: web::Path<(u16, String)>) -> Result<HttpResponse, Problem> {
    act(&edge, path.into_inner(), DeadLetterAction::Replay).await
}

/// # Errors
/// As [`replay`].
pub async fn dismiss(edge: web::Data<Edge>, path: web::Path<(u16, String)>) -> Result<HttpResponse, Problem> {
    act(&edge, path.into_inner(), DeadLetterAction::Dismiss).await
}

async fn act(edge: &Edge, (partition, id): (u16, String), action: DeadLetterAction) -> Result<HttpResponse, Problem> {
    let unknown = || Problem::not_found("there is no such dead letter; perhaps it was replayed or dismissed already");
    let id = LogId::parse(&id).ok_or_else(unknown)?;
    let acted = edge.node.act_on_dead_letter(PartitionId(partition), id, action, edge.limits.apply).await?;
    if acted { Ok(HttpResponse::NoContent().finish()) } else { Err(unknown()) }
}

/// What it is and why it is here; its text, if it ever had any, is not kept.
fn view(letter: &DeadLetter) -> Value {
    let event = letter.entry.as_ref().ok().and_then(Entry::event);
    let conversation = letter.conversation.as_ref().or(event.map(|event| &event.conversation));
    let event = event.map(|event| {
        let name = &event.name;
        json!({"id": name.id(), "source": name.source(), "type": event.kind.type_name(), "time": Rfc3339(event.time)})
    });
    json!({
        "partition": letter.partition.0,
        "id": letter.id.to_string(),
        "accepted_at": Rfc3339(letter.id.accepted_at()),
        "workspace": conversation.map(ConversationKey::workspace),
        "conversation": conversation.map(ConversationKey::conversation),
        "reason": letter.reason,
        "event": event,
    })
}
