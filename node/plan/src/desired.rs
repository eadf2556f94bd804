//! All that a node wants of its kernel, of every driver and network.

use crate::{firewall, host};

/// What is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desired {
    /// Namespaces and links.
    pub links: host::Wanted,
    /// Packet filters.
    pub firewalls: firewall::Wanted,
}

impl Desired {
    /// Takes what one driver wants for one network.
    pub fn absorb(&mut self, other: Self) {
        for (place, links) in other.links {
            self.links.entry(place).or_default().extend(links);
        }
        for (place, firewall) in other.firewalls {
            self.firewalls.entry(place).or_default().absorb(firewall);
        }
    }
}

impl From<host::Wanted> for Desired {
    fn from(links: host::Wanted) -> Self {
        Self { links, firewalls: firewall::Wanted::new() }
    }
}
