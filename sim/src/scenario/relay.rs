//! The relay alone, for clusters that are too large to run: the very split of the core over the hosts' ids,
//! and a latency drawn per hop. What a whole node does besides (acks, comparing, probes, loss) is left out.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use netdb_core::config::Config;
use netdb_gossip_core::{
    identity::NodeId,
    relay::{self, Span},
    time::Time,
};

use super::{Scenario, calm};
use crate::{broken::Outcome, world::World};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "relay",
    about: "single writes by random nodes of which only the relay runs: for clusters too large to run whole",
    nodes: 10,
    tune: calm,
    run,
};

const SAMPLES: usize = 200;

fn run(world: &mut World) -> Outcome {
    let hosts: BTreeMap<NodeId, usize> =
        world.hosts().iter().map(|host| (host.id, host.index)).collect();
    let ring: Vec<NodeId> = hosts.keys().copied().collect();
    let mut copies = 0;
    for _ in 0..SAMPLES {
        let writer = world.draws.index(ring.len());
        let reached = spread(world, &hosts, &ring, ring.get(writer).copied().unwrap_or_default());
        if reached.len() < ring.len() {
            let missed = ring.len() - reached.len();
            return Err(world.broken("relay", format!("{missed} nodes were not reached")));
        }
        copies += reached.values().map(|(_, copies)| copies).sum::<u64>();
        let last = reached.values().map(|(at, _)| *at).max().unwrap_or_default();
        world.figures.time("one write seen by all", last);
    }
    let needed = (SAMPLES * (ring.len() - 1)).max(1) as u64;
    world.figures.number("payload copies sent per node, hundredths", copies * 100 / needed);
    Ok(())
}

/// When each node has the write, and how many copies it got.
fn spread(
    world: &mut World,
    hosts: &BTreeMap<NodeId, usize>,
    ring: &[NodeId],
    writer: NodeId,
) -> BTreeMap<NodeId, (Duration, u64)> {
    let fanout = Config::lan().fanout;
    let mut reached = BTreeMap::from([(writer, (Duration::ZERO, 0))]);
    let mut told = VecDeque::from([(writer, Span::all_but(writer), Duration::ZERO)]);
    while let Some((node, span, at)) = told.pop_front() {
        for hop in relay::split(span, ring, node, fanout, |_| true) {
            let ends = (hosts.get(&node), hosts.get(&hop.to));
            let (Some(from), Some(to)) = ends else { continue };
            world.fabric.trace.event(Time(0) + at, "leaves", *from, *to as u64, &[]);
            let latency = &world.fabric.topology.link(*from, *to).latency;
            let at = at + latency.draw(&mut world.draws);
            world.fabric.trace.event(Time(0) + at, "copy", *to, *from as u64, &[]);
            let (first, copies) = reached.entry(hop.to).or_insert((at, 0));
            (*first, *copies) = ((*first).min(at), *copies + 1);
            if let Some(rest) = hop.rest {
                told.push_back((hop.to, rest, at));
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use crate::{report, scenario, world::Options};

    /// Median of the slowest copy, in microseconds.
    fn median(name: &str, nodes: usize) -> u64 {
        let scenario = scenario::named(name).unwrap();
        let report = report::run(&scenario, Options::lan(1, nodes), None, String::new());
        assert_eq!(report.broken, None);
        report.times["one write seen by all"].p50_us
    }

    #[test]
    fn the_relay_alone_takes_as_long_as_whole_nodes() {
        for nodes in [10, 30] {
            let (alone, whole) = (median("relay", nodes), median("create", nodes));
            let apart = alone.abs_diff(whole) * 100 / whole;
            assert!(apart <= 3, "{nodes} nodes: {alone} us alone, {whole} us whole");
        }
    }
}
