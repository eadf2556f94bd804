//! Ten thousand rows from one node at once.

use std::time::Duration;

use super::{Scenario, untuned, value};
use crate::{
    broken::Outcome,
    world::{Table, World},
};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "burst",
    about: "10,000 rows of 100 bytes written by one node at once",
    nodes: 25,
    tune: untuned,
    run,
};

const ROWS: usize = 10_000;

fn run(world: &mut World) -> Outcome {
    let table = Table::owner("net", "endpoints");
    world.start()?;
    world.attach_all("net")?;
    world.settle(Duration::from_secs(30))?;
    let before = world.bytes_sent();
    for n in 0..ROWS {
        world.put(0, &table, &format!("endpoint-{n:07}"), &value(n))?;
    }
    let took = world.await_converged(Duration::from_mins(1))?;
    world.figures.time("all rows held by all", took);
    let sent = world.bytes_sent() - before;
    world.figures.number("bytes sent in all", sent);
    Ok(())
}
