//! A fresh node attaches to a network that is full already.

use std::time::Duration;

use super::{Scenario, calm, value};
use crate::{
    broken::Outcome,
    world::{Table, World},
};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "join-populated",
    about: "a fresh node attaches to a network of 10,000 rows",
    nodes: 25,
    tune: calm,
    run,
};

const ROWS: usize = 10_000;

fn run(world: &mut World) -> Outcome {
    let table = Table::owner("net", "endpoints");
    world.start()?;
    let last = world.hosts().len() - 1;
    for host in 0..last {
        world.attach(host, "net")?;
    }
    world.settle(Duration::from_secs(30))?;
    for n in 0..ROWS {
        world.put(n % last, &table, &format!("endpoint-{n:07}"), &value(n))?;
        if n % 500 == 499 {
            world.run_for(Duration::from_millis(50))?;
        }
    }
    world.settle(Duration::from_mins(1))?;
    let before = world.bytes_sent();
    world.attach(last, "net")?;
    let name = world.name("net")?;
    let synced = world.await_until("convergence", Duration::from_secs(30), |world| {
        let info = world.network_info(last, &name);
        let done = info.is_some_and(|info| info.synced && info.entries >= ROWS);
        (!done).then(|| "the fresh node is not in sync".into())
    })?;
    world.figures.time("fresh node in sync", synced);
    let sent = world.bytes_sent() - before;
    world.figures.number("bytes sent in all", sent);
    Ok(())
}
