//! What a world is made from.

use std::time::Duration;

use netdb_core::config::Config;

use super::{
    link::{Latency, Link, Topology},
    port::Rate,
};
use crate::seed::Seed;

/// Settings of a run; a scenario may change them before the world is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// Decides everything.
    pub seed: Seed,
    /// Hosts that the scenario has at its disposal.
    pub nodes: usize,
    /// The link between any two hosts, or between those of one zone.
    pub link: Link,
    /// Typical one-way latencies between hosts of different zones, in microseconds, by row and column; the
    /// hosts are spread over the zones in turn. Empty if there is only one.
    pub between: Vec<Vec<u64>>,
    /// Every host's port.
    pub rate: Rate,
    /// Every node's settings.
    pub config: Config,
    /// The most nodes whose views are watched event by event; the others are compared by what they list.
    pub watched: usize,
    /// All watchers ask for the rows of failed nodes too, as drivers do; else every second one does.
    pub all_see_failed: bool,
    /// A promise of the scenario that nobody healthy is ever suspected: no faults in it, no loss.
    pub calm: bool,
}

impl Options {
    /// A LAN of `nodes` hosts: 1 ms ± 0.2 ms one way, gigabit ports, no faults.
    pub fn lan(seed: u64, nodes: usize) -> Self {
        Self {
            seed: Seed(seed),
            nodes,
            link: Link::with_delay(Duration::from_millis(1)),
            between: Vec::new(),
            rate: Rate::GIGABIT,
            config: Config::lan(),
            watched: 256,
            all_see_failed: false,
            calm: false,
        }
    }
    /// Three zones of one region: 0.25 ms within, 1 to 2 ms between them.
    pub fn multi_zone(seed: u64, nodes: usize) -> Self {
        let link = Link::with_delay(Duration::from_micros(250));
        let between = [[0, 1_000, 1_600], [1_000, 0, 2_000], [1_600, 2_000, 0]];
        Self { link, between: between.map(Vec::from).to_vec(), ..Self::lan(seed, nodes) }
    }

    /// Five regions: two in North America, Europe, East Asia, Australia, as far from each other as cables
    /// are long; links of 100 Mbit/s and the settings for a WAN.
    pub fn wan(seed: u64, nodes: usize) -> Self {
        let ms = [
            [0, 32, 42, 80, 100],
            [32, 0, 70, 55, 75],
            [42, 70, 0, 115, 130],
            [80, 55, 115, 0, 55],
            [100, 75, 130, 55, 0],
        ];
        let between = ms.map(|row| row.map(|ms| ms * 1_000).to_vec()).to_vec();
        let rate = Rate { bits_per_second: Some(100_000_000), ..Rate::GIGABIT };
        Self { between, rate, config: Config::wan(), ..Self::multi_zone(seed, nodes) }
    }

    /// Which link is between which hosts.
    pub(crate) fn topology(&self) -> Topology {
        let mut topology = Topology::uniform(self.link.clone());
        if self.between.is_empty() {
            return topology;
        }
        let zone = |n: usize| u16::try_from(n % self.between.len()).unwrap_or(0);
        topology.zones = (0..self.nodes).map(zone).collect();
        for (from, row) in self.between.iter().enumerate() {
            for (to, typical) in row.iter().enumerate().filter(|(to, _)| *to != from) {
                let latency = Latency::long_tail(Duration::from_micros(*typical));
                let link = Link { latency, ..self.link.clone() };
                topology.between.insert((zone(from), zone(to)), link);
            }
        }
        topology
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_name_every_pair_of_zones_and_are_as_far_apart_as_they_say() {
        let wan = Options::wan(1, 12).topology();
        assert_eq!(wan.between.len(), 20);
        assert_eq!(wan.round_trip(0, 2), Duration::from_millis(84));
        assert_eq!(wan.round_trip(3, 8), Duration::from_micros(500), "one zone");
        let zones = Options::multi_zone(1, 12).topology();
        assert_eq!(zones.round_trip(1, 2), Duration::from_millis(4));
        assert!(Options::lan(1, 12).topology().between.is_empty());
    }
}
