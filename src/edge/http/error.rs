//! Every error this API answers with: RFC 9457 problem documents, with what to do about it. Status codes live here and in
//! the handlers, nowhere below.

use std::borrow::Cow;
use std::fmt;

use actix_web::http::header;
use actix_web::http::{ConnectionType, StatusCode};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::actors::Unready;
use crate::actors::cluster::MoveRefused;
use crate::actors::handle::SettingsRefused;
use crate::domain::categories::CategoryError;
use crate::domain::event::Rejection;
use crate::domain::settings::SettingsError;
use crate::store::StoreError;
use crate::wire::placement::MoveProblem;
use crate::wire::settings::SettingsProblem;
use crate::wire::split::SplitProblem;
use crate::wire::{EventProblem, Fault};

/// What problem types begin with; the rest is the kind.
const TYPE_BASE: &str = "https://adjourn.dev/problems/";

/// A problem document, on its way to becoming an answer.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    kind: &'static str,
    detail: Cow<'static, str>,
    action: Cow<'static, str>,
    retry_after_secs: Option<u32>,
    allow: Option<Box<str>>,
    /// The rest of the request cannot be read sensibly: the connection ends with this answer.
    close: bool,
    more: Map<String, Value>,
}

impl Problem {
    pub fn new(status: StatusCode, kind: &'static str, detail: impl Into<Cow<'static, str>>, action: impl Into<Cow<'static, str>>) -> Self {
        let (detail, action) = (detail.into(), action.into());
        Self { status, kind, detail, action, retry_after_secs: None, allow: None, close: false, more: Map::new() }
    }

    /// Not now; come back after `retry_after_secs`.
    pub fn unavailable(kind: &'static str, detail: impl Into<Cow<'static, str>>, retry_after_secs: u32) -> Self {
        let action = "Nothing to correct: send the same request again after Retry-After.";
        Self { retry_after_secs: Some(retry_after_secs), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, kind, detail, action) }
    }

    pub fn bad_request(kind: &'static str, detail: impl Into<Cow<'static, str>>, action: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, kind, detail, action)
    }

    /// `If-Match` named another version of what is changed as a whole.
    pub fn outdated(detail: String) -> Self {
        let action = "Nothing was changed: read them again and send the change with their new ETag.";
        Self::new(StatusCode::PRECONDITION_FAILED, "version-mismatch", detail, action)
    }

    pub fn not_found(what: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", what, "Check the path and the ids in it.")
    }

    pub fn method_not_allowed(allow: &str) -> Self {
        let action = format!("Use one of {allow}.");
        let problem = Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "this path does not take this method", action);
        Self { allow: Some(allow.into()), ..problem }
    }

    /// One event, in a body of several, that cannot be taken.
    pub fn of_event(problem: &EventProblem) -> Self {
        let status = match problem.fault {
            Fault::MalformedJson { .. } | Fault::MalformedMsgpack { .. } | Fault::InvalidUtf8 { .. } => StatusCode::BAD_REQUEST,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self::new(status, problem.kind(), problem.to_string(), problem.action())
    }

    pub fn with(mut self, member: &'static str, value: Value) -> Self {
        self.more.insert(member.to_owned(), value);
        self
    }

    /// Come back after so many seconds.
    pub fn after(self, seconds: u32) -> Self {
        Self { retry_after_secs: Some(seconds), ..self }
    }

    pub const fn retry_after_secs(&self) -> Option<u32> {
        self.retry_after_secs
    }

    pub fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    pub fn closing(self) -> Self {
        Self { close: true, ..self }
    }

    pub const fn kind(&self) -> &'static str {
        self.kind
    }

    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The document, also where it stands inside another answer.
    pub fn document(&self) -> Document<'_> {
        Document {
            type_uri: format!("{TYPE_BASE}{}", self.kind),
            title: title(self.kind),
            status: self.status.as_u16(),
            detail: &self.detail,
            action: &self.action,
            more: &self.more,
        }
    }
}

/// What a problem looks like.
#[derive(Serialize)]
pub struct Document<'a> {
    #[serde(rename = "type")]
    type_uri: String,
    title: String,
    status: u16,
    detail: &'a str,
    /// What to do about it: the member RFC 9457 leaves to us.
    action: &'a str,
    #[serde(flatten)]
    more: &'a Map<String, Value>,
}

/// The kind as a title: the words, with the names of formats as they are written.
fn title(kind: &str) -> String {
    let word = |word: &str| match word {
        "json" => "JSON".to_owned(),
        "msgpack" => "MessagePack".to_owned(),
        "utf8" => "UTF-8".to_owned(),
        word => word.to_owned(),
    };
    let text = kind.split('-').map(word).collect::<Vec<_>>().join(" ");
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().collect::<String>() + letters.as_str()).unwrap_or_default()
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        response.content_type("application/problem+json");
        if let Some(seconds) = self.retry_after_secs {
            response.insert_header((header::RETRY_AFTER, seconds.to_string()));
        }
        if let Some(allow) = self.allow.as_deref() {
            response.insert_header((header::ALLOW, allow));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, r#"Bearer realm="adjourn""#));
        }
        // Texts and numbers only: there is nothing in it that could fail.
        let mut response = response.body(serde_json::to_vec(&self.document()).unwrap_or_default());
        if self.close {
            response.head_mut().set_connection_type(ConnectionType::Close);
        }
        response
    }
}

impl From<&Rejection> for Problem {
    fn from(rejection: &Rejection) -> Self {
        let (kind, action) = match rejection {
            Rejection::TimeAhead { .. } => ("time-ahead", "Set the producer's clock, or send the event when its time has come."),
            Rejection::ReservedSource => ("reserved-source", "Give the producer a source of its own."),
            Rejection::SnoozeTooLong { .. } => ("snooze-too-long", "Name an earlier `until`, or ask the operator to raise snooze_max."),
        };
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, kind, rejection.to_string(), action)
    }
}

impl From<SplitProblem> for Problem {
    fn from(problem: SplitProblem) -> Self {
        match problem {
            SplitProblem::Unreadable(fault) => Self::bad_request(fault.kind(), fault.to_string(), fault.action()),
            SplitProblem::NotAnArray => {
                let action = "Send an array, or a single event as application/cloudevents+json.";
                Self::bad_request("not-an-array", problem.to_string(), action)
            }
            SplitProblem::TooMany { .. } => {
                let action = "Nothing was accepted: send the events in several requests.";
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-many-events", problem.to_string(), action)
            }
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let (kind, retry_after_secs) = match &error {
            StoreError::Behind { .. } => ("behind", 1),
            StoreError::Full { .. } => ("store-full", 10),
            StoreError::Fenced { .. } => ("partition-moving", 1),
            StoreError::Refused(_) => ("store-refused", 1),
            StoreError::OutcomeUnknown(_) => ("outcome-unknown", 1),
            StoreError::Unavailable(_) => ("store-unavailable", 10),
            StoreError::Unreadable(_) => {
                let action = "Sent again it will be answered the same: tell who operates this service; its log has the reason.";
                return Self::new(StatusCode::INTERNAL_SERVER_ERROR, "record-unreadable", error.to_string(), action);
            }
        };
        Self::unavailable(kind, error.to_string(), retry_after_secs)
    }
}

impl From<Unready> for Problem {
    fn from(unready: Unready) -> Self {
        match unready {
            Unready::Store(error) => error.into(),
            Unready::NotYetApplied(_) => Self::unavailable("not-yet-applied", unready.to_string(), 2),
            Unready::NotYetChanged => Self::unavailable("not-yet-changed", unready.to_string(), 1),
            Unready::NotYetMoved => Self::unavailable("not-yet-moved", unready.to_string(), 2),
        }
    }
}

impl From<MoveRefused> for Problem {
    fn from(refused: MoveRefused) -> Self {
        let action = "Nothing was changed: GET /v1/nodes lists those that can take it.";
        let conflict = |kind, detail: String| Self::new(StatusCode::CONFLICT, kind, detail, action);
        match refused {
            MoveRefused::Unready(unready) => unready.into(),
            MoveRefused::NoSuchPartition { .. } => Self::not_found(refused.to_string()),
            MoveRefused::UnknownNode(_) => conflict("unknown-node", refused.to_string()),
            MoveRefused::Draining(_) => conflict("node-draining", refused.to_string()),
            MoveRefused::LastNode(_) => {
                let action = "Nothing was changed: start another node first, or stop this process, which drains it.";
                Self::new(StatusCode::CONFLICT, "last-node", refused.to_string(), action)
            }
        }
    }
}

impl From<MoveProblem> for Problem {
    fn from(problem: MoveProblem) -> Self {
        match problem {
            MoveProblem::Unreadable(fault) => Self::bad_request(fault.kind(), fault.to_string(), "Send one JSON object."),
            MoveProblem::Invalid { .. } => {
                let action = "Nothing was changed: name a node, or null for wherever placement puts it.";
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-move", problem.to_string(), action)
            }
        }
    }
}

impl From<SettingsRefused> for Problem {
    fn from(refused: SettingsRefused) -> Self {
        match refused {
            SettingsRefused::Unready(unready) => unready.into(),
            SettingsRefused::Invalid(SettingsError::Category(error)) => error.into(),
            SettingsRefused::Invalid(error) => {
                let action = "Nothing was changed: choose a value within the bounds.";
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-settings", error.to_string(), action)
            }
            SettingsRefused::VersionMismatch { .. } => Self::outdated(refused.to_string()),
        }
    }
}

impl From<CategoryError> for Problem {
    fn from(error: CategoryError) -> Self {
        let (status, kind, action) = match &error {
            CategoryError::Unknown { .. } => return Self::not_found(error.to_string()),
            CategoryError::Exists { .. } => {
                (StatusCode::CONFLICT, "category-exists", "Nothing was changed: PATCH it to change its description; its name is fixed.")
            }
            CategoryError::TooMany => {
                (StatusCode::UNPROCESSABLE_ENTITY, "too-many-categories", "Nothing was changed: delete one that is not used any more.")
            }
            CategoryError::TooLong => {
                (StatusCode::UNPROCESSABLE_ENTITY, "categories-too-long", "Nothing was changed: shorten descriptions, or delete some.")
            }
        };
        Self::new(status, kind, error.to_string(), action)
    }
}

impl From<SettingsProblem> for Problem {
    fn from(problem: SettingsProblem) -> Self {
        if let SettingsProblem::Unreadable(fault) = &problem {
            return Self::bad_request(fault.kind(), fault.to_string(), fault.action());
        }
        let action = "Nothing was changed: correct the member and send the change again.";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-settings", problem.to_string(), action)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_problem_says_what_to_do() {
        let document = serde_json::to_value(Problem::of_event(&Fault::TooDeep.into()).document()).unwrap();
        assert_eq!(document["type"], "https://adjourn.dev/problems/too-deep");
        assert_eq!((&document["title"], &document["status"]), (&json!("Too deep"), &json!(422)));
        assert!(document["detail"].as_str().is_some() && document["action"].as_str().is_some());
        assert_eq!(title("malformed-json"), "Malformed JSON");
    }

    #[test]
    fn not_now_says_when() {
        let answer = Problem::from(StoreError::Behind { unapplied: 9, limit: 5 }).error_response();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.headers().get(header::RETRY_AFTER).unwrap(), "1");
    }
}
