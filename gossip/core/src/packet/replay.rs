//! Which packet numbers of one sender's generation were seen: a sliding window of bits.
//!
//! A number is accepted once. Below the window nobody can tell any more, so such a packet is dropped;
//! its frames come again in a packet with a new number. A receiver that has just started knows no
//! number, so it accepts a recorded packet once more: what frames mean must bear a repetition anyway.

/// Numbers that the window tells apart: a full second of packets at the rate of a busy peer.
pub const WINDOW: u64 = 1024;

const WORDS: usize = 16;

/// The numbers seen of one sender and generation.
#[derive(Clone, Debug, Default)]
pub struct ReplayWindow {
    highest: Option<u64>,
    /// Bit `n % WINDOW` tells whether `n` was seen, for the `WINDOW` numbers up to `highest`.
    seen: [u64; WORDS],
}

impl ReplayWindow {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The highest number accepted.
    pub fn highest(&self) -> Option<u64> {
        self.highest
    }

    /// Whether `number` comes for the first time; if so it is remembered.
    #[must_use]
    pub fn accept(&mut self, number: u64) -> bool {
        let highest = self.highest.unwrap_or(number);
        if number > highest {
            self.advance(highest, number);
        } else if highest - number >= WINDOW {
            return false;
        }
        self.highest = Some(number.max(highest));
        let (word, bit) = place(number);
        let Some(word) = self.seen.get_mut(word) else { return false };
        let fresh = *word & bit == 0;
        *word |= bit;
        fresh
    }

    /// Forgets the numbers that leave the window as it moves up to `number`.
    fn advance(&mut self, highest: u64, number: u64) {
        if number - highest >= WINDOW {
            self.seen = [0; WORDS];
            return;
        }
        for skipped in highest + 1..=number {
            let (word, bit) = place(skipped);
            if let Some(word) = self.seen.get_mut(word) {
                *word &= !bit;
            }
        }
    }
}

fn place(number: u64) -> (usize, u64) {
    let index = number % WINDOW;
    // Below WORDS, so the cast is exact on every target.
    #[allow(clippy::cast_possible_truncation)]
    let word = (index / 64) as usize;
    (word, 1 << (index % 64))
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_is_accepted_once_within_the_window_and_never_below_it() {
        let mut window = ReplayWindow::new();
        assert!(window.accept(5));
        assert!(!window.accept(5));
        assert!(window.accept(4 + WINDOW));
        assert!(!window.accept(5));
        assert!(window.accept(6));
        assert!(window.accept(5 + WINDOW));
        assert!(!window.accept(5), "just below the window");
        assert_eq!(window.highest(), Some(5 + WINDOW));
    }

    #[test]
    fn the_ends_of_the_range_are_numbers_too() {
        let mut window = ReplayWindow::new();
        assert!(window.accept(0) && !window.accept(0));
        assert!(window.accept(u64::MAX) && !window.accept(u64::MAX));
        assert!(window.accept(u64::MAX - WINDOW + 1));
        assert!(!window.accept(u64::MAX - WINDOW));
    }

    fn numbers() -> impl Strategy<Value = alloc::vec::Vec<u64>> {
        let number = prop_oneof![0..64u64, 0..3 * WINDOW, any::<u64>()];
        prop::collection::vec(number, 0..200)
    }

    proptest! {
        #[test]
        fn the_window_agrees_with_a_set(numbers in numbers()) {
            let (mut window, mut seen) = (ReplayWindow::new(), BTreeSet::new());
            for number in numbers {
                let highest = seen.last().copied().unwrap_or(number);
                let recent = number > highest || highest - number < WINDOW;
                prop_assert_eq!(window.accept(number), recent && seen.insert(number));
            }
        }
    }
}
