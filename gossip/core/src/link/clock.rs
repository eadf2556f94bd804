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
pub(crate) const MAX_AGE: Duration = Duration::from_mins(15);
/// A peer that has been measured is measured again after this many of the least pauses.
const CALM: u32 = 8;

/// Wall clock less monotonic clock of one reading.
pub(crate) fn skew(now: Now) -> i64 {
    let clamp = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    clamp(now.wall.0).saturating_sub(clamp(now.mono.0))
}

/// How far a peer's clock is ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ahead {
    /// Its wall clock less our monotonic clock.
    pub(crate) micros: i64,
    /// When that was measured.
    pub(crate) at: Time,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    /// The probe on its way.
    asked: Option<(u64, Time)>,
    last_asked: Option<Time>,
    ahead: Option<Ahead>,
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
        self.ahead = Some(Ahead { micros: offset.saturating_add(skew(sent)), at: now.mono });
        Some(rtt)
    }

    /// What was measured last.
    pub(crate) fn ahead(&self) -> Option<Ahead> {
        self.ahead
    }

    /// A new life of the peer may have another clock.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }
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
        let offset = |clock: &Clock, now| clock.ahead().map(|ahead| ahead.micros - skew(now));
        assert_eq!(offset(&here, now), Some(-3_000_000));
        assert_eq!(offset(&here, at(7_000, 9_006_000)), Some(-7_000_000));
        assert_eq!(here.answered(now, &reply), None, "answered once");
    }

    #[test]
    fn zigzag_keeps_every_value() {
        for value in [0, 1, -1, 77, -77, i64::MAX, -i64::MAX, i64::MIN] {
            assert_eq!(unzigzag(zigzag(value)), value);
        }
    }
}
