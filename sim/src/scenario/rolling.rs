//! Every node is restarted in turn, as an upgrade does it, while others write.

use std::time::Duration;

use super::{Scenario, untuned, value};
use crate::{
    broken::Outcome,
    world::{Disk, Stop, Table, World},
};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "rolling-restart",
    about: "every node is restarted in turn, writes go on: no row of a restarted node leaves a view",
    nodes: 10,
    tune: untuned,
    run,
};

const ROWS: usize = 20;

fn run(world: &mut World) -> Outcome {
    let (shared, own) = (Table::cluster("net", "services"), Table::owner("net", "endpoints"));
    world.start()?;
    world.attach_all("net")?;
    let hosts = world.running();
    for host in &hosts {
        publish(world, *host, &own)?;
    }
    world.settle(Duration::from_secs(30))?;
    for host in &hosts {
        let row = world.row_of(*host, &own, "endpoint-0000000")?;
        world.stop(*host, Stop::Terminate)?;
        let writers = world.running();
        for n in 0..ROWS {
            let writer = world.draws.pick(&writers).copied().unwrap_or(0);
            world.timed_put(writer, &shared, &format!("service-{n}"), &value(*host))?;
            world.run_for_between(1, 100_000)?;
        }
        world.await_timed("written during a restart, seen by all", Duration::from_secs(10))?;
        stays(world, &writers, &row)?;
        world.restart(*host, Disk::Kept)?;
        world.await_ready(*host)?;
        publish(world, *host, &own)?;
        world.mark_complete(*host, "net")?;
        let took = world.await_agreement("net", Duration::from_secs(30))?;
        world.figures.time("restarted, all agree", took);
        stays(world, &writers, &row)?;
    }
    Ok(())
}

fn publish(world: &mut World, host: usize, own: &Table) -> Outcome {
    for n in 0..ROWS {
        world.put(host, own, &format!("endpoint-{n:07}"), &value(n))?;
    }
    Ok(())
}

/// The row of a node that restarts stays in view.
fn stays(world: &World, hosts: &[usize], row: &netdb_core::entry::RowKey) -> Outcome {
    let network = world.name("net")?;
    match hosts.iter().find(|host| !world.rows_of(**host, &network).contains_key(row)) {
        None => Ok(()),
        Some(host) => {
            let key = crate::check::replay::key_words(&row.key);
            Err(world.broken("restart without events", format!("n{host} does not show {key}")))
        }
    }
}
