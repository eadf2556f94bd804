//! Clocks that are wrong, drift and jump: no node goes mute, none blocks the others.
//!
//! In one scenario all are off by less than the minute that stamps may be ahead, in the other one node
//! is off by much more.

use std::time::Duration;

use super::{Scenario, start_attached, untuned};
use crate::{
    broken::Outcome,
    seed::MILLION,
    world::{Table, World},
};

pub(super) const SKEW: Scenario = Scenario {
    name: "clock-skew",
    about: "all clocks off by up to 25 s, drifting and jumping: every write replaces the one before",
    nodes: 10,
    tune: untuned,
    run: skew,
};

pub(super) const OFF: Scenario = Scenario {
    name: "clock-off",
    about: "one clock off by up to half an hour: the node is not mute and blocks nobody",
    nodes: 10,
    tune: untuned,
    run: off,
};

const WRITES: usize = 200;

fn skew(world: &mut World) -> Outcome {
    for host in 0..world.hosts().len() {
        let off = Duration::from_millis(world.draws.below(25_000));
        let back = world.draws.chance(MILLION / 2);
        world.jump_clock(host, off, back);
        let ppm = i32::try_from(world.draws.below(400)).unwrap_or(0) - 200;
        world.drift_clock(host, ppm)?;
    }
    replace_each_other(world, |world, n| {
        if n % 20 == 19 {
            let host = world.draws.index(world.hosts().len());
            let by = Duration::from_millis(world.draws.below(10_000));
            let back = world.draws.chance(MILLION / 2);
            world.jump_clock(host, by, back);
        }
    })
}

fn off(world: &mut World) -> Outcome {
    let host = world.draws.index(world.hosts().len());
    let off = Duration::from_secs(world.draws.between(90, 1800));
    let back = world.draws.chance(MILLION / 2);
    world.jump_clock(host, off, back);
    replace_each_other(world, |_, _| {})
}

/// Writes by random nodes to a few keys; each is waited for, and must then stand everywhere.
fn replace_each_other(world: &mut World, between: impl Fn(&mut World, usize)) -> Outcome {
    let table = Table::cluster("net", "services");
    start_attached(world)?;
    for n in 0..WRITES {
        let host = world.draws.index(world.hosts().len());
        world.timed_put(host, &table, &format!("service-{}", n % 7), &format!("{n} by {host}"))?;
        world.await_timed("a write seen by all", Duration::from_secs(10))?;
        between(world, n);
        world.run_for_between(1, 500_000)?;
    }
    Ok(())
}
