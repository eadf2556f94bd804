//! Endpoints and services that come and go under kills and partitions: what every node would answer to a
//! question for their names is for a check to say.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use netdb_core::node::{CLUSTER_NETWORK, Operation};
use netnode_plan::records::{
    Backend, BackendState, EndpointRecord, Mac, NetworkId, ServiceMode, ServiceRecord,
};

use super::Scenario;
use crate::{
    broken::Outcome,
    records::written,
    seed::MILLION,
    world::{Disk, Options, Stop, Table, World},
};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "names",
    about: "endpoints and services come and go under kills and partitions: each is found, by name and by address",
    nodes: 10,
    tune,
    run,
};

const ID: NetworkId = NetworkId([7; 16]);
const STORMS: usize = 3;
const STORM: Duration = Duration::from_secs(30);
/// Long enough for everybody to hear of everybody, and some time to look.
const LULL: Duration = Duration::from_secs(75);
const LIVENESS: Duration = Duration::from_mins(3);
/// Names of services: few enough that two get one name.
const SERVICES: u64 = 4;
/// The most endpoints of a host.
const MOST: usize = 6;

fn tune(options: &mut Options) {
    options.all_see_failed = true;
    let mut draws = options.seed.stream("names links", 0);
    let lossy = u32::try_from(draws.below(2) * draws.below(40_000)).unwrap_or(0);
    options.link.loss = options.link.loss.max(lossy);
}

/// What each host has, on its disk.
struct Hosts {
    endpoints: Vec<BTreeMap<u16, Local>>,
    next: u16,
    /// Who has started again, and has not said yet that all its rows are out.
    anew: BTreeSet<usize>,
}

/// An endpoint, and whether its row is out as it is.
#[derive(Clone, Copy)]
struct Local {
    serves: Option<(u64, BackendState)>,
    published: bool,
}

fn run(world: &mut World) -> Outcome {
    world.start()?;
    world.attach_all(&ID.to_string())?;
    world.settle(Duration::from_secs(30))?;
    let endpoints = vec![BTreeMap::new(); world.hosts().len()];
    let mut hosts = Hosts { endpoints, next: 1, anew: BTreeSet::new() };
    for _ in 0..STORMS {
        go_on(world, &mut hosts, STORM, true)?;
        world.heal();
        go_on(world, &mut hosts, LULL, false)?;
    }
    for host in 0..world.hosts().len() {
        revive(world, &mut hosts, host)?;
    }
    hosts.publish_all(world)?;
    let took = world.settle(LIVENESS)?;
    world.figures.time("all are back, every answer is right", took);
    let host = world.draws.index(world.hosts().len());
    world.stop(host, Stop::Kill)?;
    let took = world.settle(LIVENESS)?;
    world.figures.time("kill → all answer without it", took);
    revive(world, &mut hosts, host)?;
    hosts.publish_all(world)?;
    let took = world.settle(LIVENESS)?;
    world.figures.time("it is back → all answer with it", took);
    Ok(())
}

/// Endpoints and services come and go for a span, and in a storm more than that.
fn go_on(world: &mut World, hosts: &mut Hosts, span: Duration, storm: bool) -> Outcome {
    let end = world.now() + span;
    while world.now() < end {
        let host = world.draws.index(world.hosts().len());
        match world.draws.below(100) {
            0..40 => hosts.attach(world, host),
            40..60 => hosts.detach(world, host)?,
            60..80 => hosts.drain(world, host),
            80..90 => change_service(world, host)?,
            _ if storm => fault(world, hosts, host)?,
            _ => {}
        }
        hosts.publish(world)?;
        world.run_for_between(0, 399_999)?;
    }
    Ok(())
}

fn fault(world: &mut World, hosts: &mut Hosts, host: usize) -> Outcome {
    match world.draws.below(6) {
        0 if world.is_running(host) && world.running().len() > 2 => {
            let how = if world.draws.chance(MILLION / 2) { Stop::Kill } else { Stop::Terminate };
            world.stop(host, how)?;
        }
        1 | 2 => revive(world, hosts, host)?,
        3 => {
            let [half, _] = world.halves();
            world.partition(&[half]);
        }
        4 => world.heal(),
        _ => {
            let span = Duration::from_millis(world.draws.between(50, 8_000));
            world.pause(host, span);
        }
    }
    Ok(())
}

fn revive(world: &mut World, hosts: &mut Hosts, host: usize) -> Outcome {
    if world.node(host).is_some() {
        return Ok(());
    }
    // Rows go with the process that wrote them.
    for local in hosts.endpoints.get_mut(host).into_iter().flat_map(BTreeMap::values_mut) {
        local.published = false;
    }
    hosts.anew.insert(host);
    world.restart(host, Disk::Kept)
}

/// A service is created, or one is removed.
fn change_service(world: &mut World, host: usize) -> Outcome {
    let (n, name) = (world.draws.below(2 * SERVICES), world.draws.below(SERVICES));
    let (table, key) = (Table::cluster(CLUSTER_NETWORK, "services"), format!("{n:0>16}"));
    if world.draws.chance(MILLION / 3) {
        return world.try_delete(host, &table, &key);
    }
    let by_address = world.draws.chance(MILLION / 2);
    let vip: IpAddr = Ipv4Addr::new(10, 1, 0, u8::try_from(n).unwrap_or(0)).into();
    let record = ServiceRecord {
        vips: if by_address { vec![vip] } else { Vec::new() },
        created_us: world.fabric.clocks(host).wall.unix_secs() * 1_000_000,
        ..ServiceRecord::new(
            world.name(&format!("s{name}"))?,
            ID,
            if by_address { ServiceMode::Vip } else { ServiceMode::DnsRr },
        )
    };
    world.try_put(host, &table, &key, &written(&record))
}

fn record(world: &World, n: u16, local: Local) -> Outcome<EndpointRecord> {
    let [high, low] = n.to_be_bytes();
    let net = format!("10.0.{high}.{low}/16");
    let net = net.parse().map_err(|_| world.broken("script", format!("{net} is no prefix")))?;
    let name = world.name(&format!("e{n}"))?;
    let mut backend = None;
    if let Some((service, state)) = local.serves {
        let service = world.name(&format!("s{service}"))?;
        backend = Some(Backend { state, weight: n % 4, ..Backend::new(service, name.clone()) });
    }
    Ok(EndpointRecord {
        network: ID,
        name,
        // Some share one.
        aliases: vec![world.name(&format!("a{}", n % 7))?],
        addresses: vec![net],
        mac: Mac([2, 0, 0, 0, high, low]),
        sandbox: String::new(),
        tunnels: Vec::new(),
        moves: 0,
        mtu: 1450,
        backend,
    })
}

fn endpoints() -> Table {
    Table::owner(&ID.to_string(), "endpoints")
}

fn key(n: u16) -> String {
    format!("{n:0>16}")
}

impl Hosts {
    fn attach(&mut self, world: &mut World, host: usize) {
        let serves = world.draws.chance(MILLION / 3 * 2);
        let serves = serves.then(|| (world.draws.below(SERVICES), BackendState::Ready));
        let Some(locals) = self.endpoints.get_mut(host) else { return };
        if world.is_running(host) && locals.len() < MOST {
            locals.insert(self.next, Local { serves, published: false });
            self.next += 1;
        }
    }

    fn some(&self, world: &mut World, host: usize) -> Option<u16> {
        let own: Vec<u16> = self.endpoints.get(host)?.keys().copied().collect();
        world.draws.pick(&own).copied()
    }

    fn detach(&mut self, world: &mut World, host: usize) -> Outcome {
        let Some(n) = self.some(world, host) else { return Ok(()) };
        let locals = self.endpoints.get_mut(host);
        let Some(local) = locals.as_ref().and_then(|locals| locals.get(&n)) else { return Ok(()) };
        // A node that starts refuses for a moment.
        let deleted = world.write(host, &endpoints(), Operation::Delete, &key(n), "")?.is_ok();
        if deleted || !local.published {
            locals.and_then(|locals| locals.remove(&n));
        }
        Ok(())
    }

    fn drain(&mut self, world: &mut World, host: usize) {
        let Some(n) = self.some(world, host) else { return };
        let local = self.endpoints.get_mut(host).and_then(|locals| locals.get_mut(&n));
        if let Some(Local { serves: Some((_, state)), published }) = local {
            let drains = *state == BackendState::Draining;
            *state = if drains { BackendState::Ready } else { BackendState::Draining };
            *published = false;
        }
    }

    /// Writes the rows that are not out as they are. Whether all are now.
    fn publish(&mut self, world: &mut World) -> Outcome<bool> {
        let mut done = true;
        for host in world.running() {
            let own = self.endpoints.get(host).cloned().unwrap_or_default();
            let mut all = true;
            for (n, local) in own.iter().filter(|(_, local)| !local.published) {
                let value = written(&record(world, *n, *local)?);
                let out = world.write(host, &endpoints(), Operation::Upsert, &key(*n), &value)?;
                let locals = self.endpoints.get_mut(host);
                if let Some(local) = locals.and_then(|locals| locals.get_mut(n)) {
                    local.published = out.is_ok();
                }
                all &= out.is_ok();
            }
            if all && self.anew.contains(&host) {
                let name = world.name(&ID.to_string())?;
                all = world.on(host, |node, now| node.mark_complete(now, &name).is_ok())?;
            }
            if all {
                self.anew.remove(&host);
            }
            done &= all;
        }
        Ok(done)
    }

    fn publish_all(&mut self, world: &mut World) -> Outcome {
        let since = world.now();
        while !self.publish(world)? {
            if world.now().since(since) > LIVENESS {
                return Err(world.broken("script", "rows are refused"));
            }
            world.run_for(Duration::from_millis(50))?;
        }
        Ok(())
    }
}
