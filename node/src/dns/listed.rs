//! The names of all networks that this node takes part in, and what one sandbox sees of them.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use ipnet::IpNet;
use netnode_dns::{Family, Names, Verdict};
use netnode_plan::{
    catalog::Catalog,
    dns::{self, Seat, View, Zone},
    records::NetworkId,
};

use super::query::SeenNetwork;

/// One network.
#[derive(Clone, Debug, Default)]
pub(super) struct Network {
    pub(super) zone: Zone,
    /// What it is called, in lower case.
    name: String,
    subnets: Vec<IpNet>,
    internal: bool,
    /// Whether all rows of it are here.
    pub(super) synced: bool,
}

impl Network {
    /// What people are told of it.
    pub(super) fn seen(&self) -> SeenNetwork {
        let Self { name, synced, internal, .. } = self;
        SeenNetwork { name: name.clone(), synced: *synced, internal: *internal }
    }
}

/// All networks. It is written to for one row at a time, and read for one question at a time.
#[derive(Debug, Default)]
pub(super) struct Listed(RwLock<BTreeMap<NetworkId, Network>>);

impl Listed {
    /// Changes what is known of one network.
    pub(super) fn change(&self, network: NetworkId, change: impl FnOnce(&mut Network)) {
        let mut networks = self.write();
        change(networks.entry(network).or_default());
    }

    /// Takes what networks there are, and forgets those that nobody here has to do with.
    pub(super) fn take_catalog(&self, catalog: &Catalog, used: impl Fn(NetworkId) -> bool) {
        let mut networks = self.write();
        for (id, listed) in catalog.iter() {
            let record = &listed.record;
            let known = networks.entry(id).or_default();
            known.name = record.name.as_str().to_ascii_lowercase();
            known.subnets = record.subnets.iter().map(|subnet| subnet.prefix).collect();
            known.internal = record.options.internal;
        }
        networks.retain(|id, _| catalog.get(*id).is_some() || used(*id));
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, BTreeMap<NetworkId, Network>> {
        // What is guarded is valid between any two statements.
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<NetworkId, Network>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one sandbox sees.
#[derive(Debug)]
pub(super) struct Sandbox {
    pub(super) listed: Arc<Listed>,
    /// The networks that it is on.
    pub(super) networks: RwLock<Vec<NetworkId>>,
    pub(super) domain: String,
    pub(super) ttl_s: u32,
    /// The order of the next answer.
    pub(super) order: AtomicU64,
}

impl Sandbox {
    /// From now on it is on these networks.
    pub(super) fn move_to(&self, networks: Vec<NetworkId>) {
        *self.networks.write().unwrap_or_else(PoisonError::into_inner) = networks;
    }

    /// Looks with its eyes.
    pub(super) fn see<T>(&self, look: impl FnOnce(View<'_>) -> T) -> T {
        let all = self.listed.read();
        let own = self.networks.read().unwrap_or_else(PoisonError::into_inner);
        let seat = |network| {
            let Network { zone, name, subnets, synced, .. } = all.get(network)?;
            Some(Seat { network: name, subnets, zone, synced: *synced })
        };
        let seats: Vec<Seat<'_>> = own.iter().filter_map(seat).collect();
        look(View { seats: &seats, domain: &self.domain })
    }
}

impl Names for Sandbox {
    fn addresses(&self, name: &str, family: Family, out: &mut Vec<IpAddr>) -> Verdict {
        let family = match family {
            Family::V4 => dns::Family::V4,
            Family::V6 => dns::Family::V6,
        };
        verdict(self.see(|view| {
            view.addresses(name, family, self.order.fetch_add(1, Ordering::Relaxed), out)
        }))
    }

    fn pointers(&self, address: IpAddr, out: &mut Vec<String>) -> Verdict {
        verdict(self.see(|view| view.pointers(address, out)))
    }

    fn ttl(&self) -> u32 {
        self.ttl_s
    }

    fn may_forward(&self) -> bool {
        let all = self.listed.read();
        let own = self.networks.read().unwrap_or_else(PoisonError::into_inner);
        own.iter().filter_map(|network| all.get(network)).any(|network| !network.internal)
    }
}

fn verdict(verdict: dns::Verdict) -> Verdict {
    match verdict {
        dns::Verdict::Found => Verdict::Found,
        dns::Verdict::NoData => Verdict::NoData,
        dns::Verdict::NoName => Verdict::NoName,
        dns::Verdict::Unsure => Verdict::Unsure,
        dns::Verdict::NotOurs => Verdict::NotOurs,
    }
}
