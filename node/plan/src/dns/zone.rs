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
use crate::records::{EndpointId, EndpointRecord, ServiceId, ServiceMode, ServiceRecord, latest};

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

/// Something that is called by a name, and what it adds to the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A service.
    Service {
        /// Its name.
        name: Name,
        /// Its id.
        id: ServiceId,
        /// Its own addresses; none of one whose name comes to its backends.
        vips: Vec<IpAddr>,
        /// Whether it has the name; an older one may.
        has_name: bool,
    },
    /// An endpoint.
    Endpoint {
        /// Its name.
        name: Name,
        /// Where it is.
        node: NodeId,
        /// All its addresses.
        addresses: Vec<IpAddr>,
        /// How its node is doing.
        standing: Standing,
        /// As what it is called so: itself, or as what serves it.
        serves: bool,
        /// Whether its addresses are told.
        told: bool,
    },
}

/// An endpoint, as far as names go.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Held {
    node: NodeId,
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
                rows.insert(node, Arc::new(Held::new(node, record, standing)));
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

    /// The row that counts, as it does for the overlay's entries.
    fn stands(&self, id: EndpointId) -> Option<&Arc<Held>> {
        latest(self.endpoints.get(&id)?, |held| held.moves).map(|(_, held)| held)
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
        if let Some(service) = meant.by_address(name) {
            up.extend(service.vips.iter().filter(|vip| family.has(vip)));
            return true;
        }
        for ((_, role), held) in &meant.endpoints {
            let out = match held.standing {
                Standing::Up => &mut *up,
                Standing::Suspected => &mut *late,
                Standing::Failed => continue,
            };
            if held.is_told_as(*role) {
                out.extend(held.addresses.iter().filter(|address| family.has(address)));
            }
        }
        true
    }

    /// Everything that is called so, and what it adds to [`Zone::addresses`].
    pub(super) fn parts(&self, name: &str) -> Vec<Part> {
        let Some(meant) = self.names.get(name) else { return Vec::new() };
        let by_address = meant.by_address(name);
        let mut services = meant.services.iter().filter(|(_, s)| is_called(s, name)).peekable();
        let holder = services.peek().map(|((_, id), _)| *id);
        let service = |((_, id), service): (&(u64, ServiceId), &Arc<ServiceRecord>)| {
            let (name, vips) = (service.name.clone(), service.vips.clone());
            Part::Service { name, id: *id, vips, has_name: holder == Some(*id) }
        };
        let endpoint = |((_, role), held): (&(EndpointId, Role), &Arc<Held>)| Part::Endpoint {
            name: held.name.clone(),
            node: held.node,
            addresses: held.addresses.clone(),
            standing: held.standing,
            serves: *role == Role::Serves,
            told: by_address.is_none()
                && held.standing != Standing::Failed
                && held.is_told_as(*role),
        };
        services.map(service).chain(meant.endpoints.iter().map(endpoint)).collect()
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

impl Meant {
    /// The service that has a name, if that comes to its own addresses. The name of its backends (`tasks.`) does
    /// not.
    fn by_address(&self, name: &str) -> Option<&ServiceRecord> {
        let holder = self.services.values().find(|service| is_called(service, name));
        holder.filter(|service| service.mode == ServiceMode::Vip).map(|service| &**service)
    }
}

fn is_called(service: &ServiceRecord, name: &str) -> bool {
    service.name.as_str().eq_ignore_ascii_case(name)
}

impl Held {
    fn new(node: NodeId, record: &EndpointRecord, standing: Standing) -> Self {
        let serves = record
            .backend
            .as_ref()
            .map(|backend| (backend.service.clone(), backend.task.clone(), backend.takes_new()));
        Self {
            node,
            name: record.name.clone(),
            aliases: record.aliases.clone(),
            addresses: record.addresses.iter().map(IpNet::addr).collect(),
            serves,
            moves: record.moves,
            standing,
        }
    }

    fn is_told_as(&self, role: Role) -> bool {
        let takes_new = || self.serves.as_ref().is_some_and(|(.., takes_new)| *takes_new);
        role == Role::Itself || takes_new()
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
