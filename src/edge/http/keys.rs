//! API keys: made, replaced, revoked. A secret is in the answer that made it, and nowhere else.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};

use super::access::Token;
use super::body::{json_if_any, json_of};
use super::conversations::Items;
use super::query::Parameters;
use super::{Edge, Problem};
use crate::actors::writes::keys::KeysRefused;
use crate::domain::Timestamp;
use crate::domain::access::{Key, KeyChange, KeyError, Keys, Secret};
use crate::wire::keys::{KeyView, Wanted, parse_new, parse_rotation};

/// All of them, in order of creation.
///
/// # Errors
/// When the store does not answer.
pub async fn list(edge: web::Data<Edge>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Parameters::of(&request, &[])?;
    let ((keys, now), used) = tokio::try_join!(edge.node.keys(), edge.node.key_use())?;
    let items = keys.all.iter().map(|key| KeyView::new(key, now, used.last.get(&key.id).copied())).collect();
    Ok(HttpResponse::Ok().json(Items { items, next: None }))
}

/// # Errors
/// 404 when there is none of this id.
pub async fn one(edge: web::Data<Edge>, request: HttpRequest, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    Parameters::of(&request, &[])?;
    let ((keys, now), used) = tokio::try_join!(edge.node.keys(), edge.node.key_use())?;
    let key = found(&keys, &id)?;
    Ok(HttpResponse::Ok().json(KeyView::new(key, now, used.last.get(&key.id).copied())))
}

/// # Errors
/// 409 where nobody could make keys after it, 422 where it cannot be: there is no new key.
pub async fn create(edge: web::Data<Edge>, request: HttpRequest, payload: web::Payload) -> Result<HttpResponse, Problem> {
    let Wanted { name, scopes, reach, expires_at } = parse_new(&json_of(&edge, &request, payload).await?)?;
    let (token, now) = (Token::draw(), edge.node.keys().await?.1);
    if expires_at.is_some_and(|expires| expires <= now) {
        let action = "Nothing was changed: name a later `expires_at`, or leave it out.";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "already-expired", "`expires_at` is over already", action));
    }
    let secrets = vec![Secret { digest: token.digest(), created_at: now, until: None }];
    let key = Key { id: token.id().into(), name, scopes, reach, created_at: now, expires_at, revoked_at: None, secrets };
    let (keys, now) = change(&edge, KeyChange::Create(key)).await?;
    shown(StatusCode::CREATED, &keys, &token, now)
}

/// A new secret; the one before is good for a while.
///
/// # Errors
/// 404 when there is none of this id, 409 where it is revoked or being replaced already: nothing was changed.
pub async fn rotate(
    edge: web::Data<Edge>,
    request: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    Parameters::of(&request, &[])?;
    let grace = parse_rotation(&json_if_any(&edge, &request, payload).await?)?;
    let token = Token::draw_for(id.as_str().into());
    let (keys, now) = change(&edge, KeyChange::Rotate { id: token.id().into(), digest: token.digest(), grace }).await?;
    shown(StatusCode::OK, &keys, &token, now)
}

/// The secret before the last rotation is not good any more.
///
/// # Errors
/// 404 when there is none of this id, 409 where it is revoked.
pub async fn retire(edge: web::Data<Edge>, request: HttpRequest, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    Parameters::of(&request, &[])?;
    let (keys, now) = change(&edge, KeyChange::Retire { id: id.as_str().into() }).await?;
    Ok(HttpResponse::Ok().json(KeyView::new(found(&keys, &id)?, now, None)))
}

/// It is good for nothing any more, here at once, at other nodes within a second or two.
///
/// # Errors
/// 404 when there is none of this id, 409 where it is revoked already, or nobody could make keys after it.
pub async fn revoke(edge: web::Data<Edge>, request: HttpRequest, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    Parameters::of(&request, &[])?;
    change(&edge, KeyChange::Revoke { id: id.as_str().into() }).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn change(edge: &Edge, change: KeyChange) -> Result<(Keys, Timestamp), Problem> {
    let (keys, now) = edge.node.change_keys(change, edge.gate.is_ruled()).await?;
    edge.gate.learn(keys.clone(), now);
    Ok((keys, now))
}

fn found<'a>(keys: &'a Keys, id: &str) -> Result<&'a Key, Problem> {
    keys.get(id).ok_or_else(|| KeyError::Unknown { id: id.into() }.into())
}

fn shown(status: StatusCode, keys: &Keys, token: &Token, now: Timestamp) -> Result<HttpResponse, Problem> {
    let view = KeyView::new(found(keys, token.id())?, now, None).shown(token.shown());
    Ok(HttpResponse::build(status).insert_header((header::CACHE_CONTROL, "no-store")).json(view))
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        let (kind, action) = match &error {
            KeyError::Unknown { .. } => return Self::not_found(error.to_string()),
            KeyError::Revoked { .. } => ("key-revoked", "Nothing was changed: create another one."),
            KeyError::Rotating { .. } => {
                ("key-rotating", "Nothing was changed: wait until `previous_until`, or end the earlier one first with POST …/retire.")
            }
            KeyError::NobodyRules => (
                "nobody-rules",
                "Nothing was changed: create such a key first (scopes [\"admin\"], workspaces [\"*\"]), or set keys.admin.",
            ),
            KeyError::TooMany => ("too-many-keys", "Nothing was changed: revoke one that is not used any more."),
        };
        Self::new(StatusCode::CONFLICT, kind, error.to_string(), action)
    }
}

impl From<KeysRefused> for Problem {
    fn from(refused: KeysRefused) -> Self {
        match refused {
            KeysRefused::Invalid(error) => error.into(),
            KeysRefused::Store(error) => error.into(),
        }
    }
}
