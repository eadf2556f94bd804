//! What a world is made from.

use std::time::Duration;

use netdb_core::config::Config;

use super::{link::Link, port::Rate};
use crate::seed::Seed;

/// Settings of a run; a scenario may change them before the world is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// Decides everything.
    pub seed: Seed,
    /// Hosts that the scenario has at its disposal.
    pub nodes: usize,
    /// The link between any two hosts.
    pub link: Link,
    /// Every host's port.
    pub rate: Rate,
    /// Every node's settings.
    pub config: Config,
    /// The most nodes whose views are watched event by event; the others are compared by what they list.
    pub watched: usize,
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
            rate: Rate::GIGABIT,
            config: Config::lan(),
            watched: 256,
            calm: false,
        }
    }
}
