//! The zones that a node keeps, and what the rows say without them.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use netdb_core::{
    entry::{Entry, Lifetime, Writer},
    node::CLUSTER_NETWORK,
    view::{Event, Filter, OwnerState},
};
use netdb_gossip_core::identity::NodeId;
use netnode_plan::{
    dns::{DEFAULT_DOMAIN, Family, Seat, Verdict, View, Zone, Zones},
    records::{
        EndpointId, EndpointRecord, NetworkId, Record, ServiceId, ServiceMode, ServiceRecord,
    },
};

use crate::{records::read, world::World};

/// What every network is called in questions.
const LABEL: &str = "net";

/// The zones of one node, kept up event by event as the daemon does.
#[derive(Default)]
pub(super) struct Kept(Zones);

impl Kept {
    pub(super) fn take(&mut self, event: &Event) {
        let Some(entry) = event.kind.entry() else { return };
        let there = event.kind.standing().is_some();
        if event.network.as_str() == CLUSTER_NETWORK {
            let Some(id) = service(entry) else { return };
            let record = record(entry).filter(|_| there);
            self.0.put_service(id, record.as_ref());
        } else if let (Ok(network), Some(id)) = (event.network.as_str().parse(), endpoint(entry)) {
            let record = record(entry).filter(|_| there);
            let row = record.as_ref().map(|record| (record, event.owner_state.into()));
            self.0.put_endpoint(network, entry.row.owner, id, row);
        }
    }

    /// Those with a name in them.
    pub(super) fn zones(&self) -> BTreeMap<NetworkId, &Zone> {
        self.0.iter().filter(|(_, zone)| **zone != Zone::default()).collect()
    }

    /// Whether there never was any.
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().next().is_none()
    }

    /// What the node would answer somebody who is on this network.
    pub(super) fn answer(&self, network: NetworkId, synced: bool, name: &str) -> Answer {
        let none = Zone::default();
        let zone = self.0.get(network).unwrap_or(&none);
        let seats = [Seat { network: LABEL, subnets: &[], zone, synced }];
        let view = View { seats: &seats, domain: DEFAULT_DOMAIN };
        let mut verdicts = BTreeSet::new();
        let mut all = BTreeSet::new();
        for asked in [name.to_owned(), format!("{name}.{LABEL}.{DEFAULT_DOMAIN}")] {
            for family in [Family::V4, Family::V6] {
                let mut addresses = Vec::new();
                let verdict = view.addresses(&asked, family, 1, &mut addresses);
                verdicts.insert(matches!(verdict, Verdict::Found | Verdict::NoData));
                all.extend(addresses);
            }
        }
        // Written short or in full, and of either family: one question that is not known is too many.
        Answer { known: !verdicts.contains(&false), addresses: all }
    }
}

/// What a node would answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// Whether it would say that the name exists.
    pub(super) known: bool,
    pub(super) addresses: BTreeSet<IpAddr>,
}

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

    /// The zone that they make.
    pub(super) fn zone(&self) -> Zone {
        let mut zone = Zone::default();
        for (id, record) in &self.services {
            zone.put_service(*id, Some(record));
        }
        for Endpoint { node, id, state, record, .. } in &self.endpoints {
            zone.put_endpoint(*node, *id, Some((record, (*state).into())));
        }
        zone
    }

    /// Everything that is called something.
    pub(super) fn names(&self) -> BTreeSet<String> {
        let services = self.services.values().flat_map(|service| of_service(service.name.as_str()));
        self.endpoints.iter().flat_map(|row| names(&row.record)).chain(services).collect()
    }

    /// What a name comes to if everybody here is well.
    pub(super) fn addresses(&self, name: &str) -> BTreeSet<IpAddr> {
        let called = |service: &&ServiceRecord| service.name.as_str() == name;
        let ages = self.services.iter().map(|(id, service)| ((service.created_us, id), service));
        let holder = ages.filter(|(_, s)| called(s)).min_by_key(|(age, _)| *age);
        if let Some((_, service)) = holder
            && service.mode == ServiceMode::Vip
        {
            return service.vips.iter().copied().collect();
        }
        let told = self.endpoints.iter().filter(|row| is_told(&row.record, name));
        told.flat_map(|row| addresses(&row.record)).collect()
    }
}

/// Whether an endpoint is one of those that a name comes to.
fn is_told(record: &EndpointRecord, name: &str) -> bool {
    if own_names(record).contains(name) {
        return true;
    }
    let serves = record.backend.as_ref().filter(|backend| backend.takes_new());
    serves.is_some_and(|backend| of_service(backend.service.as_str()).contains(&name.to_owned()))
}

/// What an endpoint itself is called.
fn own_names(record: &EndpointRecord) -> BTreeSet<String> {
    let plain = [&record.name].into_iter().chain(&record.aliases);
    let task =
        record.backend.as_ref().map(|backend| format!("{}.{}", backend.task, backend.service));
    plain.map(|name| name.as_str().to_owned()).chain(task).collect()
}

/// Everything that an endpoint is called, alone or with others.
pub(super) fn names(record: &EndpointRecord) -> BTreeSet<String> {
    let serves = record.backend.iter().flat_map(|backend| of_service(backend.service.as_str()));
    own_names(record).into_iter().chain(serves).collect()
}

fn of_service(name: &str) -> [String; 2] {
    [name.to_owned(), format!("tasks.{name}")]
}

pub(super) fn addresses(record: &EndpointRecord) -> BTreeSet<IpAddr> {
    let mut addresses = BTreeSet::new();
    for net in &record.addresses {
        addresses.insert(net.addr());
    }
    addresses
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
