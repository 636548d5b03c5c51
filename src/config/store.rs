//! Which store, and everything that is said about it in several places.

use std::path::PathBuf;

use super::raw::RawDurability;
use super::secret::secret;
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
        for secret in [&mut self.redis.password, &mut self.writer.key, &mut self.keys.operator] {
            *secret = secret.take().map(|_| "***".to_owned());
        }
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
    let (given, file) = (raw.redis.password.as_deref(), raw.redis.password_file.as_deref());
    if let Some((key, password)) = secret(["redis.password", "redis.password_file"], given, file)? {
        if target.login.password.is_some() {
            return Err(refuse(key, "the URL in `store` has a password as well: take it out there"));
        }
        target.login.password = Some(Secret::new(password));
    }
    let prefix = raw.redis.prefix.as_str();
    if !is_name(prefix) {
        return Err(refuse("redis.prefix", "must be 1 to 128 of A-Z a-z 0-9 . _ : -"));
    }
    Ok(RedisChoice { target, prefix: prefix.into(), durability: durability(&raw.durability)? })
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
