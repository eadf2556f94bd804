//! Which numbers are not free, and why: reserved, given here, named by an endpoint anywhere, or resting.

use alloc::collections::{BTreeMap, BTreeSet};
use core::ops::Range;

use netdb_gossip_core::{identity::NodeId, time::Time};

use super::runs::Runs;

/// Why one number is not free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Why {
    given: bool,
    user: Option<NodeId>,
    rests: Option<Time>,
}

/// All numbers that are not free.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers {
    reserved: BTreeSet<u128>,
    why: BTreeMap<u128, Why>,
    resting: BTreeSet<(Time, u128)>,
    busy: Runs,
    given: usize,
}

impl Numbers {
    pub(super) fn new(reserved: &BTreeSet<u128>) -> Self {
        let mut numbers = Self { reserved: reserved.clone(), ..Self::default() };
        for n in reserved {
            numbers.busy.insert(*n);
        }
        numbers
    }

    fn change(&mut self, n: u128, change: impl FnOnce(&mut Why)) {
        let mut why = self.why.get(&n).copied().unwrap_or_default();
        let before = why;
        change(&mut why);
        self.given = self.given + usize::from(why.given) - usize::from(before.given);
        if let Some(until) = before.rests {
            self.resting.remove(&(until, n));
        }
        if let Some(until) = why.rests {
            self.resting.insert((until, n));
        }
        if why == Why::default() {
            self.why.remove(&n);
            if !self.reserved.contains(&n) {
                self.busy.remove(n);
            }
        } else {
            self.why.insert(n, why);
            self.busy.insert(n);
        }
    }

    /// Given by this node from now on; it no longer rests.
    pub(super) fn give(&mut self, n: u128) {
        self.change(n, |why| (why.given, why.rests) = (true, None));
    }

    /// Given no more, and not to be given again before `until`. False if it was not given.
    pub(super) fn release(&mut self, n: u128, until: Time) -> bool {
        let given = self.is_given(n);
        if given {
            self.change(n, |why| (why.given, why.rests) = (false, Some(until)));
        }
        given
    }

    pub(super) fn rest(&mut self, n: u128, until: Time) {
        self.change(n, |why| why.rests = Some(why.rests.map_or(until, |known| known.max(until))));
    }

    /// An endpoint of this node names the number, or none does; who did before.
    pub(super) fn set_user(&mut self, n: u128, user: Option<NodeId>) -> Option<NodeId> {
        let before = self.user(n);
        self.change(n, |why| why.user = user);
        before
    }

    /// Wakes what has rested enough.
    pub(super) fn wake(&mut self, now: Time) {
        while let Some((_, n)) = self.resting.first().copied().filter(|(until, _)| *until <= now) {
            self.change(n, |why| why.rests = None);
        }
    }

    pub(super) fn is_given(&self, n: u128) -> bool {
        self.why.get(&n).is_some_and(|why| why.given)
    }

    pub(super) fn user(&self, n: u128) -> Option<NodeId> {
        self.why.get(&n).and_then(|why| why.user)
    }

    pub(super) fn given(&self) -> usize {
        self.given
    }

    /// What this node gave in a range.
    pub(super) fn given_in(&self, within: Range<u128>) -> impl Iterator<Item = u128> {
        self.why.range(within).filter(|(_, why)| why.given).map(|(n, _)| *n)
    }

    /// What is in use in a range, by whomever.
    pub(super) fn used_in(&self, within: Range<u128>) -> usize {
        let used = |why: &Why| why.given || why.user.is_some();
        self.why.range(within).filter(|(_, why)| used(why)).count()
    }

    /// By whom the numbers of a range that are in use are used; `me` is this node.
    pub(super) fn users_in(&self, within: Range<u128>, me: NodeId) -> impl Iterator<Item = NodeId> {
        let user = move |why: &Why| if why.given { Some(me) } else { why.user };
        self.why.range(within).filter_map(move |(_, why)| user(why))
    }

    /// Whether something in a range rests, and is not in use besides.
    pub(super) fn rests_in(&self, within: &Range<u128>) -> bool {
        let in_use = |why: &Why| why.given || why.user.is_some();
        let rests = |n: &u128| within.contains(n) && !self.why.get(n).is_some_and(in_use);
        self.resting.iter().any(|(_, n)| rests(n))
    }

    pub(super) fn busy(&self) -> &Runs {
        &self.busy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_use_does_not_rest() {
        let mut numbers = Numbers::new(&BTreeSet::new());
        numbers.give(3);
        numbers.set_user(3, Some(NodeId([1; 16])));
        // The promise is over, since a row says whose it is.
        numbers.release(3, Time(9));
        assert!(!numbers.rests_in(&(0..8)));
        assert_eq!(numbers.used_in(0..8), 1);
        numbers.set_user(3, None);
        assert!(numbers.rests_in(&(0..8)) && !numbers.rests_in(&(4..8)));
        numbers.wake(Time(9));
        assert!(!numbers.rests_in(&(0..8)));
    }
}
