//! What closes by timer soon, by agent, if nobody writes.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::query::Parameters;
use super::{Edge, Problem, workspace_of};
use crate::domain::Span;
use crate::wire::conversation::AssigneeView;
use crate::wire::time::Rfc3339;

/// How far ahead where nobody says.
const WITHIN: Span = Span::from_hours(1);
/// And at most: nobody plans further by this, and every timer until then is looked at.
const WITHIN_MAX: Span = Span::from_days(7);

#[derive(Serialize)]
struct ForecastView<'a> {
    now: Rfc3339,
    until: Rfc3339,
    /// Conversations that close.
    closes: u64,
    rows: Vec<RowView<'a>>,
    /// False: there are more than could be looked at.
    complete: bool,
}

#[derive(Serialize)]
struct RowView<'a> {
    /// Null: nobody's.
    assignee: Option<AssigneeView<'a>>,
    closes: u64,
    first_close_at: Rfc3339,
}

/// # Errors
/// 400 for a parameter that is unknown or makes no sense.
pub async fn get(edge: web::Data<Edge>, request: HttpRequest, workspace: web::Path<String>) -> Result<HttpResponse, Problem> {
    let workspace = workspace_of(&workspace)?;
    let parameters = Parameters::of(&request, &["within"])?;
    let read = |text: &str| Span::parse(text).ok().filter(|within| *within <= WITHIN_MAX);
    let within = parameters.read("within", "a duration of at most 7d, such as 1h", read)?.unwrap_or(WITHIN);
    let forecast = edge.node.forecast(workspace, within).await?;
    let rows = forecast.rows.iter().map(|row| RowView {
        assignee: row.assignee.as_ref().map(AssigneeView::new),
        closes: row.closes,
        first_close_at: Rfc3339(row.first_close_at),
    });
    Ok(HttpResponse::Ok().json(ForecastView {
        now: Rfc3339(forecast.now),
        until: Rfc3339(forecast.now.plus(within)),
        closes: forecast.rows.iter().map(|row| row.closes).sum(),
        rows: rows.collect(),
        complete: forecast.complete,
    }))
}
