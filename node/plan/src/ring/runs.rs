//! A set of numbers kept as runs: what it costs follows the number of gaps, not of numbers.

use alloc::collections::BTreeMap;
use core::ops::Range;

/// Numbers, by the first of each run to the one behind its last.
#[derive(Clone, Debug, Default)]
pub(super) struct Runs(BTreeMap<u128, u128>);

impl Runs {
    /// Adds a number. The largest of all has none behind it and is never a member of a space.
    pub(super) fn insert(&mut self, n: u128) {
        if n == u128::MAX || self.end_of(n).is_some() {
            return;
        }
        let end = self.0.remove(&(n + 1)).unwrap_or(n + 1);
        match self.0.range_mut(..n).next_back() {
            Some((_, before)) if *before == n => *before = end,
            _ => {
                self.0.insert(n, end);
            }
        }
    }

    /// Takes a number out.
    pub(super) fn remove(&mut self, n: u128) {
        let Some((start, end)) = self.run(n) else { return };
        if start == n {
            self.0.remove(&start);
        } else {
            self.0.insert(start, n);
        }
        if n + 1 < end {
            self.0.insert(n + 1, end);
        }
    }

    fn run(&self, n: u128) -> Option<(u128, u128)> {
        let (start, end) = self.0.range(..=n).next_back()?;
        (n < *end).then_some((*start, *end))
    }

    /// The end of the run that a number is in.
    pub(super) fn end_of(&self, n: u128) -> Option<u128> {
        self.run(n).map(|(_, end)| end)
    }

    /// The lowest number of `within` that is no member.
    pub(super) fn first_gap(&self, within: &Range<u128>) -> Option<u128> {
        let n = self.end_of(within.start).unwrap_or(within.start);
        (n < within.end).then_some(n)
    }

    /// The stretches of `within` without a member.
    pub(super) fn gaps(&self, within: Range<u128>) -> impl Iterator<Item = Range<u128>> {
        let mut at = within.start;
        core::iter::from_fn(move || {
            let from = self.first_gap(&(at..within.end))?;
            let next = self.0.range(from..).next().map_or(within.end, |(start, _)| *start);
            at = next.min(within.end);
            Some(from..at)
        })
    }

    /// How many numbers of `within` are no members.
    pub(super) fn free(&self, within: Range<u128>) -> u128 {
        self.gaps(within).map(|gap| gap.end - gap.start).sum()
    }
}

#[cfg(test)]
mod tests {
    use alloc::{collections::BTreeSet, vec::Vec};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn runs_are_the_set(steps in prop::collection::vec((any::<bool>(), 0u128..24), 0..80)) {
            let (mut runs, mut model) = (Runs::default(), BTreeSet::new());
            for (add, n) in steps {
                if add {
                    runs.insert(n);
                    model.insert(n);
                } else {
                    runs.remove(n);
                    model.remove(&n);
                }
                let free: Vec<u128> = runs.gaps(2..20).flatten().collect();
                let expected: Vec<u128> = (2..20).filter(|n| !model.contains(n)).collect();
                prop_assert_eq!(runs.first_gap(&(2..20)), expected.first().copied());
                prop_assert_eq!(runs.free(2..20), u128::try_from(expected.len()).unwrap());
                prop_assert_eq!(free, expected);
            }
        }
    }

    #[test]
    fn the_ends_of_all_numbers_do_no_harm() {
        let mut runs = Runs::default();
        runs.insert(u128::MAX);
        runs.insert(u128::MAX - 1);
        assert_eq!(runs.first_gap(&(u128::MAX - 2..u128::MAX)), Some(u128::MAX - 2));
        assert_eq!(runs.free(0..u128::MAX), u128::MAX - 1);
    }
}
