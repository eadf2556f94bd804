//! How long something took, counted by bounds that are the same for ever.

use core::time::Duration;

/// Upper bounds in microseconds: a cached write to a slow disk, and all that lies between.
const BOUNDS_US: [u64; 14] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000,
];

/// A histogram of durations since the node was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// How many took no longer than the bound in this place, and longer than the one before.
    within: [u64; BOUNDS_US.len()],
    count: u64,
    sum: Duration,
}

impl Times {
    /// Counts one.
    pub fn add(&mut self, took: Duration) {
        let fits = |bound: &u64| took <= Duration::from_micros(*bound);
        let place = BOUNDS_US.iter().position(fits);
        if let Some(within) = place.and_then(|place| self.within.get_mut(place)) {
            *within += 1;
        }
        self.count += 1;
        self.sum = self.sum.saturating_add(took);
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How long all took together.
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// Each bound, and how many took no longer than that.
    pub fn within(&self) -> impl Iterator<Item = (Duration, u64)> {
        let mut all = 0;
        BOUNDS_US.into_iter().zip(self.within).map(move |(bound_us, within)| {
            all += within;
            (Duration::from_micros(bound_us), all)
        })
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn a_time_counts_for_its_bound_and_all_above() {
        let mut times = Times::default();
        for took_us in [500, 501, 3_000_000, 60_000_000] {
            times.add(Duration::from_micros(took_us));
        }
        let within: Vec<u64> = times.within().map(|(_, count)| count).collect();
        assert_eq!(within, [1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3]);
        assert_eq!(times.count(), 4);
        assert_eq!(times.sum(), Duration::from_micros(63_001_001));
    }

    #[test]
    fn bounds_grow() {
        assert!(BOUNDS_US.is_sorted());
    }
}
