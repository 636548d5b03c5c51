//! A workspace's categories (L10). They are a part of its settings: one version, one `ETag`, and a change answers when every
//! partition has applied it.

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};

use super::body::json_body;
use super::conversations::{Items, etag};
use super::query::Parameters;
use super::settings::{by_of, expected_version};
use super::{Edge, Problem, workspace_of};
use crate::domain::Settings;
use crate::domain::categories::CategoryChange;
use crate::domain::settings::SettingsChange;
use crate::wire::categories::{CategoryView, parse_description, parse_new};

/// All of them, in the order in which they were added.
///
/// # Errors
/// When the store does not answer.
pub async fn list(edge: web::Data<Edge>, request: HttpRequest, workspace: web::Path<String>) -> Result<HttpResponse, Problem> {
    Parameters::of(&request, &[])?;
    let settings = edge.node.settings(workspace_of(&workspace)?).await?;
    let items = settings.categories.iter().map(CategoryView::new).collect();
    Ok(HttpResponse::Ok().insert_header((header::ETAG, etag(settings.version))).json(Items { items, next: None }))
}

/// # Errors
/// 409 when there is one of this name, 422 when it cannot be, 412 when `If-Match` names another version: nothing was changed.
/// 503: it is there, and some partition has yet to hear of it.
pub async fn add(
    edge: web::Data<Edge>,
    request: HttpRequest,
    workspace: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let category = parse_new(&json_body(&edge, &request, payload).await?)?;
    let name = category.name.clone();
    let settings = change(&edge, &request, &workspace, CategoryChange::Add(category)).await?;
    Ok(shown(StatusCode::CREATED, &settings, &name))
}

/// # Errors
/// 404 when there is none of this name, else as for a new one.
pub async fn describe(
    edge: web::Data<Edge>,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let description = parse_description(&json_body(&edge, &request, payload).await?)?;
    let (workspace, name) = path.into_inner();
    let name: Box<str> = name.into();
    let settings = change(&edge, &request, &workspace, CategoryChange::Describe { name: name.clone(), description }).await?;
    Ok(shown(StatusCode::OK, &settings, &name))
}

/// No new note may name it from here on.
///
/// # Errors
/// 404 when there is none of this name, else as for a new one.
pub async fn remove(edge: web::Data<Edge>, request: HttpRequest, path: web::Path<(String, String)>) -> Result<HttpResponse, Problem> {
    let (workspace, name) = path.into_inner();
    let settings = change(&edge, &request, &workspace, CategoryChange::Remove { name: name.into() }).await?;
    Ok(HttpResponse::NoContent().insert_header((header::ETAG, etag(settings.version))).finish())
}

async fn change(edge: &Edge, request: &HttpRequest, workspace: &str, change: CategoryChange) -> Result<Settings, Problem> {
    let workspace = workspace_of(workspace)?;
    let expected = expected_version(request.headers(), "these categories")?;
    let change = SettingsChange { category: Some(change), by: by_of(request)?, ..SettingsChange::default() };
    Ok(edge.node.change_settings(workspace, change, expected, edge.limits.apply).await?)
}

fn shown(status: StatusCode, settings: &Settings, name: &str) -> HttpResponse {
    let category = settings.categories.iter().find(|category| *category.name == *name).map(CategoryView::new);
    HttpResponse::build(status).insert_header((header::ETAG, etag(settings.version))).json(category)
}
