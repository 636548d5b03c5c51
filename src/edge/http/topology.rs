//! How the store is cut into partitions, how each of them is doing, and which node has it.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::body::Body;
use super::conversations::Items;
use super::query::Parameters;
use super::{COMMAND_BYTES_MAX, Edge, Problem, media};
use crate::actors::membership::cluster::ShardView;
use crate::domain::PartitionId;
use crate::wire::placement::parse_move;
use crate::wire::time::Rfc3339;

/// # Errors
/// 400 for parameters: there are none.
pub async fn topology(edge: web::Data<Edge>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Parameters::of(&request, &[])?;
    // As text: JSON's numbers lose the low bits of 64.
    let incarnation = format!("{:016x}", edge.node.incarnation());
    let (partitions, node) = (edge.node.partitions(), edge.node.name());
    Ok(HttpResponse::Ok().json(json!({"partitions": partitions, "hash": "crc32", "incarnation": incarnation, "node": node,
                                       "closes_held": edge.node.closes_held().map(|hold| hold.why.to_string())})))
}

/// # Errors
/// When the store does not answer.
pub async fn shards(edge: web::Data<Edge>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Parameters::of(&request, &[])?;
    let shards = edge.node.shards().await?;
    Ok(HttpResponse::Ok().json(Items { items: shards.iter().map(view).collect(), next: None }))
}

/// # Errors
/// 404 for a partition there is not, 409 for a node that cannot take it: nothing was changed. 503: it was asked for, and the
/// node does not have it yet.
pub async fn move_shard(
    edge: web::Data<Edge>,
    request: HttpRequest,
    partition: web::Path<u16>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    Parameters::of(&request, &[])?;
    media::require_json(request.headers())?;
    let mut body = Body::new(&request, payload, &edge, COMMAND_BYTES_MAX).await?;
    let to = parse_move(&body.whole().await?)?;
    let moved = edge.node.move_shard(PartitionId(*partition), to, edge.limits.apply).await?;
    Ok(HttpResponse::Ok().json(view(&moved)))
}

fn view(shard: &ShardView) -> Value {
    let stats = &shard.stats;
    json!({
        "partition": shard.partition.0,
        "node": shard.node,
        "desired": shard.desired,
        "pinned": shard.pinned,
        "since": shard.since.map(Rfc3339),
        "conversations": stats.conversations,
        "timers": stats.timers,
        "backlog": stats.backlog,
        "dead_letters": stats.dead_letters,
        "checkpoint": stats.checkpoint.to_string(),
        "last": stats.last.to_string(),
        "notifications": {"oldest": stats.oldest_notification, "last": stats.last_notification},
    })
}
