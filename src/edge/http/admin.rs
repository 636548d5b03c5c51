//! The admin port: is it alive, is it ready, has it started, and what does it count: plain text, for probes and people. And
//! backups, which are for whoever is on the machine.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::http::StatusCode;
use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use metrics_exporter_prometheus::PrometheusHandle;

use super::{Edge, Front, backup, get, guard, resource};

/// Clocks further apart than this mean that one of them was stepped: closes wait for the slower one (D1).
const SKEW_MAX_MS: i64 = 5_000;
const PLAIN: &str = "text/plain; charset=utf-8";

/// What the admin port speaks of.
pub struct Admin {
    front: Arc<Front>,
    metrics: PrometheusHandle,
    started: AtomicBool,
}

/// One thing readiness depends on.
struct Check {
    name: &'static str,
    /// What there is to say of it; `Err`: why not.
    result: Result<String, String>,
}

impl Admin {
    pub fn new(front: Arc<Front>, metrics: PrometheusHandle) -> Arc<Self> {
        Arc::new(Self { front, metrics, started: AtomicBool::new(false) })
    }

    /// `None` until the store is open.
    pub fn edge(&self) -> Option<&Edge> {
        self.front.edge()
    }

    async fn checks(&self) -> Vec<Check> {
        match self.front.edge() {
            Some(edge) => Self::of(edge).await,
            None => vec![Check { name: "store", result: Err(self.front.missing().to_string()) }],
        }
    }

    async fn of(edge: &Edge) -> Vec<Check> {
        let node = &edge.node;
        let (missing, unowned) = (node.partitions_missing(), node.partitions_unowned());
        let shards = match missing {
            _ if !node.has_joined() => Err("this node has not joined the others yet".to_owned()),
            0 => Ok(format!("{} run here, {unowned} in the cluster have no owner", node.shards_ready())),
            missing => Err(format!("{missing} that belong here do not run, {unowned} in the cluster have no owner")),
        };
        let skew = node.clock_skew_ms().await;
        let clocks = match &skew {
            Ok(skew) if skew.abs() > SKEW_MAX_MS => Err(format!("the store's clock and this node's are {skew} ms apart")),
            _ => Ok(String::new()),
        };
        let serving = match () {
            () if edge.is_stopping() => Err("stopping".to_owned()),
            () if node.is_leaving() => Err("draining".to_owned()),
            () => Ok(String::new()),
        };
        vec![
            Check { name: "serving", result: serving },
            Check {
                name: "store",
                result: skew
                    .map_err(|error| error.to_string())
                    .and_then(|_| node.unheard().map_or(Ok(String::new()), |why| Err(why.into()))),
            },
            Check { name: "clocks", result: clocks },
            // Events are to come in meanwhile: no reason to send them elsewhere.
            Check { name: "closing", result: Ok(node.closes_held().map_or(String::new(), |hold| format!("held: {}", hold.why))) },
            Check { name: "partitions", result: shards },
        ]
    }
}

/// The admin port's paths.
pub fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/livez", "GET, HEAD, OPTIONS", [get().to(livez)]))
        .service(resource("/readyz", "GET, HEAD, OPTIONS", [get().to(readyz)]))
        .service(resource("/startupz", "GET, HEAD, OPTIONS", [get().to(startupz)]))
        .service(resource("/metrics", "GET, HEAD, OPTIONS", [get().to(metrics)]))
        // A page that the operator visits runs on this machine as well.
        .service(
            resource("/v1/backup", "GET, HEAD, POST, OPTIONS", [get().to(backup::last), web::post().to(backup::begin)])
                .wrap(from_fn(guard::observe)),
        );
}

/// Alive is whoever answers: a restart does not help a store that is away.
async fn livez() -> HttpResponse {
    HttpResponse::Ok().content_type(PLAIN).body("ok\n")
}

async fn readyz(admin: web::Data<Admin>, request: HttpRequest) -> HttpResponse {
    answer(&admin.checks().await, request.query_string().split('&').any(|name| name.split('=').next() == Some("verbose")))
}

/// Ready once is started for good.
async fn startupz(admin: web::Data<Admin>) -> HttpResponse {
    if admin.started.load(Ordering::Relaxed) {
        return answer(&[], false);
    }
    let checks = admin.checks().await;
    let ready = checks.iter().all(|check| check.result.is_ok());
    admin.started.store(ready, Ordering::Relaxed);
    answer(&checks, true)
}

fn answer(checks: &[Check], verbose: bool) -> HttpResponse {
    let ready = checks.iter().all(|check| check.result.is_ok());
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut text = String::new();
    for Check { name, result } in checks {
        // Writing to a String cannot fail.
        let _ = match result {
            Ok(more) if verbose && more.is_empty() => writeln!(text, "[+]{name} ok"),
            Ok(more) if verbose => writeln!(text, "[+]{name} ok: {more}"),
            Ok(_) => Ok(()),
            Err(reason) => writeln!(text, "[-]{name} {reason}"),
        };
    }
    text.push_str(if ready { "ok\n" } else { "not ready\n" });
    HttpResponse::build(status).content_type(PLAIN).body(text)
}

async fn metrics(admin: web::Data<Admin>) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(admin.metrics.render())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn what_is_wrong_is_always_said() {
        let text = |verbose| async move {
            let checks = [Check { name: "store", result: Ok(String::new()) }, Check { name: "clocks", result: Err("apart".into()) }];
            let answer = answer(&checks, verbose);
            assert_eq!(answer.status(), 503);
            String::from_utf8(actix_web::body::to_bytes(answer.into_body()).await.unwrap().to_vec()).unwrap()
        };
        assert_eq!(text(true).await, "[+]store ok\n[-]clocks apart\nnot ready\n");
        assert_eq!(text(false).await, "[-]clocks apart\nnot ready\n");
    }
}
