//! The public door, which is there before the service behind it: until the store is open every request is answered that
//! this is so.

use std::rc::Rc;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Extensions, ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, ResponseError, web};

use super::body::refuse_unread;
use super::{Edge, Limits, Problem};

/// What a client is asked to wait: about as long as it takes to find a store that is back.
const RETRY_AFTER_SECS: u32 = 2;

pub struct Front {
    edge: OnceLock<web::Data<Edge>>,
    /// Why there is no edge yet.
    missing: Mutex<Arc<str>>,
    limits: Limits,
    /// The port is on loopback, for this machine alone unless there are keys.
    loopback: bool,
}

impl Front {
    pub fn new(limits: Limits, loopback: bool) -> Arc<Self> {
        Arc::new(Self { edge: OnceLock::new(), missing: Mutex::new("it is being opened".into()), limits, loopback })
    }

    /// Only requests that name this machine itself are answered: the port is on loopback, and no keys are asked for.
    pub fn is_local_only(&self) -> bool {
        self.loopback && self.edge().is_none_or(|edge| edge.gate.is_open())
    }

    /// From here on requests are answered. Once is enough.
    pub fn open(&self, edge: Arc<Edge>) {
        let _ = self.edge.set(web::Data::from(edge));
    }

    pub fn edge(&self) -> Option<&Edge> {
        self.edge.get().map(|edge| &***edge)
    }

    /// Why the store is not open yet.
    pub fn missing(&self) -> Arc<str> {
        Arc::clone(&self.missing.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Says why the store is not open yet.
    pub fn misses(&self, reason: Arc<str>) {
        *self.missing.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }
}

/// Lets a request in to where handlers find their [`Edge`].
///
/// # Errors
/// Whatever comes from below; a refusal of its own is an answer, not an error.
pub async fn enter(
    front: web::Data<Front>,
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(edge) = front.edge.get() else {
        let problem = Problem::unavailable("store-unavailable", "the store is not open yet; nothing was accepted", RETRY_AFTER_SECS);
        let problem = refuse_unread(&mut request.extract::<web::Payload>().await?, &front.limits, problem).await;
        return Ok(request.into_response(problem.error_response()));
    };
    if let Err(problem) = edge.admit(&request) {
        let problem = refuse_unread(&mut request.extract::<web::Payload>().await?, &front.limits, problem).await;
        return Ok(request.into_response(problem.error_response()));
    }
    let mut found = Extensions::new();
    found.insert(edge.clone());
    request.add_data_container(Rc::new(found));
    Ok(next.call(request).await?.map_into_boxed_body())
}
