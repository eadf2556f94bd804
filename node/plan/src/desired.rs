//! All that a node wants of its kernel, of every driver and network.

use alloc::collections::BTreeSet;

use crate::{
    firewall::{self, Family, WayOut},
    host::{self, Place},
    policy::Policy,
};

/// What is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desired {
    /// Namespaces and links.
    pub links: host::Wanted,
    /// Packet filters.
    pub firewalls: firewall::Wanted,
    /// Policy routing of the host's own namespace.
    pub policy: Option<Policy>,
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
        self.policy = self.policy.take().or(other.policy);
    }
}

impl Desired {
    /// The versions of IP in which packets pass between a network and elsewhere, or on to another node, so that the
    /// host's own links must forward what comes in by them.
    pub fn forwarded(&self) -> BTreeSet<Family> {
        let Some(host) = self.firewalls.get(&Place::Host) else { return BTreeSet::new() };
        let open = host.bridges.values().filter(|bridge| bridge.way_out == WayOut::Masqueraded);
        let out = open.flat_map(|bridge| &bridge.subnets).map(|net| Family::of(net.addr()));
        out.chain(host.leads_to()).collect()
    }
}

impl From<host::Wanted> for Desired {
    fn from(links: host::Wanted) -> Self {
        Self { links, ..Self::default() }
    }
}
