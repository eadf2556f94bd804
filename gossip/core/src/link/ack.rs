//! Which packets of a peer arrived, and how it is told.
//!
//! ```text
//! life 1 | largest varint | missing varint | missing varint
//! ```
//! `life` is the lowest byte of the generation that sent the packets: an ack for an earlier life must
//! not pass for one of this. `missing` are the 128 numbers below `largest`, a set bit for each that did
//! not come, nearest first; when all came they are two zero bytes.

use alloc::vec::Vec;

use crate::{identity::Generation, packet::varint};

/// How many numbers below the largest an ack covers.
pub(crate) const COVERED: u64 = 128;

/// The numbers received of one peer and generation.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Received {
    largest: u64,
    /// Bit `i` of the two together is set if `largest - 1 - i` came. (One number of 128 bits would lie at
    /// multiples of 16 bytes, and leave gaps between all else.)
    below: [u64; 2],
    any: bool,
}

impl Received {
    pub(crate) fn insert(&mut self, number: u64) {
        let below = whole(self.below);
        if !self.any {
            *self = Self { largest: number, below: [0; 2], any: true };
        } else if number > self.largest {
            let ahead = number - self.largest;
            let shift = |bits: u128, by: u64| {
                u32::try_from(by).ok().and_then(|by| bits.checked_shl(by)).unwrap_or(0)
            };
            self.below = halves(shift(below, ahead) | shift(1, ahead - 1));
            self.largest = number;
        } else if number < self.largest && self.largest - number <= COVERED {
            self.below = halves(below | 1 << (self.largest - number - 1));
        }
    }

    pub(crate) fn put_ack(&self, sender: Generation, to: &mut Vec<u8>) {
        to.push(life(sender));
        varint::put(self.largest, to);
        let [low, high] = halves(!whole(self.below) & numbers_below(self.largest));
        varint::put(low, to);
        varint::put(high, to);
    }
}

/// Numbers start at 1: what lies below that is not missing.
fn numbers_below(largest: u64) -> u128 {
    let count = largest.saturating_sub(1);
    if count >= COVERED { u128::MAX } else { (1 << count) - 1 }
}

fn life(generation: Generation) -> u8 {
    let [low, ..] = generation.0.to_le_bytes();
    low
}

#[allow(clippy::cast_possible_truncation)] // the halves are meant
fn halves(bits: u128) -> [u64; 2] {
    [bits as u64, (bits >> 64) as u64]
}

fn whole([low, high]: [u64; 2]) -> u128 {
    u128::from(low) | (u128::from(high) << 64)
}

/// An ack as read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ack {
    life: u8,
    pub(crate) largest: u64,
    missing: u128,
}

impl Ack {
    /// `None` if it is malformed.
    pub(crate) fn take(mut body: &[u8]) -> Option<Self> {
        let (&life, rest) = body.split_first()?;
        body = rest;
        let largest = varint::take(&mut body)?;
        let low = varint::take(&mut body)?;
        let high = varint::take(&mut body)?;
        let missing = whole([low, high]);
        body.is_empty().then_some(Self { life, largest, missing })
    }

    /// Whether it is about packets of this life of ours.
    pub(crate) fn is_for(&self, me: Generation) -> bool {
        self.life == life(me)
    }

    pub(crate) fn covers(&self, number: u64) -> bool {
        match self.largest.checked_sub(number) {
            None => false,
            Some(0) => true,
            Some(behind) => behind <= COVERED && (self.missing >> (behind - 1)) & 1 == 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const ME: Generation = Generation(0x1234);

    fn ack_of(numbers: impl IntoIterator<Item = u64>) -> (Ack, usize) {
        let mut received = Received::default();
        numbers.into_iter().for_each(|number| received.insert(number));
        let mut body = Vec::new();
        received.put_ack(ME, &mut body);
        let ack = Ack::take(&body).unwrap();
        assert!(ack.is_for(ME) && !ack.is_for(Generation(0x1235)));
        (ack, body.len())
    }

    #[test]
    fn a_full_row_takes_few_bytes_and_the_edge_is_covered() {
        let (ack, len) = ack_of(1..=100);
        assert_eq!(len, 4);
        assert!((1..=100).all(|number| ack.covers(number)) && !ack.covers(101));
        let (ack, _) = ack_of([1, 1 + COVERED]);
        assert!(ack.covers(1) && !ack.covers(2));
        let (ack, _) = ack_of([1, 2 + COVERED]);
        assert!(!ack.covers(1));
        let (ack, _) = ack_of([u64::MAX, 1]);
        assert!(ack.covers(u64::MAX) && !ack.covers(1));
    }

    proptest! {
        #[test]
        fn covers_exactly_what_came(numbers in prop::collection::vec(1u64..400, 1..200)) {
            let (ack, _) = ack_of(numbers.clone());
            let came: BTreeSet<u64> = numbers.into_iter().collect();
            let largest = *came.last().unwrap();
            for number in 1..450 {
                let near = number <= largest && largest - number <= COVERED;
                prop_assert_eq!(ack.covers(number), near && came.contains(&number));
            }
        }

        #[test]
        fn anything_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Some(ack) = Ack::take(&bytes) {
                ack.covers(0);
                ack.covers(u64::MAX);
            }
        }
    }
}
