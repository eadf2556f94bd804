//! What connects a sandbox with a bridge: a pair whose ends are a port of the bridge and an interface in the
//! sandbox.

use alloc::format;

use ipnet::IpNet;

use super::{Attached, Kind, Link, Mark, Place, Port, Setting};
use crate::records::{EndpointId, LinkName, Mac, NetworkId};

/// An endpoint that is to be plugged into a bridge.
#[derive(Clone, Copy, Debug)]
pub struct Plug<'a> {
    /// Its network.
    pub network: NetworkId,
    /// Its id.
    pub id: EndpointId,
    /// Its hardware address.
    pub mac: Mac,
    /// Its addresses.
    pub addresses: &'a [IpNet],
    /// Its sandbox.
    pub attached: &'a Attached,
    /// The bridge.
    pub bridge: &'a LinkName,
    /// Bytes in an IP packet.
    pub mtu: u32,
    /// Whether the network has IPv6.
    pub v6: bool,
    /// How it is a port of the bridge.
    pub port: Port,
}

/// The name of an endpoint's port on a bridge.
pub fn port_name(endpoint: EndpointId) -> Option<LinkName> {
    // As much of the id as a name has room for: 56 bits, on one host.
    LinkName::new(format!("p{endpoint}").get(..LinkName::MAX_LEN)?).ok()
}

impl Plug<'_> {
    /// The port on the bridge, which is the end that is made, and the interface.
    pub fn ends(&self) -> (Link, Link) {
        let mark = Mark::endpoint(self.network, self.id);
        let peer_at = Place::of_sandbox(&self.attached.sandbox);
        let kind = Kind::Veth { peer_at, peer: self.attached.interface.clone() };
        let mut port = Link::new(mark, kind, self.mtu).with(Setting::DisableV6, 1);
        port.port_of = Some((self.bridge.clone(), self.port));
        port.stations.insert(self.mac);
        let mut end = Link::new(mark, Kind::VethEnd, self.mtu)
            .with(Setting::DisableV6, u32::from(!self.v6))
            .with(Setting::AcceptRa, 0);
        end.mac = Some(self.mac);
        end.addresses = self.addresses.iter().copied().collect();
        (port, end)
    }
}
