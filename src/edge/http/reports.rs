//! What was opened and closed, by interval and by what it has in common (L14): JSON, or CSV for who accepts that.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};

use super::query::Parameters;
use super::{Edge, Problem, media, workspace_of};
use crate::actors::reads::report::ReportQuery;
use crate::domain::report::Group;
use crate::wire::report::{ReportParameters, ReportProblem, ReportSpec};

/// # Errors
/// 400 for a parameter that is unknown or makes no sense.
pub async fn conversations(edge: web::Data<Edge>, request: HttpRequest, workspace: web::Path<String>) -> Result<HttpResponse, Problem> {
    let workspace = workspace_of(&workspace)?;
    let parameters = Parameters::of(&request, &["from", "to", "interval", "group_by", "tz"])?;
    let [from, to, interval, group_by, tz] = ["from", "to", "interval", "group_by", "tz"].map(|name| parameters.get(name));
    let spec = ReportSpec::parse(&ReportParameters { from, to, interval, group_by, tz }, edge.node.clock().await?)?;
    let query = ReportQuery { bounds: spec.bounds.clone(), group_by: spec.group_by };
    let report = edge.node.report(workspace, &query).await?;
    let rows = report.iter().map(|((start, group), sums)| (*start, group.as_ref().and_then(Group::name), sums));
    let view = spec.view(rows);
    Ok(match media::prefers_csv(request.headers()) {
        true => HttpResponse::Ok().insert_header((header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present")).body(view.to_csv()),
        false => HttpResponse::Ok().json(view),
    })
}

impl From<ReportProblem> for Problem {
    fn from(problem: ReportProblem) -> Self {
        Self::bad_request("invalid-parameter", problem.to_string(), "Correct it and ask again.")
    }
}
