//! The names of all networks that this node takes part in, and what one sandbox sees of them.

use std::{
    collections::{BTreeMap, BTreeSet},
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
    dns::{self, Seat, View, Zone, Zones},
    records::NetworkId,
};
use tokio::sync::watch;

use super::{Settings, query::SeenNetwork};

/// One network.
#[derive(Clone, Debug, Default)]
struct Network {
    /// What it is called, in lower case.
    name: String,
    subnets: Vec<IpNet>,
    internal: bool,
}

/// What is known of all networks.
#[derive(Debug, Default)]
struct Known {
    zones: Zones,
    networks: BTreeMap<NetworkId, Network>,
}

/// All networks. It is written to for one row at a time, and read for one question at a time.
#[derive(Debug, Default)]
pub(super) struct Listed {
    known: RwLock<Known>,
    /// Those whose rows are all here.
    synced: watch::Sender<BTreeSet<NetworkId>>,
}

impl Listed {
    /// Changes names.
    pub(super) fn change(&self, change: impl FnOnce(&mut Zones)) {
        change(&mut self.write().zones);
    }

    /// Takes what networks there are, and forgets those that nobody here has to do with.
    pub(super) fn take_catalog(&self, catalog: &Catalog, used: impl Fn(NetworkId) -> bool) {
        let stays = |id| catalog.get(id).is_some() || used(id);
        let mut known = self.write();
        for (id, listed) in catalog.iter() {
            let record = &listed.record;
            let name = record.name.as_str().to_ascii_lowercase();
            let subnets = record.subnets.iter().map(|subnet| subnet.prefix).collect();
            let internal = record.options.internal;
            known.networks.insert(id, Network { name, subnets, internal });
        }
        known.networks.retain(|id, _| stays(*id));
        known.zones.retain(stays);
    }

    /// Whether all rows of a network are here.
    pub(super) fn set_synced(&self, network: NetworkId, synced: bool) {
        self.synced.send_if_modified(|known| {
            if synced { known.insert(network) } else { known.remove(&network) }
        });
    }

    /// The networks whose rows are all here, now and whenever they change.
    pub(super) fn synced(&self) -> watch::Receiver<BTreeSet<NetworkId>> {
        self.synced.subscribe()
    }

    fn read(&self) -> RwLockReadGuard<'_, Known> {
        // What is guarded is valid between any two statements.
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one sandbox sees.
#[derive(Debug)]
pub(super) struct Sandbox {
    listed: Arc<Listed>,
    settings: Arc<Settings>,
    /// The networks that it is on.
    networks: RwLock<Vec<NetworkId>>,
    /// The order of the next answer.
    order: AtomicU64,
}

impl Sandbox {
    /// One on these networks. Its first answer has the order that `order` makes, each further one another.
    pub(super) fn new(
        listed: &Arc<Listed>,
        settings: &Arc<Settings>,
        networks: Vec<NetworkId>,
        order: u64,
    ) -> Self {
        let (listed, settings) = (Arc::clone(listed), Arc::clone(settings));
        Self { listed, settings, networks: RwLock::new(networks), order: AtomicU64::new(order) }
    }

    /// From now on it is on these networks.
    pub(super) fn move_to(&self, networks: Vec<NetworkId>) {
        *self.networks.write().unwrap_or_else(PoisonError::into_inner) = networks;
    }

    /// Looks with its eyes.
    pub(super) fn see<T>(&self, look: impl FnOnce(View<'_>) -> T) -> T {
        let (nameless, empty) = (Network::default(), Zone::default());
        let known = self.listed.read();
        let synced = self.listed.synced.borrow();
        let own = self.networks();
        let seat = |id: &NetworkId| {
            let Network { name, subnets, .. } = known.networks.get(id).unwrap_or(&nameless);
            let zone = known.zones.get(*id).unwrap_or(&empty);
            Seat { network: name, subnets, zone, synced: synced.contains(id) }
        };
        let seats: Vec<Seat<'_>> = own.iter().map(seat).collect();
        look(View { seats: &seats, domain: &self.settings.domain })
    }

    /// What people are told of its networks.
    pub(super) fn seen(&self) -> Vec<SeenNetwork> {
        let known = self.listed.read();
        let synced = self.listed.synced.borrow();
        let seen = |id: &NetworkId| {
            let Network { name, internal, .. } = known.networks.get(id)?;
            let (name, internal) = (name.clone(), *internal);
            Some(SeenNetwork { name, synced: synced.contains(id), internal })
        };
        self.networks().iter().filter_map(seen).collect()
    }

    fn networks(&self) -> RwLockReadGuard<'_, Vec<NetworkId>> {
        self.networks.read().unwrap_or_else(PoisonError::into_inner)
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
        self.settings.ttl_s
    }

    fn may_forward(&self) -> bool {
        let known = self.listed.read();
        self.networks().iter().any(|id| known.networks.get(id).is_none_or(|on| !on.internal))
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
