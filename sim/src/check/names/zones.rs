//! The zones that a node keeps, and what the rows say without them.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use netdb_core::view::Event;
use netnode_plan::{
    dns::{DEFAULT_DOMAIN, Family, Seat, Verdict, View, Zone, Zones},
    records::{EndpointRecord, NetworkId, ServiceMode, ServiceRecord},
};

use crate::check::rows::{Endpoint, News, Rows};

/// What every network is called in questions.
const LABEL: &str = "net";

/// The zones of one node, kept up event by event as the daemon does.
#[derive(Default)]
pub(super) struct Kept(Zones);

impl Kept {
    pub(super) fn take(&mut self, event: &Event) {
        match News::of(event) {
            Some(News::Service(id, record)) => self.0.put_service(id, record.as_ref()),
            Some(News::Endpoint { network, node, id, row }) => {
                let row = row.as_ref().map(|(record, state)| (record, (*state).into()));
                self.0.put_endpoint(network, node, id, row);
            }
            None => {}
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

impl Rows {
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
