//! Which store, and everything that is said about it in several places.

use std::fs;
use std::path::{Path, PathBuf};

use super::raw::{RawDurability, RawRedis};
use super::{ConfigError, Raw, refuse};
use crate::actors::NodeOptions;
use crate::domain::id::is_name;
use crate::store::redis::target::Secret;
use crate::store::redis::{Durability, Target};

/// Replicas to wait for at most: nobody has more of one primary, and a slip of the pen would hold everything up for ever.
const REPLICAS_MAX: u32 = 5;
/// Notifications kept in each partition of a store that has them in memory: about 1,400 bytes each, with the CloudEvent that
/// others read there.
const NOTIFICATIONS_KEPT_IN_MEMORY: u64 = 5_000;

/// Where everything is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StoreChoice {
    /// In this directory. It is written to disk with every commit, whatever `durability` says.
    Embedded(PathBuf),
    Redis(Box<RedisChoice>),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RedisChoice {
    pub target: Target,
    /// The first part of every key.
    pub prefix: Box<str>,
    pub durability: Durability,
}

impl StoreChoice {
    /// Unless said otherwise.
    pub(super) fn notifications_kept(&self) -> u64 {
        match self {
            Self::Embedded(_) => NodeOptions::default().notifications_kept,
            Self::Redis(_) => NOTIFICATIONS_KEPT_IN_MEMORY,
        }
    }
}

impl Raw {
    /// What is left may be shown.
    pub(super) fn hide_secrets(&mut self, store: &StoreChoice) {
        if let StoreChoice::Redis(redis) = store {
            self.store = redis.target.to_string();
        }
        self.redis.password = self.redis.password.take().map(|_| "***".to_owned());
    }
}

pub fn choice(raw: &Raw) -> Result<StoreChoice, ConfigError> {
    match raw.store.split_once(':') {
        Some(("embedded", path)) if !path.is_empty() => {
            if durability(&raw.durability)?.replicas > 0 {
                return Err(refuse("durability.replicas", "the embedded store has no replicas; leave it out"));
            }
            Ok(StoreChoice::Embedded(path.into()))
        }
        Some((scheme, _)) if scheme.starts_with("redis") => redis(raw).map(|redis| StoreChoice::Redis(Box::new(redis))),
        // Not shown: it may be a Redis URL with a password in it.
        _ => Err(refuse("store", "must be embedded:DIRECTORY or a Redis URL, such as redis://redis.example.com:6379")),
    }
}

fn redis(raw: &Raw) -> Result<RedisChoice, ConfigError> {
    let mut target: Target = raw.store.parse().map_err(|error| refuse("store", format!("{error}")))?;
    if let Some((key, password)) = password(&raw.redis)? {
        if target.login.password.is_some() {
            return Err(refuse(key, "the URL in `store` has a password as well: take it out there"));
        }
        target.login.password = Some(password);
    }
    let prefix = raw.redis.prefix.as_str();
    if !is_name(prefix) {
        return Err(refuse("redis.prefix", "must be 1 to 128 of A-Z a-z 0-9 . _ : -"));
    }
    Ok(RedisChoice { target, prefix: prefix.into(), durability: durability(&raw.durability)? })
}

/// With the key that it was given by. Empty is none: in a compose file, variables that are not set are.
fn password(raw: &RawRedis) -> Result<Option<(&'static str, Secret)>, ConfigError> {
    let given = raw.password.as_deref().filter(|password| !password.is_empty());
    let file = raw.password_file.as_deref().filter(|path| !path.as_os_str().is_empty());
    match (given, file) {
        (Some(_), Some(_)) => Err(refuse("redis.password_file", "redis.password is set as well: one of them")),
        (Some(password), None) => Ok(Some(("redis.password", Secret::new(password)))),
        (None, Some(path)) => Ok(Some(("redis.password_file", read_password(path)?))),
        (None, None) => Ok(None),
    }
}

fn read_password(path: &Path) -> Result<Secret, ConfigError> {
    let refuse = |problem: &str| refuse("redis.password_file", format!("{}: {problem}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| refuse(&error.to_string()))?;
    // Editors and `echo` end a line that is none of the password's.
    let password = text.trim_end_matches(['\n', '\r']);
    if password.is_empty() || password.contains(['\n', '\r']) {
        return Err(refuse("must hold the password on one line, and nothing else"));
    }
    Ok(Secret::new(password))
}

fn durability(raw: &RawDurability) -> Result<Durability, ConfigError> {
    let strict = match raw.mode.as_str() {
        "standard" => false,
        "strict" => true,
        other => return Err(refuse("durability", format!("`{other}` must be standard or strict"))),
    };
    if raw.replicas > REPLICAS_MAX {
        return Err(refuse("durability.replicas", format!("must be 0 to {REPLICAS_MAX}")));
    }
    if raw.replicas > 0 && !strict {
        return Err(refuse("durability.replicas", "waiting for replicas needs durability.mode = \"strict\""));
    }
    Ok(Durability { strict, replicas: raw.replicas })
}
