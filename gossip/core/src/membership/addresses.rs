//! Which members are reached where, in order of the addresses, so that two at one address are noticed
//! without looking at all.

use alloc::{collections::BTreeSet, vec::Vec};
use core::net::SocketAddr;

use crate::identity::NodeId;

type Place = (SocketAddr, NodeId);

/// The addresses of some members.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    all: BTreeSet<Place>,
    /// How many neighbours in that order share their address.
    shared: usize,
}

impl Addresses {
    pub(crate) fn insert(&mut self, addr: SocketAddr, id: NodeId) {
        if self.all.insert((addr, id)) {
            let (beside, between) = self.around((addr, id));
            self.shared = self.shared + beside - between;
        }
    }

    pub(crate) fn remove(&mut self, addr: SocketAddr, id: NodeId) {
        if self.all.remove(&(addr, id)) {
            let (beside, between) = self.around((addr, id));
            self.shared = self.shared + between - beside;
        }
    }

    /// Neighbours that share an address, with the lower id first.
    pub(crate) fn shared(&self) -> Vec<(SocketAddr, NodeId, NodeId)> {
        if self.shared == 0 {
            return Vec::new();
        }
        let pairs = self.all.iter().zip(self.all.iter().skip(1));
        let same = pairs.filter(|((one, _), (other, _))| one == other);
        same.map(|((addr, one), (_, other))| (*addr, *one, *other)).collect()
    }

    /// How many of the two neighbours of a place share its address, and whether they share theirs.
    fn around(&self, place: Place) -> (usize, usize) {
        let addr = |place: &Place| place.0;
        let before = self.all.range(..place).next_back().map(addr);
        let after =
            self.all.range((core::ops::Bound::Excluded(place), core::ops::Bound::Unbounded));
        let after = after.map(addr).next();
        let here = Some(place.0);
        let beside = usize::from(before == here) + usize::from(after == here);
        (beside, usize::from(before.is_some() && before == after))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place((addr, id): (u8, u8)) -> Place {
        (SocketAddr::from(([10, 0, 0, addr], 1)), NodeId([id; 16]))
    }

    proptest! {
        #[test]
        fn shared_addresses_are_those_that_sorting_shows(
            steps in prop::collection::vec((any::<bool>(), (0..4u8, 0..6u8)), 0..60),
        ) {
            let (mut addresses, mut model) = (Addresses::default(), BTreeSet::new());
            for (comes, who) in steps {
                let (addr, id) = place(who);
                if comes {
                    addresses.insert(addr, id);
                    model.insert((addr, id));
                } else {
                    addresses.remove(addr, id);
                    model.remove(&(addr, id));
                }
                let sorted: Vec<Place> = model.iter().copied().collect();
                let pairs = sorted.windows(2).filter(|pair| pair[0].0 == pair[1].0);
                let pairs: Vec<_> = pairs.map(|pair| (pair[0].0, pair[0].1, pair[1].1)).collect();
                prop_assert_eq!(addresses.shared, pairs.len());
                prop_assert_eq!(addresses.shared(), pairs);
            }
        }
    }
}
