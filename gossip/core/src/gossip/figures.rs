//! What the `lan` profile promises, in virtual time: how soon a dead node is noticed, and what an idle
//! node costs.

use alloc::vec::Vec;
use core::time::Duration;

use super::{
    MemberEvent,
    net::{Net, id},
};
use crate::config::Config;

const SECOND: Duration = Duration::from_secs(1);
const NODES: usize = 25;
const VICTIM: usize = 7;

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Kills a node and returns when each of the others suspected it and called it down.
fn kill(seed: u64, loss_percent: u32) -> (Vec<Duration>, Vec<Duration>) {
    let mut net = Net::joined(Config::lan(), NODES, seed);
    net.run(10 * SECOND + Duration::from_millis(137 * seed));
    net.loss_percent = loss_percent;
    let killed = net.now;
    net.nodes[VICTIM].up = false;
    net.run(10 * SECOND);
    let (mut suspected, mut down) = (Vec::new(), Vec::new());
    for (at, event) in net.nodes.iter().flat_map(|node| &node.events) {
        match event {
            MemberEvent::Suspected(member) if member.id == id(VICTIM) => {
                suspected.push(at.since(killed));
            }
            MemberEvent::Down(member) => {
                assert_eq!(member.id, id(VICTIM), "nobody else");
                down.push(at.since(killed));
            }
            _ => {}
        }
    }
    (suspected, down)
}

#[test]
fn a_dead_node_is_noticed_in_time() {
    for loss_percent in [0, 5, 20] {
        let (mut suspected, mut down) = (Vec::new(), Vec::new());
        for seed in 0..20 {
            let (mut some, mut others) = kill(seed, loss_percent);
            assert_eq!(others.len(), NODES - 1);
            suspected.append(&mut some);
            down.append(&mut others);
        }
        let ms = Duration::from_millis;
        assert!(median(&mut suspected) <= ms(1500), "{:?}", median(&mut suspected));
        assert!(suspected.last() <= Some(&ms(2500)), "{:?}", suspected.last());
        assert!(median(&mut down) <= ms(3000), "{:?}", median(&mut down));
        assert!(down.last() <= Some(&ms(5000)), "{:?}", down.last());
    }
}

#[test]
fn an_idle_node_sends_little() {
    let mut net = Net::joined(Config::lan(), 50, 1);
    net.run(20 * SECOND);
    let sent = |net: &Net| net.nodes.iter().map(|node| node.bytes).sum::<u64>();
    let before = sent(&net);
    net.run(300 * SECOND);
    let each = (sent(&net) - before) / 300 / 50;
    assert!(each < 250, "{each} bytes/s");
}

#[test]
fn a_hundred_nodes_join_at_once_through_one() {
    for seed in 0..3 {
        Net::joined(Config::lan(), 100, seed);
    }
}
