//! One subnet of a network: its prefix, and the addresses in it that mean something.

use alloc::collections::BTreeMap;
use core::net::IpAddr;

use ipnet::IpNet;
use netdb_gossip_core::identity::Name;
use serde::{Deserialize, Serialize};

/// The most auxiliary addresses of a subnet.
pub const MAX_AUX: usize = 64;

/// Addresses of one family that belong together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// All of it, as its network address.
    pub prefix: IpNet,
    /// Who leads out of it. `None`: nobody.
    pub gateway: Option<IpAddr>,
    /// Where endpoints get addresses from; the whole subnet if not said.
    pub range: Option<IpNet>,
    /// Addresses in use by something else, by what it is called; never given to an endpoint.
    pub aux: BTreeMap<Name, IpAddr>,
}

/// What is wrong with a subnet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubnetError {
    /// Bits are set behind the prefix.
    #[error("{0} has bits set behind its prefix; {network} is meant?", network = .0.trunc())]
    HostBits(IpNet),
    /// Not addresses for endpoints.
    #[error("{0} is not a subnet for endpoints: multicast, loopback, unspecified or link-local")]
    Unusable(IpNet),
    /// No room for an endpoint beside a gateway.
    #[error("{0} is too small: no room for an endpoint")]
    TooSmall(IpNet),
    /// The gateway lies elsewhere.
    #[error("gateway {gateway} is not in {prefix}")]
    GatewayOutside {
        /// The gateway.
        gateway: IpAddr,
        /// The subnet.
        prefix: IpNet,
    },
    /// The range lies elsewhere.
    #[error("ip-range {range} is not in {prefix}")]
    RangeOutside {
        /// The range.
        range: IpNet,
        /// The subnet.
        prefix: IpNet,
    },
    /// An auxiliary address lies elsewhere.
    #[error("aux-address {name}={address} is not in {prefix}")]
    AuxOutside {
        /// What it is called.
        name: Name,
        /// The address.
        address: IpAddr,
        /// The subnet.
        prefix: IpNet,
    },
    /// The network's own or the broadcast address.
    #[error("{address} is the network's or the broadcast address of {prefix}")]
    Reserved {
        /// The address.
        address: IpAddr,
        /// The subnet.
        prefix: IpNet,
    },
    /// Over [`MAX_AUX`].
    #[error("{0} aux-addresses, {MAX_AUX} at most")]
    TooManyAux(usize),
}

impl Subnet {
    /// A subnet with neither gateway, range nor auxiliary addresses.
    pub fn of(prefix: IpNet) -> Self {
        Self { prefix, gateway: None, range: None, aux: BTreeMap::new() }
    }

    /// Whether some address is in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.prefix.contains(&other.prefix) || other.prefix.contains(&self.prefix)
    }

    /// Whether an endpoint or gateway may have this address here.
    pub fn has_room_for(&self, address: IpAddr) -> bool {
        self.prefix.contains(&address) && !is_reserved(&self.prefix, address)
    }

    pub(super) fn check(&self) -> Result<(), SubnetError> {
        let prefix = self.prefix;
        if prefix.trunc() != prefix {
            return Err(SubnetError::HostBits(prefix));
        }
        if prefix.prefix_len() == 0 || is_unusable(prefix.addr()) {
            return Err(SubnetError::Unusable(prefix));
        }
        if prefix.prefix_len() + 1 > prefix.max_prefix_len() {
            return Err(SubnetError::TooSmall(prefix));
        }
        if let Some(gateway) = self.gateway {
            if !prefix.contains(&gateway) {
                return Err(SubnetError::GatewayOutside { gateway, prefix });
            }
            if is_reserved(&prefix, gateway) {
                return Err(SubnetError::Reserved { address: gateway, prefix });
            }
        }
        if let Some(range) = self.range.filter(|range| !prefix.contains(range)) {
            return Err(SubnetError::RangeOutside { range, prefix });
        }
        if self.aux.len() > MAX_AUX {
            return Err(SubnetError::TooManyAux(self.aux.len()));
        }
        match self.aux.iter().find(|(_, address)| !prefix.contains(*address)) {
            Some((name, address)) => {
                Err(SubnetError::AuxOutside { name: name.clone(), address: *address, prefix })
            }
            None => Ok(()),
        }
    }
}

/// The first and, in IPv4, the last address; in prefixes of two addresses there are none (RFC 3021,
/// RFC 6164).
fn is_reserved(prefix: &IpNet, address: IpAddr) -> bool {
    if prefix.prefix_len() + 1 >= prefix.max_prefix_len() {
        return false;
    }
    address == prefix.network() || (address.is_ipv4() && address == prefix.broadcast())
}

fn is_unusable(address: IpAddr) -> bool {
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    address.is_unspecified() || address.is_loopback() || address.is_multicast() || link_local
}
