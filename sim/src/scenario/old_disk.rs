//! An older copy of a node's disk is put back: it takes a new generation and harms nobody.

use std::time::Duration;

use super::{Scenario, untuned, value};
use crate::{
    broken::Outcome,
    world::{Disk, Stop, Table, World},
};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "old-disk",
    about: "a node starts from an older copy of its disk: nothing deleted returns, nothing is lost",
    nodes: 10,
    tune: untuned,
    run,
};

const ROWS: usize = 50;

fn run(world: &mut World) -> Outcome {
    let (shared, own) = (Table::cluster("net", "services"), Table::owner("net", "endpoints"));
    world.start()?;
    world.attach_all("net")?;
    for n in 0..ROWS {
        world.put(1, &shared, &format!("service-{n}"), &value(n))?;
        world.put(1, &own, &format!("endpoint-{n}"), &value(n))?;
    }
    world.settle(Duration::from_secs(30))?;
    world.copy_disk(1);
    for n in 0..ROWS / 2 {
        world.delete(1, &shared, &format!("service-{n}"))?;
        world.put(1, &shared, &format!("service-{}", n + ROWS), &value(n))?;
        world.put(2, &shared, &format!("service-{}", n + ROWS / 2), "replaced")?;
    }
    world.settle(Duration::from_secs(30))?;
    world.stop(1, Stop::Kill)?;
    // At once, while the others still take it for alive, or after it was found dead.
    let away = world.draws.below(2) * 20_000;
    world.run_for(Duration::from_millis(100 + away))?;
    world.restart(1, Disk::Older)?;
    world.await_ready(1)?;
    for n in 0..ROWS {
        world.put(1, &own, &format!("endpoint-{n}"), &value(n))?;
        world.put(1, &shared, &format!("late-{n}"), &value(n))?;
    }
    world.mark_complete(1, "net")?;
    let back = world.now();
    world.settle(Duration::from_mins(1))?;
    let took = world.now().since(back);
    world.figures.time("back, all agree", took);
    for n in 0..ROWS / 2 {
        world.expect_row(1, &shared, &format!("service-{n}"), false)?;
        world.expect_row(1, &shared, &format!("service-{}", n + ROWS), true)?;
    }
    Ok(())
}
