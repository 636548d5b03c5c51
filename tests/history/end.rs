//! When all is quiet: what was accepted, told, closed and set aside, beside what should have been.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use adjourn::domain::listing::{Of, Section, SectionQuery, Standing};
use adjourn::domain::notice::Status;
use adjourn::domain::report::{Day, Rollup};
use adjourn::domain::{
    self, Conversation, ConversationKey, ConversationNotice, Notice, NoticeKind, PartitionId, Refusal, Settings, Snapshot, deadline,
};
use adjourn::store::{LogEntry, LogId, Notification, Store};
use adjourn::wire::CloudEvent;
use futures_util::FutureExt;

use super::fold::Fold;
use super::ground::{Journal, Logged};
use super::judge::checker::{Violation as Judged, check};
use super::judge::history::History;
use super::judge::record::{self, Histories};
use super::laws::{Law, Violation, closes, violates};
use super::plan::{Act, has_only_messages};
use super::poison::is_poison;
use super::run::{Acknowledged, Outcome, Tally, WORKSPACE, World};
use super::story;
use super::time::Ms;

/// Nothing in the way, a timer closes within a tick, and some of the machines' time for the calls it takes.
const LATE_MAX: Ms = 2_500;

/// Events of a conversation within which a repeat changes nothing (D6).
const REMEMBERED: usize = 32;

pub fn judge(world: &World, telling: Option<&str>) -> Outcome {
    let mut journal = world.ground.close();
    let mut violations = std::mem::take(&mut journal.violations);
    let told = all_told(world);
    violations.extend(accepted_is_applied(world, &journal));
    violations.extend(heard_is_stored(world, &told));
    violations.extend(one_close_an_episode(&told));
    violations.extend(state_is_the_log(world, &journal));
    let (late, judged_for_lateness) = in_time(world, &journal);
    violations.extend(late);
    violations.extend(rules_of_messages(world, &journal, &told));
    let of = |kind| told.iter().filter(|told| matches!(told.notice(), Notice::Conversation(told) if told.kind == kind)).count();
    let tally = Tally {
        accepted: world.ledger.borrow().acknowledged.len(),
        commits: journal.partitions.iter().map(|book| book.commits.len()).sum(),
        claims: journal.partitions.iter().filter_map(|book| book.lease).map(|lease| lease.epoch as usize).sum(),
        auto_closes: journal.partitions.iter().flat_map(|book| &book.commits).map(|committed| closes(committed).count()).sum(),
        judged_for_lateness,
        reversals: of(NoticeKind::Reversed),
        warnings: of(NoticeKind::ClosingSoon),
        set_aside: journal.partitions.iter().flat_map(|book| &book.commits).map(|committed| committed.batch.dead.len()).sum(),
        faults: world.plan.acts.iter().filter(|planned| matches!(planned.act, Act::Fault(_))).count(),
        deaths: world.ledger.borrow().deaths,
        answered: world.ledger.borrow().asked.len(),
        refused: world.ledger.borrow().asked.values().filter(|asked| asked.refusal.is_some()).count(),
    };
    let story = telling.map(|name| story::of_conversation(world, &journal, name)).unwrap_or_default();
    Outcome { violations, digest: journal.digest, tally, story }
}

/// A notification as it is stored, and the id that everybody hears it by: rendered once.
#[derive(Debug)]
struct Told {
    id: String,
    notification: Notification,
}

impl Told {
    fn notice(&self) -> &Notice {
        &self.notification.notice
    }
}

fn all_told(world: &World) -> Vec<Told> {
    let page = |partition| world.ground.store.notifications(partition, 0, usize::MAX).now_or_never().unwrap().unwrap();
    let told = |notification: Notification| Told { id: CloudEvent::new(&notification.notice).id().to_owned(), notification };
    world.ground.store.partitions().all().flat_map(|partition| page(partition).items).map(told).collect()
}

pub fn unheard(world: &World) -> Vec<String> {
    let ledger = world.ledger.borrow();
    all_told(world).iter().filter(|told| !ledger.heard.contains(&told.id)).map(|told| format!("{told:?}")).collect()
}

/// Whether the subscriber has heard all there is.
pub fn all_heard(world: &World) -> bool {
    let ledger = world.ledger.borrow();
    all_told(world).iter().all(|told| ledger.heard.contains(&told.id))
}

/// I6. A store that is not strict may forget what only nodes that died since have acknowledged.
fn accepted_is_applied(world: &World, journal: &Journal) -> Vec<Violation> {
    let logged: HashSet<&str> = journal
        .partitions
        .iter()
        .flat_map(|book| &book.log)
        .filter_map(|logged| Some(logged.entry.as_ref().ok()?.event()?.name.id()))
        .collect();
    let ledger = world.ledger.borrow();
    let mut found = Vec::new();
    for (id, acknowledged) in &ledger.acknowledged {
        if !logged.contains(id.as_str()) && !may_be_forgotten(world, ledger.failovers, acknowledged) {
            found.push(violates(Law::AcceptedIsApplied, format!("{id} was acknowledged ({acknowledged:?}) and is not in the log")));
        }
    }
    for (partition, book) in journal.partitions.iter().enumerate() {
        let checkpoint = book.commits.last().map_or(LogId::ZERO, |commit| commit.batch.checkpoint);
        if let Some(left) = book.log.iter().find(|logged| logged.id > checkpoint) {
            found.push(violates(Law::AcceptedIsApplied, format!("partition {partition}: {} and what follows is not applied", left.id)));
        }
    }
    found
}

/// By a store that is not strict, what was acknowledged while its replica heard nothing, if nobody lived on who could say so
/// again: after that failover, and after each that came so soon that it may have lost what was said again.
fn may_be_forgotten(world: &World, failovers: u32, acknowledged: &Acknowledged) -> bool {
    let reminded = |serial: u64, nth: u32| world.seats.iter().any(|seat| seat.reminded.borrow().contains(&(serial, nth)));
    let lost = |first: u32| acknowledged.by.is_none_or(|serial| (first..failovers).any(|nth| !reminded(serial, nth)));
    !world.plan.strict && acknowledged.doomed_by.is_some_and(lost)
}

/// I5. What a failover forgot was never made; in a strict store nobody heard of it.
fn heard_is_stored(world: &World, told: &[Told]) -> Vec<Violation> {
    let ledger = world.ledger.borrow();
    let ids: HashSet<&String> = told.iter().map(|told| &told.id).collect();
    let may_forget = !world.plan.strict && ledger.failovers > 0;
    let unknown = ledger.heard.iter().filter(|id| !may_forget && !ids.contains(*id)).min();
    let mut found: Vec<Violation> = Vec::new();
    found.extend(unknown.map(|id| violates(Law::HeardIsStored, format!("{id} was heard, and is not in the store"))));
    found.extend((ledger.resets > 0).then(|| violates(Law::HeardIsStored, "the subscriber was told to start over")));
    found
}

/// I4, and that openings and closings alternate.
fn one_close_an_episode(told: &[Told]) -> Vec<Violation> {
    use adjourn::domain::invariant;
    let mut of: BTreeMap<&str, Vec<&ConversationNotice>> = BTreeMap::new();
    for told in told {
        if let Notice::Conversation(told) = told.notice() {
            of.entry(told.key.as_str()).or_default().push(told);
        }
    }
    let mut found = Vec::new();
    for (key, told) in of {
        let laws = [
            (invariant::one_close_per_episode(told.iter().copied()), "two closes of one episode"),
            (invariant::opens_and_closes_alternate(told.iter().copied()), "opened open, or closed closed"),
            (invariant::notification_ids_differ(told.iter().copied()), "two notifications with one id"),
            (told.iter().all(|told| invariant::never_closes_early(told)), "a close that says it came early"),
        ];
        found.extend(
            laws.into_iter().filter(|(holds, _)| !holds).map(|(_, what)| violates(Law::OneCloseAnEpisode, format!("{key}: {what}"))),
        );
    }
    let mut ids = HashSet::new();
    let double = told.iter().find(|told| !ids.insert(&told.id));
    found.extend(double.map(|double| violates(Law::OneCloseAnEpisode, format!("two notifications with one id: {double:?}"))));
    found
}

/// I8, I9; and I3, of the state that all came to.
fn state_is_the_log(world: &World, journal: &Journal) -> Vec<Violation> {
    let defaults = defaults(world);
    let mut found = Vec::new();
    let now = world.ground.time.now();
    for (partition, book) in journal.partitions.iter().enumerate() {
        let partition = PartitionId(partition as u16);
        let (fold, wrong) = Fold::through(partition, book, &defaults);
        found.extend(wrong);
        let stored = world.ground.store.scan(partition, None, None, usize::MAX).now_or_never().unwrap().unwrap();
        let differs = fold.rows.iter().ne(stored.iter().map(|(key, row)| (key, row)));
        found.extend(differs.then(|| violates(Law::StateIsTheLog, format!("{partition}: what is stored is not what was committed"))));
        found.extend(answers_are_true(world, journal, &fold));
        found.extend(counts_are_the_changes(world, partition, &fold));
        found.extend(lists_are_the_rows(world, partition, &stored));
        for (key, row) in &stored {
            let settings = fold.settings_of(key.workspace());
            if let Some(due) = deadline(row, &settings).ok().filter(|due| due.at.as_millis() < now && row.set_aside == 0) {
                found.push(violates(Law::EveryDueCloses, format!("{key} was due {:?}, and is open", due.at)));
            }
            found.extend(why_agrees(world, key, row, &settings));
        }
    }
    found
}

/// Of each status, and within it each agent's and nobody's.
fn lists_are_the_rows(world: &World, partition: PartitionId, stored: &[(ConversationKey, Conversation)]) -> Vec<Violation> {
    let standings: Vec<(&ConversationKey, Standing)> = stored.iter().filter_map(|(key, row)| Some((key, Standing::of(row)?))).collect();
    let agents: BTreeSet<&str> = standings.iter().filter_map(|(_, standing)| standing.assignee.as_deref()).collect();
    let whose = [Of::Anybody, Of::Nobody].into_iter().chain(agents.into_iter().map(|id| Of::Agent(id.into())));
    let sections =
        whose.flat_map(|of| Status::ALL.iter().map(move |status| Section { status: *status, of: of.clone(), prefix: "".into() }));
    let differs = |section: Section| {
        let query = SectionQuery { workspace: WORKSPACE.into(), sections: [section.clone()].into(), after: None, limit: usize::MAX };
        let listed = world.ground.store.listed(partition, query).now_or_never().unwrap().unwrap();
        let stands = |(key, standing): &&(&ConversationKey, Standing)| section.holds(key, standing);
        let rows: Vec<ConversationKey> = standings.iter().filter(stands).map(|(key, _)| (*key).clone()).collect();
        let says = || violates(Law::ListedWhereItStands, format!("{partition}, {section:?}: listed are {listed:?}, there are {rows:?}"));
        (listed.as_ref() != Some(&rows)).then(says)
    };
    sections.filter_map(differs).collect()
}

/// L14: what reports count is what the log comes to, whoever counted, died, or counted again.
fn counts_are_the_changes(world: &World, partition: PartitionId, fold: &Fold<'_>) -> Option<Violation> {
    let store = &world.ground.store;
    let days = store.rollups_before(partition, Day(i32::MAX), usize::MAX).now_or_never().unwrap().unwrap();
    let read =
        |day: &(Day, Box<str>)| store.rollups(partition, day.1.clone(), vec![day.0], None).now_or_never().unwrap().unwrap().remove(0);
    let stored: BTreeMap<(Day, Box<str>), Rollup> = days.into_iter().map(|day| (day.clone(), read(&day))).collect();
    let differs = stored != fold.rollups;
    differs.then(|| violates(Law::StateIsTheLog, format!("{partition}: counted is {stored:?}, the log comes to {:?}", fold.rollups)))
}

/// What was asked under a primary that is there still, and is in this partition's log.
fn answers_are_true(world: &World, journal: &Journal, fold: &Fold<'_>) -> Vec<Violation> {
    let ledger = world.ledger.borrow();
    let asked = fold.came_of.iter().filter_map(|(key, outcome)| Some((key, *outcome, *ledger.asked.get(key)?)));
    let is_so = |outcome: domain::Outcome, refusal: Option<Refusal>| match refusal {
        None => outcome == domain::Outcome::Changed,
        Some(refusal) => outcome == domain::Outcome::Refused(refusal),
    };
    asked
        .filter(|(_, outcome, asked)| asked.primary == journal.primary && !is_so(*outcome, asked.refusal))
        .map(|(key, outcome, asked)| violates(Law::AnswersAreTrue, format!("{key} was answered {asked:?}, and came to {outcome:?}")))
        .collect()
}

/// What a node says of a conversation is what is stored of it.
fn why_agrees(world: &World, key: &ConversationKey, row: &Conversation, settings: &Settings) -> Option<Violation> {
    let ledger = world.ledger.borrow();
    let Some(why) = ledger.whys.get(key) else {
        return (row.episode > 0).then(|| violates(Law::StateIsTheLog, format!("{key}: nobody says why it is as it is")));
    };
    let timer = deadline(row, settings).map(|due| (due.at, due.armed_by.position.time, due.armed_by.period));
    let said = why.timer.as_ref().map(|due| (due.at, due.armed_at, due.period)).map_err(|reason| *reason);
    let agrees = said == timer && why.set_aside == row.set_aside && why.snapshot == Snapshot::of(row, settings, why.now);
    (!agrees).then(|| violates(Law::StateIsTheLog, format!("{key}: a node says {why:?}, stored is {row:?}")))
}

fn defaults(world: &World) -> Settings {
    world.options.defaults.clone()
}

/// I13, of timers that ran out while nothing was in the way; and how many those were.
fn in_time(world: &World, journal: &Journal) -> (Vec<Violation>, usize) {
    let ledger = world.ledger.borrow();
    // When the machines saw this time, by their own.
    let seen = |at: Ms| {
        let mut offset = ledger.passes.first().map_or(0, |(machine, before, _)| before - machine);
        for (machine, before, after) in &ledger.passes {
            if at <= *before {
                return at - offset;
            }
            if at <= *after {
                return *machine;
            }
            offset = after - machine;
        }
        at - offset
    };
    let (mut found, mut judged) = (Vec::new(), 0);
    for committed in journal.partitions.iter().flat_map(|book| &book.commits) {
        for (told, deadline) in closes(committed) {
            let due = seen(deadline.as_millis());
            let late = committed.virtual_ms - due;
            if due <= ledger.disturbed_until {
                continue;
            }
            judged += 1;
            if late > LATE_MAX {
                found.push(violates(Law::InTime, format!("{} closed {late} ms late, and nothing was in the way", told.key)));
            }
        }
    }
    (found, judged)
}

/// I15: asked before an operator gives anything up.
pub fn quarantine(world: &World) {
    let mut wrong = Vec::new();
    let ledger = world.ledger.borrow();
    let mut found: BTreeSet<String> = BTreeSet::new();
    let mut garbage = BTreeSet::new();
    for partition in world.ground.store.partitions().all() {
        for letter in world.ground.store.dead_letters(partition, LogId::ZERO, usize::MAX).now_or_never().unwrap().unwrap() {
            match letter.entry.as_ref().map(|entry| entry.event().map(|event| event.name.id().to_string())) {
                Ok(Some(id)) if is_poison(&id) => _ = found.insert(id),
                // Stamped too far ahead by the store's clock, which a producer of the log never asked, and a node a second ago (D9).
                Ok(Some(id)) if letter.conversation.is_none() && letter.reason.contains("ahead of") => _ = found.insert(id),
                Ok(other) => wrong.push(format!("{} was set aside: {other:?}, {}", letter.id, letter.reason)),
                Err(_) => _ = garbage.insert((partition.0, (letter.id.ms, letter.id.seq))),
            }
        }
    }
    let poison =
        ledger.acknowledged.iter().filter(|(id, acknowledged)| is_poison(id) && !may_be_forgotten(world, ledger.failovers, acknowledged));
    wrong.extend(poison.filter(|(id, _)| !found.contains(*id)).map(|(id, _)| format!("{id} is poison, and was not set aside")));
    let known: BTreeSet<_> = ledger.garbage.iter().copied().collect();
    if !garbage.is_superset(&known) && ledger.failovers == 0 {
        wrong.push(format!("garbage {known:?} was put into the log, {garbage:?} was set aside"));
    }
    for about in wrong {
        world.ground.report(violates(Law::QuarantineIsExact, about));
    }
}

/// The reading of the rules that knows nothing of the domain, on every second conversation.
fn rules_of_messages(world: &World, journal: &Journal, all_told: &[Told]) -> Vec<Violation> {
    let mut histories = Histories::new();
    for (partition, book) in journal.partitions.iter().enumerate() {
        let partition = PartitionId(partition as u16);
        let set_aside: HashSet<LogId> = book.commits.iter().flat_map(|commit| &commit.batch.dead).map(|letter| letter.id).collect();
        let first = Logged { id: LogId { ms: 1, seq: 0 }, at: 0, entry: Ok(marker(world)) };
        let log = book.log.iter().filter(|logged| is_judged(logged) && !set_aside.contains(&logged.id));
        for logged in std::iter::once(&first).chain(log) {
            record::log(&mut histories, partition, LogEntry { id: logged.id, entry: logged.entry.clone(), foreign: false });
        }
        let history = histories.entry(WORKSPACE.into()).or_default();
        for (key, row) in world.ground.store.scan(partition, None, None, usize::MAX).now_or_never().unwrap().unwrap() {
            if judged(key.conversation()) && row.episode + row.messages.incoming as u32 + row.messages.outgoing as u32 > 0 {
                history.states.insert(key.conversation().to_owned(), record::state(&row));
            }
        }
    }
    let Some(mut history) = histories.remove(WORKSPACE) else { return Vec::new() };
    let unclear = repeated_late(&history);
    history.log.retain(|logged| logged.message().is_none_or(|(message, _)| !unclear.contains(&message.conversation)));
    history.states.retain(|conversation, _| !unclear.contains(conversation));
    for Told { id, notification } in all_told {
        // The reading knows no warnings: they have a law of their own.
        if let Notice::Conversation(told) = &notification.notice
            && told.kind != NoticeKind::ClosingSoon
            && judged(told.key.conversation())
            && !unclear.contains(told.key.conversation())
        {
            let told = record::told_by(id.clone(), &notification.notice);
            history.heard.insert(told.id.clone(), Ms::MAX);
            history.told.push(told);
        }
    }
    let ledger = world.ledger.borrow();
    let sent = ledger.sent.values().filter(|event| judged(event.conversation.conversation()));
    history.sent = sent.cloned().map(record::message).collect();
    let (violations, _) = check(&history, Ms::MAX);
    violations.into_iter().map(|violation: Judged| violates(Law::RulesOfMessages, format!("{violation:?}"))).collect()
}

/// Conversations with a repeat that came after so many others that it may be counted again (D6).
fn repeated_late(history: &History) -> BTreeSet<String> {
    let mut seen: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut late = BTreeSet::new();
    for (message, _) in history.log.iter().filter_map(|logged| logged.message()) {
        let count = counts.entry(&message.conversation).or_default();
        *count += 1;
        let first = *seen.entry((&message.conversation, &message.name.id)).or_insert(*count);
        if *count - first > REMEMBERED {
            late.insert(message.conversation.clone());
        }
    }
    late
}

fn judged(conversation: &str) -> bool {
    conversation.strip_prefix('c').and_then(|number| number.parse().ok()).is_some_and(has_only_messages)
}

fn is_judged(logged: &Logged) -> bool {
    use adjourn::store::Entry;
    match &logged.entry {
        Ok(entry @ (Entry::Event(_) | Entry::Again { .. })) => {
            entry.event().is_some_and(|event| judged(event.conversation.conversation()) && !is_poison(event.name.id()))
        }
        Ok(Entry::Settings { .. }) => true,
        Ok(Entry::Command { .. } | Entry::Ignored { .. } | Entry::DeadLetter { .. }) | Err(_) => false,
    }
}

/// The settings that hold from the start.
fn marker(world: &World) -> adjourn::store::Entry {
    adjourn::store::Entry::Settings { workspace: WORKSPACE.into(), settings: Box::new(defaults(world)) }
}
