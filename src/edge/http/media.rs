//! What a request says of its body and of the answer it wants: content types, CloudEvents attributes in headers, `Prefer`.

use std::borrow::Cow;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderValue};

use super::error::Problem;

/// Longest wait a client may ask for: longer ones outlive the patience of what stands between.
const WAIT_MAX: Duration = Duration::from_secs(30);
const ATTRIBUTE_PREFIX: &str = "ce-";

/// How events stand in a body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    One,
    Batch,
    /// Attributes in headers, data in the body.
    Binary,
    Lines,
    Msgpack,
}

impl Form {
    /// # Errors
    /// 415 for anything but the five of the contract.
    pub fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let text = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let binary = headers.keys().any(|name| name.as_str().starts_with(ATTRIBUTE_PREFIX));
        let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
        if !is_utf8(parameters) {
            return Err(unsupported("the charset must be utf-8"));
        }
        // Compared whole: `application/cloudevents` is a prefix of the batch's type.
        match essence.trim().to_ascii_lowercase().as_str() {
            "application/cloudevents-batch+json" => Ok(Self::Batch),
            "application/cloudevents+json" => Ok(Self::One),
            "application/x-ndjson" => Ok(Self::Lines),
            "application/vnd.msgpack" => Ok(Self::Msgpack),
            "application/json" | "" if binary => Ok(Self::Binary),
            "application/json" => Err(unsupported("application/json needs the event's attributes in ce-* headers")),
            _ => Err(unsupported("this Content-Type is not supported")),
        }
    }
}

/// Whether the client wants CSV rather than JSON: it names that, and not JSON with it.
pub fn prefers_csv(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let types: Vec<String> = accepted.map(|entry| entry.split(';').next().unwrap_or("").trim().to_ascii_lowercase()).collect();
    types.iter().any(|name| name == "text/csv") && !types.iter().any(|name| name == "application/json")
}

/// # Errors
/// 415 for anything but JSON.
pub fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let text = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    if essence.trim().eq_ignore_ascii_case("application/json") && is_utf8(parameters) {
        return Ok(());
    }
    let detail = "the body must be application/json";
    let action = "Send it as application/json.";
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-content-type", detail, action))
}

fn is_utf8(parameters: &str) -> bool {
    let charset = parameters.split(';').filter_map(|parameter| parameter.split_once('=')).find(|(name, _)| name.trim() == "charset");
    charset.is_none_or(|(_, value)| value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8"))
}

fn unsupported(detail: &'static str) -> Problem {
    let action = "Send application/cloudevents+json, application/cloudevents-batch+json, application/x-ndjson, \
                  application/vnd.msgpack, or application/json with ce-* headers.";
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-content-type", detail, action)
}

/// A binary-mode event's attributes, by name without the prefix, percent-decoded as the CloudEvents HTTP binding has it.
pub fn attributes(headers: &HeaderMap) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
    headers.iter().filter_map(|(name, value)| Some((name.as_str().strip_prefix(ATTRIBUTE_PREFIX)?, decoded(value))))
}

/// What is not a percent-encoded byte stands for itself; what is not UTF-8 afterwards is shown as such and judged later.
fn decoded(value: &HeaderValue) -> Cow<'_, str> {
    let bytes = value.as_bytes();
    if !bytes.contains(&b'%') {
        return String::from_utf8_lossy(bytes);
    }
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, after @ ..] = rest {
        let encoded = if *first == b'%' { after.get(..2).and_then(hex) } else { None };
        plain.push(encoded.unwrap_or(*first));
        rest = if encoded.is_some() { &after[2..] } else { after };
    }
    Cow::Owned(String::from_utf8_lossy(&plain).into_owned())
}

fn hex(digits: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u8::from_str_radix(text, 16).ok()
}

/// `Prefer: wait=N` (RFC 7240): how long the client would wait for its events to be applied. A preference that makes no
/// sense is no preference.
pub fn wait(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all("prefer").filter_map(|value| value.to_str().ok());
    let wait = values.flat_map(|value| value.split([',', ';'])).find_map(|preference| {
        let (name, seconds) = preference.split_once('=')?;
        name.trim().eq_ignore_ascii_case("wait").then(|| seconds.trim().trim_matches('"').parse::<u32>().ok())?
    })?;
    (wait > 0).then(|| Duration::from_secs(u64::from(wait)).min(WAIT_MAX))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderName;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    fn form(content_type: &'static str) -> Result<Form, StatusCode> {
        Form::of(&headers(&[("content-type", content_type)])).map_err(|problem| problem.status())
    }

    #[test]
    fn five_content_types() {
        assert_eq!(form("application/cloudevents+json; charset=UTF-8"), Ok(Form::One));
        assert_eq!(form("application/cloudevents-batch+json"), Ok(Form::Batch));
        assert_eq!(form("Application/X-NDJSON"), Ok(Form::Lines));
        assert_eq!(form("application/vnd.msgpack"), Ok(Form::Msgpack));
        let binary = headers(&[("content-type", "application/json"), ("ce-specversion", "1.0")]);
        assert_eq!(Form::of(&binary).ok(), Some(Form::Binary));
        for other in ["application/json", "text/plain", "", "application/cloudevents", "application/cloudevents+json; charset=latin1"] {
            assert_eq!(form(other), Err(StatusCode::UNSUPPORTED_MEDIA_TYPE), "{other}");
        }
    }

    #[test]
    fn attributes_are_percent_decoded() {
        let headers = headers(&[("ce-id", "a%20b%zz%"), ("ce-source", "/in"), ("host", "x")]);
        let mut found: Vec<_> = attributes(&headers).collect();
        found.sort();
        assert_eq!(found, [("id", "a b%zz%".into()), ("source", "/in".into())]);
    }

    #[test]
    fn preferences_are_wishes() {
        let wait_of = |value| wait(&headers(&[("prefer", value)])).map(|wait| wait.as_secs());
        assert_eq!(wait_of("wait=10"), Some(10));
        assert_eq!(wait_of("respond-async, Wait = 5"), Some(5));
        assert_eq!(wait_of("wait=3600"), Some(30));
        assert_eq!((wait_of("wait=0"), wait_of("wait=soon"), wait_of("return=minimal")), (None, None, None));
    }
}
