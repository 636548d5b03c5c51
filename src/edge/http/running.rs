//! "Apply to running timers" (T23): previewed, or done.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::body::json_if_any;
use super::conversations::etag;
use super::settings::{by_of, expected_version};
use super::{Edge, Problem, workspace_of};
use crate::actors::writes::apply_to_running::{ApplyToRunning, Effect};
use crate::wire::running::{HourView, parse};
use crate::wire::time::Rfc3339;

#[derive(Serialize)]
struct EffectView {
    preview: bool,
    timers: u64,
    first_close_at: Option<Rfc3339>,
    due_at_once: u64,
    period: String,
    rate: u32,
    by_hour: Vec<HourView>,
    later: u64,
    /// False: there are more timers than could be looked at.
    complete: bool,
}

impl EffectView {
    fn new(effect: &Effect, preview: bool) -> Self {
        Self {
            preview,
            timers: effect.timers,
            first_close_at: effect.first_close_at.map(Rfc3339),
            due_at_once: effect.due_at_once,
            period: effect.period.to_string(),
            rate: effect.rate,
            by_hour: effect.by_hour.iter().map(|(start, closes)| HourView { start: Rfc3339(*start), closes: *closes }).collect(),
            later: effect.later,
            complete: effect.complete,
        }
    }
}

/// # Errors
/// 422 when the body does not say what this asks for, 412 when `If-Match` names another version of the settings: nothing was
/// changed. 503: it is asked for, and some partition has yet to hear of it.
pub async fn apply(
    edge: web::Data<Edge>,
    request: HttpRequest,
    workspace: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let by = by_of(&request)?;
    let workspace = workspace_of(&workspace)?;
    let expected = expected_version(request.headers(), "these settings")?;
    let asked = parse(&json_if_any(&edge, &request, payload).await?)?;
    let command = ApplyToRunning { rate: asked.rate, by, expected };
    if asked.preview {
        let effect = edge.node.preview_apply(workspace, &command).await?;
        return Ok(HttpResponse::Ok().json(EffectView::new(&effect, true)));
    }
    let (effect, settings) = edge.node.apply_to_running(workspace, command, edge.limits.apply).await?;
    Ok(HttpResponse::Ok().insert_header((header::ETAG, etag(settings.version))).json(EffectView::new(&effect, false)))
}
