//! What happens in a history, drawn from its seed before anything runs, so that it can be read, run again and made smaller.

use adjourn::domain::Span;
use adjourn::domain::event::{Assignee, AssigneeKind, ClosingSource, EventKind, MessageSource, OpeningSource};
use adjourn::domain::settings::SettingsChange;

use super::judge::rng::Rng;
use super::time::Ms;

#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub nodes: usize,
    pub partitions: u16,
    /// One node on a store that nobody else can have, as the embedded one is.
    pub exclusive: bool,
    /// What counts as accepted the replica has.
    pub strict: bool,
    pub period: Span,
    pub acts: Vec<Planned>,
}

/// An act, so many ms after the one before it.
#[derive(Clone, Debug)]
pub struct Planned {
    pub after_ms: u64,
    pub act: Act,
}

#[derive(Clone, Debug)]
pub enum Act {
    /// Events by way of a node, until one has taken them.
    Send {
        via: usize,
        events: Vec<Draft>,
    },
    /// Events put into the log by a producer that needs no node.
    Raw {
        events: Vec<Draft>,
    },
    /// What an earlier act sent, once more and in the other order.
    Again {
        via: usize,
        back: usize,
    },
    /// So much passes for everybody.
    Pass {
        ms: Ms,
    },
    /// It becomes so much before the next deadline, or after it.
    PassToDeadline {
        by_ms: Ms,
    },
    Settings {
        via: usize,
        change: SettingsChange,
    },
    /// Somebody asks for it, and waits for the answer.
    Ask {
        via: usize,
        command: Draft,
    },
    Fault(Fault),
}

#[derive(Clone, Debug)]
pub struct Draft {
    pub id: String,
    pub conversation: u64,
    /// Its stamp is so much ahead of the true time.
    pub ahead_ms: Ms,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Event(EventKind),
    /// For so long, from its stamp on.
    Snooze(Ms),
}

#[derive(Clone, Debug)]
pub enum Fault {
    Kill {
        node: usize,
        back_ms: u64,
    },
    /// At the so-manieth call from then on.
    KillAtCall {
        node: usize,
        calls: u32,
        before: bool,
        back_ms: u64,
    },
    Freeze {
        node: usize,
        ms: u64,
    },
    Cut {
        node: usize,
        ms: u64,
    },
    Deaf {
        node: usize,
        ms: u64,
    },
    Slow {
        node: usize,
        ms: u64,
        for_ms: u64,
    },
    LoseCalls {
        node: usize,
        calls: u32,
    },
    LoseAnswers {
        node: usize,
        calls: u32,
    },
    Refuse {
        node: usize,
        calls: u32,
    },
    HoldCommits {
        node: usize,
        commits: u32,
        ms: u64,
    },
    DoubleCommits {
        node: usize,
        commits: u32,
    },
    SwallowCommits {
        node: usize,
        commits: u32,
    },
    /// A replica that is so much behind takes over.
    FailOver {
        lag_ms: u64,
    },
    /// A claim that the replica never hears of: the node has a token that another will be given again, and commits held by it.
    LostClaim {
        partition: u16,
        node: usize,
        hold_ms: u64,
    },
    /// `None`: nobody sets it right before the weather clears.
    StoreClock {
        by_ms: Ms,
        for_ms: Option<u64>,
    },
    NodeClock {
        node: usize,
        by_ms: Ms,
        for_ms: Option<u64>,
    },
    /// An event that the state machine panics on.
    Poison {
        conversation: u64,
    },
    /// One that the process dies of.
    Deadly {
        conversation: u64,
    },
    /// An entry that nobody can read.
    Garbage {
        partition: u16,
    },
    /// Stopped in an orderly way, and started again.
    Restart {
        node: usize,
    },
    /// `None`: back to wherever it belongs.
    Move {
        partition: u16,
        node: Option<usize>,
    },
    /// Told to give everything away; it takes nothing again before it is started anew.
    Drain {
        node: usize,
        restart_ms: u64,
    },
    /// A second process, that takes an exclusive store for its own.
    Rival {
        ms: u64,
    },
}

/// How large histories are.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub conversations: u64,
    pub events: usize,
    pub faults: usize,
}

impl Size {
    /// RELIABILITY.md, part c, layer L3.
    pub const FULL: Self = Self { conversations: 200, events: 2_000, faults: 20 };
}

const MINUTE: Ms = 60_000;

impl Plan {
    pub fn of(seed: u64, size: Size) -> Self {
        let mut draw = Draw { rng: Rng::new(seed), size, next_event: 0 };
        let exclusive = draw.rng.below(8) == 0;
        let nodes = if exclusive { 1 } else { 3 + draw.rng.below(3) as usize };
        let partitions = 4 + draw.rng.below(5) as u16;
        let period = Span::from_millis([3 * MINUTE, 5 * MINUTE, 10 * MINUTE, 90_000][draw.rng.below(4) as usize]);
        let mut acts = draw.events(nodes);
        for _ in 0..size.faults {
            let fault = Act::Fault(if exclusive { draw.fault_of_one(partitions) } else { draw.fault(nodes, partitions) });
            draw.insert(&mut acts, fault);
        }
        for _ in 0..4 {
            let change = draw.change();
            let via = draw.rng.below(nodes as u64) as usize;
            draw.insert(&mut acts, Act::Settings { via, change });
        }
        let strict = !exclusive && draw.rng.percent(50);
        // Somebody asks for something now and then, by dice of their own: older seeds stay what they were.
        let mut asking = Draw { rng: Rng::new(seed ^ 0xac7), size, next_event: 0 };
        for nth in 0..size.events / 100 {
            let ask = asking.ask(nth, nodes);
            asking.insert(&mut acts, ask);
        }
        Self { seed, nodes, partitions, exclusive, strict, period, acts }
    }
}

/// In every second conversation only messages happen: an independent reading of the rules judges those.
pub fn has_only_messages(conversation: u64) -> bool {
    conversation.is_multiple_of(2)
}

struct Draw {
    rng: Rng,
    size: Size,
    next_event: usize,
}

impl Draw {
    fn insert(&mut self, acts: &mut Vec<Planned>, act: Act) {
        let at = self.rng.below(acts.len() as u64 + 1) as usize;
        acts.insert(at, Planned { after_ms: self.rng.below(200), act });
    }

    fn events(&mut self, nodes: usize) -> Vec<Planned> {
        let mut acts = Vec::new();
        while self.next_event < self.size.events {
            let via = self.rng.below(nodes as u64) as usize;
            let act = match self.rng.below(100) {
                0..55 => Act::Send { via, events: self.burst() },
                55..61 => Act::Raw { events: self.burst() },
                61..69 => Act::Again { via, back: 1 + self.rng.below(8) as usize },
                69..79 => Act::PassToDeadline { by_ms: self.rng.below(400) as Ms - 200 },
                // Into the time of its warning, or just before that.
                79..83 => Act::PassToDeadline { by_ms: -(self.rng.below(24_000) as Ms) },
                _ => Act::Pass { ms: [1_000, 10_000, MINUTE, 4 * MINUTE][self.rng.below(4) as usize] },
            };
            // A deadline that is near comes by itself, by the timers of whoever is to hear it.
            let is_near = acts.last().is_some_and(|before: &Planned| matches!(before.act, Act::PassToDeadline { .. }));
            let after_ms = match self.rng.below(10) {
                _ if is_near => 100 + self.rng.below(400),
                0..7 => self.rng.below(60),
                _ => self.rng.below(400),
            };
            acts.push(Planned { after_ms, act });
        }
        acts
    }

    /// As a pipeline sends them: some alone, some few, some as many as all the others together.
    fn burst(&mut self) -> Vec<Draft> {
        let most = 1 << self.rng.below(8);
        let count = 1 + self.rng.below(most);
        (0..count).map(|_| self.draft()).collect()
    }

    fn draft(&mut self) -> Draft {
        self.next_event += 1;
        // A few talk most of the time.
        let among = if self.rng.percent(50) { self.size.conversations.div_ceil(10) } else { self.size.conversations };
        let conversation = self.rng.below(among);
        let ahead_ms = match self.rng.below(20) {
            0 => -(self.rng.below(6) as Ms * MINUTE),
            1 => -(self.rng.below(20_000) as Ms),
            2 => self.rng.below(4 * MINUTE as u64) as Ms,
            _ => 0,
        };
        let kind = if has_only_messages(conversation) { self.message() } else { self.kind() };
        Draft { id: format!("e{:04}", self.next_event), conversation, ahead_ms, kind }
    }

    fn message(&mut self) -> Kind {
        let source = match self.rng.below(20) {
            0..11 => MessageSource::User,
            11..17 => MessageSource::Contact,
            17 => MessageSource::Echo,
            18 => MessageSource::Workflow,
            _ => MessageSource::AiAgent,
        };
        Kind::Event(EventKind::Message { source, agent: None, message_id: None, text: None })
    }

    fn kind(&mut self) -> Kind {
        let assign = |kind| Kind::Event(EventKind::Assigned(Assignee { kind, id: "ana".into(), name: None }));
        match self.rng.below(40) {
            0..26 => self.message(),
            26..29 => Kind::Snooze(self.rng.below(12 * MINUTE as u64) as Ms),
            29 => Kind::Event(EventKind::Unsnoozed),
            30..32 => assign(AssigneeKind::Human),
            32 => assign(AssigneeKind::AiAgent),
            33 => Kind::Event(EventKind::Unassigned),
            34 => Kind::Event(EventKind::Blocked),
            35 => Kind::Event(EventKind::Unblocked),
            36 => Kind::Event(EventKind::Closed { source: ClosingSource::User, by: Some("ana".into()), note: None }),
            37 => Kind::Event(EventKind::Opened { source: OpeningSource::User, by: Some("ana".into()) }),
            _ => {
                let of = 1 + self.rng.below(self.next_event.max(1) as u64);
                Kind::Event(EventKind::MessageFailed { message_id: format!("e{of:04}").into() })
            }
        }
    }

    /// What can be asked of a conversation that is not judged by messages alone.
    fn ask(&mut self, nth: usize, nodes: usize) -> Act {
        let conversation = self.rng.below(self.size.conversations.div_ceil(10)) | 1;
        let reason = || "waits for parts".into();
        let kind = match self.rng.below(12) {
            0 | 1 => EventKind::Closed { source: ClosingSource::User, by: Some("ana".into()), note: None },
            2 | 3 => EventKind::Opened { source: OpeningSource::User, by: None },
            4 => EventKind::Assigned(Assignee { kind: AssigneeKind::Human, id: format!("agent-{nth}").into(), name: None }),
            5 => EventKind::Unsnoozed,
            6 => EventKind::Blocked,
            7 => EventKind::Unblocked,
            8 => EventKind::Held { until: None, reason: reason(), by: None },
            9 => EventKind::HoldEnded { by: None },
            10 => EventKind::Exempted { reason: reason(), by: None },
            _ => EventKind::ExemptionEnded { by: None },
        };
        let command = Draft { id: format!("ask-{nth}"), conversation, ahead_ms: 0, kind: Kind::Event(kind) };
        Act::Ask { via: self.rng.below(nodes as u64) as usize, command }
    }

    fn change(&mut self) -> SettingsChange {
        match self.rng.below(4) {
            0 => SettingsChange { enabled: Some(false), ..SettingsChange::default() },
            1 => SettingsChange { period: Some(Span::from_millis(MINUTE * (1 + self.rng.below(8) as Ms))), ..SettingsChange::default() },
            _ => SettingsChange { enabled: Some(true), ..SettingsChange::default() },
        }
    }

    fn fault(&mut self, nodes: usize, partitions: u16) -> Fault {
        let node = self.rng.below(nodes as u64) as usize;
        let conversation = self.rng.below(self.size.conversations);
        let some = 1 + self.rng.below(3) as u32;
        let partition = self.rng.below(u64::from(partitions)) as u16;
        match self.rng.below(30) {
            0 => Fault::Kill { node, back_ms: self.rng.below(9_000) },
            1..4 => {
                Fault::KillAtCall { node, calls: self.rng.below(24) as u32, before: self.rng.percent(50), back_ms: self.rng.below(9_000) }
            }
            4 | 5 => Fault::Freeze { node, ms: 100 + self.rng.below(9_000) },
            6 => Fault::Cut { node, ms: 100 + self.rng.below(9_000) },
            7 => Fault::Deaf { node, ms: 100 + self.rng.below(6_000) },
            8 => Fault::Slow { node, ms: 1 + self.rng.below(800), for_ms: self.rng.below(9_000) },
            9 => Fault::LoseCalls { node, calls: some },
            10 | 11 => Fault::LoseAnswers { node, calls: some },
            12 => Fault::Refuse { node, calls: some },
            13 | 14 => Fault::HoldCommits { node, commits: some, ms: 500 + self.rng.below(9_000) },
            15 => Fault::DoubleCommits { node, commits: some },
            16 => Fault::SwallowCommits { node, commits: 1 },
            17 | 18 => Fault::FailOver { lag_ms: self.rng.below(2_000) },
            19 => Fault::StoreClock { by_ms: self.jump(), for_ms: self.while_wrong(5_000) },
            20 => Fault::NodeClock { node, by_ms: self.jump(), for_ms: self.while_wrong(20_000) },
            21 => Fault::Poison { conversation },
            22 => Fault::Deadly { conversation },
            23 => Fault::Garbage { partition },
            24 | 25 => Fault::LostClaim { partition, node, hold_ms: 4_000 + self.rng.below(5_000) },
            26 => Fault::Restart { node },
            27 => Fault::Move { partition, node: Some(node) },
            28 => Fault::Move { partition, node: None },
            _ => Fault::Drain { node, restart_ms: 1_000 + self.rng.below(9_000) },
        }
    }

    /// What can happen to one process and its disk. There is no wire to cut, and no call that never ends: on such a store nobody
    /// has a deadline for one.
    fn fault_of_one(&mut self, partitions: u16) -> Fault {
        let node = 0;
        let conversation = self.rng.below(self.size.conversations);
        let some = 1 + self.rng.below(3) as u32;
        match self.rng.below(18) {
            0 => Fault::Kill { node, back_ms: self.rng.below(9_000) },
            1..4 => {
                Fault::KillAtCall { node, calls: self.rng.below(24) as u32, before: self.rng.percent(50), back_ms: self.rng.below(9_000) }
            }
            4 => Fault::Freeze { node, ms: 100 + self.rng.below(9_000) },
            5 => Fault::Slow { node, ms: 1 + self.rng.below(800), for_ms: self.rng.below(9_000) },
            6 => Fault::LoseCalls { node, calls: some },
            7 | 8 => Fault::LoseAnswers { node, calls: some },
            9 => Fault::Refuse { node, calls: some },
            10 => Fault::DoubleCommits { node, commits: some },
            11 => Fault::StoreClock { by_ms: self.jump(), for_ms: self.while_wrong(5_000) },
            12 => Fault::NodeClock { node, by_ms: self.jump(), for_ms: self.while_wrong(20_000) },
            13 => Fault::Poison { conversation },
            14 => Fault::Deadly { conversation },
            15 => Fault::Garbage { partition: self.rng.below(u64::from(partitions)) as u16 },
            16 => Fault::Restart { node },
            _ => Fault::Rival { ms: 100 + self.rng.below(9_000) },
        }
    }

    /// By how much a clock jumps: by so little that it may be missed, as most do, or by an hour.
    fn jump(&mut self) -> Ms {
        [1, 1, 1, 7, 1_000, 30_000, 5 * MINUTE, 60 * MINUTE][self.rng.below(8) as usize] * (1 - 2 * self.rng.below(2) as Ms)
    }

    fn while_wrong(&mut self, most: u64) -> Option<u64> {
        (!self.rng.percent(20)).then(|| self.rng.below(most))
    }
}
