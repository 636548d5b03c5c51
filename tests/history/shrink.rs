//! Makes a plan smaller while what is wrong with it stays, until a person can read it.

use super::plan::{Act, Plan, Planned};

/// Runs spent on one plan: a minute or so.
const RUNS_MAX: usize = 1_200;

/// The smallest plan found that still `fails`.
pub fn shrink(plan: &Plan, fails: impl Fn(&Plan) -> bool) -> Plan {
    let mut shrinking = Shrinking { best: plan.clone(), runs: 0, fails };
    loop {
        let before = size(&shrinking.best);
        shrinking.drop_acts();
        shrinking.drop_events();
        if size(&shrinking.best) == before || shrinking.runs >= RUNS_MAX {
            return shrinking.best;
        }
    }
}

/// Acts and events of a plan.
fn size(plan: &Plan) -> usize {
    plan.acts.iter().map(|planned| 1 + events(&planned.act)).sum()
}

fn events(act: &Act) -> usize {
    match act {
        Act::Send { events, .. } | Act::Raw { events } => events.len(),
        Act::Again { .. } | Act::Pass { .. } | Act::PassToDeadline { .. } | Act::Settings { .. } | Act::Ask { .. } | Act::Fault(_) => 0,
    }
}

struct Shrinking<F> {
    best: Plan,
    runs: usize,
    fails: F,
}

impl<F: Fn(&Plan) -> bool> Shrinking<F> {
    fn is_enough(&mut self, acts: Vec<Planned>) -> bool {
        if self.runs >= RUNS_MAX {
            return false;
        }
        self.runs += 1;
        let plan = Plan { acts, ..self.best.clone() };
        let fails = (self.fails)(&plan);
        if fails {
            self.best = plan;
        }
        fails
    }

    /// Halves first, then ever smaller parts; the time that went by in what is dropped goes by still.
    fn drop_acts(&mut self) {
        let mut part = self.best.acts.len().div_ceil(2);
        while part > 0 {
            let mut from = 0;
            while from < self.best.acts.len() {
                let mut acts = self.best.acts.clone();
                let to = (from + part).min(acts.len());
                let passed: u64 = acts.drain(from..to).map(|planned| planned.after_ms).sum();
                if let Some(next) = acts.get_mut(from) {
                    next.after_ms += passed;
                }
                if !self.is_enough(acts) {
                    from += part;
                }
            }
            part = if part == 1 { 0 } else { part / 2 };
        }
    }

    fn drop_events(&mut self) {
        for at in 0..self.best.acts.len() {
            let mut left = events(&self.best.acts[at].act);
            while left > 1 {
                left -= 1;
                let mut acts = self.best.acts.clone();
                if let Act::Send { events, .. } | Act::Raw { events } = &mut acts[at].act {
                    events.remove(left);
                }
                self.is_enough(acts);
            }
        }
    }
}
