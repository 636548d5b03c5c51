use super::*;
use crate::domain::access::{KeyChange, Secret};
use actix_web::http::header::{HeaderName, HeaderValue};

const NOW: Timestamp = Timestamp::from_millis(1_000);

fn key(token: &Token, scopes: &[Scope]) -> Key {
    let secret = Secret { digest: token.digest(), created_at: NOW, until: None };
    let (id, scopes) = (token.id().into(), scopes.iter().copied().collect());
    Key { id, name: "k".into(), scopes, reach: Reach::All, created_at: NOW, expires_at: None, revoked_at: None, secrets: vec![secret] }
}

fn showing(text: &str) -> HeaderMap {
    [(HeaderName::from_static("authorization"), HeaderValue::from_str(text).unwrap())].into_iter().collect()
}

#[test]
fn without_keys_anybody_may_ask_and_with_one_nobody_else() {
    let gate = Gate::new(None, Keys::default(), NOW);
    assert!(gate.is_open() && gate.admit(&HeaderMap::new()).is_ok());
    let token = Token::draw();
    let keys = Keys::default().changed(KeyChange::Create(key(&token, &[Scope::Admin])), NOW, false).unwrap();
    gate.learn(keys, NOW);
    let status = |headers: &HeaderMap| gate.admit(headers).map_err(|problem| problem.status().as_u16()).map(drop);
    assert_eq!(status(&HeaderMap::new()), Err(401));
    assert_eq!(status(&showing(&format!("Bearer {}", token.shown()))), Ok(()));
    assert_eq!(status(&showing(&format!("bearer  {}", token.shown()))), Ok(()));
    for wrong in [
        format!("Basic {}", token.shown()),
        token.shown(),
        "Bearer".to_owned(),
        format!("Bearer {}", Token::draw_for(token.id().into()).shown()),
        format!("Bearer {}", Token::draw().shown()),
    ] {
        assert_eq!(status(&showing(&wrong)), Err(401), "{wrong}");
    }
}

#[test]
fn the_operators_key_is_good_whatever_the_store_says() {
    let gate = Gate::new(Some(OperatorKey::new("correct horse battery staple, at length")), Keys::default(), NOW);
    assert!(!gate.is_open() && gate.is_ruled());
    let caller = gate.admit(&showing("Bearer correct horse battery staple, at length")).unwrap();
    assert!(caller.key.is_none() && caller.scopes.len() == 4 && gate.still_admits(&caller));
    assert!(gate.admit(&showing("Bearer correct horse")).is_err());
}

#[test]
fn what_goes_on_ends_with_its_key() {
    let (root, token) = (Token::draw(), Token::draw());
    let keys = Keys::default().changed(KeyChange::Create(key(&root, &[Scope::Admin])), NOW, false).unwrap();
    let keys = keys.changed(KeyChange::Create(key(&token, &[Scope::Read])), NOW, false).unwrap();
    let gate = Gate::new(None, keys.clone(), NOW);
    let caller = gate.admit(&showing(&format!("Bearer {}", token.shown()))).unwrap();
    assert!(gate.still_admits(&caller));
    gate.learn(keys.changed(KeyChange::Revoke { id: token.id().into() }, NOW, false).unwrap(), NOW);
    assert!(!gate.still_admits(&caller));
    // A reading from before comes late, and a store that lost everything opens no door.
    assert!(!gate.learn(keys, NOW) && !gate.learn(Keys::default(), NOW));
    gate.relearn(Keys::default(), NOW);
    assert!(!gate.still_admits(&caller) && !gate.is_open());
}
