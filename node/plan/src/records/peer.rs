//! A node that takes part in a network: where it takes tunnelled packets, and how large they may be.

use alloc::vec::Vec;
use core::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{MAX_MTU, MIN_MTU, Record};

/// The most addresses at which a node takes tunnelled packets.
pub const MAX_TUNNELS: usize = 4;

/// What a node says about its way to the others of a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerRecord {
    /// Where it takes tunnelled packets, the preferred address first.
    pub tunnels: Vec<IpAddr>,
    /// Bytes in an IP packet inside the network that its underlay lets through, overhead taken off.
    pub mtu: u32,
}

/// What is wrong with a peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// Over [`MAX_TUNNELS`].
    #[error("{0} tunnel addresses, {MAX_TUNNELS} at most")]
    TooMany(usize),
    /// No packet can be sent there.
    #[error("{0} is not an address to tunnel to")]
    Address(IpAddr),
    /// No link has such an MTU.
    #[error("MTU {0} is not in {MIN_MTU}..={MAX_MTU}")]
    Mtu(u32),
}

pub(super) fn check_tunnels(tunnels: &[IpAddr]) -> Result<(), PeerError> {
    if tunnels.len() > MAX_TUNNELS {
        return Err(PeerError::TooMany(tunnels.len()));
    }
    let bad = |address: &&IpAddr| address.is_unspecified() || address.is_multicast();
    match tunnels.iter().find(bad) {
        Some(bad) => Err(PeerError::Address(*bad)),
        None => Ok(()),
    }
}

impl Record for PeerRecord {
    type Error = PeerError;

    fn check(&self) -> Result<(), PeerError> {
        if !(MIN_MTU..=MAX_MTU).contains(&self.mtu) {
            return Err(PeerError::Mtu(self.mtu));
        }
        check_tunnels(&self.tunnels)
    }
}
