//! How far the clocks of all members are from ours together: the median, kept at hand.
//!
//! An answer to a time question comes about once a second from somebody, and every write is stamped by what
//! all of them together say: looking at each of a thousand peers for each answer would be most of what an
//! idle node does.

use alloc::{collections::VecDeque, vec::Vec};

use super::clock::{Ahead, MAX_AGE};
use crate::time::Time;

/// So many measurements that count no more may be listed by age beside those that do.
const MAX_STALE: usize = 64;

/// The measurements that count, in order. Who made them is known to the links: two that are alike may stand
/// for each other.
#[derive(Debug, Default)]
pub(crate) struct Offsets {
    by_value: Vec<(i64, Time)>,
    /// Those and some that count no more, the oldest first.
    by_age: VecDeque<(Time, i64)>,
}

impl Offsets {
    /// `new` counts from now on in place of `old`.
    pub(crate) fn replace(&mut self, old: Option<Ahead>, new: Option<Ahead>) {
        let from = old.and_then(|old| self.by_value.binary_search(&place(old)).ok());
        let Some(new) = new else {
            if let Some(from) = from {
                self.by_value.remove(from);
            }
            return;
        };
        let to = self.by_value.partition_point(|known| *known < place(new));
        match from {
            None => self.by_value.insert(to, place(new)),
            // Only what lies between the two places moves.
            Some(from) if from < to => {
                if let Some(part) = self.by_value.get_mut(from..to) {
                    part.rotate_left(1);
                    part.last_mut().into_iter().for_each(|last| *last = place(new));
                }
            }
            Some(from) => {
                if let Some(part) = self.by_value.get_mut(to..=from) {
                    part.rotate_right(1);
                    part.first_mut().into_iter().for_each(|first| *first = place(new));
                }
            }
        }
        self.note_age(new);
    }

    fn note_age(&mut self, ahead: Ahead) {
        self.by_age.push_back((ahead.at, ahead.micros));
        if self.by_age.len() > 2 * self.by_value.len() + MAX_STALE {
            self.by_age = self.by_value.iter().map(|(micros, at)| (*at, *micros)).collect();
            self.by_age.make_contiguous().sort_unstable();
        }
    }

    /// The median of all offsets, our own zero among them; our two clocks' readings differ by `skew` now.
    pub(crate) fn median(&mut self, now: Time, skew: i64) -> i64 {
        while let Some((at, micros)) = self.by_age.pop_front_if(|(at, _)| now.since(*at) > MAX_AGE)
        {
            self.replace(Some(Ahead { micros, at }), None);
        }
        let offset = |(ahead, _): &(i64, Time)| ahead.saturating_sub(skew);
        let below = self.by_value.partition_point(|known| offset(known) < 0);
        let at = |index: usize| {
            let known = match index.checked_sub(below) {
                None => self.by_value.get(index),
                Some(0) => None,
                Some(_) => self.by_value.get(index - 1),
            };
            known.map_or(0, |known| i128::from(offset(known)))
        };
        let middle = self.by_value.len().div_ceil(2);
        let odd = self.by_value.len().is_multiple_of(2);
        let sum = if odd { 2 * at(middle) } else { at(middle - 1) + at(middle) };
        i64::try_from(sum / 2).unwrap_or_default()
    }
}

fn place(ahead: Ahead) -> (i64, Time) {
    (ahead.micros, ahead.at)
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;
    use core::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn of(values: &[i64]) -> Offsets {
        let mut offsets = Offsets::default();
        for micros in values {
            offsets.replace(None, Some(Ahead { micros: *micros, at: Time(0) }));
        }
        offsets
    }

    #[test]
    fn the_median_counts_our_own_zero() {
        let median = |values: &[i64]| of(values).median(Time(0), 0);
        assert_eq!(median(&[]), 0);
        assert_eq!(median(&[10]), 5);
        assert_eq!(median(&[10, 12]), 10);
        assert_eq!(median(&[i64::MAX, 12, -5, 10]), 10);
        assert_eq!(median(&[i64::MIN, i64::MIN]), i64::MIN);
    }

    #[test]
    fn what_is_old_or_taken_back_counts_no_more() {
        let mut offsets = of(&[10, 20]);
        assert_eq!(offsets.median(Time(0), 5), 5);
        let [first, second] = [10, 20].map(|micros| Some(Ahead { micros, at: Time(0) }));
        offsets.replace(first, Some(Ahead { micros: 11, at: Time(7) }));
        offsets.replace(second, None);
        assert_eq!(offsets.median(Time(7), 1), 5);
        assert_eq!(offsets.median(Time(8) + MAX_AGE, 1), 0);
    }

    /// By sorting all of them.
    fn sorted(values: impl Iterator<Item = i64>) -> i64 {
        let mut all: Vec<i64> = values.chain([0]).collect();
        all.sort_unstable();
        let at = |index: usize| i128::from(all[index]);
        let middle = all.len() / 2;
        let sum = if all.len() % 2 == 1 { 2 * at(middle) } else { at(middle - 1) + at(middle) };
        i64::try_from(sum / 2).unwrap()
    }

    #[test]
    fn ages_of_what_counts_no_more_are_few() {
        let (mut offsets, mut last) = (of(&[3]), None);
        for at in 0..10_000 {
            let new = Some(Ahead { micros: 5, at: Time(at) });
            offsets.replace(last, new);
            last = new;
            assert!(offsets.by_age.len() <= 2 * offsets.by_value.len() + MAX_STALE);
        }
        assert_eq!(offsets.median(Time(9_999), 0), 3);
        assert_eq!(offsets.median(Time(1) + MAX_AGE, 0), 2, "the first is too old");
        assert_eq!(offsets.median(Time(9_999) + MAX_AGE, 0), 2, "the last is not");
        assert_eq!(offsets.median(Time(10_000) + MAX_AGE, 0), 0);
    }

    proptest! {
        #[test]
        fn it_is_what_sorting_says(
            steps in prop::collection::vec((0..6u8, prop::option::of(-9..9i64), -9..9i64, 0..600u64), 1..60),
        ) {
            let (mut offsets, mut now) = (Offsets::default(), Time(0));
            let mut model: BTreeMap<u8, Ahead> = BTreeMap::new();
            for (who, micros, skew, pause) in steps {
                now += Duration::from_secs(pause);
                let old = model.remove(&who);
                let new = micros.map(|micros| Ahead { micros, at: now });
                model.extend(new.map(|new| (who, new)));
                offsets.replace(old, new);
                let young = model.values().filter(|ahead| now.since(ahead.at) <= MAX_AGE);
                let expected = sorted(young.map(|ahead| ahead.micros - skew));
                prop_assert_eq!(offsets.median(now, skew), expected);
            }
        }
    }
}
