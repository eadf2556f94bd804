//! How far a peer's wall clock is from ours, measured with four timestamps as NTP does (RFC 5905, 8).
//!
//! ```text
//! probe: t1 8
//! reply: t1 8 | t2 - t1 zigzag varint | t3 - t2 varint
//! ```
//! Microseconds. What is kept is the peer's wall clock less our *monotonic* clock, so that a jump of our
//! own wall clock shows at once instead of after the next measurement.

use alloc::vec::Vec;
use core::time::Duration;

use crate::{
    packet::varint,
    time::{Now, Time, Wall, micros},
};

/// A measurement older than this says nothing any more.
const MAX_AGE: Duration = Duration::from_mins(15);
/// A peer that has been measured is measured again after this many of the least pauses.
const CALM: u32 = 8;

/// Wall clock less monotonic clock of one reading.
pub(crate) fn skew(now: Now) -> i64 {
    let clamp = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    clamp(now.wall.0).saturating_sub(clamp(now.mono.0))
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    /// The probe on its way.
    asked: Option<(u64, Time)>,
    last_asked: Option<Time>,
    /// The peer's wall clock less our monotonic clock, and when that was measured.
    ahead: Option<(i64, Time)>,
    /// The answer that is due: the peer's t1, and when it came.
    reply: Option<(u64, Wall)>,
}

impl Clock {
    /// Whether to ask again, `pause` being the least time between two questions.
    pub(crate) fn wants(&self, now: Time, pause: Duration) -> bool {
        let pause = if self.ahead.is_some() { pause * CALM } else { pause };
        self.last_asked.is_none_or(|last| now >= last + pause)
    }

    pub(crate) fn replies(&self) -> bool {
        self.reply.is_some()
    }

    /// The body of a question.
    pub(crate) fn ask(&mut self, now: Now) -> [u8; 8] {
        self.asked = Some((now.wall.0, now.mono));
        self.last_asked = Some(now.mono);
        now.wall.0.to_le_bytes()
    }

    /// Takes in a question. `None` if it is malformed.
    pub(crate) fn asked(&mut self, now: Now, body: &[u8]) -> Option<()> {
        self.reply = Some((u64::from_le_bytes(body.try_into().ok()?), now.wall));
        Some(())
    }

    /// The body of the answer that is due.
    pub(crate) fn take_reply(&mut self, now: Now) -> Option<Vec<u8>> {
        let (t1, t2) = self.reply.take()?;
        let mut body = Vec::with_capacity(20);
        body.extend_from_slice(&t1.to_le_bytes());
        varint::put(zigzag(difference(t2.0, t1)), &mut body);
        varint::put(now.wall.0.saturating_sub(t2.0), &mut body);
        Some(body)
    }

    /// Takes in an answer; returns the round trip. `None` if it is malformed or was not asked for.
    pub(crate) fn answered(&mut self, now: Now, body: &[u8]) -> Option<Duration> {
        let (t1, mut rest) = body.split_first_chunk::<8>()?;
        let forth = unzigzag(varint::take(&mut rest)?);
        let held = Duration::from_micros(varint::take(&mut rest)?);
        let (asked, at) = self.asked.filter(|(asked, _)| asked.to_le_bytes() == *t1)?;
        let rtt = now.mono.since(at).checked_sub(held).filter(|_| rest.is_empty())?;
        self.asked = None;
        let half = i64::try_from(micros(rtt / 2)).unwrap_or(i64::MAX);
        let offset = forth.saturating_sub(half);
        let sent = Now { mono: at, wall: Wall(asked) };
        self.ahead = Some((offset.saturating_add(skew(sent)), now.mono));
        Some(rtt)
    }

    /// The peer's clock less ours, whose readings differ by `skew` now.
    pub(crate) fn offset(&self, now: Time, skew: i64) -> Option<i64> {
        let (ahead, at) = self.ahead?;
        (now.since(at) <= MAX_AGE).then(|| ahead.saturating_sub(skew))
    }

    /// A new life of the peer may have another clock.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }
}

/// The median of all offsets, our own zero among them.
pub(crate) fn median(offsets: impl Iterator<Item = i64>) -> i64 {
    let mut all: Vec<i64> = offsets.chain([0]).collect();
    all.sort_unstable();
    let at = |index: usize| all.get(index).copied().map_or(0, i128::from);
    let middle = all.len() / 2;
    let sum = if all.len() % 2 == 1 { 2 * at(middle) } else { at(middle - 1) + at(middle) };
    i64::try_from(sum / 2).unwrap_or_default()
}

fn difference(later: u64, earlier: u64) -> i64 {
    let distance = i64::try_from(later.abs_diff(earlier)).unwrap_or(i64::MAX);
    if later >= earlier { distance } else { -distance }
}

fn zigzag(value: i64) -> u64 {
    (value.unsigned_abs() << 1).wrapping_sub(u64::from(value < 0))
}

fn unzigzag(value: u64) -> i64 {
    let half = i64::try_from(value >> 1).unwrap_or(i64::MAX);
    if value & 1 == 0 { half } else { -half - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(mono: u64, wall: u64) -> Now {
        Now { mono: Time(mono), wall: Wall(wall) }
    }

    #[test]
    fn an_offset_is_measured_and_survives_a_jump_of_our_clock() {
        let (mut here, mut there) = (Clock::default(), Clock::default());
        let question = here.ask(at(1_000, 5_000_000));
        // 2 ms there, 1 ms held, 2 ms back; their clock is 3 s behind.
        there.asked(at(9, 2_002_000), &question).unwrap();
        let reply = there.take_reply(at(9, 2_003_000)).unwrap();
        assert!(!there.replies());
        let now = at(6_000, 5_005_000);
        assert_eq!(here.answered(now, &reply), Some(Duration::from_millis(4)));
        assert_eq!(here.offset(now.mono, skew(now)), Some(-3_000_000));
        let jumped = at(7_000, 9_006_000);
        assert_eq!(here.offset(jumped.mono, skew(jumped)), Some(-7_000_000));
        assert_eq!(here.answered(now, &reply), None, "answered once");
        assert_eq!(here.offset(now.mono + 2 * MAX_AGE, 0), None);
    }

    #[test]
    fn zigzag_keeps_every_value() {
        for value in [0, 1, -1, 77, -77, i64::MAX, -i64::MAX, i64::MIN] {
            assert_eq!(unzigzag(zigzag(value)), value);
        }
    }

    #[test]
    fn the_median_counts_our_own_zero() {
        assert_eq!(median([].into_iter()), 0);
        assert_eq!(median([10].into_iter()), 5);
        assert_eq!(median([10, 12].into_iter()), 10);
        assert_eq!(median([i64::MAX, 12, -5, 10].into_iter()), 10);
        assert_eq!(median([i64::MIN, i64::MIN].into_iter()), i64::MIN);
    }
}
