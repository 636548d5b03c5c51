//! Bugs that others have shipped, each in one place of what is otherwise the service as it is. The simulation plants them one
//! by one, and says which law caught each (`tests/history/planted.rs`).

/// A bug, by what is missing or wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    /// Whoever was the owner once may commit.
    NoFence,
    /// A token is a count: after a failover two owners have the same.
    IntegerFence,
    /// Timers fire without a look at what was accepted meanwhile.
    NoBarrier,
    /// The position in the log is written by a call of its own, after the states.
    CheckpointApart,
    /// A batch that is refused has been written in part.
    WriteBeforeValidate,
    /// Only the node's clock is asked whether a deadline has passed.
    NodeClockOnly,
    /// Only the store's is.
    StoreClockOnly,
    /// A close has a new id each time it is told.
    RandomCloseId,
    /// A shard keeps the settings it began with.
    CachedSettings,
    /// The log is cut off at a length, applied or not.
    MaxlenTrim,
    /// Who spoke last is told by arrival.
    ArrivalOrder,
    /// What was accepted is acknowledged before the replica has it.
    AckBeforeReplica,
    /// The lease is renewed whatever becomes of the shard's turns.
    LeaseRenewedApart,
    /// A subscriber's place is a bare number, and another primary gives out the same numbers again.
    RawCursor,
    /// A commit need not build on the last one.
    NoChain,
    /// After another primary took over an owner goes on with what it has in memory.
    MemoryKept,
    /// Due timers are looked for from where the last look ended.
    WakeUpFromCursor,
    /// Settings count in the order of their arrival.
    SettingsByArrival,
}

impl Bug {
    pub const ALL: &[Self] = &[
        Self::NoFence,
        Self::IntegerFence,
        Self::NoBarrier,
        Self::CheckpointApart,
        Self::WriteBeforeValidate,
        Self::NodeClockOnly,
        Self::StoreClockOnly,
        Self::RandomCloseId,
        Self::CachedSettings,
        Self::MaxlenTrim,
        Self::ArrivalOrder,
        Self::AckBeforeReplica,
        Self::LeaseRenewedApart,
        Self::RawCursor,
        Self::NoChain,
        Self::MemoryKept,
        Self::WakeUpFromCursor,
        Self::SettingsByArrival,
    ];
}

#[cfg(feature = "faults")]
mod active {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// From here on this thread runs with this bug.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }

    pub fn planted(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }
}

#[cfg(feature = "faults")]
pub use active::{plant, planted};

/// Nothing can be planted without the feature.
#[cfg(not(feature = "faults"))]
pub const fn plant(_: Option<Bug>) {}

#[cfg(not(feature = "faults"))]
pub const fn planted(_: Bug) -> bool {
    false
}
