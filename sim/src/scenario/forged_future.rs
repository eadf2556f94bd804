//! A stamp from the future can't pin a key.

use std::time::Duration;

use super::{Scenario, untuned, value};
use crate::{
    broken::Outcome,
    world::{Table, World},
};

pub(super) const FEW: Scenario = Scenario {
    name: "forged-future",
    about: "a node whose clock leaps ahead writes keys: 100 later updates by others are seen all the same",
    nodes: 10,
    tune: untuned,
    run: |world| run(world, 10),
};

pub(super) const MANY: Scenario = Scenario {
    name: "forged-flood",
    about: "the same with more writes from the future than are kept aside",
    nodes: 10,
    tune: untuned,
    run: |world| run(world, 100),
};

const UPDATES: usize = 100;
/// Far enough ahead to be doubted, near enough to see the time come.
const AHEAD: Duration = Duration::from_mins(2);

fn run(world: &mut World, keys: usize) -> Outcome {
    let table = Table::cluster("net", "services");
    world.start()?;
    world.attach_all("net")?;
    for n in 0..keys {
        world.put(0, &table, &format!("service-{n}"), "before")?;
    }
    world.settle(Duration::from_secs(30))?;

    // The write comes before the probes can tell the node how wrong it is.
    world.jump_clock(1, AHEAD, false);
    for n in 0..keys {
        world.put(1, &table, &format!("service-{n}"), "from the future")?;
    }
    world.run_for(Duration::from_secs(1))?;
    let mut seen = 0;
    let mut first_unseen = Ok(());
    for n in 0..UPDATES {
        let key = format!("service-{}", n % keys);
        let row = world.row_of(0, &table, &key)?;
        world.put(0, &table, &key, &value(n))?;
        world.time_write_but(&table, &row, &value(n), &[1])?;
        let shown =
            world.await_timed("a later update seen by all but the forger", Duration::from_secs(5));
        seen += u64::from(shown.is_ok());
        first_unseen = first_unseen.and(shown);
    }
    world.figures.number("later updates seen, of 100", seen);
    first_unseen?;

    // When its time has come the write takes effect like any other, and can be replaced like any other.
    world.run_for(AHEAD + Duration::from_secs(10))?;
    world.settle(Duration::from_mins(1))?;
    for n in 0..keys {
        world.timed_put(2, &table, &format!("service-{n}"), "after")?;
    }
    world.await_timed("an update seen by all afterwards", Duration::from_secs(10))
}
