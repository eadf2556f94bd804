//! A kernel made of maps: does what the real one would do with each step, for tests, for the simulator, and for
//! who wants to know what a few steps made of what was seen without looking at all of it again.

use alloc::vec::Vec;

use super::{Action, Change, Kind, Link, Mark, Place, Seen, SeenLink};
use crate::{
    firewall::{self, Edit, Hook, Layer},
    policy,
    records::LinkName,
};

/// What is there, and what becomes of it. Sandboxes and whatever is not ours are put there by the test.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    /// As a look at the kernel would show it.
    pub seen: Seen,
    /// The packet filters of the namespaces that have any.
    pub firewalls: firewall::Seen,
    /// Policy routing of the host.
    pub policy: policy::Seen,
    next_index: u32,
}

/// A step that the kernel would refuse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("can't be done: {0:?}")]
pub struct Refused(pub Action);

impl Model {
    /// One that is as a look at the kernel showed it.
    pub fn of(seen: Seen) -> Self {
        Self { seen, ..Self::default() }
    }

    /// Does one step.
    ///
    /// # Errors
    /// What the kernel would refuse: names that are taken, links and namespaces that are not there.
    pub fn apply(&mut self, action: &Action) -> Result<(), Refused> {
        self.step(action).ok_or_else(|| Refused(action.clone()))
    }

    fn step(&mut self, action: &Action) -> Option<()> {
        match action {
            Action::AddNamespace(network) => {
                let links = [(LinkName::new("lo").ok()?, SeenLink::default())].into();
                self.seen.insert(Place::Network(*network), links).is_none().then_some(())
            }
            Action::RemoveNamespace(network) => {
                let place = Place::Network(*network);
                let links: Vec<LinkName> = self.seen.get(&place)?.keys().cloned().collect();
                for name in &links {
                    self.remove(&place, name);
                }
                self.seen.remove(&place).map(drop)
            }
            Action::AddLink { at, name, link } => self.add(at, name, link),
            Action::RemoveLink { at, name } => {
                self.remove(at, name);
                Some(())
            }
            Action::Change { at, name, change } => {
                let link = self.seen.get_mut(at)?.get_mut(name)?;
                apply_change(link, change);
                Some(())
            }
            Action::Policy(change) => self.policy.apply(change, self.seen.get(&Place::Host)?),
            // It has no connections.
            Action::EndFlows { at, .. } | Action::EndLed { at, .. } => self.seen.get(at).map(drop),
            Action::Filter { at, generation, edits } => {
                let links = self.seen.get(at)?;
                let fits = |edit: &Edit| match edit {
                    Edit::AddChain(_, Some(base)) => match &base.hook {
                        Hook::Egress(link) => links.contains_key(link),
                        _ => true,
                    },
                    _ => true,
                };
                if !edits.values().flatten().all(fits) {
                    return None;
                }
                let firewall = self.firewalls.get_mut(at)?;
                *firewall = firewall.edited(*generation, edits)?;
                Some(())
            }
        }
    }

    fn add(&mut self, at: &Place, name: &LinkName, link: &Link) -> Option<()> {
        let taken = |seen: &Seen, at, name| seen.get(at).map(|links| links.contains_key(name));
        if taken(&self.seen, at, name)? {
            return None;
        }
        if let Kind::Veth { peer_at, peer } = &link.kind {
            if taken(&self.seen, peer_at, peer)? {
                return None;
            }
            let mark = Some(Mark::UNFINISHED);
            let end = SeenLink { mark, kind: Some(Kind::VethEnd), mtu: 1500, ..self.numbered() };
            self.seen.get_mut(peer_at)?.insert(peer.clone(), end);
        }
        let (mac, mtu) = (link.mac, link.mtu);
        let (mark, kind) = (Some(Mark::UNFINISHED), Some(link.kind.clone()));
        let link = SeenLink { mark, kind, mac, mtu, ..self.numbered() };
        self.seen.get_mut(at)?.insert(name.clone(), link);
        Some(())
    }

    fn numbered(&mut self) -> SeenLink {
        self.next_index += 1;
        SeenLink { index: self.next_index, ..SeenLink::default() }
    }

    fn remove(&mut self, at: &Place, name: &LinkName) {
        let Some(link) = self.seen.get_mut(at).and_then(|links| links.remove(name)) else { return };
        self.release(at, name);
        if let Some(Kind::Veth { peer_at, peer }) = &link.kind {
            self.seen.get_mut(peer_at).and_then(|links| links.remove(peer));
            self.release(peer_at, peer);
        }
        // The other way round, the end that was made goes.
        if link.kind == Some(Kind::VethEnd) {
            let made = |seen: &SeenLink| matches!(&seen.kind, Some(Kind::Veth { peer_at, peer }) if peer_at == at && peer == name);
            for links in self.seen.values_mut() {
                links.retain(|_, link| !made(link));
            }
        }
    }

    /// What is of a link goes with it: routes, and before Linux 6.16 a chain of frames.
    fn release(&mut self, at: &Place, name: &LinkName) {
        if *at == Place::Host {
            self.policy.ways.retain(|way| way.link != *name);
        }
        let tables = self.firewalls.get_mut(at).map(|firewall| &mut firewall.ours);
        if let Some(frames) = tables.and_then(|tables| tables.get_mut(&Layer::Frames)) {
            frames.chains.retain(|_, chain| {
                let hook = chain.base.as_ref().map(|base| &base.hook);
                !matches!(hook, Some(Hook::Egress(link)) if link == name)
            });
        }
    }
}

fn apply_change(link: &mut SeenLink, change: &Change) {
    match change {
        Change::Mark(mark) => link.mark = Some(*mark),
        Change::Setting(setting, value) => drop(link.settings.insert(*setting, *value)),
        Change::Mtu(mtu) => link.mtu = *mtu,
        Change::Mac(mac) => link.mac = Some(*mac),
        Change::PortOf(bridge) => {
            link.port_of = bridge.clone().map(|bridge| (bridge, super::Port::LEARNING));
            link.stations.clear();
        }
        Change::Port(how) => {
            if let Some((_, port)) = &mut link.port_of {
                *port = *how;
            }
        }
        Change::Up => link.up = true,
        Change::AddAddress(address) => drop(link.addresses.insert(*address, true)),
        Change::RemoveAddress(address) => drop(link.addresses.remove(address)),
        Change::PutRoute(route) => drop(link.routes.insert(route.clone())),
        Change::RemoveRoute(route) => drop(link.routes.remove(route)),
        Change::PutTunnel(mac, tunnel) => {
            let ours = link.tunnels.get(mac).is_none_or(|(_, ours)| *ours);
            link.tunnels.insert(*mac, (*tunnel, ours));
        }
        Change::RemoveTunnel(mac) => drop(link.tunnels.remove(mac)),
        Change::PutStation(mac) => drop(link.stations.insert(*mac)),
        Change::RemoveStation(mac) => drop(link.stations.remove(mac)),
        Change::PutNeighbour(address, mac) => drop(link.neighbours.insert(*address, (*mac, true))),
        Change::RemoveNeighbour(address) => drop(link.neighbours.remove(address)),
    }
}
