//! Listening to a store's hints, which may be on their way for a while.

use std::time::Duration;

use adjourn::store::*;
use tokio::sync::broadcast::Receiver;

use crate::bench::*;

/// From calling until nobody expects an answer any more.
const ECHO: Duration = Duration::from_millis(100);

/// Hears every hint from its making on.
pub struct Ear(Receiver<Hint>);

impl Ear {
    /// Listens, and calls until it hears itself: a store may need a moment until hints come through.
    pub async fn open(bench: &Bench) -> Self {
        let mut ear = Self(bench.store().hints());
        let called = async {
            for call in 0.. {
                let echo = released(OTHER, Some(&format!("call-{call}")));
                ear.call(bench, &echo).await;
                if tokio::time::timeout(ECHO, ear.until(&echo)).await.is_ok() {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, called).await.expect("no hint ever came");
        ear
    }

    async fn call(&self, bench: &Bench, echo: &Hint) {
        let lease = bench.claim_of(OTHER).await.lease;
        let Hint::Released { to, .. } = echo else { panic!("{echo:?} is no release") };
        bench.store().release(lease, to.clone()).await.unwrap();
    }

    /// Hints before this one, and this one; waits for it without end.
    async fn until(&mut self, last: &Hint) -> Vec<Hint> {
        let mut heard = Vec::new();
        while heard.last() != Some(last) {
            heard.push(self.0.recv().await.unwrap());
        }
        heard
    }

    /// The next hint.
    pub async fn next(&mut self) -> Hint {
        tokio::time::timeout(PATIENCE, self.0.recv()).await.expect("no hint came").unwrap()
    }

    /// What was given back until now, and to whom: ends with a word of its own.
    pub async fn releases(&mut self, bench: &Bench) -> Vec<Hint> {
        let end = released(OTHER, Some("end"));
        self.call(bench, &end).await;
        let mut heard = tokio::time::timeout(PATIENCE, self.until(&end)).await.expect("the last hint did not come");
        heard.pop();
        heard.retain(|hint| *hint != Hint::Changed);
        heard
    }
}

pub fn released(partition: adjourn::domain::PartitionId, to: Option<&str>) -> Hint {
    Hint::Released { partition, to: to.map(Into::into) }
}
