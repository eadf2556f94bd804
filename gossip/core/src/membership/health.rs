//! Local health (Lifeguard, <https://arxiv.org/abs/1707.00788>, section IV.A): how much this node doubts
//! itself. It only counts; what is stretched by it is decided by the callers.

use core::time::Duration;

/// The highest score: intervals are then nine times as long.
pub(crate) const MAX_SCORE: u8 = 8;

/// Zero is healthy.
#[derive(Debug, Default)]
pub(crate) struct LocalHealth {
    score: u8,
}

impl LocalHealth {
    pub(crate) fn score(&self) -> u8 {
        self.score
    }

    /// An ack that should have come did not, a suspicion of this node had to be refuted, or a timer
    /// ran far too late.
    pub(crate) fn worsen(&mut self) {
        self.score = (self.score + 1).min(MAX_SCORE);
    }

    /// A probe was answered.
    pub(crate) fn improve(&mut self) {
        self.score = self.score.saturating_sub(1);
    }

    pub(crate) fn stretch(&self, interval: Duration) -> Duration {
        interval * (u32::from(self.score) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_stays_between_its_bounds() {
        let mut health = LocalHealth::default();
        health.improve();
        assert_eq!(health.score(), 0);
        (0..20).for_each(|_| health.worsen());
        assert_eq!(health.score(), MAX_SCORE);
        assert_eq!(health.stretch(Duration::from_millis(10)), Duration::from_millis(90));
        health.improve();
        assert_eq!(health.score(), 7);
    }
}
