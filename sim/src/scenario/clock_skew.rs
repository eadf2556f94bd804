//! Clocks that are wrong, drift and jump: no node goes mute, none blocks the others.

use std::time::Duration;

use super::{Scenario, untuned};
use crate::{
    broken::Outcome,
    seed::MILLION,
    world::{Table, World},
};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "clock-skew",
    about: "clocks off by up to half an hour, drifting and jumping: every write replaces the one before",
    nodes: 10,
    tune: untuned,
    run,
};

const WRITES: usize = 200;

fn run(world: &mut World) -> Outcome {
    let table = Table::cluster("net", "services");
    for host in 0..world.hosts().len() {
        let off = Duration::from_secs(world.draws.below(1800));
        let back = world.draws.chance(MILLION / 2);
        world.jump_clock(host, off, back);
        let ppm = i32::try_from(world.draws.below(400)).unwrap_or(0) - 200;
        world.drift_clock(host, ppm)?;
    }
    world.start()?;
    world.attach_all("net")?;
    world.settle(Duration::from_secs(30))?;
    for n in 0..WRITES {
        let host = world.draws.index(world.hosts().len());
        world.timed_put(host, &table, &format!("service-{}", n % 7), &format!("{n} by {host}"))?;
        world.await_timed("a write seen by all", Duration::from_secs(10))?;
        if n % 20 == 19 {
            let host = world.draws.index(world.hosts().len());
            let by = Duration::from_secs(world.draws.below(20));
            let back = world.draws.chance(MILLION / 2);
            world.jump_clock(host, by, back);
        }
        let gap = world.draws.between(1, 500_000);
        world.run_for(Duration::from_micros(gap))?;
    }
    Ok(())
}
