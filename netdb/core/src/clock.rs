//! The hybrid logical clock that stamps writes (Kulkarni et al., 2014), in whole microseconds.
//!
//! Readings never repeat and never go back (but for a clock that is set right after it stood far ahead).
//! Remote readings pull the clock forward, but never further
//! than [`MAX_AHEAD`] beyond cluster time, so no clock that is wrong can pin a row for ever.

use core::time::Duration;

use netdb_gossip_core::time::{Wall, micros};

/// A stamp further ahead of cluster time than this is kept aside until its time comes.
pub const MAX_AHEAD: Duration = Duration::from_mins(1);

/// The last reading given or adopted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    last: u64,
}

impl Clock {
    /// A clock that continues above `last`, the reading kept on disk.
    pub fn resume(last: u64) -> Self {
        Self { last }
    }

    /// The last reading, to be kept on disk.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// A fresh reading: above `floor` (the stamp that it replaces), not below cluster time, and above
    /// every earlier one, unless those were given while the clock stood far ahead.
    pub fn tick(&mut self, cluster_time: Wall, floor: u64) -> u64 {
        let last = if Self::is_ahead(cluster_time, self.last) { 0 } else { self.last };
        self.last = last.max(floor).saturating_add(1).max(cluster_time.0);
        self.last
    }

    /// Whether a stamp is too far ahead to be believed now.
    pub fn is_ahead(cluster_time: Wall, at: u64) -> bool {
        at > cluster_time.0.saturating_add(micros(MAX_AHEAD))
    }

    /// Takes a remote reading into account, unless it [`is_ahead`](Self::is_ahead).
    pub fn observe(&mut self, cluster_time: Wall, at: u64) {
        if !Self::is_ahead(cluster_time, at) {
            self.last = self.last.max(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_only_grow() {
        let mut clock = Clock::resume(500);
        assert_eq!(clock.tick(Wall(100), 0), 501);
        assert_eq!(clock.tick(Wall(1_000), 0), 1_000);
        assert_eq!(clock.tick(Wall(900), 2_000), 2_001, "above the stamp that it replaces");
        let hour = 3_600_000_000;
        assert_eq!(clock.tick(Wall(hour), 0), hour);
        assert_eq!(clock.tick(Wall(7_000), 0), 7_000, "a clock set right is believed");
    }

    #[test]
    fn a_stamp_from_the_far_future_is_not_adopted() {
        let mut clock = Clock::default();
        clock.observe(Wall(0), u64::MAX);
        clock.observe(Wall(0), micros(MAX_AHEAD) + 1);
        assert_eq!(clock.last(), 0);
        clock.observe(Wall(0), micros(MAX_AHEAD));
        assert_eq!(clock.last(), micros(MAX_AHEAD));
    }
}
