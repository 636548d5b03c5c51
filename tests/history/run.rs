//! One history, from its plan to what is to be judged. All of it happens on one thread, in virtual time, by one seed.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use adjourn::actors::{ActRefused, Command, Cursor, Fed, Node, NodeOptions, Verdict, Why};
use adjourn::chance;
use adjourn::domain::settings::{SettingsBounds, SettingsChange};
use adjourn::domain::{ConversationKey, Event, Refusal, Settings, Span};
use adjourn::store::{Entry, Store};
use adjourn::wire::CloudEvent;
use tokio::task::{LocalSet, spawn_local};

use super::end;
use super::ground::Ground;
use super::laws::{Law, Violation, violates};
use super::line::Line;
use super::plan::{Act, Draft, Plan};
use super::poison;
use super::post::event;
use super::process::Process;
use super::time::{Ms, SimClock};
use super::trouble;

pub const WORKSPACE: &str = "acme";
/// The default lease and tick: a history runs for a minute or two of its own time.
pub const LEASE: Duration = Duration::from_secs(3);

/// What a history came to.
pub struct Outcome {
    pub violations: Vec<Violation>,
    /// The same for the same plan, whatever runs beside it.
    pub digest: u64,
    pub tally: Tally,
    /// What became of the conversation it was asked about.
    pub story: String,
}

/// What there was: a history in which nothing happens is right, and worth nothing.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Tally {
    pub accepted: usize,
    pub commits: usize,
    pub claims: usize,
    pub auto_closes: usize,
    /// Closes that nothing was in the way of: they had to be in time (I13).
    pub judged_for_lateness: usize,
    pub reversals: usize,
    /// Closes that were told to be near.
    pub warnings: usize,
    pub set_aside: usize,
    pub faults: usize,
    /// Processes that died and came back.
    pub deaths: usize,
    /// Commands whose answer was compared with what came of them, and those of them that were refused.
    pub answered: usize,
    pub refused: usize,
}

impl Tally {
    pub fn add(&mut self, other: &Self) {
        let Self {
            accepted,
            commits,
            claims,
            auto_closes,
            judged_for_lateness,
            reversals,
            warnings,
            set_aside,
            faults,
            deaths,
            answered,
            refused,
        } = other;
        self.accepted += accepted;
        self.commits += commits;
        self.claims += claims;
        self.auto_closes += auto_closes;
        self.judged_for_lateness += judged_for_lateness;
        self.reversals += reversals;
        self.warnings += warnings;
        self.set_aside += set_aside;
        self.faults += faults;
        self.deaths += deaths;
        self.answered += answered;
        self.refused += refused;
    }
}

/// What producers and subscribers know of it.
#[derive(Default)]
pub struct Ledger {
    pub sent: BTreeMap<String, Event>,
    /// Acknowledged, and over whose line (`None`: by the store itself), and which failover was on its way then.
    pub acknowledged: BTreeMap<String, Acknowledged>,
    /// Acts that sent something, in order.
    pub bursts: Vec<Vec<String>>,
    /// Notifications that the subscriber heard.
    pub heard: HashSet<String>,
    pub resets: usize,
    pub garbage: BTreeSet<(u16, (u64, u64))>,
    pub failovers: u32,
    /// Until this virtual time somebody may be late without being wrong.
    pub disturbed_until: Ms,
    /// Each jump of everybody's time: when, by the machines' own time, and what it was before and after.
    pub passes: Vec<(Ms, Ms, Ms)>,
    /// What a node said of each conversation in the end.
    pub whys: BTreeMap<ConversationKey, Why>,
    pub deaths: usize,
    /// Commands that were answered, by their keys.
    pub asked: BTreeMap<String, Asked>,
}

/// What a command was answered: done, or refused; and which primary it was asked under.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    pub primary: u32,
    pub refusal: Option<Refusal>,
}

#[derive(Clone, Copy, Debug)]
pub struct Acknowledged {
    pub by: Option<u64>,
    pub doomed_by: Option<u32>,
}

/// One place of the cluster, and the processes that were there.
pub struct Seat {
    pub name: &'static str,
    pub clock: Arc<SimClock>,
    pub process: RefCell<Rc<Process>>,
    /// Counts processes over all seats.
    pub serial: Cell<u64>,
    /// It is to be started again at this virtual time, if it is not alive.
    pub back_at: Cell<Ms>,
    /// Failovers after which its present process told the new primary what it had acknowledged.
    pub reminded: RefCell<BTreeSet<(u64, u32)>>,
}

pub struct World {
    pub plan: Plan,
    pub ground: Arc<Ground>,
    pub seats: Vec<Seat>,
    /// Processes that took an exclusive store for their own, as long as they live.
    pub rivals: RefCell<Vec<Rc<Process>>>,
    /// Nodes that were told to drain and are yet to be started anew, and what producers have yet to be answered.
    pub under_way: Cell<u32>,
    pub ledger: RefCell<Ledger>,
    serial: Cell<u64>,
    /// No more restarts, no more sending.
    pub over: Cell<bool>,
    /// PUTs that switch auto-close on: begun, and known to be over. One without an answer may yet have its effect.
    enabling: Cell<(u32, u32)>,
    pub options: NodeOptions,
}

/// Runs it, and tells what became of this conversation.
pub fn run(plan: &Plan, telling: Option<&str>) -> Outcome {
    poison::hush();
    chance::replay(Some(plan.seed));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let tasks = LocalSet::new();
    let mut outcome = runtime.block_on(tasks.run_until(World::play(plan.clone(), telling)));
    drop(tasks);
    drop(runtime);
    chance::replay(None);
    let panics = poison::panics();
    if panics > 0 {
        outcome.violations.push(violates(Law::NothingPanics, format!("{panics} panics")));
    }
    outcome
}

impl World {
    async fn play(plan: Plan, telling: Option<&str>) -> Outcome {
        let world = Self::start(plan);
        spawn_local(world.clone().keep_seats());
        spawn_local(world.clone().listen());
        world.settled("at the start").await;
        for planned in world.plan.acts.clone() {
            pause(planned.after_ms).await;
            world.perform(planned.act);
        }
        // What is under way strikes, the last act's fault too, which has yet to begin: nothing may be forgotten once all is judged
        // to be well.
        pause(1).await;
        while world.ground.journal().doomed {
            pause(100).await;
        }
        pause(500).await;
        world.come_to_rest().await;
        end::judge(&world, telling)
    }

    fn start(plan: Plan) -> Rc<Self> {
        let ground = Ground::new(plan.partitions, plan.exclusive, plan.seed ^ 0x5eed);
        let period = plan.period;
        // Shorter than any period; every second workspace does without.
        let warning_before = (plan.seed % 2 == 1).then_some(Span::from_millis(20_000));
        let options = NodeOptions {
            arbiters: 0,
            lease: LEASE,
            defaults: Settings { enabled: true, enable_epoch: 1, period, warning_before, ..Settings::default() },
            bounds: SettingsBounds { min_period: Span::from_millis(1_000), ..SettingsBounds::default() },
            batch: 32,
            batch_behind: 128,
            due_batch: 64,
            horizon: Span::from_mins(1),
            idle: Duration::from_secs(5),
            ..NodeOptions::default()
        };
        let serial = Cell::new(0);
        let seat = |name: &'static str| {
            let clock = SimClock::of(&ground.time);
            let line = Line::to(&ground, &clock, plan.strict);
            let process = Rc::new(Process::start(name, line, clock.clone(), options.clone()));
            serial.set(serial.get() + 1);
            let (serial, back_at) = (Cell::new(serial.get()), Cell::new(Ms::MAX));
            Seat { name, clock, process: RefCell::new(process), serial, back_at, reminded: RefCell::default() }
        };
        let seats = ["a", "b", "c", "d", "e"][..plan.nodes].iter().map(|name| seat(name)).collect();
        let (rivals, under_way, ledger) = (RefCell::default(), Cell::new(0), RefCell::default());
        let (over, enabling) = (Cell::new(false), Cell::new((0, 0)));
        Rc::new(Self { plan, ground, seats, rivals, under_way, ledger, serial, over, enabling, options })
    }

    pub fn now(&self) -> Ms {
        self.ground.time.virtual_ms()
    }

    pub fn process(&self, seat: usize) -> Rc<Process> {
        self.seats[seat % self.seats.len()].process.borrow().clone()
    }

    /// A node that answers, `via` if it does.
    pub fn some_node(&self, via: usize) -> Node {
        let count = self.seats.len();
        let alive = (0..count).map(|i| self.process(via + i)).find(|process| process.is_alive() && !process.is_frozen());
        alive.unwrap_or_else(|| self.process(via)).node.clone()
    }

    /// Whoever died comes back when it is time, or a second later.
    async fn keep_seats(self: Rc<Self>) {
        while !self.over.get() {
            pause(100).await;
            for seat in &self.seats {
                let is_dead = !seat.process.borrow().is_alive();
                if is_dead && seat.back_at.get() == Ms::MAX {
                    seat.back_at.set(self.now() + 1_000);
                    self.ledger.borrow_mut().deaths += 1;
                    self.disturb(2 * LEASE.as_millis() as Ms);
                }
                if is_dead && seat.back_at.get() <= self.now() {
                    self.seat_anew(seat);
                }
            }
        }
    }

    pub fn seat_anew(&self, seat: &Seat) {
        let line = Line::to(&self.ground, &seat.clock, self.plan.strict);
        self.serial.set(self.serial.get() + 1);
        seat.serial.set(self.serial.get());
        seat.back_at.set(Ms::MAX);
        *seat.process.borrow_mut() = Rc::new(Process::start(seat.name, line, seat.clock.clone(), self.options.clone()));
    }

    /// Another process by the first seat's name, which goes by that one's clock.
    pub fn rival(&self) -> Rc<Process> {
        let seat = &self.seats[0];
        let line = Line::to(&self.ground, &seat.clock, self.plan.strict);
        let rival = Rc::new(Process::start(seat.name, line, seat.clock.clone(), self.options.clone()));
        self.rivals.borrow_mut().push(rival.clone());
        rival
    }

    /// For so long from now on, and until everything has found its place again, nobody is late.
    pub fn disturb(&self, ms: Ms) {
        let mut ledger = self.ledger.borrow_mut();
        ledger.disturbed_until = ledger.disturbed_until.max(self.now() + ms + 4 * LEASE.as_millis() as Ms);
    }

    fn perform(self: &Rc<Self>, act: Act) {
        match act {
            Act::Send { via, events } => {
                let events = self.written(events);
                spawn_local(self.clone().deliver(via, events));
            }
            Act::Raw { events } => {
                let events = self.written(events);
                self.put_into_the_log(&events);
            }
            Act::Again { via, back } => {
                let ledger = self.ledger.borrow();
                let Some(ids) = ledger.bursts.len().checked_sub(back).map(|nth| &ledger.bursts[nth]) else { return };
                let events: Vec<Event> = ids.iter().rev().map(|id| ledger.sent[id].clone()).collect();
                drop(ledger);
                spawn_local(self.clone().deliver(via, events));
            }
            Act::Pass { ms } => self.pass(ms),
            Act::PassToDeadline { by_ms } => {
                if let Some(next) = self.next_deadline() {
                    self.pass(next + by_ms - self.ground.time.now());
                }
            }
            Act::Settings { via, change } => {
                spawn_local(self.clone().change_settings(via, change));
            }
            Act::Ask { via, command } => {
                spawn_local(self.clone().ask(via, command));
            }
            Act::Fault(fault) => trouble::strike(self, fault),
        }
    }

    pub fn pass(&self, ms: Ms) {
        let before = self.ground.time.now();
        self.ground.time.pass(ms);
        self.ledger.borrow_mut().passes.push((self.now(), before, self.ground.time.now()));
    }

    pub fn next_deadline(&self) -> Option<Ms> {
        use futures_util::FutureExt;
        let all = self.ground.store.partitions().all();
        let first = |partition| {
            let page = self.ground.store.due(partition, adjourn::domain::Timestamp::MAX, None, 1).now_or_never()?.ok()?;
            page.first().map(|due| due.at.as_millis())
        };
        all.filter_map(first).min()
    }

    /// The events as they are, stamped now.
    fn written(&self, drafts: Vec<Draft>) -> Vec<Event> {
        let now = self.ground.time.now();
        let events: Vec<Event> = drafts.into_iter().map(|draft| event(&draft, now)).collect();
        let mut ledger = self.ledger.borrow_mut();
        ledger.bursts.push(events.iter().map(|event| event.name.id().to_string()).collect());
        ledger.sent.extend(events.iter().map(|event| (event.name.id().to_string(), event.clone())));
        events
    }

    /// As a pipeline does it: until a node has taken them all, whichever it is.
    pub async fn deliver(self: Rc<Self>, via: usize, events: Vec<Event>) {
        self.under_way.set(self.under_way.get() + 1);
        self.until_taken(via, events).await;
        self.under_way.set(self.under_way.get() - 1);
    }

    async fn until_taken(&self, via: usize, events: Vec<Event>) {
        for attempt in 0.. {
            if self.over.get() {
                return;
            }
            let seat = (via + attempt) % self.seats.len();
            let (process, serial) = (self.process(seat), self.seats[seat].serial.get());
            if process.is_alive() && !process.is_frozen() {
                let answer = tokio::time::timeout(Duration::from_millis(2_500), process.node.ingest(events.clone())).await;
                if let Ok(Ok(verdicts)) = answer {
                    let doomed_by = self.ground.journal().doomed.then_some(self.ledger.borrow().failovers);
                    let mut ledger = self.ledger.borrow_mut();
                    for (event, verdict) in events.iter().zip(verdicts) {
                        if let Verdict::Accepted(_) = verdict {
                            let first = Acknowledged { by: Some(serial), doomed_by };
                            ledger.acknowledged.entry(event.name.id().to_string()).or_insert(first);
                        }
                    }
                    return;
                }
            }
            pause(100).await;
        }
    }

    /// By a producer that writes into the log itself, and looks at no clock (D9 is for the owner to ask).
    pub fn put_into_the_log(&self, events: &[Event]) -> Vec<adjourn::store::LogId> {
        let of = |event: &Event| (event.conversation.partition(self.ground.store.partitions()), Entry::Event(event.clone()));
        let ids = Line::append_now(&self.ground, events.iter().map(of).collect()).unwrap_or_default();
        let doomed_by = self.ground.journal().doomed.then_some(self.ledger.borrow().failovers);
        if doomed_by.is_none() && !ids.is_empty() {
            let mut ledger = self.ledger.borrow_mut();
            for event in events {
                ledger.acknowledged.entry(event.name.id().to_string()).or_insert(Acknowledged { by: None, doomed_by });
            }
        }
        ids
    }

    /// Asks a node, and takes down what it answers; one that gives no answer may have done it.
    async fn ask(self: Rc<Self>, via: usize, command: Draft) {
        let Event { name, conversation, kind, .. } = event(&command, self.ground.time.now());
        let primary = self.ground.journal().primary;
        let node = self.some_node(via);
        let command = Command { conversation, kind, expected: None, key: Some(name.id().into()) };
        let answered = tokio::time::timeout(Duration::from_secs(10), node.act(command, Duration::from_secs(8))).await;
        let refusal = match answered {
            Ok(Ok(_)) => None,
            Ok(Err(ActRefused::Refused(refusal))) => Some(refusal),
            Ok(Err(_)) | Err(_) => return,
        };
        self.ledger.borrow_mut().asked.insert(name.id().into(), Asked { primary, refusal });
    }

    async fn change_settings(self: Rc<Self>, via: usize, change: SettingsChange) {
        let (enables, disables) = (change.enabled == Some(true), change.enabled == Some(false));
        let begun = |by: (u32, u32)| self.enabling.set((self.enabling.get().0 + by.0, self.enabling.get().1 + by.1));
        if enables {
            begun((1, 0));
            self.ground.journal().off_since = None;
        }
        let (before, failovers) = (self.enabling.get().0, self.ledger.borrow().failovers);
        let node = self.some_node(via);
        let answer = node.change_settings(WORKSPACE, change, None, Duration::from_secs(8));
        let is_done = matches!(tokio::time::timeout(Duration::from_secs(10), answer).await, Ok(Ok(_)));
        if enables && is_done {
            begun((0, 1));
        }
        let still = self.enabling.get() == (before, before) && self.ledger.borrow().failovers == failovers && !self.ground.journal().doomed;
        if disables && is_done && still && self.none_enabling() {
            self.ground.journal().off_since = Some(self.ground.time.now());
        }
    }

    /// Whether every enabling change before is over: the master says off, whoever asks.
    fn none_enabling(&self) -> bool {
        use futures_util::FutureExt;
        let master = self.ground.store.settings(WORKSPACE.into()).now_or_never();
        matches!(master, Some(Ok(Some(settings))) if !settings.enabled)
    }

    /// A subscriber, that goes on with another node where one falls silent.
    async fn listen(self: Rc<Self>) {
        let count = usize::from(self.ground.store.partitions().get());
        let mut cursor = Cursor { incarnation: self.ground.store.incarnation(), positions: vec![0; count] };
        for turn in 0.. {
            let node = self.some_node(turn);
            let mut feed = node.follow_from(cursor.clone());
            let mut silent = 0;
            while silent < 3 {
                match tokio::time::timeout(Duration::from_secs(1), feed.next()).await {
                    Ok(Ok(Fed::Notifications(told))) => {
                        let mut ledger = self.ledger.borrow_mut();
                        for notification in &told {
                            let id = CloudEvent::new(&notification.notice).id().to_owned();
                            ledger.heard.insert(id);
                        }
                        (cursor, silent) = (feed.cursor().clone(), 0);
                    }
                    Ok(Ok(Fed::Reset)) => self.ledger.borrow_mut().resets += 1,
                    Ok(Err(_)) | Err(_) => silent += 1,
                }
            }
        }
    }
}

pub async fn pause(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}
