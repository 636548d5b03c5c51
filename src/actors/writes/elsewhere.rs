//! Hearing from the store how far a partition is that another node applies. Whoever waits asks; of those who wait for the
//! same partition one asks for all, and hands the turn on when its own answer has come or it was given up.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::domain::PartitionId;
use crate::store::{LogId, Mark, Store, StoreError};

/// Between two questions: about what a commit takes at first, and no longer than anybody notices later.
const ASK_AFTER: Duration = Duration::from_millis(2);
const ASK_AFTER_MAX: Duration = Duration::from_millis(20);
/// Entries asked about at a time, the oldest first: as many as a commit holds.
const ASKED_AT_ONCE: usize = 1_024;

/// Those who wait for one partition.
#[derive(Default)]
pub struct Elsewhere {
    waiting: Mutex<Vec<Waiting>>,
    /// Held by whoever asks.
    turn: tokio::sync::Mutex<()>,
}

struct Waiting {
    /// Not known to be applied yet, in order; and where each stands in the question.
    open: Vec<(LogId, usize)>,
    marks: Vec<Option<Mark>>,
    answer: oneshot::Sender<Vec<Option<Mark>>>,
}

impl Elsewhere {
    /// Answers when all of these are applied: of each, what is known of it.
    ///
    /// # Errors
    /// `Unavailable`, once the store is closed or broken.
    pub async fn applied(&self, store: &dyn Store, partition: PartitionId, ids: Vec<LogId>) -> Result<Vec<Option<Mark>>, StoreError> {
        let (answer, mut answered) = oneshot::channel();
        let marks = vec![None; ids.len()];
        let mut open: Vec<(LogId, usize)> = ids.into_iter().enumerate().map(|(place, id)| (id, place)).collect();
        open.sort_unstable();
        self.lock().push(Waiting { open, marks, answer });
        tokio::select! {
            biased;
            marks = &mut answered => return marks.map_err(|_| gone()),
            turn = self.turn.lock() => {
                let _turn = turn;
                self.ask(store, partition, &answered).await?;
            }
        }
        answered.await.map_err(|_| gone())
    }

    /// Asks for everybody until `mine` was answered.
    async fn ask(&self, store: &dyn Store, partition: PartitionId, mine: &oneshot::Receiver<Vec<Option<Mark>>>) -> Result<(), StoreError> {
        let mut pause = ASK_AFTER;
        loop {
            let ids = self.oldest();
            if ids.is_empty() || !mine.is_empty() {
                return Ok(());
            }
            let reached = match store.applied(partition, ids.clone()).await {
                Ok(applied) => ids.into_iter().zip(applied.marks).filter(|(id, _)| *id <= applied.checkpoint).collect(),
                Err(broken @ StoreError::Unavailable(_)) => return Err(broken),
                Err(_) => Vec::new(), // it may answer the next time; how long to wait is for the caller to say
            };
            if self.tell(&reached) {
                pause = ASK_AFTER;
            } else {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(ASK_AFTER_MAX);
            }
        }
    }

    /// What is asked about next, in order, each once. Who gave up is forgotten.
    fn oldest(&self) -> Vec<LogId> {
        let mut waiting = self.lock();
        waiting.retain(|waiting| !waiting.answer.is_closed());
        let mut ids: Vec<LogId> = waiting.iter().flat_map(|waiting| waiting.open.iter().take(ASKED_AT_ONCE)).map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.truncate(ASKED_AT_ONCE);
        ids
    }

    /// True when there was something to tell.
    fn tell(&self, reached: &[(LogId, Option<Mark>)]) -> bool {
        let mut waiting = self.lock();
        for waiting in waiting.iter_mut() {
            let Waiting { open, marks, .. } = waiting;
            open.retain(|(id, place)| match reached.binary_search_by_key(id, |(id, _)| *id) {
                Ok(found) => {
                    marks[*place] = reached[found].1;
                    false
                }
                Err(_) => true,
            });
        }
        for done in waiting.extract_if(.., |waiting| waiting.open.is_empty()) {
            let _ = done.answer.send(done.marks);
        }
        !reached.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn gone() -> StoreError {
    StoreError::Refused("the wait was given up".into())
}
