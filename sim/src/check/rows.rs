//! Rows of endpoints and services, as a node lists them and as a watch tells of them.

use std::collections::BTreeMap;

use netdb_core::{
    entry::{Entry, Lifetime, Writer},
    node::CLUSTER_NETWORK,
    view::{Event, Filter, OwnerState},
};
use netdb_gossip_core::identity::{Name, NodeId};
use netnode_plan::records::{
    EndpointId, EndpointRecord, NetworkId, Record, ServiceId, ServiceRecord,
};

use crate::{
    records::read,
    world::{Host, World},
};

/// An endpoint's row.
pub(super) struct Endpoint {
    pub(super) node: NodeId,
    pub(super) id: EndpointId,
    pub(super) state: OwnerState,
    /// Which life of the node wrote it.
    pub(super) writer: Writer,
    pub(super) record: EndpointRecord,
}

/// The rows of one network.
#[derive(Default)]
pub(super) struct Rows {
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) services: BTreeMap<ServiceId, ServiceRecord>,
}

/// What an event says of such a row; nothing of one that is gone.
pub(super) enum News {
    Service(ServiceId, Option<ServiceRecord>),
    Endpoint {
        network: NetworkId,
        node: NodeId,
        id: EndpointId,
        row: Option<(EndpointRecord, OwnerState)>,
    },
}

impl News {
    pub(super) fn of(event: &Event) -> Option<Self> {
        let entry = event.kind.entry()?;
        let there = event.kind.standing().is_some();
        if event.network.as_str() == CLUSTER_NETWORK {
            return Some(Self::Service(service(entry)?, record(entry).filter(|_| there)));
        }
        let (network, id) = (event.network.as_str().parse().ok()?, endpoint(entry)?);
        let row = record(entry).filter(|_| there).map(|record| (record, event.owner_state));
        Some(Self::Endpoint { network, node: entry.row.owner, id, row })
    }
}

impl Rows {
    /// What a host lists.
    pub(super) fn listed(world: &World, host: usize) -> BTreeMap<NetworkId, Self> {
        let filter = Filter { include_failed: true, ..Filter::default() };
        let mut networks: BTreeMap<NetworkId, Self> = BTreeMap::new();
        for (name, row) in world.list(host, &filter) {
            let entry = &row.entry;
            if name.as_str() == CLUSTER_NETWORK {
                let record: Option<ServiceRecord> = record(entry);
                if let Some((id, record)) = service(entry).zip(record) {
                    networks.entry(record.network).or_default().services.insert(id, record);
                }
            } else if let (Ok(network), Some(id)) = (name.as_str().parse(), endpoint(entry))
                && let Some(record) = record(entry)
            {
                let (node, state, writer) = (entry.row.owner, row.owner_state, entry.dot.writer);
                let endpoint = Endpoint { node, id, state, writer, record };
                networks.entry(network).or_default().endpoints.push(endpoint);
            }
        }
        networks
    }

    /// What a host lists of its own endpoints.
    pub(super) fn own(world: &World, host: usize) -> BTreeMap<NetworkId, Self> {
        let me = world.host(host).map(|host| host.id);
        let mut listed = Self::listed(world, host);
        for rows in listed.values_mut() {
            rows.endpoints.retain(|row| Some(row.node) == me);
        }
        listed
    }
}

/// Whether a host watches failed nodes' rows too, as the daemon does.
pub(super) fn sees_all(world: &World, host: usize) -> bool {
    world.is_running(host)
        && world.view(host).is_some()
        && world.host(host).is_some_and(Host::sees_failed)
}

/// The networks that rows can be of.
pub(super) fn networks(world: &World) -> Vec<(NetworkId, Name)> {
    let all = world.networks().into_iter();
    all.filter_map(|name| Some((name.as_str().parse().ok()?, name))).collect()
}

fn endpoint(entry: &Entry) -> Option<EndpointId> {
    let ours = entry.row.lifetime == Lifetime::Owner && is_of(entry, "endpoints");
    ours.then(|| <[u8; 16]>::try_from(&*entry.row.key).ok().map(EndpointId))?
}

fn service(entry: &Entry) -> Option<ServiceId> {
    let ours = entry.row.lifetime == Lifetime::Cluster && is_of(entry, "services");
    ours.then(|| <[u8; 16]>::try_from(&*entry.row.key).ok().map(ServiceId))?
}

fn is_of(entry: &Entry, table: &str) -> bool {
    entry.row.table_name().is_some_and(|name| name.as_str() == table)
}

fn record<T: Record>(entry: &Entry) -> Option<T> {
    read(entry.value.as_deref()?)
}
