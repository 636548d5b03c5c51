//! A path, with what each of its methods needs.

use std::rc::Rc;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{HttpServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, Data};
use actix_web::{Error, FromRequest, Handler, HttpMessage, Resource, Responder, ResponseError};

use super::super::guard::RequestId;
use super::super::{Edge, Problem, other_methods};
use super::caller;
use crate::domain::access::{Reach, Scope};
use crate::domain::audit::{Deed, PATH_BYTES_MAX};
use crate::store::EVERYWHERE;

/// Of which workspaces somebody must be allowed to ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Needs {
    /// Of the one in the path.
    Workspace,
    /// Of all: this belongs to none of them.
    Everything,
    /// The handler looks at each thing by itself, or there is nothing of a workspace in it.
    Nothing,
}

/// A method, and the scopes of which one is needed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verb {
    pub method: Method,
    pub scopes: &'static [Scope],
}

impl Verb {
    /// An administrator's deed: it is written down.
    fn is_deed(&self) -> bool {
        self.method != Method::GET && self.scopes == [Scope::Admin]
    }
}

/// One path. OPTIONS tells its methods, any other is refused with them.
pub struct Door {
    path: &'static str,
    needs: Needs,
    verbs: Vec<Verb>,
    /// GET answers without an end: there is no HEAD of it.
    endless: bool,
    resource: Resource,
}

/// `Door::get(scopes, handler)` and the like.
macro_rules! methods {
    ($($name:ident: $method:ident;)+) => {
        $(
            pub fn $name<F, A>(self, scopes: &'static [Scope], handler: F) -> Self
            where
                F: Handler<A>,
                A: FromRequest + 'static,
                F::Output: Responder + 'static,
            {
                self.with(Method::$method, scopes, |resource, route| resource.route(route.to(handler)))
            }
        )+
    };
}

impl Door {
    /// A path of one workspace: its first part in braces is that.
    pub fn of_workspace(path: &'static str) -> Self {
        Self::new(path, Needs::Workspace)
    }

    /// A path of what belongs to no workspace.
    pub fn of_everything(path: &'static str) -> Self {
        Self::new(path, Needs::Everything)
    }

    /// A path whose handler sees to it that nobody hears of a workspace that is not theirs.
    pub fn looked_at_within(path: &'static str) -> Self {
        Self::new(path, Needs::Nothing)
    }

    fn new(path: &'static str, needs: Needs) -> Self {
        Self { path, needs, verbs: Vec::new(), endless: false, resource: web::resource(path) }
    }

    methods! {
        get: GET;
        post: POST;
        put: PUT;
        patch: PATCH;
        delete: DELETE;
    }

    /// Its GET has no end.
    pub fn endless(mut self) -> Self {
        self.endless = true;
        self
    }

    fn with(mut self, method: Method, scopes: &'static [Scope], route: impl FnOnce(Resource, actix_web::Route) -> Resource) -> Self {
        let matched = if method == Method::GET { super::super::get() } else { web::method(method.clone()) };
        self.resource = route(self.resource, matched);
        self.verbs.push(Verb { method, scopes });
        self
    }

    pub fn path(&self) -> &'static str {
        self.path
    }

    pub fn needs(&self) -> Needs {
        self.needs
    }

    pub fn verbs(&self) -> &[Verb] {
        &self.verbs
    }

    /// Every method that is answered, for `Allow`.
    fn allow(&self) -> String {
        let methods = self.verbs.iter().flat_map(|verb| {
            let head = verb.method == Method::GET && !self.endless;
            [Some(verb.method.as_str()), head.then_some("HEAD")]
        });
        methods.flatten().chain(["OPTIONS"]).collect::<Vec<_>>().join(", ")
    }

    /// The door in its wall.
    pub fn build(self) -> impl HttpServiceFactory + 'static {
        let other = other_methods(&self.allow());
        let (needs, verbs) = (self.needs, Rc::<[Verb]>::from(self.verbs));
        let pass = move |request, next| pass(Rc::clone(&verbs), needs, request, next);
        self.resource.default_service(other).wrap(from_fn(pass))
    }
}

/// Through the door, if that is allowed; deeds are written down.
async fn pass<B: MessageBody + 'static>(
    verbs: Rc<[Verb]>,
    needs: Needs,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
    let Some(verb) = verbs.iter().find(|verb| verb.method == *method) else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    if let Err(problem) = permitted(verb, needs, &request) {
        return Ok(request.into_response(problem.error_response()));
    }
    match request.app_data::<Data<Edge>>().cloned() {
        Some(edge) if verb.is_deed() => written_down(&edge, needs, request, next).await,
        _ => Ok(next.call(request).await?.map_into_boxed_body()),
    }
}

fn permitted(verb: &Verb, needs: Needs, request: &ServiceRequest) -> Result<(), Problem> {
    let caller = caller(request.request())?;
    match needs {
        // Before the scope: what a key may do elsewhere is no reason to tell it what there is here.
        Needs::Workspace => caller.may_see(workspace(request))?,
        Needs::Everything | Needs::Nothing => {}
    }
    caller.may(verb.scopes)?;
    if needs == Needs::Everything && caller.reach != Reach::All {
        let action = "Use a key that is for all of them.";
        return Err(Problem::new(StatusCode::FORBIDDEN, "missing-reach", "this belongs to no workspace, and the key is for some", action));
    }
    Ok(())
}

fn workspace(request: &ServiceRequest) -> &str {
    request.match_info().get("workspace").unwrap_or_default()
}

/// What cannot be written down is not done.
async fn written_down<B: MessageBody + 'static>(
    edge: &Edge,
    needs: Needs,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let workspace = if needs == Needs::Workspace { workspace(&request).to_owned() } else { EVERYWHERE.to_owned() };
    if needs == Needs::Workspace && !crate::domain::id::is_name(&workspace) {
        // No workspace can be called so: the handler says it.
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    let number = match edge.begin_deed(&workspace, deed(&request)).await {
        Ok(number) => number,
        Err(error) => return Ok(request.into_response(Problem::from(error).error_response())),
    };
    let answered = next.call(request).await?.map_into_boxed_body();
    let status = answered.status().as_u16();
    tracing::info!(target: "adjourn::audit", workspace, number, status, "done");
    if let Err(error) = edge.end_deed(&workspace, number, status).await {
        tracing::warn!(workspace, number, status, %error, "the audit log does not say what came of this");
    }
    Ok(answered)
}

fn deed(request: &ServiceRequest) -> Deed {
    let by = caller(request.request()).ok().and_then(|caller| caller.key.clone());
    let path = request.path();
    let end = (0..=PATH_BYTES_MAX.min(path.len())).rev().find(|end| path.is_char_boundary(*end)).unwrap_or_default();
    let request_id = request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
    let (method, path) = (request.method().as_str().into(), path[..end].into());
    tracing::info!(target: "adjourn::audit", by = by.as_ref().map(|(id, _)| &**id), %method, %path, "asked for");
    Deed { number: 0, at: Default::default(), by, method, path, request_id, status: None }
}
