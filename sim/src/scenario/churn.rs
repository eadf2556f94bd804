//! A random mix of everything, drawn from the seed: a safety phase with faults, then a liveness phase.

use std::time::Duration;

use super::{Scenario, value};
use crate::{
    broken::Outcome,
    seed::MILLION,
    world::{Disk, Options, Stop, Table, World},
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
/// Keys per table, few enough to collide.
const KEYS: u64 = 40;

/// Faults of the links come from the seed as well.
fn tune(options: &mut Options) {
    let mut draws = options.seed.stream("churn links", 0);
    let mut up_to = |most: u64| u32::try_from(draws.below(most)).unwrap_or(0);
    options.link.loss = options.link.loss.max(up_to(2) * up_to(100_000));
    options.link.duplicate = up_to(2) * up_to(50_000);
    options.link.reorder = up_to(2) * up_to(100_000);
    options.config.key_retire_after = Duration::from_secs(10);
}

fn run(world: &mut World) -> Outcome {
    let loss = world.fabric.topology.link.loss;
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
        step(world)?;
        let pause = world.draws.below(300_000);
        world.run_for(Duration::from_micros(pause))?;
    }

    world.heal();
    world.set_loss(loss);
    for host in 0..world.hosts().len() {
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

/// One random thing.
fn step(world: &mut World) -> Outcome {
    let host = world.draws.index(world.hosts().len());
    match world.draws.below(100) {
        0..60 => writes(world, host),
        60..64 => kill(world, host),
        64..76 => revive(world, host),
        76..79 => {
            split(world);
            Ok(())
        }
        79..85 => {
            world.heal();
            Ok(())
        }
        85..87 => {
            let other = world.draws.index(world.hosts().len());
            if other != host {
                world.cut(host, other);
            }
            Ok(())
        }
        87..90 => {
            let span = world.draws.between(50, 8_000);
            world.pause(host, Duration::from_millis(span));
            Ok(())
        }
        90..92 => {
            let by = Duration::from_millis(world.draws.below(30_000));
            let back = world.draws.chance(MILLION / 2);
            world.jump_clock(host, by, back);
            Ok(())
        }
        92..95 => membership(world, host),
        95 => {
            let loss = u32::try_from(world.draws.below(250_000)).unwrap_or(0);
            world.set_loss(loss);
            Ok(())
        }
        96 => {
            let full = world.draws.chance(MILLION / 2);
            world.stall_disk(host, full);
            Ok(())
        }
        97 => {
            world.copy_disk(host);
            Ok(())
        }
        // A refusal (one is under way) is as good.
        98 if world.is_running(host) => {
            world.on(host, |node, now| node.rotate(now).is_ok()).map(|_| ())
        }
        _ => Ok(()),
    }
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
    // generation twice. Peers tell, but what was written by then has one dot with two contents.
    let above = world.fabric.clocks(host).wall.unix_secs() > entry.generation.0;
    let disk = match world.draws.below(10) {
        0 if copied && above => Disk::Older,
        1 if above && !world.fabric.cuts.any() => Disk::Wiped,
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
