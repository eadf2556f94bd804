//! An endpoint: one sandbox's interface on one network, and where packets for it have to go.

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use core::net::IpAddr;

use ipnet::IpNet;
use netdb_gossip_core::identity::{Name, NodeId};
use serde::{Deserialize, Serialize};

use super::{
    Backend, MAX_MTU, MAX_WEIGHT, MIN_MTU, Mac, NetworkId, PeerError, Record, peer::check_tunnels,
};

/// The most aliases of an endpoint.
pub const MAX_ALIASES: usize = 32;
/// The most addresses of an endpoint.
pub const MAX_ADDRESSES: usize = 16;
/// The most bytes of a sandbox's id.
pub const MAX_SANDBOX: usize = 128;

/// A sandbox's interface on a network. Its key is its id, its owner the node that it is on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointRecord {
    /// The network that it is on.
    pub network: NetworkId,
    /// What it is called there.
    pub name: Name,
    /// What it is called as well.
    pub aliases: Vec<Name>,
    /// Its addresses, each with the length of its subnet's prefix.
    pub addresses: Vec<IpNet>,
    /// Its hardware address.
    pub mac: Mac,
    /// Whose interface it is, as the runtime calls it.
    pub sandbox: String,
    /// Where its node takes tunnelled packets, the preferred address first; none without tunnels.
    pub tunnels: Vec<IpAddr>,
    /// Grows by one each time when the endpoint moves to another node: the later place wins.
    pub moves: u32,
    /// Bytes in an IP packet that its node can take for it.
    pub mtu: u32,
    /// What it is to a service, if it serves one.
    pub backend: Option<Backend>,
}

/// Of an endpoint that several nodes say they have, whose row counts: that which moved the most, and of equals the
/// highest node's.
pub(crate) fn latest<T>(
    rows: &BTreeMap<NodeId, T>,
    moves: impl Fn(&T) -> u32,
) -> Option<(NodeId, &T)> {
    let latest = rows.iter().max_by_key(|(node, row)| (moves(row), **node));
    latest.map(|(node, row)| (*node, row))
}

/// What is wrong with an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Nobody could reach it.
    #[error("an endpoint has 1 to {MAX_ADDRESSES} addresses, not {0}")]
    Addresses(usize),
    /// Not an address that one interface can have.
    #[error("{0} is not an endpoint's address")]
    Address(IpNet),
    /// A group's, or all zero.
    #[error("{0} is not the hardware address of one interface")]
    Mac(Mac),
    /// Over [`MAX_ALIASES`].
    #[error("{0} aliases, {MAX_ALIASES} at most")]
    TooManyAliases(usize),
    /// Over [`MAX_SANDBOX`].
    #[error("a sandbox's id has at most {MAX_SANDBOX} bytes, this one has {0}")]
    Sandbox(usize),
    /// No link has such an MTU.
    #[error("MTU {0} is not in {MIN_MTU}..={MAX_MTU}")]
    Mtu(u32),
    /// Over [`MAX_WEIGHT`].
    #[error("weight {0} is not in 0..={MAX_WEIGHT}")]
    Weight(u16),
    /// Where its node takes packets.
    #[error(transparent)]
    Tunnel(#[from] PeerError),
}

impl Record for EndpointRecord {
    type Error = EndpointError;

    fn check(&self) -> Result<(), EndpointError> {
        if !(1..=MAX_ADDRESSES).contains(&self.addresses.len()) {
            return Err(EndpointError::Addresses(self.addresses.len()));
        }
        let bad = |net: &&IpNet| {
            let address = net.addr();
            address.is_multicast() || address.is_unspecified() || address.is_loopback()
        };
        if let Some(bad) = self.addresses.iter().find(bad) {
            return Err(EndpointError::Address(*bad));
        }
        if !self.mac.is_an_interfaces() {
            return Err(EndpointError::Mac(self.mac));
        }
        if self.aliases.len() > MAX_ALIASES {
            return Err(EndpointError::TooManyAliases(self.aliases.len()));
        }
        if self.sandbox.len() > MAX_SANDBOX {
            return Err(EndpointError::Sandbox(self.sandbox.len()));
        }
        if !(MIN_MTU..=MAX_MTU).contains(&self.mtu) {
            return Err(EndpointError::Mtu(self.mtu));
        }
        if let Some(backend) = self.backend.as_ref().filter(|b| b.weight > MAX_WEIGHT) {
            return Err(EndpointError::Weight(backend.weight));
        }
        Ok(check_tunnels(&self.tunnels)?)
    }
}
