//! Steps as messages of rtnetlink(7).

use std::{
    fs::File,
    net::IpAddr,
    os::fd::{AsRawFd, RawFd},
};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressAttribute, AddressHeaderFlags, AddressMessage, AddressProtocol},
    link::{
        InfoBridge, InfoBridgePort, InfoData, InfoKind, InfoMacVlan, InfoPortData, InfoPortKind,
        InfoVeth, InfoVlan, InfoVxlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
        MacVlanMode,
    },
    neighbour::{
        NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
    },
    route::{RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType},
};
use netnode_plan::{
    host::{Change, Kind, Link, Port, Route},
    records::{LinkName, Mac, MacvlanMode},
};

use super::{GROUP, PROTOCOL, route_address, socket::Request};

/// Of an entry that neither ages nor is the bridge's own: `NUD_NOARP | NUD_REACHABLE`, as `bridge fdb add …
/// static` has it.
const STATIC: u16 = 0x42;

/// Where a new link goes and what it lies on.
pub(super) struct Making<'a> {
    /// The namespace of the link, or of the other end of a pair.
    pub(super) into: Option<&'a File>,
    /// The index of what it lies on.
    pub(super) parent: Option<u32>,
}

/// Makes a link. An end of a pair that comes along has no message of its own.
pub(super) fn add(name: &LinkName, link: &Link, making: &Making<'_>) -> Option<Request> {
    let mut message = LinkMessage::default();
    message.attributes = named(name, link);
    let (kind, data) = match &link.kind {
        Kind::Bridge => (InfoKind::Bridge, InfoData::Bridge(bridge())),
        Kind::Vxlan { vni, port, local } => {
            message.attributes.extend(into(making));
            (InfoKind::Vxlan, InfoData::Vxlan(vxlan(*vni, *port, *local)))
        }
        Kind::Veth { peer, .. } => {
            let mut end = LinkMessage::default();
            end.attributes = vec![
                LinkAttribute::IfName(peer.as_str().into()),
                LinkAttribute::Mtu(link.mtu),
                LinkAttribute::Group(GROUP),
            ];
            end.attributes.extend(into(making));
            (InfoKind::Veth, InfoData::Veth(InfoVeth::Peer(end)))
        }
        Kind::VethEnd => return None,
        Kind::Macvlan { mode, .. } => {
            message.attributes.extend(into(making));
            message.attributes.extend(making.parent.map(LinkAttribute::Link));
            let mode = match mode {
                MacvlanMode::Bridge => MacVlanMode::Bridge,
                MacvlanMode::Private => MacVlanMode::Private,
                MacvlanMode::Vepa => MacVlanMode::Vepa,
            };
            (InfoKind::MacVlan, InfoData::MacVlan(vec![InfoMacVlan::Mode(mode)]))
        }
        Kind::Vlan { id, .. } => {
            message.attributes.extend(making.parent.map(LinkAttribute::Link));
            (InfoKind::Vlan, InfoData::Vlan(vec![InfoVlan::Id(*id)]))
        }
    };
    let info = vec![LinkInfo::Kind(kind), LinkInfo::Data(data)];
    message.attributes.push(LinkAttribute::LinkInfo(info));
    Some((RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL))
}

fn named(name: &LinkName, link: &Link) -> Vec<LinkAttribute> {
    let mut attributes = vec![
        LinkAttribute::IfName(name.as_str().into()),
        LinkAttribute::Mtu(link.mtu),
        LinkAttribute::Group(GROUP),
    ];
    attributes.extend(link.mac.map(|mac| LinkAttribute::Address(mac.0.to_vec())));
    attributes
}

fn into(making: &Making<'_>) -> Option<LinkAttribute> {
    let fd: Option<RawFd> = making.into.map(AsRawFd::as_raw_fd);
    fd.map(LinkAttribute::NetNsFd)
}

/// Groups are flooded as everything to all; nobody asks about them in between.
fn bridge() -> Vec<InfoBridge> {
    vec![InfoBridge::MulticastSnooping(false)]
}

fn vxlan(vni: u32, port: u16, local: IpAddr) -> Vec<InfoVxlan> {
    let local = match local {
        IpAddr::V4(local) => InfoVxlan::Local(local),
        IpAddr::V6(local) => InfoVxlan::Local6(local),
    };
    vec![
        InfoVxlan::Id(vni),
        local,
        InfoVxlan::Port(port),
        InfoVxlan::Learning(false),
        InfoVxlan::Proxy(true),
    ]
}

/// Removes a link.
pub(super) fn remove(index: u32) -> Request {
    let mut message = LinkMessage::default();
    message.header.index = index;
    (RouteNetlinkMessage::DelLink(message), 0)
}

/// A change that is a message; settings are none. `bridge` is the index of the bridge that the link becomes
/// a port of.
pub(super) fn change(index: u32, change: &Change, bridge: Option<u32>) -> Option<Request> {
    let replace = NLM_F_CREATE | NLM_F_REPLACE;
    Some(match change {
        Change::Setting(..) => return None,
        Change::Mark(mark) => {
            set(index, [LinkAttribute::IfAlias(mark.to_string()), LinkAttribute::Group(GROUP)])
        }
        Change::Mtu(mtu) => set(index, [LinkAttribute::Mtu(*mtu)]),
        Change::Mac(mac) => set(index, [LinkAttribute::Address(mac.0.to_vec())]),
        Change::PortOf(_) => set(index, [LinkAttribute::Controller(bridge.unwrap_or(0))]),
        Change::Port(port) => as_port(index, *port),
        Change::Up => {
            let (RouteNetlinkMessage::SetLink(mut message), flags) = set(index, []) else {
                return None;
            };
            message.header.flags = LinkFlags::Up;
            message.header.change_mask = LinkFlags::Up;
            (RouteNetlinkMessage::SetLink(message), flags)
        }
        Change::AddAddress(net) => {
            (RouteNetlinkMessage::NewAddress(address(index, net.addr(), net.prefix_len())), replace)
        }
        Change::RemoveAddress(net) => {
            (RouteNetlinkMessage::DelAddress(address(index, net.addr(), net.prefix_len())), 0)
        }
        Change::PutRoute(way) => (RouteNetlinkMessage::NewRoute(route(index, way)), replace),
        Change::RemoveRoute(way) => (RouteNetlinkMessage::DelRoute(route(index, way)), 0),
        Change::PutTunnel(mac, to) => put(tunnel(index, *mac, Some(*to))),
        Change::RemoveTunnel(mac) => take(tunnel(index, *mac, None)),
        Change::PutStation(mac) => put(station(index, *mac)),
        Change::RemoveStation(mac) => take(station(index, *mac)),
        Change::PutNeighbour(address, mac) => put(neighbour(index, *address, Some(*mac))),
        Change::RemoveNeighbour(address) => take(neighbour(index, *address, None)),
    })
}

/// Gives a link that is down another name.
pub(super) fn rename(index: u32, name: &LinkName) -> Request {
    set(index, [LinkAttribute::IfName(name.as_str().into())])
}

fn set(index: u32, attributes: impl IntoIterator<Item = LinkAttribute>) -> Request {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.attributes = attributes.into_iter().collect();
    (RouteNetlinkMessage::SetLink(message), 0)
}

fn as_port(index: u32, port: Port) -> Request {
    let data = vec![
        InfoBridgePort::Learning(port.learning),
        InfoBridgePort::UnicastFlood(port.flood),
        InfoBridgePort::Isolated(port.isolated),
        InfoBridgePort::HairpinMode(port.hairpin),
    ];
    let info = vec![
        LinkInfo::PortKind(InfoPortKind::Bridge),
        LinkInfo::PortData(InfoPortData::BridgePort(data)),
    ];
    let (RouteNetlinkMessage::SetLink(message), _) = set(index, [LinkAttribute::LinkInfo(info)])
    else {
        return set(index, []);
    };
    // Only RTM_NEWLINK takes link information, also for what is there.
    (RouteNetlinkMessage::NewLink(message), 0)
}

pub(super) fn family_of(address: IpAddr) -> (AddressFamily, u8) {
    match address {
        IpAddr::V4(_) => (AddressFamily::Inet, 32),
        IpAddr::V6(_) => (AddressFamily::Inet6, 128),
    }
}

fn address(index: u32, address: IpAddr, prefix_len: u8) -> AddressMessage {
    let mut message = AddressMessage::default();
    let header = &mut message.header;
    header.family = family_of(address).0;
    header.prefix_len = prefix_len;
    header.index = index;
    // Whoever gives addresses has made sure that nobody else has it; waiting would delay the endpoint.
    if address.is_ipv6() {
        header.flags = AddressHeaderFlags::Nodad;
    }
    message.attributes.push(AddressAttribute::Local(address));
    message.attributes.push(AddressAttribute::Address(address));
    message.attributes.push(AddressAttribute::Protocol(AddressProtocol::Other(PROTOCOL)));
    message
}

pub(super) fn route(index: u32, way: &Route) -> RouteMessage {
    let mut message = RouteMessage::default();
    let header = &mut message.header;
    header.address_family = family_of(way.to.addr()).0;
    header.destination_prefix_length = way.to.prefix_len();
    header.table = RouteHeader::RT_TABLE_MAIN;
    header.protocol = RouteProtocol::Other(PROTOCOL);
    header.scope = if way.via.is_some() { RouteScope::Universe } else { RouteScope::Link };
    header.kind = RouteType::Unicast;
    if way.to.prefix_len() > 0 {
        message.attributes.push(RouteAttribute::Destination(route_address(way.to.addr())));
    }
    message.attributes.extend(way.via.map(|via| RouteAttribute::Gateway(route_address(via))));
    message.attributes.push(RouteAttribute::Oif(index));
    message.attributes.push(RouteAttribute::Priority(way.metric));
    message
}

/// "Learnt by somebody outside" is how we know our own entries again: nothing ages them, and what an
/// administrator adds by hand has not got it.
fn entry(index: u32, family: AddressFamily, state: NeighbourState) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = family;
    message.header.ifindex = index;
    message.header.state = state;
    message.header.flags = NeighbourFlags::ExtLearned;
    message
}

fn tunnel(index: u32, mac: Mac, to: Option<IpAddr>) -> NeighbourMessage {
    let mut message = entry(index, AddressFamily::Bridge, NeighbourState::Other(STATIC));
    message.header.flags |= NeighbourFlags::Own;
    message.attributes.push(NeighbourAttribute::LinkLayerAddress(mac.0.to_vec()));
    message.attributes.extend(to.map(neighbour_address).map(NeighbourAttribute::Destination));
    message
}

fn station(index: u32, mac: Mac) -> NeighbourMessage {
    let mut message = entry(index, AddressFamily::Bridge, NeighbourState::Other(STATIC));
    message.header.flags |= NeighbourFlags::Controller;
    message.attributes.push(NeighbourAttribute::LinkLayerAddress(mac.0.to_vec()));
    message
}

fn neighbour(index: u32, address: IpAddr, mac: Option<Mac>) -> NeighbourMessage {
    let mut message = entry(index, family_of(address).0, NeighbourState::Permanent);
    message.attributes.push(NeighbourAttribute::Destination(neighbour_address(address)));
    message.attributes.extend(mac.map(|mac| NeighbourAttribute::LinkLayerAddress(mac.0.to_vec())));
    message
}

pub(super) fn neighbour_address(address: IpAddr) -> NeighbourAddress {
    match address {
        IpAddr::V4(address) => NeighbourAddress::Inet(address),
        IpAddr::V6(address) => NeighbourAddress::Inet6(address),
    }
}

fn put(message: NeighbourMessage) -> Request {
    (RouteNetlinkMessage::NewNeighbour(message), NLM_F_CREATE | NLM_F_REPLACE)
}

fn take(message: NeighbourMessage) -> Request {
    (RouteNetlinkMessage::DelNeighbour(message), 0)
}
