//! The bridge driver's pure half: a bridge of this host's own namespace for each network, which is its
//! endpoints' gateway.
//!
//! It comes with the first endpoint and goes with the last. As on an overlay nothing is learnt: which
//! hardware address is behind which port is told.

#[cfg(test)]
mod tests;

use alloc::{collections::BTreeMap, format};

use ipnet::IpNet;

use crate::{
    host::{Attached, Kind, Link, Mark, Place, Plug, Setting, Wanted, port_name, ways_out},
    records::{EndpointId, EndpointRecord, LinkName, Mac, NetworkId, NetworkRecord},
};

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
    pub attached: BTreeMap<EndpointId, (Attached, &'a EndpointRecord)>,
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
pub fn desired(network: &Network<'_>) -> Wanted {
    let mut wanted = Wanted::new();
    let Some(name) = bridge_name(network.id).filter(|_| !network.attached.is_empty()) else {
        return wanted;
    };
    let mtu = mtu(network.record, network.uplink_mtu);
    let mut ports = BTreeMap::from([(name.clone(), bridge(network, mtu))]);
    for (id, (attached, record)) in &network.attached {
        let Some(port) = port_name(*id) else { continue };
        let v6 = network.record.has_v6();
        let (network_id, bridge) = (network.id, &name);
        let plug = Plug { network: network_id, id: *id, record, attached, bridge, mtu, v6 };
        let (made, mut end) = plug.ends();
        if attached.default_route && !network.record.options.internal {
            end.routes = ways_out(network.record, record);
        }
        ports.insert(port, made);
        let sandbox = wanted.entry(Place::Sandbox(attached.sandbox.clone())).or_default();
        sandbox.insert(attached.interface.clone(), end);
    }
    wanted.insert(Place::Host, ports);
    wanted
}

/// The bridge with the gateways' addresses. Its hardware address comes from the network's id: a bridge that
/// took one of its ports' would change it as they come and go, under those who remember it.
fn bridge(network: &Network<'_>, mtu: u32) -> Link {
    let record = network.record;
    let way_out = u32::from(!record.options.internal);
    let mut link = Link::new(Mark::network(network.id), Kind::Bridge, mtu)
        .with(Setting::DisableV6, u32::from(!record.has_v6()))
        .with(Setting::AcceptRa, 0)
        .with(Setting::Forwarding, way_out);
    if record.has_v6() {
        link = link.with(Setting::ForwardingV6, way_out);
    }
    let NetworkId([a, b, c, d, e, f, ..]) = network.id;
    link.mac = Some(Mac::random([a, b, c, d, e, f]));
    let gateways = record
        .subnets
        .iter()
        .filter_map(|subnet| IpNet::new(subnet.gateway?, subnet.prefix.prefix_len()).ok());
    link.addresses = gateways.collect();
    link
}
