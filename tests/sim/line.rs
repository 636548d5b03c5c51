//! A node's way to its store: it can be cut, both ways or one, and mended, while other nodes of the same store go on.

use std::sync::Arc;

use adjourn::store::memory::MemoryStore;
use adjourn::store::{Store, StoreError};
use futures_util::future::{BoxFuture, FutureExt};
use tokio::sync::watch;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    Open,
    /// Calls do not arrive until it opens; one whose caller is gone by then never does.
    Cut,
    /// Calls arrive, and their answers do not until it opens.
    Deaf,
}

pub struct Line {
    store: Arc<MemoryStore>,
    way: watch::Sender<Way>,
}

type Answer<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

impl Line {
    pub fn to(store: Arc<MemoryStore>) -> Arc<Self> {
        Arc::new(Self { store, way: watch::Sender::new(Way::Open) })
    }

    pub fn set(&self, way: Way) {
        self.way.send_replace(way);
    }

    fn store(&self) -> &Arc<MemoryStore> {
        &self.store
    }

    fn pass<'a, T: Send + 'a>(&'a self, _: &'static str, call: impl FnOnce() -> Answer<'a, T>) -> Answer<'a, T> {
        let call = call();
        async move {
            let mut way = self.way.subscribe();
            let _ = way.wait_for(|way| *way != Way::Cut).await;
            let answer = call.await;
            let _ = way.wait_for(|way| *way == Way::Open).await;
            answer
        }
        .boxed()
    }
}

impl Store for Line {
    adjourn::forward_store! {
        partitions incarnation clock append read barrier claim renew release commit load rollups texts rollups_before due listed scan
        walk applied notifications notification_heads notification_signal applied_settings settings all_settings record_settings
        document put_document dead_letters stats count_due is_exclusive cluster heartbeat leave drain pin closes_held
        hold_closes release_hold hints
    }
}
