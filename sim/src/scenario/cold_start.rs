//! All nodes of a cluster that was founded long ago start at once.

use std::time::Duration;

use super::{Scenario, untuned, value};
use crate::{
    broken::Outcome,
    world::{Disk, Stop, Table, World},
};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "cold-start",
    about: "all nodes start at one moment, joined long ago: how long until all are in sync",
    nodes: 25,
    tune: untuned,
    run,
};

/// How long nobody was up: short enough that no key is due to be changed, which would take longer.
const OFF: Duration = Duration::from_hours(1);
const ROWS: usize = 4;

fn run(world: &mut World) -> Outcome {
    let (shared, own) = (Table::cluster("net", "services"), Table::owner("net", "endpoints"));
    world.start()?;
    world.attach_all("net")?;
    let hosts = world.running();
    for host in &hosts {
        for n in 0..ROWS {
            world.put(*host, &shared, &format!("service-{host}-{n}"), &value(n))?;
        }
    }
    world.settle(Duration::from_secs(30))?;
    for host in &hosts {
        world.stop(*host, Stop::PowerOff)?;
    }
    world.run_for(OFF)?;
    for host in &hosts {
        world.restart(*host, Disk::Kept)?;
    }
    let took = world.settle(Duration::from_mins(2))?;
    world.figures.time("all started, all in sync", took);
    for host in &hosts {
        for n in 0..ROWS {
            world.timed_put(*host, &own, &format!("endpoint-{n:07}"), &value(n))?;
        }
    }
    world.await_timed("all started, all rows seen by all", Duration::from_secs(30))
}
