//! A workspace's settings. A PUT answers when every partition has applied it (T22); the version is the `ETag`.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, web};

use super::access::caller;
use super::body::Body;
use super::conversations::etag;
use super::query::{NewestFirst, Parameters};
use super::{COMMAND_BYTES_MAX, Edge, Problem, media, workspace_of};
use crate::domain::Settings;
use crate::domain::settings::SettingsChange;
use crate::wire::SettingsView;
use crate::wire::event::PERSON_CHARS_MAX;
use crate::wire::history::ChangeView;
use crate::wire::settings::parse_change;

/// # Errors
/// When the store does not answer.
pub async fn get(edge: web::Data<Edge>, request: HttpRequest, workspace: web::Path<String>) -> Result<HttpResponse, Problem> {
    Parameters::of(&request, &[])?;
    let settings = edge.node.settings(workspace_of(&workspace)?).await?;
    Ok(shown(&settings))
}

/// # Errors
/// 422 when a value cannot be, 412 when `If-Match` names another version: nothing was changed. 503: they are changed, and
/// some partition has yet to apply them.
pub async fn put(
    edge: web::Data<Edge>,
    request: HttpRequest,
    workspace: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let by = by_of(&request)?;
    let workspace = workspace_of(&workspace)?;
    media::require_json(request.headers())?;
    let expected = expected_version(request.headers(), "these settings")?;
    let mut body = Body::new(&request, payload, &edge, COMMAND_BYTES_MAX).await?;
    let change = SettingsChange { by, ..parse_change(&body.whole().await?)? };
    let settings = edge.node.change_settings(workspace, change, expected, edge.limits.apply).await?;
    Ok(shown(&settings))
}

/// Who changed what, and when: newest first.
///
/// # Errors
/// 400 for a parameter that is unknown or makes no sense.
pub async fn history(edge: web::Data<Edge>, request: HttpRequest, workspace: web::Path<String>) -> Result<HttpResponse, Problem> {
    let workspace = workspace_of(&workspace)?;
    let part = NewestFirst::of(&request)?;
    let history = edge.node.settings_history(workspace).await?;
    Ok(HttpResponse::Ok().json(part.page(&history.changes, |change| change.version, ChangeView::new)))
}

/// `by`: who asks; the name of its key, where nobody else is named. A parameter, for the body of a PUT is the settings, and a DELETE has none.
///
/// # Errors
/// 400 for another parameter, or a name too long.
pub fn by_of(request: &HttpRequest) -> Result<Option<Box<str>>, Problem> {
    let read = |text: &str| (text.chars().count() <= PERSON_CHARS_MAX).then(|| text.trim().into());
    let expected = format!("a name of at most {PERSON_CHARS_MAX} characters");
    let by: Option<Box<str>> = Parameters::of(request, &["by"])?.read("by", &expected, read)?;
    let by = by.filter(|by| !by.is_empty());
    Ok(by.or_else(|| caller(request).ok().and_then(|caller| caller.name().map(Into::into))))
}

fn shown(settings: &Settings) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::ETAG, etag(settings.version))).json(SettingsView::new(settings))
}

/// The version in `If-Match`; `*` and none at all match any.
pub fn expected_version(headers: &HeaderMap, what: &str) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let version = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).and_then(|text| text.parse().ok());
    // A tag of no version of ours matches nothing; that is what 412 says.
    version.map(Some).ok_or_else(|| {
        let action = "Nothing was changed: send the ETag of the last GET as it came, or leave If-Match out.";
        let detail = format!("If-Match names no version of {what}");
        Problem::new(StatusCode::PRECONDITION_FAILED, "version-mismatch", detail, action)
    })
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn tags_are_versions() {
        let expected = |tag| {
            let headers = [(HeaderName::from_static("if-match"), HeaderValue::from_static(tag))].into_iter().collect();
            expected_version(&headers, "it").map_err(|problem| problem.status().as_u16())
        };
        assert_eq!((expected("\"17\""), expected("*")), (Ok(Some(17)), Ok(None)));
        assert_eq!((expected("17"), expected("W/\"17\""), expected("\"x\"")), (Err(412), Err(412), Err(412)));
    }
}
