//! What becomes of one call on its way to the store.

use super::line::Line;
use super::run::LEASE;
use super::time::Ms;

/// For how long a call that never ends may keep a partition from getting on: ten leases.
const SWALLOWED_MS: Ms = 10 * LEASE.as_millis() as Ms;

/// What may go wrong on the way; each counts down.
#[derive(Default)]
pub struct Troubles {
    /// Until this virtual time nothing arrives; what was under way does when it heals, or never.
    pub cut_until: Ms,
    /// Until then calls arrive and answers do not.
    pub deaf_until: Ms,
    /// Until then every call takes up to `slow_ms` each way.
    pub slow_until: Ms,
    pub slow_ms: u64,
    pub lose_calls: u32,
    pub lose_answers: u32,
    pub refuse: u32,
    /// The next commits are held for so long, and arrive even if who sent them is gone.
    pub hold: u32,
    pub hold_ms: u64,
    /// The next commits are carried out twice.
    pub double: u32,
    /// The next commits are neither carried out nor answered, ever.
    pub swallow: u32,
    /// The process ends at the so-manieth call from now, before it arrives or after it was carried out.
    pub end_at: Option<(u32, bool)>,
}

/// What becomes of one call.
pub enum Fate {
    Straight,
    Late(u64, u64),
    Lost,
    AnswerLost,
    Refused,
    Held(u64),
    Doubled,
    Swallowed,
    EndBefore,
    EndAfter,
}

impl Line {
    pub fn fate(&self, is_commit: bool, is_write: bool) -> Fate {
        let now = self.ground.time.virtual_ms();
        let mut troubles = self.troubles();
        if let Some((left, before)) = troubles.end_at.take() {
            match left {
                0 if before => return Fate::EndBefore,
                0 => return Fate::EndAfter,
                _ => troubles.end_at = Some((left - 1, before)),
            }
        }
        let mut dice = self.ground.dice();
        let strikes = |left: &mut u32| std::mem::replace(left, left.saturating_sub(1)) > 0;
        if troubles.cut_until > now {
            // Half of what was written into a dead line is delivered when it lives again.
            let left = (troubles.cut_until - now) as u64;
            return if is_write && dice.percent(50) { Fate::Held(left) } else { Fate::Lost };
        }
        if troubles.deaf_until > now || strikes(&mut troubles.lose_answers) {
            return Fate::AnswerLost;
        }
        if strikes(&mut troubles.lose_calls) {
            return Fate::Lost;
        }
        if strikes(&mut troubles.refuse) {
            return Fate::Refused;
        }
        if is_commit {
            if strikes(&mut troubles.swallow) {
                self.ground.slow_for(SWALLOWED_MS);
                return Fate::Swallowed;
            }
            if strikes(&mut troubles.hold) {
                return Fate::Held(troubles.hold_ms);
            }
            if strikes(&mut troubles.double) {
                return Fate::Doubled;
            }
        }
        if troubles.slow_until > now {
            return Fate::Late(dice.below(troubles.slow_ms + 1), dice.below(troubles.slow_ms + 1));
        }
        match dice.below(32) {
            0 => Fate::Late(1 + dice.below(20), 0),
            1 => Fate::Late(0, 1 + dice.below(20)),
            _ => Fate::Straight,
        }
    }
}
