//! A node leaves for good; another detaches from a network: what they owned goes at once.

use std::time::Duration;

use super::{Scenario, untuned, value};
use crate::{
    broken::Outcome,
    world::{Stop, Table, World},
};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "leave",
    about: "a node leaves the cluster, one is shut down, one detaches: their rows go, shared rows stay",
    nodes: 10,
    tune: untuned,
    run,
};

fn run(world: &mut World) -> Outcome {
    let (shared, own) = (Table::cluster("net", "services"), Table::owner("net", "endpoints"));
    world.start()?;
    world.attach_all("net")?;
    for host in world.running() {
        world.put(host, &own, "endpoint", &value(host))?;
        world.put(host, &shared, &format!("service-{host}"), &value(host))?;
    }
    world.settle(Duration::from_secs(30))?;
    for (host, how) in [(1, Stop::Leave), (2, Stop::ShutDown)] {
        let row = world.row_of(host, &own, "endpoint")?;
        world.stop(host, how)?;
        world.time_gone_everywhere(&own, &row)?;
        world.await_timed("left, rows gone on all", Duration::from_secs(10))?;
        world.settle(Duration::from_secs(30))?;
    }
    let row = world.row_of(3, &own, "endpoint")?;
    world.detach(3, "net")?;
    world.time_gone_everywhere(&own, &row)?;
    world.await_timed("detached, rows gone on all", Duration::from_secs(10))
}
