//! A network that is full already: a fresh node attaches to it, and what it costs when nothing happens.

use std::time::Duration;

use super::{Scenario, calm, idle, short_value};
use crate::{
    broken::Outcome,
    world::{Table, World},
};

pub(super) const JOIN: Scenario = Scenario {
    name: "join-populated",
    about: "a fresh node attaches to a network of 10,000 rows of 100 bytes",
    nodes: 25,
    tune: calm,
    run: join,
};

pub(super) const IDLE: Scenario = Scenario {
    name: "idle-populated",
    about: "five minutes in which nothing happens to a network of 10,000 rows: bytes per node",
    nodes: 25,
    tune: calm,
    run: |world| {
        let hosts = world.hosts().len();
        populate(world, hosts)?;
        idle::measure(world)
    },
};

const ROWS: usize = 10_000;

/// A network of the first `hosts` hosts with all rows.
fn populate(world: &mut World, hosts: usize) -> Outcome {
    let table = Table::owner("net", "endpoints");
    world.start()?;
    for host in 0..hosts {
        world.attach(host, "net")?;
    }
    world.settle(Duration::from_secs(30))?;
    for n in 0..ROWS {
        world.put(n % hosts, &table, &format!("endpoint-{n:07}"), &short_value(n))?;
        if n % 500 == 499 {
            world.run_for(Duration::from_millis(50))?;
        }
    }
    world.settle(Duration::from_mins(1)).map(|_| ())
}

fn join(world: &mut World) -> Outcome {
    let last = world.hosts().len() - 1;
    populate(world, last)?;
    let before = world.bytes_sent();
    world.attach(last, "net")?;
    let took = world.await_agreement("net", Duration::from_secs(30))?;
    world.figures.time("fresh node in sync", took);
    let sent = world.bytes_sent() - before;
    world.figures.number("bytes sent in all", sent);
    Ok(())
}
