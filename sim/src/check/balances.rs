//! Where every node would lead a connection to a virtual address, by the balances that it keeps as the daemon does.
//!
//! During the run: balances kept up event by event are those that the rows make, and nothing new goes to an endpoint
//! whose node failed, nor to one that is not to have it. At rest all nodes balance alike, over all backends of live
//! owners by their weights and over nobody else.

use std::{collections::BTreeMap, net::IpAddr};

use netdb_core::view::{Event, OwnerState};
use netdb_gossip_core::{identity::Name, identity::NodeId};
use netnode_plan::{
    lb::{Balance, Balances as Kept},
    records::{Backend, NetworkId, ServiceId, ServiceRecord},
    services::Services,
};

use super::{
    Check, Verdict,
    rows::{News, Rows, networks, sees_all},
};
use crate::world::World;

/// For each virtual address how many slots lead where.
type Shares = BTreeMap<IpAddr, BTreeMap<IpAddr, usize>>;

/// Looks at one node each second, and at all in turn.
#[derive(Default)]
pub struct Balances {
    kept: BTreeMap<usize, One>,
    next: usize,
}

/// What one node keeps.
struct One {
    balances: Kept,
    services: BTreeMap<ServiceId, ServiceRecord>,
}

impl Default for One {
    fn default() -> Self {
        // Nobody here prefers backends of the own node.
        Self { balances: Kept::new(NodeId::default()), services: BTreeMap::new() }
    }
}

impl One {
    fn take(&mut self, news: News) {
        match news {
            News::Endpoint { network, node, id, row } => {
                let row = row.as_ref().map(|(record, state)| (record, *state));
                self.balances.put_endpoint(network, node, id, row);
            }
            News::Service(id, record) => {
                match record {
                    Some(record) => drop(self.services.insert(id, record)),
                    None => drop(self.services.remove(&id)),
                }
                self.balances.put_services(&Services::new(self.services.clone()));
            }
        }
    }
}

impl Check for Balances {
    fn name(&self) -> &'static str {
        "balances"
    }

    fn started(&mut self, host: usize) {
        self.kept.remove(&host);
    }

    fn event(&mut self, host: usize, event: &Event) -> Verdict {
        if let Some(news) = News::of(event) {
            self.kept.entry(host).or_default().take(news);
        }
        Ok(())
    }

    fn tick(&mut self, world: &World) -> Verdict {
        self.next = (self.next + 1) % world.hosts().len().max(1);
        let observer = self.next;
        let Some(one) = self.kept.get(&observer).filter(|_| sees_all(world, observer)) else {
            return Ok(());
        };
        let listed = Rows::listed(world, observer);
        let made = made(&listed);
        for (network, rows) in &listed {
            let kept = shares(&one.balances.of(*network));
            if kept != shares(&made.of(*network)) {
                return Err(format!("n{observer} balances otherwise than its rows make"));
            }
            if let Some(what) = wrong(rows, &kept) {
                return Err(format!("n{observer} {what}"));
            }
        }
        Ok(())
    }

    fn pending(&self, world: &World) -> Option<String> {
        networks(world).into_iter().find_map(|(network, name)| self.differs(world, network, &name))
    }
}

impl Balances {
    /// The first node that does not balance as the rows make that live owners have.
    fn differs(&self, world: &World, network: NetworkId, name: &Name) -> Option<String> {
        let hosts: Vec<usize> = world.attached(name);
        let hosts: Vec<usize> = hosts.into_iter().filter(|host| sees_all(world, *host)).collect();
        let mut there = Rows::listed(world, *hosts.first()?).remove(&network)?;
        let own = hosts.iter().filter_map(|host| Rows::own(world, *host).remove(&network));
        there.endpoints = own.flat_map(|rows| rows.endpoints).collect();
        let expected = shares(&made(&BTreeMap::from([(network, there)])).of(network));
        hosts.into_iter().find_map(|host| {
            let kept = shares(&self.kept.get(&host)?.balances.of(network));
            (kept != expected).then(|| format!("n{host} balances {kept:?}, not {expected:?}"))
        })
    }
}

/// What rows make.
fn made(listed: &BTreeMap<NetworkId, Rows>) -> Kept {
    let mut kept = Kept::new(NodeId::default());
    for (network, rows) in listed {
        for row in &rows.endpoints {
            kept.put_endpoint(*network, row.node, row.id, Some((&row.record, row.state)));
        }
    }
    let services = listed.values().flat_map(|rows| rows.services.clone());
    kept.put_services(&Services::new(services));
    kept
}

fn shares(balance: &Balance) -> Shares {
    let mut shares = Shares::new();
    for (vip, spread) in balance.iter() {
        let of = shares.entry(vip).or_default();
        for slot in spread.slots() {
            *of.entry(*slot).or_default() += 1;
        }
    }
    shares
}

/// What is new and goes where it must not.
fn wrong(rows: &Rows, shares: &Shares) -> Option<String> {
    let may = |to: &IpAddr| {
        rows.endpoints.iter().any(|row| {
            row.state != OwnerState::Failed
                && row.record.addresses.iter().any(|net| net.addr() == *to)
                && row.record.backend.as_ref().is_some_and(Backend::takes_new)
        })
    };
    shares.iter().find_map(|(vip, of)| {
        let to = of.keys().find(|to| !may(to))?;
        Some(format!("leads what is new for {vip} to {to}: nobody there is to have it"))
    })
}
