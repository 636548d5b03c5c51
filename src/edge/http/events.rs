//! `POST /v1/events`: five forms of one thing. Each event stands for itself; what is accepted is durable before the answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use serde::Serialize;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;

use super::access::{Caller, caller, foreign};
use super::body::{Body, refuse_unread};
use super::error::Document;
use super::lines::{Line, Lines};
use super::media::{self, Form};
use super::rates::{Rates, too_fast};
use super::{Edge, Problem, counts};
use crate::actors::{Node, Receipt, Unready, Verdict, meter};
use crate::domain::{ConversationKey, Event, Snapshot};
use crate::store::StoreError;
use crate::wire::split::{SplitProblem, json_array, msgpack_array};
use crate::wire::{ConversationView, EventProblem, Fault, Parsed, parse_binary, parse_json, parse_msgpack};

/// # Errors
/// A problem document: nothing was accepted (4xx), or perhaps something (5xx).
pub async fn post(edge: web::Data<Edge>, request: HttpRequest, mut payload: web::Payload) -> Result<HttpResponse, Problem> {
    if edge.is_stopping() {
        let problem = Problem::unavailable("draining", "this node is stopping", 1);
        return Err(refuse_unread(&mut payload, &edge.limits, problem).await);
    }
    let read = match Form::of(request.headers()) {
        Ok(form) => read(form, &edge, &request, payload).await,
        Err(problem) => Err(refuse_unread(&mut payload, &edge.limits, problem).await),
    };
    let batch = read.inspect_err(|problem| counts::rejected(problem.kind()))?;
    let outcome =
        batch.ingest(&edge.node, &edge.rates).await.map_err(Problem::from).inspect_err(|problem| counts::rejected(problem.kind()))?;
    outcome.count();
    outcome.answer(&edge.node, media::wait(request.headers())).await
}

async fn read(form: Form, edge: &Edge, request: &HttpRequest, payload: web::Payload) -> Result<Batch, Problem> {
    let mut body = Body::new(request, payload, edge, edge.limits.body_bytes).await?;
    let max = edge.limits.events;
    let mut batch = Batch { caller: Some(caller(request)?), ..Batch::default() };
    match form {
        Form::Lines => {
            let mut lines = Lines::new(edge.limits.line_bytes);
            while let Some(piece) = body.next().await? {
                if let Err(problem) = lines.push(&piece, |line| batch.line(line, edge)) {
                    return Err(body.refuse(problem).await);
                }
            }
            lines.finish(|line| batch.line(line, edge))?;
        }
        Form::One => batch.alone(parse_json(&body.whole().await?)),
        Form::Binary => batch.alone(parse_binary(media::attributes(request.headers()), &body.whole().await?)),
        Form::Batch => json_array(&body.whole().await?, max)?.into_iter().for_each(|event| batch.add(parse_json(event))),
        Form::Msgpack => msgpack_array(&body.whole().await?, max)?.into_iter().for_each(|event| batch.add(parse_msgpack(event))),
    }
    batch.room = body.into_room();
    Ok(batch)
}

/// The events of one request, as far as they could be read.
#[derive(Default)]
struct Batch {
    /// Events of workspaces that are none of its are refused, each by itself.
    caller: Option<Arc<Caller>>,
    /// Read so far, good or bad: the next one's index.
    count: usize,
    events: Vec<Event>,
    /// Of each event, for the answer.
    names: Vec<Name>,
    ignored: u64,
    rejected: Vec<Rejected>,
    /// The body was the event, not a list of one.
    alone: bool,
    /// What its body reserved: the events take about as much until the store has them.
    room: Option<OwnedSemaphorePermit>,
}

struct Name {
    index: usize,
    id: Box<str>,
    conversation: ConversationKey,
}

struct Rejected {
    index: usize,
    id: Option<Box<str>>,
    problem: Problem,
}

impl Rejected {
    /// The same event may be taken later.
    fn is_passing(&self) -> bool {
        self.problem.retry_after_secs().is_some()
    }
}

impl Batch {
    fn line(&mut self, line: Line, edge: &Edge) -> Result<(), Problem> {
        let max = edge.limits.events;
        if self.count == max {
            return Err(SplitProblem::TooMany { max }.into());
        }
        self.add(match line {
            Line::Whole(line) => parse_json(line),
            Line::TooLong => Err(Fault::EventTooLong { limit: edge.limits.line_bytes }.into()),
        });
        Ok(())
    }

    fn alone(&mut self, parsed: Result<Parsed, EventProblem>) {
        self.alone = true;
        self.add(parsed);
    }

    fn add(&mut self, parsed: Result<Parsed, EventProblem>) {
        let index = self.count;
        self.count += 1;
        match parsed {
            Ok(Parsed::Event(event)) if !self.may_send(&event) => {
                self.rejected.push(Rejected { index, problem: foreign(), id: Some(event.name.id().into()) });
            }
            Ok(Parsed::Event(event)) => {
                self.names.push(Name { index, id: event.name.id().into(), conversation: event.conversation.clone() });
                self.events.push(event);
            }
            Ok(Parsed::Ignored { type_name }) => {
                meter::ignored(&type_name);
                self.ignored += 1;
            }
            Err(problem) => self.rejected.push(Rejected { index, problem: Problem::of_event(&problem), id: problem.id }),
        }
    }

    fn may_send(&self, event: &Event) -> bool {
        self.caller.as_ref().is_some_and(|caller| caller.reach.includes(event.conversation.workspace()))
    }

    /// Takes out those that come faster than their workspace may send.
    fn slow_down(&mut self, rates: &Rates) {
        let waits = rates.take(self.events.iter().map(|event| event.conversation.workspace()));
        if waits.is_empty() {
            return;
        }
        let waits: BTreeMap<Box<str>, Duration> = waits.into_iter().map(|(workspace, wait)| (workspace.into(), wait)).collect();
        let (names, events) = (std::mem::take(&mut self.names), std::mem::take(&mut self.events));
        for (name, event) in names.into_iter().zip(events) {
            match waits.get(event.conversation.workspace()) {
                Some(wait) => self.rejected.push(Rejected { index: name.index, id: Some(name.id), problem: too_fast(*wait) }),
                None => {
                    self.names.push(name);
                    self.events.push(event);
                }
            }
        }
    }

    async fn ingest(mut self, node: &Node, rates: &Rates) -> Result<Ingested, StoreError> {
        self.slow_down(rates);
        let Self { caller: _, count, events, names, ignored, mut rejected, alone, room } = self;
        let verdicts = if events.is_empty() { Vec::new() } else { node.ingest(events).await? };
        drop(room);
        let mut receipts = Vec::with_capacity(verdicts.len());
        let mut conversations = Vec::with_capacity(verdicts.len());
        for (name, verdict) in names.into_iter().zip(verdicts) {
            match verdict {
                Verdict::Accepted(receipt) => {
                    receipts.push(receipt);
                    conversations.push(name.conversation);
                }
                Verdict::Rejected(rejection) => {
                    rejected.push(Rejected { index: name.index, id: Some(name.id), problem: Problem::from(&rejection) });
                }
            }
        }
        rejected.sort_unstable_by_key(|rejected| rejected.index);
        Ok(Ingested { count, receipts, conversations, ignored, rejected, alone })
    }
}

/// What became of the events of one request.
struct Ingested {
    count: usize,
    receipts: Vec<Receipt>,
    /// Of each accepted event.
    conversations: Vec<ConversationKey>,
    ignored: u64,
    rejected: Vec<Rejected>,
    alone: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    accepted: u64,
    duplicates: usize,
    rejected: Vec<RejectedView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conversations: Option<Vec<ConversationView<'a>>>,
}

#[derive(Serialize)]
struct RejectedView<'a> {
    index: usize,
    id: Option<&'a str>,
    problem: Document<'a>,
}

impl<'a> RejectedView<'a> {
    fn new(rejected: &'a Rejected) -> Self {
        Self { index: rejected.index, id: rejected.id.as_deref(), problem: rejected.problem.document() }
    }
}

impl Ingested {
    fn accepted(&self) -> u64 {
        self.receipts.len() as u64 + self.ignored
    }

    fn count(&self) {
        counts::accepted(self.accepted());
        self.rejected.iter().for_each(|rejected| counts::rejected(rejected.problem.kind()));
    }

    async fn answer(mut self, node: &Node, wait: Option<Duration>) -> Result<HttpResponse, Problem> {
        if self.count > 0 && self.accepted() == 0 {
            return Ok(self.all_rejected().error_response());
        }
        let Some(wait) = wait else { return Ok(HttpResponse::Accepted().json(self.view(None))) };
        // They are durable: whatever is in the way of applying them now, or of reading what came of them, the answer is that
        // they were accepted.
        let states = match tokio::time::timeout(wait, self.applied(node, wait)).await {
            Ok(Ok(states)) => states,
            Ok(Err(unready)) => {
                tracing::debug!(%unready, "answered before the events were applied");
                return Ok(HttpResponse::Accepted().json(self.view(None)));
            }
            Err(_) => {
                tracing::debug!("answered before what the events came to was read");
                return Ok(HttpResponse::Accepted().json(self.view(None)));
            }
        };
        let views = states.iter().map(|(key, snapshot)| ConversationView::new(key, snapshot)).collect();
        let applied = ("preference-applied", format!("wait={}", wait.as_secs()));
        Ok(HttpResponse::Ok().insert_header(applied).json(self.view(Some(views))))
    }

    /// Waits until the events are applied; the conversations they were about, each once, without those never opened.
    async fn applied(&mut self, node: &Node, wait: Duration) -> Result<Vec<(ConversationKey, Snapshot)>, Unready> {
        node.wait_applied(&mut self.receipts, wait).await?;
        let mut keys = std::mem::take(&mut self.conversations);
        keys.sort_unstable();
        keys.dedup();
        Ok(node.conversations(keys).await?)
    }

    /// One event's own problem where it came alone; else one about them all.
    fn all_rejected(mut self) -> Problem {
        let (accepted, duplicates, rejected) = (self.accepted(), self.duplicates(), json!(self.rejections()));
        let problem = match self.rejected.pop() {
            Some(only) if self.alone => only.problem,
            // The list could be read: however unreadable its one event is, that one was rejected by itself.
            Some(only) if self.count == 1 && !only.is_passing() => only.problem.with_status(StatusCode::UNPROCESSABLE_ENTITY),
            Some(last) if self.rejected.iter().all(|rejected| rejected.problem.kind() == last.problem.kind()) && last.is_passing() => {
                // Nothing is wrong with any of them: the longest wait lets all of them in.
                let waits = self.rejected.iter().chain([&last]).filter_map(|rejected| rejected.problem.retry_after_secs());
                let wait = waits.max().unwrap_or(1);
                last.problem.after(wait)
            }
            _ => {
                let detail = format!("none of the {} events could be taken", self.count);
                let action = "Nothing was accepted: `rejected` says of each what to correct.";
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "all-rejected", detail, action)
            }
        };
        problem.with("accepted", json!(accepted)).with("duplicates", json!(duplicates)).with("rejected", rejected)
    }

    fn view<'a>(&'a self, conversations: Option<Vec<ConversationView<'a>>>) -> Answer<'a> {
        Answer { accepted: self.accepted(), duplicates: self.duplicates(), rejected: self.rejections(), conversations }
    }

    fn duplicates(&self) -> usize {
        self.receipts.iter().filter(|receipt| receipt.is_duplicate()).count()
    }

    fn rejections(&self) -> Vec<RejectedView<'_>> {
        self.rejected.iter().map(RejectedView::new).collect()
    }
}
