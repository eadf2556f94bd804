//! Writes while something is wrong that nobody has noticed yet: dead inner nodes, a one-way cut.

use std::time::Duration;

use super::{Scenario, start_attached, untuned, value};
use crate::{
    broken::Outcome,
    world::{Stop, Table, World},
};

pub(super) const KILL: Scenario = Scenario {
    name: "kill-writes",
    about: "a twentieth of the nodes goes dark at once, the others write during the next 2 s: all see it soon",
    nodes: 100,
    tune: untuned,
    run: kill,
};

pub(super) const CUT: Scenario = Scenario {
    name: "one-way-cut",
    about: "one node can't reach one other, writes meanwhile: all see them soon",
    nodes: 100,
    tune: untuned,
    run: cut,
};

const SAMPLES: usize = 200;
/// How long the writes after the kill go on.
const UNNOTICED: Duration = Duration::from_secs(2);
/// Cuts, one after the other, and writes under each.
const CUTS: usize = 20;
const LIMIT: Duration = Duration::from_secs(30);

fn some_write(world: &mut World, table: &Table, n: usize) -> Outcome {
    let hosts = world.running();
    let host = world.draws.pick(&hosts).copied().unwrap_or(0);
    world.timed_put(host, table, &format!("endpoint-{n:07}"), &value(n))
}

fn kill(world: &mut World) -> Outcome {
    let table = Table::owner("net", "endpoints");
    start_attached(world)?;
    let mut hosts = world.running();
    world.draws.shuffle(&mut hosts);
    hosts.truncate((hosts.len() / 20).max(1));
    for host in hosts {
        world.stop(host, Stop::PowerOff)?;
    }
    for n in 0..SAMPLES {
        some_write(world, &table, n)?;
        world.run_for(UNNOTICED / u32::try_from(SAMPLES).unwrap_or(1))?;
    }
    world.await_timed("written after a kill, seen by all survivors", LIMIT)
}

fn cut(world: &mut World) -> Outcome {
    let table = Table::owner("net", "endpoints");
    start_attached(world)?;
    for round in 0..CUTS {
        let mut hosts = world.running();
        world.draws.shuffle(&mut hosts);
        let &[low, high, ..] = hosts.as_slice() else { return Ok(()) };
        let (low, high) = (low.min(high), low.max(high));
        // A pair has a lower and a higher index; the cut goes one way, then in another pair the other.
        let (from, to) = if round % 2 == 0 { (low, high) } else { (high, low) };
        world.cut(from, to);
        for n in 0..SAMPLES / CUTS {
            some_write(world, &table, round * SAMPLES / CUTS + n)?;
            world.run_for_between(1, 400_000)?;
        }
        world.await_timed("written under a one-way cut, seen by all", LIMIT)?;
        world.heal();
        world.run_for(Duration::from_secs(5))?;
    }
    Ok(())
}
