//! Addresses of one subnet, given and given back by all nodes while everything goes wrong.

use std::time::Duration;

use netnode_plan::ring::{Space, Wish};

use super::Scenario;
use crate::{
    broken::Outcome,
    check::numbers::Numbers,
    seed::MILLION,
    world::{Disk, Options, Stop, World},
};

pub(super) const CHURN: Scenario = Scenario {
    name: "addresses",
    about: "all nodes take and give back addresses under kills, partitions and loss: none twice",
    nodes: 10,
    tune,
    run: churn,
};

pub(super) const FULL: Scenario = Scenario {
    name: "addresses-full",
    about: "a subnet of which 99 % are in use: every last address is found, and full is full",
    nodes: 10,
    tune,
    run: full,
};

pub(super) const CROWD: Scenario = Scenario {
    name: "addresses-crowd",
    about: "99 % of a subnet in use by many nodes, under kills, partitions and loss: none twice, then full again",
    nodes: 25,
    tune,
    run: crowd,
};

const SAFETY: Duration = Duration::from_mins(3);
/// How long the faults last in a crowd: with a thousand nodes a second of it is long.
const CROWD_SAFETY: Duration = Duration::from_secs(30);
/// How long a crowd may take until 99 % are in use.
const FILLING: Duration = Duration::from_mins(10);
const LIVENESS: Duration = Duration::from_mins(20);

fn tune(options: &mut Options) {
    let mut draws = options.seed.stream("addresses links", 0);
    let lossy = u32::try_from(draws.below(2) * draws.below(100_000)).unwrap_or(0);
    options.link.loss = options.link.loss.max(lossy);
}

/// So many addresses for each node, with the network's own, a gateway and the broadcast among them.
fn subnet(world: &World, each: u128) -> Outcome<Space> {
    let nodes = u128::try_from(world.hosts().len()).unwrap_or(1);
    let size = nodes * each + 3;
    Space::new(size, 0..size, [0, 1, size - 1])
        .map_err(|what| world.broken("script", what.to_string()))
}

fn start(world: &mut World, each: u128) -> Outcome {
    world.start()?;
    let space = subnet(world, each)?;
    world.found_space(0, space)?;
    // Every node looks after its ring twice, and knows then that it is in sync.
    world.run_for(Duration::from_secs(21))?;
    for host in world.running() {
        world.with_ring(host, |ring, now| ring.acquire(now.mono))?;
        world.run_for(Duration::from_millis(20))?;
    }
    Ok(())
}

fn churn(world: &mut World) -> Outcome {
    let loss = world.fabric.topology.link.loss;
    start(world, 24)?;
    let end = world.now() + SAFETY;
    while world.now() < end {
        let host = world.draws.index(world.hosts().len());
        step(world, host)?;
        world.run_for_between(0, 199_999)?;
    }
    recover(world, loss)?;
    count_ranges(world);
    Ok(())
}

/// No faults any more, and everybody is back.
fn recover(world: &mut World, loss: u32) -> Outcome {
    world.heal();
    world.set_loss(loss);
    for host in 0..world.hosts().len() {
        revive(world, host)?;
    }
    let took = world.settle(LIVENESS)?;
    world.figures.time("faults over, every address has a holder", took);
    Ok(())
}

fn step(world: &mut World, host: usize) -> Outcome {
    match world.draws.below(100) {
        0..50 => world.take_number(host, Wish::Any),
        50..56 => {
            let size = world.numbers.as_ref().map_or(1, |numbers| numbers.space().size());
            let n = world.draws.below(u64::try_from(size).unwrap_or(u64::MAX));
            world.take_number(host, Wish::Exact(n.into()))
        }
        56..80 => world.release_number(host).map(drop),
        80..84 if world.is_running(host) && world.running().len() > 2 => {
            let how = if world.draws.chance(MILLION / 2) { Stop::Kill } else { Stop::PowerOff };
            world.stop(host, how)
        }
        84..92 => revive(world, host),
        92..94 => {
            let [half, _] = world.halves();
            world.partition(&[half]);
            Ok(())
        }
        94..96 => {
            world.heal();
            Ok(())
        }
        96 => {
            let loss = u32::try_from(world.draws.below(200_000)).unwrap_or(0);
            world.set_loss(loss);
            Ok(())
        }
        97 => {
            let span = Duration::from_millis(world.draws.between(50, 8_000));
            world.pause(host, span);
            Ok(())
        }
        _ => Ok(()),
    }
}

fn revive(world: &mut World, host: usize) -> Outcome {
    if world.is_running(host) { Ok(()) } else { world.restart(host, Disk::Kept) }
}

fn full(world: &mut World) -> Outcome {
    start(world, 100)?;
    let hosts = world.hosts().len();
    let dynamic = world.numbers.as_ref().map_or(0, |numbers| numbers.space().dynamic());
    let dynamic = usize::try_from(dynamic).unwrap_or(0);
    // Not evenly: some nodes need far more than their share.
    let used = |world: &World| world.numbers.as_ref().map_or(0, Numbers::used);
    while used(world) < dynamic * 99 / 100 {
        let most = hosts / 2 + 1;
        let among = if world.draws.chance(MILLION / 2) { most } else { hosts };
        let host = world.draws.index(among);
        world.take_number(host, Wish::Any)?;
        world.run_for_between(0, 20_000)?;
    }
    world.settle(LIVENESS)?;
    count_ranges(world);
    // One comes and one goes, and sometimes one more than there are.
    for _ in 0..300 {
        let host = world.draws.index(hosts);
        if world.draws.chance(MILLION / 2) {
            world.take_number(host, Wish::Any)?;
        } else {
            world.release_number(host)?;
        }
        world.run_for_between(0, 1_000_000)?;
    }
    let took = world.settle(LIVENESS)?;
    world.figures.time("changes over, every address has a holder", took);
    // Until nothing is left.
    world.run_for(Duration::from_mins(6))?;
    let left = dynamic - used(world);
    for n in 0..left + hosts {
        world.take_number(n % hosts, Wish::Any)?;
        world.run_for(Duration::from_secs(6))?;
    }
    if used(world) != dynamic {
        let what = format!("{} of {dynamic} are in use, and more were asked for", used(world));
        return Err(world.broken("one user per number", what));
    }
    world.settle(LIVENESS).map(drop)
}

fn crowd(world: &mut World) -> Outcome {
    let loss = world.fabric.topology.link.loss;
    start(world, 4)?;
    fill(world, "99 % in use", 2_000)?;
    let end = world.now() + CROWD_SAFETY;
    while world.now() < end {
        let host = world.draws.index(world.hosts().len());
        step(world, host)?;
        // At most a hundred steps a second, however many there are.
        world.run_for_between(0, 19_999)?;
    }
    recover(world, loss)?;
    fill(world, "99 % in use again", 40_000)?;
    let took = world.settle(LIVENESS)?;
    world.figures.time("full again, every address has a holder", took);
    count_ranges(world);
    Ok(())
}

/// Nodes take addresses, one in at most so many microseconds, until 99 % are in use; half of them take most.
fn fill(world: &mut World, called: &'static str, pace_us: u64) -> Outcome {
    let hosts = world.hosts().len();
    let used = |world: &World| world.numbers.as_ref().map_or(0, Numbers::used);
    let dynamic = world.numbers.as_ref().map_or(0, |numbers| numbers.space().dynamic());
    let wanted = usize::try_from(dynamic).unwrap_or(0) * 99 / 100;
    let since = world.now();
    while used(world) < wanted {
        if world.now().since(since) > FILLING {
            let what = format!("{} of {wanted} are in use after {FILLING:?}", used(world));
            return Err(world.broken("share", what));
        }
        let among = if world.draws.chance(MILLION / 2) { hosts / 2 + 1 } else { hosts };
        let host = world.draws.index(among);
        world.take_number(host, Wish::Any)?;
        // The last ones are looked for at many nodes, while others come back from their rest.
        let scarce = used(world) >= wanted * 9 / 10;
        world.run_for_between(0, if scarce { 200_000 } else { pace_us })?;
    }
    world.figures.time(called, world.now().since(since));
    Ok(())
}

fn count_ranges(world: &mut World) {
    let keeper = world.host(0).and_then(|host| host.keeper());
    let ranges = keeper.map_or(0, |keeper| keeper.ring().rows().count());
    world.figures.number("ranges", u64::try_from(ranges).unwrap_or(u64::MAX));
}
