//! A map by node that is searched by hash.
//!
//! Every packet makes several such searches. Among a thousand nodes a walk down a tree touches a dozen lines
//! of memory, and a hash two or three; where many nodes share a processor, none of them is in its cache.

use core::hash::{BuildHasher, Hasher};

use crate::identity::NodeId;

/// By node, in no order that may be seen.
#[expect(
    clippy::disallowed_types,
    reason = "whoever needs an order sorts, or keeps a list in order"
)]
pub(crate) type NodeMap<V> = hashbrown::HashMap<NodeId, V, Seed>;

/// Where ids fall. They are hashes of keys, of which a node may try as many as it likes: nobody can make
/// ids that fall together without the seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seed(pub(crate) u64);

impl BuildHasher for Seed {
    type Hasher = IdHasher;

    fn build_hasher(&self) -> IdHasher {
        IdHasher(self.0)
    }
}

/// Multiplies and folds, eight bytes at a time: ids are even already, they only have to depend on the seed.
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(size_of::<u64>()) {
            let mut word = [0; size_of::<u64>()];
            word.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        // An odd number without a pattern: the digits of the golden ratio.
        const FACTOR: u128 = 0x9e37_79b9_7f4a_7c15;
        let wide = u128::from(self.0 ^ word) * FACTOR;
        self.0 = halves(wide);
    }

    fn write_usize(&mut self, _length: usize) {
        // All ids are of one length.
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[allow(clippy::cast_possible_truncation)] // the halves are meant
fn halves(wide: u128) -> u64 {
    wide as u64 ^ (wide >> 64) as u64
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use super::*;

    fn id(n: u16) -> NodeId {
        let [high, low] = n.to_be_bytes();
        let mut bytes = [7; 16];
        (bytes[3], bytes[12]) = (high, low);
        NodeId(bytes)
    }

    #[test]
    fn ids_that_differ_little_fall_apart_and_with_another_seed_elsewhere() {
        let places = |seed| (0..1024).map(|n| Seed(seed).hash_one(id(n)) >> 48).collect();
        let [one, other]: [BTreeSet<u64>; 2] = [places(1), places(2)];
        assert!(one.len() > 950 && other.len() > 950, "{} and {}", one.len(), other.len());
        assert!(one.intersection(&other).count() < 50);
    }

    #[test]
    fn what_was_put_in_is_found() {
        let mut map = NodeMap::with_hasher(Seed(3));
        for n in 0..500 {
            map.insert(id(n), n);
        }
        for n in (0..500).step_by(2) {
            assert_eq!(map.remove(&id(n)), Some(n));
        }
        for n in 0..600 {
            assert_eq!(map.get(&id(n)).copied(), (n < 500 && n % 2 == 1).then_some(n));
        }
    }
}
