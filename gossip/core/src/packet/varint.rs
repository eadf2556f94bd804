//! Unsigned integers of variable length: seven bits a byte, lowest first, the high bit says "more".
//!
//! One number has one encoding: padded forms and numbers above 64 bits are refused.

use alloc::vec::Vec;

/// The most bytes one number takes.
pub const MAX_LEN: usize = 10;

/// How many bytes `value` takes.
pub fn len(value: u64) -> usize {
    let bits = (u64::BITS - value.leading_zeros()).max(1);
    bits.div_ceil(7) as usize
}

/// Appends `value`.
pub fn put(mut value: u64, to: &mut Vec<u8>) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            to.push(low & 0x7f);
            return;
        }
        to.push(low | 0x80);
    }
}

/// Takes a number off the front of `from`; `None` (and `from` unspecified) if there is none.
pub fn take(from: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..u64::BITS).step_by(7) {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        let bits = u64::from(byte & 0x7f);
        if bits > u64::MAX >> shift {
            return None;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return (*byte != 0 || shift == 0).then_some(value);
        }
    }
    None
}
