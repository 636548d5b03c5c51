//! What became of a call, in the store's terms, with a metric for what an operator should see.

use metrics::counter;

use super::link::{LinkError, ServerError};
use crate::domain::PartitionId;
use crate::store::StoreError;

/// Of a call that changes something in a partition.
pub fn of_write(partition: PartitionId, error: LinkError) -> StoreError {
    match error {
        LinkError::Away(reason) => away(&reason),
        LinkError::Unknown(reason) => {
            counter!("adjourn_redis_errors_total", "code" => "no-answer").increment(1);
            StoreError::OutcomeUnknown(reason)
        }
        LinkError::Replaced => StoreError::Refused(error.to_string().into()),
        LinkError::Server(error) => of_server(partition, &error),
    }
}

/// Of a call that changes nothing.
pub fn of_read(partition: PartitionId, error: LinkError) -> StoreError {
    match of_write(partition, error) {
        StoreError::OutcomeUnknown(reason) => StoreError::Unavailable(reason),
        other => other,
    }
}

/// Of a call that belongs to no partition.
pub fn general(error: LinkError) -> StoreError {
    of_read(PartitionId(0), error)
}

fn away(reason: &str) -> StoreError {
    counter!("adjourn_redis_errors_total", "code" => "away").increment(1);
    StoreError::Unavailable(format!("Redis cannot be reached: {reason}").into())
}

/// A script that ends with an error has written nothing: it checks first.
pub fn of_server(partition: PartitionId, error: &ServerError) -> StoreError {
    match &*error.code {
        "FENCED" => return StoreError::Fenced { partition },
        "REFUSED" => return StoreError::Refused((*error.detail).into()),
        _ => {}
    }
    counter!("adjourn_redis_errors_total", "code" => error.code.to_string()).increment(1);
    let advice = match &*error.code {
        "OOM" => "its memory is full: give it more, or shorten `retention` and `notifications.keep`",
        _ if is_forbidden(error) => "the user may not do this: `adjourn redis acl` prints what it needs",
        "WRONGTYPE" | "TAMPERED" => "something else writes under adjourn's prefix, or a restore went wrong: the prefix is to be its own",
        "READONLY" | "MASTERDOWN" => "it is no primary: check the URL, or use the redis+sentinel:// form",
        "MISCONF" => "it cannot write to its disk: see its own log",
        "UNBLOCKED" | "MOVED" | "ASK" | "TRYAGAIN" | "CLUSTERDOWN" => "another server takes over: trying on",
        "NOREPLICAS" => "it has too few replicas (min-replicas-to-write)",
        _ => "see its own log",
    };
    let (code, detail) = (&error.code, &error.detail);
    match &**code {
        // They pass by themselves, and every partition meets them.
        "UNBLOCKED" | "MOVED" | "ASK" | "TRYAGAIN" | "CLUSTERDOWN" | "LOADING" => {
            tracing::debug!(%partition, %code, %detail, advice, "Redis refused a command");
        }
        _ => tracing::error!(%partition, %code, %detail, advice, "Redis refused a command"),
    }
    let reason = format!("Redis says {error}; {advice}");
    match &*error.code {
        "OOM" => StoreError::Full { used: 0, limit: 0 },
        "NOSCRIPT" | "TRYAGAIN" | "MOVED" | "ASK" | "LOADING" | "BUSY" | "CLUSTERDOWN" | "READONLY" | "UNBLOCKED" => {
            StoreError::Unavailable(reason.into())
        }
        _ => StoreError::Refused(reason.into()),
    }
}

/// Within a script Redis 7.0 says so in words only.
fn is_forbidden(error: &ServerError) -> bool {
    matches!(&*error.code, "NOPERM" | "NOAUTH" | "WRONGPASS") || error.detail.contains("can't run this command")
}

/// A record that this build cannot read: from a newer one, or broken. What stands beside it goes on.
pub fn unreadable(record: &'static str, of: impl std::fmt::Display, reason: impl std::fmt::Display) {
    counter!("adjourn_records_unreadable_total", "record" => record).increment(1);
    tracing::error!(record, %of, %reason, "a record cannot be read and is passed over");
}
