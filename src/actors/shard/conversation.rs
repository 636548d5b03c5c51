//! One conversation and its wake-up.
//!
//! Owns: the state as it is in memory, and at most one armed timer. The state is the truth, the timer a reminder to look:
//! when it fires the conversation puts itself into its shard's [`DueQueue`] and does nothing else. Life: started by its shard from a row
//! of the store, or for a conversation nobody has heard of; put to rest by its shard, never by itself; dropped without a
//! word when a commit fails, for memory is never written back.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use crate::clock::SharedClock;
use crate::domain::listing::{Move, Standing};
use crate::domain::{Conversation, ConversationKey, Effects, Input, Outcome, Settings, Span, Step, Timestamp, deadline, wake_at};

/// How the state machine is called: [`crate::domain::step()`], or in tests one that fails on purpose.
pub type StepFn = fn(&ConversationKey, Conversation, &Input, &Settings, Timestamp) -> Step;

/// Tries before an event that makes `step` panic is set aside.
const TRIES: usize = 2;

/// Where conversations of one shard say that they are due. Filled on the shard's own thread; each conversation at most once
/// until it is looked at, so it holds no more keys than there are live actors.
#[derive(Default)]
pub struct DueQueue {
    due: std::cell::RefCell<Vec<ConversationKey>>,
    pub pushed: tokio::sync::Notify,
}

impl DueQueue {
    pub fn push(&self, key: ConversationKey) {
        self.due.borrow_mut().push(key);
        self.pushed.notify_one();
    }

    /// Takes at most `limit` keys, those that came first; the others stay.
    pub fn take(&self, limit: usize) -> Vec<ConversationKey> {
        let mut due = self.due.borrow_mut();
        let count = due.len().min(limit);
        due.drain(..count).collect()
    }

    pub fn is_empty(&self) -> bool {
        self.due.borrow().is_empty()
    }
}

/// What all conversations of a shard have in common.
#[derive(Clone)]
pub struct Surroundings {
    pub due: Rc<DueQueue>,
    pub steady: SharedClock,
    pub step: StepFn,
    /// No timer is armed for longer than this.
    pub horizon: Span,
}

pub struct ConversationActor {
    key: ConversationKey,
    state: Option<Arc<Conversation>>,
    look_at: Option<Timestamp>,
    /// Where lists have it.
    standing: Option<Standing>,
    /// The one timer, and when it fires. A deadline that moved later keeps it: it fires, looks and re-arms.
    armed: Option<(Timestamp, SpawnHandle)>,
    queued: bool,
    around: Surroundings,
}

impl ConversationActor {
    pub fn new(key: ConversationKey, state: Option<Arc<Conversation>>, look_at: Option<Timestamp>, around: Surroundings) -> Self {
        let standing = state.as_deref().and_then(Standing::of);
        Self { key, state, look_at, standing, armed: None, queued: false, around }
    }

    /// Arms the timer for `look_at`, or for the horizon where that is sooner, unless an earlier one is armed already: who
    /// stays in memory that long looks again, for the shard's look-ahead brings in only those who are not there.
    fn arm(&mut self, ctx: &mut Context<Self>) {
        let Some(look_at) = self.look_at else { return };
        let now = self.around.steady.now();
        self.queued &= look_at < now;
        if self.queued {
            return; // the shard knows
        }
        let fires_at = look_at.min(now.plus(self.around.horizon));
        match self.armed {
            Some((earlier, _)) if earlier <= fires_at => return,
            Some((_, handle)) => {
                ctx.cancel_future(handle);
            }
            None => {}
        }
        // One millisecond past it: at the instant itself an event may still be accepted (D2).
        let wait = fires_at.since(now).as_millis().unsigned_abs() + 1;
        self.armed = Some((fires_at, ctx.run_later(Duration::from_millis(wait), Self::fired)));
    }

    fn fired(&mut self, ctx: &mut Context<Self>) {
        self.armed = None;
        match self.look_at {
            Some(look_at) if look_at < self.around.steady.now() => {
                self.queued = true;
                self.around.due.push(self.key.clone());
            }
            Some(_) | None => self.arm(ctx),
        }
    }

    /// One step, tried twice where it panics. `Err`: the state is as before.
    fn step(&mut self, input: &Input, settings: &Settings, now: Timestamp) -> Result<(Effects, Outcome), Box<str>> {
        let mut reason = Box::from("");
        for _ in 0..TRIES {
            let before = self.state.as_deref().cloned().unwrap_or_else(|| Conversation::new(now));
            match catch_unwind(AssertUnwindSafe(|| (self.around.step)(&self.key, before, input, settings, now))) {
                Ok(Step { after, effects, outcome }) => {
                    if outcome == Outcome::Changed {
                        self.state = Some(Arc::new(after));
                    }
                    return Ok((effects, outcome));
                }
                Err(panic) => reason = panic_text(&*panic),
            }
        }
        Err(reason)
    }

    /// A step that no entry of the log asks for.
    fn look(&mut self, input: &Input, settings: &Settings, now: Timestamp) -> (Effects, Judged) {
        match self.step(input, settings, now) {
            Ok((effects, outcome)) => (effects, Ok(outcome)),
            Err(reason) => (Effects::default(), Err(reason)),
        }
    }

    fn taken(&mut self, settings: &Settings, ctx: &mut Context<Self>, effects: Effects, outcomes: Vec<Judged>) -> Taken {
        self.look_at = self.state.as_deref().and_then(|state| wake_at(state, settings));
        self.arm(ctx);
        Taken { conversation: self.state.clone(), look_at: self.look_at, moved: self.moved(), effects, outcomes }
    }

    /// Where it stands now, if that is elsewhere than before.
    fn moved(&mut self) -> Option<Move> {
        let state = self.state.as_deref()?;
        let stays = self.standing.as_ref().map_or(state.episode == 0, |standing| standing.is_of(state));
        if stays {
            return None;
        }
        let to = Standing::of(state);
        let from = std::mem::replace(&mut self.standing, to.clone());
        Some(Move { key: self.key.clone(), from, to })
    }
}

impl Actor for ConversationActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.arm(ctx);
    }
}

/// Events and commands of this conversation, in log order.
#[derive(Message)]
#[rtype(result = "Taken")]
pub struct Take {
    /// Each with the instant it is judged at.
    pub inputs: Vec<(Input, Timestamp)>,
    pub settings: Arc<Settings>,
}

/// Both clocks and the log allow to close what was due before `trusted`.
#[derive(Message, Clone)]
#[rtype(result = "Taken")]
pub struct Wake {
    /// The store's clock at the barrier: what a close is stamped with.
    pub clock: Timestamp,
    /// The lesser of the store's and the node's clock: only deadlines strictly before it have passed (D1).
    pub trusted: Timestamp,
    pub settings: Arc<Settings>,
}

/// Something that no event says: an event was set aside elsewhere or came back from there, or what was written is not needed any more.
#[derive(Message)]
#[rtype(result = "Taken")]
pub struct Tell {
    pub input: Input,
    pub settings: Arc<Settings>,
    pub now: Timestamp,
}

/// Leave. Sent by the shard when nothing is in flight to this actor and its address is off the map.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Rest;

/// What a message came to; `conversation` is `None` while nothing was ever applied.
pub struct Taken {
    pub conversation: Option<Arc<Conversation>>,
    pub look_at: Option<Timestamp>,
    pub moved: Option<Move>,
    pub effects: Effects,
    /// One an input.
    pub outcomes: Vec<Judged>,
}

/// What came of an input: of the step, or why there was none, for it panicked, twice. Then an event suspends its conversation's timer
/// until it is replayed or dismissed; a command does not, for it is no reply, and whoever asked is told.
pub type Judged = Result<Outcome, Box<str>>;

impl Handler<Take> for ConversationActor {
    type Result = MessageResult<Take>;

    fn handle(&mut self, Take { inputs, settings }: Take, ctx: &mut Self::Context) -> Self::Result {
        let mut all = Effects::default();
        let mut outcomes = Vec::with_capacity(inputs.len());
        for (input, now) in inputs {
            match self.step(&input, &settings, now) {
                Ok((effects, outcome)) => {
                    all.and(effects);
                    outcomes.push(Ok(outcome));
                }
                Err(reason) => {
                    if !matches!(input, Input::Command { .. }) {
                        // Nothing closes from here on: the event nobody could apply might have been the reply.
                        let _ = self.step(&Input::SetAside, &settings, now);
                    }
                    outcomes.push(Err(reason));
                }
            }
        }
        MessageResult(self.taken(&settings, ctx, all, outcomes))
    }
}

impl Handler<Wake> for ConversationActor {
    type Result = MessageResult<Wake>;

    fn handle(&mut self, Wake { clock, trusted, settings }: Wake, ctx: &mut Self::Context) -> Self::Result {
        let passed = self.state.as_deref().and_then(|state| deadline(state, &settings).ok()).is_some_and(|due| due.at < trusted);
        let now = if passed { clock } else { trusted.minus(Span::from_millis(1)) };
        let (effects, outcome) = match self.state {
            Some(_) => self.look(&Input::WakeUp, &settings, now),
            None => (Effects::default(), Ok(Outcome::Unchanged)),
        };
        // Still overdue after being looked at: it would ring without end. The shard's tick comes back to it.
        self.queued = self.state.as_deref().and_then(|state| wake_at(state, &settings)).is_some_and(|at| at < trusted);
        MessageResult(self.taken(&settings, ctx, effects, vec![outcome]))
    }
}

impl Handler<Tell> for ConversationActor {
    type Result = MessageResult<Tell>;

    fn handle(&mut self, Tell { input, settings, now }: Tell, ctx: &mut Self::Context) -> Self::Result {
        let (effects, outcome) = self.look(&input, &settings, now);
        MessageResult(self.taken(&settings, ctx, effects, vec![outcome]))
    }
}

impl Handler<Rest> for ConversationActor {
    type Result = ();

    fn handle(&mut self, Rest: Rest, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> Box<str> {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("applying it panicked: {}", text.unwrap_or("without a message")).into()
}
