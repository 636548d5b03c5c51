//! Who may ask for what: API keys, their scopes, and the workspaces each is bound to. A key is found by its id and proved by its
//! secret, of which only a digest is kept.

use std::collections::{BTreeMap, BTreeSet};

use super::time::{Span, Timestamp};

/// Keys of one installation, revoked ones included: they are one document, which every node reads once a second.
pub const KEYS_MAX: usize = 500;
/// Workspaces one key names; more are all of them, or several keys.
pub const KEY_WORKSPACES_MAX: usize = 100;
/// Longest name of a key, in characters.
pub const KEY_NAME_CHARS_MAX: usize = 128;
/// How long the secret before goes on being good after a rotation, where nobody says: time for a deployment.
pub const GRACE_DEFAULT: Span = Span::from_hours(24);

/// What a request needs. None of them brings another with it: a pipeline's key that leaks reads nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Scope {
    /// Sending events.
    Ingest,
    /// Looking at conversations, agents, reports, notifications.
    Read,
    /// Closing, opening, assigning and the like.
    Act,
    /// Settings (L15), agents, categories, subscriptions, keys; and the nodes, where the key is for all workspaces.
    Admin,
}

impl Scope {
    pub const ALL: [Self; 4] = [Self::Ingest, Self::Read, Self::Act, Self::Admin];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Read => "read",
            Self::Act => "act",
            Self::Admin => "admin",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }
}

/// The workspaces somebody may ask about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reach {
    /// Those that will exist as well, and what belongs to none: nodes, partitions, keys.
    All,
    Only(BTreeSet<Box<str>>),
}

impl Reach {
    pub fn includes(&self, workspace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(workspaces) => workspaces.contains(workspace),
        }
    }
}

/// What a secret is known by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Secret {
    /// SHA-256 in hexadecimal. Secrets are drawn, not thought of: nothing slower is needed.
    pub digest: Box<str>,
    pub created_at: Timestamp,
    /// It was replaced, and is good until here.
    pub until: Option<Timestamp>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    /// The part of it that is no secret.
    pub id: Box<str>,
    pub name: Box<str>,
    pub scopes: BTreeSet<Scope>,
    pub reach: Reach,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    /// The newest last; two while it is being replaced.
    pub secrets: Vec<Secret>,
}

impl Key {
    /// Whether it is good for anything, with some secret.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|expires| now < expires)
    }

    /// The secrets that are good now; none of a key that is not.
    pub fn live_secrets(&self, now: Timestamp) -> impl Iterator<Item = &Secret> {
        let is_live = self.is_live(now);
        self.secrets.iter().filter(move |secret| is_live && secret.until.is_none_or(|until| now < until))
    }

    fn rules(&self, now: Timestamp) -> bool {
        self.is_live(now) && self.expires_at.is_none() && self.scopes.contains(&Scope::Admin) && self.reach == Reach::All
    }
}

/// All keys, in order of creation.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Keys {
    pub version: u64,
    pub all: Vec<Key>,
}

/// When each key was used last, by its id: to the minute, for whoever asks whether one is still needed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KeyUse {
    pub version: u64,
    pub last: BTreeMap<Box<str>, Timestamp>,
}

impl KeyUse {
    /// With what was seen since, of the keys that there are.
    pub fn seen(&self, used: &BTreeMap<Box<str>, Timestamp>, keys: &Keys) -> Self {
        let mut last = self.last.clone();
        last.retain(|id, _| keys.get(id).is_some());
        for (id, at) in used.iter().filter(|(id, _)| keys.get(id).is_some()) {
            let known = last.entry(id.clone()).or_insert(*at);
            *known = (*known).max(*at);
        }
        Self { version: self.version + 1, last }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeyChange {
    Create(Key),
    /// A new secret; the one before is good for `grace` more.
    Rotate {
        id: Box<str>,
        digest: Box<str>,
        grace: Span,
    },
    /// The secret before the last rotation is not good any more.
    Retire {
        id: Box<str>,
    },
    Revoke {
        id: Box<str>,
    },
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KeyError {
    #[error("there is no key `{id}`")]
    Unknown { id: Box<str> },
    #[error("the key `{id}` is revoked")]
    Revoked { id: Box<str> },
    #[error("the key `{id}` has two secrets that are good already")]
    Rotating { id: Box<str> },
    #[error("without this there would be no key with the scope admin for all workspaces that does not expire, and nobody could make one")]
    NobodyRules,
    #[error("there are {KEYS_MAX} keys that are good, and no more are allowed")]
    TooMany,
}

impl Keys {
    pub fn get(&self, id: &str) -> Option<&Key> {
        self.all.iter().find(|key| *key.id == *id)
    }

    /// These keys changed, as the next version. `ruled`: somebody may make keys whatever these say, so that the last one may go.
    /// The oldest that are good for nothing any more make room.
    ///
    /// # Errors
    /// [`KeyError`]: nothing was changed.
    pub fn changed(&self, change: KeyChange, now: Timestamp, ruled: bool) -> Result<Self, KeyError> {
        let mut next = Self { version: self.version + 1, all: self.all.clone() };
        match change {
            KeyChange::Create(key) => {
                next.make_room(now)?;
                next.all.push(key);
            }
            KeyChange::Rotate { id, digest, grace } => {
                let key = next.live(id, now)?;
                if key.live_secrets(now).count() > 1 {
                    return Err(KeyError::Rotating { id: key.id.clone() });
                }
                key.secrets.retain(|secret| secret.until.is_none());
                key.secrets.iter_mut().for_each(|secret| secret.until = Some(now.plus(grace)));
                key.secrets.push(Secret { digest, created_at: now, until: None });
            }
            KeyChange::Retire { id } => next.live(id, now)?.secrets.retain(|secret| secret.until.is_none()),
            KeyChange::Revoke { id } => next.live(id, now)?.revoked_at = Some(now),
        }
        if ruled || next.all.iter().any(|key| key.rules(now)) { Ok(next) } else { Err(KeyError::NobodyRules) }
    }

    fn live(&mut self, id: Box<str>, now: Timestamp) -> Result<&mut Key, KeyError> {
        match self.all.iter_mut().find(|key| key.id == id) {
            Some(key) if key.is_live(now) => Ok(key),
            Some(_) => Err(KeyError::Revoked { id }),
            None => Err(KeyError::Unknown { id }),
        }
    }

    fn make_room(&mut self, now: Timestamp) -> Result<(), KeyError> {
        while self.all.len() >= KEYS_MAX {
            let dead = self.all.iter().position(|key| !key.is_live(now)).ok_or(KeyError::TooMany)?;
            self.all.remove(dead);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn key(id: &str, scopes: &[Scope]) -> Key {
        let secret = Secret { digest: format!("{id}-1").into(), created_at: NOW, until: None };
        let (scopes, name) = (scopes.iter().copied().collect(), id.into());
        Key { id: id.into(), name, scopes, reach: Reach::All, created_at: NOW, expires_at: None, revoked_at: None, secrets: vec![secret] }
    }

    fn ruled() -> Keys {
        Keys::default().changed(KeyChange::Create(key("root", &[Scope::Admin])), NOW, false).unwrap()
    }

    fn good(keys: &Keys, id: &str, now: Timestamp) -> Vec<String> {
        keys.get(id).unwrap().live_secrets(now).map(|secret| secret.digest.to_string()).collect()
    }

    #[test]
    fn the_first_key_must_be_able_to_make_others_and_the_last_such_one_stays() {
        let create = |key| Keys::default().changed(KeyChange::Create(key), NOW, false);
        assert_eq!(create(key("a", &[Scope::Read])), Err(KeyError::NobodyRules));
        assert_eq!(create(Key { expires_at: Some(NOW.plus(Span::from_days(1))), ..key("a", &[Scope::Admin]) }), Err(KeyError::NobodyRules));
        assert_eq!(create(Key { reach: Reach::Only(["acme".into()].into()), ..key("a", &[Scope::Admin]) }), Err(KeyError::NobodyRules));
        let revoke = || KeyChange::Revoke { id: "root".into() };
        assert_eq!(ruled().changed(revoke(), NOW, false), Err(KeyError::NobodyRules));
        assert!(ruled().changed(revoke(), NOW, true).is_ok());
    }

    #[test]
    fn two_secrets_are_good_while_one_replaces_the_other() {
        let rotate = |digest: &str| KeyChange::Rotate { id: "root".into(), digest: digest.into(), grace: Span::from_hours(1) };
        let keys = ruled().changed(rotate("root-2"), NOW, false).unwrap();
        assert_eq!(good(&keys, "root", NOW), ["root-1", "root-2"]);
        assert_eq!(keys.changed(rotate("root-3"), NOW, false), Err(KeyError::Rotating { id: "root".into() }));
        let over = NOW.plus(Span::from_hours(1));
        assert_eq!(good(&keys, "root", over), ["root-2"]);
        assert_eq!(good(&keys.changed(rotate("root-3"), over, false).unwrap(), "root", over), ["root-2", "root-3"]);
        let retired = keys.changed(KeyChange::Retire { id: "root".into() }, NOW, false).unwrap();
        assert_eq!(good(&retired, "root", NOW), ["root-2"]);
    }

    #[test]
    fn a_key_that_is_revoked_or_expired_is_good_for_nothing_and_does_not_come_back() {
        let expires = NOW.plus(Span::from_secs(1));
        let keys = ruled().changed(KeyChange::Create(Key { expires_at: Some(expires), ..key("a", &[Scope::Read]) }), NOW, false).unwrap();
        assert_eq!((good(&keys, "a", NOW).len(), good(&keys, "a", expires).len()), (1, 0));
        let revoked = keys.changed(KeyChange::Revoke { id: "a".into() }, NOW, false).unwrap();
        assert!(good(&revoked, "a", NOW).is_empty());
        assert_eq!(revoked.changed(KeyChange::Retire { id: "a".into() }, NOW, false), Err(KeyError::Revoked { id: "a".into() }));
        assert_eq!(revoked.changed(KeyChange::Revoke { id: "b".into() }, NOW, false), Err(KeyError::Unknown { id: "b".into() }));
    }

    #[test]
    fn what_is_good_for_nothing_makes_room() {
        let mut keys = ruled();
        for n in 1..KEYS_MAX {
            keys = keys.changed(KeyChange::Create(key(&format!("k{n}"), &[Scope::Read])), NOW, false).unwrap();
        }
        let create = || KeyChange::Create(key("one more", &[Scope::Read]));
        assert_eq!(keys.changed(create(), NOW, false), Err(KeyError::TooMany));
        let keys = keys.changed(KeyChange::Revoke { id: "k7".into() }, NOW, false).unwrap().changed(create(), NOW, false).unwrap();
        assert_eq!((keys.all.len(), keys.get("k7"), keys.get("one more").is_some()), (KEYS_MAX, None, true));
    }

    #[test]
    fn when_a_key_was_used_goes_forward_and_goes_with_the_key() {
        let at = |ms| Timestamp::from_millis(ms);
        let known = KeyUse { version: 4, last: [("root".into(), at(5)), ("gone".into(), at(6))].into() };
        let seen = known.seen(&[("root".into(), at(3)), ("stranger".into(), at(9))].into(), &ruled());
        assert_eq!(seen, KeyUse { version: 5, last: [("root".into(), at(5))].into() });
        assert_eq!(seen.seen(&[("root".into(), at(7))].into(), &ruled()).last["root"], at(7));
    }

    #[test]
    fn a_key_reaches_only_the_workspaces_it_names() {
        let some = Reach::Only(["acme".into()].into());
        assert!(some.includes("acme") && !some.includes("acm") && !some.includes("ACME") && Reach::All.includes("x"));
    }
}
