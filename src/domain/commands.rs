//! Commands whose order matters: snooze and un-snooze, block and unblock. A short bounded list, folded in order of
//! "later", so that any order of arrival gives the same facts (D5).

use super::order::{Border, Position};
use super::time::Timestamp;

/// Commands remembered one by one. What is older is folded into a base; a command that arrives later still than that is
/// recorded only. Sixteen un-ordered snoozes between two replies of one contact are more than any pipeline delays.
pub const COMMANDS_MAX: usize = 16;

/// A command and what it does to the state that a list of them folds into.
pub trait Command: Clone {
    type State: Copy + Default;

    fn apply(&self, state: Self::State, at: &Position) -> Self::State;
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommandLog<C: Command> {
    /// What everything up to `floor` came to.
    pub base: C::State,
    pub floor: Option<Position>,
    /// In order, all later than `floor`.
    pub recent: Vec<(Position, C)>,
}

impl<C: Command> Default for CommandLog<C> {
    fn default() -> Self {
        Self { base: C::State::default(), floor: None, recent: Vec::new() }
    }
}

impl<C: Command> CommandLog<C> {
    /// Puts `command` in its place. A repeat, or one older than all that is remembered, changes nothing.
    pub fn insert(&mut self, position: Position, command: C) {
        if self.floor.as_ref().is_some_and(|floor| position <= *floor) {
            return;
        }
        if let Err(place) = self.recent.binary_search_by(|(p, _)| p.cmp(&position)) {
            self.recent.insert(place, (position, command));
        }
        if self.recent.len() > COMMANDS_MAX {
            let (oldest, command) = self.recent.remove(0);
            self.base = command.apply(self.base, &oldest);
            self.floor = Some(oldest);
        }
    }

    /// The state after every command that is not earlier than `start`.
    pub fn fold_from(&self, start: Option<&Position>) -> C::State {
        let counts = |position: &Position| start.is_none_or(|start| position >= start);
        let base = if self.floor.as_ref().is_some_and(counts) { self.base } else { C::State::default() };
        self.recent.iter().filter(|(p, _)| counts(p)).fold(base, |state, (p, command)| command.apply(state, p))
    }

    /// The state just before `position`.
    pub fn fold_until(&self, position: &Position) -> C::State {
        self.recent.iter().take_while(|(p, _)| p < position).fold(self.base, |state, (p, command)| command.apply(state, p))
    }

    /// Forgets what is not later than `position`, the base included.
    pub fn forget_until(&mut self, position: &Position) {
        if self.floor.as_ref().is_some_and(|floor| floor <= position) {
            self.base = C::State::default();
        }
        self.recent.retain(|(p, _)| p > position);
    }

    /// Takes out what is later than `border`.
    pub fn split_after(&mut self, border: &Border) -> Self {
        let (later, kept) = std::mem::take(&mut self.recent).into_iter().partition(|(p, _)| border.is_before(p));
        self.recent = kept;
        Self { recent: later, ..Self::default() }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SnoozeCommand {
    Until(Timestamp),
    End,
}

/// What the snooze commands come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SnoozeState {
    /// The snooze that holds, or has run out since.
    pub until: Option<Timestamp>,
    /// When the last snooze before that ended.
    pub ended: Option<Timestamp>,
}

impl SnoozeState {
    /// From when the full period counts: the end of the snooze that holds, else of the last one (T9, T11).
    pub fn end(self) -> Option<Timestamp> {
        self.until.max(self.ended)
    }

    pub fn holds_at(self, now: Timestamp) -> Option<Timestamp> {
        self.until.filter(|until| *until > now)
    }
}

impl Command for SnoozeCommand {
    type State = SnoozeState;

    /// T9, T11, T12. An un-snooze when nothing is snoozed is no fact (L0a).
    fn apply(&self, before: SnoozeState, at: &Position) -> SnoozeState {
        let run_out = before.until.filter(|until| *until <= at.effective);
        let before = match run_out {
            Some(end) => SnoozeState { until: None, ended: Some(end) },
            None => before,
        };
        match *self {
            Self::Until(until) if until > at.time => SnoozeState { until: Some(until), ..before },
            // `until` at or before its own time counts as an un-snooze (T9).
            Self::Until(_) | Self::End => match before.until {
                Some(_) => SnoozeState { until: None, ended: Some(at.time) },
                None => before,
            },
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BlockCommand {
    Block,
    Unblock,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BlockState {
    pub blocked: bool,
    pub unblocked_at: Option<Timestamp>,
}

impl Command for BlockCommand {
    type State = BlockState;

    /// T17. An unblock when nothing is blocked is no fact (L0a).
    fn apply(&self, before: BlockState, at: &Position) -> BlockState {
        match self {
            Self::Block => BlockState { blocked: true, ..before },
            Self::Unblock if before.blocked => BlockState { blocked: false, unblocked_at: Some(at.time) },
            Self::Unblock => before,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{accepted, at, human};
    use super::*;

    fn position(ms: i64) -> Position {
        Position::of(&accepted(human(&format!("e{ms}"), ms), ms))
    }

    #[test]
    fn any_order_of_arrival_folds_alike() {
        let commands =
            [(1, SnoozeCommand::Until(at(50))), (2, SnoozeCommand::End), (3, SnoozeCommand::Until(at(40))), (60, SnoozeCommand::End)];
        let mut forth = CommandLog::default();
        let mut back = CommandLog::default();
        commands.iter().for_each(|(ms, c)| forth.insert(position(*ms), *c));
        commands.iter().rev().for_each(|(ms, c)| back.insert(position(*ms), *c));
        assert_eq!(forth, back);
        assert_eq!(forth.fold_from(None), SnoozeState { until: None, ended: Some(at(40)) });
    }

    #[test]
    fn t9_until_in_the_past_is_an_unsnooze() {
        let mut log = CommandLog::default();
        log.insert(position(1), SnoozeCommand::Until(at(50)));
        log.insert(position(20), SnoozeCommand::Until(at(20)));
        assert_eq!(log.fold_from(None).end(), Some(at(20)));
    }

    #[test]
    fn what_falls_off_the_list_still_counts() {
        let mut log = CommandLog::default();
        log.insert(position(1), SnoozeCommand::Until(at(1_000)));
        (2..40).for_each(|ms| log.insert(position(ms), SnoozeCommand::End));
        assert_eq!(log.recent.len(), COMMANDS_MAX);
        assert_eq!(log.fold_from(None).end(), Some(at(2)));
    }
}
