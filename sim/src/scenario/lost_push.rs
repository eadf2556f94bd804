//! The push of a network's last write is lost everywhere: only comparing can repair it.

use std::time::Duration;

use super::{Scenario, untuned, value};
use crate::{
    broken::Outcome,
    world::{Table, World},
};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "lost-push",
    about: "a network of 3 nodes, every push of its last write is lost: comparing repairs it",
    nodes: 25,
    tune: untuned,
    run,
};

const MEMBERS: usize = 3;
const ROUNDS: usize = 100;

fn run(world: &mut World) -> Outcome {
    let table = Table::owner("net", "endpoints");
    world.start()?;
    let mut hosts = world.running();
    world.draws.shuffle(&mut hosts);
    hosts.truncate(MEMBERS);
    for host in &hosts {
        world.attach(*host, "net")?;
    }
    world.settle(Duration::from_secs(30))?;
    for n in 0..ROUNDS {
        // Long enough for the nodes to compare rarely, in some rounds.
        world.run_for_between(0, 60_000_000)?;
        let writer = world.draws.pick(&hosts).copied().unwrap_or(0);
        world.tap_and_lose_pushes(value(n).as_bytes());
        world.timed_put(writer, &table, &format!("endpoint-{n:07}"), &value(n))?;
        let others = hosts.iter().filter(|host| **host != writer).copied().collect::<Vec<_>>();
        world.await_until("bounds", Duration::from_secs(5), |world| {
            let waits = others.iter().any(|host| world.queues_for(writer, *host));
            waits.then(|| "the push is repeated for ever".into())
        })?;
        world.tap(value(n).as_bytes());
        world.await_timed("a push lost everywhere, repaired", Duration::from_secs(30))?;
    }
    Ok(())
}
