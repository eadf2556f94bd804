//! Ten thousand rows at once: from one node, and from all.

use std::time::Duration;

use super::{Scenario, short_value, start_attached, untuned};
use crate::{
    broken::Outcome,
    world::{Table, World},
};

pub(super) const BURST: Scenario = Scenario {
    name: "burst",
    about: "10,000 rows of 100 bytes, key and value, written by one node at once",
    nodes: 25,
    tune: untuned,
    run: |world| run(world, ROWS, 1),
};

pub(super) const ALL_WRITE: Scenario = Scenario {
    name: "all-write",
    about: "every node writes 400 rows of 100 bytes at once",
    nodes: 25,
    tune: untuned,
    run: |world| {
        let hosts = world.hosts().len();
        run(world, ROWS_EACH, hosts)
    },
};

const ROWS: usize = 10_000;
const ROWS_EACH: usize = 400;

fn run(world: &mut World, rows: usize, writers: usize) -> Outcome {
    let table = Table::owner("net", "endpoints");
    start_attached(world)?;
    let before = world.bytes_sent();
    for host in 0..writers {
        for n in 0..rows {
            world.put(host, &table, &format!("endpoint-{n:07}"), &short_value(n))?;
        }
    }
    let took = world.await_agreement("net", Duration::from_mins(1))?;
    world.figures.time("all rows held by all", took);
    let sent = world.bytes_sent() - before;
    world.figures.number("bytes sent in all", sent);
    Ok(())
}
