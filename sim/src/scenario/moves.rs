//! Endpoints that move from host to host, while nodes are killed and cut off: in the end every node sends packets
//! for an address to the one host that has it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use netdb_core::view::{Filter, OwnerState};
use netdb_gossip_core::identity::{Name, NodeId};
use netnode_plan::{
    host::{Attached, Place},
    overlay::{self, Holder, Row, moved_away},
    records::{
        Driver, EndpointId, EndpointRecord, LinkName, Mac, NetworkId, NetworkOptions,
        NetworkRecord, Subnet,
    },
};

use super::Scenario;
use crate::{
    broken::Outcome,
    records::{read, written},
    seed::MILLION,
    world::{Disk, Options, Stop, Table, World},
};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "moves",
    about: "endpoints move under kills, partitions and loss: packets go where each one is",
    nodes: 10,
    tune,
    run,
};

const SAFETY: Duration = Duration::from_mins(2);
const LIVENESS: Duration = Duration::from_mins(3);
/// How long after an event a node has given up what moved away.
const GIVE_UP: Duration = Duration::from_millis(50);
const ENDPOINTS: u8 = 30;
const NETWORK: &str = "net";
const ID: NetworkId = NetworkId([7; 16]);
/// The name of the network's VXLAN device.
const TUNNEL: &str = "vxlan0";

fn tune(options: &mut Options) {
    let mut draws = options.seed.stream("moves links", 0);
    let lossy = u32::try_from(draws.below(2) * draws.below(100_000)).unwrap_or(0);
    options.link.loss = options.link.loss.max(lossy);
}

/// What each host has, on its disk: endpoints, how often each has moved, and whether its row is out.
#[derive(Default)]
struct Hosts(Vec<BTreeMap<u8, Local>>);

#[derive(Clone, Copy)]
struct Local {
    moves: u32,
    published: bool,
}

fn run(world: &mut World) -> Outcome {
    let loss = world.fabric.topology.link.loss;
    world.start()?;
    world.attach_all(NETWORK)?;
    world.settle(Duration::from_secs(30))?;
    let mut hosts = Hosts(vec![BTreeMap::new(); world.hosts().len()]);
    for n in 0..ENDPOINTS {
        let host = world.draws.index(world.hosts().len());
        hosts.has(host, n, 0);
    }
    hosts.publish(world)?;
    let end = world.now() + SAFETY;
    while world.now() < end {
        let host = world.draws.index(world.hosts().len());
        step(world, &mut hosts, host)?;
        world.run_for_between(0, 199_999)?;
        hosts.publish(world)?;
        hosts.give_up(world)?;
    }
    world.heal();
    world.set_loss(loss);
    for host in 0..world.hosts().len() {
        revive(world, &mut hosts, host)?;
    }
    let since = world.now();
    while hosts.is_busy(world) {
        if world.now().since(since) >= LIVENESS {
            return Err(world.broken("endpoint moves", format!("not given up after {LIVENESS:?}")));
        }
        world.run_for(GIVE_UP)?;
        hosts.publish(world)?;
        hosts.give_up(world)?;
    }
    world.settle(LIVENESS)?;
    let took = world.now().since(since);
    world.figures.time("faults over, every endpoint is in one place", took);
    hosts.check(world)
}

fn step(world: &mut World, hosts: &mut Hosts, host: usize) -> Outcome {
    match world.draws.below(100) {
        0..60 => hosts.take_over(world, host)?,
        60..64 if world.is_running(host) && world.running().len() > 2 => {
            let how = if world.draws.chance(MILLION / 2) { Stop::Kill } else { Stop::Terminate };
            world.stop(host, how)?;
        }
        64..74 => revive(world, hosts, host)?,
        74..78 => {
            let [half, _] = world.halves();
            world.partition(&[half]);
        }
        78..86 => world.heal(),
        86..88 => {
            let loss = u32::try_from(world.draws.below(200_000)).unwrap_or(0);
            world.set_loss(loss);
        }
        88..90 => {
            let span = Duration::from_millis(world.draws.between(50, 8_000));
            world.pause(host, span);
        }
        _ => {}
    }
    Ok(())
}

fn revive(world: &mut World, hosts: &mut Hosts, host: usize) -> Outcome {
    if world.is_running(host) {
        return Ok(());
    }
    // Rows go with the process that wrote them.
    for local in hosts.0.get_mut(host).into_iter().flat_map(BTreeMap::values_mut) {
        local.published = false;
    }
    world.restart(host, Disk::Kept)
}

fn id(n: u8) -> EndpointId {
    EndpointId([n; 16])
}

fn key(n: u8) -> String {
    format!("{n:0>16}")
}

/// Where a host takes tunnelled packets.
fn tunnel(host: usize) -> IpAddr {
    Ipv4Addr::from(0xc000_0200 + u32::try_from(host).unwrap_or(0)).into()
}

fn address(n: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, n).into()
}

fn record(world: &World, n: u8, host: usize, moves: u32) -> Outcome<EndpointRecord> {
    let net = format!("{}/24", address(n));
    let net = net.parse().map_err(|_| world.broken("script", format!("{net} is no prefix")))?;
    Ok(EndpointRecord {
        network: ID,
        name: world.name(&format!("e{n}"))?,
        aliases: Vec::new(),
        addresses: vec![net],
        mac: Mac([2, 0, 0, 0, 0, n]),
        sandbox: String::new(),
        tunnels: vec![tunnel(host)],
        moves,
        mtu: 1450,
        backend: None,
    })
}

/// What a host's view says: whose row, of which endpoint, whether its owner is there.
fn view(world: &World, host: usize) -> Outcome<BTreeMap<Holder, (bool, EndpointRecord)>> {
    let network = Some(world.name(NETWORK)?);
    let filter = Filter { network, include_failed: true, ..Filter::default() };
    let rows = world.list(host, &filter).into_iter().filter_map(|(_, row)| {
        let record: EndpointRecord = read(row.entry.value.as_deref()?)?;
        let n = record.mac.0.last().copied()?;
        let live = row.owner_state != OwnerState::Failed;
        Some(((row.entry.row.owner, id(n)), (live, record)))
    });
    Ok(rows.collect())
}

fn node_of(world: &World, host: usize) -> NodeId {
    world.host(host).map(|host| host.id).unwrap_or_default()
}

impl Hosts {
    fn has(&mut self, host: usize, n: u8, moves: u32) {
        if let Some(locals) = self.0.get_mut(host) {
            locals.insert(n, Local { moves, published: false });
        }
    }

    fn of(&self, host: usize) -> BTreeMap<u8, Local> {
        self.0.get(host).cloned().unwrap_or_default()
    }

    /// Has some endpoint of another host go on here, as this host sees it.
    fn take_over(&mut self, world: &mut World, host: usize) -> Outcome {
        if !world.is_running(host) {
            return Ok(());
        }
        let n = u8::try_from(world.draws.below(ENDPOINTS.into())).unwrap_or(0);
        let me = node_of(world, host);
        let rows = view(world, host)?;
        let elsewhere = rows.iter().filter(|((owner, of), _)| *of == id(n) && *owner != me);
        let latest = elsewhere.map(|(_, (_, record))| record.moves).max();
        if let Some(moves) = latest.filter(|_| !self.of(host).contains_key(&n)) {
            self.has(host, n, moves + 1);
        }
        Ok(())
    }

    /// Writes the rows that are not out yet.
    fn publish(&mut self, world: &mut World) -> Outcome {
        let table = Table::owner(NETWORK, "endpoints");
        for host in world.running() {
            let mut all = true;
            let mut news = false;
            for (n, local) in self.of(host).into_iter().filter(|(_, local)| !local.published) {
                let value = written(&record(world, n, host, local.moves)?);
                let operation = netdb_core::node::Operation::Upsert;
                // A node that starts refuses for a moment.
                let done = world.write(host, &table, operation, &key(n), &value)?.is_ok();
                if let Some(local) = self.0.get_mut(host).and_then(|locals| locals.get_mut(&n)) {
                    local.published = done;
                }
                (all, news) = (all && done, true);
            }
            if all && news {
                world.mark_complete(host, NETWORK)?;
            }
        }
        Ok(())
    }

    /// What each host has and another has by now.
    fn moved(&self, world: &World, host: usize) -> Outcome<BTreeSet<u8>> {
        let rows = view(world, host)?;
        let own = self.of(host).into_iter().map(|(n, local)| (id(n), local.moves)).collect();
        let records = rows.iter().map(|(holder, (_, record))| (holder, record));
        let moved = moved_away(records, node_of(world, host), &own);
        Ok(moved.keys().filter_map(|EndpointId(bytes)| bytes.first().copied()).collect())
    }

    fn give_up(&mut self, world: &mut World) -> Outcome {
        let table = Table::owner(NETWORK, "endpoints");
        for host in world.running() {
            for n in self.moved(world, host)? {
                world.try_delete(host, &table, &key(n))?;
                if let Some(locals) = self.0.get_mut(host) {
                    locals.remove(&n);
                }
            }
        }
        Ok(())
    }

    fn is_busy(&self, world: &World) -> bool {
        world.running().into_iter().any(|host| {
            let out = self.of(host).values().all(|local| local.published);
            !out || self.moved(world, host).is_ok_and(|moved| !moved.is_empty())
        }) || crate::check::convergence::difference(world).is_some()
    }

    /// Every endpoint is somewhere, and every host that takes part sends its packets there.
    fn check(&self, world: &World) -> Outcome {
        for n in 0..ENDPOINTS {
            let here = (0..world.hosts().len()).filter(|host| self.of(*host).contains_key(&n));
            // Two took it over in one moment, apart from each other: the higher id has it.
            let place = here.max_by_key(|host| {
                let moves = self.of(*host).get(&n).map(|local| local.moves);
                (moves, node_of(world, *host))
            });
            let Some(place) = place else {
                return Err(world.broken("endpoint moves", format!("e{n} is nowhere")));
            };
            for host in world.running().into_iter().filter(|host| *host != place) {
                let leads = self.leads_to(world, host, n)?;
                if leads.is_some_and(|leads| leads != tunnel(place)) {
                    let what = format!("e{n} is on n{place}, and n{host} sends it to {leads:?}");
                    return Err(world.broken("endpoint moves", what));
                }
            }
        }
        Ok(())
    }

    /// Where a host sends packets for an endpoint; none if it has no part in the network.
    fn leads_to(&self, world: &World, host: usize, n: u8) -> Outcome<Option<IpAddr>> {
        let rows = view(world, host)?;
        let endpoints = rows.iter().map(|(holder, (live, record))| {
            (*holder, Row { owner: holder.0, live: *live, record })
        });
        let interface =
            LinkName::new("eth0").map_err(|what| world.broken("script", what.to_string()))?;
        let attached = self.of(host).into_keys().map(|n| {
            let sandbox = format!("/run/{n}");
            (id(n), Attached { sandbox, interface: interface.clone(), default_route: false })
        });
        let network = network(world)?;
        let wanted = overlay::desired(&overlay::Network {
            id: ID,
            record: &network,
            node: node_of(world, host),
            local: tunnel(host),
            port: overlay::DEFAULT_PORT,
            underlay_mtu: 1500,
            peers: Vec::new(),
            endpoints: endpoints.collect(),
            attached: attached.collect(),
            heard: true,
        })
        .wanted
        .links;
        let Some(links) = wanted.get(&Place::Network(ID)) else { return Ok(None) };
        let link = links.iter().find(|(name, _)| name.as_str() == TUNNEL).map(|(_, link)| link);
        let mac = link.and_then(|link| link.neighbours.get(&address(n)));
        let leads = link.zip(mac).and_then(|(link, mac)| link.tunnels.get(mac).copied());
        // It does take part: then it must know the way.
        Ok(Some(leads.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))))
    }
}

fn network(world: &World) -> Outcome<NetworkRecord> {
    let prefix = "10.0.0.0/24".parse().map_err(|_| world.broken("script", "no prefix"))?;
    let name: Name = world.name(NETWORK)?;
    Ok(NetworkRecord {
        name,
        driver: Driver::Overlay,
        subnets: vec![Subnet::of(prefix)],
        options: NetworkOptions { vni: Some(4_097), ..NetworkOptions::default() },
        created_us: 1,
    })
}
