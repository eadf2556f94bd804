//! The knobs of the gossip core: one plain struct, three presets, one check.
//!
//! Nothing here is read from anywhere; [`crate::gossip::Gossip`] pulls an unchecked value into its legal
//! range, so that a wrong number can make a node slow but never make it misbehave.

use core::time::Duration;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Every interval and bound of membership and links. Each field says what it trades and its range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How often a node probes its neighbour on the ring. Shorter finds a dead node sooner and costs
    /// one ping and one ack (about 190 bytes) each time. 10 ms to 1 min.
    pub probe_period: Duration,
    /// How long a ping waits for its ack before it is repeated and relays are asked; after three of
    /// these the target is suspected. Must be above the usual round trip. 1 ms to 1 min, three of
    /// them at most five probe periods.
    pub probe_timeout: Duration,
    /// How many members are asked to ping a target that does not answer. 0 to 16.
    pub indirect_probes: usize,
    /// Every how many periods a random member is probed as well as the neighbour: covers for a
    /// neighbour that fails to do its watch. 1 to 1000.
    pub random_probe_every: u32,
    /// How long a suspect may take to refute before it is called down. 10 ms to 10 min.
    pub suspicion: Duration,
    /// The least time between two rounds of membership gossip; rounds happen only while there is news.
    /// 1 ms to 1 min.
    pub gossip_period: Duration,
    /// How many members get each round of gossip. 1 to 16.
    pub gossip_fanout: usize,
    /// How often one random live member is asked for the members it knows, without any sign that it
    /// knows others. 100 ms to 1 day.
    pub announce_period: Duration,
    /// How soon a member that went down is called again, so that partitions heal. 10 ms to 1 h.
    pub announce_down_min: Duration,
    /// How rarely it is called in the end. At least `announce_down_min`, at most 1 day.
    pub announce_down_max: Duration,
    /// When a down member is forgotten. 1 s to 30 days.
    pub forget_down_after: Duration,
    /// The most members kept; news of further ones is counted and dropped. 2 to 65,536.
    pub max_members: usize,
    /// The largest datagram sent, without IP and UDP headers. 576 to 9,000.
    pub mtu: usize,
    /// The shortest time after which an unacknowledged packet is repeated. 1 ms to 10 s.
    pub min_rto: Duration,
    /// The same before any round trip was measured. `min_rto` to 10 s.
    pub initial_rto: Duration,
    /// How often a frame is repeated before it is reported lost. 0 to 16.
    pub max_retries: u32,
    /// The most packets with acknowledged frames in flight to one peer. 1 to 64.
    pub window: u32,
    /// The most bytes queued or in flight to one peer; beyond that sending is refused.
    /// 64 KiB to 64 MiB.
    pub queue_bytes: usize,
}

/// A field outside its legal range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be {range}")]
pub struct ConfigError {
    /// The field's name.
    pub field: &'static str,
    /// What it may be.
    pub range: &'static str,
}

impl Default for Config {
    fn default() -> Self {
        Self::lan()
    }
}

impl Config {
    /// For one data centre: a silent node is suspected in about 1 s and down in about 2.7 s. One that is
    /// silent for 2 s only (a long collection, a snapshot of its VM) is in time to refute.
    pub fn lan() -> Self {
        Self {
            probe_period: ms(1000),
            probe_timeout: ms(150),
            indirect_probes: 3,
            random_probe_every: 8,
            suspicion: ms(1800),
            gossip_period: ms(100),
            gossip_fanout: 3,
            announce_period: ms(300_000),
            announce_down_min: ms(1000),
            announce_down_max: ms(30_000),
            forget_down_after: ms(24 * 3_600_000),
            max_members: 4096,
            mtu: 1400,
            min_rto: ms(5),
            initial_rto: ms(30),
            max_retries: 7,
            window: 64,
            queue_bytes: 4 * 1024 * 1024,
        }
    }

    /// For many nodes on one machine (demos, tests): quicker everything.
    pub fn local() -> Self {
        Self {
            probe_period: ms(400),
            probe_timeout: ms(80),
            suspicion: ms(800),
            gossip_period: ms(50),
            announce_period: ms(120_000),
            announce_down_min: ms(500),
            announce_down_max: ms(10_000),
            min_rto: ms(3),
            initial_rto: ms(15),
            ..Self::lan()
        }
    }

    /// For sites far apart: round trips up to about 400 ms.
    pub fn wan() -> Self {
        Self {
            probe_period: ms(3000),
            probe_timeout: ms(800),
            suspicion: ms(6000),
            gossip_period: ms(300),
            announce_period: ms(600_000),
            announce_down_min: ms(3000),
            announce_down_max: ms(60_000),
            min_rto: ms(50),
            initial_rto: ms(500),
            ..Self::lan()
        }
    }

    /// Checks every field against its range.
    ///
    /// # Errors
    /// The first field that is outside.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let clamped = self.clamped();
        let checks = [
            (self.probe_period == clamped.probe_period, "probe_period", "10 ms to 1 min"),
            (
                self.probe_timeout == clamped.probe_timeout,
                "probe_timeout",
                "1 ms to 1 min, three of them at most five probe periods",
            ),
            (self.indirect_probes == clamped.indirect_probes, "indirect_probes", "0 to 16"),
            (
                self.random_probe_every == clamped.random_probe_every,
                "random_probe_every",
                "1 to 1000",
            ),
            (self.suspicion == clamped.suspicion, "suspicion", "10 ms to 10 min"),
            (self.gossip_period == clamped.gossip_period, "gossip_period", "1 ms to 1 min"),
            (self.gossip_fanout == clamped.gossip_fanout, "gossip_fanout", "1 to 16"),
            (self.announce_period == clamped.announce_period, "announce_period", "100 ms to 1 day"),
            (
                self.announce_down_min == clamped.announce_down_min,
                "announce_down_min",
                "10 ms to 1 h",
            ),
            (
                self.announce_down_max == clamped.announce_down_max,
                "announce_down_max",
                "announce_down_min to 1 day",
            ),
            (
                self.forget_down_after == clamped.forget_down_after,
                "forget_down_after",
                "1 s to 30 days",
            ),
            (self.max_members == clamped.max_members, "max_members", "2 to 65536"),
            (self.mtu == clamped.mtu, "mtu", "576 to 9000"),
            (self.min_rto == clamped.min_rto, "min_rto", "1 ms to 10 s"),
            (self.initial_rto == clamped.initial_rto, "initial_rto", "min_rto to 10 s"),
            (self.max_retries == clamped.max_retries, "max_retries", "0 to 16"),
            (self.window == clamped.window, "window", "1 to 64"),
            (self.queue_bytes == clamped.queue_bytes, "queue_bytes", "64 KiB to 64 MiB"),
        ];
        match checks.into_iter().find(|(legal, ..)| !legal) {
            Some((_, field, range)) => Err(ConfigError { field, range }),
            None => Ok(()),
        }
    }

    /// Every field pulled into its range.
    pub(crate) fn clamped(&self) -> Self {
        let day = ms(24 * 3_600_000);
        let minute = ms(60_000);
        let probe_period = self.probe_period.clamp(ms(10), minute);
        let announce_down_min = self.announce_down_min.clamp(ms(10), ms(3_600_000));
        let min_rto = self.min_rto.clamp(ms(1), ms(10_000));
        Self {
            probe_period,
            probe_timeout: self.probe_timeout.clamp(ms(1), minute.min(probe_period * 5 / 3)),
            indirect_probes: self.indirect_probes.min(16),
            random_probe_every: self.random_probe_every.clamp(1, 1000),
            suspicion: self.suspicion.clamp(ms(10), ms(600_000)),
            gossip_period: self.gossip_period.clamp(ms(1), minute),
            gossip_fanout: self.gossip_fanout.clamp(1, 16),
            announce_period: self.announce_period.clamp(ms(100), day),
            announce_down_min,
            announce_down_max: self.announce_down_max.clamp(announce_down_min, day),
            forget_down_after: self.forget_down_after.clamp(ms(1000), 30 * day),
            max_members: self.max_members.clamp(2, 65_536),
            mtu: self.mtu.clamp(576, 9000),
            min_rto,
            initial_rto: self.initial_rto.clamp(min_rto, ms(10_000)),
            max_retries: self.max_retries.min(16),
            window: self.window.clamp(1, 64),
            queue_bytes: self.queue_bytes.clamp(64 * 1024, 64 * 1024 * 1024),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_legal_and_wrong_fields_are_named() {
        for preset in [Config::local(), Config::lan(), Config::wan()] {
            assert_eq!(preset.validate(), Ok(()));
        }
        let wrong = [
            (Config { mtu: 575, ..Config::lan() }, "mtu"),
            (Config { mtu: 9001, ..Config::lan() }, "mtu"),
            (Config { window: 65, ..Config::lan() }, "window"),
            (Config { probe_timeout: ms(0), ..Config::lan() }, "probe_timeout"),
            (Config { probe_timeout: ms(1700), ..Config::lan() }, "probe_timeout"),
            (Config { announce_down_max: ms(1), ..Config::lan() }, "announce_down_max"),
            (Config { initial_rto: ms(1), ..Config::lan() }, "initial_rto"),
            (Config { max_members: 1, ..Config::lan() }, "max_members"),
        ];
        for (config, field) in wrong {
            assert_eq!(config.validate().unwrap_err().field, field);
            assert_eq!(config.clamped().validate(), Ok(()));
        }
    }
}
