//! Samples of one figure, and what is said of them.

use serde::Serialize;

/// With fewer samples than this the ninety-ninth percentile is the largest of them, and is called so.
const ENOUGH: usize = 100;

/// Percentiles, in the unit of the figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Summary {
    pub(crate) count: usize,
    pub(crate) median: u64,
    /// None with too few samples.
    pub(crate) p99: Option<u64>,
    pub(crate) max: u64,
}

impl Summary {
    /// None of no samples.
    pub(crate) fn of(samples: &[u64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_unstable();
        let count = sorted.len();
        let at = |percent: usize| {
            let rank = (count * percent).div_ceil(100).max(1) - 1;
            sorted.get(rank).copied()
        };
        let p99 = if count < ENOUGH { None } else { at(99) };
        Some(Self { count, median: at(50)?, p99, max: at(100)? })
    }

    /// What is shown beside the median.
    pub(crate) fn tail(&self) -> u64 {
        self.p99.unwrap_or(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples() {
        let samples: Vec<u64> = (1..=200).rev().collect();
        let all = Summary::of(&samples).unwrap();
        assert_eq!((all.count, all.median, all.p99, all.max), (200, 100, Some(198), 200));
        assert_eq!(all.tail(), 198);
    }

    #[test]
    fn few_samples_have_a_largest_one_and_none_have_nothing() {
        let few = Summary::of(&[9, 7, 8]).unwrap();
        assert_eq!((few.median, few.p99, few.tail()), (8, None, 9));
        assert_eq!(Summary::of(&[]), None);
    }
}
