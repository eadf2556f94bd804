//! A host's port to the network: a rate and a queue in each direction.
//!
//! Datagrams go first and only wait for datagrams; streams take what rate is left, as a fair queue of the
//! kernel would have it. What finds a full queue is lost.

use std::time::Duration;

use netdb_gossip_core::time::{Time, micros};

/// Bytes of Ethernet, IP and UDP around a datagram.
pub const DATAGRAM_OVERHEAD: usize = 46;

/// Rate and queue of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Bits per second; `None` for no limit.
    pub bits_per_second: Option<u64>,
    /// Bytes of datagrams that may wait.
    pub queue_bytes: usize,
}

impl Rate {
    /// A gigabit port with a queue of 1 MiB.
    pub const GIGABIT: Self = Self { bits_per_second: Some(1_000_000_000), queue_bytes: 1 << 20 };

    /// How long `bytes` take.
    pub fn takes(&self, bytes: usize) -> Duration {
        let Some(rate) = self.bits_per_second else { return Duration::ZERO };
        let nanos = (bytes as u64).saturating_mul(8_000_000_000) / rate.max(1);
        Duration::from_nanos(nanos)
    }

    fn queue_time(&self) -> Duration {
        self.takes(self.queue_bytes)
    }
}

/// One direction of a port. Times in nanoseconds: a small packet at a gigabit takes less than one of ours.
#[derive(Clone, Copy, Debug, Default)]
pub struct Port {
    datagrams_free: u64,
    streams_free: u64,
}

/// What a port does with a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// It has passed by then.
    At(Time),
    /// The queue is full.
    Full,
}

fn nanos(at: Time) -> u64 {
    at.0.saturating_mul(1000)
}

fn ceil(nanos: u64) -> Time {
    Time(nanos.div_ceil(1000))
}

impl Port {
    /// A datagram enters the queue now.
    pub fn datagram(&mut self, rate: &Rate, now: Time, bytes: usize) -> Passage {
        let takes = rate.takes(bytes + DATAGRAM_OVERHEAD);
        if takes.is_zero() {
            return Passage::At(now);
        }
        let start = self.datagrams_free.max(nanos(now));
        if start - nanos(now) > micros(rate.queue_time()).saturating_mul(1000) {
            return Passage::Full;
        }
        let takes = u64::try_from(takes.as_nanos()).unwrap_or(u64::MAX);
        self.datagrams_free = start + takes;
        self.streams_free = self.streams_free.max(start) + takes;
        Passage::At(ceil(self.datagrams_free))
    }

    /// A stream has `bytes` to send now; they have passed by the time returned.
    pub fn stream(&mut self, rate: &Rate, now: Time, bytes: usize) -> Time {
        let takes = u64::try_from(rate.takes(bytes).as_nanos()).unwrap_or(u64::MAX);
        self.streams_free = self.streams_free.max(nanos(now)).saturating_add(takes);
        ceil(self.streams_free)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEGABIT: Rate = Rate { bits_per_second: Some(1_000_000), queue_bytes: 2500 };

    #[test]
    fn datagrams_wait_for_each_other_and_then_overflow() {
        let mut port = Port::default();
        let size = 1250 - DATAGRAM_OVERHEAD;
        for n in 1..=3 {
            assert_eq!(port.datagram(&MEGABIT, Time(0), size), Passage::At(Time(n * 10_000)));
        }
        assert_eq!(port.datagram(&MEGABIT, Time(0), size), Passage::Full, "2,500 bytes wait");
        assert_eq!(port.datagram(&MEGABIT, Time(10_000), size), Passage::At(Time(40_000)));
    }

    #[test]
    fn streams_get_what_datagrams_leave() {
        let mut port = Port::default();
        assert_eq!(port.stream(&MEGABIT, Time(0), 12_500), Time(100_000));
        let datagram = port.datagram(&MEGABIT, Time(0), 1250 - DATAGRAM_OVERHEAD);
        assert_eq!(datagram, Passage::At(Time(10_000)), "not behind the stream");
        assert_eq!(port.stream(&MEGABIT, Time(0), 1250), Time(120_000));
    }
}
