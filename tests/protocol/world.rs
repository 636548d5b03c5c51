//! What the model holds: two servers of Redis, two nodes, what is under way between them, and two clocks.

/// The deadline of the timer that is armed at the beginning.
pub const DUE: u8 = 1;
/// A human message closes so much after it was accepted.
pub const PERIOD: u8 = 1;
/// How far a clock that jumps is ahead.
pub const JUMP: u8 = 2;

/// Epoch and nonce: the lua scripts compare both. The holder's name stands beside them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Lease {
    pub epoch: u8,
    pub nonce: u8,
    pub node: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Message {
    Reply,
    Human,
}

/// The first is sent to the first node, the second to the second: that node answers, and remembers that it did.
pub const MESSAGES: [Message; 2] = [Message::Reply, Message::Human];

impl Message {
    pub fn mark(self) -> u8 {
        1 << self as u8
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Entry {
    pub id: u8,
    pub message: Message,
    /// The store's clock when it was taken.
    pub accepted_at: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Row {
    pub episode: u8,
    pub open: bool,
    pub due: Option<u8>,
    /// Marks of the messages this state knows.
    pub applied: u8,
}

impl Row {
    pub fn knows(self, message: Message) -> bool {
        self.applied & message.mark() != 0
    }

    /// The rules T3, T4, T5, L5 and L6, and D6: a repeat changes nothing.
    pub fn step(self, entry: Entry) -> Self {
        if self.knows(entry.message) {
            return self;
        }
        let due = match entry.message {
            Message::Reply => None,
            Message::Human => Some(entry.accepted_at + PERIOD),
        };
        Self { episode: self.episode + u8::from(!self.open), open: true, due, applied: self.applied | entry.message.mark() }
    }

    pub fn closed(self) -> Self {
        Self { open: false, due: None, ..self }
    }
}

/// A close as subscribers read it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Close {
    pub episode: u8,
    pub due: u8,
    /// What the state knew that was closed.
    pub knew: u8,
}

/// One server's data of one partition with one conversation.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Server {
    pub lease: Lease,
    pub head: u8,
    pub checkpoint: u8,
    pub log: Vec<Entry>,
    /// Nothing is accepted before it.
    pub floor: u8,
    pub row: Row,
    pub outbox: Vec<Close>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Commit {
    pub node: usize,
    pub lease: Lease,
    pub id: u8,
    pub based_on: u8,
    pub checkpoint: u8,
    pub row: Row,
    pub close: Option<Close>,
    /// How many closes were told before: notifications are numbered without a gap.
    pub told: u8,
    /// What its writer had loaded: no store sees this, the property does.
    pub from: (Row, u8),
    /// The checkpoint was moved in a step of its own (an ablation).
    pub half_done: bool,
}

/// What a node has in memory of the partition.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Held {
    pub lease: Lease,
    pub head: u8,
    pub checkpoint: u8,
    pub row: Row,
    pub told: u8,
    /// The store's clock and the log's last id, as they were seen together.
    pub barrier: Option<(u8, u8)>,
    /// The commit without an answer yet.
    pub waits_for: Option<u8>,
    /// It was written, and the replica is waited for; true once that has it.
    pub written: Option<bool>,
    /// Whether there is a reminder of the timer.
    pub bell: bool,
}

/// A client's message.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Sent {
    pub accepted_at: u8,
    /// The replica has it; `None`: the primary that took it is gone, or the node that asked, and nobody knows.
    pub safe: Option<bool>,
    pub acknowledged: bool,
    pub ring: Ring,
}

/// What the node remembers that acknowledged a message.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Ring {
    Empty,
    Remembers,
    /// It is to be appended: another primary answers, which may not have it.
    Owes,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Clock {
    Store,
    Node,
}

/// Faults and other events that may still come.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Budget {
    pub sends: u8,
    pub ticks: u8,
    pub claims: u8,
    pub deaths: u8,
    pub doubles: u8,
    pub failovers: u8,
    pub jumps: u8,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct World {
    pub now: u8,
    /// How far each clock is ahead.
    pub ahead: [u8; 2],
    pub left: Budget,
    pub primary: Server,
    pub replica: Server,
    pub nodes: [Option<Held>; 2],
    pub socket: Vec<Commit>,
    pub sent: [Option<Sent>; 2],
    /// Ids of the log that were given out: none comes twice, also over a failover.
    pub ids: u8,
    pub claims: u8,
    pub commits: u8,
    /// A close was written before its deadline by the true time.
    pub early: bool,
    /// Something was written that did not come from who holds the partition, or not from what is stored.
    pub stale: bool,
    /// Closes that were told to be durable.
    pub confirmed: Vec<Close>,
}

impl World {
    pub fn new(left: Budget) -> Self {
        let row = Row { episode: 1, open: true, due: Some(DUE), applied: 0 };
        let server = Server { lease: Lease::default(), head: 0, checkpoint: 0, log: Vec::new(), floor: 0, row, outbox: Vec::new() };
        Self {
            now: 0,
            ahead: [0; 2],
            left,
            replica: server.clone(),
            primary: server,
            nodes: [None, None],
            socket: Vec::new(),
            sent: [None; 2],
            ids: 0,
            claims: 0,
            commits: 0,
            early: false,
            stale: false,
            confirmed: Vec::new(),
        }
    }

    pub fn shows(&self, clock: Clock) -> u8 {
        self.now + self.ahead[clock as usize]
    }

    /// The replica has all there is.
    pub fn replicate(&mut self) {
        self.replica = self.primary.clone();
        self.sent.iter_mut().flatten().filter_map(|sent| sent.safe.as_mut()).for_each(|safe| *safe = true);
        self.nodes.iter_mut().flatten().filter_map(|held| held.written.as_mut()).for_each(|safe| *safe = true);
    }

    /// A node is killed, and all it had in memory is gone. What it sent is under way all the same; whoever waits for its
    /// answer never gets one, and what it remembers having acknowledged no other node does. `None`: it had nothing.
    pub fn kill(&mut self, node: usize) -> Option<()> {
        let before = (self.nodes[node].take(), self.sent[node]);
        if let Some(sent) = &mut self.sent[node] {
            sent.safe = sent.safe.filter(|_| sent.acknowledged);
            sent.ring = Ring::Empty;
        }
        (before != (None, self.sent[node])).then_some(())
    }

    /// `XADD`, of a message that was accepted then.
    pub fn append(&mut self, message: Message, accepted_at: u8) {
        self.primary.floor = self.primary.floor.max(self.shows(Clock::Store));
        self.ids += 1;
        self.primary.log.push(Entry { id: self.ids, message, accepted_at });
    }

    /// The primary is gone with what the replica has not. Who waits for an answer never gets one.
    pub fn fail_over(&mut self) {
        self.primary = self.replica.clone();
        for sent in self.sent.iter_mut().flatten() {
            sent.safe = sent.safe.filter(|safe| *safe);
            if sent.ring == Ring::Remembers {
                sent.ring = Ring::Owes;
            }
        }
        for node in &mut self.nodes {
            node.take_if(|held| held.written == Some(false));
        }
    }
}
