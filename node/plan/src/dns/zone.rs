//! The names of one network.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    sync::Arc,
    vec::Vec,
};
use core::net::IpAddr;

use ipnet::IpNet;
use netdb_gossip_core::identity::{Name, NodeId};

use super::Family;
use crate::records::{EndpointId, EndpointRecord, ServiceId, ServiceMode, ServiceRecord};

/// What the name of a service's backends begins with, as in Docker's swarm mode.
pub(super) const BACKENDS: &str = "tasks.";

/// How the node of an endpoint is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Up, or about to be again.
    Up,
    /// Perhaps it failed: whoever has a choice takes another.
    Suspected,
    /// It failed: nothing of it is answered, and its names are still ours.
    Failed,
}

/// An endpoint, as far as names go.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Held {
    name: Name,
    aliases: Vec<Name>,
    addresses: Vec<IpAddr>,
    /// The service that it serves, what it is called there, and whether it takes what is new.
    serves: Option<(Name, Name, bool)>,
    moves: u32,
    standing: Standing,
}

/// Why an endpoint is behind a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    /// It is itself called so.
    Itself,
    /// It serves what is called so.
    Serves,
}

/// What one name means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Meant {
    endpoints: BTreeMap<(EndpointId, Role), Arc<Held>>,
    /// Services that are called so, the oldest first: that one has the name.
    services: BTreeMap<(u64, ServiceId), Arc<ServiceRecord>>,
}

/// The names of one network. All of them are in lower case: a question has no case (RFC 4343).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Zone {
    endpoints: BTreeMap<EndpointId, BTreeMap<NodeId, Arc<Held>>>,
    services: BTreeMap<ServiceId, Arc<ServiceRecord>>,
    names: BTreeMap<String, Meant>,
    /// Who has an address.
    holders: BTreeMap<IpAddr, BTreeSet<Holder>>,
}

/// Whose an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Holder {
    Endpoint(EndpointId),
    Service(ServiceId),
}

impl Zone {
    /// Takes the row of an endpoint, or that there is none any more.
    pub fn put_endpoint(
        &mut self,
        node: NodeId,
        id: EndpointId,
        row: Option<(&EndpointRecord, Standing)>,
    ) {
        let before = self.stands(id).cloned();
        let rows = self.endpoints.entry(id).or_default();
        match row {
            Some((record, standing)) => {
                rows.insert(node, Arc::new(Held::new(record, standing)));
            }
            None => drop(rows.remove(&node)),
        }
        if rows.is_empty() {
            self.endpoints.remove(&id);
        }
        let after = self.stands(id).cloned();
        if before == after {
            return;
        }
        if let Some(before) = before {
            self.forget_endpoint(id, &before);
        }
        if let Some(after) = after {
            self.learn_endpoint(id, &after);
        }
    }

    /// Takes the row of a service on this network, or that there is none any more.
    pub fn put_service(&mut self, id: ServiceId, row: Option<&ServiceRecord>) {
        if let Some(before) = self.services.remove(&id) {
            for name in service_names(&before.name) {
                self.narrow(&name, |meant| drop(meant.services.remove(&(before.created_us, id))));
            }
            self.drop_holder(Holder::Service(id), &before.vips);
        }
        let Some(record) = row else { return };
        let record = Arc::new(record.clone());
        for name in service_names(&record.name) {
            let meant = self.names.entry(name).or_default();
            meant.services.insert((record.created_us, id), Arc::clone(&record));
        }
        for vip in &record.vips {
            self.holders.entry(*vip).or_default().insert(Holder::Service(id));
        }
        self.services.insert(id, record);
    }

    /// Which services there are.
    pub fn services(&self) -> impl Iterator<Item = ServiceId> {
        self.services.keys().copied()
    }

    /// Of an endpoint that several nodes say they have, the row that moved the most counts, as it does for the
    /// overlay's entries.
    fn stands(&self, id: EndpointId) -> Option<&Arc<Held>> {
        let rows = self.endpoints.get(&id)?;
        rows.iter().max_by_key(|(node, held)| (held.moves, **node)).map(|(_, held)| held)
    }

    fn learn_endpoint(&mut self, id: EndpointId, held: &Arc<Held>) {
        for (name, role) in held.names() {
            let meant = self.names.entry(name).or_default();
            meant.endpoints.insert((id, role), Arc::clone(held));
        }
        for address in &held.addresses {
            self.holders.entry(*address).or_default().insert(Holder::Endpoint(id));
        }
    }

    fn forget_endpoint(&mut self, id: EndpointId, held: &Held) {
        for (name, role) in held.names() {
            self.narrow(&name, |meant| drop(meant.endpoints.remove(&(id, role))));
        }
        self.drop_holder(Holder::Endpoint(id), &held.addresses);
    }

    fn narrow(&mut self, name: &str, narrow: impl FnOnce(&mut Meant)) {
        if let Some(meant) = self.names.get_mut(name) {
            narrow(meant);
            if *meant == Meant::default() {
                self.names.remove(name);
            }
        }
    }

    fn drop_holder(&mut self, holder: Holder, addresses: &[IpAddr]) {
        for address in addresses {
            if let Some(holders) = self.holders.get_mut(address) {
                holders.remove(&holder);
                if holders.is_empty() {
                    self.holders.remove(address);
                }
            }
        }
    }

    /// What a name comes to now: addresses whose node is up into `up`, those of suspected ones into `late`. Whether
    /// anything is called so, be it of failed nodes.
    ///
    /// The name is in lower case and ends before the network's.
    pub(super) fn addresses(
        &self,
        name: &str,
        family: Family,
        up: &mut Vec<IpAddr>,
        late: &mut Vec<IpAddr>,
    ) -> bool {
        let Some(meant) = self.names.get(name) else { return false };
        // The name of its backends (`tasks.`) leads past a service's own address.
        let called_so =
            |service: &&Arc<ServiceRecord>| service.name.as_str().eq_ignore_ascii_case(name);
        if let Some(service) = meant.services.values().find(called_so)
            && service.mode == ServiceMode::Vip
        {
            up.extend(service.vips.iter().filter(|vip| family.has(vip)));
            return true;
        }
        for ((_, role), held) in &meant.endpoints {
            let out = match held.standing {
                Standing::Up => &mut *up,
                Standing::Suspected => &mut *late,
                Standing::Failed => continue,
            };
            if *role == Role::Itself || held.takes_new() {
                out.extend(held.addresses.iter().filter(|address| family.has(address)));
            }
        }
        true
    }

    /// Puts the names of an address into `out`, as they are called on this network.
    pub(super) fn pointers(&self, address: IpAddr, out: &mut Vec<String>) {
        for holder in self.holders.get(&address).into_iter().flatten() {
            match holder {
                Holder::Service(id) => {
                    out.extend(self.services.get(id).map(|service| lower(&service.name)));
                }
                Holder::Endpoint(id) => {
                    let held = self.stands(*id).filter(|held| held.standing != Standing::Failed);
                    out.extend(held.map(|held| lower(&held.name)));
                }
            }
        }
    }

    /// Whether a service or its backends are called so.
    pub(super) fn has_service(&self, name: &str) -> bool {
        self.names.get(name).is_some_and(|meant| {
            !meant.services.is_empty() || meant.endpoints.keys().any(|(_, r)| *r == Role::Serves)
        })
    }
}

impl Held {
    fn new(record: &EndpointRecord, standing: Standing) -> Self {
        let serves = record
            .backend
            .as_ref()
            .map(|backend| (backend.service.clone(), backend.task.clone(), backend.takes_new()));
        Self {
            name: record.name.clone(),
            aliases: record.aliases.clone(),
            addresses: record.addresses.iter().map(IpNet::addr).collect(),
            serves,
            moves: record.moves,
            standing,
        }
    }

    fn takes_new(&self) -> bool {
        self.serves.as_ref().is_some_and(|(.., takes_new)| *takes_new)
    }

    /// Everything that it is called.
    fn names(&self) -> BTreeSet<(String, Role)> {
        let own = [&self.name].into_iter().chain(&self.aliases).map(lower);
        let mut names: BTreeSet<_> = own.map(|name| (name, Role::Itself)).collect();
        if let Some((service, task, _)) = &self.serves {
            names.extend(service_names(service).map(|name| (name, Role::Serves)));
            names.insert((format!("{}.{}", lower(task), lower(service)), Role::Itself));
        }
        names
    }
}

/// What a service is asked by: its name, and that of its backends.
fn service_names(service: &Name) -> [String; 2] {
    let name = lower(service);
    [format!("{BACKENDS}{name}"), name]
}

fn lower(name: &Name) -> String {
    name.as_str().to_ascii_lowercase()
}
