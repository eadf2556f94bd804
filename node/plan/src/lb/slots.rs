//! Weights as slots.

use alloc::{collections::BTreeMap, vec, vec::Vec};
/// Up to so many slots each backend has exactly the share that its weight says; where that would take more, there are
/// so many, or twice as many as backends, and a share is off by less than a slot.
pub const MAX_EXACT: usize = 256;

/// How many slots each has. Weights of 0 have none.
pub(crate) fn counts<T: Copy + Ord>(weights: &BTreeMap<T, usize>) -> BTreeMap<T, usize> {
    let some = weights.iter().filter(|(_, weight)| **weight > 0);
    let some: Vec<(T, usize)> = some.map(|(at, weight)| (*at, *weight)).collect();
    let divisor = some.iter().fold(0, |divisor, (_, weight)| gcd(divisor, *weight)).max(1);
    let sum: usize = some.iter().map(|(_, weight)| weight / divisor).sum();
    if sum <= MAX_EXACT.max(some.len()) {
        return some.into_iter().map(|(at, weight)| (at, weight / divisor)).collect();
    }
    largest_remainder(&some)
}

/// The method of Hamilton: whole parts first, what is left to the largest remainders. Nobody goes without.
fn largest_remainder<T: Copy + Ord>(weights: &[(T, usize)]) -> BTreeMap<T, usize> {
    let total = MAX_EXACT.max(weights.len().saturating_mul(2));
    // One each, and the rest by weight.
    let rest = total.saturating_sub(weights.len());
    let sum: usize = weights.iter().map(|(_, weight)| weight).sum::<usize>().max(1);
    let mut by_remainder: Vec<(usize, T)> = Vec::with_capacity(weights.len());
    let mut counts = BTreeMap::new();
    let mut given = 0;
    for (at, weight) in weights {
        // What a share is over the one that everybody has.
        let share = weight.saturating_mul(total);
        let over = share.saturating_sub(sum);
        let whole = (over / sum).min(rest);
        counts.insert(*at, whole.saturating_add(1));
        by_remainder.push((over % sum, *at));
        given += whole;
    }
    by_remainder.sort_by(|(one, at), (other, there)| other.cmp(one).then(at.cmp(there)));
    let mut left = rest.saturating_sub(given);
    for (_, at) in by_remainder.iter().take(left) {
        if let Some(count) = counts.get_mut(at) {
            *count += 1;
            left = left.saturating_sub(1);
        }
    }
    counts
}

fn gcd(mut one: usize, mut other: usize) -> usize {
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one
}

/// Gives the slots out: whoever had one and may keep it does, so that few change.
pub(crate) fn give<T: Copy + Ord>(before: &[T], mut counts: BTreeMap<T, usize>) -> Vec<T> {
    let total = counts.values().sum();
    let mut slots = vec![None; total];
    for (slot, had) in slots.iter_mut().zip(before) {
        if let Some(left) = counts.get_mut(had).filter(|left| **left > 0) {
            *left -= 1;
            *slot = Some(*had);
        }
    }
    let mut rest = counts.into_iter().flat_map(|(at, left)| core::iter::repeat_n(at, left));
    slots.into_iter().filter_map(|slot| slot.or_else(|| rest.next())).collect()
}
