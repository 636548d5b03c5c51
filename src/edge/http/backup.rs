//! Backups, at the admin port: whoever asks names a path of this machine, so who asks must be on it.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::admin::Admin;
use super::body::json_of;
use super::query::Parameters;
use super::{Edge, Problem};
use crate::store::{BackupRefused, BackupState, BackupStatus, Contents};
use crate::wire::operator::parse_backup;
use crate::wire::time::Rfc3339;

/// 202: it has begun, and goes on whoever listens.
///
/// # Errors
/// 403 from elsewhere, 422 for a path that cannot be used, 409 where there is one under way or nothing to copy here: nothing
/// was begun.
pub async fn begin(admin: web::Data<Admin>, request: HttpRequest, payload: web::Payload) -> Result<HttpResponse, Problem> {
    let edge = asked_here(&admin, &request)?;
    let to = parse_backup(&json_of(edge, &request, payload).await?)?;
    let begun = edge.node.begin_backup(to).await?;
    Ok(HttpResponse::Accepted().json(view(&begun)))
}

/// How far the last one is.
///
/// # Errors
/// 404 where none was begun since this process started, 403 from elsewhere.
pub async fn last(admin: web::Data<Admin>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let edge = asked_here(&admin, &request)?;
    Parameters::of(&request, &[])?;
    let last = edge.node.backup().ok_or_else(|| Problem::not_found("no backup was begun since this process started"))?;
    Ok(HttpResponse::Ok().json(view(&last)))
}

/// The peer and not only the `Host`: a program elsewhere says whatever it likes of that.
fn asked_here<'a>(admin: &'a Admin, request: &HttpRequest) -> Result<&'a Edge, Problem> {
    if !request.peer_addr().is_some_and(|peer| peer.ip().to_canonical().is_loopback()) {
        let action = "Run `adjourn backup` on the machine of the service, in its container if it has one.";
        let detail = "a backup is asked for from the machine itself";
        return Err(Problem::new(StatusCode::FORBIDDEN, "not-local", detail, action));
    }
    admin.edge().ok_or_else(|| Problem::unavailable("store-unavailable", "the store is not open yet", 2))
}

/// As it is shown, here and at the command line.
pub fn view(status: &BackupStatus) -> Value {
    let BackupStatus { path, began_at, incarnation, rows, rows_of, state } = status;
    let state_of = match state {
        BackupState::Running => "running",
        BackupState::Whole(_) => "whole",
        BackupState::Failed(_) => "failed",
    };
    let mut view = json!({
        "state": state_of,
        "path": path,
        "taken_at": Rfc3339(*began_at),
        "incarnation": format!("{incarnation:016x}"),
        "rows": rows,
        "rows_of": rows_of,
    });
    match state {
        BackupState::Running => {}
        BackupState::Failed(reason) => view["reason"] = json!(&**reason),
        BackupState::Whole(Contents { bytes, conversations, unapplied, position }) => {
            view["bytes"] = json!(bytes);
            view["conversations"] = json!(conversations);
            view["events_unapplied"] = json!(unapplied);
            view["position"] = json!(position.to_string());
        }
    }
    view
}

impl From<BackupRefused> for Problem {
    fn from(refused: BackupRefused) -> Self {
        let action = "Nothing was begun: do as the detail says, and ask again.";
        match refused {
            BackupRefused::Store(error) => error.into(),
            BackupRefused::NotHere => Self::new(StatusCode::CONFLICT, "no-backup-here", refused.to_string(), action),
            BackupRefused::UnderWay { .. } => Self::new(StatusCode::CONFLICT, "backup-under-way", refused.to_string(), action),
            BackupRefused::Place(_) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-path", refused.to_string(), action),
        }
    }
}
