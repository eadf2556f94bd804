//! This node's part in the routing mesh: its endpoint on the network where nodes meet, what it says there of its own
//! backends, and which of its ports lead where.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use ipnet::IpNet;
use netdb::{Lifetime, Name, NameError, Network, NodeId, WriteError};
use netnode_plan::{
    catalog::Catalog,
    desired::Desired,
    firewall::{self, Away, Family, Firewall},
    host::{HOST, Place, Setting},
    host_ports::Denied,
    mesh::{self, INGRESS, Own, Peer},
    policy::Policy,
    publish::Published,
    records::{
        self, EndpointId, LinkName, MESH, MeshRecord, NetworkId, PublishedPort, Record, ServiceId,
    },
};
use tokio::time::sleep;

use super::{
    AttachError, DetachError, Endpoints,
    attach::Wish,
    board::{Board, State},
    ports::{PortError, is_free, reached},
    rows::{Rows, scope_of},
    store::{Local, Locals},
};

/// What the interface is called on the host.
const INTERFACE: &str = "nn-ingress";
/// How soon it is tried again what went wrong.
const AGAIN: Duration = Duration::from_secs(5);
/// Digits of a node's id in the name of its endpoint.
const ID_DIGITS: usize = 12;

/// Why this node does not take part.
#[derive(Debug, thiserror::Error)]
enum PartError {
    #[error(transparent)]
    Attach(#[from] AttachError),
    #[error(transparent)]
    Detach(#[from] DetachError),
}

/// Which ports of the mesh are open here.
#[derive(Debug, Default)]
pub(super) struct Ports {
    /// Not these, and why.
    pub(super) closed: BTreeMap<PublishedPort, String>,
    /// Nor these, which are for other nodes.
    elsewhere: BTreeSet<PublishedPort>,
    open: BTreeSet<PublishedPort>,
    /// Endpoints of this host that some lead to.
    pub(super) led_to: BTreeSet<EndpointId>,
}

impl Endpoints {
    /// Whether it is the network where nodes meet.
    pub(super) fn is_ingress(&self, network: NetworkId) -> bool {
        mesh::network(&self.networks.catalog()).is_some_and(|(ingress, _)| ingress == network)
    }

    /// Takes part as long as some service has ports in the mesh, until the node stops.
    pub(super) async fn take_part(self) {
        let (mut shown, mut services) = (self.shown.clone(), self.services.clone());
        let mut catalog = self.networks.watch();
        let (mut said, mut told) = (BTreeMap::new(), String::new());
        if self.started().await.is_err() {
            return;
        }
        loop {
            shown.mark_unchanged();
            services.mark_unchanged();
            catalog.mark_unchanged();
            let went = self.settle_part(&mut said).await;
            let why = went.as_ref().err().map(ToString::to_string).unwrap_or_default();
            if why != told && !why.is_empty() {
                tracing::warn!("this node takes no part in the routing mesh: {why}");
            }
            told = why;
            let again = async {
                match went {
                    Ok(()) => std::future::pending().await,
                    Err(_) => sleep(AGAIN).await,
                }
            };
            let changed = tokio::select! {
                changed = shown.changed() => changed,
                changed = services.changed() => changed,
                changed = catalog.changed() => changed,
                () = again => Ok(()),
            };
            if changed.is_err() {
                return;
            }
        }
    }

    async fn settle_part(
        &self,
        said: &mut BTreeMap<ServiceId, MeshRecord>,
    ) -> Result<(), PartError> {
        let catalog = self.networks.catalog();
        let Some((network, listed)) = mesh::network(&catalog) else {
            said.clear();
            return Ok(());
        };
        let services = self.services.borrow().clone();
        // From an address of its own host alone a node leads nobody elsewhere.
        let own = self.db.info().await.map_err(AttachError::from)?.node.member.addr.ip();
        let is_needed = !own.is_loopback() && mesh::open(&services).next().is_some();
        let here = self.list().into_iter().find(|endpoint| endpoint.local.network == network);
        match here {
            None if !is_needed => return Ok(()),
            None => {
                self.plug_in((network, listed.clone()), self.wish().map_err(AttachError::from)?)
                    .await?;
            }
            Some(endpoint) if !is_needed => {
                said.clear();
                self.give_up(network, endpoint.id).await?;
                return Ok(());
            }
            Some(_) => {}
        }
        let name = scope_of(network).map_err(AttachError::from)?;
        let scope = self.db.ensure_attached(name.as_str()).await.map_err(AttachError::from)?;
        Ok(self.say_shares(&scope, said).await?)
    }

    fn wish(&self) -> Result<Wish, NameError> {
        let id = self.db.id().to_string();
        let name = format!("node-{}", id.get(..ID_DIGITS).unwrap_or(&id));
        Ok(Wish {
            network: INGRESS.into(),
            name: Name::new(&name)?,
            aliases: Vec::new(),
            addresses: Vec::new(),
            mac: None,
            sandbox: HOST.into(),
            // It is a link's name.
            interface: LinkName::new(INTERFACE).ok(),
            published: Vec::new(),
            service: None,
            gw_priority: 0,
            takes_over: false,
            resolv_conf: None,
        })
    }

    /// How much the backends here weigh, of each service that has ports in the mesh.
    pub(crate) fn shares(&self) -> BTreeMap<ServiceId, MeshRecord> {
        let shown = self.shown.borrow().clone();
        let (catalog, services) = (self.networks.catalog(), self.services.borrow().clone());
        mesh::shares(&services, &own(&catalog, &shown.locals))
    }

    /// Says to the other nodes how much the backends here weigh, as far as it was not `said`.
    pub(super) async fn say_shares(
        &self,
        scope: &Network,
        said: &mut BTreeMap<ServiceId, MeshRecord>,
    ) -> Result<(), AttachError> {
        let shares = self.shares();
        let table = scope.table(MESH, Lifetime::Owner)?;
        for (id, share) in &shares {
            if said.get(id) != Some(share) {
                share.check().map_err(records::RecordError::from)?;
                table.upsert(id.0, records::encode(share)).await?;
                said.insert(*id, *share);
            }
        }
        let gone: Vec<ServiceId> =
            said.keys().filter(|id| !shares.contains_key(*id)).copied().collect();
        for id in gone {
            match table.delete(id.0).await {
                // It went with the scope.
                Ok(_) | Err(WriteError::Refused(_)) => {}
                Err(error) => return Err(error.into()),
            }
            said.remove(&id);
        }
        Ok(())
    }
}

/// The endpoints of this host that serve.
fn own<'a>(catalog: &Catalog, locals: &'a Locals) -> Vec<Own<'a>> {
    let own = locals.values().filter_map(|local| {
        let listed = catalog.get(local.network)?;
        let (network, backend) = (local.network, local.backend.as_ref()?);
        Some(Own { network, backend, reached: reached(&listed.record, local) })
    });
    own.collect()
}

impl Board {
    /// Says anew which ports of the mesh this host opens. Somebody else of it may have one.
    pub(super) fn settle_mesh(&mut self) {
        let (catalog, services) = (self.catalog.borrow().clone(), self.services.borrow().clone());
        let mut ports = Ports::default();
        for (_, service, port) in mesh::open(&services) {
            if !mesh::is_for(service, &self.labels) {
                ports.elsewhere.insert(port);
            } else if let Some(why) = self.holder(&port) {
                ports.closed.insert(port, why);
            } else {
                ports.open.insert(port);
            }
            for (id, local) in &self.locals {
                let serves = local.backend.as_ref().is_some_and(|b| b.service == service.name);
                if !serves || local.network != service.network {
                    continue;
                }
                let Some(listed) = catalog.get(local.network) else { continue };
                match reached(&listed.record, local) {
                    Ok(_) => drop(ports.led_to.insert(*id)),
                    Err(why) => {
                        let denied = Denied::NoWay { port, service: service.name.clone(), why };
                        self.faults.insert(*id, State::Error(denied.to_string()));
                    }
                }
            }
        }
        self.mesh = ports;
    }

    /// Who else of this host has a port, if somebody does.
    fn holder(&self, port: &PublishedPort) -> Option<String> {
        let wanted = Published::from(*port);
        let mut given = self.locals.iter().flat_map(|(id, local)| {
            let of_service = self.ports.given.get(id).into_iter().flatten();
            local.published.iter().chain(of_service).map(|published| (&local.name, published))
        });
        if let Some((name, by)) = given.find(|(_, there)| there.clashes(&wanted)) {
            return Some(format!("it leads to endpoint {name} of this host, by {by}"));
        }
        let was_open = self.mesh.open.contains(port);
        let free = if was_open { Ok(()) } else { is_free(&wanted) };
        free.err().map(|error| match error {
            PortError::InUse { error, .. } => format!("it can't be had on this host: {error}"),
            other => other.to_string(),
        })
    }

    /// Leads the ports of the mesh to where they go.
    pub(super) fn lead_in(&self, wanted: &mut Desired) {
        let (catalog, services) = (self.catalog.borrow().clone(), self.services.borrow().clone());
        let own = own(&catalog, &self.locals);
        let (ingress, network) = mesh::network(&catalog).unzip();
        let here = self.locals.values().find(|local| Some(local.network) == ingress);
        let records = ingress.map(|id| self.own_records(id)).unwrap_or_default();
        let none = Rows::default();
        let rows = ingress.and_then(|id| self.rows.of(id)).unwrap_or(&none);
        let mut peers: BTreeMap<NodeId, Peer<'_>> = BTreeMap::new();
        // Without an endpoint there, nobody is reached by it.
        if let Some(endpoint) = records.values().next() {
            peers = rows.mesh(self.node);
            let state = netdb::OwnerState::Alive;
            peers.insert(self.node, Peer { state, endpoint, shares: BTreeMap::new() });
        }
        let closed = self.mesh.closed.keys().chain(&self.mesh.elsewhere);
        let closed: BTreeSet<PublishedPort> = closed.copied().collect();
        let mesh = mesh::settle(self.node, &services, &own, &peers, &closed);
        let Some(local) = here else {
            return absorb(wanted, Firewall { published: mesh.published, ..Firewall::default() });
        };
        let links = wanted.links.entry(Place::Host).or_default();
        // What has a node's own address needs no other way back.
        let masquerades = network.is_some_and(|listed| listed.record.options.masquerade);
        let families = local.addresses.iter().map(|net| Family::of(net.addr())).collect();
        let policy = Policy { link: local.interface.clone(), families };
        if let Some(link) = links.get_mut(&local.interface) {
            link.settings.extend(settings(local));
            link.neighbours.extend(policy.neighbours());
            // The kernel would ask for them by an address that it needs a second or two to have.
            link.neighbours.extend(mesh.neighbours);
        }
        wanted.policy = (!masquerades).then_some(policy);
        let nodes = if masquerades { BTreeMap::new() } else { mesh.peers };
        let link = local.interface.clone();
        let link = Some(firewall::Mesh { link, nodes, masquerades });
        let subnets = local.addresses.iter().map(IpNet::trunc).collect();
        let firewall = Firewall {
            published: mesh.published,
            mesh: link,
            endpoints: mesh.kept,
            away: Away { subnets, leads: mesh.leads },
            ..Firewall::default()
        };
        absorb(wanted, firewall);
    }
}

fn absorb(wanted: &mut Desired, more: Firewall) {
    wanted.firewalls.entry(Place::Host).or_default().absorb(more);
}

/// What comes by the link is of clients anywhere, and what this host asks itself by 127.0.0.1 is answered by it.
fn settings(local: &Local) -> impl Iterator<Item = (Setting, u32)> {
    let v6 = local.addresses.iter().any(|net| net.addr().is_ipv6());
    let v4 = [
        (Setting::Forwarding, 1),
        (Setting::RpFilter, 0),
        (Setting::SrcValidMark, 1),
        (Setting::RouteLocalnet, 1),
    ];
    v4.into_iter().chain(v6.then_some((Setting::ForwardingV6, 1)))
}
