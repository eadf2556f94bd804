//! The rows that say who serves, and what follows from them for each network.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use core::net::IpAddr;

use ipnet::IpNet;
use netdb_core::view::OwnerState;
use netdb_gossip_core::identity::{Name, NodeId};

use super::{
    Balance, Spread,
    chosen::{Choice, Idle, kept},
};
use crate::{
    firewall::Family,
    records::{Backend, EndpointId, EndpointRecord, NetworkId, ServiceId, ServiceMode, latest},
    services::{Claim, Listed, Services},
};

/// An endpoint as one node says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Member {
    name: Name,
    addresses: Vec<IpAddr>,
    moves: u32,
    state: OwnerState,
    backend: Option<Backend>,
}

/// A service with virtual addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Front {
    network: NetworkId,
    name: Name,
    vips: Vec<IpAddr>,
    prefers_local: bool,
}

#[derive(Clone, Debug, Default)]
struct Network {
    members: BTreeMap<EndpointId, BTreeMap<NodeId, Member>>,
    /// Who serves, by what it calls its service.
    serving: BTreeMap<Name, BTreeSet<EndpointId>>,
    /// Services by their name. Two may have one; both work on.
    fronts: BTreeMap<Name, BTreeSet<ServiceId>>,
    balance: Balance,
}

/// What all networks balance, as one node sees it.
#[derive(Clone, Debug)]
pub struct Balances {
    node: NodeId,
    networks: BTreeMap<NetworkId, Network>,
    fronts: BTreeMap<ServiceId, Front>,
}

/// What a virtual address does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The address.
    pub vip: IpAddr,
    /// Its backends, by their names.
    pub shares: Vec<Share>,
}

/// What one backend gets of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Its endpoint.
    pub id: EndpointId,
    /// What that is called.
    pub endpoint: Name,
    /// Where it is.
    pub node: NodeId,
    /// How that is doing.
    pub state: OwnerState,
    /// What it is to the service.
    pub backend: Backend,
    /// Where packets go to.
    pub address: Option<IpAddr>,
    /// So many of all slots.
    pub slots: (usize, usize),
    /// Why it gets nothing.
    pub idle: Option<Idle>,
}

impl Balances {
    /// As a node sees it; nothing is known yet.
    pub fn new(node: NodeId) -> Self {
        Self { node, networks: BTreeMap::new(), fronts: BTreeMap::new() }
    }

    /// What a network balances.
    pub fn of(&self, network: NetworkId) -> Balance {
        self.networks.get(&network).map(|network| network.balance.clone()).unwrap_or_default()
    }

    /// Takes the row of an endpoint, or that there is none any more.
    pub fn put_endpoint(
        &mut self,
        network: NetworkId,
        node: NodeId,
        id: EndpointId,
        row: Option<(&EndpointRecord, OwnerState)>,
    ) {
        let on = self.networks.entry(network).or_default();
        let before = on.serves(id);
        let rows = on.members.entry(id).or_default();
        match row {
            Some((record, state)) => drop(rows.insert(node, Member::new(record, state))),
            None => drop(rows.remove(&node)),
        }
        if rows.is_empty() {
            on.members.remove(&id);
        }
        let after = on.serves(id);
        if before == after {
            return;
        }
        let name = |serves: &Option<(NodeId, Member)>| {
            Some(serves.as_ref()?.1.backend.as_ref()?.service.clone())
        };
        let (before, after) = (name(&before), name(&after));
        if let Some(name) = &before
            && let Some(ids) = on.serving.get_mut(name)
        {
            ids.remove(&id);
            if ids.is_empty() {
                on.serving.remove(name);
            }
        }
        if let Some(name) = &after {
            on.serving.entry(name.clone()).or_default().insert(id);
        }
        for name in [before, after].into_iter().flatten().collect::<BTreeSet<Name>>() {
            self.settle(network, &name);
        }
    }

    /// Takes which services there are.
    pub fn put_services(&mut self, all: &Services) {
        let fronts: BTreeMap<ServiceId, Front> =
            all.iter().filter_map(|(id, listed)| Some((id, front(listed)?))).collect();
        let before = core::mem::replace(&mut self.fronts, fronts.clone());
        for (id, old) in before.iter().filter(|(id, old)| fronts.get(*id) != Some(*old)) {
            let Some(on) = self.networks.get_mut(&old.network) else { continue };
            old.vips.iter().for_each(|vip| on.balance.put(*vip, None));
            if let Some(ids) = on.fronts.get_mut(&old.name) {
                ids.remove(id);
                if ids.is_empty() {
                    on.fronts.remove(&old.name);
                }
            }
        }
        for (id, new) in fronts.iter().filter(|(id, new)| before.get(*id) != Some(*new)) {
            let on = self.networks.entry(new.network).or_default();
            on.fronts.entry(new.name.clone()).or_default().insert(*id);
        }
        for (_, new) in fronts.iter().filter(|(id, new)| before.get(*id) != Some(*new)) {
            self.settle(new.network, &new.name);
        }
    }

    /// Forgets the endpoints of all other networks.
    pub fn retain(&mut self, stays: impl Fn(NetworkId) -> bool) {
        self.networks.retain(|id, network| stays(*id) || !network.fronts.is_empty());
    }

    /// What the addresses of a service do.
    pub fn explain(&self, service: ServiceId) -> Vec<Explained> {
        let Some(front) = self.fronts.get(&service) else { return Vec::new() };
        let Some(on) = self.networks.get(&front.network) else { return Vec::new() };
        let explain = |vip: &IpAddr| {
            let spread = on.balance.get(*vip).cloned().unwrap_or_default();
            let choice = on.choice(front, self.node);
            let share = |(id, node, member, backend): (_, _, &Member, &Backend)| {
                let address = member.address(Family::of(*vip));
                let idle = choice.idle(node, member.state, backend);
                Share {
                    id,
                    endpoint: member.name.clone(),
                    node,
                    state: member.state,
                    backend: backend.clone(),
                    address,
                    slots: (address.map_or(0, |to| spread.count(to)), spread.slots().len()),
                    idle: idle.or(address.is_none().then_some(Idle::NoAddress)),
                }
            };
            let mut shares: Vec<Share> = on.backends(&front.name).map(share).collect();
            shares.sort_by(|one, other| one.endpoint.cmp(&other.endpoint));
            Explained { vip: *vip, shares }
        };
        front.vips.iter().map(explain).collect()
    }

    /// Says anew where the addresses of those services lead to that are called so.
    fn settle(&mut self, network: NetworkId, name: &Name) {
        let Some(on) = self.networks.get_mut(&network) else { return };
        let ids = on.fronts.get(name).cloned().unwrap_or_default();
        for front in ids.iter().filter_map(|id| self.fronts.get(id)) {
            for vip in &front.vips {
                let spread = on.spread(front, *vip, self.node);
                on.balance.put(*vip, Some(spread));
            }
        }
    }
}

/// A service that has virtual addresses of its own.
fn front(listed: &Listed) -> Option<Front> {
    let record = &listed.record;
    let lost = |vip: &IpAddr| {
        listed
            .conflicts
            .iter()
            .any(|conflict| matches!(&conflict.claim, Claim::Vip(_, lost) if lost == vip))
    };
    let vips: Vec<IpAddr> = record.vips.iter().filter(|vip| !lost(vip)).copied().collect();
    let balanced = record.mode == ServiceMode::Vip && !vips.is_empty();
    let (network, name) = (record.network, record.name.clone());
    balanced.then_some(Front { network, name, vips, prefers_local: record.prefers_local })
}

impl Member {
    fn new(record: &EndpointRecord, state: OwnerState) -> Self {
        Self {
            name: record.name.clone(),
            addresses: record.addresses.iter().map(IpNet::addr).collect(),
            moves: record.moves,
            state,
            backend: record.backend.clone(),
        }
    }

    fn address(&self, family: Family) -> Option<IpAddr> {
        self.addresses.iter().copied().find(|address| Family::of(*address) == family)
    }
}

impl Network {
    /// The row of an endpoint that counts.
    fn stands(&self, id: EndpointId) -> Option<(NodeId, &Member)> {
        latest(self.members.get(&id)?, |member| member.moves)
    }

    /// The same, if it serves something.
    fn serves(&self, id: EndpointId) -> Option<(NodeId, Member)> {
        let (node, member) = self.stands(id)?;
        member.backend.is_some().then(|| (node, member.clone()))
    }

    fn backends(
        &self,
        service: &Name,
    ) -> impl Iterator<Item = (EndpointId, NodeId, &Member, &Backend)> {
        self.serving.get(service).into_iter().flatten().filter_map(|id| {
            let (node, member) = self.stands(*id)?;
            Some((*id, node, member, member.backend.as_ref()?))
        })
    }

    fn choice(&self, front: &Front, node: NodeId) -> Choice {
        let all = self.backends(&front.name).map(|(_, node, m, backend)| (node, m.state, backend));
        Choice::among(all, front.prefers_local.then_some(node))
    }

    fn spread(&self, front: &Front, vip: IpAddr, node: NodeId) -> Spread {
        let choice = self.choice(front, node);
        let (mut weights, mut keeps) = (BTreeMap::new(), BTreeMap::new());
        for (_, node, member, backend) in self.backends(&front.name) {
            let Some(address) = member.address(Family::of(vip)) else { continue };
            if choice.idle(node, member.state, backend).is_none() {
                weights.insert(address, backend.weight);
            }
            if let Some(kept) = kept(member.state, backend) {
                keeps.insert(address, kept);
            }
        }
        Spread::new(self.balance.get(vip).map(|before| &**before), &weights, keeps)
    }
}
