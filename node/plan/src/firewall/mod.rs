//! What a node wants of the packet filter, and the tables of a namespace that make it so.
//!
//! Drivers say what they want in the words of [`Firewall`]; [`Firewall::tables`] writes it down as tables of
//! `nf_tables`; [`plan`] compares that with what was read back. They are ours by their names, `inet netnode` and, for
//! the routing mesh, `netdev netnode`; no other one is ever changed. Which chains they have, where they hook in and
//! why: see `render.rs`.
//!
//! Bridges and ports are elements of sets and maps, so that a rule is the same for one of them and for ten
//! thousand, and a change costs what it changes.
//!
//! An accept of ours does not beat a drop in another table: [`blocked`] tells whom that would hit, and the rule
//! that lets it pass.

mod balance;
mod diff;
mod expr;
mod judge;
mod led;
mod mesh;
mod model;
mod names;
mod others;
mod ports;
mod render;
mod table;
#[cfg(test)]
mod tests;

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use core::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};

use ipnet::IpNet;

pub use balance::rebalance;
pub use diff::{Edit, Edits, edits, plan};
pub use expr::{
    Ct, Expr, Family, Header, LINK_NAME, Meta, Refusal, Register, Rule, Target, Verdict, state,
    status,
};
pub use led::{Away, Lead, Led};
pub use mesh::{Mesh, mark};
pub use names::routers;
pub use others::{Blocked, Other, Scope, blocked};
pub use table::{Base, Chain, Elements, Field, Hook, Kind, Layer, Set, Table, Tables};

pub use crate::records::Protocol;
use crate::{
    host::{Place, SeenLink},
    lb::{Balance, Kept},
    records::{LinkName, NetworkId},
};

/// The name of our tables.
pub const TABLE: &str = "netnode";

/// The chain of the host's table that is for an administrator: what is forwarded comes there first.
pub const USER: &str = "user";

/// What is wanted of the packet filter in one namespace. Nothing means no table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Firewall {
    /// Bridges that have endpoints behind them. What comes from elsewhere reaches those only as an answer or
    /// through a published port; so bridges are apart from each other, too.
    pub bridges: BTreeMap<LinkName, Bridge>,
    /// Ports of this host, and where they lead to.
    pub published: BTreeMap<Front, Backs>,
    /// Where the endpoints behind bridges are, and what of what ports led to them goes on.
    pub endpoints: BTreeMap<IpAddr, Kept>,
    /// Where other nodes are that ports lead to, and what of it goes on.
    pub away: Away,
    /// UDP ports that tunnels end at. What else is wanted brings connection tracking, which has nothing to say
    /// of them: either direction has ports of its own (RFC 7348, section 5), and inner connections are none of
    /// the host's.
    pub tunnels: BTreeSet<u16>,
    /// Virtual addresses of the networks that one is on here, and who serves them.
    pub balances: BTreeMap<NetworkId, Balance>,
    /// The way to backends on other nodes, for ports that every node has.
    pub mesh: Option<Mesh>,
    /// Routers that are asked for names here, and where these are answered instead.
    pub names: BTreeMap<IpAddr, SocketAddr>,
}

/// A bridge that has endpoints behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bridge {
    /// Addresses of the endpoints.
    pub subnets: BTreeSet<IpNet>,
    /// How they get to elsewhere.
    pub way_out: WayOut,
}

/// How endpoints get to elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WayOut {
    /// Not at all, and nobody gets to them: the network is internal.
    #[default]
    Closed,
    /// With the address of the host.
    Masqueraded,
}

/// Where a published port is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Front {
    /// Which addresses of this host have it.
    pub bind: Bind,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The port.
    pub port: u16,
}

/// Which addresses of this host have a published port. Of two that fit, the first in this order counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bind {
    /// This one.
    Address(IpAddr),
    /// All, for what comes by this link.
    Link(LinkName),
    /// All.
    Any,
}

/// Where a published port leads to, for each version of IP: what is new goes to one of the slots, each as likely as
/// every other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backs {
    /// For IPv4.
    pub v4: Vec<SocketAddrV4>,
    /// For IPv6.
    pub v6: Vec<SocketAddrV6>,
}

impl Backs {
    /// All that it leads to.
    pub fn iter(&self) -> impl Iterator<Item = SocketAddr> {
        let v4 = self.v4.iter().copied().map(SocketAddr::V4);
        v4.chain(self.v6.iter().copied().map(SocketAddr::V6))
    }
}

impl Firewall {
    /// Whether nothing is wanted. Tunnels alone need no table.
    pub fn is_empty(&self) -> bool {
        self.is_extra() && self.names.is_empty()
    }

    /// Whether all that is wanted is no more than a further way to what is there anyhow.
    pub fn is_extra(&self) -> bool {
        !self.guards() && self.balances.values().all(Balance::is_empty)
    }

    /// The versions of IP in which ports lead somewhere.
    pub fn leads_to(&self) -> BTreeSet<Family> {
        let to = self.published.values().flat_map(Backs::iter);
        to.map(|to| Family::of(to.ip())).collect()
    }

    /// Whether there is something that not everybody gets to.
    fn guards(&self) -> bool {
        !self.bridges.is_empty() || !self.published.is_empty() || self.mesh.is_some()
    }

    /// The tables that make it so, in a namespace that has these links.
    pub fn tables(&self, links: &BTreeMap<LinkName, SeenLink>) -> Tables {
        let packets = self.table().map(|table| (Layer::Packets, table));
        let frames = self.mesh.as_ref().and_then(|mesh| mesh.frames(links));
        packets.into_iter().chain(frames.map(|table| (Layer::Frames, table))).collect()
    }

    /// Takes what another driver, or the same one for another network, wants of the same namespace. What
    /// both say of one bridge or port counts as the first said it.
    pub fn absorb(&mut self, other: Self) {
        for (name, bridge) in other.bridges {
            self.bridges.entry(name).or_insert(bridge);
        }
        self.endpoints.extend(other.endpoints);
        self.tunnels.extend(other.tunnels);
        self.away.subnets.extend(other.away.subnets);
        self.away.leads.extend(other.away.leads);
        for (network, balance) in other.balances {
            self.balances.entry(network).or_insert(balance);
        }
        self.mesh = self.mesh.take().or(other.mesh);
        for (router, at) in other.names {
            self.names.entry(router).or_insert(at);
        }
        for (front, backs) in other.published {
            let there = self.published.entry(front).or_default();
            if there.v4.is_empty() {
                there.v4 = backs.v4;
            }
            if there.v6.is_empty() {
                there.v6 = backs.v6;
            }
        }
    }
}

/// What is wanted, for each namespace that we have to do with. Of one that is wanted empty our table goes;
/// one that is not named is left as it is.
pub type Wanted = BTreeMap<Place, Firewall>;

/// What is there, of the namespaces that could be read.
pub type Seen = BTreeMap<Place, SeenFirewall>;

/// The packet filter of a namespace as it was read back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeenFirewall {
    /// How often the kernel changed it: a change that was planned for another one is refused.
    pub generation: u32,
    /// Our tables.
    pub ours: Tables,
    /// Those tables of others that have a say about what is forwarded.
    pub others: Vec<Other>,
}

/// The generation after this one: the kernel counts past 0.
pub fn next_generation(generation: u32) -> u32 {
    generation.wrapping_add(1).max(1)
}
