//! Reads a namespace back: links, and of those that are ours everything that lies on them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io,
    net::IpAddr,
};

use ipnet::IpNet;
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressAttribute, AddressMessage, AddressProtocol, AddressScope},
    link::{
        InfoBridgePort, InfoData, InfoKind, InfoMacVlan, InfoPortData, InfoVlan, InfoVxlan,
        LinkAttribute, LinkFlags, LinkInfo, LinkMessage, MacVlanMode,
    },
    neighbour::{
        NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
    },
    route::{RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteType},
};
use netnode_plan::{
    firewall::Family,
    host::{Kind, Mark, Port, Route, SeenLink},
    records::{LinkName, Mac, MacvlanMode},
};

use super::{GROUP, PROTOCOL, Parents, namespace::inside, settings, socket::Socket};

type Links = BTreeMap<LinkName, SeenLink>;

/// What is in a namespace. Without `parents` it is the host's own.
pub(super) fn look(namespace: &File, parents: Option<&Parents>) -> io::Result<Links> {
    inside(namespace, || {
        let mut socket = Socket::route()?;
        let message = RouteNetlinkMessage::GetLink(LinkMessage::default());
        let found: Vec<LinkMessage> = socket
            .dump(&message)?
            .into_iter()
            .filter_map(|message| match message {
                RouteNetlinkMessage::NewLink(link) => Some(link),
                _ => None,
            })
            .collect();
        let mut names = Parents::new();
        for link in &found {
            names.extend(name(link).map(|name| (link.header.index, name)));
        }
        // What lies on another link does so in the host's namespace, but for VLANs, which are there.
        let below = parents.unwrap_or(&names);
        let mut links: Links = found
            .iter()
            .filter_map(|found| Some((name(found)?, link(found, &names, below))))
            .collect();
        addresses(&mut socket, &names, &mut links)?;
        if links.values().any(|link| link.mark.is_some()) {
            routes(&mut socket, &names, &mut links);
            entries(&mut socket, &names, &mut links)?;
        }
        for (name, link) in links.iter_mut().filter(|(_, link)| link.mark.is_some()) {
            link.settings = settings::read(name, link.kind.as_ref());
        }
        Ok(links)
    })?
}

/// The names of links by their index.
pub(super) fn names(links: &Links) -> Parents {
    links.iter().map(|(name, link)| (link.index, name.clone())).collect()
}

fn name(link: &LinkMessage) -> Option<LinkName> {
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => LinkName::new(name).ok(),
        _ => None,
    })
}

fn link(found: &LinkMessage, names: &Parents, below: &Parents) -> SeenLink {
    let mut link = SeenLink {
        index: found.header.index,
        up: found.header.flags.contains(LinkFlags::Up),
        ..SeenLink::default()
    };
    let (mut bridge, mut port, mut parent, mut group) = (None, Port::LEARNING, None, 0);
    for attribute in &found.attributes {
        match attribute {
            LinkAttribute::IfAlias(alias) => link.mark = alias.parse().ok(),
            LinkAttribute::Group(number) => group = *number,
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::Address(bytes) => link.mac = mac(bytes),
            LinkAttribute::Controller(index) => bridge = names.get(index).cloned(),
            LinkAttribute::Link(index) => parent = below.get(index).cloned(),
            LinkAttribute::LinkInfo(infos) => port = self::port(infos),
            _ => {}
        }
    }
    // Somebody's who was killed between making and marking it.
    if group == GROUP && link.mark.is_none() {
        link.mark = Some(Mark::UNFINISHED);
    }
    link.port_of = bridge.map(|bridge| (bridge, port));
    link.kind = kind(found, parent);
    link
}

fn mac(bytes: &[u8]) -> Option<Mac> {
    bytes.try_into().ok().map(Mac)
}

fn kind(found: &LinkMessage, parent: Option<LinkName>) -> Option<Kind> {
    let infos = found.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::LinkInfo(infos) => Some(infos),
        _ => None,
    })?;
    let kind = infos.iter().find_map(|info| match info {
        LinkInfo::Kind(kind) => Some(kind),
        _ => None,
    })?;
    let data = infos.iter().find_map(|info| match info {
        LinkInfo::Data(data) => Some(data),
        _ => None,
    });
    match (kind, data) {
        (InfoKind::Bridge, _) => Some(Kind::Bridge),
        // Which end it is can't be told.
        (InfoKind::Veth, _) => Some(Kind::VethEnd),
        (InfoKind::Vxlan, Some(InfoData::Vxlan(data))) => vxlan(data),
        (InfoKind::MacVlan, Some(InfoData::MacVlan(data))) => {
            let mode = data.iter().find_map(|info| match info {
                InfoMacVlan::Mode(MacVlanMode::Bridge) => Some(MacvlanMode::Bridge),
                InfoMacVlan::Mode(MacVlanMode::Private) => Some(MacvlanMode::Private),
                InfoMacVlan::Mode(MacVlanMode::Vepa) => Some(MacvlanMode::Vepa),
                _ => None,
            });
            Some(Kind::Macvlan { parent: parent?, mode: mode? })
        }
        (InfoKind::Vlan, Some(InfoData::Vlan(data))) => {
            let id = data.iter().find_map(|info| match info {
                InfoVlan::Id(id) => Some(*id),
                _ => None,
            });
            Some(Kind::Vlan { parent: parent?, id: id? })
        }
        _ => None,
    }
}

/// A VXLAN device that is as we make it.
fn vxlan(data: &[InfoVxlan]) -> Option<Kind> {
    let (mut vni, mut port, mut local, mut ours) = (None, None, None, false);
    for info in data {
        match info {
            InfoVxlan::Id(id) => vni = Some(*id),
            InfoVxlan::Port(number) => port = Some(*number),
            InfoVxlan::Local(address) => local = Some(IpAddr::V4(*address)),
            InfoVxlan::Local6(address) => local = Some(IpAddr::V6(*address)),
            InfoVxlan::Learning(true) => return None,
            InfoVxlan::Proxy(proxy) => ours = *proxy,
            _ => {}
        }
    }
    Some(Kind::Vxlan { vni: vni?, port: port?, local: local? }).filter(|_| ours)
}

fn port(infos: &[LinkInfo]) -> Port {
    let mut port = Port::LEARNING;
    for info in infos {
        let LinkInfo::PortData(InfoPortData::BridgePort(data)) = info else { continue };
        for info in data {
            match info {
                InfoBridgePort::Learning(on) => port.learning = *on,
                InfoBridgePort::UnicastFlood(on) => port.flood = *on,
                InfoBridgePort::Isolated(on) => port.isolated = *on,
                InfoBridgePort::HairpinMode(on) => port.hairpin = *on,
                _ => {}
            }
        }
    }
    port
}

fn at<'a>(links: &'a mut Links, names: &Parents, index: u32) -> Option<&'a mut SeenLink> {
    links.get_mut(names.get(&index)?).filter(|link| link.mark.is_some())
}

fn addresses(socket: &mut Socket, names: &Parents, links: &mut Links) -> io::Result<()> {
    let message = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    for message in socket.dump(&message)? {
        let RouteNetlinkMessage::NewAddress(found) = message else { continue };
        // What the kernel gives itself is nobody's business.
        if found.header.scope == AddressScope::Link {
            continue;
        }
        let (mut address, mut local, mut ours) = (None, None, false);
        for attribute in &found.attributes {
            match attribute {
                AddressAttribute::Address(there) => address = Some(*there),
                AddressAttribute::Local(there) => local = Some(*there),
                AddressAttribute::Protocol(protocol) => {
                    ours = *protocol == AddressProtocol::Other(PROTOCOL);
                }
                _ => {}
            }
        }
        let net = local.or(address).and_then(|it| IpNet::new(it, found.header.prefix_len).ok());
        if let (Some(net), Some(link)) = (net, at(links, names, found.header.index)) {
            link.addresses.insert(net, ours);
        }
    }
    Ok(())
}

fn routes(socket: &mut Socket, names: &Parents, links: &mut Links) {
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut message = RouteMessage::default();
        message.header.address_family = family;
        let Ok(found) = socket.dump(&RouteNetlinkMessage::GetRoute(message)) else {
            // A kernel without IPv6 has no routes of it.
            continue;
        };
        for message in found {
            let RouteNetlinkMessage::NewRoute(found) = message else { continue };
            if found.header.protocol == RouteProtocol::Other(PROTOCOL)
                && main_table(&found)
                && let Some((index, route)) = route(&found)
                && let Some(link) = at(links, names, index)
            {
                link.routes.insert(route);
            }
        }
    }
}

/// The links that routes lead over, in the namespace that the thread is in.
pub(super) fn uplinks(socket: &mut Socket, family: Family) -> io::Result<BTreeSet<u32>> {
    let mut message = RouteMessage::default();
    message.header.address_family = match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    };
    let found = socket.dump(&RouteNetlinkMessage::GetRoute(message))?;
    let routes = found.iter().filter_map(|message| match message {
        RouteNetlinkMessage::NewRoute(found) if found.header.kind == RouteType::Unicast => {
            route(found)
        }
        _ => None,
    });
    // Every link has its own link-local addresses, and packets from there go no further.
    let far = routes.filter(|(_, route)| match route.to.addr() {
        IpAddr::V4(address) => !address.is_link_local(),
        IpAddr::V6(address) => !address.is_unicast_link_local(),
    });
    Ok(far.map(|(index, _)| index).collect())
}

/// Where routes lead to that are not ours, and lead not everywhere.
pub(super) fn destinations(socket: &mut Socket) -> io::Result<Vec<IpNet>> {
    let mut all = Vec::new();
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Unspec;
    for message in socket.dump(&RouteNetlinkMessage::GetRoute(message))? {
        let RouteNetlinkMessage::NewRoute(found) = message else { continue };
        let header = &found.header;
        let ours = header.protocol == RouteProtocol::Other(PROTOCOL);
        if header.kind == RouteType::Unicast && !ours && header.destination_prefix_length > 0 {
            let to = found.attributes.iter().find_map(|attribute| match attribute {
                RouteAttribute::Destination(address) => ip(address),
                _ => None,
            });
            all.extend(to.and_then(|to| IpNet::new(to, header.destination_prefix_length).ok()));
        }
    }
    Ok(all)
}

/// The table that a route is in. One whose number has no room in the header has it beside.
pub(super) fn table_of(found: &RouteMessage) -> u32 {
    let beside = found.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Table(table) => Some(*table),
        _ => None,
    });
    beside.unwrap_or(found.header.table.into())
}

pub(super) fn main_table(found: &RouteMessage) -> bool {
    table_of(found) == u32::from(RouteHeader::RT_TABLE_MAIN)
}

pub(super) fn route(found: &RouteMessage) -> Option<(u32, Route)> {
    let v4 = found.header.address_family == AddressFamily::Inet;
    let everywhere = if v4 { IpAddr::from([0; 4]) } else { IpAddr::from([0; 16]) };
    let (mut to, mut via, mut index, mut metric) = (everywhere, None, None, 0);
    for attribute in &found.attributes {
        match attribute {
            RouteAttribute::Destination(address) => to = ip(address)?,
            RouteAttribute::Gateway(address) => via = ip(address),
            RouteAttribute::Oif(link) => index = Some(*link),
            RouteAttribute::Priority(priority) => metric = *priority,
            _ => {}
        }
    }
    let to = IpNet::new(to, found.header.destination_prefix_length).ok()?;
    Some((index?, Route { to, via, metric }))
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some((*address).into()),
        RouteAddress::Inet6(address) => Some((*address).into()),
        _ => None,
    }
}

/// Permanent neighbours, and the tables of bridges and VXLAN devices.
fn entries(socket: &mut Socket, names: &Parents, links: &mut Links) -> io::Result<()> {
    for family in [AddressFamily::Unspec, AddressFamily::Bridge] {
        let mut message = NeighbourMessage::default();
        message.header.family = family;
        for message in socket.dump(&RouteNetlinkMessage::GetNeighbour(message))? {
            if let RouteNetlinkMessage::NewNeighbour(found) = message
                && let Some(link) = at(links, names, found.header.ifindex)
            {
                entry(&found, link);
            }
        }
    }
    Ok(())
}

/// What an entry leads to, and the hardware address that it has there.
pub(super) fn pair(found: &NeighbourMessage) -> (Option<IpAddr>, Option<Mac>) {
    let (mut there, mut hardware) = (None, None);
    for attribute in &found.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) => {
                there = Some(IpAddr::V4(*address));
            }
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(address)) => {
                there = Some(IpAddr::V6(*address));
            }
            // Of a bridge's table only as bytes, whatever they are.
            NeighbourAttribute::Destination(NeighbourAddress::Other(bytes)) => {
                there = address(bytes);
            }
            NeighbourAttribute::LinkLayerAddress(bytes) => hardware = mac(bytes),
            _ => {}
        }
    }
    (there, hardware)
}

fn entry(found: &NeighbourMessage, link: &mut SeenLink) {
    let (there, hardware) = pair(found);
    let header = &found.header;
    let ours = header.flags.contains(NeighbourFlags::ExtLearned);
    match (header.family, there, hardware) {
        (AddressFamily::Bridge, Some(to), Some(mac))
            if header.flags.contains(NeighbourFlags::Own) =>
        {
            link.tunnels.insert(mac, (to, ours));
        }
        (AddressFamily::Bridge, _, Some(mac)) if ours => drop(link.stations.insert(mac)),
        (AddressFamily::Bridge, ..) => {}
        (_, Some(address), Some(mac)) if header.state == NeighbourState::Permanent => {
            link.neighbours.insert(address, (mac, ours));
        }
        _ => {}
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from);
    v4.or_else(|| <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from))
}
