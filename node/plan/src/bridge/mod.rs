//! The bridge driver's pure half: a bridge of this host's own namespace for each network, which is its
//! endpoints' gateway.
//!
//! It comes with the first endpoint and goes with the last. As on an overlay nothing is learnt: which
//! hardware address is behind which port is told.

#[cfg(test)]
mod tests;

use alloc::{collections::BTreeMap, format, vec::Vec};

use ipnet::IpNet;

use crate::{
    desired::Desired,
    firewall::{self, Firewall, WayOut},
    host::{Attached, Kind, Link, Mark, Place, Plug, Port, Setting, port_name, ways_out},
    lb::Kept,
    publish::Published,
    records::{EndpointId, LinkName, Mac, NetworkId, NetworkRecord},
};

/// The name of the network that leads the endpoints of overlays out of the cluster, as Docker's
/// `docker_gwbridge` does. Who wants it to be of another kind, creates it before.
pub const GATEWAY: &str = "netnode_gwbridge";

/// What the wanted state of one network follows from.
#[derive(Clone, Debug)]
pub struct Network<'a> {
    /// Its id.
    pub id: NetworkId,
    /// What it is.
    pub record: &'a NetworkRecord,
    /// MTU of the host's way out, in bytes.
    pub uplink_mtu: u32,
    /// Its endpoints.
    pub endpoints: BTreeMap<EndpointId, Endpoint>,
}

/// An endpoint of such a network.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its sandbox.
    pub attached: Attached,
    /// Its hardware address.
    pub mac: Mac,
    /// Its addresses.
    pub addresses: Vec<IpNet>,
    /// Ports of the host that lead to it.
    pub published: Vec<Published>,
    /// Ports of the host that lead to several lead to it, too.
    pub shares_ports: bool,
    /// What of what they led to it goes on; nothing if not said.
    pub kept: Option<Kept>,
}

impl Endpoint {
    fn is_led_to(&self) -> bool {
        self.shares_ports || !self.published.is_empty()
    }
}

/// The name of a network's bridge, as Docker makes it: `br-` and the first twelve digits of the id.
pub fn bridge_name(network: NetworkId) -> Option<LinkName> {
    LinkName::new(format!("br-{network}").get(..LinkName::MAX_LEN)?).ok()
}

/// Bytes in an IP packet of such a network: what was set, or what fits the way out.
pub fn mtu(record: &NetworkRecord, uplink_mtu: u32) -> u32 {
    record.options.mtu.unwrap_or(uplink_mtu)
}

/// What should be there for a network.
pub fn desired(network: &Network<'_>) -> Desired {
    let mut desired = Desired::default();
    let Some(name) = bridge_name(network.id).filter(|_| !network.endpoints.is_empty()) else {
        return desired;
    };
    let record = network.record;
    let mtu = mtu(record, network.uplink_mtu);
    let mut ports = BTreeMap::from([(name.clone(), bridge(network, mtu))]);
    for (id, endpoint) in &network.endpoints {
        let Some(port) = port_name(*id) else { continue };
        let plug = Plug {
            network: network.id,
            id: *id,
            mac: endpoint.mac,
            addresses: &endpoint.addresses,
            attached: &endpoint.attached,
            bridge: &name,
            mtu,
            v6: record.has_v6(),
            port: Port {
                // Sandboxes of different overlays meet there.
                isolated: record.name.as_str() == GATEWAY,
                hairpin: endpoint.is_led_to(),
                ..Port::TOLD
            },
        };
        let (made, mut end) = plug.ends();
        if endpoint.attached.default_route && !record.options.internal {
            end.routes = ways_out(record, &endpoint.addresses);
        }
        ports.insert(port, made);
        let sandbox = Place::of_sandbox(&endpoint.attached.sandbox);
        let interface = endpoint.attached.interface.clone();
        desired.links.entry(sandbox).or_default().insert(interface, end);
    }
    desired.links.insert(Place::Host, ports);
    desired.firewalls.insert(Place::Host, firewall(network, name));
    desired
}

/// The bridge with the gateways' addresses. Its hardware address comes from the network's id: a bridge that
/// took one of its ports' would change it as they come and go, under those who remember it.
fn bridge(network: &Network<'_>, mtu: u32) -> Link {
    let record = network.record;
    let way_out = u32::from(!record.options.internal);
    let publishes = network.endpoints.values().any(Endpoint::is_led_to);
    let mut link = Link::new(Mark::network(network.id), Kind::Bridge, mtu)
        .with(Setting::DisableV6, u32::from(!record.has_v6()))
        .with(Setting::AcceptRa, 0)
        .with(Setting::Forwarding, way_out)
        // Answers to what the host itself asked a published port for, from 127.0.0.1.
        .with(Setting::RouteLocalnet, u32::from(publishes));
    if record.has_v6() {
        link = link.with(Setting::ForwardingV6, way_out);
    }
    link.mac = network.id.0.first_chunk().copied().map(Mac::random);
    let gateways = record
        .subnets
        .iter()
        .filter_map(|subnet| IpNet::new(subnet.gateway?, subnet.prefix.prefix_len()).ok());
    link.addresses = gateways.collect();
    link
}

fn firewall(network: &Network<'_>, name: LinkName) -> Firewall {
    let record = network.record;
    let way_out = if record.options.internal { WayOut::Closed } else { WayOut::Masqueraded };
    let subnets = record.subnets.iter().map(|subnet| subnet.prefix).collect();
    let mut firewall = Firewall::default();
    firewall.bridges.insert(name, firewall::Bridge { subnets, way_out });
    for endpoint in network.endpoints.values() {
        let ports = endpoint.published.iter();
        firewall.published.extend(ports.filter_map(|port| port.lead_to(&endpoint.addresses)));
        let addresses = endpoint.addresses.iter().map(IpNet::addr);
        let kept = addresses.filter_map(|address| Some((address, endpoint.kept?)));
        firewall.endpoints.extend(kept);
    }
    firewall
}
