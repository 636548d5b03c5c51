//! The service as the client verbs see it: plain HTTP, JSON, problems as one readable line.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use reqwest::header::{AUTHORIZATION, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde_json::Value;

use super::failure::{Exit, Failure};
use super::output::note;
use crate::tls;

/// Longest wait for a connection: the service is near, or it is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for an answer. `Prefer: wait` and a PUT of settings may take 30 s.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(45);
/// Longest wait that a `Retry-After` can ask for: somebody watches.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);
/// Items in one request; more take several.
const PAGE: usize = 500;

/// Where the service is, and who asks.
#[derive(Args, Clone)]
pub struct Target {
    /// Where the service is
    #[arg(long, env = "ADJOURN_URL", default_value = "http://127.0.0.1:8080", value_name = "URL")]
    url: Url,
    /// The key to show it
    #[arg(long, env = "ADJOURN_API_KEY", hide_env_values = true, value_name = "KEY")]
    api_key: Option<String>,
    /// Who may have signed its certificate, PEM [default: the public authorities]
    #[arg(long, env = "ADJOURN_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

/// Which part of a list.
#[derive(Args)]
pub struct Page {
    /// Start after this item, as the note under a list says
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
    /// At most this many
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

/// A part of a list.
pub struct Items {
    pub found: Vec<Value>,
    /// For `--after`; `None`: that was all.
    next: Option<String>,
}

impl Items {
    /// Otherwise whoever counts the lines takes a page for all there is.
    pub fn note_more(&self) {
        if let Some(next) = self.next.as_deref().filter(|_| !self.found.is_empty()) {
            note(format_args!("there may be more: --after {next}, or a larger --limit"));
        }
    }
}

#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    api_key: Option<String>,
    /// What says where it is, for whoever finds nothing there.
    says_where: &'static str,
}

/// An answer of the service, whatever it says.
pub struct Answer {
    pub status: StatusCode,
    pub retry_after: Option<Duration>,
    /// `Null` where there was none, or not JSON.
    pub body: Value,
}

impl Client {
    pub fn new(target: &Target) -> Result<Self, Failure> {
        Self::with(target.url.clone(), target.api_key.clone(), target.ca_file.as_deref())
    }

    /// A client of the admin port of a service on this machine, whatever proxy the environment names.
    pub fn near(authority: &str) -> Result<Self, Failure> {
        let base = Url::parse(&format!("http://{authority}")).map_err(Failure::usage)?;
        let http =
            tls::http(None).map_err(Failure::failed)?.no_proxy().connect_timeout(CONNECT_TIMEOUT).build().map_err(Failure::failed)?;
        Ok(Self { http, base, api_key: None, says_where: "--admin-listen says where; --store is for one that is stopped" })
    }

    /// A client of a service in this process.
    pub fn local(address: std::net::SocketAddr) -> Result<Self, Failure> {
        Self::with(Url::parse(&format!("http://{address}")).map_err(Failure::failed)?, None, None)
    }

    fn with(base: Url, api_key: Option<String>, ca: Option<&Path>) -> Result<Self, Failure> {
        if !["http", "https"].contains(&base.scheme()) {
            return Err(Failure::usage(format_args!("{base}: must be an http:// or https:// URL")));
        }
        let http = tls::http(ca)
            .map_err(|error| Failure::usage(format_args!("--ca-file: {error}")))?
            .connect_timeout(CONNECT_TIMEOUT)
            .build()
            .map_err(Failure::failed)?;
        Ok(Self { http, base, api_key, says_where: "--url or ADJOURN_URL says where" })
    }

    /// A URL under the service's: its path in segments, so that no name can leave its place.
    pub fn url(&self, segments: &[&str], query: &[(&str, Option<&str>)]) -> Result<Url, Failure> {
        let mut url = self.base.clone();
        url.path_segments_mut().map_err(|()| Failure::usage("this URL has no path"))?.pop_if_empty().extend(segments);
        let given: Vec<_> = query.iter().filter_map(|(name, value)| value.map(|value| (*name, value))).collect();
        if !given.is_empty() {
            url.query_pairs_mut().extend_pairs(given);
        }
        Ok(url)
    }

    /// Where the service is.
    pub fn base(&self) -> &str {
        self.base.as_str()
    }

    pub fn request(&self, method: Method, url: Url) -> RequestBuilder {
        let request = self.http.request(method, url);
        match &self.api_key {
            Some(key) => request.header(AUTHORIZATION, format!("Bearer {key}")),
            None => request,
        }
    }

    /// Sends a request and reads the whole answer. Whether it is a good one is for the caller to say.
    pub async fn ask(&self, request: RequestBuilder) -> Result<Answer, Failure> {
        self.fetch(request).await.map(|(answer, _)| answer)
    }

    /// With the body as it came.
    async fn fetch(&self, request: RequestBuilder) -> Result<(Answer, Vec<u8>), Failure> {
        let response = request.timeout(ANSWER_TIMEOUT).send().await.map_err(|error| self.unreachable(&error))?;
        let (status, retry_after) = (response.status(), retry_after(&response));
        let bytes: Vec<u8> = response.bytes().await.map_err(|error| self.unreachable(&error))?.into();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Ok((Answer { status, retry_after, body }, bytes))
    }

    /// Sends a request; whatever is not a success is a failure.
    pub async fn call(&self, request: RequestBuilder) -> Result<Value, Failure> {
        let answer = self.ask(request).await?;
        if answer.status.is_success() { Ok(answer.body) } else { Err(answer.failure()) }
    }

    /// Asks for something to be done, with a body unless that is null.
    pub async fn act(&self, method: Method, segments: &[&str], query: &[(&str, Option<&str>)], body: &Value) -> Result<Value, Failure> {
        let request = self.request(method, self.url(segments, query)?);
        self.call(if body.is_null() { request } else { request.json(body) }).await
    }

    /// Sends a request and reads an answer that is no JSON.
    pub async fn bytes(&self, request: RequestBuilder) -> Result<Vec<u8>, Failure> {
        let (answer, bytes) = self.fetch(request).await?;
        if answer.status.is_success() { Ok(bytes) } else { Err(answer.failure()) }
    }

    pub async fn get(&self, segments: &[&str], query: &[(&str, Option<&str>)]) -> Result<Value, Failure> {
        self.call(self.request(Method::GET, self.url(segments, query)?)).await
    }

    /// Items of a list from `after` on, at most `limit`, in as many requests as that takes.
    pub async fn items(&self, segments: &[&str], query: &[(&str, Option<&str>)], page: &Page) -> Result<Items, Failure> {
        let mut items = Items { found: Vec::new(), next: page.after.clone() };
        while items.found.len() < page.limit {
            let limit = (page.limit - items.found.len()).min(PAGE).to_string();
            let bounds = [("after", items.next.as_deref()), ("limit", Some(limit.as_str()))];
            let mut answer = self.get(segments, &[query, &bounds].concat()).await?;
            if let Value::Array(found) = answer["items"].take() {
                items.found.extend(found);
            }
            items.next = answer["next"].as_str().map(Into::into);
            if items.next.is_none() {
                break;
            }
        }
        Ok(items)
    }

    /// All items of a list that comes in one answer.
    pub async fn all(&self, segments: &[&str]) -> Result<Vec<Value>, Failure> {
        match self.get(segments, &[]).await?["items"].take() {
            Value::Array(items) => Ok(items),
            _ => Ok(Vec::new()),
        }
    }

    pub fn unreachable(&self, error: &reqwest::Error) -> Failure {
        Failure::unavailable(format_args!("{}: {} (is `adjourn serve` running there? {})", self.base, root_cause(error), self.says_where))
    }
}

/// What a failed request comes down to: `connection refused`, rather than that sending failed.
pub fn root_cause(error: &reqwest::Error) -> &dyn std::error::Error {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

impl Answer {
    /// The same request later may work: too much at once, not now, or nobody knows.
    pub fn is_passing(&self) -> bool {
        self.status == StatusCode::TOO_MANY_REQUESTS || self.status.is_server_error()
    }

    pub fn failure(&self) -> Failure {
        let exit = match self.status {
            StatusCode::NOT_FOUND => Exit::NotFound,
            StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => Exit::Conflict,
            _ if self.is_passing() => Exit::Unavailable,
            _ => Exit::Failed,
        };
        let said = problem(&self.body);
        Failure::new(exit, if said.is_empty() { format!("the service answered {}", self.status) } else { said })
    }
}

/// A problem document as one line: what is wrong, then what to do about it.
pub fn problem(document: &Value) -> String {
    let text = |member: &str| document[member].as_str().unwrap_or_default();
    let what = match (text("title"), text("detail")) {
        ("", detail) => detail.to_owned(),
        (title, "") => title.to_owned(),
        (title, detail) => format!("{title}: {detail}"),
    };
    if text("action").is_empty() { what } else { format!("{what}. {}", text("action")) }
}

/// Waits that grow, each up to twice the one before, up to a bound.
pub struct Waits {
    next: Duration,
    max: Duration,
}

impl Waits {
    const FIRST: Duration = Duration::from_millis(100);

    pub fn up_to(max: Duration) -> Self {
        Self { next: Self::FIRST, max }
    }

    /// The next wait; at least what the service asked for.
    pub fn next(&mut self, asked: Option<Duration>) -> Duration {
        let wait = self.next.max(asked.unwrap_or_default());
        self.next = (self.next * 2).min(self.max);
        wait
    }

    pub fn reset(&mut self) {
        self.next = Self::FIRST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_their_place() {
        let client = Client::local(([127, 0, 0, 1], 8080).into()).unwrap();
        let url = client.url(&["v1", "workspaces", "a/b?c"], &[("q", Some("x&y")), ("after", None)]).unwrap();
        assert_eq!(url.as_str(), "http://127.0.0.1:8080/v1/workspaces/a%2Fb%3Fc?q=x%26y");
    }

    #[test]
    fn a_problem_is_one_line_with_the_action() {
        let document = serde_json::json!({"title": "Not found", "detail": "no conversation c1", "action": "Check the id."});
        assert_eq!(problem(&document), "Not found: no conversation c1. Check the id.");
        assert_eq!(problem(&serde_json::json!({"title": "Gone"})), "Gone");
        assert_eq!(problem(&Value::Null), "");
    }

    #[test]
    fn waits_grow_and_honour_retry_after() {
        let mut waits = Waits::up_to(Duration::from_millis(300));
        assert_eq!([0, 1, 2, 3].map(|_| waits.next(None).as_millis()), [100, 200, 300, 300]);
        assert_eq!(waits.next(Some(Duration::from_secs(2))), Duration::from_secs(2));
    }
}
