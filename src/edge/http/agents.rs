//! A workspace's agents (L1): listed, searched by name, added, changed and removed.

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};

use super::body::json_of;
use super::conversations::{Items, etag};
use super::query::Parameters;
use super::settings::expected_version;
use super::{Edge, Problem, workspace_of};
use crate::actors::writes::agents::AgentsRefused;
use crate::domain::agents::{Agent, AgentChange, AgentError, Agents};
use crate::wire::agents::{AgentView, cursor, parse_change, parse_cursor, parse_new};

type Path = web::Path<(String, String)>;

/// In order of name.
///
/// # Errors
/// 400 for a parameter that is unknown or makes no sense.
pub async fn list(edge: web::Data<Edge>, request: HttpRequest, workspace: web::Path<String>) -> Result<HttpResponse, Problem> {
    let workspace = workspace_of(&workspace)?;
    let parameters = Parameters::of(&request, &["q", "available", "after", "limit"])?;
    let available: Option<bool> = parameters.read("available", "true or false", |text| text.parse().ok())?;
    let after = parameters.read("after", "the `next` of the page before", parse_cursor)?;
    let limit = parameters.limit()?;
    let agents = edge.node.agents(workspace).await?;
    let mut found = agents.search(parameters.search()?.unwrap_or_default());
    found.retain(|agent| {
        available.is_none_or(|available| agent.available == available) && after.as_ref().is_none_or(|after| agent.sorts_as() > *after)
    });
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|last| cursor(&last.sorts_as()));
    let items = found.into_iter().map(AgentView::new).collect();
    Ok(HttpResponse::Ok().insert_header((header::ETAG, etag(agents.version))).json(Items { items, next }))
}

/// # Errors
/// 404 when there is none of this id.
pub async fn one(edge: web::Data<Edge>, request: HttpRequest, path: Path) -> Result<HttpResponse, Problem> {
    Parameters::of(&request, &[])?;
    let agents = edge.node.agents(workspace_of(&path.0)?).await?;
    let agent = agents.get(&path.1).ok_or_else(|| AgentError::Unknown { id: path.1.as_str().into() })?;
    Ok(shown(StatusCode::OK, &agents, agent))
}

/// # Errors
/// 409 when there is one of this id, 422 when it cannot be, 412 when `If-Match` names another version: nothing was changed.
pub async fn add(
    edge: web::Data<Edge>,
    request: HttpRequest,
    workspace: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let agent = parse_new(&json_of(&edge, &request, payload).await?)?;
    let agents = change(&edge, &request, &workspace, AgentChange::Add(agent.clone())).await?;
    Ok(shown(StatusCode::CREATED, &agents, &agent))
}

/// # Errors
/// 404 when there is none of this id, else as for a new one.
pub async fn update(edge: web::Data<Edge>, request: HttpRequest, path: Path, payload: web::Payload) -> Result<HttpResponse, Problem> {
    let asked = parse_change(&path.1, &json_of(&edge, &request, payload).await?)?;
    let agents = change(&edge, &request, &path.0, asked).await?;
    let agent = agents.get(&path.1).ok_or_else(|| AgentError::Unknown { id: path.1.as_str().into() })?;
    Ok(shown(StatusCode::OK, &agents, agent))
}

/// # Errors
/// 404 when there is none of this id, else as for a new one.
pub async fn remove(edge: web::Data<Edge>, request: HttpRequest, path: Path) -> Result<HttpResponse, Problem> {
    Parameters::of(&request, &[])?;
    let agents = change(&edge, &request, &path.0, AgentChange::Remove { id: path.1.as_str().into() }).await?;
    Ok(HttpResponse::NoContent().insert_header((header::ETAG, etag(agents.version))).finish())
}

async fn change(edge: &Edge, request: &HttpRequest, workspace: &str, change: AgentChange) -> Result<Agents, Problem> {
    let expected = expected_version(request.headers(), "these agents")?;
    Ok(edge.node.change_agents(workspace_of(workspace)?, change, expected).await?)
}

fn shown(status: StatusCode, agents: &Agents, agent: &Agent) -> HttpResponse {
    HttpResponse::build(status).insert_header((header::ETAG, etag(agents.version))).json(AgentView::new(agent))
}

impl From<AgentError> for Problem {
    fn from(error: AgentError) -> Self {
        match &error {
            AgentError::Unknown { .. } => Self::not_found(error.to_string()),
            AgentError::Exists { .. } => {
                Self::new(StatusCode::CONFLICT, "agent-exists", error.to_string(), "Nothing was changed: PATCH it to change it.")
            }
            AgentError::TooMany | AgentError::TooLong => {
                let action = "Nothing was changed: delete those who have left, or shorten addresses of pictures.";
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "too-many-agents", error.to_string(), action)
            }
        }
    }
}

impl From<AgentsRefused> for Problem {
    fn from(refused: AgentsRefused) -> Self {
        match refused {
            AgentsRefused::Invalid(error) => error.into(),
            AgentsRefused::Store(error) => error.into(),
            AgentsRefused::VersionMismatch { .. } => Self::outdated(refused.to_string()),
        }
    }
}
