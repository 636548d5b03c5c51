//! A closing note proposed before a close by hand (L11). Nothing is stored until somebody closes with it.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::body::json_if_any;
use super::conversations::unknown;
use super::query::Parameters;
use super::{Edge, Problem, key_of};
use crate::actors::notes::SuggestRefused;
use crate::domain::ConversationKey;
use crate::domain::writing::WriteError;
use crate::wire::command::parse_nothing;

/// What a client is asked to wait where nobody says how long a writer is away.
const RETRY_AFTER_SECS: u32 = 10;

#[derive(Serialize)]
struct SuggestionView<'a> {
    category: Option<&'a str>,
    summary: Option<&'a str>,
    /// Who wrote it: `built-in`, or the model's name.
    writer: &'a str,
}

/// # Errors
/// 404 for one that was never opened, 409 where notes are off or nothing is known of what was written, 502 where the writer has no
/// answer, 503 where it may have one later.
pub async fn suggest(
    edge: web::Data<Edge>,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let key = key_of(&path.0, &path.1)?;
    Parameters::of(&request, &[])?;
    parse_nothing(&json_if_any(&edge, &request, payload).await?)?;
    let proposal = edge.node.suggest(&key, &*edge.writer).await.map_err(|refused| problem(&key, refused))?;
    let (category, summary) = (proposal.category.as_deref(), proposal.summary.as_deref());
    Ok(HttpResponse::Ok().json(SuggestionView { category, summary, writer: edge.writer.name() }))
}

fn problem(key: &ConversationKey, refused: SuggestRefused) -> Problem {
    let conflict = |kind, detail: String, action| Problem::new(StatusCode::CONFLICT, kind, detail, action);
    match refused {
        SuggestRefused::Unknown => unknown(key),
        SuggestRefused::NotesOff => conflict("notes-off", refused.to_string(), "Switch notes on in the settings first."),
        SuggestRefused::NothingKept => conflict(
            "nothing-kept",
            refused.to_string(),
            "Write the note by hand. Texts are kept from `data.text` of messages while notes are on.",
        ),
        SuggestRefused::NotWritten(WriteError::Again { reason, after }) => {
            let seconds = after.and_then(|after| u32::try_from(after.as_millis() / 1_000 + 1).ok());
            Problem::unavailable("writer-unavailable", format!("no note now: {reason}"), seconds.unwrap_or(RETRY_AFTER_SECS))
        }
        SuggestRefused::NotWritten(WriteError::Never { reason }) => {
            let action = "Write the note by hand, and tell whoever runs this service what it says.";
            Problem::new(StatusCode::BAD_GATEWAY, "writer-failed", format!("the writer has no note: {reason}"), action)
        }
        SuggestRefused::Store(error) => error.into(),
    }
}
