//! The model against the store: the same calls, many and at random, get the same answers and leave the same behind (I8).
//!
//! `ADJOURN_STORE_COMMITS=50000 cargo test --test store as_the_model -- --nocapture` writes so many commits to each store;
//! `ADJOURN_STORE_SEED=7` begins with another seed than 1. After each call the answer is compared and with it the head, by
//! whether the next commit is taken; all that can be read is compared every few calls, more often the fewer commits there are.
//! That a difference is found: `doctored.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use adjourn::domain::listing::{Move, Standing};
use adjourn::domain::notice::Status;
use adjourn::domain::{ConversationKey, PartitionId, Settings, Timestamp};
use adjourn::store::testing::StoreInTests;
use adjourn::store::*;

use crate::bench::*;
use crate::lists::{conversation_at, standing};
use crate::rng::{Rng, number_from};
use crate::rollups::write;

/// From one seed; the next goes on with what the last one left.
const CALLS_OF_A_SEED: usize = 120;
/// All that there is to be read takes longer than a call: with many calls it is not read after each.
const COMPARED_AT_MOST: u64 = 2_500;

/// Which calls, and how many.
pub struct Run {
    first_seed: u64,
    commits: u64,
}

impl Run {
    /// About five times as many calls, some refused, some fenced.
    pub const USUAL: Self = Self { first_seed: 1, commits: 250 };
}

/// What the store is told otherwise than the model: as if it did not do what it is told.
pub struct Doctoring {
    pub claim: fn(&mut Member),
    pub append: fn(&mut Vec<(PartitionId, Entry)>),
    pub put_settings: fn(&mut Settings),
    pub commit: fn(&mut Batch),
    /// The lease and the head that a commit shows, and those that are good.
    pub shown: fn((Lease, CommitId), (Lease, CommitId)) -> (Lease, CommitId),
}

impl Doctoring {
    pub const NONE: Self = Self { claim: |_| {}, append: |_| {}, put_settings: |_| {}, commit: |_| {}, shown: |shown, _| shown };
}

pub async fn random_calls_are_answered_as_the_model_answers(bench: Bench) {
    let Run { first_seed, commits } = Run::USUAL;
    let run = Run {
        first_seed: number_from("ADJOURN_STORE_SEED").unwrap_or(first_seed),
        commits: number_from("ADJOURN_STORE_COMMITS").unwrap_or(commits),
    };
    compare(bench, run, Doctoring::NONE).await;
}

/// Panics where the store is not as the model is.
pub async fn compare(mut bench: Bench, run: Run, doctoring: Doctoring) {
    let mut pair = Pair {
        model: bench.model_beside().await,
        head: CommitId::default(),
        owners: Vec::new(),
        seen: vec![(bench.holder().await, None)],
        rows: BTreeMap::new(),
        standings: BTreeMap::new(),
        listed: BTreeMap::new(),
        asked: Vec::new(),
        before: Vec::new(),
        doctoring,
    };
    let Run { first_seed, commits } = run;
    let every = commits.div_ceil(COMPARED_AT_MOST);
    let (mut dice, mut written, mut calls) = (Rng::new(first_seed), 0, 0_usize);
    let _replay = Replay(run);
    while written < commits {
        if calls.is_multiple_of(CALLS_OF_A_SEED) {
            dice = Rng::new(first_seed + (calls / CALLS_OF_A_SEED) as u64);
        }
        let head = pair.head;
        pair.call(&mut bench, &mut dice).await;
        calls += 1;
        if head != pair.head {
            written += 1;
            if written.is_multiple_of(every) || written == commits {
                pair.compare(&bench, &format!("after {calls} calls and {written} commits, compared after every {every}")).await;
            }
        }
    }
    println!("{calls} calls, {written} commits written, all compared after every {every}, from seed {first_seed} on");
}

/// Says how to see it again, where it fails.
struct Replay(Run);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Run { first_seed, commits } = self.0;
            println!("again: ADJOURN_STORE_SEED={first_seed} ADJOURN_STORE_COMMITS={commits} cargo test --test store as_the_model");
        }
    }
}

struct Pair {
    model: Bench,
    /// The last commit that was written.
    head: CommitId,
    /// Everybody who ever claimed, with the lease of the store and that of the model; the last one holds the partition,
    /// unless it was given back.
    owners: Vec<(Lease, Lease)>,
    /// The lease record as it stood when somebody looked, of the store and of the model, latest last.
    seen: Vec<(Option<Holder>, Option<Holder>)>,
    /// Where the index has each row, as a writer remembers it.
    rows: BTreeMap<String, Option<i64>>,
    /// Where each row stands, and where lists have it.
    standings: BTreeMap<ConversationKey, Standing>,
    listed: BTreeMap<ConversationKey, Standing>,
    /// Entries that became applied since the store was opened, repeats and others: it need not remember them for longer.
    asked: Vec<LogId>,
    /// The latest commits that were written, to be sent once more.
    before: Vec<(Lease, Lease, Batch)>,
    doctoring: Doctoring,
}

impl Pair {
    async fn call(&mut self, bench: &mut Bench, dice: &mut Rng) {
        match dice.below(24) {
            0 | 1 => self.claim(bench).await,
            2 => self.release(bench, dice).await,
            3 => bench.clock.jump(dice.below(4_000) as i64 - 1_000),
            4 if dice.one_in(4) => self.reopen(bench).await,
            5 => self.put_settings(bench, dice).await,
            6..10 => self.append(bench, dice).await,
            10 => self.look(bench).await,
            11 => self.claim_over_what_was_seen(bench, dice).await,
            12 => self.renew(bench, dice).await,
            13 => self.ask(bench, dice).await,
            14 if dice.one_in(3) => self.commit_again(bench, dice).await,
            _ => self.commit(bench, dice).await,
        }
    }

    /// All that a reader can see, and what it sees only by asking for it: rows as they are loaded, and the lease record.
    async fn compare(&self, bench: &Bench, when: &str) {
        for (ours, models) in bench.dump().await.into_iter().zip(self.model.dump().await) {
            assert_eq!(ours, models, "{when}");
        }
        let keys: Vec<_> = self.rows.keys().map(|text| key(text)).chain([key("acme/none")]).collect();
        // Redis keeps an instant before 1970 as the first one there is, in the row though not in the index.
        let since_1970 = |loaded| match loaded {
            Loaded::Found { conversation, look_at } => Loaded::Found { conversation, look_at: look_at.map(|look_at| look_at.max(at(0))) },
            other => other,
        };
        let load = async |bench: &Bench| bench.store().load(P, keys.clone()).await.unwrap().into_iter().map(since_1970).collect::<Vec<_>>();
        assert_eq!(load(bench).await, load(&self.model).await, "{when}");
        let record = |holder: Option<Holder>| holder.map(|held| (held.member, held.beat));
        assert_eq!(record(bench.holder().await), record(self.model.holder().await), "{when}");
    }

    /// Whoever opens a store claims: one that a process has to itself forgets who held what when that process is gone.
    async fn reopen(&mut self, bench: &mut Bench) {
        bench.reopen().await;
        self.asked.clear();
        self.claim(bench).await;
    }

    async fn claim(&mut self, bench: &Bench) {
        let ours = bench.store().seize(P, self.claimant()).await;
        let models = self.model.store().seize(P, Member::default()).await;
        self.claimed(ours, models);
        self.look(bench).await;
    }

    async fn look(&mut self, bench: &Bench) {
        self.seen.push((bench.holder().await, self.model.holder().await));
    }

    /// Mostly a record that has moved since.
    async fn claim_over_what_was_seen(&mut self, bench: &Bench, dice: &mut Rng) {
        let back = dice.below(3) as usize;
        let Some((ours, models)) = self.seen.iter().rev().nth(back).cloned() else { return };
        let ours = bench.store().claim(P, self.claimant(), ours).await;
        let models = self.model.store().claim(P, Member::default(), models).await;
        self.claimed(ours, models);
    }

    fn claimant(&self) -> Member {
        let mut member = Member::default();
        (self.doctoring.claim)(&mut member);
        member
    }

    fn claimed(&mut self, ours: Result<Claim, StoreError>, models: Result<Claim, StoreError>) {
        assert_eq!(class(&ours), class(&models), "{ours:?} {models:?}");
        if let (Ok(ours), Ok(models)) = (ours, models) {
            self.owners.push((ours.lease, models.lease));
            self.head = models.head;
            assert_eq!(Claim { lease: models.lease, ..ours }, models);
        }
    }

    async fn renew(&self, bench: &Bench, dice: &mut Rng) {
        if let Some((ours, models)) = self.owner(dice) {
            let (ours, models) = (bench.store().renew(ours).await, self.model.store().renew(models).await);
            assert_eq!(class(&ours), class(&models), "{ours:?} {models:?}");
        }
    }

    /// What `dump` does not ask.
    async fn ask(&self, bench: &Bench, dice: &mut Rng) {
        let limit = dice.below(6) as usize + 1;
        let walk = async |bench: &Bench| crate::walks::walk(bench, P, limit, async |_| {}).await;
        assert_eq!(walk(bench).await, walk(&self.model).await);
        let until = at(dice.below(6) as i64 - 2);
        let count = async |bench: &Bench| bench.store().count_due(P, until).await.unwrap();
        assert_eq!(count(bench).await, count(&self.model).await);
        let ids: Vec<LogId> = self.asked.iter().filter(|_| dice.one_in(2)).copied().collect();
        let applied = async |bench: &Bench| bench.store().applied(P, ids.clone()).await.unwrap();
        assert_eq!(applied(bench).await, applied(&self.model).await);
    }

    async fn release(&mut self, bench: &Bench, dice: &mut Rng) {
        if let Some((ours, models)) = self.owner(dice) {
            bench.store().release(ours, None).await.unwrap();
            self.model.store().release(models, None).await.unwrap();
        }
    }

    /// The last owner, seldom an earlier one.
    fn owner(&self, dice: &mut Rng) -> Option<(Lease, Lease)> {
        let back = if dice.one_in(8) { dice.below(self.owners.len().max(1) as u64) as usize } else { 0 };
        self.owners.iter().rev().nth(back).copied()
    }

    async fn append(&mut self, bench: &Bench, dice: &mut Rng) {
        let (count, now) = (dice.below(12), self.model.clock.now().as_millis());
        let mut taken = |n| match dice.one_in(5) {
            true => Entry::Again { event: Box::new(event(&format!("e{n}"))), accepted_at: at(now - dice.below(900) as i64) },
            false => entry(&format!("e{n}")),
        };
        let entries: Vec<_> = (0..count).map(|n| (P, taken(n))).collect();
        let mut told = entries.clone();
        (self.doctoring.append)(&mut told);
        let ours = bench.store().append(told).await;
        let models = self.model.store().append(entries).await;
        assert_eq!(ours.map_err(|e| e.to_string()), models.map_err(|e| e.to_string()));
    }

    async fn put_settings(&mut self, bench: &Bench, dice: &mut Rng) {
        let (expected, version) = (dice.below(3), dice.below(3));
        let mut told = settings(version);
        (self.doctoring.put_settings)(&mut told);
        let ours = bench.store().put_settings("acme".into(), expected, told).await.unwrap();
        assert_eq!(ours, self.model.store().put_settings("acme".into(), expected, settings(version)).await.unwrap());
    }

    async fn commit(&mut self, bench: &Bench, dice: &mut Rng) {
        let Some((ours, models)) = self.owner(dice) else { return };
        let (batch, applies) = self.batch(dice).await;
        let mut told = batch.clone();
        (self.doctoring.commit)(&mut told);
        let good = self.owners.last().map_or(ours, |(ours, _)| *ours);
        let (shown, based_on) = (self.doctoring.shown)((ours, told.based_on), (good, self.head));
        let written = bench.store().commit(shown, Batch { based_on, ..told }).await;
        let expected = self.model.store().commit(models, batch.clone()).await;
        assert_eq!(class(&written), class(&expected), "{written:?} {expected:?}");
        if expected.is_ok() {
            self.remember(&batch);
            self.before.drain(..self.before.len().saturating_sub(3));
            self.before.push((ours, models, batch.clone()));
            self.asked.extend(applies);
        }
    }

    /// A doubled or a late commit: no answer but a refusal, whoever holds the partition by now.
    async fn commit_again(&self, bench: &Bench, dice: &mut Rng) {
        let back = dice.below(3) as usize;
        let Some((ours, models, batch)) = self.before.iter().rev().nth(back).cloned() else { return };
        let written = bench.store().commit(ours, batch.clone()).await;
        let expected = self.model.store().commit(models, batch).await;
        assert_eq!(class(&written), class(&expected), "{written:?} {expected:?}");
        assert!(expected.is_err(), "a commit is written once");
    }

    /// Mostly one that will be written, and the entries it applies.
    async fn batch(&self, dice: &mut Rng) -> (Batch, Vec<LogId>) {
        let stats = self.model.store().stats().await.unwrap()[usize::from(P.0)];
        let log = self.model.read(P, stats.checkpoint).await;
        let reach = dice.below(log.len() as u64 + 1) as usize;
        let mut checkpoint = log[..reach].last().map_or(stats.checkpoint, |entry| entry.id);
        if reach == 0 && dice.one_in(20) {
            checkpoint = checkpoint.before();
        }
        let head = match dice.below(20) {
            0 => CommitId(7),
            1 => self.before.iter().rev().nth(1).map_or(CommitId(7), |(_, _, batch)| batch.id),
            _ => self.head,
        };
        let mut batch = Batch::new(head, checkpoint);
        batch.rows = (0..dice.below(4)).map(|n| self.row(n, dice)).collect();
        let first = stats.last_notification + if dice.one_in(12) { 2 } else { 1 };
        batch.notifications = (0..dice.below(3)).map(|n| notification(first + n, dice.one_in(2).then_some(first))).collect();
        batch.trim_notifications_below = dice.below(stats.last_notification + 3);
        batch.dead = log[..reach].iter().filter(|_| dice.one_in(9)).map(|entry| dead_letter(entry.id)).collect();
        let mut mark = |entry: &LogEntry| dice.one_in(3).then(|| (entry.id, Mark::of(dice.below(11) as u8)));
        batch.marks = log[..reach].iter().filter_map(&mut mark).collect();
        batch.settings = dice.one_in(6).then(|| ("acme".into(), settings(dice.below(9)))).into_iter().collect();
        let days = dice.one_in(3).then(|| write("acme", dice.below(3) as i32, (!dice.one_in(4)).then_some(dice.below(9) as u32)));
        batch.rollups = days.into_iter().collect();
        batch.trying = dice.one_in(6).then_some((checkpoint, 1));
        batch.not_before = dice.one_in(3).then(|| self.deadline(&log[reach..], dice));
        if dice.one_in(6) {
            let letters = self.model.store().dead_letters(P, LogId::ZERO, 2).await.unwrap();
            batch.dead_removed = letters.iter().map(|letter| letter.id).collect();
        }
        self.list(&mut batch, dice);
        (batch, log[..reach].iter().map(|entry| entry.id).collect())
    }

    /// Says where the rows of the batch go, at times where others belong that are not there; and that all are where they stand,
    /// where they are.
    fn list(&self, batch: &mut Batch, dice: &mut Rng) {
        batch.lists = if dice.one_in(12) { Lists::Thinned } else { Lists::Doubtful };
        let mut listed = if batch.lists == Lists::Thinned { BTreeMap::new() } else { self.listed.clone() };
        let mut standings = self.standings.clone();
        follow(&mut standings, batch);
        let touched: BTreeSet<ConversationKey> = batch.rows.iter().map(|write| write.key.clone()).collect();
        let others = standings.keys().filter(|_| dice.one_in(2)).cloned();
        let moved: BTreeSet<ConversationKey> = touched.into_iter().chain(others).collect();
        for key in moved.into_iter().filter(|_| batch.lists != Lists::Thinned) {
            let (from, to) = (listed.remove(&key), standings.get(&key).cloned());
            listed.extend(to.clone().map(|to| (key.clone(), to)));
            if from != to {
                batch.moves.push(Move { key, from, to });
            }
        }
        if listed == standings && batch.lists == Lists::Doubtful && !dice.one_in(6) {
            batch.lists = Lists::Whole;
        }
    }

    /// Around the clock, or around when the first entry was accepted that the batch does not apply.
    fn deadline(&self, left: &[LogEntry], dice: &mut Rng) -> Timestamp {
        let now = self.model.clock.now().as_millis();
        let border = dice.below(3) as i64 - 1;
        match (left.first(), dice.below(3)) {
            (_, 0) => at(now + border),
            (Some(entry), 1) => at(entry.id.accepted_at().as_millis() + border),
            _ => at(now - dice.below(600) as i64 + 100),
        }
    }

    fn row(&self, n: u64, dice: &mut Rng) -> RowWrite {
        let key = format!("{}/{n}{}", ["a", "a-b", "ab"][dice.below(3) as usize], dice.below(5));
        let indexed_at = self.rows.get(&key).copied();
        match (indexed_at, dice.one_in(4)) {
            (Some(indexed_at), true) => remove(&key, indexed_at),
            // It was never there, or is there no longer.
            (None, true) => remove(&key, None),
            (indexed_at, false) => {
                let look_at = dice.one_in(2).then(|| dice.below(6) as i64 - 2);
                let agent = [None, Some("ana"), Some("ana b")][dice.below(3) as usize];
                let standing = Status::ALL.get(dice.below(4) as usize).and_then(|status| standing(*status, agent));
                let conversation = Arc::new(conversation_at(dice.below(99), standing.as_ref()));
                let change = RowChange::Put { conversation, look_at: look_at.map(at) };
                RowWrite { change, ..put(&key, indexed_at.flatten(), None) }
            }
        }
    }

    fn remember(&mut self, batch: &Batch) {
        self.head = batch.id;
        follow(&mut self.standings, batch);
        if batch.lists == Lists::Thinned {
            self.listed.clear();
        }
        for Move { key, to, .. } in &batch.moves {
            self.listed.remove(key);
            self.listed.extend(to.clone().map(|to| (key.clone(), to)));
        }
        for write in &batch.rows {
            match &write.change {
                RowChange::Put { look_at, .. } => self.rows.insert(write.key.to_string(), look_at.map(Timestamp::as_millis)),
                RowChange::Remove => self.rows.remove(write.key.as_str()),
            };
        }
    }
}

/// Where rows stand after a batch.
fn follow(standings: &mut BTreeMap<ConversationKey, Standing>, batch: &Batch) {
    for write in &batch.rows {
        standings.remove(&write.key);
        if let RowChange::Put { conversation, .. } = &write.change {
            standings.extend(Standing::of(conversation).map(|standing| (write.key.clone(), standing)));
        }
    }
}

/// What the caller does next; the reasons may be told in other words.
fn class<T>(result: &Result<T, StoreError>) -> Option<std::mem::Discriminant<StoreError>> {
    result.as_ref().err().map(std::mem::discriminant)
}
