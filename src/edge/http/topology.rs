//! How the store is cut into partitions, and how each of them is doing.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::conversations::Items;
use super::query::Parameters;
use super::{Edge, Problem};
use crate::store::PartitionStats;

/// # Errors
/// 400 for parameters: there are none.
pub async fn topology(edge: web::Data<Edge>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Parameters::of(&request, &[])?;
    // As text: JSON's numbers lose the low bits of 64.
    let incarnation = format!("{:016x}", edge.node.follow().cursor().incarnation);
    Ok(HttpResponse::Ok().json(json!({"partitions": edge.node.partitions(), "hash": "crc32", "incarnation": incarnation})))
}

/// # Errors
/// When the store does not answer.
pub async fn shards(edge: web::Data<Edge>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Parameters::of(&request, &[])?;
    let stats = edge.node.stats().await?;
    let items = stats.iter().enumerate().map(|(partition, stats)| view(partition, stats, edge.node.name())).collect();
    Ok(HttpResponse::Ok().json(Items { items, next: None }))
}

fn view(partition: usize, stats: &PartitionStats, node: &str) -> Value {
    json!({
        "partition": partition,
        "node": node,
        "conversations": stats.conversations,
        "timers": stats.timers,
        "backlog": stats.backlog,
        "dead_letters": stats.dead_letters,
        "checkpoint": stats.checkpoint.to_string(),
        "last": stats.last.to_string(),
        "notifications": {"oldest": stats.oldest_notification, "last": stats.last_notification},
    })
}
