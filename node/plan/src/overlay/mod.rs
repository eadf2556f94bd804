//! The overlay driver's pure half: what one node's kernel should be like for one overlay network.
//!
//! The network has a namespace of its own, with a bridge for the endpoints of this node and a VXLAN device
//! for those of the others (RFC 7348). Nothing is learnt and nothing is flooded: where each hardware
//! address is and which one an IP address has comes from the rows of the endpoints. Rows of failed nodes
//! count, since a dead netnode is not a dead host.

mod clash;
#[cfg(test)]
mod tests;

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};
use core::net::IpAddr;

use netdb_gossip_core::identity::NodeId;

pub use clash::{Clash, Holder, Settled, moved_away, settle};

use crate::{
    desired::Desired,
    firewall::Firewall,
    host::{Attached, Kind, Link, Mark, Place, Plug, Port, Setting, port_name},
    records::{
        EndpointId, EndpointRecord, LinkName, MIN_MTU, MIN_MTU_V6, NetworkId, NetworkRecord,
        PeerRecord,
    },
};

/// Bytes around an inner IP packet over IPv4: outer IPv4 20, UDP 8, VXLAN 8, inner Ethernet 14 (RFC 7348).
pub const OVERHEAD_V4: u32 = 50;
/// The same over IPv6, whose header has 40 bytes.
pub const OVERHEAD_V6: u32 = 70;
/// IANA's UDP port for VXLAN.
pub const DEFAULT_PORT: u16 = 4789;

/// How often an endpoint asks for a hardware address, and how soon again, in milliseconds. Its host answers for all
/// that are elsewhere, so an answer comes at once or when their row has come; the kernel's own second would be
/// the pause of whoever connects a moment too early. It counts in its own ticks: 60 ms are whole ones at each of the
/// rates that it can be built for (100, 250, 300 and 1,000 Hz), so that what was written is what is read.
const ASKS: u32 = 16;
const ASK_AGAIN_MS: u32 = 60;

/// Bridge and VXLAN device are alone in their namespace: plain names do.
const BRIDGE: &str = "br0";
const VXLAN: &str = "vxlan0";

/// A row as the view shows it.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a, T> {
    /// Whose row it is.
    pub owner: NodeId,
    /// False if the owner failed: its host may still be there.
    pub live: bool,
    /// What it says.
    pub record: &'a T,
}

/// What the wanted state of one network follows from.
#[derive(Clone, Debug)]
pub struct Network<'a> {
    /// Its id.
    pub id: NetworkId,
    /// What it is.
    pub record: &'a NetworkRecord,
    /// This node.
    pub node: NodeId,
    /// Where this node takes tunnelled packets.
    pub local: IpAddr,
    /// UDP port of the tunnels.
    pub port: u16,
    /// MTU of the underlay's route, in bytes.
    pub underlay_mtu: u32,
    /// The nodes that take part.
    pub peers: Vec<Row<'a, PeerRecord>>,
    /// All endpoints, this node's among them.
    pub endpoints: BTreeMap<(NodeId, EndpointId), Row<'a, EndpointRecord>>,
    /// Those of this node.
    pub attached: BTreeMap<EndpointId, Attached>,
    /// The others have said which endpoints they have: what none of them names is stale.
    pub heard: bool,
}

/// What is wanted for a network, and what is wrong with its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Namespaces and links, and what the host's packet filter should know.
    pub wanted: Desired,
    /// The network's MTU on this node, in bytes.
    pub mtu: u32,
    /// Addresses that two endpoints claim.
    pub clashes: Vec<Clash>,
    /// What stands in the way of the whole, or of single endpoints.
    pub faults: Vec<Fault>,
}

/// Why a network or an endpoint is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Its packets must not leave the host in clear, and there is nothing yet that encrypts them.
    #[error(
        "the network is to be encrypted, which this version can't do: nothing is sent in clear"
    )]
    Encrypted,
    /// Nobody has chosen one yet.
    #[error("the network has no VNI yet")]
    NoVni,
    /// Its node has no tunnel address of the family that this node tunnels over.
    #[error("endpoint {name} can't be reached: its node has no tunnel address of {local}'s family")]
    NoTunnel {
        /// The endpoint.
        name: String,
        /// This node's tunnel address.
        local: IpAddr,
    },
}

/// What one node's underlay lets through, in bytes of an inner IP packet: what to publish as a peer.
pub fn mtu_over(local: IpAddr, underlay_mtu: u32) -> u32 {
    underlay_mtu.saturating_sub(if local.is_ipv4() { OVERHEAD_V4 } else { OVERHEAD_V6 })
}

/// What should be there for a network.
pub fn desired(network: &Network<'_>) -> Outcome {
    let mut outcome = Outcome { mtu: mtu(network), ..Outcome::default() };
    let place = Place::Network(network.id);
    let (Some(vni), Ok(bridge), Ok(vxlan)) =
        (network.record.options.vni, LinkName::new(BRIDGE), LinkName::new(VXLAN))
    else {
        outcome.faults.push(Fault::NoVni);
        return outcome;
    };
    if network.record.options.encrypted {
        outcome.faults.push(Fault::Encrypted);
        return outcome;
    }
    if network.attached.is_empty() {
        // The last endpoint went: so does the namespace, and each sandbox loses what was ours.
        return outcome;
    }
    let mark = Mark::network(network.id);
    let quiet = |link: Link| link.with(Setting::DisableV6, 1).with(Setting::AcceptRa, 0);
    let mut links = BTreeMap::new();
    // There is no packet filter to pass in this namespace, and the way to it costs every frame.
    let inside = quiet(Link::new(mark, Kind::Bridge, outcome.mtu))
        .with(Setting::BridgeFilter, 0)
        .with(Setting::BridgeFilterV6, 0)
        .with(Setting::BridgeFilterArp, 0);
    links.insert(bridge.clone(), inside);
    let kind = Kind::Vxlan { vni, port: network.port, local: network.local };
    // Without IPv6 on the device, the kernel takes no neighbours of it, and answers for none.
    let mut tunnel = quiet(Link::new(mark, kind, outcome.mtu))
        .with(Setting::AddrGenMode, 1)
        .with(Setting::DisableV6, u32::from(!network.record.has_v6()));
    tunnel.port_of = Some((bridge.clone(), Port::TOLD));
    tunnel.partial = !network.heard;
    remote(network, &mut tunnel, &mut outcome);
    links.insert(vxlan, tunnel);
    for (id, attached) in &network.attached {
        let row = network.endpoints.get(&(network.node, *id));
        let (Some(row), Some(port)) = (row, port_name(*id)) else { continue };
        let plug = Plug {
            network: network.id,
            id: *id,
            mac: row.record.mac,
            addresses: &row.record.addresses,
            attached,
            bridge: &bridge,
            mtu: outcome.mtu,
            v6: network.record.has_v6(),
            port: Port::TOLD,
        };
        let (made, end) = plug.ends();
        let end = end
            .with(Setting::AskAgain, ASK_AGAIN_MS)
            .with(Setting::AskAgainV6, ASK_AGAIN_MS)
            .with(Setting::Asks, ASKS)
            .with(Setting::AsksV6, ASKS);
        links.insert(port, made);
        let sandbox = outcome.wanted.links.entry(Place::of_sandbox(&attached.sandbox)).or_default();
        sandbox.insert(attached.interface.clone(), end);
    }
    outcome.wanted.links.insert(place, links);
    let tunnels = [network.port].into();
    outcome.wanted.firewalls.insert(Place::Host, Firewall { tunnels, ..Firewall::default() });
    outcome
}

/// The least that one of the nodes lets through, and no more than was set.
fn mtu(network: &Network<'_>) -> u32 {
    let own = mtu_over(network.local, network.underlay_mtu);
    let peers = network.peers.iter().map(|row| row.record.mtu);
    let least = peers.chain(network.record.options.mtu).fold(own, Ord::min);
    // A peer that would starve everybody is not believed beyond what the network needs to work at all.
    least.max(least_mtu(network.record))
}

fn least_mtu(record: &NetworkRecord) -> u32 {
    if record.has_v6() { MIN_MTU_V6 } else { MIN_MTU }
}

/// Where the endpoints of other nodes are.
fn remote(network: &Network<'_>, link: &mut Link, outcome: &mut Outcome) {
    let settled = settle(&network.endpoints);
    outcome.clashes = settled.clashes;
    for (address, (owner, id)) in settled.addresses {
        let Some(row) = network.endpoints.get(&(owner, id)) else { continue };
        if owner == network.node {
            continue;
        }
        let same = |tunnel: &&IpAddr| tunnel.is_ipv4() == network.local.is_ipv4();
        let Some(tunnel) = row.record.tunnels.iter().find(same) else {
            let (name, local) = (format!("{}", row.record.name), network.local);
            let fault = Fault::NoTunnel { name, local };
            if !outcome.faults.contains(&fault) {
                outcome.faults.push(fault);
            }
            continue;
        };
        link.neighbours.insert(address, row.record.mac);
        // An endpoint of this node with the same hardware address keeps its frames.
        if settled.macs.get(&row.record.mac) == Some(&(owner, id)) {
            link.tunnels.insert(row.record.mac, *tunnel);
            link.stations.insert(row.record.mac);
        }
    }
}
