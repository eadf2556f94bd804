//! What numbers there are to give: how many, which of them unasked, and which never.

use alloc::collections::BTreeSet;
use core::{ops::Range, time::Duration};

/// The most numbers that may be reserved one by one.
pub const MAX_RESERVED: usize = 4096;

/// A space of numbers from 0: the addresses of a subnet, the subnets of a pool, VNIs.
///
/// All nodes must have the same idea of it; it comes from the record of the network or pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    size: u128,
    window: Range<u128>,
    reserved: BTreeSet<u128>,
}

/// Why a space makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpaceError {
    /// No number at all, or none that may be given unasked.
    #[error("there is no number to give")]
    Empty,
    /// The window is not inside of the space.
    #[error("the range that numbers are given from is not inside of the space")]
    Window,
    /// More than [`MAX_RESERVED`].
    #[error("more than {MAX_RESERVED} numbers are reserved")]
    Reserved,
}

impl Space {
    /// A space of `size` numbers; those in `window` may be given to who names none. `reserved` are never
    /// given: a subnet's own address, its broadcast, the gateway, auxiliary addresses.
    ///
    /// # Errors
    /// See [`SpaceError`].
    pub fn new(
        size: u128,
        window: Range<u128>,
        reserved: impl IntoIterator<Item = u128>,
    ) -> Result<Self, SpaceError> {
        if size == 0 || window.is_empty() {
            return Err(SpaceError::Empty);
        }
        if window.end > size {
            return Err(SpaceError::Window);
        }
        let reserved: BTreeSet<u128> = reserved.into_iter().filter(|n| *n < size).collect();
        if reserved.len() > MAX_RESERVED {
            return Err(SpaceError::Reserved);
        }
        Ok(Self { size, window, reserved })
    }

    /// A space whose numbers are all alike.
    ///
    /// # Errors
    /// It is empty.
    pub fn plain(size: u128) -> Result<Self, SpaceError> {
        Self::new(size, 0..size, [])
    }

    /// How many numbers there are.
    pub fn size(&self) -> u128 {
        self.size
    }

    /// The numbers that are given to who names none.
    pub fn window(&self) -> Range<u128> {
        self.window.clone()
    }

    /// The numbers that are never given.
    pub fn reserved(&self) -> &BTreeSet<u128> {
        &self.reserved
    }

    /// How many numbers may be given to who names none.
    pub fn dynamic(&self) -> u128 {
        let reserved = self.reserved.range(self.window.clone()).count();
        (self.window.end - self.window.start) - u128::try_from(reserved).unwrap_or(u128::MAX)
    }
}

/// How long a released number rests unless something else is said.
pub const DEFAULT_REST: Duration = Duration::from_mins(1);

/// Timings of a ring, all by the local monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// How long a released number is not given again: neighbours may still send to who had it. 0 to 1 h.
    pub rest: Duration,
    /// How long who asks for a number waits for other nodes before it is refused. 100 ms to 1 min.
    pub patience: Duration,
    /// How long the heir of a node that is down for good sees all others alive and its tables at rest
    /// before it takes over. Longer than it takes to notice a partition. 1 s to 10 min.
    pub settle: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            rest: DEFAULT_REST,
            patience: Duration::from_secs(5),
            settle: Duration::from_secs(30),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_space_is_checked() {
        assert_eq!(Space::plain(0), Err(SpaceError::Empty));
        assert_eq!(Space::new(8, 4..4, []), Err(SpaceError::Empty));
        assert_eq!(Space::new(8, 4..9, []), Err(SpaceError::Window));
        let all = u128::try_from(MAX_RESERVED).unwrap() + 1;
        assert_eq!(Space::new(all, 0..all, 0..all), Err(SpaceError::Reserved));
        assert!(Space::new(all, 0..all, 1..all).is_ok());
        let subnet = Space::new(1 << 16, 0x2900..0x2a00, [0, 0x2901, 0x2902, 0xffff]).unwrap();
        assert_eq!((subnet.size(), subnet.dynamic()), (65_536, 254));
        assert_eq!(Space::plain(u128::MAX).unwrap().dynamic(), u128::MAX);
    }
}
