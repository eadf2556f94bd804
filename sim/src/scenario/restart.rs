//! A node restarts within a second and publishes what it had: nobody elsewhere sees an event.

use std::time::Duration;

use super::{Scenario, untuned, value};
use crate::{
    broken::Outcome,
    world::{Disk, Stop, Table, World},
};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "restart",
    about: "SIGTERM and kill -9, back within a second, 400 rows published again: no event elsewhere",
    nodes: 10,
    tune: untuned,
    run,
};

const ROWS: usize = 400;

fn run(world: &mut World) -> Outcome {
    let table = Table::owner("net", "endpoints");
    world.start()?;
    world.attach_all("net")?;
    for n in 0..ROWS {
        world.put(1, &table, &format!("endpoint-{n}"), &value(n))?;
    }
    world.settle(Duration::from_secs(30))?;
    for how in [Stop::Terminate, Stop::Kill, Stop::Terminate, Stop::Kill] {
        once(world, &table, how)?;
    }
    Ok(())
}

fn once(world: &mut World, table: &Table, how: Stop) -> Outcome {
    let before = changes(world);
    world.stop(1, how)?;
    world.run_for_between(100_000, 900_000)?;
    world.restart(1, Disk::Kept)?;
    world.await_ready(1)?;
    for n in 0..ROWS {
        world.put(1, table, &format!("endpoint-{n}"), &value(n))?;
    }
    world.mark_complete(1, "net")?;
    let took = world.await_agreement("net", Duration::from_mins(1))?;
    world.figures.time("restarted, all agree", took);
    world.settle(Duration::from_mins(1))?;
    // What is replaced must still be there when the node is no longer given time.
    world.run_for(Duration::from_secs(15))?;
    let seen = changes(world) - before;
    let earlier = world.figures.numbers().get("events elsewhere").copied().unwrap_or(0);
    world.figures.number("events elsewhere", earlier + seen);
    if seen > 0 {
        return Err(
            world.broken("restart without events", format!("{how:?}: {seen} events elsewhere"))
        );
    }
    Ok(())
}

/// Events in the network that any other node's watcher was told, changes of the owner's state apart.
fn changes(world: &World) -> u64 {
    let others = world.running().into_iter().filter(|host| *host != 1);
    others.filter_map(|host| world.view(host)).map(|view| view.changes("net")).sum()
}
