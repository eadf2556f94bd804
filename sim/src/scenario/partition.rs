//! Two halves that don't hear each other for a minute, both written to; then they agree.

use std::time::Duration;

use super::{Scenario, untuned, value};
use crate::{
    broken::Outcome,
    world::{Table, World},
};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "partition",
    about: "60 s half/half, writes and deletes of both lifetimes on both sides; all agree after the heal",
    nodes: 25,
    tune: untuned,
    run,
};

const ROWS: usize = 40;
const WRITES: usize = 100;
const SPAN: Duration = Duration::from_mins(1);

fn run(world: &mut World) -> Outcome {
    let (shared, own) = (Table::cluster("net", "services"), Table::owner("net", "endpoints"));
    world.start()?;
    world.attach_all("net")?;
    let hosts = world.running();
    for n in 0..ROWS {
        world.put(0, &shared, &format!("service-{n}"), &value(n))?;
    }
    for host in &hosts {
        world.put(*host, &own, "endpoint-0", &value(*host))?;
    }
    world.settle(Duration::from_secs(30))?;

    let half = world.halves();
    world.partition(&half[..1]);
    for n in 0..WRITES {
        for side in &half {
            write(world, side, n, &shared, &own)?;
        }
        world.run_for(SPAN / u32::try_from(WRITES).unwrap_or(u32::MAX))?;
    }
    world.heal();
    let healed = world.now();
    world.await_converged(Duration::from_mins(1))?;
    let took = world.now().since(healed);
    world.figures.time("healed, all agree", took);
    Ok(())
}

/// One write or delete somewhere on a side.
fn write(world: &mut World, side: &[usize], n: usize, shared: &Table, own: &Table) -> Outcome {
    let host = world.draws.pick(side).copied().unwrap_or(0);
    let service = format!("service-{}", world.draws.index(ROWS * 2));
    match world.draws.below(4) {
        0 => world.put(host, own, &format!("endpoint-{}", n % 4), &value(n)).map(|_| ()),
        1 => world.try_delete(host, own, &format!("endpoint-{}", n % 4)),
        2 => world.try_delete(host, shared, &service),
        _ => world.put(host, shared, &service, &value(n)).map(|_| ()),
    }
}
