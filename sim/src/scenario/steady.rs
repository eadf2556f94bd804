//! A large cluster at work: what steady writing costs each node.

use std::time::Duration;

use super::{Scenario, calm, value};
use crate::{
    broken::Outcome,
    world::{Table, World},
};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "steady",
    about: "50 writes per second among all nodes for 10 minutes: bytes per node against payload and idle",
    nodes: 1_000,
    tune: calm,
    run,
};

const PER_SECOND: u64 = 50;
const SPAN: Duration = Duration::from_mins(10);
const IDLE: Duration = Duration::from_mins(1);
const KEY: &str = "endpoint-0000000";

fn run(world: &mut World) -> Outcome {
    let table = Table::owner("net", "endpoints");
    world.start()?;
    world.attach_all("net")?;
    world.settle(Duration::from_mins(2))?;
    world.run_for(IDLE)?;
    let before = world.bytes_sent();
    world.run_for(IDLE)?;
    let idle = (world.bytes_sent() - before) / IDLE.as_secs() * SPAN.as_secs();

    let hosts = world.hosts().len();
    let writes = SPAN.as_secs() * PER_SECOND;
    let before = world.bytes_sent();
    for n in 0..writes {
        let host = world.draws.index(hosts);
        let value = value(usize::try_from(n).unwrap_or(0));
        world.put(host, &table, KEY, &value)?;
        world.run_for(Duration::from_micros(1_000_000 / PER_SECOND))?;
    }
    let sent = world.bytes_sent() - before;
    let payload = writes * (KEY.len() + value(0).len()) as u64 * hosts as u64;
    let hundredths = sent * 100 / (payload + idle).max(1);
    world.figures.number("bytes sent per node over payload and idle, hundredths", hundredths);
    world.settle(Duration::from_mins(1)).map(|_| ())
}
