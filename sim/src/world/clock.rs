//! The two clocks of a host: a monotonic one that may run fast or slow, and a wall clock that may be wrong
//! and may jump.

use std::time::Duration;

use netdb_gossip_core::time::{Now, Time, Wall};

/// When the world begins, by a right wall clock: 2026-01-01 00:00:00 UTC.
pub const EPOCH: Wall = Wall(1_767_225_600_000_000);

const MILLION: u64 = 1_000_000;

fn scale(number: u64, by: u64, of: u64, up: bool) -> u64 {
    let product = u128::from(number) * u128::from(by);
    let of = u128::from(of);
    let scaled = if up { product.div_ceil(of) } else { product / of };
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

/// A host's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    /// The wall clock is this far off, in microseconds.
    pub offset: i64,
    /// Both clocks gain this many microseconds per second.
    drift_ppm: i64,
    /// True time and monotonic reading when the drift was last set.
    since: (u64, u64),
}

impl Clock {
    /// The readings at true time `at`.
    pub fn read(&self, at: Time) -> Now {
        let mono = self.mono(at);
        Now { mono: Time(mono), wall: Wall(EPOCH.0.saturating_add(mono)).offset_by(self.offset) }
    }

    fn mono(&self, at: Time) -> u64 {
        let passed = at.0.saturating_sub(self.since.0);
        if self.drift_ppm == 0 {
            return self.since.1.saturating_add(passed);
        }
        self.since.1.saturating_add(scale(passed, self.rate(), MILLION, false))
    }

    /// The first true time at which the monotonic clock shows `reading` or more.
    pub fn when(&self, reading: Time) -> Time {
        let ahead = reading.0.saturating_sub(self.since.1);
        Time(self.since.0.saturating_add(scale(ahead, MILLION, self.rate(), true)))
    }

    /// Microseconds that the clocks gain in a true second.
    fn rate(&self) -> u64 {
        MILLION.saturating_add_signed(self.drift_ppm).max(1)
    }

    /// From `at` on the clocks run this much fast (or slow); the reading does not jump.
    pub fn drift(&mut self, at: Time, ppm: i32) {
        self.since = (at.0, self.mono(at));
        self.drift_ppm = i64::from(ppm);
    }

    /// The wall clock is set forward or back.
    pub fn jump(&mut self, by: Duration, back: bool) {
        let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.offset = self.offset.saturating_add(if back { -by } else { by });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_met_exactly_whatever_the_drift() {
        for ppm in [-50_000, -200, 0, 1, 200, 50_000] {
            let mut clock = Clock::default();
            clock.drift(Time(1_234_567), ppm);
            for reading in [1_234_567, 1_234_568, 2_000_001, 99_999_999, 3_600_000_000] {
                let at = clock.when(Time(reading));
                assert!(clock.read(at).mono.0 >= reading);
                assert!(at.0 == 1_234_567 || clock.read(Time(at.0 - 1)).mono.0 < reading);
            }
        }
    }

    #[test]
    fn jumps_move_the_wall_clock_only() {
        let mut clock = Clock::default();
        clock.jump(Duration::from_secs(10), true);
        let now = clock.read(Time(5));
        assert_eq!(now.mono, Time(5));
        assert_eq!(now.wall, Wall(EPOCH.0 + 5 - 10_000_000));
    }

    #[test]
    fn a_change_of_drift_does_not_jump() {
        let mut clock = Clock::default();
        clock.drift(Time(0), 100_000);
        assert_eq!(clock.read(Time(1_000_000)).mono, Time(1_100_000));
        clock.drift(Time(1_000_000), -100_000);
        assert_eq!(clock.read(Time(1_000_000)).mono, Time(1_100_000));
        assert_eq!(clock.read(Time(2_000_000)).mono, Time(2_000_000));
    }
}
