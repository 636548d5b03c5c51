//! The owner's memory of its partition between two commits, and how a commit is made.
//!
//! `apply` has what the log brings, `due` what falls due, `upkeep` what is done on the side; `draft` is the commit that these fill.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::actors::meter;
use crate::actors::notes::desk::Errand;
use crate::actors::shard::residents::Residents;
use crate::actors::shard::tenure::LeaseClock;
use crate::actors::shard::{Requests, ShardParts};
use crate::clock::Stopwatch;
use crate::domain::{ConversationKey, Settings, Span, Timestamp};
use crate::faults::{Bug, planted};
use crate::store::{Claim, Lease, Loaded, LogEntry, LogId, Place, RowChange, StoreError};

pub mod apply;
pub mod draft;
pub mod due;
pub mod listing;
pub mod period_walk;
pub mod rollups;
pub mod upkeep;

use draft::{Draft, Head};
use listing::Listing;
use period_walk::PeriodWalk;
use rollups::Rollups;
use upkeep::Rounds;

/// The loop asks again when this has passed without an entry; the tick wakes it long before.
const READ_WAIT: Duration = Duration::from_secs(60);

/// On a full node, who is due within this stays: several ticks, so that nobody leaves and is brought back for each.
pub(super) const AT_ONCE: Span = Span::from_secs(10);

/// Claims that met the same backlog, from which on an entry of it is suspected of killing its node: one may be chance, and two.
const SUSPECT_FROM_CLAIM: u32 = 3;

pub struct Owner<'a> {
    pub(super) parts: &'a ShardParts,
    lease: Lease,
    head: Head,
    residents: Residents,
    requests: Rc<Requests>,
    settings: BTreeMap<Box<str>, Arc<Settings>>,
    defaults: Arc<Settings>,
    /// Conversations whose row cannot be read: nothing of theirs is applied, and the index is paged past them.
    unreadable: HashSet<ConversationKey>,
    /// All whose row could not be read since the claim, for as long as it cannot.
    damaged: HashSet<ConversationKey>,
    /// Of which conversations accepted events are in the dead letters without their row counting it, for it could not be read
    /// then: suspended like those whose row does, for one of them might be the reply (D2).
    uncounted: HashMap<ConversationKey, HashSet<LogId>>,
    /// Entries up to here are tried one at a time: one of them may have killed the owner before.
    suspect_until: LogId,
    /// The entry that owners before this one died of, perhaps, and how often.
    tried: Option<(LogId, u32)>,
    /// The mark of the entry that is being tried now.
    trying: Option<(LogId, u32)>,
    rounds: Rounds,
    rollups: Rollups,
    listing: Listing,
    sweeps: VecDeque<(Box<str>, Option<Place>)>,
    period_walks: VecDeque<PeriodWalk>,
    pub(super) lease_clock: Rc<LeaseClock>,
    committed: bool,
}

impl<'a> Owner<'a> {
    /// `survived`: what the owner before was trying when a store call failed, if it is known to have lived on.
    pub fn new(
        parts: &'a ShardParts,
        claim: Claim,
        residents: Residents,
        requests: Rc<Requests>,
        lease_clock: Rc<LeaseClock>,
        survived: Option<(LogId, u32)>,
    ) -> Self {
        // What a batch may have held when the owner before died, counted from the same checkpoint (DESIGN.md, "Poison").
        let suspicious = claim.attempts >= SUSPECT_FROM_CLAIM || claim.trying.is_some();
        claim.settings.iter().for_each(|(workspace, settings)| parts.desk.heard(workspace, settings));
        let period_walks = PeriodWalk::left_over(parts, &claim.settings);
        let listing = Listing::of(parts, &claim);
        Self {
            parts,
            lease: claim.lease,
            head: Head {
                commit: claim.head,
                checkpoint: claim.checkpoint,
                last_notification: claim.last_notification,
                numbered_from: claim.numbered_from,
            },
            residents,
            requests,
            settings: claim.settings.into_iter().map(|(workspace, settings)| (workspace, Arc::new(settings))).collect(),
            defaults: Arc::new(parts.options.defaults.clone()),
            unreadable: HashSet::new(),
            damaged: HashSet::new(),
            uncounted: HashMap::new(),
            suspect_until: if suspicious { LogId { ms: u64::MAX, seq: u64::MAX } } else { LogId::ZERO },
            // A refused commit or a lost answer killed nobody: that try does not count.
            tried: claim.trying.map(|(id, times)| (id, times - u32::from(survived == Some((id, times))))),
            trying: None,
            rounds: Rounds::default(),
            rollups: Rollups::default(),
            listing,
            sweeps: VecDeque::new(),
            period_walks,
            lease_clock,
            committed: false,
        }
    }

    /// Everybody in memory, for an owner that forgets to drop them.
    pub fn into_residents(self) -> Residents {
        self.residents
    }

    pub fn checkpoint(&self) -> LogId {
        self.head.checkpoint
    }

    pub fn has_committed(&self) -> bool {
        self.committed
    }

    /// What was being tried alone when this owner's work ended.
    pub fn trying(&self) -> Option<(LogId, u32)> {
        self.trying
    }

    /// The next entries, as many as a commit takes; waits for the first.
    pub async fn read(&self) -> Result<Vec<LogEntry>, StoreError> {
        self.parts.store.read(self.parts.partition, self.head.checkpoint, self.parts.options.batch_behind, READ_WAIT).await
    }

    /// What this partition has applied, of each workspace that ever changed its settings.
    pub(super) fn settings(&self) -> impl Iterator<Item = (&Box<str>, &Arc<Settings>)> {
        self.settings.iter()
    }

    pub(super) fn settings_of(&self, workspace: &str) -> Arc<Settings> {
        self.settings.get(workspace).unwrap_or(&self.defaults).clone()
    }

    /// The highest version wins ([`Settings::outranks`]). True when this one did.
    pub(super) fn adopt_settings(&mut self, workspace: &str, settings: &Settings) -> bool {
        let before = self.settings_of(workspace);
        if (!settings.outranks(&before) && !planted(Bug::SettingsByArrival)) || planted(Bug::CachedSettings) {
            return false;
        }
        self.settings.insert(workspace.into(), Arc::new(settings.clone()));
        self.parts.desk.heard(workspace, settings);
        if before.epoch_in_force() != settings.epoch_in_force() || before.warning_before != settings.warning_before {
            // One that is under way begins anew: where it has been it told of what held then.
            self.sweeps.retain(|(swept, _)| **swept != *workspace);
            self.sweeps.push_back((workspace.into(), None));
        }
        if before.running != settings.running && settings.running.is_some() {
            self.period_walks.retain(|walk| !walk.is_of(workspace));
            self.period_walks.push_back(PeriodWalk::new(workspace, self.parts.steady.now(), self.parts.partition));
        }
        true
    }

    /// While this holds nobody stays who is not due at once.
    pub(super) fn is_full(&self) -> bool {
        self.residents.node_has() >= self.parts.options.live_max
    }

    pub(super) fn draft(&self) -> Draft {
        Draft::new(self.head, self.parts.options.notifications_kept)
    }

    /// Makes it so. After any error memory is not to be trusted: the shard drops it and claims again.
    pub(super) async fn commit(&mut self, mut draft: Draft) -> Result<(), StoreError> {
        self.count(&mut draft).await?;
        if draft.is_empty(self.head) {
            return Ok(());
        }
        let errands = self.errands(&mut draft);
        if !self.listing.follows() {
            draft.forget_moves();
        }
        let (batch, head) = draft.finish(self.listing.is_whole());
        let touched: Vec<_> = batch.rows.iter().map(|row| (row.key.clone(), stored(&row.change))).collect();
        let tally = meter::Tally::of(&batch);
        if !self.lease_clock.is_good() {
            return Err(StoreError::Refused("the lease can no longer be relied on".into()));
        }
        let stopwatch = Stopwatch::start();
        self.parts.store.commit(self.lease, batch).await?;
        self.lease_clock.confirmed(stopwatch);
        tally.committed(stopwatch.elapsed());
        self.head = head;
        self.committed = true;
        errands.into_iter().for_each(|errand| self.parts.desk.leave(errand));
        for (key, (indexed_at, last_notification)) in &touched {
            self.residents.touch(key, *indexed_at, *last_notification);
        }
        if self.is_full() {
            self.residents.rest_far(touched.into_iter().map(|(key, _)| key), AT_ONCE);
            self.rounds.look_again();
        }
        Ok(())
    }

    /// What is to be done once this is committed: notes to be written, and those that somebody wrote to be learnt from.
    fn errands(&self, draft: &mut Draft) -> Vec<Errand> {
        let wanted = std::mem::take(&mut draft.wanted).into_iter().map(|(key, episode)| Errand::Write { key, episode });
        let noted = draft.notes_by_hand().filter(|(key, _)| self.settings_of(key.workspace()).keeps_texts());
        wanted.chain(noted.map(|(key, category)| Errand::Learn { key: key.clone(), category: category.into() })).collect()
    }

    /// Somebody repaired a row: nobody knows where lists have it.
    fn list_repaired(&mut self) {
        if self.listing.is_whole() {
            self.listing = Listing::Anew(None);
        }
    }

    /// Brings in everybody of `keys` who is not in memory. Answers those whose row cannot be read, with the reason.
    pub(super) async fn admit(
        &mut self,
        keys: impl Iterator<Item = ConversationKey>,
    ) -> Result<Vec<(ConversationKey, Box<str>)>, StoreError> {
        let mut missing: Vec<ConversationKey> = keys.filter(|key| !self.residents.contains(key)).collect();
        missing.sort_unstable();
        missing.dedup();
        if missing.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.parts.store.load(self.parts.partition, missing.clone()).await?;
        let mut unreadable = Vec::new();
        for (key, row) in missing.into_iter().zip(rows) {
            self.unreadable.remove(&key); // it may have been repaired
            if !matches!(row, Loaded::Corrupt { .. }) && self.damaged.remove(&key) {
                self.list_repaired();
            }
            match row {
                Loaded::Missing => self.residents.admit(key, None),
                Loaded::Found { conversation, look_at } => self.residents.admit(key, Some((conversation, look_at))),
                Loaded::Corrupt { reason } => {
                    self.unreadable.insert(key.clone());
                    self.damaged.insert(key.clone());
                    unreadable.push((key, reason));
                }
            }
        }
        Ok(unreadable)
    }
}

/// Where the index has a row after a change, and its latest notification.
fn stored(change: &RowChange) -> (Option<Timestamp>, Option<u64>) {
    match change {
        RowChange::Put { conversation, look_at } => (*look_at, conversation.last_notification),
        RowChange::Remove => (None, None),
    }
}
