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
