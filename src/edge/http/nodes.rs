//! The nodes of the store, and sending one of them away.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::conversations::Items;
use super::query::Parameters;
use super::{Edge, Problem};
use crate::actors::membership::cluster::{MoveRefused, NodeView};
use crate::wire::time::Rfc3339;

/// # Errors
/// When the store does not answer.
pub async fn list(edge: web::Data<Edge>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Parameters::of(&request, &[])?;
    let nodes = edge.node.nodes().await?;
    Ok(HttpResponse::Ok().json(Items { items: nodes.iter().map(view).collect(), next: None }))
}

/// 200 when it has nothing any more, 202 when it goes on giving away.
///
/// # Errors
/// 404 for a node there is not.
pub async fn drain(edge: web::Data<Edge>, request: HttpRequest, node: web::Path<String>) -> Result<HttpResponse, Problem> {
    Parameters::of(&request, &[])?;
    let drained = edge.node.drain_node(&node, edge.limits.apply).await.map_err(|refused| match refused {
        MoveRefused::UnknownNode(_) => Problem::not_found("there is no such node"),
        other => other.into(),
    })?;
    let status = if drained.partitions == 0 { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok(HttpResponse::build(status).json(view(&drained)))
}

fn view(node: &NodeView) -> Value {
    let record = &node.record;
    json!({
        "name": record.member.node,
        "state": node.state.as_str(),
        "partitions": node.partitions,
        "address": record.address,
        "version": record.version,
        "started_at": Rfc3339(record.started_at),
    })
}
