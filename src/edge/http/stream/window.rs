//! What a subscriber was sent and has not said that it has: at most so many, in order.

use std::collections::{HashMap, VecDeque};

use crate::actors::Cursor;

/// What is under way to one subscriber.
pub struct Window {
    max: usize,
    /// In the order in which they were sent.
    sent: VecDeque<Sent>,
    /// Of the first in `sent`, counted from the first ever sent.
    first: u64,
    /// Where in that order each one stands that is not acknowledged; the latest of the same id.
    open: HashMap<String, u64>,
}

struct Sent {
    acknowledged: bool,
    /// Where to go on once this and all before it are acknowledged.
    cursor: Option<Cursor>,
}

impl Window {
    pub fn new(max: usize) -> Self {
        Self { max, sent: VecDeque::new(), first: 0, open: HashMap::new() }
    }

    pub fn has_room(&self) -> bool {
        self.open.len() < self.max && self.sent.len() < 4 * self.max
    }

    /// It is sent. `cursor`: it was the last of its page.
    pub fn sent(&mut self, id: String, cursor: Option<Cursor>) {
        let place = self.first + self.sent.len() as u64;
        if let Some(earlier) = self.open.insert(id, place) {
            // The same once more: whoever acknowledges it has both.
            self.mark(earlier);
        }
        self.sent.push_back(Sent { acknowledged: false, cursor });
    }

    /// The subscriber has it. False: it was not under way; acknowledged already, perhaps.
    pub fn acknowledge(&mut self, id: &str) -> bool {
        let Some(place) = self.open.remove(id) else { return false };
        self.mark(place);
        true
    }

    fn mark(&mut self, place: u64) {
        let at = usize::try_from(place.wrapping_sub(self.first)).ok();
        if let Some(sent) = at.and_then(|at| self.sent.get_mut(at)) {
            sent.acknowledged = true;
        }
    }

    /// Where to go on, if it is further than it was: everything before it is acknowledged.
    pub fn settle(&mut self) -> Option<Cursor> {
        let mut settled = None;
        while self.sent.front().is_some_and(|sent| sent.acknowledged) {
            self.first += 1;
            settled = self.sent.pop_front().and_then(|sent| sent.cursor).or(settled);
        }
        settled
    }

    /// Nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(position: u64) -> Cursor {
        Cursor { incarnation: 1, positions: vec![position] }
    }

    #[test]
    fn a_cursor_is_good_when_all_before_it_is_acknowledged_in_whatever_order() {
        let mut window = Window::new(10);
        window.sent("a".into(), None);
        window.sent("b".into(), Some(cursor(2)));
        window.sent("c".into(), Some(cursor(3)));
        assert!(window.acknowledge("c") && window.settle().is_none());
        assert!(window.acknowledge("b") && window.settle().is_none());
        assert!(window.acknowledge("a") && !window.acknowledge("a") && !window.acknowledge("x"));
        assert_eq!((window.settle(), window.is_empty()), (Some(cursor(3)), true));
    }

    #[test]
    fn there_is_a_bound_and_an_acknowledgement_makes_room() {
        let mut window = Window::new(2);
        window.sent("a".into(), None);
        assert!(window.has_room());
        window.sent("b".into(), Some(cursor(2)));
        assert!(!window.has_room());
        window.acknowledge("b");
        assert!(window.has_room() && window.settle().is_none());
    }

    #[test]
    fn what_is_sent_twice_is_acknowledged_once() {
        let mut window = Window::new(2);
        window.sent("a".into(), Some(cursor(1)));
        window.sent("a".into(), Some(cursor(2)));
        assert!(window.has_room() && window.acknowledge("a"));
        assert_eq!((window.settle(), window.is_empty()), (Some(cursor(2)), true));
    }
}
