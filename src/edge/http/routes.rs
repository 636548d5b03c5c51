//! Every path of the public API, with who may use it. The OpenAPI document and the tests of who may do what go by this list.

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, ResponseError};

use super::access::Door;
use super::{
    Problem, acting, agents, audit, categories, conversations, dead_letters, events, forecast, hold, keys, nodes, reports, running,
    settings, stream, suggest, topology, why,
};
use crate::domain::access::Scope;

const INGEST: &[Scope] = &[Scope::Ingest];
const READ: &[Scope] = &[Scope::Read];
const ACT: &[Scope] = &[Scope::Act];
const ADMIN: &[Scope] = &[Scope::Admin];
const ANY: &[Scope] = &Scope::ALL;

/// All of them.
pub fn doors() -> Vec<Door> {
    [conversation_doors(), workspace_doors(), operator_doors()].into_iter().flatten().collect()
}

pub fn configure(config: &mut ServiceConfig) {
    let no_path = |_, _: &HttpRequest| nothing_here().into();
    config.app_data(web::PathConfig::default().error_handler(no_path));
    for door in doors() {
        config.service(door.build());
    }
    config.default_service(web::to(no_route));
}

/// What is at no path.
pub async fn no_route() -> HttpResponse {
    nothing_here().error_response()
}

fn nothing_here() -> Problem {
    Problem::not_found("there is nothing at this path")
}

/// What is done with one conversation.
fn conversation_doors() -> Vec<Door> {
    let of = Door::of_workspace;
    vec![
        of("/v1/workspaces/{workspace}/conversations").get(READ, conversations::list),
        of("/v1/workspaces/{workspace}/conversations/{conversation}").get(READ, conversations::one),
        of("/v1/workspaces/{workspace}/conversations/{conversation}/events").get(READ, conversations::events),
        of("/v1/workspaces/{workspace}/conversations/{conversation}/why").get(READ, why::why),
        of("/v1/workspaces/{workspace}/conversations/{conversation}/close").post(ACT, acting::close),
        of("/v1/workspaces/{workspace}/conversations/{conversation}/open").post(ACT, acting::open),
        of("/v1/workspaces/{workspace}/conversations/{conversation}/assignee").put(ACT, acting::assign).delete(ACT, acting::unassign),
        of("/v1/workspaces/{workspace}/conversations/{conversation}/snooze").put(ACT, acting::snooze).delete(ACT, acting::unsnooze),
        of("/v1/workspaces/{workspace}/conversations/{conversation}/block").put(ACT, acting::block).delete(ACT, acting::unblock),
        of("/v1/workspaces/{workspace}/conversations/{conversation}/hold").put(ACT, acting::hold).delete(ACT, acting::end_hold),
        of("/v1/workspaces/{workspace}/conversations/{conversation}/exemption").put(ACT, acting::exempt).delete(ACT, acting::end_exemption),
        of("/v1/workspaces/{workspace}/conversations/{conversation}/closing-note/suggest").post(ACT, suggest::suggest),
        of("/v1/workspaces/{workspace}/conversations/{conversation}/closing-note").put(ACT, acting::note),
    ]
}

/// What a workspace has.
fn workspace_doors() -> Vec<Door> {
    let of = Door::of_workspace;
    vec![
        of("/v1/workspaces/{workspace}/reports/conversations").get(READ, reports::conversations),
        of("/v1/workspaces/{workspace}/forecast").get(READ, forecast::get),
        of("/v1/workspaces/{workspace}/agents").get(READ, agents::list).post(ADMIN, agents::add),
        of("/v1/workspaces/{workspace}/agents/{agent}").get(READ, agents::one).patch(ADMIN, agents::update).delete(ADMIN, agents::remove),
        of("/v1/workspaces/{workspace}/categories").get(READ, categories::list).post(ADMIN, categories::add),
        of("/v1/workspaces/{workspace}/categories/{category}").patch(ADMIN, categories::describe).delete(ADMIN, categories::remove),
        // L15: read or changed.
        of("/v1/workspaces/{workspace}/settings").get(ADMIN, settings::get).put(ADMIN, settings::put),
        of("/v1/workspaces/{workspace}/settings/history").get(ADMIN, settings::history),
        of("/v1/workspaces/{workspace}/settings/apply-to-running").post(ADMIN, running::apply),
        of("/v1/workspaces/{workspace}/audit").get(ADMIN, audit::of_workspace),
    ]
}

/// Events in, notifications out, and what belongs to the whole installation.
fn operator_doors() -> Vec<Door> {
    let (within, of) = (Door::looked_at_within, Door::of_everything);
    vec![
        within("/v1/events").post(INGEST, events::post),
        within("/v1/notifications").get(READ, stream::sse::follow).endless(),
        within("/v1/notifications/ws").get(READ, stream::socket::follow).endless(),
        // Producers that write into the logs themselves go by it.
        within("/v1/topology").get(ANY, topology::topology),
        of("/v1/dead-letters").get(ADMIN, dead_letters::list),
        of("/v1/dead-letters/{partition}/{id}").delete(ADMIN, dead_letters::dismiss),
        of("/v1/dead-letters/{partition}/{id}/replay").post(ADMIN, dead_letters::replay),
        of("/v1/shards").get(READ, topology::shards),
        of("/v1/shards/{partition}/move").post(ADMIN, topology::move_shard),
        of("/v1/nodes").get(READ, nodes::list),
        // Whether anything closes at all.
        of("/v1/hold").get(READ, hold::get).put(ADMIN, hold::put).delete(ADMIN, hold::release),
        of("/v1/nodes/{node}/drain").post(ADMIN, nodes::drain),
        of("/v1/keys").get(ADMIN, keys::list).post(ADMIN, keys::create),
        of("/v1/keys/{key}").get(ADMIN, keys::one).delete(ADMIN, keys::revoke),
        of("/v1/keys/{key}/rotate").post(ADMIN, keys::rotate),
        of("/v1/keys/{key}/retire").post(ADMIN, keys::retire),
        of("/v1/audit").get(ADMIN, audit::of_everything),
    ]
}
