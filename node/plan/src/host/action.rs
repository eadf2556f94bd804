//! One step of making the kernel what it should be. Each may be repeated without harm.

use alloc::{boxed::Box, vec::Vec};
use core::{fmt, net::IpAddr};

use ipnet::IpNet;

use super::{Link, Mark, Place, Port, Route, Setting};
use crate::{
    firewall::{Edits, Led},
    lb::Balance,
    policy,
    records::{LinkName, Mac, NetworkId},
};

/// A step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Makes a network's namespace.
    AddNamespace(NetworkId),
    /// Removes one, with all that is in it.
    RemoveNamespace(NetworkId),
    /// Makes a link, still down, with its hardware address and MTU. The rest of it follows.
    AddLink {
        /// Where.
        at: Place,
        /// What it is called.
        name: LinkName,
        /// What it is.
        link: Box<Link>,
    },
    /// Removes a link.
    RemoveLink {
        /// Where.
        at: Place,
        /// What it is called.
        name: LinkName,
    },
    /// Changes something about a link.
    Change {
        /// Where.
        at: Place,
        /// What it is called.
        name: LinkName,
        /// What changes.
        change: Change,
    },
    /// Changes our tables of the packet filter, all of it or nothing.
    Filter {
        /// Where.
        at: Place,
        /// The generation of the packet filter that this is for.
        generation: u32,
        /// Of each table.
        edits: Edits,
    },
    /// Changes rules of routing, or what they lead to, on the host.
    Policy(policy::Change),
    /// Ends what goes on with backends that are not to have it any more: whoever came for one of these addresses
    /// and was led to somebody whom its balance does not keep.
    EndFlows {
        /// Where.
        at: Place,
        /// Of each network.
        balances: Vec<Balance>,
    },
    /// Ends what ports of the host led to endpoints, but for what goes on.
    EndLed {
        /// Where.
        at: Place,
        /// What goes on.
        led: Led,
    },
}

impl Action {
    /// Whether it takes an entry of a link away.
    pub fn is_removal(&self) -> bool {
        let Self::Change { change, .. } = self else { return false };
        matches!(
            change,
            Change::RemoveTunnel(_) | Change::RemoveStation(_) | Change::RemoveNeighbour(_)
        )
    }

    /// Whether it is about an entry of a link: a tunnel, a station or a neighbour.
    pub fn is_entry(&self) -> bool {
        let Self::Change { change, .. } = self else { return false };
        matches!(
            change,
            Change::PutTunnel(..)
                | Change::RemoveTunnel(..)
                | Change::PutStation(..)
                | Change::RemoveStation(..)
                | Change::PutNeighbour(..)
                | Change::RemoveNeighbour(..)
        )
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Its edits may be thousands.
            Self::Filter { at, .. } => write!(f, "changing the packet filter of {at:?}"),
            Self::EndFlows { at, .. } => write!(f, "ending connections to what went in {at:?}"),
            Self::EndLed { at, .. } => write!(f, "ending what ports that went led to in {at:?}"),
            other => fmt::Debug::fmt(other, f),
        }
    }
}

/// What changes about a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Its alias.
    Mark(Mark),
    /// A setting of the kernel; one that the kernel lacks is left out.
    Setting(Setting, u32),
    /// Bytes in an IP packet.
    Mtu(u32),
    /// Its hardware address.
    Mac(Mac),
    /// The bridge that it is a port of.
    PortOf(Option<LinkName>),
    /// How it is a port.
    Port(Port),
    /// It is set up.
    Up,
    /// It has this address.
    AddAddress(IpNet),
    /// It has this address no longer.
    RemoveAddress(IpNet),
    /// There is this way on.
    PutRoute(Route),
    /// There is this way on no longer.
    RemoveRoute(Route),
    /// Frames for the first go to the second, wherever they went before.
    PutTunnel(Mac, IpAddr),
    /// Frames for it go nowhere.
    RemoveTunnel(Mac),
    /// It is behind this port, wherever it was before.
    PutStation(Mac),
    /// It is behind this port no longer.
    RemoveStation(Mac),
    /// The first has the second, whatever it had before.
    PutNeighbour(IpAddr, Mac),
    /// It has none.
    RemoveNeighbour(IpAddr),
}
