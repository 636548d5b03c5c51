//! Keys that somebody deleted under the store: what a claim makes anew, and what it says of that.

use metrics::counter;

use super::errors::of_write;
use super::value::{bytes, list, odd, pairs, text};
use super::{Inner, row};
use crate::domain::PartitionId;
use crate::store::StoreError;

/// In the order of the claim's keys.
const NAMES: [&str; 12] =
    ["lease", "events", "notifications", "dead", "states", "settings", "deadlines", "letters", "marks", "rollups", "texts", "lists"];
/// Came later than the others: a store of an older build has none of them.
const LATER: [&str; 3] = ["rollups", "texts", "lists"];
/// Its place among them.
const LEASE: usize = 0;
/// Rows looked at in one go: some 2 ms of Redis' time.
const PAGE: u64 = 1_000;

/// What a claim found wanting.
pub struct Repair {
    /// The index of when to look at what was lost, the rows were not.
    pub reindex: bool,
    /// Keys that were not there and are now, by their place among [`NAMES`].
    pub made: Vec<usize>,
}

impl Inner {
    /// Says what is missing, and brings back what can be. The partition is claimed already; it is not given to anybody
    /// before this is done.
    pub async fn repair(&self, partition: PartitionId, found: &Repair) -> Result<(), StoreError> {
        if found.made.contains(&LEASE) {
            // The first claim there ever was, or nothing is left.
            self.is_the_same().await?;
        }
        if found.made.len() < NAMES.len() {
            for key in found.made.iter().filter_map(|place| NAMES.get(*place)) {
                if LATER.contains(key) {
                    tracing::warn!(%partition, key, "begins anew: an older build kept nothing there, or somebody deleted it");
                    continue;
                }
                counter!("adjourn_redis_keys_lost_total", "key" => *key).increment(1);
                tracing::error!(%partition, key, "a key of the partition is gone: somebody deleted it, and what it held is lost");
            }
        }
        if found.reindex { self.reindex(partition).await } else { Ok(()) }
    }

    /// Puts every row where it is to be looked at. Whoever claims before this has ended begins again.
    async fn reindex(&self, partition: PartitionId) -> Result<(), StoreError> {
        let of = self.keys.of(partition);
        let mut place = "0".to_owned();
        loop {
            let mut scan = redis::cmd("HSCAN");
            scan.arg(&*of.states).arg(&place).arg("COUNT").arg(PAGE);
            let page = self.link.run(scan).await.map_err(|error| of_write(partition, error))?;
            let mut parts = list(page).unwrap_or_default().into_iter();
            let (Some(cursor), Some(rows)) = (parts.next(), parts.next().and_then(pairs)) else { return Err(odd("a page of a hash")) };
            let mut add = redis::cmd("ZADD");
            // What is there is newer.
            add.arg(&*of.deadlines).arg("NX").arg("+inf").arg("");
            for (name, stored) in &rows {
                if let (Some(name), Some(Some(at))) = (bytes(name), bytes(stored).and_then(row::look_at)) {
                    add.arg(at.as_millis()).arg(name);
                }
            }
            self.link.run(add).await.map_err(|error| of_write(partition, error))?;
            match text(&cursor) {
                Some("0") => break,
                Some(next) => next.clone_into(&mut place),
                None => return Err(odd("a page of a hash")),
            }
        }
        let mut done = redis::cmd("HDEL");
        done.arg(&*of.lease).arg("reindex");
        self.link.run(done).await.map_err(|error| of_write(partition, error))?;
        tracing::warn!(%partition, "the index of when to look at what is made anew from the rows");
        Ok(())
    }
}
