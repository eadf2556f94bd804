//! A cluster as large as clusters get, at rest but for what always happens in one.

use std::time::Duration;

use super::{Scenario, untuned, value};
use crate::{
    broken::Outcome,
    world::{Disk, Stop, Table, World},
};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "large",
    about: "10 networks of 100 entries, each node in one, 10 minutes with now and then a write or a kill -9",
    nodes: 1_000,
    tune: untuned,
    run,
};

const NETWORKS: usize = 10;
const ENTRIES: usize = 100;
const WRITES: u64 = 600;
const BETWEEN: Duration = Duration::from_secs(1);
/// After so many writes a node is killed.
const KILLS: u64 = 30;
/// For how long a killed node is down.
const DOWN: Duration = Duration::from_secs(5);

fn run(world: &mut World) -> Outcome {
    let hosts = world.hosts().len();
    let network = |host: usize| Table::owner(&format!("net-{}", host % NETWORKS), "endpoints");
    world.start_settled(|host| network(host).network)?;
    // As many rows in each network, however many nodes share them.
    for n in 0..NETWORKS * ENTRIES {
        let host = n % hosts;
        world.put(host, &network(host), &format!("endpoint-{n:07}"), &value(n))?;
    }
    world.settle(Duration::from_mins(2))?;
    for n in 1..=WRITES {
        world.run_for(BETWEEN)?;
        let host = world.draws.index(hosts);
        let entry = world.draws.index(NETWORKS * ENTRIES);
        world.try_put(host, &network(host), &format!("endpoint-{entry:07}"), &value(entry))?;
        if n % KILLS == 0 {
            let victim = world.draws.index(hosts);
            if world.is_running(victim) {
                world.stop(victim, Stop::Kill)?;
                let back = world.now() + DOWN;
                world.at(back, move |world| world.restart(victim, Disk::Kept));
            }
        }
    }
    Ok(())
}
