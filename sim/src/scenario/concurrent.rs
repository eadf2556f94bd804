//! Truly concurrent writes of one key: all nodes settle on one of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use netdb_core::entry::RowKey;

use super::{Scenario, calm, start_attached};
use crate::{
    broken::Outcome,
    world::{Table, World},
};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "concurrent",
    about: "100 pairs of concurrent writes of one key: every node settles on the same one",
    nodes: 10,
    tune: calm,
    run,
};

const PAIRS: usize = 100;

fn run(world: &mut World) -> Outcome {
    let table = Table::cluster("net", "services");
    start_attached(world)?;
    for n in 0..PAIRS {
        let mut hosts = world.running();
        world.draws.shuffle(&mut hosts);
        for host in hosts.iter().take(2) {
            world.put(*host, &table, &format!("service-{n}"), &format!("by {host}"))?;
        }
        world.run_for_between(0, 20_000)?;
    }
    let agreed = world.await_converged(Duration::from_secs(30));
    let disagreed = disagreements(world)?;
    world.figures.number("keys that never agree", disagreed);
    world.figures.time("last pair, all agree", agreed?);
    Ok(())
}

/// Keys of which not every node shows the same write.
fn disagreements(world: &World) -> Outcome<u64> {
    let network = world.name("net")?;
    let views: Vec<_> = world.running().iter().map(|host| world.rows_of(*host, &network)).collect();
    let keys: BTreeSet<_> = views.iter().flat_map(BTreeMap::keys).collect();
    let differs = |key: &&&RowKey| {
        let mut dots = views.iter().map(|rows| rows.get(**key).map(|entry| entry.dot));
        let first = dots.next();
        dots.any(|dot| Some(dot) != first)
    };
    Ok(keys.iter().filter(differs).count() as u64)
}
