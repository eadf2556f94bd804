//! What a node may be told: protocol timings and limits, with what each one trades.

use core::time::Duration;

use netdb_gossip_core::config::{Config as GossipConfig, ConfigError};

/// Settings of a node's tables. Every field has a default that suits a LAN.
#[derive(Clone, Debug)]
pub struct Config {
    /// Membership, links and packets.
    pub gossip: GossipConfig,
    /// How many copies of a write each node passes on. More is fewer hops but a larger burst at the
    /// writer. 2 to 16.
    pub fanout: usize,
    /// How often each network is compared with a peer while things change. A longer interval finds a
    /// lost last write later. 100 ms to 60 s.
    pub compare_interval: Duration,
    /// The slowest comparison, reached by doubling while nothing differs. At least
    /// `compare_interval`, at most 10 min.
    pub compare_interval_max: Duration,
    /// How long deletes are remembered. A node that was away for longer is compared in full.
    /// 1 s to 24 h.
    pub tombstone_life: Duration,
    /// How long the rows of a node that said "restarting" stay in view without it. 0 to 1 h.
    pub restart_hold: Duration,
    /// How long a new generation may take to publish its set before what it did not publish again
    /// leaves the view. 0 to 5 min.
    pub replace_after: Duration,
    /// How long a failed node's rows are remembered for its return. 1 min to 30 days.
    pub purge_failed_after: Duration,
    /// How often the cluster changes its key by itself; `None` for never. At least 1 min.
    pub key_rotation: Option<Duration>,
    /// How long a retired key still opens packets, so that nothing in flight is lost. At least 1 s.
    pub key_retire_after: Duration,
    /// The most nodes that may be admitted. 1 to 65,536.
    pub max_members: usize,
    /// Limit of rows per network for local writes. At least 1.
    pub max_entries: usize,
    /// Limit of bytes (keys and values) per network for local writes. At least 64 KiB.
    pub max_bytes: usize,
    /// Limit of tombstones per network; the oldest go first. At least 1.
    pub max_tombstones: usize,
}

/// The range check of one field failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidConfig {
    /// A field of the tables' settings.
    #[error("{field} is out of range: expected {expected}")]
    Field {
        /// Its name.
        field: &'static str,
        /// What is legal.
        expected: &'static str,
    },
    /// A field of the gossip settings.
    #[error(transparent)]
    Gossip(#[from] ConfigError),
}

impl Config {
    /// For nodes on one machine: tests, demos.
    pub fn local() -> Self {
        Self { gossip: GossipConfig::local(), ..Self::lan() }
    }

    /// For one data centre.
    pub fn lan() -> Self {
        Self {
            gossip: GossipConfig::lan(),
            fanout: 5,
            compare_interval: Duration::from_secs(1),
            compare_interval_max: Duration::from_secs(16),
            tombstone_life: Duration::from_mins(30),
            restart_hold: Duration::from_mins(1),
            replace_after: Duration::from_secs(10),
            purge_failed_after: Duration::from_hours(24),
            key_rotation: Some(Duration::from_hours(12)),
            key_retire_after: Duration::from_mins(1),
            max_members: 10_000,
            max_entries: 1_000_000,
            max_bytes: 1 << 30,
            max_tombstones: 1_000_000,
        }
    }

    /// For links of tens to hundreds of milliseconds.
    pub fn wan() -> Self {
        Self {
            gossip: GossipConfig::wan(),
            compare_interval: Duration::from_secs(2),
            compare_interval_max: Duration::from_secs(30),
            ..Self::lan()
        }
    }

    /// Checks every field.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        self.gossip.validate()?;
        let field = |ok: bool, field: &'static str, expected: &'static str| {
            if ok { Ok(()) } else { Err(InvalidConfig::Field { field, expected }) }
        };
        let within = |d: Duration, low: Duration, high: Duration| low <= d && d <= high;
        let secs = Duration::from_secs;
        let ms = Duration::from_millis;
        field((2..=16).contains(&self.fanout), "fanout", "2 to 16")?;
        field(
            within(self.compare_interval, ms(100), secs(60)),
            "compare_interval",
            "100 ms to 60 s",
        )?;
        field(
            within(self.compare_interval_max, self.compare_interval, secs(600)),
            "compare_interval_max",
            "compare_interval to 10 min",
        )?;
        field(
            within(self.tombstone_life, secs(1), secs(24 * 3600)),
            "tombstone_life",
            "1 s to 24 h",
        )?;
        field(self.restart_hold <= secs(3600), "restart_hold", "0 to 1 h")?;
        field(self.replace_after <= secs(300), "replace_after", "0 to 5 min")?;
        field(
            within(self.purge_failed_after, secs(60), secs(30 * 24 * 3600)),
            "purge_failed_after",
            "1 min to 30 days",
        )?;
        let rotation = self.key_rotation.is_none_or(|every| every >= secs(60));
        field(rotation, "key_rotation", "none, or at least 1 min")?;
        field(self.key_retire_after >= secs(1), "key_retire_after", "at least 1 s")?;
        field((1..=65_536).contains(&self.max_members), "max_members", "1 to 65,536")?;
        field(self.max_entries >= 1, "max_entries", "at least 1")?;
        field(self.max_bytes >= 64 * 1024, "max_bytes", "at least 64 KiB")?;
        field(self.max_tombstones >= 1, "max_tombstones", "at least 1")
    }
}
