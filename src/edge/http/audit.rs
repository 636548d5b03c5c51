//! The audit log: what administrators did, newest first.

use actix_web::{HttpRequest, HttpResponse, web};

use super::conversations::Items;
use super::query::Parameters;
use super::{Edge, Problem, workspace_of};
use crate::domain::audit::Deed;
use crate::store::{EVERYWHERE, StoreError};
use crate::wire::keys::DeedView;

/// # Errors
/// 400 for a parameter that is unknown or makes no sense.
pub async fn of_workspace(edge: web::Data<Edge>, request: HttpRequest, workspace: web::Path<String>) -> Result<HttpResponse, Problem> {
    list(&edge, &request, workspace_of(&workspace)?).await
}

/// Of what belongs to no workspace.
///
/// # Errors
/// 400 for a parameter that is unknown or makes no sense.
pub async fn of_everything(edge: web::Data<Edge>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    list(&edge, &request, EVERYWHERE).await
}

async fn list(edge: &Edge, request: &HttpRequest, workspace: &str) -> Result<HttpResponse, Problem> {
    let parameters = Parameters::of(request, &["after", "limit"])?;
    let after: Option<u64> = parameters.read("after", "the `next` of the page before", |text| text.parse().ok())?;
    let limit = parameters.limit()?;
    let log = edge.node.audit_log(workspace).await?;
    let mut found = log.deeds.iter().rev().filter(|deed| after.is_none_or(|after| deed.number < after));
    let page: Vec<_> = found.by_ref().take(limit).collect();
    let next = page.last().filter(|_| found.next().is_some()).map(|last| last.number.to_string());
    Ok(HttpResponse::Ok().json(Items { items: page.into_iter().map(DeedView::new).collect(), next }))
}

impl Edge {
    /// Writes down what is about to be done.
    pub(super) async fn begin_deed(&self, workspace: &str, deed: Deed) -> Result<u64, StoreError> {
        let _alone = self.deeds.lock().await;
        self.node.begin_deed(workspace, deed).await
    }

    /// And what came of it.
    pub(super) async fn end_deed(&self, workspace: &str, number: u64, status: u16) -> Result<(), StoreError> {
        let _alone = self.deeds.lock().await;
        self.node.end_deed(workspace, number, status).await
    }
}
