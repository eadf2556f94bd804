//! One write, seen by all: the latency of a push.

use std::time::Duration;

use super::{Scenario, calm, value};
use crate::{
    broken::Outcome,
    world::{Table, World},
};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "create",
    about: "single writes by random nodes: how long until every node sees one",
    nodes: 10,
    tune: calm,
    run,
};

const WRITES: usize = 200;

fn run(world: &mut World) -> Outcome {
    let table = Table::owner("net", "endpoints");
    world.start()?;
    world.attach_all("net")?;
    world.settle(Duration::from_secs(30))?;
    for n in 0..WRITES {
        let writer = world.draws.index(world.hosts().len());
        world.timed_put(writer, &table, &format!("endpoint-{n:07}"), &value(n))?;
        world.await_timed("one write seen by all", Duration::from_secs(10))?;
        let gap = world.draws.between(1, 50_000);
        world.run_for(Duration::from_micros(gap))?;
    }
    Ok(())
}
