//! Nodes attach to a network and detach from it, one at a time, while the others go on.

use std::time::Duration;

use super::{Scenario, calm, value};
use crate::{
    broken::Outcome,
    world::{Table, World},
};

pub(super) const JOIN: Scenario = Scenario {
    name: "join-network",
    about: "nodes attach to a network of a few rows, one at a time: how long until they hold it",
    nodes: 10,
    tune: calm,
    run: join,
};

pub(super) const WRITE: Scenario = Scenario {
    name: "write-after-join",
    about: "nodes attach and write at once: how long until every node sees the row",
    nodes: 10,
    tune: calm,
    run: write,
};

pub(super) const LEAVE: Scenario = Scenario {
    name: "leave-network",
    about: "nodes detach from a network: how long until no node shows their rows",
    nodes: 10,
    tune: calm,
    run: leave,
};

const SAMPLES: usize = 200;
const LIMIT: Duration = Duration::from_secs(10);

/// Everybody but the last host is attached and has a row.
fn prepare(world: &mut World) -> Outcome<(Table, usize)> {
    let table = Table::owner("net", "endpoints");
    world.start()?;
    let last = world.hosts().len() - 1;
    for host in 0..last {
        world.attach(host, "net")?;
        world.put(host, &table, "endpoint-0000000", &value(host))?;
    }
    world.settle(Duration::from_secs(30))?;
    Ok((table, last))
}

/// The next host to detach, so that another one can attach.
fn next(world: &mut World, joined: usize) -> Outcome<usize> {
    let others = world.hosts().len() - 1;
    let host = (joined + 1 + world.draws.index(others)) % world.hosts().len();
    rest(world)?;
    world.detach(host, "net")?;
    rest(world)?;
    Ok(host)
}

fn rest(world: &mut World) -> Outcome {
    world.run_for_between(10_000, 1_000_000)
}

fn join(world: &mut World) -> Outcome {
    let (table, mut host) = prepare(world)?;
    for _ in 0..SAMPLES {
        world.attach(host, "net")?;
        let took = world.await_agreement("net", LIMIT)?;
        world.figures.time("attached and in sync", took);
        world.put(host, &table, "endpoint-0000000", &value(host))?;
        host = next(world, host)?;
    }
    Ok(())
}

fn write(world: &mut World) -> Outcome {
    let (table, mut host) = prepare(world)?;
    for n in 0..SAMPLES {
        world.attach(host, "net")?;
        world.timed_put(host, &table, "endpoint-0000000", &value(n))?;
        world.await_timed("written after joining, seen by all", LIMIT)?;
        host = next(world, host)?;
    }
    Ok(())
}

fn leave(world: &mut World) -> Outcome {
    let (table, mut host) = prepare(world)?;
    for n in 0..SAMPLES * 2 {
        world.attach(host, "net")?;
        world.timed_put(host, &table, "endpoint-0000000", &value(n))?;
        world.await_timed("attached, a row seen by all", LIMIT)?;
        rest(world)?;
        let joined = host;
        host = (host + 1 + world.draws.index(world.hosts().len() - 1)) % world.hosts().len();
        let row = world.row_of(host, &table, "endpoint-0000000")?;
        if n % 2 == 0 {
            world.detach(host, "net")?;
            world.time_gone_everywhere(&table, &row)?;
            world.await_timed("rows gone from all views", LIMIT)?;
        } else {
            // The writer still takes the one that leaves for one who passes things on.
            world.put(joined, &table, "endpoint-0000001", &value(n))?;
            world.detach(host, "net")?;
            let row = world.row_of(joined, &table, "endpoint-0000001")?;
            world.time_write(&table, &row, &value(n))?;
            world.await_timed("written while a node detaches, seen by all", LIMIT)?;
        }
        rest(world)?;
    }
    Ok(())
}
