//! What every node would answer who is asked for a name, by the zones that it keeps as the daemon does.
//!
//! During the run: zones kept up event by event are those that the rows make; of a row that a node shows it knows
//! every name, and it tells only of endpoints that it does not call failed; a name that it knew it knows as long
//! as its owner has it; and where nothing is wrong it knows every name after a while. At rest all answer alike,
//! and with the addresses of live owners only.

mod zones;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use netdb_core::{
    entry::Writer,
    view::{Event, OwnerState},
};
use netdb_gossip_core::{identity::Name, time::Time};
use netnode_plan::records::{EndpointId, NetworkId};

use self::zones::{Kept, addresses, names};
use super::{
    Check, Verdict,
    detection::loses_much,
    rows::{Endpoint, Rows, networks, sees_all},
};
use crate::world::World;

/// How long after a row was written every node knows its names, where nothing is wrong.
const KNOWN_AFTER: Duration = Duration::from_secs(5);
const MARGIN: Duration = Duration::from_secs(10);

/// Looks at the answers of one node each second, and at all in turn.
#[derive(Default)]
pub struct Names {
    kept: BTreeMap<usize, Kept>,
    next: usize,
    /// Rows that their live owners have, and since when.
    standing: BTreeMap<Owned, (Stands, Time)>,
    /// Who knew the names of which of them.
    knew: BTreeSet<(usize, Owned)>,
}

/// What all writes of a row have in common that change nothing of its names.
#[derive(PartialEq, Eq)]
struct Stands {
    names: BTreeSet<String>,
    writer: Writer,
}

/// A host's row of an endpoint.
type Owned = (usize, NetworkId, EndpointId);

impl Check for Names {
    fn name(&self) -> &'static str {
        "names"
    }

    fn started(&mut self, host: usize) {
        self.kept.remove(&host);
        self.begin_anew(host);
    }

    fn attached(&mut self, host: usize, _network: &Name) {
        self.begin_anew(host);
    }

    fn event(&mut self, host: usize, event: &Event) -> Verdict {
        self.kept.entry(host).or_default().take(event);
        Ok(())
    }

    fn tick(&mut self, world: &World) -> Verdict {
        if self.kept.values().all(Kept::is_empty) {
            return Ok(());
        }
        self.note_standing(world);
        self.next = (self.next + 1) % world.hosts().len().max(1);
        let observer = self.next;
        let Some(kept) = self.kept.get(&observer).filter(|_| sees_all(world, observer)) else {
            return Ok(());
        };
        let listed = Rows::listed(world, observer);
        let made = listed.iter().map(|(network, rows)| (*network, rows.zone())).collect::<Vec<_>>();
        if !kept.zones().into_iter().eq(made.iter().map(|(network, zone)| (*network, zone))) {
            return Err(format!("n{observer} keeps other names than its rows make"));
        }
        for (network, rows) in &listed {
            shown(world, observer, kept, *network, rows)?;
        }
        self.promised(world, observer, &listed)
    }

    fn pending(&self, world: &World) -> Option<String> {
        networks(world).into_iter().find_map(|(network, name)| self.differs(world, network, &name))
    }
}

impl Names {
    fn begin_anew(&mut self, host: usize) {
        self.standing.retain(|(owner, ..), _| *owner != host);
        self.knew.retain(|(observer, (owner, ..))| *observer != host && *owner != host);
    }

    /// Takes note of what live owners have.
    fn note_standing(&mut self, world: &World) {
        let mut found = BTreeMap::new();
        for owner in world.running() {
            for (network, rows) in Rows::own(world, owner) {
                for row in rows.endpoints {
                    let stands = Stands { names: names(&row.record), writer: row.writer };
                    found.insert((owner, network, row.id), stands);
                }
            }
        }
        self.standing.retain(|owned, (stands, _)| found.get(owned) == Some(stands));
        self.knew.retain(|(observer, owned)| {
            self.standing.contains_key(owned) && is_on(world, *observer, owned.1)
        });
        for (owned, stands) in found {
            self.standing.entry(owned).or_insert((stands, world.now()));
        }
    }

    /// What it knew it knows, and after a while all.
    fn promised(
        &mut self,
        world: &World,
        observer: usize,
        listed: &BTreeMap<NetworkId, Rows>,
    ) -> Verdict {
        let Some(kept) = self.kept.get(&observer) else { return Ok(()) };
        let now = world.now();
        for (owned, (Stands { names, writer }, since)) in &self.standing {
            let (owner, network, id) = *owned;
            if !is_on(world, observer, network) || !is_synced(world, observer, network) {
                continue;
            }
            let unknown = names.iter().find(|name| !kept.answer(network, true, name).known);
            let Some(name) = unknown else {
                // What a node wrote in an earlier life goes when it is long in the next one.
                let rows = listed.get(&network).into_iter().flat_map(|rows| &rows.endpoints);
                if rows.into_iter().any(|row| row.id == id && row.writer == *writer) {
                    self.knew.insert((observer, *owned));
                }
                continue;
            };
            if self.knew.contains(&(observer, *owned)) {
                return Err(format!(
                    "n{observer} knew {name}, n{owner} still has it, and it would say there is none"
                ));
            }
            let left_alone = is_left_alone(world, observer) && is_left_alone(world, owner);
            if left_alone && now.since(*since) > KNOWN_AFTER {
                return Err(format!(
                    "n{observer} would say there is no {name}, which n{owner} has since {since}"
                ));
            }
        }
        Ok(())
    }

    /// The first answer that is not what the rows of live owners make.
    fn differs(&self, world: &World, network: NetworkId, name: &Name) -> Option<String> {
        let hosts = world.attached(name).into_iter();
        let hosts: Vec<usize> = hosts.filter(|host| sees_all(world, *host)).collect();
        let first = hosts.first()?;
        let mut shown = Rows::listed(world, *first).remove(&network)?;
        let asked = shown.names();
        // Everybody shows the same, and what owners themselves show is what there is.
        shown.endpoints = hosts
            .iter()
            .flat_map(|host| Rows::own(world, *host))
            .filter(|(on, _)| *on == network)
            .flat_map(|(_, rows)| rows.endpoints)
            .collect();
        for name in asked.union(&shown.names()) {
            let expected = shown.addresses(name);
            for host in &hosts {
                let kept = self.kept.get(host)?;
                let answer = kept.answer(network, is_synced(world, *host, network), name);
                if !answer.known || answer.addresses != expected {
                    return Some(format!(
                        "n{host} answers {name} with {answer:?}, not {expected:?}"
                    ));
                }
            }
        }
        None
    }
}

/// Of what a node shows it knows the names; it tells of all whom it does not call failed, and of nobody else.
fn shown(world: &World, observer: usize, kept: &Kept, network: NetworkId, rows: &Rows) -> Verdict {
    let synced = is_synced(world, observer, network);
    let left_alone = is_left_alone(world, observer);
    let is_gone = |node| {
        let host = world.index_of(node).filter(|host| !world.is_running(*host));
        left_alone && host.is_some_and(|host| is_left_alone(world, host))
    };
    let live =
        rows.endpoints.iter().filter(|row| row.state != OwnerState::Failed && !is_gone(row.node));
    let live = live.flat_map(|row| addresses(&row.record));
    let vips = rows.services.values().flat_map(|service| service.vips.iter().copied());
    let may_be_told: BTreeSet<_> = live.chain(vips).collect();
    // Of two rows of one endpoint one counts, and a service may have the name.
    let is_clear = |row: &&Endpoint| {
        row.state != OwnerState::Failed
            && rows.endpoints.iter().filter(|other| other.id == row.id).count() == 1
            && rows.services.values().all(|service| service.name != row.record.name)
    };
    for row in rows.endpoints.iter().filter(is_clear) {
        let answer = kept.answer(network, synced, row.record.name.as_str());
        if !addresses(&row.record).is_subset(&answer.addresses) {
            let name = &row.record.name;
            return Err(format!("n{observer} would not tell where {name} is, which it shows well"));
        }
    }
    for name in rows.names() {
        let answer = kept.answer(network, synced, &name);
        if !answer.known {
            return Err(format!("n{observer} shows {name} and would say that there is none"));
        }
        if let Some(address) = answer.addresses.difference(&may_be_told).next() {
            return Err(format!(
                "n{observer} would tell {address} for {name}: nobody there is well"
            ));
        }
    }
    Ok(())
}

fn is_on(world: &World, host: usize, network: NetworkId) -> bool {
    Name::new(&network.to_string()).is_ok_and(|name| world.attached(&name).contains(&host))
}

fn is_synced(world: &World, host: usize, network: NetworkId) -> bool {
    let name = Name::new(&network.to_string()).ok();
    let info = name.and_then(|name| world.network_info(host, &name));
    info.is_some_and(|info| info.synced)
}

/// Whether nothing has been wrong with a host for so long that everybody knows how it is doing.
fn is_left_alone(world: &World, host: usize) -> bool {
    let gossip = &world.options().config.gossip;
    let a_while = gossip.announce_down_max * 2 + gossip.suspicion * 2 + MARGIN;
    world.now().since(world.disturbed(host)) > a_while && !loses_much(world)
}
