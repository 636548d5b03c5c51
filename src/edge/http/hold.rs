//! Whether closes are held, what waits for them, and the operator's word that they may go on, or may not.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use serde_json::json;
use tokio::sync::Semaphore;

use super::body::json_of;
use super::query::Parameters;
use super::{Edge, Problem};
use crate::actors::reads::waiting::Waiting;
use crate::domain::Span;
use crate::store::Hold;
use crate::wire::operator::{OperatorProblem, parse_hold};
use crate::wire::time::Rfc3339;

/// What comes soon after the closes are let go.
const SOON: Span = Span::from_hours(1);
/// Workspaces shown one by one; the rest are added up.
const WORKSPACES_MAX: usize = 100;
/// A count is seconds of reading where much waits: one at a time, others wait their turn.
static COUNTING: Semaphore = Semaphore::const_new(1);

#[derive(Serialize)]
struct HoldView<'a> {
    held: bool,
    why: Option<&'a str>,
    since: Option<Rfc3339>,
    now: Rfc3339,
    #[serde(flatten)]
    closes: Counts,
    /// Of most first.
    workspaces: Vec<WorkspaceView<'a>>,
    /// Those that are not shown one by one.
    others: Counts,
    /// False: there are more than could be looked at; at least so many close.
    complete: bool,
}

#[derive(Serialize, Default, Clone, Copy)]
struct Counts {
    /// Conversations whose time has passed.
    closes_at_once: u64,
    /// Those, and the ones whose time comes within an hour.
    closes_within_1h: u64,
}

#[derive(Serialize)]
struct WorkspaceView<'a> {
    workspace: &'a str,
    #[serde(flatten)]
    closes: Counts,
}

impl<'a> HoldView<'a> {
    fn new(hold: Option<&'a Hold>, waiting: &'a Waiting) -> Self {
        let of = |of: &'a crate::actors::reads::waiting::WaitingOf| WorkspaceView {
            workspace: &of.workspace,
            closes: Counts { closes_at_once: of.at_once, closes_within_1h: of.within },
        };
        let mut workspaces: Vec<WorkspaceView<'a>> = waiting.workspaces.iter().map(of).collect();
        let closes = sum(&workspaces);
        let others = sum(&workspaces.split_off(workspaces.len().min(WORKSPACES_MAX)));
        Self {
            held: hold.is_some(),
            why: hold.map(|hold| &*hold.why),
            since: since(hold),
            now: Rfc3339(waiting.now),
            closes,
            workspaces,
            others,
            complete: waiting.complete,
        }
    }
}

fn sum(of: &[WorkspaceView<'_>]) -> Counts {
    of.iter().fold(Counts::default(), |sum, one| Counts {
        closes_at_once: sum.closes_at_once + one.closes.closes_at_once,
        closes_within_1h: sum.closes_within_1h + one.closes.closes_within_1h,
    })
}

/// # Errors
/// When the store does not answer.
pub async fn get(edge: web::Data<Edge>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Parameters::of(&request, &[])?;
    let _turn = COUNTING.acquire().await; // never closed
    let waiting = edge.node.waiting(SOON).await?;
    Ok(HttpResponse::Ok().json(HoldView::new(edge.node.closes_held().as_ref(), &waiting)))
}

/// Nothing closes any more when this has answered.
///
/// # Errors
/// 422 for a body without a reason: nothing was changed. 503: nobody knows; ask again.
pub async fn put(edge: web::Data<Edge>, request: HttpRequest, payload: web::Payload) -> Result<HttpResponse, Problem> {
    let why = parse_hold(&json_of(&edge, &request, payload).await?)?;
    let begun = edge.node.hold_closes(&why).await?;
    let held = edge.node.closes_held();
    let why = held.as_ref().map_or(&*why, |hold| &*hold.why);
    Ok(HttpResponse::Ok().json(json!({"held": true, "begun": begun, "why": why, "since": since(held.as_ref())})))
}

/// Closing goes on within a second or so, on every node.
///
/// # Errors
/// 503: nobody knows; ask again.
pub async fn release(edge: web::Data<Edge>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Parameters::of(&request, &[])?;
    let was = edge.node.release_hold().await?;
    if let Some(hold) = &was {
        tracing::warn!(why = &*hold.why, "asked to let closing go on");
    }
    let why = was.as_ref().map(|hold| &*hold.why);
    Ok(HttpResponse::Ok().json(json!({"held": false, "ended": was.is_some(), "why": why, "since": since(was.as_ref())})))
}

fn since(hold: Option<&Hold>) -> Option<Rfc3339> {
    hold.and_then(|hold| hold.since).map(Rfc3339)
}

impl From<OperatorProblem> for Problem {
    fn from(problem: OperatorProblem) -> Self {
        match problem {
            OperatorProblem::Unreadable(fault) => Self::bad_request(fault.kind(), fault.to_string(), "Send one JSON object."),
            OperatorProblem::Invalid { .. } => {
                let action = "Nothing was changed: correct the body and send it again.";
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-request", problem.to_string(), action)
            }
        }
    }
}
