//! Truly concurrent writes of one key: all nodes settle on one of them.

use std::time::Duration;

use super::{Scenario, calm};
use crate::{
    broken::Outcome,
    world::{Table, World},
};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "concurrent",
    about: "100 pairs of concurrent writes of one key: every node settles on the same one",
    nodes: 10,
    tune: calm,
    run,
};

const PAIRS: usize = 100;

fn run(world: &mut World) -> Outcome {
    let table = Table::cluster("net", "services");
    world.start()?;
    world.attach_all("net")?;
    world.settle(Duration::from_secs(30))?;
    for n in 0..PAIRS {
        let mut hosts = world.running();
        world.draws.shuffle(&mut hosts);
        for host in hosts.iter().take(2) {
            world.put(*host, &table, &format!("service-{n}"), &format!("by {host}"))?;
        }
        let gap = world.draws.between(0, 20_000);
        world.run_for(Duration::from_micros(gap))?;
    }
    let took = world.await_converged(Duration::from_secs(30))?;
    world.figures.time("last pair, all agree", took);
    Ok(())
}
