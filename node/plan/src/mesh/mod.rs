//! The routing mesh: a port that a service publishes is open on every node, and leads to backends on any.
//!
//! The nodes meet on an overlay network of their own, [`INGRESS`], where each has an endpoint in its host's namespace
//! and says how much its backends of each service weigh. So whoever takes a connection from outside needs to know
//! nothing of the service's own network: it chooses among its own backends and the other nodes, by weight, and the
//! node chosen has its own choose among them. That is at most one hop: what came by the mesh never goes on by it.

#[cfg(test)]
mod tests;

use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::String,
    vec::Vec,
};
use core::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use netdb_core::view::OwnerState;
use netdb_gossip_core::identity::{Name, NodeId};

use crate::{
    catalog::{self, Catalog, Listed, Scope},
    firewall::{Backs, Bind, Front, Lead},
    host_ports::NoWay,
    lb::{Kept, slots},
    records::{
        Backend, BackendState, Driver, EndpointRecord, ExternalTraffic, MAX_MESH_WEIGHT, Mac,
        MeshRecord, NetworkId, PublishMode, PublishedPort, ServiceId, ServiceRecord,
    },
    services::{Claim, Services},
};

/// The name of the network on which nodes hand each other what comes from outside, as in Docker.
pub const INGRESS: &str = "ingress";

/// The network that the nodes meet on, if there is one: nobody made it yet, or by its name there is something else.
pub fn network(catalog: &Catalog) -> Option<(NetworkId, &Listed)> {
    let claim = catalog::Claim::Name(Name::new(INGRESS).ok()?);
    let id = catalog.holder(&claim)?;
    let listed = catalog.get(id)?;
    let is_one = listed.scope == Scope::Cluster && listed.record.driver == Driver::Overlay;
    is_one.then_some((id, listed))
}

/// An endpoint of this node that serves.
#[derive(Clone, Copy, Debug)]
pub struct Own<'a> {
    /// Its network.
    pub network: NetworkId,
    /// What it is to its service.
    pub backend: &'a Backend,
    /// Its addresses that its host can lead to.
    pub reached: Result<&'a [IpNet], NoWay>,
}

/// A node of the mesh, as the rows of [`INGRESS`] show it.
#[derive(Clone, Debug)]
pub struct Peer<'a> {
    /// How it is doing.
    pub state: OwnerState,
    /// Its endpoint there.
    pub endpoint: &'a EndpointRecord,
    /// What it says of services.
    pub shares: BTreeMap<ServiceId, MeshRecord>,
}

/// What the mesh is on one node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mesh {
    /// Where ports lead to.
    pub published: BTreeMap<Front, Backs>,
    /// The other nodes, and the number that each goes by here, which is never 0.
    pub peers: BTreeMap<Mac, u32>,
    /// Their addresses on the network where nodes meet.
    pub neighbours: BTreeMap<IpAddr, Mac>,
    /// What of what led to other nodes goes on.
    pub leads: BTreeSet<Lead>,
    /// The same of connections that are not among them: their node knows whether they do.
    pub kept: BTreeMap<IpAddr, Kept>,
}

/// The ports that every node is to have open, and whose they are. Of two services that claim one, one has it.
pub fn open(
    services: &Services,
) -> impl Iterator<Item = (ServiceId, &ServiceRecord, PublishedPort)> {
    let has_name = |id, record: &ServiceRecord| {
        services.named(&record.name).is_some_and(|(holder, _)| holder == id)
    };
    let all = services.iter().filter(move |(id, listed)| has_name(*id, &listed.record));
    all.flat_map(|(id, listed)| {
        let lost = |port: &PublishedPort| {
            let claim = Claim::Port(*port);
            listed.conflicts.iter().any(|conflict| conflict.claim == claim)
        };
        let ports = listed.record.ports.iter().filter(|port| port.mode == PublishMode::Ingress);
        let ports = ports.filter(move |port| !lost(port));
        ports.map(move |port| (id, &listed.record, *port))
    })
}

/// Whether a node with these labels opens the ports of a service.
pub fn is_for(record: &ServiceRecord, labels: &BTreeMap<String, String>) -> bool {
    record.publish_on.as_deref().is_none_or(|wanted| match wanted.split_once('=') {
        Some((name, value)) => labels.get(name).is_some_and(|has| has == value),
        None => labels.contains_key(wanted),
    })
}

/// What this node says of each service that has ports in the mesh, if it has backends of it.
pub fn shares(services: &Services, own: &[Own<'_>]) -> BTreeMap<ServiceId, MeshRecord> {
    let mut shares = BTreeMap::new();
    let open: BTreeMap<ServiceId, &ServiceRecord> =
        open(services).map(|(id, record, _)| (id, record)).collect();
    for (id, record) in open {
        let mut serving = serving(record, own).peekable();
        if serving.peek().is_none() {
            continue;
        }
        let mut share = MeshRecord::default();
        for (backend, reached) in serving.filter(|(backend, _)| backend.takes_new()) {
            let weight = u32::from(backend.weight);
            for (sum, is_v4) in [(&mut share.v4, true), (&mut share.v6, false)] {
                if reached.iter().any(|net| net.addr().is_ipv4() == is_v4) {
                    *sum = sum.saturating_add(weight).min(MAX_MESH_WEIGHT);
                }
            }
        }
        shares.insert(id, share);
    }
    shares
}

/// This node's backends of a service that go on at least.
fn serving<'a>(
    record: &'a ServiceRecord,
    own: &'a [Own<'_>],
) -> impl Iterator<Item = (&'a Backend, &'a [IpNet])> {
    let of = move |own: &&Own<'_>| {
        own.network == record.network
            && own.backend.service == record.name
            && own.backend.state != BackendState::Disabled
    };
    own.iter().filter(of).filter_map(|own| Some((own.backend, own.reached.ok()?)))
}

/// Where the ports lead to. Those that are `closed` this node does not open itself, since somebody else there has
/// them; its backends are reached by way of other nodes all the same.
pub fn settle(
    node: NodeId,
    services: &Services,
    own: &[Own<'_>],
    peers: &BTreeMap<NodeId, Peer<'_>>,
    closed: &BTreeSet<PublishedPort>,
) -> Mesh {
    let mut mesh = Mesh::default();
    for (id, record, port) in open(services) {
        let mut to_own = Vec::new();
        for (backend, reached) in serving(record, own).filter(|(backend, _)| backend.takes_new()) {
            let at = reached.iter().map(|net| SocketAddr::new(net.addr(), port.target));
            to_own.extend(at.map(|at| (at, usize::from(backend.weight))));
        }
        // What other nodes hand on goes no further, and is refused if there is nobody.
        for net in peers.get(&node).iter().flat_map(|peer| &peer.endpoint.addresses) {
            let front = front(Bind::Address(net.addr()), port);
            let of_family = to_own.iter().filter(|(to, _)| to.is_ipv4() == net.addr().is_ipv4());
            mesh.published.insert(front, backs(of_family.copied()));
        }
        if closed.contains(&port) {
            continue;
        }
        let others = match record.external {
            ExternalTraffic::Cluster => to_others(node, id, port, peers, to_own.is_empty()),
            ExternalTraffic::Local => Vec::new(),
        };
        let bind = match port.bind.filter(|bind| !bind.is_unspecified()) {
            Some(bind) => Bind::Address(bind),
            None => Bind::Any,
        };
        let fits = |to: &SocketAddr| port.bind.is_none_or(|bind| bind.is_ipv4() == to.is_ipv4());
        mesh.leads.extend(going_on(node, id, port, peers));
        let all = to_own.into_iter().chain(others).filter(|(to, _)| fits(to));
        let backs = backs(all);
        // What leads nowhere is refused as any port is that nobody listens on.
        if backs != Backs::default() {
            mesh.published.insert(front(bind, port), backs);
        }
    }
    for (_, Peer { endpoint, .. }) in peers.iter().filter(|(id, _)| **id != node) {
        mesh.peers.insert(endpoint.mac, number(endpoint));
        let at = endpoint.addresses.iter().map(IpNet::addr);
        mesh.kept.extend(at.clone().map(|at| (at, Kept::Connections)));
        mesh.neighbours.extend(at.map(|at| (at, endpoint.mac)));
    }
    mesh
}

/// What other nodes have of a port goes on as long as they are there and have backends that do.
fn going_on<'a>(
    node: NodeId,
    service: ServiceId,
    port: PublishedPort,
    peers: &'a BTreeMap<NodeId, Peer<'_>>,
) -> impl Iterator<Item = Lead> + 'a {
    let others = peers.iter().filter(move |(id, peer)| {
        let goes_on = peer.state != OwnerState::Failed && peer.shares.contains_key(&service);
        **id != node && goes_on
    });
    let addresses = others.flat_map(|(_, peer)| peer.endpoint.addresses.iter().map(IpNet::addr));
    addresses.map(move |at| {
        (port.protocol.number(), port.published, SocketAddr::new(at, port.published))
    })
}

/// The other nodes that take something of a service, and how much; suspected ones if there is nobody else.
fn to_others(
    node: NodeId,
    service: ServiceId,
    port: PublishedPort,
    peers: &BTreeMap<NodeId, Peer<'_>>,
    alone: bool,
) -> Vec<(SocketAddr, usize)> {
    let mut others = Vec::new();
    for (_, peer) in peers.iter().filter(|(id, _)| **id != node) {
        let share = peer.shares.get(&service).copied().unwrap_or_default();
        for net in &peer.endpoint.addresses {
            let weight = if net.addr().is_ipv4() { share.v4 } else { share.v6 };
            let weight = usize::try_from(weight).unwrap_or(usize::MAX);
            if weight > 0 && peer.state != OwnerState::Failed {
                let to = SocketAddr::new(net.addr(), port.published);
                others.push((peer.state, to, weight));
            }
        }
    }
    let is_sound = |state: OwnerState| state != OwnerState::Suspect;
    let sound = !alone || others.iter().any(|(state, ..)| is_sound(*state));
    others.retain(|(state, ..)| !sound || is_sound(*state));
    others.into_iter().map(|(_, to, weight)| (to, weight)).collect()
}

fn front(bind: Bind, port: PublishedPort) -> Front {
    Front { bind, protocol: port.protocol, port: port.published }
}

/// Weights as slots.
fn backs(weights: impl Iterator<Item = (SocketAddr, usize)>) -> Backs {
    let (mut v4, mut v6) = (BTreeMap::new(), BTreeMap::new());
    for (to, weight) in weights {
        match to {
            SocketAddr::V4(to) => drop(v4.insert(to, weight)),
            SocketAddr::V6(to) => drop(v6.insert(to, weight)),
        }
    }
    Backs { v4: slots::give(&[], slots::counts(&v4)), v6: slots::give(&[], slots::counts(&v6)) }
}

/// A node's number: the last 24 bits of its address in the mesh, which no other node has and which stays as long as
/// there may be connections that are told by it.
fn number(endpoint: &EndpointRecord) -> u32 {
    let last = |octets: &[u8]| match octets.last_chunk() {
        Some([high, middle, low]) => u32::from_be_bytes([0, *high, *middle, *low]),
        None => 0,
    };
    match endpoint.addresses.first().map(IpNet::addr) {
        Some(IpAddr::V4(address)) => last(&address.octets()),
        Some(IpAddr::V6(address)) => last(&address.octets()),
        None => 0,
    }
}
