//! All nodes are killed at once and start again: the cluster finds together, and `Cluster` rows are there.

use std::time::Duration;

use super::{Scenario, untuned, value};
use crate::{
    broken::Outcome,
    world::{Disk, Stop, Table, World},
};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "all-restart",
    about: "every node is killed at once and starts again: nothing acknowledged is lost",
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
        for n in 0..ROWS {
            world.put(*host, &shared, &format!("{host}-{n}"), &value(n))?;
            world.put(*host, &own, &format!("{host}-{n}"), &value(n))?;
        }
    }
    world.settle(Duration::from_secs(30))?;
    for host in &hosts {
        world.delete(*host, &shared, &format!("{host}-0"))?;
    }
    world.run_for(Duration::from_millis(100))?;
    let powered_off = world.draws.chance(crate::seed::MILLION / 2);
    for host in &hosts {
        world.stop(*host, if powered_off { Stop::PowerOff } else { Stop::Kill })?;
    }
    world.run_for(Duration::from_secs(5))?;
    for host in &hosts {
        world.run_for_between(0, 500_000)?;
        world.restart(*host, Disk::Kept)?;
    }
    let up = world.now();
    for host in &hosts {
        world.await_ready(*host)?;
        for n in 0..ROWS {
            world.put(*host, &own, &format!("{host}-{n}"), &value(n))?;
        }
        world.mark_complete(*host, "net")?;
    }
    world.settle(Duration::from_secs(90))?;
    let took = world.now().since(up);
    world.figures.time("all up, all agree", took);
    Ok(())
}
