//! Which packet numbers of one sender's generation were seen: a sliding window of bits.
//!
//! A number is accepted once. Below the window nobody can tell any more, so such a packet is dropped;
//! its frames come again in a packet with a new number. A receiver that has just started knows no
//! number, so it accepts a recorded packet once more: what frames mean must bear a repetition anyway.

use alloc::boxed::Box;

/// Numbers that the window tells apart: a full second of packets at the rate of a busy peer.
pub const WINDOW: u64 = 1024;

const WORDS: usize = 16;

/// The numbers seen of one sender and generation.
#[derive(Clone, Debug, Default)]
pub struct ReplayWindow {
    highest: Option<u64>,
    /// The lowest number seen that is not below the window for certain.
    lowest: u64,
    /// Bit `n % WINDOW` tells whether `n` was seen, for the `WINDOW` numbers up to `highest`. While none
    /// is missing from `lowest` on, which is so of most of a thousand peers, there is nothing to keep.
    seen: Option<Box<[u64; WORDS]>>,
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
        let Some(highest) = self.highest else {
            (self.highest, self.lowest) = (Some(number), number);
            return true;
        };
        if number <= highest && highest - number >= WINDOW {
            return false;
        }
        if self.seen.is_none() && (self.lowest..=highest).contains(&number) {
            return false;
        }
        if self.seen.is_none() && number.checked_sub(1) == Some(highest) {
            self.highest = Some(number);
            return true;
        }
        self.accept_apart(highest, number)
    }

    /// A number that does not simply follow: each is looked at for itself.
    fn accept_apart(&mut self, highest: u64, number: u64) -> bool {
        let lowest = self.lowest.max(highest.saturating_sub(WINDOW - 1));
        let seen = self.seen.get_or_insert_with(|| {
            let mut seen = Box::new([0; WORDS]);
            (lowest..=highest).for_each(|number| mark(&mut seen, number, true));
            seen
        });
        if number > highest {
            forget_between(seen, highest, number);
        }
        let fresh = !is_marked(seen, number);
        mark(seen, number, true);
        let highest = number.max(highest);
        let lowest = lowest.min(number).max(highest.saturating_sub(WINDOW - 1));
        let came: u32 = seen.iter().map(|word| word.count_ones()).sum();
        if u64::from(came) == highest - lowest + 1 {
            self.seen = None;
        }
        (self.highest, self.lowest) = (Some(highest), lowest);
        fresh
    }
}

/// Forgets the numbers that leave the window as it moves from `highest` up to `number`.
fn forget_between(seen: &mut [u64; WORDS], highest: u64, number: u64) {
    if number - highest >= WINDOW {
        *seen = [0; WORDS];
        return;
    }
    (highest + 1..=number).for_each(|skipped| mark(seen, skipped, false));
}

fn is_marked(seen: &[u64; WORDS], number: u64) -> bool {
    let (word, bit) = place(number);
    seen.get(word).is_some_and(|word| word & bit != 0)
}

fn mark(seen: &mut [u64; WORDS], number: u64, came: bool) {
    let (word, bit) = place(number);
    if let Some(word) = seen.get_mut(word) {
        *word = if came { *word | bit } else { *word & !bit };
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

    #[test]
    fn what_comes_in_order_or_is_made_up_for_takes_no_room() {
        let mut window = ReplayWindow::new();
        for number in [7, 8, 9, 11] {
            assert!(window.accept(number));
        }
        assert!(window.seen.is_some(), "10 is missing");
        assert!(window.accept(10) && window.seen.is_none());
        assert!((7..=11).all(|number| !window.accept(number)));
        assert!(window.accept(6) && window.seen.is_none(), "it came late");
        assert!(window.accept(13));
        assert!((14..13 + WINDOW).all(|number| window.accept(number)));
        assert!(window.accept(13 + WINDOW) && window.seen.is_none(), "12 is below the window");
        assert!(!window.accept(12));
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
