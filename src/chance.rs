//! The only file that asks the machine for chance: tokens of leases, ids of commits, names of processes.
//!
//! Whoever wants to see the same run twice draws it all from one seed ([`replay`]).

use std::cell::Cell;

use uuid::Uuid;

thread_local! {
    /// The state of the generator of a run that is to be seen again; `None`: the machine's own chance.
    static SEEDED: Cell<Option<u64>> = const { Cell::new(None) };
}

/// From here on whatever this thread draws follows from `seed`; `None`: from the machine.
pub fn replay(seed: Option<u64>) {
    SEEDED.set(seed);
}

pub fn token() -> u64 {
    match SEEDED.get() {
        Some(state) => {
            let (next, drawn) = split_mix(state);
            SEEDED.set(Some(next));
            drawn
        }
        None => Uuid::new_v4().as_u64_pair().0,
    }
}

/// One that nobody else will ever draw.
pub fn unique() -> u128 {
    match SEEDED.get() {
        Some(_) => u128::from(token()) << 64 | u128::from(token()),
        None => Uuid::new_v4().as_u128(),
    }
}

/// SplitMix64: the next state, and what is drawn.
fn split_mix(state: u64) -> (u64, u64) {
    let next = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = next;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (next, z ^ (z >> 31))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_the_same_again_and_none_draws_anew() {
        let draw = |seed| {
            replay(seed);
            let drawn = (token(), unique(), token());
            replay(None);
            drawn
        };
        assert_eq!(draw(Some(7)), draw(Some(7)));
        assert_ne!(draw(Some(7)), draw(Some(8)));
        assert_ne!(draw(None), draw(None));
    }
}
