//! Waiting for what comes by itself: for a bounded time, and who has waited in vain says for what.
//!
//! A test crate takes it in with `#[path = "../patience/mod.rs"] mod patience;`.

#![allow(dead_code)] // each test crate uses a part of it

use std::time::Duration;

/// Long enough for any machine; only a test that fails takes it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Looks every millisecond until it is so.
pub async fn eventually(what: &str, holds: impl AsyncFnMut() -> bool) {
    eventually_every(Duration::from_millis(1), what, holds).await;
}

/// Looks again after each `pause`, where looking takes something.
pub async fn eventually_every(pause: Duration, what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(pause).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("waited in vain for {what}"));
}

/// Looks every millisecond until there is one, and answers it.
pub async fn found<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let mut found = None;
    eventually(what, async || {
        found = look().await;
        found.is_some()
    })
    .await;
    found.unwrap()
}
