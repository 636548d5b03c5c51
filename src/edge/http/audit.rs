//! The audit log: what administrators did, newest first.

use actix_web::{HttpRequest, HttpResponse, web};

use super::query::NewestFirst;
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
    let part = NewestFirst::of(request)?;
    let log = edge.node.audit_log(workspace).await?;
    Ok(HttpResponse::Ok().json(part.page(&log.deeds, |deed| deed.number, DeedView::new)))
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
