//! Words for what a driver wants of the kernel and for what is there: namespaces, links and their entries.
//!
//! Every driver says what it wants in these words, [`plan`] compares it with what was read back, and one
//! applier carries the difference out. What has no mark of ours is nobody's here: never changed, never
//! removed.

mod action;
mod diff;
mod fresh;
mod mark;
mod model;
mod plug;
#[cfg(test)]
mod tests;
mod way_out;

use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::String,
};
use core::net::IpAddr;

use ipnet::IpNet;

pub use action::{Action, Change};
pub use diff::{Obstacle, Plan, plan};
pub use mark::{Mark, NotAMark};
pub use model::Model;
pub use plug::{Plug, port_name};
pub use way_out::ways_out;

use crate::records::{LinkName, Mac, MacvlanMode, NetworkId};

/// The name of the loopback interface of every namespace.
pub(crate) const LOOPBACK: &str = "lo";

/// What the host's own namespace is called where a path to a sandbox's stands.
pub const HOST: &str = "host";

/// A network namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The one that netnode runs in.
    Host,
    /// Made by us for one network, so that the subnets of two may overlap.
    Network(NetworkId),
    /// A container's, by the path that leads to it. It belongs to its runtime.
    Sandbox(String),
}

impl Place {
    /// A sandbox's, or the host's own, which is [`HOST`].
    pub fn of_sandbox(path: &str) -> Self {
        if path == HOST { Self::Host } else { Self::Sandbox(path.into()) }
    }
}

/// An endpoint of this node that a sandbox is there for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// The path that leads to the sandbox's namespace, or [`HOST`].
    pub sandbox: String,
    /// What the interface is called there.
    pub interface: LinkName,
    /// The sandbox's way to everywhere leads over this endpoint.
    pub default_route: bool,
}

/// What a link is. It can't be changed: another kind is another link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Connects its ports.
    Bridge,
    /// Tunnels to other hosts; it learns nothing, answers ARP and ND from its neighbour entries, and its
    /// underlay is the host's.
    Vxlan {
        /// The network's identifier.
        vni: u32,
        /// UDP port, here and there.
        port: u16,
        /// The host's address that the others tunnel to.
        local: IpAddr,
    },
    /// A pair of which this is the end that is made.
    Veth {
        /// Where the other end is.
        peer_at: Place,
        /// What it is called there.
        peer: LinkName,
    },
    /// The other end of a pair, which comes and goes with it.
    VethEnd,
    /// On a link of the host, with a hardware address of its own.
    Macvlan {
        /// The link of the host.
        parent: LinkName,
        /// How those on the same link see each other.
        mode: MacvlanMode,
    },
    /// An IEEE 802.1Q VLAN on a link of the same namespace.
    Vlan {
        /// The link below.
        parent: LinkName,
        /// 1 to 4094.
        id: u16,
    },
}

/// How a bridge treats one of its ports.
#[allow(clippy::struct_excessive_bools, reason = "flags of the kernel, each on its own")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// Hardware addresses seen behind it are remembered, and may move here from another port.
    pub learning: bool,
    /// Frames for addresses that the bridge doesn't know go out here, too.
    pub flood: bool,
    /// Nothing passes to and from other isolated ports.
    pub isolated: bool,
    /// Frames may go back out by the port that they came in by: where `br_netfilter` is loaded, what an
    /// endpoint sends to itself through a published port takes that way.
    pub hairpin: bool,
}

impl Port {
    /// As the kernel makes one.
    pub const LEARNING: Self =
        Self { learning: true, flood: true, isolated: false, hairpin: false };
    /// Every address behind it is told, none is learnt: right within one update, never by ageing.
    pub const TOLD: Self = Self { learning: false, flood: false, isolated: false, hairpin: false };
}

/// A way on, in the main table of a namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// Where to; a prefix of length 0 is the default route.
    pub to: IpNet,
    /// Over whom; `None` if it is on the link.
    pub via: Option<IpAddr>,
    /// The lower one is taken.
    pub metric: u32,
}

/// A setting of the kernel for one link (Documentation/networking/ip-sysctl.rst).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setting {
    /// `ipv6/conf/*/disable_ipv6`.
    DisableV6,
    /// `ipv6/conf/*/accept_ra`: who sends what looks like a router's advertisement is not believed.
    AcceptRa,
    /// `ipv6/conf/*/addr_gen_mode`: 1 for a link that needs no address of its own.
    AddrGenMode,
    /// `ipv4/conf/*/forwarding`.
    Forwarding,
    /// `ipv6/conf/*/force_forwarding`: packets from here go on though the host as a whole forwards none
    /// (Linux 6.17).
    ForwardingV6,
    /// `ipv4/conf/*/rp_filter`.
    RpFilter,
    /// `ipv4/conf/*/src_valid_mark`: whether `rp_filter` minds a packet's mark.
    SrcValidMark,
    /// `ipv4/conf/*/route_localnet`: what comes from and goes to loopback addresses may pass here.
    RouteLocalnet,
    /// `bridge-nf-call-iptables`: whether frames of IPv4 from port to port of a bridge pass the packet filter, for
    /// all bridges of a namespace. Only where `br_netfilter` is loaded.
    BridgeFilter,
    /// `bridge-nf-call-ip6tables`: those of IPv6.
    BridgeFilterV6,
    /// `bridge-nf-call-arptables`: those of ARP.
    BridgeFilterArp,
    /// `ipv4/neigh/*/retrans_time_ms`: until somebody's hardware address is asked for again, in milliseconds.
    AskAgain,
    /// `ipv6/neigh/*/retrans_time_ms`.
    AskAgainV6,
    /// `ipv4/neigh/*/mcast_solicit`: how often it is asked for before packets are given up.
    Asks,
    /// `ipv6/neigh/*/mcast_solicit`.
    AsksV6,
}

/// A link as it is wanted: there, up, and with all of this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Whose it is.
    pub mark: Mark,
    /// What it is.
    pub kind: Kind,
    /// Its hardware address; as the kernel likes if not said.
    pub mac: Option<Mac>,
    /// Bytes in an IP packet.
    pub mtu: u32,
    /// The bridge that it is a port of, and how it is one.
    pub port_of: Option<(LinkName, Port)>,
    /// Addresses of its namespace, with the length of their subnet's prefix.
    pub addresses: BTreeSet<IpNet>,
    /// Ways on over it.
    pub routes: BTreeSet<Route>,
    /// Settings that must be so.
    pub settings: BTreeMap<Setting, u32>,
    /// VXLAN: to which host's address frames for a hardware address go.
    pub tunnels: BTreeMap<Mac, IpAddr>,
    /// As a port: hardware addresses behind it.
    pub stations: BTreeSet<Mac>,
    /// Hardware addresses of IP addresses.
    pub neighbours: BTreeMap<IpAddr, Mac>,
    /// Tunnels, stations and neighbours are known only in part: what is there beyond them stays.
    pub partial: bool,
}

impl Link {
    /// A link with nothing but what it is.
    pub fn new(mark: Mark, kind: Kind, mtu: u32) -> Self {
        Self {
            mark,
            kind,
            mac: None,
            mtu,
            port_of: None,
            addresses: BTreeSet::new(),
            routes: BTreeSet::new(),
            settings: BTreeMap::new(),
            tunnels: BTreeMap::new(),
            stations: BTreeSet::new(),
            neighbours: BTreeMap::new(),
            partial: false,
        }
    }

    /// The same with this setting.
    #[must_use]
    pub fn with(mut self, setting: Setting, value: u32) -> Self {
        self.settings.insert(setting, value);
        self
    }
}

/// A link as it was read back. Of what is not ours only the name, the index and the state are filled in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeenLink {
    /// Whose it is; `None` if it is not ours.
    pub mark: Option<Mark>,
    /// The kernel's number of it, in its namespace.
    pub index: u32,
    /// What it is; `None` if it is nothing that we make, or made otherwise.
    pub kind: Option<Kind>,
    /// Whether it is up.
    pub up: bool,
    /// Its hardware address.
    pub mac: Option<Mac>,
    /// Bytes in an IP packet.
    pub mtu: u32,
    /// The bridge that it is a port of, and how it is one.
    pub port_of: Option<(LinkName, Port)>,
    /// Its addresses, and which of them are ours.
    pub addresses: BTreeMap<IpNet, bool>,
    /// Our routes over it.
    pub routes: BTreeSet<Route>,
    /// Those settings that this kernel has.
    pub settings: BTreeMap<Setting, u32>,
    /// VXLAN: every entry for one host, and which of them are ours.
    pub tunnels: BTreeMap<Mac, (IpAddr, bool)>,
    /// As a port: our entries in the bridge's table.
    pub stations: BTreeSet<Mac>,
    /// Permanent entries, and which of them are ours.
    pub neighbours: BTreeMap<IpAddr, (Mac, bool)>,
}

/// What is wanted: links by name, for each namespace that we have to do with. A sandbox without links is
/// one that we leave.
pub type Wanted = BTreeMap<Place, BTreeMap<LinkName, Link>>;

/// What is there. A namespace that is not named is not there.
pub type Seen = BTreeMap<Place, BTreeMap<LinkName, SeenLink>>;
