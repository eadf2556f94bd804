//! One seed, many independent streams of draws.
//!
//! Every purpose (the links of one host, its disk, the faults, ...) draws from a stream of its own, so that
//! one more draw in one place shifts nothing elsewhere. No other source of randomness exists here.

use std::hash::Hasher;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use siphasher::sip::SipHasher13;

/// A million: chances are given in parts of it.
pub const MILLION: u32 = 1_000_000;

/// What decides everything in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(pub u64);

impl Seed {
    /// The stream for `purpose`, one of several numbered by `index`.
    pub fn stream(self, purpose: &str, index: u64) -> Draws {
        let mut hash = SipHasher13::new();
        hash.write(purpose.as_bytes());
        let mut key = [0; 32];
        let parts = [self.0, hash.finish(), index, 0x6e65_7464_622d_7369];
        for (to, part) in key.chunks_exact_mut(8).zip(parts) {
            to.copy_from_slice(&part.to_le_bytes());
        }
        Draws(ChaCha8Rng::from_seed(key))
    }
}

/// One stream of draws.
#[derive(Clone, Debug)]
pub struct Draws(ChaCha8Rng);

impl Draws {
    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `bound`; zero if `bound` is.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.0.random_range(0..bound) }
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low.saturating_add(self.below(high.saturating_sub(low).saturating_add(1)))
    }

    /// A place in a list of `len` elements.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }

    /// True in `per_million` of a million cases. Draws nothing if the chance is 0.
    pub fn chance(&mut self, per_million: u32) -> bool {
        per_million > 0 && self.below(u64::from(MILLION)) < u64::from(per_million)
    }

    /// One of `items`.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let at = self.index(items.len());
        items.get(at)
    }

    /// Puts `items` into a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.index(at + 1));
        }
    }

    /// The generator itself, for what needs one handed in.
    pub fn into_rng(self) -> ChaCha8Rng {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_independent_and_repeatable() {
        let seed = Seed(7);
        let first: Vec<u64> = (0..4).map(|i| seed.stream("net", i).any()).collect();
        let again: Vec<u64> = (0..4).map(|i| seed.stream("net", i).any()).collect();
        assert_eq!(first, again);
        assert_ne!(seed.stream("net", 0).any(), seed.stream("disk", 0).any());
        assert_ne!(seed.stream("net", 0).any(), Seed(8).stream("net", 0).any());
        assert_eq!(first.iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
    }

    #[test]
    fn draws_stay_in_their_bounds() {
        let mut draws = Seed(1).stream("test", 0);
        for _ in 0..1000 {
            assert!((3..=5).contains(&draws.between(3, 5)));
            assert_eq!(draws.between(9, 9), 9);
        }
        assert_eq!(draws.below(0), 0);
        assert!(!draws.chance(0));
        assert!(draws.chance(MILLION));
        let mut items = [1, 2, 3, 4, 5];
        draws.shuffle(&mut items);
        items.sort_unstable();
        assert_eq!(items, [1, 2, 3, 4, 5]);
    }
}
