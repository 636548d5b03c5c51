//! Who may ask for what (L15; security rows 1 and 2).
//!
//! ```text
//! Gate::admit: whose key is this? ─▶ Door: may that ask for this here? ─▶ handler: of which workspaces may it hear?
//!        401                              403, 404; deeds are written down
//! ```
//! Every path is a [`Door`], and a door says what each of its methods needs: a path without one cannot be built.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpMessage, HttpRequest};
use tokio_util::sync::CancellationToken;

use super::rates::Rates;
use super::{Edge, Problem};
use crate::actors::Node;
use crate::domain::Timestamp;
use crate::domain::access::{Key, Keys, Reach, Scope};

mod door;
mod token;

pub use door::{Door, Needs, Verb};
pub use token::{OperatorKey, Token};

/// How often the keys are read again: so long a key that was revoked at another node is still good here.
const REFRESH: Duration = Duration::from_secs(1);
/// How often it is written down when keys were used.
const USE_WRITTEN: u32 = 60;

/// Readings in a row that say the same older thing, until it is believed.
const OLDER_BELIEVED: u32 = 5;

/// Somebody who asks.
#[derive(Debug)]
pub struct Caller {
    /// Of its key; `None`: the operator, by the key in the configuration, or anybody where no keys are asked for.
    pub key: Option<(Box<str>, Box<str>)>,
    pub scopes: BTreeSet<Scope>,
    pub reach: Reach,
    /// Of the secret that was shown.
    digest: Option<Box<str>>,
}

impl Caller {
    fn anybody(digest: Option<Box<str>>) -> Self {
        Self { key: None, scopes: Scope::ALL.into(), reach: Reach::All, digest }
    }

    fn of(key: &Key, digest: &str) -> Self {
        let shown = Some((key.id.clone(), key.name.clone()));
        Self { key: shown, scopes: key.scopes.clone(), reach: key.reach.clone(), digest: Some(digest.into()) }
    }

    /// The name to put under what it does, where it has one.
    pub fn name(&self) -> Option<&str> {
        self.key.as_ref().map(|(_, name)| &**name)
    }

    /// # Errors
    /// 404: whether there is such a workspace is nobody's business who may not ask about it.
    pub fn may_see(&self, workspace: &str) -> Result<(), Problem> {
        if self.reach.includes(workspace) { Ok(()) } else { Err(foreign()) }
    }

    fn may(&self, needs: &[Scope]) -> Result<(), Problem> {
        if needs.iter().any(|scope| self.scopes.contains(scope)) {
            return Ok(());
        }
        let names: Vec<&str> = needs.iter().map(|scope| scope.as_str()).collect();
        let detail = format!("this needs a key with the scope {}", names.join(" or "));
        Err(Problem::new(StatusCode::FORBIDDEN, "missing-scope", detail, "Use a key that has it, or ask an administrator for one."))
    }
}

/// Whoever sent this request. Set before any handler runs.
///
/// # Errors
/// 401 where nobody was let in.
pub fn caller(request: &HttpRequest) -> Result<Arc<Caller>, Problem> {
    request.extensions().get::<Arc<Caller>>().cloned().ok_or_else(|| nobody("no key was shown"))
}

/// The same answer as for what there is not.
pub fn foreign() -> Problem {
    Problem::not_found("there is no such workspace for this key")
}

fn nobody(detail: &'static str) -> Problem {
    let action = "Send `Authorization: Bearer KEY`; `adjourn keys create` makes one, and shows it once.";
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail, action)
}

/// The keys as this node knows them.
#[derive(Debug)]
struct Known {
    keys: Keys,
    /// When they were read, by the store's clock: an expiry is noticed at the next reading.
    at: Timestamp,
}

/// Knows whose key is good. While the store is away, what was known last holds.
pub struct Gate {
    /// The digest of the key in the configuration.
    operator: Option<Box<str>>,
    known: RwLock<Arc<Known>>,
    /// Keys that were used since that was written down last.
    used: Mutex<BTreeMap<Box<str>, Timestamp>>,
}

impl Gate {
    /// `operator`: the key in the configuration. The others: as the store has them at present.
    pub fn new(operator: Option<OperatorKey>, keys: Keys, at: Timestamp) -> Self {
        Self { operator: operator.map(|key| key.digest), known: RwLock::new(Arc::new(Known { keys, at })), used: Mutex::default() }
    }

    /// No keys are configured: whoever reaches the port may ask. One that was revoked is still one.
    pub fn is_open(&self) -> bool {
        self.operator.is_none() && self.known().keys.all.is_empty()
    }

    /// Whether somebody rules whatever the keys in the store say.
    pub fn is_ruled(&self) -> bool {
        self.operator.is_some()
    }

    /// Whom these headers speak for.
    ///
    /// # Errors
    /// 401: nobody whose key is good.
    pub fn admit(&self, headers: &HeaderMap) -> Result<Arc<Caller>, Problem> {
        if self.is_open() {
            return Ok(Arc::new(Caller::anybody(None)));
        }
        let shown = headers.get(header::AUTHORIZATION).ok_or_else(|| refused("none", "no key was shown"))?;
        let shown = shown.to_str().ok().and_then(bearer).ok_or_else(|| refused("malformed", "`Authorization` is not `Bearer KEY`"))?;
        if self.operator.as_deref().is_some_and(|operator| token::are_equal(operator, &token::digest(shown))) {
            return Ok(Arc::new(Caller::anybody(self.operator.clone())));
        }
        let known = self.known();
        let found = Token::parse(shown).and_then(|token| {
            let digest = token.digest();
            let key = known.keys.get(token.id())?;
            let good = key.live_secrets(known.at).any(|secret| token::are_equal(&secret.digest, &digest));
            good.then(|| Caller::of(key, &digest))
        });
        let caller = found.ok_or_else(|| refused("unknown", "this key is not known, or not good any more"))?;
        if let Some((id, _)) = &caller.key {
            self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), known.at);
        }
        Ok(Arc::new(caller))
    }

    /// Whether somebody who was let in would be again: for what goes on for hours.
    pub fn still_admits(&self, caller: &Caller) -> bool {
        let known = self.known();
        match (&caller.key, &caller.digest) {
            (Some((id, _)), Some(digest)) => {
                known.keys.get(id).is_some_and(|key| key.live_secrets(known.at).any(|secret| secret.digest == *digest))
            }
            (None, Some(_)) => true,
            _ => self.is_open(),
        }
    }

    /// The keys are these now. False: those known are newer. A reading that was under way while somebody changed them comes late; a
    /// store that lost its keys opens no door.
    pub fn learn(&self, keys: Keys, at: Timestamp) -> bool {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let is_news = keys.version >= known.keys.version;
        if is_news {
            *known = Arc::new(Known { keys, at });
        }
        is_news
    }

    /// The same of a store that went back to an older state, and says so again and again.
    fn relearn(&self, keys: Keys, at: Timestamp) {
        tracing::warn!(keys = keys.all.len(), "the store's keys are older than those known here");
        if !keys.all.is_empty() {
            *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Known { keys, at });
        }
    }

    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the keys again and again, writes down which were used, and forgets who was quiet, until `stopping`.
    pub(super) async fn watch(&self, node: &Node, rates: &Rates, stopping: CancellationToken) {
        let (mut rounds, mut older) = (0, 0);
        while stopping.run_until_cancelled(tokio::time::sleep(REFRESH)).await.is_some() {
            match node.keys().await {
                Ok((keys, at)) if keys.version < self.known().keys.version => {
                    older += 1;
                    if older % OLDER_BELIEVED == 0 {
                        self.relearn(keys, at);
                    }
                }
                Ok((keys, at)) => {
                    self.learn(keys, at);
                    older = 0;
                }
                Err(error) => tracing::debug!(%error, "the keys cannot be read; those known last hold"),
            }
            rounds += 1;
            if rounds % USE_WRITTEN == 0 {
                self.write_use(node).await;
                rates.forget_quiet();
            }
        }
        self.write_use(node).await;
    }

    async fn write_use(&self, node: &Node) {
        let used = std::mem::take(&mut *self.used.lock().unwrap_or_else(PoisonError::into_inner));
        if used.is_empty() {
            return;
        }
        if let Err(error) = node.keys_used(&used, &self.known().keys).await {
            tracing::warn!(%error, "when keys were used was not written down");
        }
    }
}

fn bearer(text: &str) -> Option<&str> {
    let (scheme, key) = text.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

fn refused(reason: &'static str, detail: &'static str) -> Problem {
    super::counts::refused(reason);
    nobody(detail)
}

impl Edge {
    /// Lets somebody in, or not.
    pub(super) fn admit(&self, request: &actix_web::dev::ServiceRequest) -> Result<(), Problem> {
        let caller = self.gate.admit(request.headers())?;
        request.extensions_mut().insert(caller);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
