//! Acting on a conversation: close, open, assign, snooze, block. Each goes through the log of the conversation's partition and
//! is answered with the conversation when it is durable (CONTRACT.md, "Reading and acting").

use actix_web::http::header::{self, HeaderMap, HeaderName};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};

use super::body::json_if_any;
use super::conversations::{etag, unknown};
use super::query::Parameters;
use super::settings::expected_version;
use super::{Edge, Problem, key_of};
use crate::actors::writes::acting::IDEMPOTENCY_KEY_BYTES_MAX;
use crate::actors::{ActRefused, Command};
use crate::domain::event::Assignee;
use crate::domain::id::is_printable;
use crate::domain::{ConversationKey, EventKind, Refusal};
use crate::wire::ConversationView;
use crate::wire::command::{
    CommandProblem, parse_assign, parse_by, parse_close, parse_exemption, parse_hold, parse_note, parse_nothing, parse_open, parse_snooze,
};

type Path = web::Path<(String, String)>;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What a path asks for: read from its body.
type Reads = fn(&[u8]) -> Result<EventKind, CommandProblem>;

macro_rules! commands {
    ($($(#[$meta:meta])* $name:ident: $reads:expr;)+) => {
        $(
            $(#[$meta])*
            ///
            /// # Errors
            /// 404 for one that was never opened, 409 where it cannot be done now, 412 where `If-Match` names another version,
            /// 422 where it makes no sense: nothing was changed. 503: it may still be done.
            pub async fn $name(edge: web::Data<Edge>, request: HttpRequest, path: Path, body: web::Payload) -> Result<HttpResponse, Problem> {
                act(&edge, &request, &path, body, $reads).await
            }
        )+
    };
}

commands! {
    /// L2: closes it, with a note or without.
    close: parse_close;
    /// L3: opens it, as a new episode.
    open: parse_open;
    /// L1: gives it to somebody.
    assign: parse_assign;
    /// L1: takes it away from whoever has it.
    unassign: |body| parse_nothing(body).map(|()| EventKind::Unassigned);
    /// T9, T12: lets its timer wait.
    snooze: parse_snooze;
    /// T11: ends the snooze.
    unsnooze: |body| parse_nothing(body).map(|()| EventKind::Unsnoozed);
    /// T17, L4: its contact is blocked.
    block: |body| parse_nothing(body).map(|()| EventKind::Blocked);
    /// T17: and is not any more.
    unblock: |body| parse_nothing(body).map(|()| EventKind::Unblocked);
    /// L10: the note of the episode that is closed, in place of the one it has.
    note: parse_note;
    /// No close by timer before an instant, or until that is ended.
    hold: parse_hold;
    /// And the full period starts.
    end_hold: |body| parse_by(body).map(|by| EventKind::HoldEnded { by });
    /// Never closed by timer, whatever the episode.
    exempt: parse_exemption;
    /// Until here.
    end_exemption: |body| parse_by(body).map(|by| EventKind::ExemptionEnded { by });
}

async fn act(edge: &Edge, request: &HttpRequest, path: &Path, payload: web::Payload, reads: Reads) -> Result<HttpResponse, Problem> {
    Parameters::of(request, &[])?;
    let conversation = key_of(&path.0, &path.1)?;
    let expected = expected_version(request.headers(), "this conversation")?;
    // A PUT or a DELETE asked again asks for the same: it needs no name.
    let key = if request.method() == Method::POST { idempotency_key(request.headers())? } else { None };
    let body = json_if_any(edge, request, payload).await?;
    let kind = named(edge, conversation.workspace(), reads(&body)?).await;
    let command = Command { conversation: conversation.clone(), kind, expected, key };
    let snapshot = edge.node.act(command, edge.limits.apply).await.map_err(|refused| problem(&conversation, refused))?;
    let view = ConversationView::new(&conversation, &snapshot);
    Ok(HttpResponse::Ok().insert_header((header::ETAG, etag(snapshot.version))).json(view))
}

/// An assignee who is among the workspace's agents is shown by their name there, unless another was given.
async fn named(edge: &Edge, workspace: &str, kind: EventKind) -> EventKind {
    match kind {
        EventKind::Assigned(Assignee { kind, id, name: None }) => {
            // Without them it is still clear who is meant.
            let agents = edge.node.agents(workspace).await.inspect_err(|error| tracing::warn!(workspace, %error, "an agent's name"));
            let name = agents.ok().and_then(|agents| agents.get(&id).map(|agent| agent.name.clone()));
            EventKind::Assigned(Assignee { kind, id, name })
        }
        kind => kind,
    }
}

/// The caller's own name for what it asks: bare, or quoted as the draft of the header has it.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<Box<str>>, Problem> {
    let Some(value) = headers.get(&IDEMPOTENCY_KEY) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    if is_printable(text) && text.len() <= IDEMPOTENCY_KEY_BYTES_MAX {
        return Ok(Some(text.into()));
    }
    let detail = format!("Idempotency-Key must be 1 to {IDEMPOTENCY_KEY_BYTES_MAX} printable ASCII characters");
    Err(Problem::bad_request("invalid-idempotency-key", detail, "Send a UUID, say, and the same one only for the same command."))
}

fn problem(key: &ConversationKey, refused: ActRefused) -> Problem {
    match refused {
        ActRefused::Refused(refusal) => refused_by_rule(key, refusal),
        ActRefused::VersionMismatch { current } => {
            let action = "Nothing was changed: read it again and send the command with its new ETag, if it still makes sense.";
            let detail = format!("the conversation is at version {current}");
            Problem::new(StatusCode::PRECONDITION_FAILED, "version-mismatch", detail, action)
        }
        ActRefused::Rejected(rejection) => Problem::from(&rejection),
        ActRefused::Unready(unready) => unready.into(),
    }
}

/// 409 for what cannot be done now, 422 for what never could.
fn refused_by_rule(key: &ConversationKey, refusal: Refusal) -> Problem {
    let conflict = |kind, detail, action| Problem::new(StatusCode::CONFLICT, kind, detail, action);
    let invalid = |kind, detail, action| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, kind, detail, action);
    match refusal {
        Refusal::Unknown => unknown(key),
        // Told with the version where there is one.
        Refusal::OtherVersion => conflict("version-mismatch", "the conversation has changed", "Nothing was changed: read it again."),
        Refusal::NotOpen => conflict("not-open", "the conversation is not open", "Nothing was changed: open it first, if that is meant."),
        Refusal::AlreadyOpen => {
            conflict("already-open", "the conversation is open already", "Nothing was changed, and nothing needs to be.")
        }
        Refusal::Blocked => conflict(
            "contact-blocked",
            "the contact is blocked: nothing opens and nothing closes the conversation",
            "Nothing was changed: unblock the contact first.",
        ),
        Refusal::NotBlocked => conflict("not-blocked", "the contact is not blocked", "Nothing was changed, and nothing needs to be."),
        Refusal::NotSnoozed => conflict("not-snoozed", "the conversation is not snoozed", "Nothing was changed, and nothing needs to be."),
        Refusal::SnoozeOver => invalid(
            "snooze-over",
            "`until` is not ahead of the service's clock",
            "Nothing was changed: name a time that is yet to come, or DELETE the snooze.",
        ),
        Refusal::NotesOff => invalid(
            "notes-off",
            "closing notes are off in this workspace",
            "Nothing was changed: close it without a note, or switch notes on.",
        ),
        Refusal::CategoryMissing => {
            invalid("category-missing", "a category is required of a note in this workspace", "Nothing was changed: name a category.")
        }
        Refusal::SummaryMissing => {
            invalid("summary-missing", "a summary is required of a note in this workspace", "Nothing was changed: write a summary.")
        }
        Refusal::CategoryUnknown => invalid(
            "category-unknown",
            "the note's category is none of the workspace's",
            "Nothing was changed: GET categories lists them; POST there adds one.",
        ),
        Refusal::NotHeld => conflict("not-held", "nobody holds the conversation", "Nothing was changed, and nothing needs to be."),
        Refusal::NotExempt => conflict("not-exempt", "the conversation is not exempt", "Nothing was changed, and nothing needs to be."),
        Refusal::HoldOver => invalid(
            "hold-over",
            "`until` is not ahead of the service's clock",
            "Nothing was changed: name a time that is yet to come, or none to hold it until that is ended.",
        ),
        Refusal::NotClosed => conflict(
            "not-closed",
            "the conversation is open: a closing note belongs to a close",
            "Nothing was changed: close it with the note.",
        ),
        // Only the service itself asks for that.
        Refusal::NoteNotWanted => conflict("note-not-wanted", "no note is to come of this episode", "Nothing was changed."),
        Refusal::Overtaken => conflict(
            "overtaken",
            "something else happened to the conversation in the same instant, and counts as later",
            "Nothing was changed: read it again, and send the command again if it still makes sense.",
        ),
    }
}

impl From<CommandProblem> for Problem {
    fn from(problem: CommandProblem) -> Self {
        let action = "Nothing was changed: correct the body and send the command again.";
        match &problem {
            CommandProblem::Unreadable(fault) => Self::bad_request(fault.kind(), fault.to_string(), "Send one JSON object in UTF-8."),
            CommandProblem::Shape { .. } => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-command", problem.to_string(), action),
            CommandProblem::Invalid(fault) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, fault.kind(), fault.to_string(), action),
        }
    }
}
