//! Before any handler: who may ask, and under which id the answer is found in the log.
//!
//! Without keys ([`super::access`]) the port is on loopback, and every web page the operator visits runs on the same machine. A page cannot
//! choose its `Host` or its `Origin`, so these two tell a page from a program (DNS rebinding, cross-site writes).

use std::net::IpAddr;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, ResponseError, web};
use tracing::Instrument;
use uuid::Uuid;

use super::{Front, Problem};
use crate::domain::id::is_printable;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Under which the log has a request.
pub struct RequestId(pub Box<str>);

/// # Errors
/// Whatever comes from below; a refusal of its own is an answer, not an error.
pub async fn observe(request: ServiceRequest, next: Next<impl MessageBody + 'static>) -> Result<ServiceResponse<BoxBody>, Error> {
    let id = request_id(&request);
    request.extensions_mut().insert(RequestId(id.to_str().unwrap_or_default().into()));
    // The path names ids; the query may hold text somebody searched for, and stays out.
    let span = tracing::info_span!("request", id = %id.to_str().unwrap_or_default(), method = %request.method(), path = request.path());
    let answered = async move {
        let mut response = match refusal(&request) {
            Some(problem) => request.into_response(problem.error_response()).map_into_boxed_body(),
            None => next.call(request).await?.map_into_boxed_body(),
        };
        response.headers_mut().insert(REQUEST_ID, id);
        let status = response.status();
        // With `Retry-After` it is pressure, which the metrics count, and not a fault: a line for each would be more of it.
        if status.is_server_error() && !response.headers().contains_key(actix_web::http::header::RETRY_AFTER) {
            tracing::warn!(status = status.as_u16(), error = response.response().error().map(tracing::field::display), "answered");
        } else {
            tracing::debug!(status = status.as_u16(), "answered");
        }
        Ok(response)
    };
    answered.instrument(span).await
}

/// The caller's, where it is a sensible one.
fn request_id(request: &ServiceRequest) -> HeaderValue {
    let given = request.headers().get(REQUEST_ID).filter(|id| id.to_str().is_ok_and(is_printable));
    let fresh = || HeaderValue::from_str(&Uuid::new_v4().hyphenated().to_string());
    match given {
        Some(id) => id.clone(),
        None => fresh().unwrap_or(HeaderValue::from_static("unknown")),
    }
}

fn refusal(request: &ServiceRequest) -> Option<Problem> {
    let text = |name| request.headers().get(name).map(|value: &HeaderValue| value.to_str().unwrap_or_default());
    let host = text(header::HOST).unwrap_or_default();
    let local_only = request.app_data::<web::Data<Front>>().is_none_or(|front| front.is_local_only());
    if local_only && !names_loopback(host) {
        let action = "Ask for localhost, 127.0.0.1 or [::1]; to serve other names, create a key, or start with --insecure behind a proxy that checks who asks.";
        let detail = "the Host of this request is not this machine";
        return Some(Problem::new(StatusCode::MISDIRECTED_REQUEST, "foreign-host", detail, action));
    }
    let writes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let foreign = text(header::ORIGIN).is_some_and(|origin| !is_origin_of(origin, host));
    if writes && foreign {
        let action = "Send it from a program, or from a page of this host.";
        return Some(Problem::new(StatusCode::FORBIDDEN, "cross-origin", "a page of another origin may not write here", action));
    }
    None
}

fn names_loopback(host: &str) -> bool {
    let name = without_port(host);
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || address.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && (!name.contains(':') || name.ends_with(']')) => name,
        _ => host,
    }
}

fn is_origin_of(origin: &str, host: &str) -> bool {
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_has_these_names() {
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.0.0.1:8080", "127.9.9.9:1", "[::1]", "[::1]:8080"] {
            assert!(names_loopback(host), "{host}");
        }
        for host in
            ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "10.0.0.1:8080", "[::2]:80", "localhost:80@evil"]
        {
            assert!(!names_loopback(host), "{host}");
        }
    }

    #[test]
    fn a_page_writes_only_to_its_own_host() {
        assert!(is_origin_of("http://localhost:8080", "localhost:8080"));
        for origin in ["null", "http://evil.example", "http://localhost:3000", "localhost:8080"] {
            assert!(!is_origin_of(origin, "localhost:8080"), "{origin}");
        }
    }
}
