//! How far the clocks of all members are from ours together: the median, kept at hand.
//!
//! An answer to a time question comes about once a second from somebody, and every write is stamped by what
//! all of them together say: looking at each of a thousand peers for each answer would be most of what an
//! idle node does.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use super::clock::{Ahead, MAX_AGE};
use crate::{identity::NodeId, time::Time};

/// The measurements that count, in order.
#[derive(Debug, Default)]
pub(crate) struct Offsets {
    of: BTreeMap<NodeId, Ahead>,
    by_value: Vec<(i64, NodeId)>,
    by_age: BTreeSet<(Time, NodeId)>,
}

impl Offsets {
    /// What counts of a peer from now on, if anything does.
    pub(crate) fn set(&mut self, id: NodeId, ahead: Option<Ahead>) {
        if self.of.get(&id) == ahead.as_ref() {
            return;
        }
        self.remove(id);
        let Some(ahead) = ahead else { return };
        self.of.insert(id, ahead);
        self.by_age.insert((ahead.at, id));
        let place = (ahead.micros, id);
        let index = self.by_value.partition_point(|known| *known < place);
        self.by_value.insert(index, place);
    }

    fn remove(&mut self, id: NodeId) {
        let Some(ahead) = self.of.remove(&id) else { return };
        self.by_age.remove(&(ahead.at, id));
        if let Ok(index) = self.by_value.binary_search(&(ahead.micros, id)) {
            self.by_value.remove(index);
        }
    }

    /// The median of all offsets, our own zero among them; our two clocks' readings differ by `skew` now.
    pub(crate) fn median(&mut self, now: Time, skew: i64) -> i64 {
        while let Some((_, id)) = self.by_age.first().filter(|(at, _)| now.since(*at) > MAX_AGE) {
            self.remove(*id);
        }
        let offset = |(ahead, _): &(i64, NodeId)| ahead.saturating_sub(skew);
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

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn id(n: u8) -> NodeId {
        NodeId([n; 16])
    }

    fn of(values: &[i64]) -> Offsets {
        let mut offsets = Offsets::default();
        for (n, micros) in (0..).zip(values) {
            offsets.set(id(n), Some(Ahead { micros: *micros, at: Time(0) }));
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
        offsets.set(id(0), Some(Ahead { micros: 11, at: Time(7) }));
        offsets.set(id(1), None);
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

    proptest! {
        #[test]
        fn it_is_what_sorting_says(
            steps in prop::collection::vec((0..6u8, prop::option::of(-9..9i64), -9..9i64, 0..600u64), 1..60),
        ) {
            let (mut offsets, mut now) = (Offsets::default(), Time(0));
            let mut model: BTreeMap<u8, (i64, Time)> = BTreeMap::new();
            for (who, micros, skew, pause) in steps {
                now += Duration::from_secs(pause);
                match micros {
                    Some(micros) => model.insert(who, (micros, now)),
                    None => model.remove(&who),
                };
                offsets.set(id(who), micros.map(|micros| Ahead { micros, at: now }));
                let young = model.values().filter(|(_, at)| now.since(*at) <= MAX_AGE);
                let expected = sorted(young.map(|(micros, _)| micros - skew));
                prop_assert_eq!(offsets.median(now, skew), expected);
            }
        }
    }
}
