//! A random mix of everything, drawn from the seed: a safety phase with faults, then a liveness phase.

use std::time::Duration;

use super::{Scenario, value};
use crate::{
    broken::Outcome,
    seed::MILLION,
    world::{Disk, Options, Stop, Table, World, weather::Bursts},
};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "churn",
    about: "two minutes of random writes and faults of every kind, then all must agree",
    nodes: 10,
    tune,
    run,
};

const SAFETY: Duration = Duration::from_mins(2);
const LIVENESS: Duration = Duration::from_mins(3);
const NETWORKS: [&str; 3] = ["red", "green", "blue"];
/// How many nodes a rolling restart takes in turn.
const ROLLED: usize = 4;
/// Keys per table, few enough to collide.
const KEYS: u64 = 40;

/// What happens besides writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Write,
    Revive,
    Heal,
    Kill,
    Split,
    Cut,
    Flap,
    Clog,
    Bursts,
    Loss,
    Nat,
    Pause,
    Slow,
    Clock,
    Membership,
    Disk,
    Copy,
    Rotate,
    Rolling,
}

/// Faults, and how often each comes at most, as a part of what happens.
const FAULTS: [(Kind, u64); 16] = [
    (Kind::Kill, 8),
    (Kind::Split, 6),
    (Kind::Cut, 4),
    (Kind::Flap, 4),
    (Kind::Clog, 6),
    (Kind::Bursts, 3),
    (Kind::Loss, 2),
    (Kind::Nat, 3),
    (Kind::Pause, 6),
    (Kind::Slow, 6),
    (Kind::Clock, 4),
    (Kind::Membership, 6),
    (Kind::Disk, 2),
    (Kind::Copy, 2),
    (Kind::Rotate, 2),
    (Kind::Rolling, 1),
];

/// What the links are like comes from the seed as well.
fn tune(options: &mut Options) {
    let mut draws = options.seed.stream("churn links", 0);
    let mut up_to = |most: u64| u32::try_from(draws.below(most)).unwrap_or(0);
    options.link.loss = options.link.loss.max(up_to(2) * up_to(100_000));
    options.link.duplicate = up_to(2) * up_to(50_000);
    options.link.reorder = up_to(2) * up_to(100_000);
    options.config.key_retire_after = Duration::from_secs(10);
    let (seed, nodes) = (options.seed.0, options.nodes);
    let elsewhere = match draws.below(4) {
        0 => Options::multi_zone(seed, nodes),
        1 => Options::wan(seed, nodes),
        _ => return,
    };
    // Whoever asks for a delay gets that one.
    if options.link.latency == Options::lan(seed, nodes).link.latency {
        options.link.latency = elsewhere.link.latency;
        options.between = elsewhere.between;
        options.rate = elsewhere.rate;
        options.config.gossip = elsewhere.config.gossip;
        options.config.compare_interval = elsewhere.config.compare_interval;
        options.config.compare_interval_max = elsewhere.config.compare_interval_max;
    }
}

/// Which faults there are in this run, and how often, comes from the seed: two of three, more or less.
fn mix(world: &mut World) -> Vec<(Kind, u64)> {
    let mut mix = vec![(Kind::Write, 60), (Kind::Revive, 12), (Kind::Heal, 6)];
    for (kind, most) in FAULTS {
        if world.draws.chance(MILLION / 3 * 2) {
            mix.push((kind, world.draws.between(1, most)));
        }
    }
    world.note(format_args!("mix       {mix:?}"));
    mix
}

fn run(world: &mut World) -> Outcome {
    let loss = world.fabric.topology.link.loss;
    let mix = mix(world);
    world.start()?;
    for host in world.running() {
        for network in NETWORKS {
            if world.draws.chance(MILLION / 3 * 2) {
                world.attach(host, network)?;
            }
        }
    }
    let end = world.now() + SAFETY;
    while world.now() < end {
        let kind = pick(world, &mix);
        let host = world.draws.index(world.hosts().len());
        step(world, kind, host)?;
        world.run_for_between(0, 299_999)?;
    }

    world.heal();
    world.set_loss(loss);
    for host in 0..world.hosts().len() {
        world.slow_down(host, Duration::ZERO);
        world.stall_disk(host, false);
        revive(world, host)?;
    }
    // Who lost its disk could not join while nobody was up.
    world.run_for(Duration::from_secs(10))?;
    for host in 0..world.hosts().len() {
        revive(world, host)?;
    }
    let took = world.settle(LIVENESS)?;
    world.figures.time("faults over, all agree", took);
    Ok(())
}

fn pick(world: &mut World, mix: &[(Kind, u64)]) -> Kind {
    let mut at = world.draws.below(mix.iter().map(|(_, weight)| weight).sum());
    for (kind, weight) in mix {
        match at.checked_sub(*weight) {
            Some(rest) => at = rest,
            None => return *kind,
        }
    }
    Kind::Write
}

/// One random thing.
fn step(world: &mut World, kind: Kind, host: usize) -> Outcome {
    match kind {
        Kind::Write => return writes(world, host),
        Kind::Revive => return revive(world, host),
        Kind::Heal => world.heal(),
        Kind::Kill => return kill(world, host),
        Kind::Pause => {
            let span = world.draws.between(50, 8_000);
            world.pause(host, Duration::from_millis(span));
        }
        Kind::Slow => {
            let each = world.draws.below(2) * world.draws.between(100, 20_000);
            world.slow_down(host, Duration::from_micros(each));
        }
        Kind::Clock => {
            let by = Duration::from_millis(world.draws.below(30_000));
            let back = world.draws.chance(MILLION / 2);
            world.jump_clock(host, by, back);
        }
        Kind::Membership => return membership(world, host),
        Kind::Disk => {
            let full = world.draws.chance(MILLION / 2);
            world.stall_disk(host, full);
        }
        Kind::Copy => world.copy_disk(host),
        // A refusal (one is under way) is as good.
        Kind::Rotate if world.is_running(host) => {
            world.on(host, |node, now| node.rotate(now).is_ok())?;
        }
        Kind::Rotate => {}
        Kind::Rolling => return rolling(world),
        Kind::Split
        | Kind::Cut
        | Kind::Flap
        | Kind::Clog
        | Kind::Bursts
        | Kind::Loss
        | Kind::Nat => links(world, kind, host),
    }
    Ok(())
}

/// One random thing that happens to links.
fn links(world: &mut World, kind: Kind, host: usize) {
    let other = world.draws.index(world.hosts().len());
    match kind {
        Kind::Split => split(world),
        Kind::Cut if other != host => world.cut(host, other),
        Kind::Flap if other != host => {
            let span = Duration::from_millis(world.draws.between(10, 3_000));
            let times = world.draws.between(2, 10);
            world.flap(host, other, span, u32::try_from(times).unwrap_or(2));
        }
        Kind::Clog if other != host => {
            let span = world.draws.between(10, 5_000);
            world.clog(host, other, Duration::from_millis(span));
        }
        Kind::Bursts => {
            let well = Duration::from_millis(world.draws.between(500, 20_000));
            let bad = Duration::from_millis(world.draws.between(10, 3_000));
            let loss = u32::try_from(world.draws.between(300_000, 1_000_000)).unwrap_or(0);
            world.set_bursts(Some(Bursts { well, bad, loss }));
        }
        Kind::Loss => {
            let loss = u32::try_from(world.draws.below(250_000)).unwrap_or(0);
            world.set_loss(loss);
        }
        Kind::Nat => {
            let behind = world.draws.chance(MILLION / 2);
            world.set_nat(host, behind);
        }
        _ => {}
    }
}

/// Some nodes are restarted in good order, one after the other.
fn rolling(world: &mut World) -> Outcome {
    let mut hosts = world.running();
    world.draws.shuffle(&mut hosts);
    for host in hosts.into_iter().take(ROLLED) {
        // Something that was planned may have come between.
        if world.is_running(host) && world.running().len() > 2 {
            world.stop(host, Stop::Terminate)?;
            world.run_for_between(100_000, 2_000_000)?;
            world.restart(host, Disk::Kept)?;
            world.run_for_between(100_000, 2_000_000)?;
        }
    }
    Ok(())
}

fn some_network(world: &mut World) -> &'static str {
    world.draws.pick(&NETWORKS).copied().unwrap_or("red")
}

/// A few writes and deletes by one node, refused or not.
fn writes(world: &mut World, host: usize) -> Outcome {
    if !world.is_running(host) {
        return Ok(());
    }
    let network = some_network(world);
    let shared = world.draws.chance(MILLION / 2);
    let table = if shared {
        Table::cluster(network, "services")
    } else {
        Table::owner(network, "endpoints")
    };
    for _ in 0..world.draws.between(1, 8) {
        let key = format!("key-{}", world.draws.below(KEYS));
        if world.draws.chance(MILLION / 4) {
            world.try_delete(host, &table, &key)?;
        } else {
            let n = world.draws.index(1_000_000);
            world.try_put(host, &table, &key, &value(n))?;
        }
    }
    Ok(())
}

fn kill(world: &mut World, host: usize) -> Outcome {
    // Somebody must be left to tell the others.
    if !world.is_running(host) || world.running().len() <= 2 {
        return Ok(());
    }
    let how = match world.draws.below(8) {
        0..3 => Stop::Kill,
        3..5 => Stop::PowerOff,
        5..7 => Stop::Terminate,
        _ => Stop::ShutDown,
    };
    world.stop(host, how)
}

fn revive(world: &mut World, host: usize) -> Outcome {
    let Some(entry) = world.host(host) else { return Ok(()) };
    if entry.node().is_some() {
        return Ok(());
    }
    let copied = entry.copy.is_some();
    // A disk that forgets the last start, under a clock that is behind that start, gives out one
    // generation twice. Peers tell, but what was written by then has one dot with two contents. And whoever
    // lets in a host without a disk must be able to know what that host wrote before.
    let above = world.fabric.clocks(host).wall.unix_secs() > entry.generation.0;
    let disk = match world.draws.below(10) {
        0 if copied && above => Disk::Older,
        1 if above && !world.is_torn() => Disk::Wiped,
        _ => Disk::Kept,
    };
    world.restart(host, disk)
}

fn split(world: &mut World) {
    let mut hosts: Vec<usize> = (0..world.hosts().len()).collect();
    world.draws.shuffle(&mut hosts);
    let size = world.draws.index(hosts.len());
    hosts.truncate(size);
    world.partition(&[hosts]);
}

/// Attaches a node to a network, or detaches it.
fn membership(world: &mut World, host: usize) -> Outcome {
    if !world.is_running(host) {
        return Ok(());
    }
    let network = some_network(world);
    let name = world.name(network)?;
    let attached = world.network_info(host, &name).is_some();
    let starting = world.node(host).is_none_or(|node| node.info().member.generation.0 == 0);
    if starting {
        return Ok(());
    }
    if attached { world.try_detach(host, network) } else { world.try_attach(host, network) }
}
